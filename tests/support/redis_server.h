/* support/redis_server.h: a real redis-server for one test: on a free loopback port, and on a unix socket, in a directory of
 * its own, gone with the test whatever becomes of it.
 *
 *     redis_server s = REDIS_SERVER("--requirepass", "secret");
 *     redis_server_start(&s);            aborts the test where that fails
 *     …
 *     redis_server_stop(&s);
 *
 * Threads   one at a time. The thread that starts a server must outlive it, for the kernel kills the server with it.
 */
#ifndef MFT_REDIS_SERVER_H
#define MFT_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct redis_server {
    const char *options[32];       /* as on its command line; NULL ends them */
    bool        tls;               /* on the port; the socket stays plain. Certificates as below */
    const char *ready_line;        /* the line of its log that ends the start; NULL: it takes connections */

    pid_t       pid;               /* 0: not running */
    uint16_t    port;              /* kept over a restart */
    int         log;               /* its standard output */
    char        dir[64];
    char        socket[96];
} redis_server;

#define REDIS_SERVER(...) {.options = {__VA_ARGS__}}

void redis_server_start(redis_server *s);
/** Kill it, with its children; what it has on disk stays for a restart. */
void redis_server_kill(redis_server *s);
void redis_server_pause(redis_server *s);      /* SIGSTOP, and wait until it has */
void redis_server_resume(redis_server *s);
/** Kill it and remove its directory. */
void redis_server_stop(redis_server *s);

/** Make certificates with the openssl command in s->dir (which is made), for a start with tls: ca.pem, server.pem and .key for
 * localhost, 127.0.0.1 and ::1, client.pem and .key of the same authority, expired.pem and .key, elsewhere.pem and .key for
 * another host, other-ca.pem, of which nothing here comes. The server shows `shown`, "server" usually. */
void redis_server_certificates(redis_server *s, const char *shown);

/** "tail" behind the server's directory; one of a few static buffers. */
const char *redis_server_path(const redis_server *s, const char *tail);

#endif
