#include "swarm.h"

#include <stdio.h>

#include "callbacks.h"
#include "chain.h"
#include "compose.h"
#include "foreign.h"
#include "framework.h"
#include "lifecycle.h"

uint64_t mfi_swarm_room(const mf_spec *spec, const mf_state *state)
{
    if (state->status != MF_STATUS_ACTIVE || state->running >= spec->max_concurrency)
        return 0;
    uint64_t free = spec->max_concurrency - state->running;
    if (spec->source.len > 0)
        return state->closed ? 0 : free;
    uint64_t left = state->total - state->next;
    return left < free ? left : free;
}

bool mfi_swarm_is_complete(const mf_spec *spec, const mf_state *state)
{
    return spec->kind == MF_KIND_SWARM && state->status == MF_STATUS_ACTIVE && state->closed &&
           state->next == state->total && state->running == 0;
}

/* The end reads all results, which the transition of an item does not: it comes as a message of its own. */
static void ask_for_fill(const mf_spec *spec, const mf_state *state, mfi_plan *plan)
{
    mf_unit unit = {spec->key, 0, state->epoch};
    mfi_plan_entry(plan, plan->framework->specs[MFI_SWARM_FILL], &unit, 1, NULL);
}

void mfi_swarm_start(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    state->expected = event->expected;
    if (mfi_swarm_is_complete(spec, state))
        ask_for_fill(spec, state, plan);
}

/* Nothing is merged over what is drawn, and no signature of its own is started with it. */
static bool draws_plainly(const mf_spec *spec, const mf_state *state)
{
    const mf_item *each = &spec->each;
    return each->spec->kwargs == NULL && each->message == NULL && mfi_kwargs_of(spec, state) == NULL && state->inherited == NULL &&
           !mf_key_is_set(&each->spec->key);
}

/* A drawn message is handed to the one task, as it is where nothing is to be merged; an added item receives the swarm's message below
 * its own. */
static void publish_item(const mf_spec *spec, const mf_state *state, bool drawn, mf_item *item, mfi_plan *plan)
{
    if (drawn && draws_plainly(spec, state)) {
        mfi_flow_call(spec->each.spec, &(mf_unit){spec->key, state->next, state->epoch}, item->message, plan);
        item->message = NULL;
        return;
    }
    if (drawn || spec->message_as_result) {
        mfi_item_publish(spec, state, drawn ? &spec->each : item, state->next, drawn ? item->message : state->input, !drawn, plan);
        return;
    }
    mf_message *handed = NULL;
    mf_error err;
    mf_status st = mfi_compose_for_item(state->input, item->spec->return_field, plan, &handed, &err);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, err.text);
    else
        mfi_item_publish(spec, state, item, state->next, handed, false, plan);
    mf_message_unref(handed);
}

void mfi_swarm_publish(const mf_spec *spec, mf_state *state, mf_item *items, size_t n, bool exhausted, mfi_plan *plan)
{
    bool drawn = spec->source.len > 0;
    if (n > 1 && !mfi_plan_reserve_entries(plan, n))    /* one finds its room by itself */
        return;
    for (size_t i = 0; i < n; i++) {
        publish_item(spec, state, drawn, &items[i], plan);
        if (plan->status != MF_OK)
            return;     /* what was published before it stays published */
        state->next++;
        state->running++;
    }
    if (drawn) {
        state->total = state->next;
        state->closed = state->closed || exhausted;
    }
    plan->changed = true;
    if (mfi_swarm_is_complete(spec, state))
        ask_for_fill(spec, state, plan);
}

void mfi_swarm_fill(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (mfi_swarm_is_complete(spec, state))
        mfi_end(spec, state, MF_STATUS_DONE, event->value, NULL, now_ms, plan);
}

static mf_signature_status outcome_status(const mfi_flow_event *event)
{
    if (event->kind == MFI_EV_ITEM_DONE)
        return MF_STATUS_DONE;
    return event->kind == MFI_EV_ITEM_FAILED ? MF_STATUS_FAILED : MF_STATUS_CANCELED;
}

