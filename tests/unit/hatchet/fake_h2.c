#include "fake_h2.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS 16

typedef struct play {
    fake_h2         *fake;
    int              fd;
    const fake_step *steps;
    pthread_t        thread;
    char             in[1 << 20];
    size_t           len;
    bool             preface;
    unsigned         requests, pings, acks;
} play;

struct fake_h2 {
    int                     fd, stop_fd, go_fd;
    uint16_t                port;
    const fake_step *const *scripts;
    size_t                  count;
    pthread_t               thread;
    atomic_uint             connections;
    play                   *plays[CONNS];
};

/* Wait until fd can be read; false: the test is over. */
static bool readable(fake_h2 *f, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = f->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        ;
    return fds[1].revents == 0;
}

static void eat_frames(play *p)
{
    static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (!p->preface) {
        if (p->len < sizeof magic - 1)
            return;
        p->preface = true;
        p->len -= sizeof magic - 1;
        memmove(p->in, p->in + sizeof magic - 1, p->len);
    }
    for (;;) {
        if (p->len < 9)
            return;
        const unsigned char *h = (const unsigned char *)p->in;
        size_t size = 9 + ((size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2]);
        if (p->len < size)
            return;
        p->requests += h[3] == 1;
        p->pings += h[3] == 6;
        p->acks += h[3] == 4 && (h[4] & 1) != 0;
        p->len -= size;
        memmove(p->in, p->in + size, p->len);
    }
}

static bool take(play *p)
{
    if (!readable(p->fake, p->fd))
        return false;
    ssize_t n = recv(p->fd, p->in + p->len, sizeof p->in - p->len, 0);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    eat_frames(p);
    return true;
}

static bool do_step(play *p, const fake_step *s, unsigned *requests, unsigned *pings)
{
    uint64_t n;
    switch (s->what) {
    case FAKE_SAY:
        return send(p->fd, s->bytes, s->len, MSG_NOSIGNAL) == (ssize_t)s->len;
    case FAKE_REQUEST:
        for (++*requests; p->requests < *requests;)
            if (!take(p))
                return false;
        return true;
    case FAKE_PING:
        for (++*pings; p->pings < *pings;)
            if (!take(p))
                return false;
        return true;
    case FAKE_SETTINGS_ACK:
        while (p->acks == 0)
            if (!take(p))
                return false;
        return true;
    case FAKE_HOLD:
        return readable(p->fake, p->fake->go_fd) && read(p->fake->go_fd, &n, sizeof n) == sizeof n;
    case FAKE_CLOSE:
        return false;
    case FAKE_END:
        break;
    }
    while (take(p))
        ;
    return false;
}

static void *play_script(void *arg)
{
    play *p = arg;
    unsigned requests = 0, pings = 0;
    for (const fake_step *s = p->steps; do_step(p, s, &requests, &pings); s++)
        ;
    close(p->fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    fake_h2 *f = arg;
    while (readable(f, f->fd)) {
        int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
        unsigned n = atomic_load(&f->connections);
        if (fd < 0)
            continue;
        if (n == CONNS) {
            close(fd);
            continue;
        }
        play *p = calloc(1, sizeof *p);
        p->fake = f;
        p->fd = fd;
        p->steps = f->scripts[n < f->count ? n : f->count - 1];
        f->plays[n] = p;
        pthread_create(&p->thread, NULL, play_script, p);
        atomic_store(&f->connections, n + 1);
    }
    return NULL;
}

fake_h2 *fake_h2_start(const fake_step *const *scripts, size_t count)
{
    fake_h2 *f = calloc(1, sizeof *f);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    f->scripts = scripts;
    f->count = count;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f->stop_fd = eventfd(0, EFD_CLOEXEC);
    f->go_fd = eventfd(0, EFD_CLOEXEC);
    if (bind(f->fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(f->fd, 8) != 0 ||
        getsockname(f->fd, (struct sockaddr *)&at, &len) != 0)
        abort();
    f->port = ntohs(at.sin_port);
    pthread_create(&f->thread, NULL, accept_all, f);
    return f;
}

uint16_t fake_h2_port(const fake_h2 *f)
{
    return f->port;
}

unsigned fake_h2_connections(fake_h2 *f)
{
    return atomic_load(&f->connections);
}

void fake_h2_go(fake_h2 *f)
{
    uint64_t one = 1;
    if (write(f->go_fd, &one, sizeof one) != sizeof one)
        abort();
}

void fake_h2_stop(fake_h2 *f)
{
    uint64_t one = 1;
    if (write(f->stop_fd, &one, sizeof one) != sizeof one)
        abort();
    pthread_join(f->thread, NULL);
    for (unsigned i = 0; i < atomic_load(&f->connections); i++) {
        pthread_join(f->plays[i]->thread, NULL);
        free(f->plays[i]);
    }
    close(f->fd);
    close(f->stop_fd);
    close(f->go_fd);
    free(f);
}
