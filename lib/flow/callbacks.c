#include "callbacks.h"

/* A success callback's message depends on its own return field, which its record names: the result travels as it is and
 * is put in its place when the start becomes an entry (mfi_flow_start_entry). */
void mfi_callbacks_success(const mf_spec *spec, uint64_t index, const mf_message *result, mfi_plan *plan)
{
    for (size_t i = 0; i < spec->on_success_count; i++)
        mfi_plan_start(plan, &(mfi_start){.key = spec->on_success[i], .index = index, .message = (mf_message *)(uintptr_t)result,
                                          .is_result = true});
}

void mfi_callbacks_error(const mf_spec *spec, uint64_t index, const mf_message *sent, const mf_message *error,
                         mfi_plan *plan)
{
    for (size_t i = 0; i < spec->on_error_count; i++)
        mfi_plan_start(plan, &(mfi_start){.key = spec->on_error[i], .index = index, .message = (mf_message *)(uintptr_t)sent,
                                          .error = (mf_message *)(uintptr_t)error});
}
