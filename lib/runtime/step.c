/* One batch of events of one record: read → transitions → one commit, again while a guard refuses.
 *
 * What cannot be done now (no memory, a store that does not answer) is tried until it can: an outcome must not be lost. What
 * can never be done (a message above the limits, a source that fails) ends the flow as failed, with the reason as error. */
#include "mailbox.h"

#include "clock.h"
#include "compose.h"
#include "here.h"
#include "memory.h"
#include "record.h"
#include "thread.h"

/* Without memory, or with a store that answers no more, an outcome must still not be lost: it is kept and tried again. */
void mfi_pause_before_retry(mf_client *client, mf_status st, const mf_error *err, unsigned *tries)
{
    if ((*tries)++ == 0)
        mfi_log_about(client, MF_LOG_ERROR, NULL, err->text, "the store does not answer, trying again: %s", mf_status_name(st));
    unsigned shift = *tries < 7 ? *tries : 7;
    mfi_thread_sleep(mf_milliseconds(1) << shift);
}

static mf_status read_record(mf_client *client, mfi_mailbox *box, mf_error *err)
{
    if (box->record.spec != NULL)
        return MF_OK;
    return mf_store_load(client->store, &box->key, 1, &box->record, err);
}

static void forget_record(mfi_mailbox *box)
{
    mf_record_release(&box->record);
    memset(&box->record, 0, sizeof box->record);
}

/* A complete swarm's end needs its results: they are read before the transition, which reads nothing. So an end that shares
 * its batch with outcomes, which the store will know only after the commit, is not for now (false): what completed the swarm
 * asked for another fill, which finds them all. */
static bool gather_for_fill(mf_client *client, mfi_mailbox *box, const mf_state *state, mfi_flow_event *event)
{
    const mf_spec *spec = box->record.spec;
    if (event->kind != MFI_EV_FILL || event->value != NULL || !mfi_swarm_is_complete(spec, state))
        return true;
    if (box->plan->outcome_count > 0)
        return false;
    bool wanted = spec->on_success_count > 0 || mf_key_is_set(&spec->container);
    mf_error err;
    mf_status st = mfi_gather_end(client, spec, state, wanted, box->plan, &event->value, &err);
    if (st != MF_OK)
        mfi_plan_fail(box->plan, st, err.text);
    return true;
}

/* Starts become entries now that the records they name can be read. */
static void resolve_starts(mf_client *client, mfi_plan *plan)
{
    for (size_t i = 0; i < plan->start_count && plan->status == MF_OK; i++) {
        mf_record record = {0};
        mf_error err;
        mf_status st = mf_store_load(client->store, &plan->starts[i].key, 1, &record, &err);
        if (st != MF_OK)
            mfi_plan_fail(plan, st, err.text);
        else if (record.spec == NULL)
            mfi_flow_gone(&plan->starts[i], plan);
        else if (mf_signature_status_ended(record.state.status))
            mfi_flow_ended_before(record.spec, plan);
        else
            mfi_flow_start_entry(record.spec, &record.state, &plan->starts[i], plan);
        mf_record_release(&record);
    }
}

/* What failed will fail again however often it is tried: the flow itself ends as failed, with this as its error. */
static void fail_flow(mfi_mailbox *box, mf_state *state, const mf_error *why, int64_t now_ms)
{
    mf_message *map = NULL;
    mfi_failure failure = {.type = mf_cstr(mf_status_name(why->status)), .text = mf_cstr(why->text), .attempt = 1,
                           .key = box->key, .final = true};
    mf_status st = mfi_compose_error(&failure, box->plan->allocator, &map);
    if (st != MF_OK) {
        mfi_plan_fail(box->plan, st, "no memory for an error");
        return;
    }
    mfi_flow_event end = {.kind = MFI_EV_FAIL, .value = map};
    mfi_here.fails = true;
    mfi_flow_apply(box->record.spec, state, &end, now_ms, box->plan);
    mf_message_unref(map);
}

/* The same where a transition failed in the middle, or its commit was refused for good: from the record as it was, with
 * the deliveries settled. */
