/* The transport over real sockets, and a clock that the test turns. TLS is tried against a real server (tests/live). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "counting_allocator.h"
#include "link.h"

static counting_allocator memory;
static int64_t now;

static int64_t read_now(void *user)
{
    (void)user;
    return now;
}

static const mf_clock turned = {read_now, read_now, NULL};

static void setup(void)
{
    counting_init(&memory);
    now = 1000;
}

static void teardown(void)
{
    cr_assert(eq(long, memory.live, 0));
    cr_assert(eq(long, memory.wrong_size, 0));
}

TestSuite(link, .init = setup, .fini = teardown);

static int listen_on(uint16_t *port, int backlog)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(eq(int, bind(fd, (struct sockaddr *)&in, len), 0));
    cr_assert(eq(int, listen(fd, backlog), 0));
    getsockname(fd, (struct sockaddr *)&in, &len);
    *port = ntohs(in.sin_port);
    return fd;
}

static mfi_link *make(mfi_link_options o)
{
    mfi_link *link;
    mf_error err = {0};
    o.allocator = &memory.allocator;
    o.what = "it";
    cr_assert(eq(int, mfi_link_create(&o, &link, &err), MF_OK), "%s", err.text);
    return link;
}

static void wait_for(const mfi_link *link, bool reading, bool writing)
{
    struct pollfd p = {.fd = mfi_link_fd(link), .events = mfi_link_events(link, reading, writing)};
    cr_assert(eq(int, poll(&p, 1, 20000), 1));
}

static mf_status go_on(mfi_link *link, mf_status st, mf_error *err)
{
    while (st == MF_E_AGAIN) {
        wait_for(link, false, false);
        st = mfi_link_step(link, err);
    }
    return st;
}

Test(link, carries_bytes_both_ways_and_tells_the_end)
{
    uint16_t port;
    int listener = listen_on(&port, 1);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port});
    mf_error err = {0};
    cr_assert(eq(int, go_on(link, mfi_link_connect(link, INT64_MAX, &err), &err), MF_OK), "%s", err.text);
    cr_assert(eq(i64, mfi_link_due(link), INT64_MAX));
    int peer = accept(listener, NULL, NULL);

    size_t n;
    char at[16];
    cr_assert(eq(int, mfi_link_read(link, at, sizeof at, &n, &err), MF_E_AGAIN));
    cr_assert(eq(int, mfi_link_write(link, "ping", 4, &n, &err), MF_OK));
    cr_assert(eq(sz, n, 4));
    cr_assert(eq(long, recv(peer, at, 4, MSG_WAITALL), 4));
    cr_assert(eq(long, send(peer, "pong", 4, 0), 4));
    close(peer);
    wait_for(link, true, false);
    cr_assert(eq(int, mfi_link_read(link, at, sizeof at, &n, &err), MF_OK));
    cr_assert(eq(sz, n, 4));
    wait_for(link, true, false);
    cr_assert(eq(int, mfi_link_read(link, at, sizeof at, &n, &err), MF_E_CLOSED));
    cr_assert(eq(int, mfi_link_fd(link), -1));
    cr_assert(eq(int, mfi_link_read(link, at, sizeof at, &n, &err), MF_E_STATE));
    mfi_link_destroy(link);
    close(listener);
}

Test(link, socket_is_closed_on_exec_and_sends_small_writes_at_once_and_keeps_alive)
{
    uint16_t port;
    int listener = listen_on(&port, 1);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port});
    cr_assert(eq(int, go_on(link, mfi_link_connect(link, INT64_MAX, NULL), NULL), MF_OK));
    int fd = mfi_link_fd(link), nodelay = 0, alive = 0;
    socklen_t len = sizeof nodelay;
    cr_assert(eq(int, fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC));
    cr_assert(eq(int, fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK));
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len);
    getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &len);
    cr_assert(ne(int, nodelay, 0));
    cr_assert(ne(int, alive, 0));
    mfi_link_destroy(link);
    close(listener);
}

Test(link, a_full_peer_is_a_try_again_and_a_gone_one_an_error_without_a_signal)
{
    uint16_t port;
    int listener = listen_on(&port, 1);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port});
    cr_assert(eq(int, go_on(link, mfi_link_connect(link, INT64_MAX, NULL), NULL), MF_OK));
    int peer = accept(listener, NULL, NULL);
    static const char zeros[65536];
    size_t n;
    mf_error err = {0};
    mf_status st;
    while ((st = mfi_link_write(link, zeros, sizeof zeros, &n, &err)) == MF_OK)
        cr_assert(gt(sz, n, 0));
    cr_assert(eq(int, st, MF_E_AGAIN));
    close(peer);        /* with bytes unread: a reset */
    while ((st = mfi_link_write(link, zeros, sizeof zeros, &n, &err)) == MF_OK || st == MF_E_AGAIN)
        ;
    cr_assert(eq(int, st, MF_E_IO));
    cr_assert(eq(int, err.status, MF_E_IO));
    mfi_link_destroy(link);
    close(listener);
}

