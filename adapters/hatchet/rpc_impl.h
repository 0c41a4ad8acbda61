/* hatchet/rpc_impl.h: the inside of the gRPC client. Which file does what:
 *
 *   rpc.c         create, begin, send, wait, destroy: what other threads do
 *   rpc_io.c      the I/O thread: inbox, poll, timers, which connection takes a call
 *   rpc_conn.c    one connection: link, HTTP/2 session, PING, GOAWAY
 *   rpc_call.c    one call: its headers and messages, and what its end means
 *   rpc_status.c  words and numbers of gRPC and HTTP
 *   rpc_frame.c   messages in a stream of bytes
 */
#ifndef MFI_RPC_IMPL_H
#define MFI_RPC_IMPL_H

#include <nghttp2/nghttp2.h>
#include <pthread.h>

#include "atomics.h"
#include "fork.h"
#include "link.h"
#include "refcount.h"
#include "retry.h"
#include "rpc.h"
#include "rpc_frame.h"

#define RPC_BUFFER (64 * 1024)              /* one write, one read */
#define RPC_STREAM_WINDOW (4 << 20)         /* what the server may send ahead on one stream, */
#define RPC_LINK_WINDOW (16 << 20)          /* and on all of them: a slow moment here must not stall it */
#define RPC_SENDS 5                         /* a call that every connection refuses is given up */
#define RPC_OLD_MAX 4                       /* connections that finish after a GOAWAY */

typedef struct rpc_conn rpc_conn;

/* A message on its way out, its head in front. */
typedef struct rpc_out {
    struct rpc_out *next;
    size_t          len, size;              /* of bytes; of the whole struct */
    char            bytes[];
} rpc_out;

/* What another thread asks of the I/O thread. A call's first one is inside it. */
typedef enum rpc_ask_kind { RPC_BEGIN, RPC_SEND, RPC_SEND_END, RPC_CANCEL } rpc_ask_kind;
typedef struct rpc_ask {
    struct rpc_ask *next;
    mfi_rpc_call   *call;                   /* one of its references is ours */
    rpc_ask_kind    kind;
    rpc_out        *message;                /* SEND */
} rpc_ask;

/* What the server said of a call. */
typedef struct rpc_answer {
    int      http;                          /* :status; 0: none yet */
    bool     is_grpc;                       /* by its content-type */
    char     content_type[64];
    int      grpc;                          /* grpc-status; -1: none */
    char     message[MF_ERROR_TEXT_MAX];    /* grpc-message, decoded */
} rpc_answer;

/* I set at begin · O I/O thread · A atomic */
struct mfi_rpc_call {
    mfi_refcount        holders;            /* A  the I/O thread until it ended and its stream is closed; a handle; each ask */
    mfi_rpc            *rpc;                /* I  gone before the handle is, maybe: not touched after `over` */
    const mf_allocator *allocator;          /* I */
    const char         *method;             /* I */
    mfi_rpc_message_fn *message;            /* I */
    mfi_rpc_ended_fn   *ended;              /* I */
    void               *user;               /* I */
    int64_t             deadline;           /* I until the I/O thread has it, then O */
    mf_duration         grace;              /* I  by which the server's deadline comes before it */
    size_t              send_max;           /* I */
    bool                open;               /* I */
    _Atomic bool        over;               /* A  told of its end, or about to be: nothing more is asked for */
    rpc_ask             begin;

    mfi_rpc_call       *next, *prev;        /* O  in the queue, or among a connection's */
    rpc_conn           *conn;               /* O  NULL: queued */
    int32_t             stream;             /* O */
    uint8_t             sends;              /* O */
    bool                sent;               /* O  its headers may have reached the server */
    bool                told;               /* O  `ended` was called; the stream is still to be closed */
    bool                complete;           /* O  no more messages follow those in first..last */
    rpc_out            *first, **last;      /* O  kept until it is known that the server saw the call, at least */
    rpc_out            *at;                 /* O  the message being written, and */
    size_t              at_byte;            /* O  how much of it was */
    mfi_rpc_framer      framer;             /* O */
    rpc_answer          answer;             /* O */
    mf_error            failure;            /* O  found by us: why the stream was reset; status MF_OK: none */
    mfi_rpc_code        failure_code;       /* O */
};