static void fail_flow_anew(mfi_mailbox *box, mf_state *state, mf_error why, int64_t now_ms)
{
    mfi_plan_reset(box->plan);
    mf_state_unref(state);
    *state = box->record.state;
    mf_state_ref(state);
    for (size_t i = 0; i < box->batch.count; i++)
        if (!box->batch.at[i].stale)
            mfi_plan_settle(box->plan, box->batch.at[i].event.settle);
    fail_flow(box, state, &why, now_ms);
}

static bool is_passing(mf_status st)
{
    return st == MF_E_NOMEM || st == MF_E_IO || st == MF_E_TIMEOUT;
}

/* What the batch's events make of the state. */
static void apply_events(mf_client *client, mfi_mailbox *box, bool may_draw, mf_state *state, int64_t now_ms)
{
    mfi_plan *plan = box->plan;
    for (size_t i = 0; i < box->batch.count && plan->status == MF_OK; i++) {
        struct mfi_posted *p = &box->batch.at[i];
        if (p->stale)
            continue;
        if (mfi_is_of_another_item(client, box->record.spec, state, &p->event, plan) ||
            !gather_for_fill(client, box, state, &p->event))
            mfi_plan_settle(plan, p->event.settle);
        else if (plan->status == MF_OK)
            p->answer = mfi_flow_apply(box->record.spec, state, &p->event, now_ms, plan);
    }
    if (plan->status == MF_OK) {
        mfi_draw(client, box->record.spec, state, may_draw, plan);
        if (plan->status != MF_OK && !is_passing(plan->status)) {    /* what the batch told before stays told */
            mf_error why = plan->error;
            plan->status = MF_OK;
            fail_flow(box, state, &why, now_ms);
        }
    }
}

/* Everything up to the commit: the new state and a complete plan. refused: the store will never take what the events make
 * of the record; NULL: it was not asked yet. */
static mf_status prepare(mf_client *client, mfi_mailbox *box, bool may_draw, const mf_error *refused, mf_state *state,
                         mf_error *err)
{
    mfi_plan *plan = box->plan;
    int64_t now_ms = mf_store_now_ms(client->store);
    mfi_here.fails = false;
    mfi_plan_reset(plan);
    plan->random = mfi_client_random(client);
    if (refused != NULL)
        fail_flow_anew(box, state, *refused, now_ms);
    else
        apply_events(client, box, may_draw, state, now_ms);
    resolve_starts(client, plan);
    if (plan->status != MF_OK && !is_passing(plan->status)) {
        fail_flow_anew(box, state, plan->error, now_ms);
        resolve_starts(client, plan);
    }
    if (plan->status != MF_OK && !is_passing(plan->status)) {
        mfi_log_about(client, MF_LOG_ERROR, &(mf_delivery){.unit.key = box->key}, plan->error.text, "a callback cannot be started");
        fail_flow_anew(box, state, plan->error, now_ms);    /* and its callbacks are left out */
    }
    if (plan->status != MF_OK)
        *err = plan->error;
    return plan->status;
}

/* The deliveries that the batch ends. Without memory for the list their manager is asked for each later on. */
static size_t gather_deliveries(mf_client *client, mfi_mailbox *box)
{
    size_t n = 0;
    for (size_t i = 0; i < box->batch.count; i++) {
        const struct mfi_posted *p = &box->batch.at[i];
        if (p->stale || p->event.delivery == NULL)
            continue;
        if (!mfi_array_reserve(client->allocator, (void **)&box->deliveries, &box->delivery_capacity, n + 1,
                               sizeof *box->deliveries))
            break;
        box->deliveries[n++] = p->event.delivery;
    }
    return n;
}

static mf_status commit(mf_client *client, mfi_mailbox *box, const mf_state *state, mf_refusal *refusal, mf_error *err)
{
    mfi_plan *plan = box->plan;
    mf_note dead = {.value = NULL};
    mf_status st = plan->dead == NULL ? MF_OK : mfi_dead_note(client, box->record.spec, state, plan->dead, &dead, err);
    if (st == MF_OK && dead.value != NULL)
        mfi_plan_note(plan, &dead);
    if (st == MF_OK)
        st = plan->status;
    if (st != MF_OK) {
        mf_message_unref(dead.value);
        return st;
    }
    mf_batch batch = {
        .key = box->key, .version = box->record.state.version, .state = plan->changed ? state : NULL,
        .outcomes = plan->outcomes, .outcome_count = plan->outcome_count,
        .settles = plan->settles, .settle_count = plan->settle_count,
        .entries = plan->entries, .entry_count = plan->entry_count,
        .removals = plan->removals, .removal_count = plan->removal_count,
        .items = plan->items, .item_count = plan->item_count, .items_from = plan->items_from,
        .notes = plan->notes, .note_count = plan->note_count,
    };
    batch.delivery_count = gather_deliveries(client, box);
    batch.deliveries = box->deliveries;
    if (plan->resumes)
        batch.resume = box->key;
    if (plan->changed || batch.settle_count > 0 || batch.entry_count > 0 || batch.removal_count > 0 || batch.note_count > 0)
        st = mfi_commit(client, &batch, refusal, err);
    mf_message_unref(dead.value);
    return st;
}

