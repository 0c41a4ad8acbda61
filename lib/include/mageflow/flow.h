/* mageflow/flow.h: signatures, chains, swarms, callbacks; starting them and waiting for their end.
 *
 * Constructors return a pointer. What they and the adding calls are given is consumed on success and on failure alike,
 * and a NULL signature is passed through, so that a chain of calls is checked once, at its end: mf_start(NULL, …)
 * answers NULL and leaves the error of the call that failed first in err.
 *
 * Threads   every call on a run is thread-safe, and so is reading a signature. What adds to a signature or consumes one
 *           is for one thread at a time.
 */
#ifndef MAGEFLOW_FLOW_H
#define MAGEFLOW_FLOW_H

#include <mageflow/base.h>
#include <mageflow/message.h>
#include <mageflow/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_client mf_client;
typedef struct mf_signature mf_signature;
typedef struct mf_run mf_run;
typedef struct mf_context mf_context;   /* see mageflow/task.h */

/* ---- making ---------------------------------------------------------------------------------------------------- */

/** A call of a declared task. kwargs: a map (or nil, or NULL) that is merged deeply over the message it will receive;
 * consumed. Checked against the task's field table as far as it goes: a field of the wrong type is refused here.
 * NULL: MF_E_UNKNOWN_TASK, MF_E_INVALID, MF_E_TYPE (kwargs are no map), MF_E_NOMEM. */
mf_signature *mf_sign(mf_client *client, const char *task, mf_message *kwargs, mf_error *err);

/** A chain: each step receives the result of the one before in its return field. Two steps at least, checked when it is
 * started or put into something else. kwargs reach each of its tasks; consumed, may be NULL. */
mf_signature *mf_chain(mf_client *client, const char *name, mf_message *kwargs, mf_error *err);
/** Add a step at the end; a chain or swarm may be one. Returns the chain; NULL: it was NULL, or the step could not be
 * added, and both are gone. */
mf_signature *mf_chain_add(mf_signature *chain, mf_signature *step, mf_error *err);

typedef struct mf_swarm_options {
    size_t        struct_size;
    unsigned      max_concurrency;       /* items running at once; 0: 30 */
    uint64_t      stop_after_failures;   /* so many failed items end the swarm as failed; 0: no number does */
    mf_message   *kwargs;                /* merged over the message of each item; consumed */
    mf_signature *on_success;            /* started once when the swarm is done; consumed. NULL: none, also where its
                                            constructor failed: mf_on_success tells */
    mf_signature *on_error;              /* started once when the swarm fails; consumed */
    uint64_t      max_items;             /* items at most; 0: any number */
    bool          close_on_max;          /* the item that reaches max_items closes the swarm */
    bool          message_as_result;     /* an item receives the swarm's message whole in its return field, not merged */
} mf_swarm_options;
#define MF_SWARM_OPTIONS(...) (&(const mf_swarm_options){ .struct_size = sizeof(mf_swarm_options), __VA_ARGS__ })

/** A swarm of items that are added, before it is started and while it runs. It ends once it is closed and every item has
 * ended: done, with nil in place of a failed item's result, or failed, when stop_after_failures was reached. Each item receives
 * the message that the swarm was started with; where the swarm is a step or a callback, the result before it, each in its own
 * return field. options may be NULL. */
mf_signature *mf_swarm(mf_client *client, const char *name, const mf_swarm_options *options, mf_error *err);
/** Add an item; to one that was stored or started already as mf_items_add does. Returns the swarm; NULL: as mf_chain_add (what was
 * started goes on), and MF_E_FULL: more than its max_items, MF_E_CLOSED. */
mf_signature *mf_swarm_add(mf_signature *swarm, mf_signature *item, mf_error *err);
/** Add n items, each merged over its message: message_count 0: they have none; 1: one for all; n: one each; else
 * MF_E_INVALID. Items and messages are consumed. */
mf_signature *mf_swarm_add_many(mf_signature *swarm, mf_signature *const *items, size_t n, mf_message *const *messages,
                                size_t message_count, mf_error *err);
/** Nothing will be added any more; one that was started already is closed where it is stored. Returns the swarm; NULL: it was
 * NULL, or it could not be closed. */
mf_signature *mf_swarm_close(mf_signature *swarm, mf_error *err);

/** Where the items of a map come from.
 *
 * message is what the swarm received (never NULL; nil when nothing); cursor says how far it was drawn and is moved on.
 * MF_OK: *item is the next message, returned to the library, which unrefs it; *item left NULL: that was the last.
 * Anything else ends the swarm as failed with the text of err. Called on a worker, with no lock held, for one swarm by
 * one thread at a time; the same cursor may come again when a commit was refused, and must give the same item. */
