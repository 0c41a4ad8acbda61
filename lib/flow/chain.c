#include "chain.h"

#include "compose.h"
#include "lifecycle.h"

/* What the item is called with: what is handed to it, under its return field when that is a result. */
static mf_message *call_message(const mf_item *item, const mf_message *handed, bool is_result,
                                const mf_message *containers, mfi_plan *plan)
{
    mf_message *first = NULL, *message = NULL;
    mf_error err;
    mf_status st = MF_OK;
    if (is_result)
        st = mfi_compose_handed(handed, item->spec->return_field, plan, &first, &err);
    if (st == MF_OK)
        st = mfi_compose_call(is_result ? first : handed, item->spec->kwargs, item->message, containers, plan, &message, &err);
    mf_message_unref(first);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, err.text);
    return message;
}

void mfi_item_publish(const mf_spec *container, const mf_state *state, const mf_item *item, uint64_t index,
                      const mf_message *handed, bool is_result, mfi_plan *plan)
{
    mf_message *containers = NULL;
    mf_error err;
    mf_status st = mfi_compose_kwargs(container, state, plan, &containers, &err);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return;
    }
    if (mf_key_is_set(&item->spec->key)) {
        mfi_plan_start(plan, &(mfi_start){.key = item->spec->key, .index = index, .container = container->key,
                                          .message = (mf_message *)(uintptr_t)handed, .is_result = is_result,
                                          .inherited = containers});
    } else {
        mf_message *message = call_message(item, handed, is_result, containers, plan);
        mfi_flow_call(item->spec, &(mf_unit){container->key, index, state->epoch}, message, plan);
    }
    mf_message_unref(containers);
}

static void publish_step(const mf_spec *spec, mf_state *state, const mf_message *handed, bool is_result, mfi_plan *plan)
{
    mfi_item_publish(spec, state, &spec->steps[state->next], state->next, handed, is_result, plan);
    state->next++;
    state->running = 1;
    plan->changed = true;
}

void mfi_chain_start(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    (void)now_ms;
    state->total = spec->step_count;
    publish_step(spec, state, state->input, false, plan);
}

bool mfi_item_ahead(mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    if (event->index < state->next)
        return false;
    if (mf_key_is_set(&event->child) && !mf_signature_status_ended(state->status))
        plan->changed = true;
    return true;
}

void mfi_count_item(mf_state *state, const mfi_flow_event *event)
{
    if (event->kind == MFI_EV_ITEM_DONE)
        state->done++;
    else if (event->kind == MFI_EV_ITEM_FAILED)
        state->failed++;
    else
        state->canceled++;
}

/* The last step that ran decides. */
static void end_after_step(const mf_spec *spec, mf_state *state, const mf_message *value, int64_t now_ms, mfi_plan *plan)
{
    if (state->canceled > 0)
        mfi_end(spec, state, MF_STATUS_CANCELED, value, state->input, now_ms, plan);
    else if (state->failed > 0)
        mfi_end(spec, state, MF_STATUS_FAILED, value, state->input, now_ms, plan);
    else
        mfi_end(spec, state, MF_STATUS_DONE, value, NULL, now_ms, plan);
}

/* A paused chain ends when it is resumed. */
static void hold_end(mf_state *state, const mf_message *value)
{
    mf_message_unref(state->result);
    state->result = mf_message_ref(value);
}

void mfi_chain_item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (mfi_item_ahead(state, event, plan) || state->running == 0 || event->index != state->next - 1)
        return;     /* or comes twice, or too late */
    state->running = 0;
    plan->changed = true;
    mfi_count_item(state, event);
    if (mf_signature_status_ended(state->status))
        return;     /* meanwhile: counted, and nothing follows */

    bool goes_on = event->kind == MFI_EV_ITEM_DONE && state->next < state->total;
    if (goes_on)
        publish_step(spec, state, event->value, true, plan);    /* a paused chain's is parked when it is claimed */
    else if (mf_signature_status_runs(state->status))
        end_after_step(spec, state, event->value, now_ms, plan);
    else
        hold_end(state, event->value);
}

void mfi_chain_resumed(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    if (state->next == 0 || state->running > 0)
        return;
    mf_message *value = mf_message_ref(state->result);
    end_after_step(spec, state, value, now_ms, plan);
    mf_message_unref(value);
}
