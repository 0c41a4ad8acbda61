/* redis/redis_impl.h: the client's inside. Which file does what:
 *
 *   client.c    create, submit, call, destroy: what other threads do
 *   io.c        the I/O thread: inbox, poll, timers
 *   conn.c      one connection: queue, in flight, opening, writing, what a drop does
 *   answers.c   what comes in;   interrupt.c  ending what waits in the server
 *   greeting.c  what a new connection says first, and what its answers mean
 *   request.c   building RESP;   script.c  scripts;   reply.c  parsing;   errors.c  what an error answer means
 */
#ifndef MFI_REDIS_IMPL_H
#define MFI_REDIS_IMPL_H

#include <pthread.h>

#include "atomics.h"
#include "redis_link.h"
#include "link.h"
#include "retry.h"

/* ---- answers (reply.c) -------------------------------------------------------------------------------------------- */

/* The answers to one request, with the memory that they lie in. */
typedef struct mfi_replies {
    mfi_redis_replies    public;     /* first: what users see */
    const mf_allocator  *allocator;
    mfi_redis_reply     *slots;      /* public.at */
    size_t               max, used;  /* bytes, over all blocks */
    struct block        *blocks;     /* the newest first; the last of them is kept for the next request */
    struct mfi_replies **home;       /* inside done: our pointer, emptied when it is kept, for it may be gone at once */
} mfi_replies;

/* NULL: no memory. Room for count answers, all nil. */
mfi_replies *mfi_replies_create(const mf_allocator *a, size_t count, size_t max);
/* The same for another request. false: no memory. */
bool mfi_replies_reset(mfi_replies *r, size_t count);

/* A connection's parser: hiredis' reader, which builds the answers in an mfi_replies. */
typedef struct mfi_parser {
    struct redisReader *reader;
    mfi_replies        *into;        /* of the answer at hand */
    mfi_redis_reply    *slot;        /* where it goes */
    bool                too_big;
} mfi_parser;

mf_status mfi_parser_init(mfi_parser *p);
void mfi_parser_fini(mfi_parser *p);
mf_status mfi_parser_feed(mfi_parser *p, const char *at, size_t len);
/* Give back what a very large answer has left behind. */
void mfi_parser_trim(mfi_parser *p);
/* Whether bytes are there that no answer has used. */
bool mfi_parser_has_bytes(const mfi_parser *p);
/* The next answer into slot. MF_E_AGAIN: bytes are missing, come back with the same slot. MF_E_MALFORMED, MF_E_TOO_BIG,
 * MF_E_NOMEM: the parser is of no use any more. */
mf_status mfi_parser_next(mfi_parser *p, mfi_replies *into, mfi_redis_reply *slot, mf_error *err);

/* errors.c: mfi_redis_error_status with another beginning than "redis". */
mf_status mfi_redis_explain(const char *what, const mfi_redis_reply *reply, mf_error *err);
/* The first error among the answers, and among their elements (EXEC). */
mf_status mfi_redis_explain_all(const char *what, const mfi_redis_replies *replies, mf_error *err);
/* Whether the answer is an error whose first word is this one. */
bool mfi_redis_is_error(const mfi_redis_reply *reply, const char *word);

/* ---- scripts (script.c) ------------------------------------------------------------------------------------------- */

struct mfi_redis_script {
    mfi_redis_script *next;          /* I */
    size_t            len;
    char              sha[41];
    char              source[];
};

/* ---- requests (request.c) ----------------------------------------------------------------------------------------- */

/* A script's call inside a request: what to send again after NOSCRIPT. */
typedef struct mfi_script_call {
    const mfi_redis_script *script;
    uint32_t                index;       /* of the command */
    bool                    missing;     /* answered NOSCRIPT */
    size_t                  at, len;     /* its bytes */
} mfi_script_call;

/* B while it is built: its builder · then O: the I/O thread */
struct mfi_redis_request {
    mfi_redis_request  *next;            /* in the inbox or a list */
    const mf_allocator *allocator;
    const char         *what;            /* the link's text, for errors */
    mfi_redis_done_fn  *done;
    void               *user;
    mf_duration         blocks;
    int64_t             deadline;
    bool                idempotent, blocking, internal;   /* internal: ours, not counted as outstanding */
    bool                failed;          /* no memory while it was built */

    bool                ghost;           /* was told that its time is over: the answer is thrown away */
    uint8_t             sends, reloads;
    uint32_t            answered;        /* answers of this sending so far */
    uint32_t            expected;        /* answers of this sending */
    uint64_t            starts_at;       /* position of its first byte in the connection's stream */
    const char         *wire;            /* this sending: bytes, or again */
    size_t              wire_len;
    mfi_replies        *replies;