typedef mf_status mf_source_next_fn(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user,
                                    mf_error *err);

typedef struct mf_source_def {
    size_t             struct_size;
    const char        *name;
    mf_source_next_fn *next;
    uint64_t         (*expected)(const mf_message *message, void *user);   /* how many there will be; NULL: cannot tell */
    void              *user;
} mf_source_def;
#define MF_SOURCE_DEF(...) (&(const mf_source_def){ .struct_size = sizeof(mf_source_def), __VA_ARGS__ })

/** A swarm over a source: every message that the source (registered with mf_source) draws is given to `each`, the call of
 * a plain task, whose callbacks may be plain tasks and run once per item. The source draws from the message that the
 * swarm receives, so that *list → map → report* is a chain of three. It closes when the source is at its end. */
mf_signature *mf_map(mf_client *client, const char *name, const char *source, mf_signature *each,
                     const mf_swarm_options *options, mf_error *err);

/** Start `callback` when sig is done / has failed. A success callback receives the result in its return field (a swarm's:
 * the list of results, as long as that fits the payload bound, and always `mageflow_swarm`: {swarm, total, done,
 * failed}); an error callback receives the message its task was sent, and, where it is a task, the error through
 * mf_context_error. Callbacks may be chains or swarms. Returns sig; NULL as mf_chain_add. */
mf_signature *mf_on_success(mf_signature *sig, mf_signature *callback, mf_error *err);
mf_signature *mf_on_error(mf_signature *sig, mf_signature *callback, mf_error *err);

/** How long it may live from its storing, start or resume on, and how long it is kept after its end; 0: the client's default
 * for its kind, MF_FOREVER: without end. Alive past its time it ends as failed ("Expired"), with its error callbacks, and a
 * dead letter. What stands in a container lives as long as that. Returns sig; NULL: it was NULL, or is started (MF_E_STATE). */
mf_signature *mf_ttl(mf_signature *sig, mf_duration live, mf_duration keep, mf_error *err);
/** Put each start of it off by a random time below `span`, so that many do not begin at once; its time to live and its
 * timeout count from then. Returns sig; NULL as mf_ttl. */
mf_signature *mf_stagger(mf_signature *sig, mf_duration span, mf_error *err);

/** The key it has or will have. */
mf_key mf_signature_key(const mf_signature *sig);
/** Store it with everything below it, not started: any process can then start, edit or remove it by its key, and the parts of
 * it that have keys of their own. From here on the handle only adds to swarms and starts. MF_E_STATE: it is stored already. */
mf_status mf_signature_save(mf_signature *sig, mf_error *err);
/** A handle on a stored signature, running or not: to start one that was saved, or add to a swarm. NULL: MF_E_NOT_FOUND. */
mf_signature *mf_signature_load(mf_client *client, const mf_key *key, mf_error *err);
/** A new signature like the stored one and everything below it, with keys of its own, kwargs as they are now, not stored and
 * in nothing. NULL: MF_E_NOT_FOUND. */
mf_signature *mf_signature_duplicate(mf_client *client, const mf_key *key, mf_error *err);
/** n of them: out[0…n-1], or none and all NULL. */
mf_status mf_signature_duplicate_many(mf_client *client, const mf_key *key, size_t n, mf_signature **out, mf_error *err);
/** Let go of the handle; what was started goes on. NULL is allowed. */
void mf_signature_destroy(mf_signature *sig);

/* ---- running --------------------------------------------------------------------------------------------------- */

/** Store the signature with everything below it and send its beginning. message (a map, nil or NULL) is consumed; sig is
 * borrowed. NULL: MF_E_INVALID (a chain of fewer than two, a message that does not fit the fields), MF_E_TYPE (the message is
 * no map), MF_E_TOO_BIG, MF_E_STATE (started already); MF_E_NOMEM, MF_E_IO: nothing runs, and if some of it was stored the
 * signature cannot be started again; or sig was NULL. A swarm that is not closed runs until somebody closes it. */
mf_run *mf_start(mf_signature *sig, mf_message *message, mf_error *err);

typedef struct mf_start_options {
    size_t      struct_size;
    mf_duration delay;          /* begins this much later, and its time to live counts from then; 0: at once */
    int32_t     priority;       /* of everything it sends: greater goes first; 0: the default */
    const char *unique;         /* at most one run under this name (1 to 255 bytes) within unique_window; NULL: any number */
    mf_duration unique_window;  /* from this start on, unless the run is removed before; 0: 24 hours */
    bool        join;           /* a second one is given the run that is there, instead of MF_E_EXISTS that names it */
} mf_start_options;
#define MF_START_OPTIONS(...) (&(const mf_start_options){ .struct_size = sizeof(mf_start_options), __VA_ARGS__ })
/** mf_start with options (NULL: none). MF_E_EXISTS: a run of that unique name is there; sig can be started later, unless the
 * two began at the same moment (MF_E_STATE then). */