static bool is_item(const mfi_flow_event *event)
{
    return event->kind == MFI_EV_ITEM_DONE || event->kind == MFI_EV_ITEM_FAILED || event->kind == MFI_EV_ITEM_CANCELED;
}

/* A guard refused. A record that moved on is read again; an outcome that is known already leaves only its delivery to
 * settle; a claim that was taken over leaves nothing. */
static void after_refusal(mfi_mailbox *box, const mf_refusal *refusal)
{
    struct mfi_posted *at = box->batch.at;
    struct mfi_posted *second = NULL;
    switch (refusal->guard) {
    case MF_GUARD_OUTCOME:
        for (size_t i = 0; i < box->batch.count; i++)
            if (!at[i].stale && (is_item(&at[i].event) || at[i].event.kind == MFI_EV_WAKE) &&
                at[i].event.index == box->plan->outcomes[refusal->index].index)
                second = &at[i];    /* the last one, where the same outcome came twice in this batch */
        if (second != NULL && second->event.kind == MFI_EV_WAKE)
            second->stale = true;       /* it went on already, its time was over */
        else if (second != NULL)
            second->event.kind = MFI_EV_SETTLE;
        break;
    case MF_GUARD_SETTLE:
        for (size_t i = 0; i < box->batch.count; i++)
            if (at[i].event.settle == box->plan->settles[refusal->index])
                at[i].stale = true;
        break;
    default:
        forget_record(box);
        break;
    }
}

static bool removes_itself(const mfi_mailbox *box)
{
    for (size_t i = 0; i < box->plan->removal_count; i++)
        if (mf_key_eq(&box->plan->removals[i].key, &box->key))
            return true;
    return false;
}

static void remember(mfi_mailbox *box, mf_state *state)
{
    if (removes_itself(box)) {
        mf_state_unref(state);
        forget_record(box);
    } else if (box->plan->changed) {
        mf_state_unref(&box->record.state);
        mfi_state_copy(&box->record.state, state);
        box->record.state.version++;
    } else {
        mf_state_unref(state);
    }
}

/* The record is gone: nothing to count, only deliveries to settle. */
static void settle_only(mf_client *client, mfi_mailbox *box)
{
    for (size_t i = 0; i < box->batch.count; i++) {
        const mfi_flow_event *event = &box->batch.at[i].event;
        if (event->settle != 0)
            mfi_commit_plain(client, event->delivery, &event->settle, NULL);
        mfi_ticket_done(box->batch.at[i].ticket, MF_E_NOT_FOUND);
    }
}

static void tell_tickets(mfi_mailbox *box)
{
    for (size_t i = 0; i < box->batch.count; i++)
        mfi_ticket_done(box->batch.at[i].ticket, box->batch.at[i].stale ? MF_E_STALE : box->batch.at[i].answer);
}

/* Somebody holds a lock: verbs are told so, everything else waits. What is left in the batch is done now. */
static void hold_back(mf_client *client, mfi_mailbox *box)
{
    const mf_state *state = &box->record.state;
    if (state->lock == 0 || !mfi_flow_is_locked(state, mf_store_now_ms(client->store)))
        return;
    size_t kept = 0;
    for (size_t i = 0; i < box->batch.count; i++) {
        struct mfi_posted *p = &box->batch.at[i];
        if (!mfi_flow_waits_for_lock(p->event.kind)) {
            box->batch.at[kept++] = *p;
        } else if (mfi_flow_is_verb(p->event.kind) && p->ticket != NULL) {
            mfi_ticket_done(p->ticket, MF_E_STATE);
            mfi_flow_event_release(&p->event);
        } else {
            mfi_mailbox_hold(client, box, p, state->lock_until_ms);
        }
    }
    box->batch.count = kept;
}

