#include "fault_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "fault_proxy: %s: %s\n", what, strerror(errno));
    abort();
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static void close_pair(fault_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        if (pair->fd[i] >= 0)
            close(pair->fd[i]);
        pair->fd[i] = -1;
        pair->len[i] = 0;
    }
}

static void accept_one(fault_proxy *p)
{
    int client = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
    struct sockaddr_in in = loopback(p->target);
    for (int i = 0; client >= 0 && i < FAULT_PAIRS; i++) {
        fault_pair *pair = &p->pairs[i];
        if (pair->fd[0] >= 0)
            continue;
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server < 0 || connect(server, (struct sockaddr *)&in, sizeof in) < 0) {
            if (server >= 0)
                close(server);
            break;
        }
        fcntl(server, F_SETFL, O_NONBLOCK);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pair->fd[0] = client;
        pair->fd[1] = server;
        return;
    }
    if (client >= 0)
        close(client);
}

/* false: that side has closed. */
static bool fill(fault_pair *pair, int from)
{
    ssize_t n = recv(pair->fd[from], pair->buffer[from] + pair->len[from], FAULT_BUFFER - pair->len[from], 0);
    if (n > 0)
        pair->len[from] += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* false: nobody takes it any more. */
static bool pass(fault_pair *pair, int from, size_t most)
{
    size_t n = pair->len[from] < most ? pair->len[from] : most;
    if (n == 0)
        return true;
    ssize_t put = send(pair->fd[1 - from], pair->buffer[from], n, MSG_NOSIGNAL);
    if (put > 0) {
        pair->len[from] -= (size_t)put;
        memmove(pair->buffer[from], pair->buffer[from] + put, pair->len[from]);
    }
    return put > 0 || errno == EAGAIN || errno == EINTR;
}

/* Do to a pair what the mode says; true: a fault that happens once has happened. */
static bool move(fault_pair *pair, int mode)
{
    if (mode == FAULT_CUT) {
        close_pair(pair);
        return true;
    }
    if (mode == FAULT_FREEZE)
        return false;
    for (int from = 0; from < 2; from++) {
        size_t half = pair->len[from] / 2;
        if (mode == FAULT_TRUNCATE && pair->len[from] > 0) {
            pass(pair, from, half);
            close_pair(pair);
            return true;
        }
        if (!pass(pair, from, mode == FAULT_DRIP ? 1 : FAULT_BUFFER)) {
            close_pair(pair);
            return false;
        }
    }
    return false;
}

static void *run(void *arg)
{
    fault_proxy *p = arg;
    while (!atomic_load(&p->stopping)) {
        struct pollfd fds[2 + 2 * FAULT_PAIRS] = {{.fd = p->fd, .events = POLLIN}, {.fd = p->wake[0], .events = POLLIN}};
        int mode = atomic_load(&p->mode), timeout = -1;
        for (int i = 0; i < FAULT_PAIRS; i++)
            for (int side = 0; side < 2; side++) {
                const fault_pair *pair = &p->pairs[i];
                fds[2 + 2 * i + side] = (struct pollfd){.fd = pair->fd[side],
                                                        .events = pair->len[side] < FAULT_BUFFER ? POLLIN : 0};
                if (pair->len[side] > 0 && mode != FAULT_FREEZE)
                    timeout = mode == FAULT_DELAY ? 5 : 0;
            }
        if (mode == FAULT_DELAY && timeout == 5) {
            poll(&fds[1], 1, 5);        /* late on purpose */
            timeout = 0;
        }
        poll(fds, 2 + 2 * FAULT_PAIRS, timeout);
        char waste[64];
        if (fds[1].revents != 0)
            (void)!read(p->wake[0], waste, sizeof waste);
        if (fds[0].revents != 0)
            accept_one(p);
        bool happened = false;
        for (int i = 0; i < FAULT_PAIRS; i++) {
            fault_pair *pair = &p->pairs[i];
            bool closed = false;
            for (int side = 0; pair->fd[0] >= 0 && side < 2; side++)
                if (fds[2 + 2 * i + side].fd == pair->fd[side] && fds[2 + 2 * i + side].revents != 0)
                    closed |= !fill(pair, side);
            if (pair->fd[0] >= 0)
                happened |= move(pair, mode);
            if (closed)
                close_pair(pair);
        }
        if (happened)
            atomic_compare_exchange_strong(&p->mode, &mode, FAULT_NONE);
    }
    return NULL;
}

void fault_proxy_start(fault_proxy *p, uint16_t target)
{
    struct sockaddr_in in = loopback(0);
    socklen_t len = sizeof in;
    memset(p, 0, sizeof *p);
    p->target = target;
    for (int i = 0; i < FAULT_PAIRS; i++)
        p->pairs[i].fd[0] = p->pairs[i].fd[1] = -1;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&in, len) < 0 || listen(p->fd, 64) < 0 ||
        getsockname(p->fd, (struct sockaddr *)&in, &len) < 0 || pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) < 0)
        fail("listen");
    p->port = ntohs(in.sin_port);
    if (pthread_create(&p->thread, NULL, run, p) != 0)
        fail("pthread_create");
}

void fault_proxy_set(fault_proxy *p, fault mode)
{
    atomic_store(&p->mode, mode);
    (void)!write(p->wake[1], "!", 1);
}

void fault_proxy_stop(fault_proxy *p)
{
    atomic_store(&p->stopping, true);
    (void)!write(p->wake[1], "!", 1);
    pthread_join(p->thread, NULL);
    for (int i = 0; i < FAULT_PAIRS; i++)
        close_pair(&p->pairs[i]);
    close(p->fd);
    close(p->wake[0]);
    close(p->wake[1]);
}
