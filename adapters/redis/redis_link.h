/* redis/redis_link.h: a Redis server, for the adapters: commands go out in large writes, answers come back as callbacks.
 *
 *     mfi_redis_request *rq = mfi_redis_request_create(redis);
 *     mfi_redis_add(rq, MF_STR_LIT("SET"), key, value);
 *     mfi_redis_add(rq, MF_STR_LIT("XACK"), stream, group, id);
 *     st = mfi_redis_submit(redis, rq, MFI_REDIS_HOW(.within = mf_seconds(5)), answered, user);
 *
 * Threads   one I/O thread per mfi_redis owns its sockets. Every function may be called from any thread, also from a
 *           callback, unless it says otherwise. Callbacks (done, observe, tick) run on the I/O thread with no lock held, one
 *           at a time: they must not block and must not call mfi_redis_call, _wait_up or _destroy. What they submit goes
 *           out in the next write, together.
 * Order     requests of one thread are sent, and answered, in the order of their submits. The commands of one request
 *           stand together on the wire; nothing comes between them.
 * Drops     a request that was not sent yet waits for the next connection. One that was sent and not answered is sent
 *           again if it says it is idempotent; else it ends with MF_E_IO and a text that says that nobody knows whether it
 *           was done. The link reconnects for ever, with backoff and jitter.
 * Bounds    `outstanding` requests, and a time for each: nothing waits for ever that did not ask to.
 * Never     a password in an error, a log line or a stat. HELLO, SUBSCRIBE, MONITOR: the wire is RESP2, and every command has
 *           one answer. A cluster: refused when seen.
 */
#ifndef MFI_REDIS_LINK_H
#define MFI_REDIS_LINK_H

#include <mageflow/base.h>
#include <mageflow/store.h>

#include "random.h"
#include "redis_address.h"

typedef struct mfi_redis mfi_redis;
typedef struct mfi_redis_request mfi_redis_request;
typedef struct mfi_redis_script mfi_redis_script;

/* ---- answers ---------------------------------------------------------------------------------------------------- */

typedef enum mfi_redis_type {
    MFI_REDIS_NIL,        /* also a nil array: EXEC of a broken WATCH, a BLOCK that ran out */
    MFI_REDIS_STATUS,     /* +OK */
    MFI_REDIS_ERROR,      /* -WRONGTYPE … */
    MFI_REDIS_INTEGER,
    MFI_REDIS_STRING,
    MFI_REDIS_ARRAY
} mfi_redis_type;

/** One answer. Everything it points to lives as long as its mfi_redis_replies. */
typedef struct mfi_redis_reply {
    mfi_redis_type                type;
    mf_str                        text;       /* status, error, string; also ends in NUL */
    int64_t                       integer;    /* integer */
    size_t                        count;      /* array */
    const struct mfi_redis_reply *items;      /* array: count of them */
} mfi_redis_reply;

/** The answers to one request, as many as it has commands. */
typedef struct mfi_redis_replies {
    size_t                 count;
    const mfi_redis_reply *at;
} mfi_redis_replies;

/** How a request ended; called once for each submit that returned MF_OK, on the I/O thread (or, for what was still waiting,
 * on the thread that destroys).
 *
 * MF_OK: replies holds one answer per command, none of them an error. Otherwise err is filled, and
 *   replies != NULL   every command was answered, and err speaks of the first error among them (mfi_redis_error_status);
 *   replies == NULL   not answered: MF_E_IO (the connection was lost with it under way, and it may or may not have been
 *                     done), MF_E_TIMEOUT (its time was over; the text says whether it had been sent), MF_E_CANCELED
 *                     (mfi_redis_interrupt), MF_E_CLOSED (the link was destroyed), MF_E_NOMEM; or what refuses every
 *                     connection: MF_E_INVALID (user, password, certificate, database), MF_E_UNSUPPORTED (a cluster).
 * replies and err are borrowed until the return, unless replies is kept with mfi_redis_replies_keep. */
typedef void mfi_redis_done_fn(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err);

/** Inside a done callback: replies now belongs to the caller, until mfi_redis_replies_destroy on any thread. */
void mfi_redis_replies_keep(mfi_redis_replies *replies);
void mfi_redis_replies_destroy(mfi_redis_replies *replies);