Test(link, over_a_unix_socket)
{
    char dir[] = "/tmp/mageflow-link.XXXXXX", path[64];
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s", dir);
    mfi_link *link = make((mfi_link_options){.socket = path});
    mf_error err = {0};
    cr_assert(eq(int, mfi_link_connect(link, INT64_MAX, &err), MF_E_IO));
    cr_assert(strstr(err.text, "No such file") != NULL, "%s", err.text);

    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(eq(int, bind(listener, (struct sockaddr *)&un, sizeof un), 0));
    listen(listener, 1);
    cr_assert(eq(int, mfi_link_connect(link, INT64_MAX, &err), MF_OK), "%s", err.text);
    mfi_link_destroy(link);
    close(listener);
    unlink(path);
    rmdir(dir);
}

Test(link, tries_every_address_of_a_name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all;
    int addresses = 0;
    cr_assert(eq(int, getaddrinfo("localhost", NULL, &hints, &all), 0));
    for (struct addrinfo *a = all; a != NULL; a = a->ai_next)
        addresses++;
    freeaddrinfo(all);
    uint16_t port;
    int listener = listen_on(&port, 1);      /* on 127.0.0.1 alone, which comes after ::1 */
    mfi_link *link = make((mfi_link_options){.host = "localhost", .port = port});
    mf_error err = {0};
    cr_assert(eq(int, go_on(link, mfi_link_connect(link, INT64_MAX, &err), &err), MF_OK), "%s", err.text);
    mfi_link_close(link);
    close(listener);
    cr_assert(eq(int, go_on(link, mfi_link_connect(link, INT64_MAX, &err), &err), MF_E_IO));
    cr_assert(strstr(err.text, "refused") != NULL, "%s", err.text);
    if (addresses > 1)
        cr_assert(strstr(err.text, "addresses)") != NULL, "%s", err.text);
    mfi_link_destroy(link);
}

/* Connections that the kernel neither accepts nor refuses: the queue of one that listens is full. */
static int deaf_port(uint16_t *port, int *fillers, int n)
{
    int listener = listen_on(port, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(*port)};
    for (int i = 0; i < n; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&in, sizeof in);
    }
    return listener;
}

Test(link, a_connect_that_nobody_answers_ends_at_its_deadline)
{
    uint16_t port;
    int fillers[8];
    int listener = deaf_port(&port, fillers, 8);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port, .clock = &turned});
    mf_error err = {0};
    cr_assert(eq(int, mfi_link_connect(link, now + mf_seconds(5), &err), MF_E_AGAIN), "%s", err.text);
    cr_assert(eq(int, mfi_link_step(link, &err), MF_E_AGAIN));
    now = mfi_link_due(link);
    cr_assert(le(i64, now, 1000 + mf_seconds(5)));
    cr_assert(eq(int, mfi_link_step(link, &err), MF_E_TIMEOUT));
    cr_assert(strstr(err.text, "no answer in time") != NULL, "%s", err.text);
    mfi_link_destroy(link);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(listener);
}