    uint32_t            commands;
    char               *bytes;           /* inline_bytes, or from the allocator */
    size_t              len, capacity;
    char               *again;           /* scripts and their calls once more, after NOSCRIPT; from the allocator */
    size_t              again_len, again_capacity;
    mfi_script_call    *calls;
    size_t              call_count, call_capacity;
    char                inline_bytes[256];
};

/* Back to the state before the first sending. */
void mfi_request_rewind(mfi_redis_request *rq);
/* Make `again` of the calls that are missing their scripts, as the next sending. false: no memory. */
bool mfi_request_reload(mfi_redis_request *rq);

typedef struct mfi_request_list {
    mfi_redis_request *first, **end;
    size_t             count;
} mfi_request_list;

static inline void mfi_list_init(mfi_request_list *l)
{
    l->first = NULL;
    l->end = &l->first;
    l->count = 0;
}

static inline void mfi_list_push(mfi_request_list *l, mfi_redis_request *rq)
{
    rq->next = NULL;
    *l->end = rq;
    l->end = &rq->next;
    l->count++;
}

static inline void mfi_list_push_front(mfi_request_list *l, mfi_redis_request *rq)
{
    rq->next = l->first;
    l->first = rq;
    if (l->end == &l->first)
        l->end = &rq->next;
    l->count++;
}

static inline mfi_redis_request *mfi_list_pop(mfi_request_list *l)
{
    mfi_redis_request *rq = l->first;
    if (rq == NULL)
        return NULL;
    l->first = rq->next;
    if (l->first == NULL)
        l->end = &l->first;
    l->count--;
    rq->next = NULL;
    return rq;
}

/* All of `more` behind l, in order; more is empty then. */
static inline void mfi_list_append(mfi_request_list *l, mfi_request_list *more)
{
    if (more->first == NULL)
        return;
    *l->end = more->first;
    l->end = more->end;
    l->count += more->count;
    mfi_list_init(more);
}

/* ---- connections (conn.c, answers.c, interrupt.c, greeting.c) ----------------------------------------------------------------------------- */

#define MFI_REDIS_OUT   (64 * 1024)     /* one write, one read */
#define MFI_REDIS_WINDOW 4096           /* requests in flight: what is in doubt after a drop */
#define MFI_REDIS_SENDS  5              /* a request that brings every connection down is given up */

typedef enum mfi_conn_state {
    CONN_IDLE,          /* nothing to do: the blocking one, before its first request */
    CONN_WAITING,       /* until retry_at */
    CONN_OPENING,
    CONN_GREETING,
    CONN_UP
} mfi_conn_state;

/* O  all of it: the I/O thread alone */
typedef struct mfi_conn {
    mfi_redis         *redis;
    bool               blocking;
    mfi_link          *link;
    mfi_conn_state     state;
    mfi_retry          retry;
    int64_t            retry_at;         /* WAITING */
    int64_t            open_until;       /* OPENING, GREETING */
    int64_t            up_since;
    mf_error           why;              /* the last failure */

    mfi_request_list   queue;            /* not sent */
    mfi_request_list   flight;           /* sent, at least in part, or being sent */
    mfi_redis_request *cursor;           /* the last in flight, while some of it is not in `out` yet */
    size_t             cursor_at;
    char              *out;              /* MFI_REDIS_OUT bytes */
    size_t             out_at, out_len;
    uint64_t           filled, written;  /* positions in the stream */
    mfi_parser         parser;
    mfi_redis_reply    scrap;            /* where an answer goes that nobody wants */
    bool               parsing;          /* parser is initialised */
    bool               heard;            /* anything on this connection */
    int64_t            heard_at;         /* or since when something is in flight */
    int64_t            next_deadline;    /* no request's is before it */
    bool               renew;            /* READONLY was seen: send nothing more, connect again */

    int64_t            client_id;        /* blocking: for CLIENT UNBLOCK; 0: unknown */
    int64_t            cut_at;           /* blocking, interrupted: close it then; INT64_MAX */
    int64_t            unblock_at;       /* … and tell the server then */
    uint64_t           number;           /* of the connection, so that a late UNBLOCK means the right one */
} mfi_conn;

