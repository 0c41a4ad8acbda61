/* link/link.h: one connection to a server, as a stream of bytes: TCP, a unix socket, or TLS over TCP.
 *
 * The one transport under every bridge. It has no thread and never waits in a system call, with one exception: resolving a
 * host's name, which takes as long as the system's resolver does. Its driver polls, with deadlines:
 *
 *     mfi_link_connect(link, deadline, err)                        from here on the link has an fd
 *     poll(fd, mfi_link_events(link, …), until mfi_link_due(link))
 *     mfi_link_step(link, err)                                     MF_E_AGAIN: poll again; MF_OK: it is up
 *     mfi_link_read, mfi_link_write                                MF_E_AGAIN: poll again
 *
 * Threads   one at a time, and none of it is shared: a link belongs to whoever drives it.
 * Errors    each begins with `what`, and none holds anything that was sent or read, or what a key file says. After any status
 *           but MF_OK and MF_E_AGAIN the connection is closed.
 * Refused   MF_E_INVALID stands for what another attempt would not change: an authority that is not trusted, a certificate
 *           that is out of date or for another host, a port that does not speak TLS. Everything else (MF_E_IO, MF_E_TIMEOUT,
 *           MF_E_CLOSED, MF_E_NOMEM) may be tried again.
 */
#ifndef MFI_LINK_H
#define MFI_LINK_H

#include <mageflow/base.h>

typedef struct mfi_link mfi_link;

/** Everything is copied. Texts may be NULL or "" where they are not needed. */
typedef struct mfi_link_options {
    const mf_allocator *allocator;    /* NULL: the default one; OpenSSL uses malloc */
    const mf_clock     *clock;        /* NULL: the system's */
    const char         *what;         /* "redis at db:6379": how errors call the other side */
    const char         *host;         /* name or address; every address it resolves to is tried */
    uint16_t            port;
    const char         *socket;       /* path of a unix socket, instead of host and port */
    bool                tls;          /* the server's certificate must be valid, and for `host` */
    const char         *ca;           /* PEM file of trusted authorities; else the system's */
    const char         *cert, *key;   /* PEM files of our own certificate and its key; both or none */
    const char         *protocol;     /* ALPN that the server must agree to, "h2"; else none is asked for */
} mfi_link_options;

/** Reads the files. MF_E_INVALID (a file's contents, or options that contradict), MF_E_NOT_FOUND and MF_E_IO (a file),
 * MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_link_create(const mfi_link_options *options, mfi_link **out, mf_error *err);
/** Closes. NULL is fine. */
void mfi_link_destroy(mfi_link *link);

/** Begin to connect, from scratch: resolve, then try one address after the other, each with its share of the time that is
 * left. MF_OK (a unix socket may be up at once), MF_E_AGAIN: to be continued by mfi_link_step. deadline_ns is the clock's. */
MF_NODISCARD mf_status mfi_link_connect(mfi_link *link, int64_t deadline_ns, mf_error *err);
/** Go on, after poll or at mfi_link_due. MF_OK: up, TLS and all. MF_E_AGAIN: not yet. MF_E_TIMEOUT: the deadline. */
MF_NODISCARD mf_status mfi_link_step(mfi_link *link, mf_error *err);
/** When mfi_link_step must be called if nothing comes; INT64_MAX once the link is up. */
int64_t mfi_link_due(const mfi_link *link);

/** -1 while not connected; another one for each address tried. */
int mfi_link_fd(const mfi_link *link);
/** What to poll for: for whatever a step needs while connecting; else for what TLS or the caller waits for. */
short mfi_link_events(const mfi_link *link, bool reading, bool writing);

/** Read what is there. MF_OK: *got > 0 bytes, and fewer than len means that nothing more is there at the moment. MF_E_AGAIN:
 * nothing. MF_E_CLOSED: the other side closed in good order. MF_E_IO. */
MF_NODISCARD mf_status mfi_link_read(mfi_link *link, void *at, size_t len, size_t *got, mf_error *err);
/** Write what fits. MF_OK: *put > 0. MF_E_AGAIN: nothing fits. MF_E_IO. Raises no SIGPIPE. */
MF_NODISCARD mf_status mfi_link_write(mfi_link *link, const void *at, size_t len, size_t *put, mf_error *err);

/** Close now; may be connected again. */
void mfi_link_close(mfi_link *link);

#endif
