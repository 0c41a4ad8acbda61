#include "transition.h"

#include "chain.h"
#include "compose.h"
#include "foreign.h"
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

/* It was paused while its start was under way: the start waits with it, and is due at once should it go on meanwhile. */
static bool start_waits(const mf_spec *spec, const mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    mf_message *message = NULL;
    mf_error err;
    if (!mfi_status_pauses(state->status) || state->last_status != MF_STATUS_PENDING)
        return false;
    mf_status st = mfi_compose_pair("message", event->value, "inherited", event->inherited, plan, &message, &err);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return true;
    }
    mfi_plan_entry(plan, plan->framework->specs[MFI_RUN_FLOW], &(mf_unit){.key = spec->key, .epoch = state->epoch}, 1, message);
    if (plan->status == MF_OK) {
        plan->entries[plan->entry_count - 1].parked = spec->key;
        plan->entries[plan->entry_count - 1].priority = event->priority;
    }
    return true;
}

/* How urgent what a record sends is: as was said of itself, or else as what brought it here. */
static int32_t urgency(const mf_state *state, int32_t of_message)
{
    return state->priority != 0 ? state->priority : of_message;
}

static void start(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (start_waits(spec, state, event, plan))
        return;
    if (state->status != MF_STATUS_PENDING)
        return;     /* started already, or ended before */
    if (state->started_ms == 0) {       /* else its time counts since its mf_start, or an edit since */
        state->started_ms = now_ms;
        state->deadline_ms = mfi_deadline_begun(spec, state, now_ms);
    }
    state->priority = plan->priority = urgency(state, event->priority);
    mf_message_unref(state->input);
    mf_message_unref(state->inherited);
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
    if (mf_signature_status_ended(state->status))
        return;     /* a paused one that ran to its end has ended */
    static const mf_signature_status ends[] = {
        [MFI_EV_ITEM_DONE] = MF_STATUS_DONE,
        [MFI_EV_ITEM_FAILED] = MF_STATUS_FAILED,
        [MFI_EV_ITEM_CANCELED] = MF_STATUS_CANCELED,
    };
    mfi_count_item(state, event);
    plan->priority = urgency(state, event->priority);
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

static mf_status resume(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    mf_status st = mfi_resume(spec, state, now_ms, plan);
    if (st == MF_OK && state->status == MF_STATUS_ACTIVE && spec->kind == MF_KIND_CHAIN)
        mfi_chain_resumed(spec, state, now_ms, plan);
    else if (st == MF_OK && state->status == MF_STATUS_ACTIVE && spec->kind == MF_KIND_SWARM)
        mfi_swarm_resumed(spec, state, now_ms, plan);
    return st;
}

/* What a durable task waited for is there: it is called again, and whatever else would call it must not. */
static mf_status wake(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    mfi_plan_note(plan, event->note);
    if (spec->kind != MF_KIND_TASK || mf_signature_status_ended(state->status))
        return MF_E_STATE;
    state->epoch++;
    plan->changed = true;
    mfi_plan_outcome(plan, event->index, MF_STATUS_DONE, event->value);
    mfi_plan_entry(plan, spec, &(mf_unit){spec->key, 0, state->epoch}, event->attempt, mf_message_ref(event->sent));
    return MF_OK;
}

static mf_status end_by(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
                        int64_t now_ms, mfi_plan *plan)
{
    if (mf_signature_status_ended(state->status))
        return MF_E_STATE;
    mfi_end(spec, state, status, value, state->input, now_ms, plan);
    return MF_OK;
}

static void plan_notes(const mfi_flow_event *event, mfi_plan *plan)
{
    for (size_t i = 0; i < event->note_count; i++)
        mfi_plan_note(plan, &event->note[i]);
}

static mf_status remove_record(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    mf_status st = mfi_remove_record(spec, state, &event->removal, now_ms, plan);
    if (st == MF_OK)
        plan_notes(event, plan);
    return st;
}

static mf_status add(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    mf_status st = mfi_swarm_add(spec, state, event, plan);
    if (st == MF_OK)
        plan_notes(event, plan);
    return st;
}

mf_status mfi_flow_apply(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    plan->now_ms = now_ms;
    plan->priority = state->priority;
    mfi_plan_settle(plan, event->settle);
    switch (event->kind) {
    case MFI_EV_START:
        if (spec->kind != MF_KIND_TASK)
            start(spec, state, event, now_ms, plan);
        return MF_OK;
    case MFI_EV_FILL:
        if (spec->kind == MF_KIND_SWARM)
            mfi_swarm_fill(spec, state, event, now_ms, plan);
        return MF_OK;
    case MFI_EV_ITEM_DONE:
    case MFI_EV_ITEM_FAILED:
    case MFI_EV_ITEM_CANCELED:
        item(spec, state, event, now_ms, plan);
        return MF_OK;
    case MFI_EV_CANCEL:
        return end_by(spec, state, MF_STATUS_CANCELED, event->value, now_ms, plan);
    case MFI_EV_FAIL:
        return end_by(spec, state, MF_STATUS_FAILED, event->value, now_ms, plan);
    case MFI_EV_SUSPEND:
        return mfi_halt(state, MF_STATUS_SUSPENDED, plan);
    case MFI_EV_INTERRUPT:
        return mfi_halt(state, MF_STATUS_INTERRUPTED, plan);
    case MFI_EV_RESUME:
        return resume(spec, state, now_ms, plan);
    case MFI_EV_REMOVE:
        return remove_record(spec, state, event, now_ms, plan);
    case MFI_EV_ADD:
        return add(spec, state, event, plan);
    case MFI_EV_CLOSE:
        return mfi_swarm_close(spec, state, plan);
    case MFI_EV_EXPIRE:
        mfi_expire(spec, state, now_ms, plan);
        return MF_OK;
    case MFI_EV_WAKE:
        return wake(spec, state, event, plan);
    case MFI_EV_LOCK:
        return mfi_lock(state, event->lock, event->renews, event->until_ms, now_ms, plan);
    case MFI_EV_UNLOCK:
        return mfi_unlock(state, event->lock, now_ms, plan);
    case MFI_EV_SETTLE:
        break;
    }
    return MF_OK;
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

void mfi_flow_call(const mf_spec *spec, const mf_unit *unit, mf_message *message, mfi_plan *plan)
{
    mfi_plan_entry(plan, spec, unit, 1, message);
    if (spec->foreign && plan->status == MF_OK)
        mfi_foreign_called(spec, unit, plan->entries[plan->entry_count - 1].message, plan);
}

/* A task is called itself. A container is started by mageflow's own task, since its record changes. */
void mfi_flow_start_entry(const mf_spec *spec, const mf_state *state, const mfi_start *start, mfi_plan *plan)
{
    mf_unit unit = {spec->key, spec->numbered ? start->index : 0, state->epoch};
    bool is_task = spec->kind == MF_KIND_TASK;
    mf_message *handed = handed_message(spec, start, plan), *message = NULL;
    mf_error err;
    mf_status st = plan->status;
    if (st == MF_OK)
        st = is_task ? mfi_compose_call(handed, mfi_kwargs_of(spec, state), NULL, start->inherited, plan, &message, &err)
                     : mfi_compose_pair("message", handed, "inherited", start->inherited, plan, &message, &err);
    mf_message_unref(handed);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return;
    }
    size_t at = plan->entry_count, note = plan->note_count;
    int32_t of_plan = plan->priority;
    plan->priority = urgency(state, of_plan);
    if (is_task)
        mfi_flow_call(spec, &unit, message, plan);
    else
        mfi_plan_entry(plan, plan->framework->specs[MFI_RUN_FLOW], &unit, 1, message);
    plan->priority = of_plan;
    if (plan->status != MF_OK)
        return;
    if (is_task)
        plan->entries[at].error = mf_message_ref(start->error);
    if (spec->stagger_ms > 0)       /* and with it every time that is counted from its beginning */
        mfi_plan_put_off(plan, at, note, (int64_t)mfi_plan_random(plan, (uint64_t)spec->stagger_ms));
}
