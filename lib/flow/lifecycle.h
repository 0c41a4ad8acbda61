/* flow/lifecycle.h: how a signature moves from status to status, whatever kind it is. */
#ifndef MFI_LIFECYCLE_H
#define MFI_LIFECYCLE_H

#include "plan.h"

void mfi_status_set(mf_state *state, mf_signature_status status);
static inline bool mfi_status_pauses(mf_signature_status status)
{
    return status == MF_STATUS_SUSPENDED || status == MF_STATUS_INTERRUPTED;
}

/** End the signature as done, failed or canceled: its state, its callbacks, the branches that will not be taken, and the
 * event to the container it stands in. value: the result or the error map; sent: the message it was given, for its error
 * callbacks. Both borrowed. */
void mfi_end(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
             const mf_message *sent, int64_t now_ms, mfi_plan *plan);

/** Take an ended record away, its callbacks as told. MF_E_AGAIN: it was alive; it has ended as canceled now, without an end of
 * its callbacks, and is taken away the next time. */
mf_status mfi_remove_record(const mf_spec *spec, mf_state *state, const mf_removal *removal, int64_t now_ms, mfi_plan *plan);

/** Suspend or interrupt. MF_E_STATE: it has ended. */
mf_status mfi_halt(mf_state *state, mf_signature_status status, mfi_plan *plan);
/** Back to the status before the pause. MF_E_STATE: it is not paused. */
mf_status mfi_resume(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan);

/** Its deadline passed: a live one ends as failed and is a dead letter. */
void mfi_expire(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan);

/** The lock is a lease: it is there until its time is over, or until it is given back. renews: it must be there. */
mf_status mfi_lock(mf_state *state, uint64_t lock, bool renews, int64_t until_ms, int64_t now_ms, mfi_plan *plan);
mf_status mfi_unlock(mf_state *state, uint64_t lock, int64_t now_ms, mfi_plan *plan);

/** When a record that lives for ttl_ms from now on is overdue; 0: never. */
static inline int64_t mfi_deadline_ms(int64_t ttl_ms, int64_t now_ms)
{
    return ttl_ms > 0 ? now_ms + ttl_ms : 0;
}
/** When it is overdue, now that it begins: its own time counts from then on, unless an edit gave it longer. */
int64_t mfi_deadline_begun(const mf_spec *spec, const mf_state *state, int64_t begins_ms);

#endif
