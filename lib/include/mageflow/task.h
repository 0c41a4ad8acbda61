/* mageflow/task.h: a task: a function, what it takes and gives, and the context it runs in.
 *
 * Threads   a task function runs on a worker of the pool, several at once. A context belongs to its call: use it on any
 *           thread while the function runs, never after.
 */
#ifndef MAGEFLOW_TASK_H
#define MAGEFLOW_TASK_H

#include <mageflow/base.h>
#include <mageflow/fields.h>
#include <mageflow/message.h>
#include <mageflow/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_context mf_context;

/** The work itself.
 *
 * in is borrowed for the call and never NULL (nil when nothing was sent). *out is set to the result and consumed; left
 * alone, the result is nil. MF_OK: done. Anything else failed: mf_task_fail says how; any other status is an error that
 * may be tried again. */
typedef mf_status mf_task_fn(mf_context *ctx, const mf_message *in, mf_message **out, void *user);

/** What is declared of a task. Zero in a field means its default, which stands beside it. */
typedef struct mf_task_def {
    size_t           struct_size;
    const char      *name;             /* 1 to 255 bytes, no control characters; "mageflow." is ours */
    mf_task_fn      *run;
    void            *user;             /* handed to run; must outlive the client */
    const mf_fields *in;               /* NULL: any message. Checked before run and, for signatures, when they are made */
    const mf_fields *out;              /* NULL: any result */
    unsigned         retries;          /* attempts after the first: 3 is up to 4 calls */
    mf_duration      backoff;          /* before the first retry, doubling up to a minute; 0: 100 ms */
    mf_duration      timeout;          /* 0: none. Over: stop request; 3 s later the outcome is a timeout all the same */
    unsigned         max_concurrency;  /* calls at once in this process; 0: as many as the worker has slots */
} mf_task_def;
#define MF_TASK_DEF(...) (&(const mf_task_def){ .struct_size = sizeof(mf_task_def), __VA_ARGS__ })

/* How a task says that it failed. */
#define MF_RETRY MF_E_RETRY     /* try again while attempts are left */
#define MF_FINAL MF_E_FINAL     /* do not try again */

/** Note how the call failed, and return `how`, which the function returns in turn. type is a short word for programs
 * ("FileNotFound"), the text is for people and is cut at 4 KiB. */
mf_status mf_task_fail(mf_context *ctx, mf_status how, const char *type, const char *fmt, ...) MF_PRINTF(4, 5);

/** Generate the raw function NAME_task from the typed one
 *      mf_status NAME(mf_context *, const struct in *, struct out *, void *user)
 * with the field tables IN and OUT, whose structs have the same names: a wrong type does not compile. */
