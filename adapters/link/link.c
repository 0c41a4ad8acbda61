#include "link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "tls.h"

typedef enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_HANDSHAKE, LINK_UP } link_state;

struct mfi_link {
    const mf_allocator *allocator;
    const mf_clock     *clock;
    char               *what, *host, *socket;     /* host or socket is "" */
    char                port[8];
    mfi_tls_rules      *rules;                    /* NULL: plain */

    link_state          state;
    int                 fd;
    mfi_tls            *tls;
    struct addrinfo    *addresses, *next;         /* while connecting: all of them, and which one is tried after this */
    unsigned            tried;
    int64_t             deadline;                 /* of the whole attempt */
    int64_t             due;                      /* of the address at hand */
};

/* ---- create and destroy ----------------------------------------------------------------------------------------- */

static char *copy_or_empty(const mf_allocator *a, const char *text)
{
    return mfi_copy_text(a, mf_cstr(text));
}

static void release_text(const mf_allocator *a, char *text)
{
    if (text != NULL)
        mfi_release(a, text, strlen(text) + 1);
}

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static mf_status check_options(const mfi_link_options *o, mf_error *err)
{
    struct sockaddr_un un;
    const char *what = given(o->what) ? o->what : "link";
    if (given(o->host) == given(o->socket))
        return mf_fail(err, MF_E_INVALID, "%s: expected a host or the path of a socket, got %s", what,
                       given(o->host) ? "both" : "neither");
    if (given(o->socket) && strlen(o->socket) >= sizeof un.sun_path)
        return mf_fail(err, MF_E_INVALID, "%s: the path of a socket has at most %zu bytes", what, sizeof un.sun_path - 1);
    if (given(o->socket) && o->tls)
        return mf_fail(err, MF_E_INVALID, "%s: no TLS over a unix socket", what);
    if (!o->tls && (given(o->ca) || given(o->cert) || given(o->key)))
        return mf_fail(err, MF_E_INVALID, "%s: ca, cert and key are for TLS, and this is a plain connection", what);
    if (given(o->cert) != given(o->key))
        return mf_fail(err, MF_E_INVALID, "%s: a certificate and its key come together: %s is missing", what,
                       given(o->cert) ? "key" : "cert");
    return MF_OK;
}

mf_status mfi_link_create(const mfi_link_options *options, mfi_link **out, mf_error *err)
{
    mf_status st = check_options(options, err);
    if (st != MF_OK)
        return st;
    const mf_allocator *a = options->allocator;
    mfi_link *link = mf_new(a, mfi_link);
    if (link == NULL)
        return mf_fail(err, MF_E_NOMEM, "link: out of memory");
    link->allocator = a;
    link->clock = options->clock;
    link->fd = -1;
    link->what = copy_or_empty(a, given(options->what) ? options->what : "link");
    link->host = copy_or_empty(a, options->host);
    link->socket = copy_or_empty(a, options->socket);
    snprintf(link->port, sizeof link->port, "%u", options->port);
    if (link->what == NULL || link->host == NULL || link->socket == NULL)
        st = mf_fail(err, MF_E_NOMEM, "link: out of memory");
    else if (options->tls)
        st = mfi_tls_rules_create(a, link->what, options->ca, options->cert, options->key, options->protocol, &link->rules,
                                  err);
    if (st != MF_OK) {
        mfi_link_destroy(link);
        return st;
    }
    *out = link;
    return MF_OK;
}

