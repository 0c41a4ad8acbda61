/* runtime/durable.h: what a durable task's call remembers. */
#ifndef MFI_DURABLE_H
#define MFI_DURABLE_H

#include <mageflow/store.h>
#include <mageflow/task.h>

struct mfi_running;
struct mf_client;

typedef enum mfi_wait { MFI_WAIT_NOT, MFI_WAIT_SLEEP, MFI_WAIT_EVENT, MFI_WAIT_MANAGER /* who calls again by itself */ } mfi_wait;

/* All of it belongs to the thread that runs the call. */
typedef struct mfi_durable {
    mf_outcome *memos;          /* the record's, from index 1 on: memos[i] has index i + 1 */
    size_t      count, capacity;
    bool        loaded;
    size_t      at;             /* how many of them the body has come to */
    uint64_t    keys;           /* signatures made so far */
    mfi_wait    wait;           /* what the body waits for; none: it does not */
    int64_t     until_ms;       /* store clock; INT64_MAX: no end */
    bool        known;          /* the memo of the wait is stored already */
    bool        in_step;        /* a step's function runs */
    char        event[201];     /* last: see mfi_running */
} mfi_durable;

/** The call returned MF_E_WAIT: settle it, and have it called again when the time is over or the event is there. MF_E_STALE: its
 * claim was no longer current. */
mf_status mfi_durable_wait(struct mf_client *client, struct mfi_running *running);
void mfi_durable_fini(struct mf_client *client, mfi_durable *durable);
/** Whether a durable task's call has no record of its own, and its manager remembers what its body did. */
bool mfi_durable_by_manager(const mf_context *ctx);
/** What a verb that the manager keeps came to, which is returned: MF_E_WAIT and MF_E_STALE say that it calls again by itself. */
mf_status mfi_durable_told(mf_context *ctx, mf_status st);

/** A memo: {verb, key, and one more: value under `name`, or until_ms where value is NULL}. */
MF_NODISCARD mf_status mfi_memo_make(struct mf_client *client, const char *verb, const char *key, const char *name,
                                     const mf_message *value, int64_t until_ms, mf_message **out);

#define MFI_EVENT_SPACE "event:"
/** The note by which the waiting for memo `index` is found; note refers to the texts beside it. */
struct mfi_event_note {
    char    space[sizeof MFI_EVENT_SPACE + 200], name[64];
    mf_note note;
};
void mfi_event_note_fill(struct mfi_event_note *n, const char *event, const mf_key *key, uint64_t index);

/** Where random bytes of a key come from in the durable call of this thread, the same in each replay; NULL: in none. */
const struct mfi_random *mfi_durable_keys(void);
/** Whether this thread is in a durable call, whoever keeps what it did. */
bool mfi_durable_is_here(void);

#endif