Test(link, a_handshake_that_nobody_answers_ends_at_its_deadline_and_guesses_why)
{
    uint16_t port;
    int listener = listen_on(&port, 1);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port, .tls = true, .clock = &turned});
    mf_error err = {0};
    mf_status st = mfi_link_connect(link, now + mf_seconds(5), &err);
    int peer = accept(listener, NULL, NULL);
    while (st == MF_E_AGAIN && mfi_link_due(link) == now + mf_seconds(5) / 2)
        st = mfi_link_step(link, &err);
    cr_assert(eq(int, st, MF_E_AGAIN));
    now += mf_seconds(5);
    while (st == MF_E_AGAIN)
        st = mfi_link_step(link, &err);
    cr_assert(eq(int, st, MF_E_TIMEOUT));
    cr_assert(strstr(err.text, "without TLS") != NULL, "%s", err.text);
    mfi_link_destroy(link);
    close(peer);
    close(listener);
}

Test(link, what_answers_without_tls_is_refused)
{
    uint16_t port;
    int listener = listen_on(&port, 1);
    mfi_link *link = make((mfi_link_options){.host = "127.0.0.1", .port = port, .tls = true});
    mf_error err = {0};
    mf_status st = mfi_link_connect(link, INT64_MAX, &err);
    int peer = accept(listener, NULL, NULL);
    cr_assert(eq(long, send(peer, "-ERR unknown command\r\n", 22, 0), 22));
    cr_assert(eq(int, go_on(link, st, &err), MF_E_INVALID));
    cr_assert(strstr(err.text, "does not speak TLS") != NULL, "%s", err.text);
    close(peer);

    st = mfi_link_connect(link, INT64_MAX, &err);
    peer = accept(listener, NULL, NULL);
    close(peer);
    cr_assert(eq(int, go_on(link, st, &err), MF_E_IO));
    mfi_link_destroy(link);
    close(listener);
}

static const struct {
    mfi_link_options options;
    mf_status        status;
    const char      *part;
} wrong[] = {
    {{.what = "it"}, MF_E_INVALID, "neither"},
    {{.host = "h", .socket = "/s"}, MF_E_INVALID, "both"},
    {{.socket = "/s", .tls = true}, MF_E_INVALID, "TLS"},
    {{.host = "h", .ca = "/ca"}, MF_E_INVALID, "plain"},
    {{.host = "h", .tls = true, .cert = "/c"}, MF_E_INVALID, "key is missing"},
    {{.host = "h", .tls = true, .ca = "/nonexistent"}, MF_E_NOT_FOUND, "/nonexistent"},
    {{.host = "h", .tls = true, .ca = "/dev/null"}, MF_E_INVALID, "/dev/null"},
    {{.host = "h", .tls = true, .cert = "/nonexistent", .key = "/dev/null"}, MF_E_NOT_FOUND, "cert /nonexistent"},
};

Test(link, options_that_cannot_be_are_refused_by_name)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mfi_link_options o = wrong[i].options;
        mfi_link *link;
        mf_error err = {0};
        o.allocator = &memory.allocator;
        cr_assert(eq(int, mfi_link_create(&o, &link, &err), wrong[i].status), "%zu: %s", i, err.text);
        cr_assert(strstr(err.text, wrong[i].part) != NULL, "%zu: %s", i, err.text);
    }
}

Test(link, a_name_that_leads_nowhere_is_an_error_that_may_pass)
{
    mfi_link *link = make((mfi_link_options){.host = "nowhere.invalid", .port = 1});
    mf_error err = {0};
    cr_assert(eq(int, mfi_link_connect(link, INT64_MAX, &err), MF_E_IO));
    cr_assert(strstr(err.text, "resolve") != NULL, "%s", err.text);
    mfi_link_destroy(link);
}

Test(link, without_memory_the_creation_says_so_at_every_allocation)
{
    for (long n = 1;; n++) {
        setup();
        memory.fail_at = n;
        mfi_link *link;
        mf_error err = {0};
        mf_status st = mfi_link_create(&(mfi_link_options){.allocator = &memory.allocator, .host = "h", .tls = true}, &link,
                                       &err);
        if (st == MF_OK) {
            mfi_link_destroy(link);
            cr_assert(gt(long, n, 4));
            return;
        }
        cr_assert(eq(int, st, MF_E_NOMEM), "%s", err.text);
        cr_assert(eq(long, memory.live, 0));
    }
}
