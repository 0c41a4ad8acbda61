/* mageflow/dead.h: dead letters: work that was accepted and will not be done unless somebody asks for it again.
 *
 * There are two kinds, and one list of them:
 *
 *   signatures    alive past their time to live: they failed as "Expired", and what they were, with the message they were
 *                 started with, is kept in the store. Keyed by the signature's key
 *   messages      of a task manager that could not be read, or killed who ran them: kept by the manager, byte for byte.
 *                 Keyed by the manager's own name for them, as its adapter tells ("taskiq@1700000000000-0")
 *
 * Nothing here expires: a letter stays until it is requeued or dropped.
 *
 * Threads   every function may be called from any thread, tasks included; each may wait for the store or the manager.
 * Memory    a letter read is released with mf_dead_letter_release; its texts are its own.
 * Statuses  all of them: MF_E_FORKED, MF_E_IO and MF_E_NOMEM (nothing was changed).
 */
#ifndef MAGEFLOW_DEAD_H
#define MAGEFLOW_DEAD_H

#include <mageflow/adapter.h>
#include <mageflow/base.h>
#include <mageflow/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Up to max letters (not 0) behind the one of that key (NULL or empty: from the first), signatures first, into out; each is the
 * caller's to release. *got 0: there are no more. A key that is gone by now is a place in the list all the same. MF_E_INVALID: `after`
 * is no key. */
MF_NODISCARD mf_status mf_dead_list(mf_client *client, const char *after, size_t max, mf_dead_letter *out, size_t *got,
                                    mf_error *err);

/** One letter, whole, into *out, which is written on success only. MF_E_NOT_FOUND; MF_E_INVALID: it is no key, the text says what one
 * looks like; MF_E_MALFORMED: what is kept under it cannot be read. */
MF_NODISCARD mf_status mf_dead_read(mf_client *client, const char *key, mf_dead_letter *out, mf_error *err);

/** Send it again, and take the letter away in the same step: however many ask at once, in whatever processes, one of them sends
 * it. A signature starts anew under a new key, *as (may be NULL), with its message, its callbacks and its whole time to live;
 * a message goes back into its queue, and *as is unset. Nobody begins to serve for it: it runs where somebody serves.
 * MF_E_NOT_FOUND: there is none, or somebody else was faster; MF_E_STATE: it was requeued or dropped a moment ago, or cannot be
 * sent again (its hindrance tells why); MF_E_UNKNOWN_TASK: neither this process nor one on the same store declares a task in it;
 * and as mf_start. In all these cases the letter is where it was. */
MF_NODISCARD mf_status mf_dead_requeue(mf_client *client, const char *key, mf_key *as, mf_error *err);

/** Take it away for good. Of a drop and a requeue at the same time one is done. MF_E_NOT_FOUND; MF_E_STATE: as above. */
MF_NODISCARD mf_status mf_dead_drop(mf_client *client, const char *key, mf_error *err);

/** Release what a letter refers to. NULL and a zeroed one are fine. */
void mf_dead_letter_release(mf_dead_letter *letter);

#ifdef __cplusplus
}
#endif
#endif
