#include "redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "redis_server: %s: %s\n", what, strerror(errno));
    abort();
}

static void make_dir(redis_server *s)
{
    if (s->dir[0] != '\0')
        return;
    strcpy(s->dir, "/tmp/mageflow-redis.XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        fail("mkdtemp");
    snprintf(s->socket, sizeof s->socket, "%s/sock", s->dir);
}

const char *redis_server_path(const redis_server *s, const char *tail)
{
    static _Thread_local char paths[8][160];
    static _Thread_local unsigned next;
    char *at = paths[next++ % 8];
    snprintf(at, sizeof paths[0], "%s/%s", s->dir, tail);
    return at;
}

/* Somebody else may take it before the server does: then the start is tried again with another one. */
static uint16_t free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 || getsockname(fd, (struct sockaddr *)&in, &len) < 0)
        fail("a free port");
    close(fd);
    return ntohs(in.sin_port);
}

static void run_server(const redis_server *s, int out)
{
    char port[8], zero[] = "0";
    snprintf(port, sizeof port, "%u", s->port);
    const char *argv[64];
    size_t n = 0;
    const char *usual[] = {
        "redis-server", "--bind", "127.0.0.1", "--dir", s->dir, "--unixsocket", s->socket, "--save", "", "--daemonize", "no",
        "--port", s->tls ? zero : port, "--tls-port", s->tls ? port : zero, "--protected-mode", "no", "--loglevel", "notice",
    };
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        argv[n++] = usual[i];
    const char *tls[] = {
        "--tls-cert-file", redis_server_path(s, "shown.pem"), "--tls-key-file", redis_server_path(s, "shown.key"),
        "--tls-ca-cert-file", redis_server_path(s, "ca.pem"), "--tls-auth-clients", "optional",
    };
    for (size_t i = 0; s->tls && i < sizeof tls / sizeof tls[0]; i++)
        argv[n++] = tls[i];
    for (size_t i = 0; i < 32 && s->options[i] != NULL; i++)
        argv[n++] = s->options[i];
    argv[n] = NULL;
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], (char **)(uintptr_t)argv);
    _exit(127);
}

/* Read its log up to the line; false: it ended before. */
static bool wait_for_line(redis_server *s, const char *line)
{
    char text[16384];
    size_t len = 0;
    for (;;) {
        ssize_t n = read(s->log, text + len, sizeof text - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
        if (strstr(text, line) != NULL)
            return true;
        if (len > sizeof text / 2) {
            memmove(text, text + len - 256, 256);
            len = 256;
        }
    }
}

static bool try_start(redis_server *s)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        fail("pipe");
    s->pid = fork();
    if (s->pid < 0)
        fail("fork");
    if (s->pid == 0)
        run_server(s, out[1]);
    close(out[1]);
    s->log = out[0];
    return wait_for_line(s, s->ready_line != NULL ? s->ready_line : "Ready to accept connections");
}

void redis_server_start(redis_server *s)
{
    make_dir(s);
    bool choose = s->port == 0;
    for (int i = 0; i < 20; i++) {
        if (choose)
            s->port = free_port();
        if (try_start(s))
            return;
        redis_server_kill(s);
    }
    errno = 0;
    fail("redis-server did not start; is it installed?");
}

void redis_server_kill(redis_server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(s->log);
    s->pid = 0;
}

void redis_server_pause(redis_server *s)
{
    int status;
    kill(s->pid, SIGSTOP);
    while (waitpid(s->pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
}

void redis_server_resume(redis_server *s)
{
    kill(s->pid, SIGCONT);
}

static void run(const char *command)
{
    if (system(command) != 0) {
        fprintf(stderr, "redis_server: failed: %s\n", command);
        abort();
    }
}

void redis_server_stop(redis_server *s)
{
    char command[128];
    redis_server_kill(s);
    if (s->dir[0] == '\0')
        return;
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    run(command);
    s->dir[0] = '\0';
}

void redis_server_certificates(redis_server *s, const char *shown)
{
    static const char script[] =
        "cd %s && exec 2>openssl.log && set -e\n"
        "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
        "for ca in ca other-ca; do\n"
        "  openssl req -x509 $new -days 2 -keyout $ca.key -out $ca.pem -subj /CN=$ca\n"
        "done\n"
        "make() {\n"      /* name days subjectAltName */
        "  openssl req $new -keyout $1.key -out $1.csr -subj /CN=$1\n"
        "  printf 'subjectAltName=%%s\\n' $3 > $1.ext\n"
        "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $2 -extfile $1.ext -out $1.pem\n"
        "}\n"
        "here=DNS:localhost,IP:127.0.0.1,IP:::1\n"
        "make server 2 $here\n"
        "make client 2 DNS:client\n"
        "make elsewhere 2 DNS:elsewhere.invalid\n"
        "make expired -1 $here\n"
        "cp %s.pem shown.pem && cp %s.key shown.key\n";
    char command[sizeof script + 256];
    make_dir(s);
    snprintf(command, sizeof command, script, s->dir, shown, shown);
    run(command);
    s->tls = true;
}
