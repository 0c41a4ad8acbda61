/* flow/callbacks.h: the signatures that follow an end. */
#ifndef MFI_CALLBACKS_H
#define MFI_CALLBACKS_H

#include "plan.h"

/** Start the success callbacks of spec with its result. index: the item's, for callbacks that run once an item. */
void mfi_callbacks_success(const mf_spec *spec, uint64_t index, const mf_message *result, mfi_plan *plan);
/** Start the error callbacks with the message that was sent, and the error in their context. */
void mfi_callbacks_error(const mf_spec *spec, uint64_t index, const mf_message *sent, const mf_message *error,
                         mfi_plan *plan);

#endif