typedef struct rpc_list {
    mfi_rpc_call *first, *last;
    size_t        count;
} rpc_list;

typedef enum rpc_state {
    RPC_OPENING,        /* the link connects */
    RPC_GREETING,       /* HTTP/2's preface is out, the server's SETTINGS are to come */
    RPC_UP,
    RPC_LEAVING,        /* after a GOAWAY, or out of stream numbers: finishes what it has */
    RPC_DEAD            /* to be freed by the loop: not from inside nghttp2 */
} rpc_state;

/* O  all of it */
struct rpc_conn {
    mfi_rpc         *rpc;
    rpc_conn        *next;                  /* among the old ones */
    mfi_link        *link;
    nghttp2_session *session;
    rpc_state        state;
    int64_t          open_until, up_since;
    int64_t          heard_at;              /* the last byte */
    int64_t          pinged_at;             /* a PING is under way since; INT64_MAX: none */
    bool             heard, settled;        /* any byte; the server's SETTINGS */
    unsigned char    head[9];               /* the first bytes: what speaks there? */
    size_t           head_len;
    rpc_list         calls;
    char            *out;                   /* RPC_BUFFER bytes */
    size_t           out_at, out_len;
    const uint8_t   *rest;                  /* of a frame that did not fit: nghttp2's, until it is asked for the next */
    size_t           rest_len;
};

/* I set at create · O I/O thread · A atomic · L under lock */
struct mfi_rpc {
    const mf_allocator *allocator;          /* I */
    const mf_clock     *clock;              /* I */
    const mfi_random   *random;             /* I */
    char               *what, *host, *ca, *cert, *key, *authority, *authorization;      /* I; authorization O: it holds the token */
    uint16_t            port;               /* I */
    bool                tls;                /* I */
    mf_duration         connect_timeout, call_timeout, ping_timeout;        /* I */
    mf_duration         ping_every;         /* O  longer after the server found it too often */
    size_t              send_max, receive_max, calls_max;                   /* I */
    mfi_rpc_observe_fn *observe;            /* I */
    mfi_rpc_tick_fn    *tick;               /* I */
    void               *user;               /* I */
    int                 wake_fd;            /* I  eventfd: rung when the thread sleeps */
    uint32_t            fork_generation;    /* I */

    MFI_APART(apart_inbox);
    _Atomic(rpc_ask *)  inbox;              /* A  the newest first */
    _Atomic uint32_t    asleep;             /* A  the thread is, or is about to be, in poll */
    _Atomic uint32_t    poked, closing;     /* A */
    _Atomic uint32_t    hurried;            /* A  what waits is to be looked through for deadlines that are too late now */
    _Atomic int64_t     within_max;         /* A  ns; INT64_MAX: none is */
    MFI_APART(apart_count);
    _Atomic size_t      calls;              /* A  not ended */

    pthread_t           thread;
    mf_duration         drain;              /* I  once closing is set */
    rpc_conn           *conn;               /* O  the one that takes new calls; NULL: waits until retry_at */
    rpc_conn           *old;                /* O  leaving */
    rpc_list            queue;              /* O  calls without a connection */
    mfi_retry           retry;              /* O */
    int64_t             retry_at;           /* O */
    int64_t             next_deadline;      /* O  no call's is before it */
    int64_t             tick_at;            /* O */
    char               *in;                 /* O  RPC_BUFFER bytes */
    nghttp2_session_callbacks *callbacks;   /* I */
    nghttp2_option     *http;               /* I */

    pthread_mutex_t     lock;
    pthread_cond_t      changed;
    bool                up, refused;        /* L  (read by the thread without it: it alone writes them) */
    mf_error            why;                /* L  while not up */

    struct {
        _Atomic uint64_t connects, drops, goaways, calls, resent, writes, reads, bytes_out, bytes_in, pings;
    } stats;                                /* A  written by the thread alone */
};

#define RPC_COUNT(rpc, counter, n)                                                                                    \
    atomic_store_explicit(&(rpc)->stats.counter,                                                                      \
                          atomic_load_explicit(&(rpc)->stats.counter, memory_order_relaxed) + (uint64_t)(n),          \
                          memory_order_relaxed)

static inline void rpc_list_push(rpc_list *l, mfi_rpc_call *c)
{
    c->next = NULL;
    c->prev = l->last;
    if (l->last != NULL)
        l->last->next = c;
    else
        l->first = c;
    l->last = c;
    l->count++;
}

