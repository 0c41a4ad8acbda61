/* hatchet/rpc.h: gRPC over HTTP/2 to one server: calls go out, messages and one end come back as callbacks.
 *
 *     mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = "/Dispatcher/Heartbeat", .request = bytes, .within = mf_seconds(5),
 *                                        .ended = ended, .user = me}, NULL, &err);
 *
 * Threads   one I/O thread per mfi_rpc owns its sockets. Every function may be called from any thread, also from a
 *           callback, unless it says otherwise. Callbacks run on the I/O thread with no lock held, one at a time: they must
 *           not block and must not call mfi_rpc_unary, _wait_up or _destroy. What they begin goes out in the next write,
 *           together.
 * Order     messages of one call stay in order; calls do not wait for each other.
 * Drops     a call that the server has not seen (not sent yet, refused, behind its GOAWAY) waits for the next connection.
 *           One that was sent ends with UNAVAILABLE and a text that says that nobody knows whether it was done. The link
 *           reconnects for ever, with backoff and jitter. After a GOAWAY the new connection takes what is new, while the
 *           old one finishes what runs on it.
 * Bounds    messages in each direction, calls that are not ended, a time for each call that does not ask for ever.
 * Fork      a child has none of this: what it asks for is refused with MF_E_FORKED, or is nothing, and the parent's connection
 *           never hears of it. Destroying leaks on purpose there.
 * Never     the token in an error or a log line. Compressed messages: none is sent, none is asked for, one that comes ends
 *           its call.
 */
#ifndef MFI_RPC_H
#define MFI_RPC_H

#include <mageflow/base.h>

#include "random.h"

typedef struct mfi_rpc mfi_rpc;
typedef struct mfi_rpc_call mfi_rpc_call;

/** How a call ended, as gRPC numbers it. */
typedef enum mfi_rpc_code {
    MFI_RPC_OK = 0, MFI_RPC_CANCELLED = 1, MFI_RPC_UNKNOWN = 2, MFI_RPC_INVALID_ARGUMENT = 3, MFI_RPC_DEADLINE_EXCEEDED = 4,
    MFI_RPC_NOT_FOUND = 5, MFI_RPC_ALREADY_EXISTS = 6, MFI_RPC_PERMISSION_DENIED = 7, MFI_RPC_RESOURCE_EXHAUSTED = 8,
    MFI_RPC_FAILED_PRECONDITION = 9, MFI_RPC_ABORTED = 10, MFI_RPC_OUT_OF_RANGE = 11, MFI_RPC_UNIMPLEMENTED = 12,
    MFI_RPC_INTERNAL = 13, MFI_RPC_UNAVAILABLE = 14, MFI_RPC_DATA_LOSS = 15, MFI_RPC_UNAUTHENTICATED = 16
} mfi_rpc_code;

/** "NOT_FOUND"; for a number that is none of them, "code 99" is said by the error's text and this is "UNKNOWN". */
const char *mfi_rpc_code_name(mfi_rpc_code code);

/** status is MF_OK exactly when code is; else
 *
 *   MF_E_CANCELED     CANCELLED                   MF_E_TIMEOUT      DEADLINE_EXCEEDED
 *   MF_E_NOT_FOUND    NOT_FOUND                   MF_E_EXISTS       ALREADY_EXISTS
 *   MF_E_STATE        FAILED_PRECONDITION         MF_E_CONFLICT     ABORTED
 *   MF_E_UNSUPPORTED  UNIMPLEMENTED               MF_E_FULL         RESOURCE_EXHAUSTED
 *   MF_E_TOO_BIG      a message above its bound   MF_E_MALFORMED    DATA_LOSS, and what is no gRPC
 *   MF_E_INVALID      INVALID_ARGUMENT, OUT_OF_RANGE, PERMISSION_DENIED, UNAUTHENTICATED, and what refuses every connection
 *   MF_E_IO           UNAVAILABLE, UNKNOWN, INTERNAL          MF_E_CLOSED       the link was destroyed     MF_E_NOMEM
 *
 * The text begins with the server and the method, and holds what the server said. */