/** What an answer of type ERROR means here, and in err (NULL allowed) what to do about it:
 *
 *   MF_E_INVALID      NOAUTH, WRONGPASS, NOPERM, EXECABORT and every plain ERR
 *   MF_E_STATE        READONLY (the link connects again: the name may lead to the new primary by then), MISCONF
 *   MF_E_AGAIN        LOADING, BUSY, MASTERDOWN, TRYAGAIN, NOREPLICAS: not now; it was not done
 *   MF_E_FULL         OOM (maxmemory)
 *   MF_E_NOT_FOUND    NOGROUP, NOSCRIPT
 *   MF_E_EXISTS       BUSYGROUP, BUSYKEY
 *   MF_E_TYPE         WRONGTYPE
 *   MF_E_CANCELED     UNBLOCKED
 *   MF_E_UNSUPPORTED  MOVED, ASK, CROSSSLOT, CLUSTERDOWN (a cluster), an unknown command
 *   MF_OK             it is no error */
mf_status mfi_redis_error_status(const mfi_redis_reply *reply, mf_error *err);

/* ---- requests --------------------------------------------------------------------------------------------------- */

/** An empty request, made by any thread and used by one at a time. NULL, for want of memory, may be passed to everything
 * below: the submit then says MF_E_NOMEM, so that one check at the end is enough. */
mfi_redis_request *mfi_redis_request_create(mfi_redis *redis);
/** For one that was never submitted. NULL is fine. */
void mfi_redis_request_destroy(mfi_redis_request *rq);

/** Append one command; the arguments are copied. MULTI … EXEC are commands like others. */
void mfi_redis_add_argv(mfi_redis_request *rq, size_t argc, const mf_str *argv);
#define mfi_redis_add(rq, ...)                                                                                        \
    mfi_redis_add_argv((rq), sizeof((const mf_str[]){__VA_ARGS__}) / sizeof(mf_str), (const mf_str[]){__VA_ARGS__})

/** Append a script's call with `keys` of the argc arguments as KEYS and the rest as ARGV. Sent as EVALSHA; where the server
 * has forgotten the script it is loaded and called again before the request is answered (after the request's other
 * commands). Inside MULTI that cannot be done, and NOSCRIPT comes back. */
void mfi_redis_add_script(mfi_redis_request *rq, const mfi_redis_script *script, size_t keys, size_t argc,
                          const mf_str *argv);

/** Commands in it so far, and bytes on the wire. */
size_t mfi_redis_request_commands(const mfi_redis_request *rq);
size_t mfi_redis_request_bytes(const mfi_redis_request *rq);

/** Register Lua source, copied: loaded now and at each connect. The script belongs to redis; one source, one script.
 * NULL: no memory. */
const mfi_redis_script *mfi_redis_script_add(mfi_redis *redis, mf_str source);

/** How a request is to be done; 0 means the default everywhere. */
typedef struct mfi_redis_how {
    mf_duration within;        /* from the submit to the answer; 0: the link's request_timeout; MF_FOREVER */
    bool        idempotent;    /* doing it twice is as good as once: sent again after a drop */
    bool        blocking;      /* a command that waits in the server (XREADGROUP BLOCK, BLMOVE): goes over the link's second
                                  connection, one request after the other, and can be interrupted */
    mf_duration blocks;        /* with blocking: how long it may wait there, as its BLOCK says; at most that, plus the link's
                                  answer_timeout, passes before the connection counts as dead. MF_FOREVER is fine */
} mfi_redis_how;
#define MFI_REDIS_HOW(...) (&(const mfi_redis_how){__VA_ARGS__})

/** Queue a request; it is consumed whatever comes back. done may be NULL. Neither blocks nor waits for the connection.
 * MF_OK: done will be called once. MF_E_FULL (outstanding), MF_E_CLOSED, MF_E_NOMEM, MF_E_INVALID (no command in it): it will
 * not, and nothing was sent. */
MF_NODISCARD mf_status mfi_redis_submit(mfi_redis *redis, mfi_redis_request *rq, const mfi_redis_how *how,
                                        mfi_redis_done_fn *done, void *user);

/** Submit and wait. The answers (also with a status other than MF_OK, when there are some) are the caller's to destroy; out
 * NULL: not wanted. Statuses as done's and submit's. Not on the I/O thread: MF_E_STATE. */
MF_NODISCARD mf_status mfi_redis_call(mfi_redis *redis, mfi_redis_request *rq, const mfi_redis_how *how,
                                      mfi_redis_replies **out, mf_error *err);