static void close_socket(mfi_link *link)
{
    mfi_tls_destroy(link->tls);
    link->tls = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static void forget_addresses(mfi_link *link)
{
    if (link->addresses != NULL)
        freeaddrinfo(link->addresses);
    link->addresses = link->next = NULL;
}

void mfi_link_close(mfi_link *link)
{
    close_socket(link);
    forget_addresses(link);
    link->state = LINK_CLOSED;
}

void mfi_link_destroy(mfi_link *link)
{
    if (link == NULL)
        return;
    mfi_link_close(link);
    mfi_tls_rules_destroy(link->rules);
    release_text(link->allocator, link->what);
    release_text(link->allocator, link->host);
    release_text(link->allocator, link->socket);
    mf_delete(link->allocator, link);
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

static mf_status give_up(mfi_link *link, mf_status st)
{
    mfi_link_close(link);
    return st;
}

static mf_status system_failure(mfi_link *link, mf_error *err, const char *doing, int error)
{
    char text[128];
    const char *reason = strerror_r(error, text, sizeof text);
    return mf_fail(err, error == ENOMEM || error == ENOBUFS ? MF_E_NOMEM : MF_E_IO, "%s: %s: %s", link->what, doing, reason);
}

static mf_status connected(mfi_link *link, mf_error *err)
{
    forget_addresses(link);
    if (link->rules == NULL) {
        link->state = LINK_UP;
        return MF_OK;
    }
    mf_status st = mfi_tls_create(link->rules, link->what, link->host, link->fd, &link->tls, err);
    if (st != MF_OK)
        return give_up(link, st);
    link->state = LINK_HANDSHAKE;
    link->due = link->deadline;
    return mfi_link_step(link, err);
}

static int open_socket(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (address->sa_family != AF_UNIX) {
        int on = 1, idle = 30, interval = 10, probes = 3;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        /* A peer that is gone without a word is noticed after a minute, also while nothing is asked of it. */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    }
    /* EINTR: goes on in the background, as EINPROGRESS. */
    if (connect(fd, address, length) == 0 || errno == EINPROGRESS || errno == EINTR)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Each address gets its share of what is left, so that a first one that swallows everything does not cost all of it. */
static int64_t share(const mfi_link *link)
{
    if (link->deadline == INT64_MAX)
        return INT64_MAX;
    int64_t now = mfi_now_ns(link->clock), left = 1;
    for (const struct addrinfo *a = link->next; a != NULL; a = a->ai_next)
        left++;
    return now + (link->deadline > now ? (link->deadline - now) / left : 0);
}

/* Begin with the next address. The failure is the last one's, which the caller has put into err. */
static mf_status next_address(mfi_link *link, mf_status failure, mf_error *err)
{
    while (link->next != NULL) {
        const struct addrinfo *a = link->next;
        link->next = a->ai_next;
        link->tried++;
        close_socket(link);
        link->fd = open_socket(a->ai_addr, a->ai_addrlen);
        if (link->fd >= 0) {
            link->state = LINK_CONNECTING;
            link->due = share(link);
            return MF_E_AGAIN;
        }
        failure = system_failure(link, err, "connect", errno);
    }
    if (link->tried > 1 && err != NULL) {
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len, " (the last of %u addresses)", link->tried);
    }
    return give_up(link, failure);
}

static mf_status resolve(mfi_link *link, mf_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    const struct addrinfo literal = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    /* AI_ADDRCONFIG would refuse ::1 on a machine that has no other IPv6 address. */
    int rc = getaddrinfo(link->host, link->port, &literal, &link->addresses);
    if (rc == EAI_NONAME)
        rc = getaddrinfo(link->host, link->port, &hints, &link->addresses);
    if (rc == 0)
        return MF_OK;
    link->addresses = NULL;
    if (rc == EAI_SYSTEM)
        return system_failure(link, err, "resolve the name", errno);
    return mf_fail(err, rc == EAI_MEMORY ? MF_E_NOMEM : MF_E_IO, "%s: resolve the name: %s", link->what, gai_strerror(rc));
}

mf_status mfi_link_connect(mfi_link *link, int64_t deadline_ns, mf_error *err)
{
    mfi_link_close(link);
    link->deadline = link->due = deadline_ns;
    link->tried = 0;
    if (link->socket[0] != '\0') {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        memcpy(un.sun_path, link->socket, strlen(link->socket));
        link->fd = open_socket((const struct sockaddr *)&un, sizeof un);
        if (link->fd < 0)
            return give_up(link, system_failure(link, err, "connect", errno));
        link->state = LINK_CONNECTING;
        return mfi_link_step(link, err);
    }
    mf_status st = resolve(link, err);
    if (st != MF_OK)
        return give_up(link, st);
    link->next = link->addresses;
    return next_address(link, MF_E_IO, err);
}

static mf_status step_connecting(mfi_link *link, mf_error *err)
{
    struct pollfd ready = {.fd = link->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) <= 0) {
        if (mfi_now_ns(link->clock) < link->due)
            return MF_E_AGAIN;
        return next_address(link, mf_fail(err, MF_E_TIMEOUT, "%s: connect: no answer in time", link->what), err);
    }
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0)
        return next_address(link, system_failure(link, err, "connect", error), err);
    return connected(link, err);
}