typedef struct mfi_rpc_end {
    mfi_rpc_code    code;
    mf_status       status;
    bool            unseen;     /* the server cannot have begun with it */
    const mf_error *err;        /* NULL with MF_OK; borrowed until the return */
} mfi_rpc_end;

/** A message of the server's, borrowed until the return. */
typedef void mfi_rpc_message_fn(void *user, mf_str message);
/** Once for each call that began, after its last message. */
typedef void mfi_rpc_ended_fn(void *user, const mfi_rpc_end *end);

typedef struct mfi_rpc_spec {
    const char         *method;         /* "/Service/Method"; must outlive the call: a literal */
    mf_str              request;        /* the first message, copied */
    bool                open;           /* more may follow by mfi_rpc_send, until mfi_rpc_send_end; else request is the only one */
    bool                bare;           /* with open: there is no first message yet */
    mf_duration         within;         /* from here to the end; 0: the link's call_timeout; MF_FOREVER */
    mf_duration         grace;          /* the server is told to end it so much earlier: what it said until then arrives; 0: not */
    mfi_rpc_message_fn *message;        /* NULL: messages are passed over */
    mfi_rpc_ended_fn   *ended;          /* NULL: nobody waits for it */
    void               *user;
} mfi_rpc_spec;

/** Begin a call: unary, or a stream in either direction. spec is borrowed. out NULL: no handle is wanted; else the caller's, for
 * mfi_rpc_call_unref. Neither blocks nor waits for the connection.
 * MF_OK: `ended` will be called once. MF_E_TOO_BIG, MF_E_FULL, MF_E_CLOSED, MF_E_NOMEM, MF_E_FORKED: it will not, and nothing was
 * sent. */
MF_NODISCARD mf_status mfi_rpc_begin(mfi_rpc *rpc, const mfi_rpc_spec *spec, mfi_rpc_call **out, mf_error *err);
/** Give the handle back; the call goes on. NULL is fine. */
void mfi_rpc_call_unref(mfi_rpc_call *call);
/** One more message of an open call, copied. After its end it is dropped: MF_OK. MF_E_TOO_BIG, MF_E_CLOSED, MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_rpc_send(mfi_rpc_call *call, mf_str message);
/** No more messages follow. */
void mfi_rpc_send_end(mfi_rpc_call *call);
/** End it, soon, with CANCELLED; no message is told of after `ended`, which comes on the I/O thread as always. */
void mfi_rpc_cancel(mfi_rpc_call *call);

/** One request, one answer, and waiting for it. *reply is the caller's: mfi_rpc_bytes_free; NULL: not wanted. *code (NULL: not
 * wanted) is written whatever happens. Not on the I/O thread: MF_E_STATE. */
typedef struct mfi_rpc_bytes {
    const mf_allocator *allocator;
    char               *at;
    size_t              len;
} mfi_rpc_bytes;
MF_NODISCARD mf_status mfi_rpc_unary(mfi_rpc *rpc, const char *method, mf_str request, mf_duration within, mfi_rpc_bytes *reply,
                                     mfi_rpc_code *code, mf_error *err);
void mfi_rpc_bytes_free(mfi_rpc_bytes *bytes);

/* ---- the link --------------------------------------------------------------------------------------------------- */

/** The link is up, or why it is not. On the I/O thread, maybe before mfi_rpc_create has returned; at each change, and at each
 * failed attempt whose reason differs from the last one's. */
typedef void mfi_rpc_observe_fn(void *user, bool up, const mf_error *why);
/** A timer on the I/O thread: called once at the beginning (maybe before mfi_rpc_create has returned), when the time it asked for
 * has come, and after mfi_rpc_poke. Returns when it wants to be called next (the clock's monotonic ns; INT64_MAX: when poked). */
typedef int64_t mfi_rpc_tick_fn(void *user, int64_t now_ns);