mf_status mfi_conn_init(mfi_conn *c, mfi_redis *redis, bool blocking, mf_error *err);
void mfi_conn_fini(mfi_conn *c);
/* Put a request behind the others. */
void mfi_conn_add(mfi_conn *c, mfi_redis_request *rq);
/* Do what is due: connect, expire, write. */
void mfi_conn_drive(mfi_conn *c, int64_t now);
/* poll says something about its fd. */
void mfi_conn_ready(mfi_conn *c, int64_t now);
/* What to poll for; false: nothing. */
bool mfi_conn_wants(const mfi_conn *c, int *fd, short *events);
/* When mfi_conn_drive must be called; INT64_MAX: never. */
int64_t mfi_conn_due(const mfi_conn *c);
/* The connection is of no use any more. */
void mfi_conn_drop(mfi_conn *c, int64_t now, mf_status st, const mf_error *err);
/* End these requests, which are in none of the connection's lists any more. */
void mfi_conn_end(mfi_conn *c, mfi_request_list *list, mf_status st, const mf_error *err);
/* End every request with st. */
void mfi_conn_end_all(mfi_conn *c, mf_status st, const mf_error *err);
/* Read what is there. false: the connection was dropped. */
bool mfi_conn_receive(mfi_conn *c, int64_t now);
/* End what waits in the server. */
void mfi_conn_interrupt(mfi_conn *c, int64_t now);
/* Go on with that. false: the connection was dropped. */
bool mfi_conn_interrupting(mfi_conn *c, int64_t now);
/* Queued or in flight, and somebody waits for it. */
bool mfi_conn_busy(const mfi_conn *c);

/* The first request on a connection. NULL: no memory, or err (the password's file). */
mfi_redis_request *mfi_greeting_create(mfi_conn *c, mf_error *err);
/* What its answers say: MF_OK, or why this connection is of no use. */
mf_status mfi_greeting_read(mfi_conn *c, const mfi_redis_replies *replies, mf_error *err);

/* ---- the link ----------------------------------------------------------------------------------------------------- */

/* I set at create · O I/O thread · A atomic · L under lock */
struct mfi_redis {
    const mf_allocator   *allocator;         /* I */
    const mf_clock       *clock;             /* I */
    const mfi_random     *random;            /* I */
    mfi_redis_address    *address;           /* I  holds the secret */
    char                  text[400];         /* I */
    char                  name[64];          /* I */
    mf_duration           connect_timeout, answer_timeout, request_timeout;    /* I */
    size_t                outstanding_max, reply_max;                          /* I */
    mfi_redis_observe_fn *observe;           /* I */
    mfi_redis_tick_fn    *tick;              /* I */
    void                 *user;              /* I */
    int                   wake_fd;           /* I  eventfd: rung when the thread sleeps */

    MFI_APART(apart_inbox);
    _Atomic(mfi_redis_request *) inbox;      /* A  the newest first */
    _Atomic uint32_t      asleep;            /* A  the thread is, or is about to be, in poll */
    _Atomic uint32_t      poked, interrupted, closing;      /* A  flags for the thread */
    MFI_APART(apart_count);
    _Atomic size_t        outstanding;       /* A */
    _Atomic(mfi_redis_script *) scripts;     /* A  pushed under the lock, never removed */

    pthread_t             thread;
    mfi_conn              main, block;       /* O */
    int64_t               tick_at;           /* O */
    char                 *in;                /* O  MFI_REDIS_OUT bytes */
    mfi_replies          *spare;             /* O  for the next request, NULL */
    mfi_replies          *trash;             /* O  where ghosts are answered, NULL */
    mf_duration           drain;             /* I  once closing is set */

    pthread_mutex_t       lock;
    pthread_cond_t        changed;
    bool                  up, refused;       /* L  (read by the thread without it: it alone writes them) */
    mf_error              why;               /* L  while not up; afterwards why it was not */
    int64_t               since_ns;          /* L  when `up` changed last; 0: never */

    struct {
        _Atomic uint64_t connects, drops, requests, commands, writes, reads, bytes_out, bytes_in, resent;
    } stats;                                 /* A  written by the thread alone */
};

/* io.c */
void *mfi_redis_io(void *redis);
/* Have the thread look at its inbox and flags, after they were written. */
void mfi_redis_ring(mfi_redis *redis);
/* Is this the I/O thread of redis? */
bool mfi_redis_here(const mfi_redis *redis);
/* Call done, free the request. replies may be NULL. */
void mfi_redis_finish(mfi_redis *redis, mfi_redis_request *rq, mf_status st, const mf_error *err);
/* A connection came up, or failed: tell whoever waits for that. */
void mfi_redis_changed(mfi_redis *redis);

#define MFI_COUNT(redis, what, n)                                                                                     \
    atomic_store_explicit(&(redis)->stats.what,                                                                       \
                          atomic_load_explicit(&(redis)->stats.what, memory_order_relaxed) + (n), memory_order_relaxed)

#endif
