#include "lifecycle.h"

#include "callbacks.h"
#include "compose.h"
#include "foreign.h"
#include "framework.h"
#include "transition.h"

void mfi_status_set(mf_state *state, mf_signature_status status)
{
    state->last_status = state->status;
    state->status = status;
}

bool mfi_flow_is_locked(const mf_state *state, int64_t now_ms)
{
    return state->lock != 0 && state->lock_until_ms > now_ms;
}

bool mfi_flow_waits_for_lock(mfi_flow_event_kind kind)
{
    return kind != MFI_EV_LOCK && kind != MFI_EV_UNLOCK && kind != MFI_EV_SETTLE;
}

bool mfi_flow_is_verb(mfi_flow_event_kind kind)
{
    return kind == MFI_EV_CANCEL || kind == MFI_EV_SUSPEND || kind == MFI_EV_INTERRUPT || kind == MFI_EV_RESUME ||
           kind == MFI_EV_REMOVE || kind == MFI_EV_ADD || kind == MFI_EV_CLOSE;
}

bool mfi_flow_should_run(mf_signature_status head, mf_signature_status above)
{
    return mf_signature_status_runs(head) && mf_signature_status_runs(above);
}

/* The end of a child is an event to its container, another record: it travels as a message of mageflow's own. child: it ended
 * before it started, and says who it is; else NULL. */
static void tell_container(const mf_key *container, uint64_t index, bool well, const mf_message *value,
                           const mf_message *sent, const mf_key *child, mfi_plan *plan)
{
    const mf_spec *task = plan->framework->specs[mfi_framework_for_end(container, well)];
    mf_unit unit = {.key = *container, .index = index};
    mf_message *message = NULL;
    mf_error err;
    mf_status st = MF_OK;
    if (well)
        message = mf_message_ref(value);
    else if (child != NULL)
        st = mfi_compose_child_end(value, child, plan, &message, &err);
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
        tell_container(&spec->container, spec->index, false, NULL, NULL, &spec->key, plan);  /* before its start it can only be canceled */
}

/* An error of the flow itself, by no task. */
static mf_message *flow_error(const char *type, const char *text, const mf_key *key, uint64_t index, mfi_plan *plan)
{
    mf_message *map = NULL;
    mfi_failure failure = {.type = mf_cstr(type), .text = mf_cstr(text), .attempt = 1, .key = *key, .index = index,
                           .final = true};
    mf_status st = mfi_compose_error(&failure, plan->allocator, &map);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, "flow: no memory for an error");
    return map;
}

/* What waits for a signature that was removed takes that for its failure, whether it had started or not. */
static void tell_removed(const mf_key *container, uint64_t index, const mf_key *key, bool started, const mf_message *sent, mfi_plan *plan)
{
    mf_message *map = flow_error("Removed", "the signature was removed before it ended", key, index, plan);
    if (map != NULL)
        tell_container(container, index, false, map, sent, started ? NULL : key, plan);
    mf_message_unref(map);
}

