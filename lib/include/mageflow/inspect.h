/* mageflow/inspect.h: looking at what is stored: lists of signatures, one of them whole, its parts page by page, its log, and
 * what is known of its task. What the command's list, inspect and logs show, and what a page of your own would.
 *
 * Nothing here changes anything. Each call reads one moment; two calls about a flow that runs may see two of them.
 *
 * Threads   every function may be called from any thread, tasks included.
 * Memory    what a call hands out is the caller's to release, also while the flow goes on or is removed.
 * Time      times in records are on the store's clock, mf_inspect_now_ms, which need not be that of this machine nor tell the
 *           time of day: a record's age is the difference of the two.
 * Statuses  all of them: MF_E_FORKED, MF_E_NOMEM, and MF_E_IO where the store does not answer; then nothing is handed out.
 */
#ifndef MAGEFLOW_INSPECT_H
#define MAGEFLOW_INSPECT_H

#include <mageflow/base.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>
#include <mageflow/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The store's clock in milliseconds, never ahead of it; behind it by what a round trip took at most, so that the age of a record
 * of this moment may be slightly negative. 0 after a fork. */
int64_t mf_inspect_now_ms(mf_client *client);

/** The key that a person means: the text is one, or the name of a unique run (mf_start_options.unique) whose window is not over.
 * A key need not be stored. MF_E_NOT_FOUND: neither; MF_E_INVALID: text is NULL, empty or too long for a name. */
MF_NODISCARD mf_status mf_inspect_find(mf_client *client, const char *text, mf_key *out, mf_error *err);

/* ---- one signature ------------------------------------------------------------------------------------------------- */

/** Its record: what it is (spec) and how it stands (state). Release it with mf_record_release. MF_E_NOT_FOUND: never stored,
 * removed, or ended and forgotten. */
MF_NODISCARD mf_status mf_inspect(mf_client *client, const mf_key *key, mf_record *out, mf_error *err);

/** The records above it: what it stands in or is a callback of, then what that stands in, …, up to max. Each of out[0…*got-1] is
 * for mf_record_release. *got less than max: there are no more; one that is gone ends the list, too. MF_E_NOT_FOUND: there is no
 * such signature. */
MF_NODISCARD mf_status mf_inspect_above(mf_client *client, const mf_key *key, size_t max, mf_record *out, size_t *got,
                                        mf_error *err);

/** A step of a chain or an item of a swarm. */
typedef struct mf_part {
    uint64_t            index;      /* its place, from 0 */
    mf_spec            *spec;       /* what it is; a reference. An item of a map: the call of its task */
    mf_key              key;        /* of its own record; unset: a plain item, which has none */
    mf_signature_status status;     /* of a plain item active says that its message was sent, not that it runs */
    bool                never;      /* pending, and its container has ended: it will not run */
    mf_counts           counts;     /* where it is a chain or swarm that is there; else zero */
    mf_message         *value;      /* done: the result; failed: the error map. A reference; NULL: nil, or not kept: a chain hands
                                       results of plain steps on and forgets them */
} mf_part;

/** Parts `from`, from + 1, … of a chain or swarm, up to max. Each of out[0…*got-1] is for mf_part_release. *got 0: there are no
 * more, by now; a task has none. A part whose record is gone stands as its container counted it. MF_E_NOT_FOUND: there is no
 * such signature. */
MF_NODISCARD mf_status mf_inspect_parts(mf_client *client, const mf_key *key, uint64_t from, size_t max, mf_part *out,
                                        size_t *got, mf_error *err);
void mf_part_release(mf_part *part);

/* ---- lists ------------------------------------------------------------------------------------------------------------ */

/** Which signatures a list is of; zero in a field: any. */
typedef struct mf_list_options {
    size_t      struct_size;
    mf_kind     kind;
    unsigned    statuses;   /* bits, 1u << MF_STATUS_… */
    const char *name;       /* of its task, or the name that a chain or swarm was given */
    bool        parts;      /* also what stands in others and callbacks; false: only what was started or saved by itself */
} mf_list_options;
#define MF_LIST_OPTIONS(...) (&(const mf_list_options){ .struct_size = sizeof(mf_list_options), __VA_ARGS__ })

/** Up to max records, the newest first (options NULL: of any). *after: unset at first; the call moves it on, for the next page.
 * Each of out[0…*got-1] is for mf_record_release. *got less than max: that was the end. Plain items have no records and are in no
 * list. A name is compared record by record, so the call may read all there are. MF_E_NOT_FOUND: the record *after was removed
 * meanwhile: begin anew; MF_E_INVALID. */
MF_NODISCARD mf_status mf_inspect_list(mf_client *client, const mf_list_options *options, mf_key *after, size_t max,
                                       mf_record *out, size_t *got, mf_error *err);

/* ---- logs ------------------------------------------------------------------------------------------------------------- */

/** Up to max lines of its log from number `from` on (see mf_line); the first is of a greater number where the oldest have gone.
 * *got 0: there are none yet. Each text is NUL-terminated, holds no other NUL and is for mf_text_free. What plain items log
 * stands in the log of what they are in. MF_E_NOT_FOUND: there is no such signature. */
MF_NODISCARD mf_status mf_inspect_log(mf_client *client, const mf_key *key, uint64_t from, size_t max, mf_line *out, size_t *got,
                                      mf_error *err);

/* ---- tasks ------------------------------------------------------------------------------------------------------------ */

/** What is known of a task, declared here or by a worker on the same store: {retries, backoff_ms, timeout_ms (0: none), durable,
 * return_field, in: the JSON Schema of its fields, or nil}. Unref it. MF_E_UNKNOWN_TASK: nobody declared it. */
MF_NODISCARD mf_status mf_inspect_task(mf_client *client, mf_str name, mf_message **out, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