/** Texts and paths are copied, and may be NULL where they are not needed; 0 means the default everywhere. */
typedef struct mfi_rpc_options {
    const mf_allocator *allocator;          /* NULL: the default one; nghttp2 and OpenSSL use malloc */
    const mf_clock     *clock;              /* NULL: the system's. Waits in poll follow the system's */
    const mfi_random   *random;             /* NULL: the kernel's; jitter alone */
    const char         *what;               /* "hatchet at host:port", how errors call the server */
    const char         *host;
    uint16_t            port;
    bool                tls;
    const char         *ca, *cert, *key;    /* PEM files */
    const char         *server_name;        /* :authority, where it is not host:port */
    const char         *token;              /* sent as "authorization: bearer TOKEN" with each call */
    mf_duration         connect_timeout;    /* for one attempt: every address, TLS, the server's SETTINGS; 5 s */
    mf_duration         call_timeout;       /* 30 s */
    mf_duration         ping_every;         /* without a byte from the server; 10 s */
    mf_duration         ping_timeout;       /* and without an answer then: the connection is dead; 10 s */
    size_t              send_max;           /* bytes of a message; 4 MiB */
    size_t              receive_max;        /* 4 MiB */
    size_t              calls_max;          /* that have not ended; 65536 */
    mfi_rpc_observe_fn *observe;
    mfi_rpc_tick_fn    *tick;
    void               *user;               /* for both */
} mfi_rpc_options;

/** Start the I/O thread, which begins to connect. Returns at once: an unreachable server is no error here, unlike a file that
 * cannot be read, or holds nothing of use (MF_E_INVALID, MF_E_NOT_FOUND, MF_E_IO, MF_E_NOMEM). */
MF_NODISCARD mf_status mfi_rpc_create(const mfi_rpc_options *options, mfi_rpc **out, mf_error *err);
/** Take nothing more, give unary calls under way up to `drain` to end (0: nothing), end the rest with MF_E_CLOSED, join the
 * thread, free everything but handles that somebody still holds. After it no callback runs. NULL is fine. Not on the I/O
 * thread. */
void mfi_rpc_destroy(mfi_rpc *rpc, mf_duration drain);
/** Wait until the link is up. MF_E_TIMEOUT with the reason of the last attempt; at once with MF_E_INVALID or MF_E_UNSUPPORTED for
 * what refuses every connection: a certificate, a port that speaks something else. Not on the I/O thread. */
MF_NODISCARD mf_status mfi_rpc_wait_up(mfi_rpc *rpc, mf_duration timeout, mf_error *err);
/** From now on no call that has a deadline waits longer than `within`, and those that wait already no longer than that from here: for
 * who is about to close, and may have to do it while the server is away. */
void mfi_rpc_hurry(mfi_rpc *rpc, mf_duration within);
/** This process is a child of the one that made it. */
bool mfi_rpc_is_forked(const mfi_rpc *rpc);
/** Have tick called soon. Any number of pokes before it runs are one. */
void mfi_rpc_poke(mfi_rpc *rpc);
/** Another token from the next call on, copied. Only in a callback or in tick. False: it is the one there was, or it is none
 * (see options.token), or there is no memory. */
bool mfi_rpc_token_set(mfi_rpc *rpc, const char *token);
/** As options.what; lives as long as rpc. */
const char *mfi_rpc_text(const mfi_rpc *rpc);

typedef struct mfi_rpc_stats {
    uint64_t connects, drops, goaways;      /* connections that came up, were lost after that, were given up in good order */
    uint64_t calls, resent;                 /* calls that ended; and were begun again, unseen, on another connection */
    uint64_t writes, reads, bytes_out, bytes_in;
    uint64_t pings;
} mfi_rpc_stats;
/** Counters since the creation; each is exact, together they are a moment's blur. */
void mfi_rpc_stats_read(const mfi_rpc *rpc, mfi_rpc_stats *out);

#endif
