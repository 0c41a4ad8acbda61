/* flow/lifecycle.h: how a signature comes to its end, whatever kind it is. */
#ifndef MFI_LIFECYCLE_H
#define MFI_LIFECYCLE_H

#include "plan.h"

/** End the signature as done, failed or canceled: its state, its callbacks, and the event to the container it stands in.
 * value: the result or the error map; sent: the message it was given, for its error callbacks. Both borrowed. */
void mfi_end(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
             const mf_message *sent, int64_t now_ms, mfi_plan *plan);

void mfi_status_set(mf_state *state, mf_signature_status status);

#endif
