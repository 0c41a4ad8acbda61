#include "transition.h"

#include "chain.h"
#include "compose.h"
#include "framework.h"
#include "lifecycle.h"
#include "swarm.h"

void mfi_flow_event_release(mfi_flow_event *event)
{
    mf_message_unref(event->value);
    mf_message_unref(event->sent);
    mf_message_unref(event->inherited);
    event->value = event->sent = event->inherited = NULL;
}

/* It was canceled before its start, and its start was under way then: its container, which was not waiting for it when it was
 * told, is waiting now. */
static bool ended_before(const mf_spec *spec, const mf_state *state, mfi_plan *plan)
{
    if (state->started_ms != 0 || !mf_signature_status_ended(state->status))
        return false;
    mfi_flow_ended_before(spec, plan);
    return true;
}

static void start(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (ended_before(spec, state, plan) || state->status != MF_STATUS_PENDING || state->started_ms != 0)
        return;     /* started already */
    state->started_ms = now_ms;
    state->input = mf_message_ref(event->value);
    state->inherited = mf_message_ref(event->inherited);
    mfi_status_set(state, MF_STATUS_ACTIVE);
    plan->changed = true;
    if (spec->kind == MF_KIND_CHAIN)
        mfi_chain_start(spec, state, now_ms, plan);
    else
        mfi_swarm_start(spec, state, event, plan);
}

static void task_item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (ended_before(spec, state, plan) || !mf_signature_status_runs(state->status))
        return;
    static const mf_signature_status ends[] = {
        [MFI_EV_ITEM_DONE] = MF_STATUS_DONE,
        [MFI_EV_ITEM_FAILED] = MF_STATUS_FAILED,
        [MFI_EV_ITEM_CANCELED] = MF_STATUS_CANCELED,
    };
    mfi_count_item(state, event);
    mfi_end(spec, state, ends[event->kind], event->value, event->sent, now_ms, plan);
}

static void item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (spec->numbered)
        return;     /* a callback that runs once an item: each run is its own, the record has no end */
    if (spec->kind == MF_KIND_CHAIN)
        mfi_chain_item(spec, state, event, now_ms, plan);
    else if (spec->kind == MF_KIND_SWARM)
        mfi_swarm_item(spec, state, event, now_ms, plan);
    else
        task_item(spec, state, event, now_ms, plan);
}

void mfi_flow_apply(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    mfi_plan_settle(plan, event->settle);
    switch (event->kind) {
    case MFI_EV_START:
        if (spec->kind != MF_KIND_TASK)
            start(spec, state, event, now_ms, plan);
        break;
    case MFI_EV_FILL:
        if (spec->kind == MF_KIND_SWARM)
            mfi_swarm_fill(spec, state, event, now_ms, plan);
        break;
    case MFI_EV_ITEM_DONE:
    case MFI_EV_ITEM_FAILED:
    case MFI_EV_ITEM_CANCELED:
        item(spec, state, event, now_ms, plan);
        break;
    case MFI_EV_CANCEL:
        if (!mf_signature_status_ended(state->status))
            mfi_end(spec, state, MF_STATUS_CANCELED, event->value, state->input, now_ms, plan);
        break;
    case MFI_EV_FAIL:
        if (!mf_signature_status_ended(state->status))
            mfi_end(spec, state, MF_STATUS_FAILED, event->value, state->input, now_ms, plan);
        break;
    case MFI_EV_SETTLE:
        break;
    }
}

/* ---- starts ------------------------------------------------------------------------------------------------------ */

/* What is handed to it: a result comes in the return field that its record names. */
static mf_message *handed_message(const mf_spec *spec, const mfi_start *start, mfi_plan *plan)
{
    if (!start->is_result)
        return mf_message_ref(start->message);
    mf_message *handed = NULL;
    mf_error err;
    mf_status st = mfi_compose_handed(start->message, spec->return_field, plan, &handed, &err);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, err.text);
    return handed;
}

/* A task is called itself. A container is started by mageflow's own task, since its record changes. */
void mfi_flow_start_entry(const mf_spec *spec, uint32_t epoch, const mfi_start *start, mfi_plan *plan)
{
    mf_unit unit = {spec->key, spec->numbered ? start->index : 0, epoch};
    bool is_task = spec->kind == MF_KIND_TASK;
    mf_message *handed = handed_message(spec, start, plan), *message = NULL;
    mf_error err;
    mf_status st = plan->status;
    if (st == MF_OK)
        st = is_task ? mfi_compose_call(handed, spec, NULL, start->inherited, plan, &message, &err)
                     : mfi_compose_pair("message", handed, "inherited", start->inherited, plan, &message, &err);
    mf_message_unref(handed);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return;
    }
    mfi_plan_entry(plan, is_task ? spec : plan->framework->specs[MFI_RUN_FLOW], &unit, 1, message);
    if (is_task && plan->status == MF_OK)
        plan->entries[plan->entry_count - 1].error = mf_message_ref(start->error);
}