#define MF_TASK(NAME, IN, OUT)                                                                                         \
    static mf_status NAME##_task(mf_context *ctx, const mf_message *in, mf_message **out, void *user)                  \
    {                                                                                                                  \
        struct IN  typed_in;                                                                                           \
        struct OUT typed_out;                                                                                          \
        mf_error   typed_err;                                                                                          \
        memset(&typed_out, 0, sizeof typed_out);                                                                       \
        if (mf_fields_decode(&IN, in, &typed_in, &typed_err) != MF_OK)                                                 \
            return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", typed_err.text);                                \
        mf_status typed_st = NAME(ctx, &typed_in, &typed_out, user);                                                   \
        if (typed_st == MF_OK && mf_fields_encode(&OUT, &typed_out, NULL, out, &typed_err) != MF_OK)                   \
            return mf_task_fail(ctx, MF_FINAL, "InvalidResult", "%s", typed_err.text);                                 \
        return typed_st;                                                                                               \
    }

/* ---- what a running task can ask and say ------------------------------------------------------------------------ */

/** mageflow's metadata of a call, as the manager carried it. */
typedef struct mf_task_data {
    mf_key   signature;   /* the signature, or the container of a plain item; unset: sent without mageflow */
    mf_key   container;   /* the container above `signature`; unset: none */
    uint64_t index;
    uint32_t epoch;
} mf_task_data;

/** One call, in the same words on every manager. Borrowed from the context. */
typedef struct mf_execution_info {
    mf_task_data task_data;
    mf_str       workflow_id;       /* the manager's id of this run */
    mf_str       task_name;
    uint32_t     attempt_number;    /* from 1, across retries and redelivery */
    void        *raw_context;       /* the adapter's public struct (mageflow/<name>.h); NULL: it has none */
} mf_execution_info;
const mf_execution_info *mf_context_execution_info(const mf_context *ctx);

/** The key of the signature that runs; unset for a task that was sent without one. */
mf_key mf_context_signature(const mf_context *ctx);

/** In an error callback: what went wrong, a map (see mageflow/store.h). Borrowed; NULL elsewhere. */
const mf_message *mf_context_error(const mf_context *ctx);

/** One line of the task's log, without a line end: kept where the manager or the store shows it. */
mf_status mf_context_log(mf_context *ctx, const char *fmt, ...) MF_PRINTF(2, 3);

/** Ask for this task to end as canceled: stop is requested, and whatever the function returns counts as canceled,
 * without a retry. */
mf_status mf_context_cancel(mf_context *ctx);

/** Move the timeout to `more` from now. MF_E_STATE: it is over already. Without a timeout nothing happens. */
mf_status mf_context_refresh_timeout(mf_context *ctx, mf_duration more);

/** Tell how far the task is: any message, borrowed. Read with mf_progress. */
mf_status mf_context_progress(mf_context *ctx, const mf_message *progress);

/** True once the task should end soon: canceled, out of time, or the worker is closing. Cheap: poll it. */
bool mf_context_stop_requested(const mf_context *ctx);

/** The same for a task that waits in poll: a descriptor that is readable from then on. It is the context's and ends with the
 * call; do not read from it. Negative: none could be made. */
int mf_context_stop_fd(mf_context *ctx);

/** Wait; MF_OK when the time is over, MF_E_CANCELED as soon as stop is requested. */
mf_status mf_context_sleep(mf_context *ctx, mf_duration span);

/* The verbs of durable tasks (mf_durable_task). What they did is remembered with the signature, in the order of the calls: a
 * body that is called again, after a wait, a failure or the death of its process, receives what it received before and does
 * nothing twice. So a body must come to the same verbs in the same order; where it does not, the task fails for good, with both
 * names. A step's function comes to no verb itself, which would fail for good, too.
 * All of them: MF_E_UNSUPPORTED outside a durable task; MF_E_STALE: the call is no longer the one that counts, return. Whatever
 * they answer but MF_OK (and MF_E_TIMEOUT of mf_wait_event) the body returns in turn, after releasing what it holds. Signatures
 * that a body makes have the same keys in each replay, and starting one that was started before gives its run. */

/** What a step does: *out is its result (consumed; left alone: nil). Anything but MF_OK is not remembered. */
typedef mf_status mf_step_fn(mf_context *ctx, mf_message **out, void *user);
/** Do fn once and remember its result under this key (1 to 255 bytes, the same for as many steps as you like). *out (unref
 * it; may be NULL if not wanted) is the result. Or what fn answered. */
mf_status mf_step(mf_context *ctx, const char *key, mf_step_fn *fn, void *user, mf_message **out);
/** Go on after span, without a thread that waits. MF_E_WAIT: not yet, return it. */
mf_status mf_sleep(mf_context *ctx, mf_duration span);
/** Go on when somebody sends the event (mf_event_send) after this call, with its message in *out (unref it). MF_E_WAIT: not
 * yet, return it; MF_E_TIMEOUT: it did not come within timeout (MF_FOREVER: no end). name: 1 to 200 bytes. */
mf_status mf_wait_event(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out);

#ifdef __cplusplus
}
#endif
#endif
