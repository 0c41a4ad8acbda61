#include "fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "fake_redis: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static void *run_peer(void *arg)
{
    fake_peer *p = arg;
    p->server->serve(p, p->server->user);
    /* Shut, not closed: stop does that, so that no other connection gets this number meanwhile. */
    shutdown(p->fd, SHUT_RDWR);
    free(p);
    return NULL;
}

static void *accept_all(void *arg)
{
    fake_redis *f = arg;
    int fd;
    while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&f->lock);
        if (f->stopping || f->count == 64) {
            close(fd);
        } else {
            fake_peer *p = calloc(1, sizeof *p);
            p->server = f;
            p->fd = fd;
            p->number = atomic_fetch_add(&f->connections, 1) + 1;
            f->fds[f->count] = fd;
            if (pthread_create(&f->threads[f->count++], NULL, run_peer, p) != 0)
                fail("pthread_create");
        }
        pthread_mutex_unlock(&f->lock);
    }
    return NULL;
}

void fake_redis_start(fake_redis *f, fake_serve_fn *serve, void *user)
{
    memset(f, 0, sizeof *f);
    f->serve = serve;
    f->user = user;
    pthread_mutex_init(&f->lock, NULL);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&in, len) < 0 || listen(f->fd, 64) < 0 ||
        getsockname(f->fd, (struct sockaddr *)&in, &len) < 0)
        fail("listen");
    f->port = ntohs(in.sin_port);
    if (pthread_create(&f->acceptor, NULL, accept_all, f) != 0)
        fail("pthread_create");
}

void fake_redis_stop(fake_redis *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->acceptor, NULL);
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    for (int i = 0; i < f->count; i++)
        shutdown(f->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->count; i++) {
        pthread_join(f->threads[i], NULL);
        close(f->fds[i]);
    }
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
}

/* ---- RESP ------------------------------------------------------------------------------------------------------- */

static bool more(fake_peer *p)
{
    if (p->at > 0) {
        memmove(p->buffer, p->buffer + p->at, p->len - p->at);
        p->len -= p->at;
        p->at = 0;
    }
    ssize_t n = p->len < sizeof p->buffer ? recv(p->fd, p->buffer + p->len, sizeof p->buffer - p->len, 0) : 0;
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    return true;
}

static bool read_byte(fake_peer *p, char *c)
{
    if (p->at == p->len && !more(p))
        return false;
    *c = p->buffer[p->at++];
    return true;
}

/* "*3\r\n", "$5\r\n" */
static bool read_count(fake_peer *p, char kind, size_t *out)
{
    char c, text[24];
    size_t len = 0;
    if (!read_byte(p, &c))
        return false;
    if (c != kind) {
        fprintf(stderr, "fake_redis: expected %c, got byte %d\n", kind, c);
        abort();
    }
    while (read_byte(p, &c) && c != '\n' && len + 1 < sizeof text)
        text[len++] = c;
    text[len] = '\0';
    *out = strtoul(text, NULL, 10);
    return c == '\n';
}

bool fake_read(fake_peer *p, fake_command *c)
{
    size_t argc, len;
    memset(c, 0, sizeof *c);
    if (!read_count(p, '*', &argc))
        return false;
    for (size_t i = 0; i < argc; i++) {
        if (!read_count(p, '$', &len))
            return false;
        for (size_t k = 0; k < len + 2; k++) {
            char byte;
            if (!read_byte(p, &byte))
                return false;
            if (i < FAKE_ARGS && k < len && k < FAKE_ARG - 1)
                c->argv[i][k] = byte;
        }
    }
    c->argc = argc;
    return true;
}

bool fake_is(const fake_command *c, const char *name)
{
    return strcasecmp(c->argv[0], name) == 0;
}

bool fake_say_bytes(fake_peer *p, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool fake_say(fake_peer *p, const char *text)
{
    return fake_say_bytes(p, text, strlen(text));
}

bool fake_greet(fake_peer *p)
{
    fake_command c;
    while (fake_read(p, &c)) {
        if (fake_is(&c, "PING"))
            return fake_say(p, "+PONG\r\n");
        char id[24];
        snprintf(id, sizeof id, ":%d\r\n", p->number);
        bool ok = fake_say(p, fake_is(&c, "INFO") ? "$0\r\n\r\n" :
                              fake_is(&c, "CLIENT") && strcmp(c.argv[1], "ID") == 0 ? id : "+OK\r\n");
        if (!ok)
            return false;
    }
    return false;
}

void fake_wait_for_close(fake_peer *p)
{
    char waste[4096];
    while (recv(p->fd, waste, sizeof waste, 0) > 0)
        ;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

void fake_signal(fake_event *e)
{
    pthread_mutex_lock(&e->lock);
    e->count++;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

void fake_await(fake_event *e, int n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 120;
    pthread_mutex_lock(&e->lock);
    while (e->count < n)
        if (pthread_cond_timedwait(&e->changed, &e->lock, &until) == ETIMEDOUT) {
            fprintf(stderr, "fake_redis: waited for event %d, and only %d came\n", n, e->count);
            abort();
        }
    pthread_mutex_unlock(&e->lock);
}
