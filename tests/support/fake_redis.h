/* support/fake_redis.h: a server that says what a test wants said: one thread per connection runs the test's function.
 *
 *     static void serve(fake_peer *p, void *user)
 *     {
 *         if (!fake_greet(p))
 *             return;                          the connection is closed
 *         fake_command c;
 *         while (fake_read(p, &c))
 *             fake_say(p, "+OK\r\n");
 *     }
 *
 * fake_read and fake_say fail once the other side has closed; a function that was waiting then returns by itself.
 */
#ifndef MFT_FAKE_REDIS_H
#define MFT_FAKE_REDIS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fake_peer {
    struct fake_redis *server;
    int                fd;
    int                number;         /* of the connection, from 1 */
    size_t             len, at;        /* of what was read */
    char               buffer[1 << 16];
} fake_peer;

typedef void fake_serve_fn(fake_peer *p, void *user);

typedef struct fake_redis {
    fake_serve_fn  *serve;
    void           *user;
    int             fd;
    uint16_t        port;
    atomic_int      connections;
    pthread_t       acceptor;
    pthread_mutex_t lock;
    pthread_t       threads[64];
    int             fds[64];
    int             count;
    bool            stopping;
} fake_redis;

void fake_redis_start(fake_redis *f, fake_serve_fn *serve, void *user);
/** Close every connection, join every thread. */
void fake_redis_stop(fake_redis *f);

enum { FAKE_ARGS = 16, FAKE_ARG = 256 };
typedef struct fake_command {
    size_t argc;
    char   argv[FAKE_ARGS][FAKE_ARG];      /* cut to fit */
} fake_command;

/** The next command; false: closed. */
bool fake_read(fake_peer *p, fake_command *c);
bool fake_is(const fake_command *c, const char *name);
/** Send text, NUL-terminated, or bytes. */
bool fake_say(fake_peer *p, const char *text);
bool fake_say_bytes(fake_peer *p, const char *at, size_t len);
/** Answer what a client says first, up to its PING. */
bool fake_greet(fake_peer *p);
/** Read and throw away until the other side closes. */
void fake_wait_for_close(fake_peer *p);

/** A thing that happens: tests wait for it, and are aborted when it does not come within two minutes. */
typedef struct fake_event {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    int             count;
} fake_event;
#define FAKE_EVENT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
void fake_signal(fake_event *e);
/** Until it was signalled n times, in all. */
void fake_await(fake_event *e, int n);

#endif