mf_run *mf_start_with(mf_signature *sig, mf_message *message, const mf_start_options *options, mf_error *err);
/** Start, wait for the end, let go: mf_start and mf_run_wait in one, with their statuses. */
mf_status mf_call(mf_signature *sig, mf_message *message, mf_duration timeout, mf_message **result, mf_error *err);

/** A run of something that was started, by its key, perhaps by another process. NULL: MF_E_NOT_FOUND. */
mf_run *mf_run_open(mf_client *client, const mf_key *key, mf_error *err);

/** Wait for the end. *result (unref it; may be NULL if not wanted) is the result; a swarm's is the list of results while
 * that fits the payload bound, else nil: read it with mf_results. On a thread of the pool other jobs are run meanwhile,
 * on top of this call: what they wait for must not depend on the end of the task that called.
 * MF_OK; MF_E_TASK_FAILED with the task's own text; MF_E_TIMEOUT: it still runs; MF_E_CANCELED: it was canceled, or the
 * task that waits for it was itself asked to stop; MF_E_FULL: in a task, on a thread whose stack is full of calls that wait. */
mf_status mf_run_wait(mf_run *run, mf_duration timeout, mf_message **result, mf_error *err);
/** How a failed run failed: its error map (see mageflow/store.h), whole where the text of an mf_error is cut. *out is the
 * caller's to unref. MF_E_AGAIN: it still runs; MF_E_NOT_FOUND: it did not fail. */
MF_NODISCARD mf_status mf_run_error(mf_run *run, mf_message **out);
/** As mf_run_wait without waiting: MF_E_AGAIN while it runs. */
mf_status mf_run_poll(mf_run *run, mf_message **result, mf_error *err);
/** Call fn once when the run has ended, with no lock held, on the thread that records the end: a worker's, the one that keeps
 * timeouts, or one inside mf_cancel; at once, from this call's own thread, when it has ended already. fn may start, cancel
 * and destroy runs, this one too, and must not wait for runs or destroy the client. One callback a run. MF_E_STATE: it has
 * one; MF_E_INVALID, MF_E_FORKED. */
mf_status mf_run_on_end(mf_run *run, void (*fn)(void *user, const mf_key *key), void *user);
/** An eventfd that becomes readable at the end; owned by the run. Negative: none could be made. */
int    mf_run_fd(mf_run *run);
mf_key mf_run_key(const mf_run *run);
/** Let go of the handle; the run goes on. NULL is allowed. */
void mf_run_destroy(mf_run *run);

/* ---- looking ----------------------------------------------------------------------------------------------------- */

/** How far a signature is. For a task total is 1. */
typedef struct mf_counts {
    mf_signature_status status;
    uint64_t total;         /* items known so far */
    uint64_t expected;      /* how many there will be, where a source can tell; else 0 */
    uint64_t running, done, failed, canceled;
} mf_counts;
MF_NODISCARD mf_status mf_count(mf_client *client, const mf_key *key, mf_counts *out, mf_error *err);

/** The last progress its task reported (unref it). MF_E_NOT_FOUND: none yet. */
MF_NODISCARD mf_status mf_progress(mf_client *client, const mf_key *key, mf_message **out);
/** Line n of its log, NUL-terminated; release with mf_text_free. MF_E_NOT_FOUND past the end. */
MF_NODISCARD mf_status mf_log_line(mf_client *client, const mf_key *key, uint64_t n, char **out);
void mf_text_free(mf_client *client, char *text);

/** The results of a swarm one by one, in the order of its items, in memory for one page. */
typedef struct mf_results mf_results;
MF_NODISCARD mf_status mf_results_open(mf_client *client, const mf_key *swarm, mf_results **out, mf_error *err);
/** The same inside a task that received a swarm's end: the swarm its message names. */
MF_NODISCARD mf_status mf_context_results(mf_context *ctx, const mf_message *in, mf_results **out, mf_error *err);
/** The next item: done with its result, failed with its error map, pending: not ended. The value is borrowed until the
 * next call; NULL is nil. MF_E_NOT_FOUND: that was the last. */
MF_NODISCARD mf_status mf_results_next(mf_results *results, mf_outcome *out, mf_error *err);
void mf_results_close(mf_results *results);

#ifdef __cplusplus
}
#endif
#endif