/* The stop that a new state asks of the calls below: bits of mfi_call.stop, or 0. */
static unsigned stop_of(mf_signature_status before, mf_signature_status after)
{
    if (before == after || mf_signature_status_ended(before))
        return 0;
    if (after == MF_STATUS_INTERRUPTED)
        return MFI_STOP_INTERRUPT;
    return after == MF_STATUS_FAILED || after == MF_STATUS_CANCELED ? MFI_STOP_CANCEL : 0;
}

/* One try: MF_OK: committed, or nothing to do. kept: the record was not read for this. */
static mf_status process_once(mf_client *client, mfi_mailbox *box, bool may_draw, bool kept, const mf_error *refused,
                              mf_refusal *refusal, mf_error *err)
{
    mf_state state;
    mfi_state_copy(&state, &box->record.state);
    mf_state_ref(&state);
    mf_status st = prepare(client, box, may_draw, refused->status != MF_OK ? refused : NULL, &state, err);
    /* What changes nothing meets no guard: whether the record as it was kept here is still the one that another process may
     * have moved on since is asked for. */
    if (st == MF_OK && kept && !box->plan->changed) {
        mf_state_unref(&state);
        forget_record(box);
        return MF_E_AGAIN;
    }
    unsigned stop = st == MF_OK ? stop_of(box->record.state.status, state.status) : 0;
    if (stop != 0)
        mfi_control_stop_begin(client, stop);
    if (st == MF_OK)
        st = commit(client, box, &state, refusal, err);
    if (stop != 0)
        mfi_control_stop_end(client, &box->key, st == MF_OK);
    if (st != MF_OK) {
        mf_state_unref(&state);
        return st;
    }
    remember(box, &state);
    mfi_plan_reset(box->plan);
    tell_tickets(box);
    return MF_OK;
}

/* An outcome waits for the store as long as it takes; who stands there and asks is told, once it has taken a while. Only a verb
 * behind which outcomes came while its own thread tried it stays with them. */
#define VERBS_WAIT mf_seconds(5)

static void pause_before_retry(mf_client *client, mfi_mailbox *box, mf_status st, const mf_error *err, unsigned *tries,
                               int64_t *until_ns)
{
    int64_t now = mfi_now_ns(client->clock);
    if (*tries == 0)
        *until_ns = mfi_deadline_ns(now, VERBS_WAIT);
    if (now >= *until_ns)
        mfi_mailbox_give_up(client, box, st, err);
    if (box->batch.count > 0)
        mfi_pause_before_retry(client, st, err, tries);
}

static void process(mf_client *client, mfi_mailbox *box, bool may_draw)
{
    mf_error err, refused;      /* zeroed as far as anybody looks: they are long, and this is once an item */
    mf_refusal refusal = {0};
    unsigned tries = 0;
    int64_t until_ns = INT64_MAX;
    err.status = refused.status = MF_OK;
    err.text[0] = '\0';
    while (box->batch.count > 0) {
        bool kept = box->record.spec != NULL;
        mf_status st = read_record(client, box, &err);
        if (st == MF_OK && box->record.spec == NULL) {
            settle_only(client, box);
            return;
        }
        if (st == MF_OK) {
            hold_back(client, box);
            if (box->batch.count == 0)
                return;
            st = process_once(client, box, may_draw, kept, &refused, &refusal, &err);
        }
        if (st == MF_OK)
            return;
        if (st == MF_E_AGAIN)
            continue;
        if (st == MF_E_CONFLICT)
            after_refusal(box, &refusal);
        else if (st == MF_E_NOT_FOUND)
            forget_record(box);
        else if (!is_passing(st) && refused.status == MF_OK)
            refused = err, refused.status = st;
        else
            pause_before_retry(client, box, st, &err, &tries, &until_ns);
    }
}

void mfi_mailbox_process(mf_client *client, mfi_mailbox *box, bool may_draw)
{
    struct mfi_mailbox *outer = mfi_here.box;   /* a watcher of an outer commit may lead here */
    mfi_here.box = box;
    process(client, box, may_draw);
    mfi_here.box = outer;
}