/* Enough items have failed: the swarm ends as failed, once; what still runs is told to stop by its epoch. */
static void stop_after(const mf_spec *spec, mf_state *state, const mf_message *error, int64_t now_ms, mfi_plan *plan)
{
    mfi_failure failure = {.type = MF_STR_LIT("TooManyFailures"), .attempt = 1, .key = spec->key, .final = true};
    char text[160];
    mf_value last = {NULL, 0};
    mf_str   last_text = {NULL, 0};
    if (error != NULL && mf_value_get(mf_message_value(error), MF_STR_LIT("text"), &last) &&
        mf_value_str(last, &last_text) != MF_OK)
        last_text = mf_str_of(NULL, 0);
    int len = snprintf(text, sizeof text, "%llu item%s failed, stop_after_failures is %llu; the last: %.*s",
                       (unsigned long long)state->failed, state->failed == 1 ? "" : "s",
                       (unsigned long long)spec->stop_after_failures,
                       (int)(last_text.len < 80 ? last_text.len : 80), last_text.at == NULL ? "" : last_text.at);
    failure.text = mf_str_of(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
    mf_message *map = NULL;
    mf_status st = mfi_compose_error(&failure, plan->allocator, &map);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, "swarm: no memory for its error");
    else
        mfi_end(spec, state, MF_STATUS_FAILED, map, state->input, now_ms, plan);
    mf_message_unref(map);
}

static void look_for_end(const mf_spec *spec, mf_state *state, const mf_message *error, int64_t now_ms, mfi_plan *plan)
{
    if (spec->stop_after_failures > 0 && state->failed >= spec->stop_after_failures)
        stop_after(spec, state, error, now_ms, plan);
    else if (mfi_swarm_is_complete(spec, state))
        ask_for_fill(spec, state, plan);
}

void mfi_swarm_item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan)
{
    if (mfi_item_ahead(state, event, plan))
        return;
    mf_signature_status status = outcome_status(event);
    mfi_plan_outcome(plan, event->index, status, event->value);     /* refused as a whole if it has one already */
    state->running--;
    mfi_count_item(state, event);
    plan->changed = true;
    if (mf_signature_status_ended(state->status))
        return;     /* meanwhile: counted, and nothing follows */

    const mf_spec *each = spec->each.spec;
    if (each != NULL)
        mfi_foreign_ended(each, &(mf_unit){spec->key, event->index, state->epoch}, plan);
    if (each != NULL && status == MF_STATUS_DONE)
        mfi_callbacks_success(each, event->index, event->value, plan);
    else if (each != NULL && status == MF_STATUS_FAILED)
        mfi_callbacks_error(each, event->index, event->sent, event->value, plan);

    if (mf_signature_status_runs(state->status))    /* a paused one ends when it is resumed */
        look_for_end(spec, state, event->value, now_ms, plan);
}

void mfi_swarm_resumed(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    look_for_end(spec, state, NULL, now_ms, plan);
}

/* ---- adding while it runs ----------------------------------------------------------------------------------------- */

mf_status mfi_swarm_add(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan)
{
    if (spec->kind != MF_KIND_SWARM || spec->source.len > 0)
        return MF_E_INVALID;
    if (mf_signature_status_ended(state->status))
        return MF_E_STATE;
    if (state->closed)
        return MF_E_CLOSED;
    if (spec->max_items > 0 && (state->total >= spec->max_items || event->item_count > spec->max_items - state->total))
        return MF_E_FULL;
    if (event->from != UINT64_MAX && event->from != state->total)
        return MF_E_CONFLICT;
    mfi_plan_items(plan, state->total, event->items, event->item_count);
    state->total += event->item_count;
    state->closed = spec->close_on_max && state->total == spec->max_items;
    plan->changed = true;
    return MF_OK;
}

mf_status mfi_swarm_close(const mf_spec *spec, mf_state *state, mfi_plan *plan)
{
    if (spec->kind != MF_KIND_SWARM || spec->source.len > 0)
        return MF_E_INVALID;
    if (mf_signature_status_ended(state->status))
        return MF_E_STATE;
    if (state->closed)
        return MF_OK;
    state->closed = true;
    plan->changed = true;
    if (mfi_swarm_is_complete(spec, state))
        ask_for_fill(spec, state, plan);
    return MF_OK;
}