void mfi_flow_gone(const mfi_start *start, mfi_plan *plan)
{
    if (mf_key_is_set(&start->container))
        tell_removed(&start->container, start->index, &start->key, false, start->message, plan);
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

/* What will not follow any more. */
static void remove_branches(const mf_key *keys, size_t n, mfi_plan *plan)
{
    for (size_t i = 0; i < n; i++)
        mfi_plan_removal(plan, &keys[i], true, true);
}

/* Signatures below an ended container find out when their next message is claimed; one that is suspended has none that
 * could be. So whoever reads the items tells them, in a message of its own. */
static void tell_below(const mf_spec *spec, const mf_state *state, mfi_plan *plan)
{
    bool has_records = spec->kind == MF_KIND_CHAIN
                           ? state->next > 0 && mf_key_is_set(&spec->steps[state->next - 1].spec->key)
                           : spec->kind == MF_KIND_SWARM && spec->source.len == 0;
    if (has_records && state->running > 0)
        mfi_plan_entry(plan, plan->framework->specs[MFI_SWARM_FILL], &(mf_unit){spec->key, 0, state->epoch}, 1, NULL);
}

static void end_state(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
                      int64_t now_ms, mfi_plan *plan)
{
    plan->resumes = plan->resumes || mfi_status_pauses(state->status);
    if (spec->kind == MF_KIND_TASK)
        mfi_foreign_ended(spec, &(mf_unit){.key = spec->key, .epoch = state->epoch}, plan);
    mfi_status_set(state, status);
    state->ended_ms = now_ms;
    state->deadline_ms = mfi_deadline_ms(spec->keep_ms, now_ms);
    if (status != MF_STATUS_DONE)
        state->epoch++;         /* what is on its way must no longer run */
    mf_message_unref(state->result);
    state->result = mf_message_ref(value);
    if (spec->kind == MF_KIND_TASK && status == MF_STATUS_DONE) {       /* it was for what does not end well */
        mf_message_unref(state->input);
        state->input = NULL;
    }
    plan->changed = true;
    if (status != MF_STATUS_DONE)
        tell_below(spec, state, plan);
}

void mfi_end(const mf_spec *spec, mf_state *state, mf_signature_status status, const mf_message *value,
             const mf_message *sent, int64_t now_ms, mfi_plan *plan)
{
    end_state(spec, state, status, value, now_ms, plan);
    if (status == MF_STATUS_DONE)
        mfi_callbacks_success(spec, spec->index, value, plan);
    else
        remove_branches(spec->on_success, spec->on_success_count, plan);
    if (status == MF_STATUS_FAILED)
        mfi_callbacks_error(spec, spec->index, sent, value, plan);
    else
        remove_branches(spec->on_error, spec->on_error_count, plan);
    if (mf_key_is_set(&spec->container))
        tell_container(&spec->container, spec->index, status == MF_STATUS_DONE, value, sent,
                       state->started_ms == 0 ? &spec->key : NULL, plan);
}

/* Calls that run below a record are found by the way up from them: so it ends first, they are told, and then it goes. */
mf_status mfi_remove_record(const mf_spec *spec, mf_state *state, const mf_removal *removal, int64_t now_ms, mfi_plan *plan)
{
    if (mf_signature_status_ended(state->status)) {
        mfi_plan_removal(plan, &spec->key, removal->on_success, removal->on_error);
        return MF_OK;
    }
    end_state(spec, state, MF_STATUS_CANCELED, NULL, now_ms, plan);
    if (mf_key_is_set(&spec->container))
        tell_removed(&spec->container, spec->index, &spec->key, state->started_ms != 0, state->input, plan);
    return MF_E_AGAIN;
}

void mfi_expire(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    if (!mf_signature_status_runs(state->status) || state->deadline_ms == 0 || state->deadline_ms > now_ms)
        return;
    mf_message *map = flow_error("Expired", "its time to live was over before it ended", &spec->key, spec->index, plan);
    if (map == NULL)
        return;
    mfi_end(spec, state, MF_STATUS_FAILED, map, state->input, now_ms, plan);
    plan->dead = "Expired";
    mf_message_unref(map);
}

int64_t mfi_deadline_begun(const mf_spec *spec, const mf_state *state, int64_t begins_ms)
{
    int64_t own = mfi_deadline_ms(spec->ttl_ms, begins_ms);
    bool edited_away = state->deadline_ms == 0 && !mf_key_is_set(&spec->parent);    /* what stands in nothing has one from its storing on */
    return edited_away || own < state->deadline_ms ? state->deadline_ms : own;
}

/* ---- pauses and locks --------------------------------------------------------------------------------------------- */

/* last_status keeps what it was before the first of several pauses. */
mf_status mfi_halt(mf_state *state, mf_signature_status status, mfi_plan *plan)
{
    if (mf_signature_status_ended(state->status))
        return MF_E_STATE;
    if (state->status == status || state->status == MF_STATUS_INTERRUPTED)
        return MF_OK;
    if (mfi_status_pauses(state->status))
        state->status = status;
    else
        mfi_status_set(state, status);
    state->deadline_ms = 0;     /* what is suspended does not expire */
    plan->changed = true;
    return MF_OK;
}

mf_status mfi_resume(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan)
{
    if (!mfi_status_pauses(state->status))
        return MF_E_STATE;
    mfi_status_set(state, state->last_status);
    state->deadline_ms = mf_key_is_set(&spec->parent) && state->status == MF_STATUS_PENDING
                             ? 0 : mfi_deadline_ms(spec->ttl_ms, now_ms);
    plan->resumes = plan->changed = true;
    return MF_OK;
}

mf_status mfi_lock(mf_state *state, uint64_t lock, bool renews, int64_t until_ms, int64_t now_ms, mfi_plan *plan)
{
    if (mfi_flow_is_locked(state, now_ms) && state->lock != lock)
        return MF_E_STATE;
    if (renews && !mfi_flow_is_locked(state, now_ms))
        return MF_E_STALE;      /* it may have changed meanwhile */
    state->lock = lock;
    state->lock_until_ms = until_ms;
    plan->changed = true;
    return MF_OK;
}

mf_status mfi_unlock(mf_state *state, uint64_t lock, int64_t now_ms, mfi_plan *plan)
{
    if (!mfi_flow_is_locked(state, now_ms) || state->lock != lock)
        return MF_E_STALE;
    state->lock = 0;
    state->lock_until_ms = 0;
    plan->changed = true;
    return MF_OK;
}