static inline void rpc_list_push_front(rpc_list *l, mfi_rpc_call *c)
{
    c->prev = NULL;
    c->next = l->first;
    if (l->first != NULL)
        l->first->prev = c;
    else
        l->last = c;
    l->first = c;
    l->count++;
}

static inline void rpc_list_remove(rpc_list *l, mfi_rpc_call *c)
{
    *(c->prev != NULL ? &c->prev->next : &l->first) = c->next;
    *(c->next != NULL ? &c->next->prev : &l->last) = c->prev;
    c->next = c->prev = NULL;
    l->count--;
}

/* rpc_io.c */
void *rpc_io(void *rpc);
bool  rpc_here(const mfi_rpc *rpc);
void  rpc_ring(mfi_rpc *rpc);
/* The link came up, or an attempt failed: tell whoever waits for that. NULL: up. */
void  rpc_changed(mfi_rpc *rpc, const mf_error *why);

/* rpc_conn.c */
rpc_conn *rpc_conn_create(mfi_rpc *rpc, mf_error *err);
void      rpc_conn_destroy(rpc_conn *c);        /* has no calls any more */
/* Go on: connect, time, write what there is to write. */
void      rpc_conn_drive(rpc_conn *c, int64_t now);
void      rpc_conn_read(rpc_conn *c, int64_t now);
bool      rpc_conn_wants(rpc_conn *c, int *fd, short *events);
int64_t   rpc_conn_due(const rpc_conn *c);
bool      rpc_conn_has_room(const rpc_conn *c);
/* It is of no use any more: its calls end, or go back to the queue. */
void      rpc_conn_drop(rpc_conn *c, int64_t now, mf_status st, const mf_error *err);
mf_status rpc_link_create(mfi_rpc *rpc, mfi_link **out, mf_error *err);
mf_status rpc_callbacks_make(mfi_rpc *rpc);

/* rpc_call.c */
mfi_rpc_call *rpc_call_create(mfi_rpc *rpc, const mfi_rpc_spec *spec, mf_error *err);
rpc_out      *rpc_out_create(const mf_allocator *a, mf_str message);
void          rpc_out_free(const mf_allocator *a, rpc_out *out);
/* On a connection that is up; false: it cannot be begun there, and stays the caller's. */
bool          rpc_call_start(mfi_rpc_call *call, rpc_conn *c, int64_t now);
void          rpc_call_add(mfi_rpc_call *call, rpc_out *message, bool complete);
/* Call `ended`, once. It stays where it is. */
void          rpc_call_tell(mfi_rpc_call *call, mfi_rpc_code code, mf_status st, bool unseen, const mf_error *err);
/* Found by us: tell, and reset the stream if there is one. */
void          rpc_call_fail(mfi_rpc_call *call, mfi_rpc_code code, mf_status st, const char *fmt, ...) MF_PRINTF(4, 5);
/* Not on any list any more: the I/O thread's reference goes. */
void          rpc_call_forget(mfi_rpc_call *call);
/* Back to the queue's front, as if it had never been sent. false: it has been too often. */
bool          rpc_call_rewind(mfi_rpc_call *call);
/* The callbacks of nghttp2 that concern calls. */
int  rpc_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value,
                   size_t value_len, uint8_t flags, void *user);
int  rpc_on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *at, size_t len, void *user);
int  rpc_on_close(nghttp2_session *s, int32_t stream, uint32_t error, void *user);
int  rpc_on_sent(nghttp2_session *s, const nghttp2_frame *f, void *user);

/* rpc_status.c */
mf_status    rpc_status_of(mfi_rpc_code code);
mfi_rpc_code rpc_code_of_http(int status);
mfi_rpc_code rpc_code_of_reset(uint32_t error);
/* "%41 b" to "A b", cut at room - 1; control characters and what is no UTF-8 as dots. */
void         rpc_percent_decode(mf_str text, char *out, size_t room);
/* "123m": the time left, in at most eight digits. */
void         rpc_timeout_write(mf_duration left, char out[16]);
/* What answers there instead of HTTP/2, from its first bytes; NULL: it may be HTTP/2. */
const char  *rpc_first_words(const unsigned char *at, size_t len, bool tls);

#endif
