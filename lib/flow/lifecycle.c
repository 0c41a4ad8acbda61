#include "lifecycle.h"

#include "callbacks.h"
#include "compose.h"
#include "framework.h"
#include "transition.h"

void mfi_status_set(mf_state *state, mf_signature_status status)
{
    state->last_status = state->status;
    state->status = status;
}

bool mfi_flow_should_run(mf_signature_status head, mf_signature_status above)
{
    return mf_signature_status_runs(head) && mf_signature_status_runs(above);
}

/* The end of a child is an event to its container, another record: it travels as a message of mageflow's own. */
static void tell_container(const mf_spec *spec, bool well, const mf_message *value, const mf_message *sent, mfi_plan *plan)
{
    const mf_spec *task = plan->framework->specs[mfi_framework_for_end(&spec->container, well)];
    mf_unit unit = {.key = spec->container, .index = spec->index};
    mf_message *message = NULL;
    mf_error err;
    mf_status st = MF_OK;
    if (well)
        message = mf_message_ref(value);
    else
        st = mfi_compose_pair("error", value, "message", sent, plan, &message, &err);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return;
    }
    mfi_plan_entry(plan, task, &unit, 1, message);
}

void mfi_flow_ended_before(const mf_spec *spec, mfi_plan *plan)
{
    if (mf_key_is_set(&spec->container))
        tell_container(spec, false, NULL, NULL, plan);      /* before its start it can only have been canceled */
}

void mfi_end(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
             const mf_message *sent, int64_t now_ms, mfi_plan *plan)
{
    mfi_status_set(state, status);
    state->ended_ms = now_ms;
    if (status != MF_STATUS_DONE)
        state->epoch++;         /* what is on its way must no longer run */
    mf_message_unref(state->result);
    state->result = mf_message_ref(value);
    plan->changed = true;

    if (status == MF_STATUS_DONE)
        mfi_callbacks_success(spec, spec->index, value, plan);
    else if (status == MF_STATUS_FAILED)
        mfi_callbacks_error(spec, spec->index, sent, value, plan);
    if (mf_key_is_set(&spec->container))
        tell_container(spec, status == MF_STATUS_DONE, value, sent, plan);
}