static mf_status step_handshake(mfi_link *link, mf_error *err)
{
    mf_status st = mfi_tls_handshake(link->tls, err);
    if (st == MF_OK)
        link->state = LINK_UP;
    else if (st == MF_E_AGAIN && mfi_now_ns(link->clock) >= link->due)
        st = mf_fail(err, MF_E_TIMEOUT, mfi_tls_heard(link->tls) ?
                     "%s: tls: the handshake did not end in time" :
                     "%s: tls: no answer to the handshake in time; is this a port without TLS?", link->what);
    return st == MF_OK || st == MF_E_AGAIN ? st : give_up(link, st);
}

mf_status mfi_link_step(mfi_link *link, mf_error *err)
{
    switch (link->state) {
    case LINK_CONNECTING: return step_connecting(link, err);
    case LINK_HANDSHAKE:  return step_handshake(link, err);
    case LINK_UP:         return MF_OK;
    case LINK_CLOSED:     break;
    }
    return mf_fail(err, MF_E_STATE, "%s: not connected", link->what);
}

int64_t mfi_link_due(const mfi_link *link)
{
    return link->state == LINK_CONNECTING || link->state == LINK_HANDSHAKE ? link->due : INT64_MAX;
}

int mfi_link_fd(const mfi_link *link)
{
    return link->fd;
}

short mfi_link_events(const mfi_link *link, bool reading, bool writing)
{
    if (link->state == LINK_CONNECTING)
        return POLLOUT;
    short tls = link->tls != NULL ? mfi_tls_waits(link->tls) : 0;
    if (link->state == LINK_HANDSHAKE)
        return tls;
    return (short)((reading ? POLLIN : 0) | (writing ? POLLOUT : 0) | (reading || writing ? tls : 0));
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

mf_status mfi_link_read(mfi_link *link, void *at, size_t len, size_t *got, mf_error *err)
{
    if (link->state != LINK_UP)
        return mf_fail(err, MF_E_STATE, "%s: not connected", link->what);
    mf_status st = MF_E_AGAIN;
    if (link->tls != NULL) {
        st = mfi_tls_read(link->tls, at, len, got, err);
    } else {
        ssize_t n;
        while ((n = recv(link->fd, at, len, 0)) < 0 && errno == EINTR)
            ;
        *got = n > 0 ? (size_t)n : 0;
        if (n > 0)
            st = MF_OK;
        else if (n == 0)
            st = mf_fail(err, MF_E_CLOSED, "%s: the server closed the connection", link->what);
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            st = system_failure(link, err, "read", errno);
    }
    return st == MF_OK || st == MF_E_AGAIN ? st : give_up(link, st);
}

mf_status mfi_link_write(mfi_link *link, const void *at, size_t len, size_t *put, mf_error *err)
{
    if (link->state != LINK_UP)
        return mf_fail(err, MF_E_STATE, "%s: not connected", link->what);
    mf_status st = MF_E_AGAIN;
    if (link->tls != NULL) {
        st = mfi_tls_write(link->tls, at, len, put, err);
    } else {
        ssize_t n;
        while ((n = send(link->fd, at, len, MSG_NOSIGNAL)) < 0 && errno == EINTR)
            ;
        *put = n > 0 ? (size_t)n : 0;
        if (n >= 0)
            st = MF_OK;
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            st = system_failure(link, err, "write", errno);
    }
    return st == MF_OK || st == MF_E_AGAIN ? st : give_up(link, st);
}