/** End what waits on the blocking connection, soon: the server is told to unblock it (CLIENT UNBLOCK), so that what it has
 * taken by then still arrives as an answer, usually nil. Where that is not possible the connection is closed and done says
 * MF_E_CANCELED. Requests queued behind it end with MF_E_CANCELED, unsent. Does not wait. */
void mfi_redis_interrupt(mfi_redis *redis);

/* ---- the link --------------------------------------------------------------------------------------------------- */

/** The link is up (both connections, as far as they are wanted), or why it is not. On the I/O thread, maybe before
 * mfi_redis_create has returned; at each change, and at each failed attempt whose reason differs from the last one's. */
typedef void mfi_redis_observe_fn(void *user, bool up, const mf_error *why);

/** A timer on the I/O thread, for whoever drives a worker there: called once at the beginning (maybe before
 * mfi_redis_create has returned), when the time it asked for has come, and after mfi_redis_poke. Returns when it wants to be called next (the clock's monotonic ns; INT64_MAX: only when poked). */
typedef int64_t mfi_redis_tick_fn(void *user, int64_t now_ns);

typedef struct mfi_redis_options {
    const mf_allocator      *allocator;         /* NULL: the default one; must outlive the link. hiredis itself uses malloc */
    const mf_clock          *clock;             /* NULL: the system's. Waits in poll follow the system's */
    const mfi_random        *random;            /* NULL: the kernel's; jitter alone */
    const mfi_redis_address *address;           /* borrowed for the call */
    const char              *name;              /* CLIENT SETNAME; NULL: "mageflow". No blanks */
    mf_duration              connect_timeout;   /* for one attempt: every address, TLS, greeting; 0: 5 s */
    mf_duration              answer_timeout;    /* without a byte from the server while it owes one: dead; 0: 5 s */
    mf_duration              request_timeout;   /* what `within` is when nothing is said; 0: 10 s */
    size_t                   outstanding;       /* requests not yet answered, at most; 0: 65536 */
    size_t                   reply_max;         /* bytes of the answers to one request, as kept here; 0: 512 MiB */
    mfi_redis_observe_fn    *observe;           /* NULL: nobody */
    mfi_redis_tick_fn       *tick;              /* NULL: none */
    void                    *user;              /* for both */
} mfi_redis_options;

/** Start the I/O thread, which begins to connect. Returns at once: an unreachable server is no error here, unlike a file
 * named by the address that cannot be read, or holds nothing of use (MF_E_INVALID, MF_E_NOT_FOUND, MF_E_IO, MF_E_NOMEM). */
MF_NODISCARD mf_status mfi_redis_create(const mfi_redis_options *options, mfi_redis **out, mf_error *err);

/** Take nothing more, give what is under way up to `drain` to be answered (0: nothing), end the rest with MF_E_CLOSED, join
 * the thread, free everything, scripts included. After it no callback runs. NULL is fine. Not on the I/O thread. */
void mfi_redis_destroy(mfi_redis *redis, mf_duration drain);

/** Wait until the link is up. MF_E_TIMEOUT with the reason of the last attempt; at once with the status of what refuses
 * every connection (see mfi_redis_done_fn). Not on the I/O thread. */
MF_NODISCARD mf_status mfi_redis_wait_up(mfi_redis *redis, mf_duration timeout, mf_error *err);

/** Whether the link is up at this moment. */
bool mfi_redis_up(const mfi_redis *redis);

/** Have tick called soon. Any number of pokes before it runs are one. */
void mfi_redis_poke(mfi_redis *redis);

/** "redis at 127.0.0.1:6379", for texts; lives as long as redis. */
const char *mfi_redis_text(const mfi_redis *redis);

typedef struct mfi_redis_stats {
    uint64_t connects;        /* connections that came up, of both kinds */
    uint64_t drops;           /* connections lost after they were up */
    uint64_t requests;        /* answered, with whatever result */
    uint64_t commands;        /* answers read */
    uint64_t writes, reads;   /* system calls that moved bytes */
    uint64_t bytes_out, bytes_in;
    uint64_t resent;          /* requests sent again after a drop */
} mfi_redis_stats;
/** Counters since the creation; each is exact, together they are a moment's blur. */
void mfi_redis_stats_read(const mfi_redis *redis, mfi_redis_stats *out);
/** The same in the words of the health of stores and adapters; fills all of *out. Does not wait. */
void mfi_redis_health_read(const mfi_redis *redis, mf_link_health *out);

#endif
