/* mageflow/control.h: what can be done to a stored signature by its key, from any process on the same store.
 *
 * A verb touches the record that its key names and returns when that is committed: it costs the same for a task and for a
 * swarm of ten million items. What stands below finds out when its next message is claimed; calls that run are told at once
 * in this process and within a second in others.
 *
 * Threads   every function may be called from any thread, tasks included.
 * Statuses  all of them: MF_E_NOT_FOUND (no such signature: never stored, removed, or ended and forgotten), MF_E_FORKED,
 *           MF_E_IO and MF_E_NOMEM (the store refused it for 5 s, and nothing was changed; only a Redis that went away in
 *           the middle may have done it; if ends of calls below came meanwhile, the call stays with them until the store takes
 *           them), and MF_E_STATE while somebody holds a lock on it.
 */
#ifndef MAGEFLOW_CONTROL_H
#define MAGEFLOW_CONTROL_H

#include <mageflow/base.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>
#include <mageflow/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- stop and go on ---------------------------------------------------------------------------------------------- */

/** Nothing of it starts any more until it is resumed. A task that runs is left alone, and its end counts; its container goes
 * no further after it. A suspended flow does not expire. Suspending twice is no error. MF_E_STATE: it has ended. */
mf_status mf_suspend(mf_client *client, const mf_key *key, mf_error *err);
/** The same, and tasks that run are asked to stop; those that do are run again after the resume, as the same attempt. */
mf_status mf_interrupt(mf_client *client, const mf_key *key, mf_error *err);
/** Go on where it stood: what was held back is sent again with the message it was to receive. MF_E_STATE: it is neither
 * suspended nor interrupted. */
mf_status mf_resume(mf_client *client, const mf_key *key, mf_error *err);
/** End it as canceled: nothing of it starts any more, running tasks are asked to stop, no retry, no callback. MF_E_STATE: it
 * has ended. */
mf_status mf_cancel(mf_client *client, const mf_key *key, mf_error *err);

/** Take it away, with everything that stands in it; if it is alive it is canceled first, and what it stands in takes that for
 * its failure ("Removed"). */
typedef enum mf_removes {
    MF_REMOVE_ALONE = 0,        /* its callbacks stay, and can be started by their keys */
    MF_REMOVE_SUCCESS = 1,      /* its success callbacks go along */
    MF_REMOVE_ERROR = 2,        /* its error callbacks go along */
    MF_REMOVE_ALL = 3
} mf_removes;
mf_status mf_remove(mf_client *client, const mf_key *key, mf_removes what, mf_error *err);

/* ---- swarms that run --------------------------------------------------------------------------------------------- */

/** Add n items (each consumed, also on failure) to a stored swarm that is not closed, running or not: all or none, in order.
 * MF_E_CLOSED; MF_E_FULL: more than its max_items; MF_E_STATE: it has ended; MF_E_INVALID: no swarm, or one with a source. */
mf_status mf_items_add(mf_client *client, const mf_key *swarm, mf_signature *const *items, size_t n, mf_error *err);
/** Nothing will be added any more: the swarm ends when its last item has. Closing twice is no error. */
mf_status mf_items_close(mf_client *client, const mf_key *swarm, mf_error *err);

/* ---- edits and locks --------------------------------------------------------------------------------------------- */

/** Changes of several stored signatures that are committed together or not at all. For one thread at a time. */
typedef struct mf_edit mf_edit;
/** NULL: MF_E_NOMEM, MF_E_FORKED. */
mf_edit *mf_edit_begin(mf_client *client, mf_error *err);
/** Merge kwargs (a map; consumed) deeply over those of the signature, for every message it will be sent from now on. */
mf_status mf_edit_kwargs(mf_edit *edit, const mf_key *key, mf_message *kwargs, mf_error *err);
/** How urgent what it will send is, greater first. 0: as urgent as what it stands in. A start may say another. */
mf_status mf_edit_priority(mf_edit *edit, const mf_key *key, int32_t priority, mf_error *err);
/** It expires `live` from the commit on; MF_FOREVER: never. An ended signature is then forgotten. A later start gives it its own
 * time anew where that ends later; so does a resume in any case, and nothing changes while it is suspended. */
mf_status mf_edit_ttl(mf_edit *edit, const mf_key *key, mf_duration live, mf_error *err);
/** Commit and free the edit (NULL gives back err's status). MF_E_NOT_FOUND names the missing one; kwargs that break the task's
 * fields: MF_E_TYPE or MF_E_INVALID, naming the field; a locked one: MF_E_STATE. */
mf_status mf_edit_commit(mf_edit *edit, mf_error *err);
/** Free it, changing nothing. NULL is allowed. */
void mf_edit_drop(mf_edit *edit);

/** Hold its status as it is, for `lease` at most: while the lock is held nobody changes or removes it (verbs answer MF_E_STATE;
 * ends of its items, starts and expiry wait). It is a lock on that one record: what stands in it goes on, and what it stands in
 * may end or be removed, and takes it along. *lock 0: take it, and receive its token; else: the token of a lock that is held,
 * to begin the lease anew. MF_E_STATE: somebody else holds it; MF_E_STALE: the lease was over, and what was locked may have
 * changed; MF_E_INVALID: lease is not above 0. */
MF_NODISCARD mf_status mf_lock(mf_client *client, const mf_key *key, mf_duration lease, uint64_t *lock, mf_error *err);
/** MF_E_STALE: the lease was over. */
mf_status mf_unlock(mf_client *client, const mf_key *key, uint64_t lock, mf_error *err);

/* ---- events ------------------------------------------------------------------------------------------------------ */

/** Tell every durable task that waits for this event (mf_wait_event) now: each receives message (borrowed; NULL is nil) once.
 * *woken (may be NULL): how many there were. name: 1 to 200 bytes. */
mf_status mf_event_send(mf_client *client, const char *name, const mf_message *message, size_t *woken, mf_error *err);

/* ---- looking ------------------------------------------------------------------------------------------------------ */

/** Whether it has ended: done, failed or canceled. */
mf_status mf_is_done(mf_client *client, const mf_key *key, bool *done, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
