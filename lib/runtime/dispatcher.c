/* Events of one record, in order, each once: event → transition → one commit.
 *
 * A record has a mailbox while it is busy. Whoever posts to an idle mailbox becomes the one that processes it, and takes
 * all events that came meanwhile at once: under load outcomes are committed in batches without anybody waiting, and in
 * this process no two threads change one record at the same time. Other processes are met at the commit's guards: a
 * version that moved on means to read the record again and to run the same transition on it.
 *
 * The mailbox of an active chain or swarm stays, and with it the record as it was committed last: an outcome then costs
 * one store operation, the commit.
 *
 * Locks      the dispatcher's mutex guards the table, and each mailbox's `incoming`, `busy`. Everything else of a mailbox
 *            belongs to the thread that made it busy.
 */
#define HASH_NONFATAL_OOM 1
#include "runtime.h"

#include <limits.h>
#include <time.h>

#include "clock.h"
#include "compose.h"
#include "futex.h"
#include "memory.h"

#define KEPT_MAILBOXES 1024     /* idle ones beyond these are closed */

struct posted {
    mfi_flow_event event;
    mfi_ticket    *ticket;
    bool           stale;       /* its claim was taken over: nothing of it counts */
};

struct posted_list {
    struct posted *at;
    size_t         count, capacity;
};

struct mfi_mailbox {
    mf_key             key;
    struct posted_list incoming;    /* L */
    bool               busy;        /* L */
    pthread_t          owner;       /* L  while busy: who processes it */
    struct posted_list batch;
    mf_record          record;      /* spec NULL: not read yet */
    mfi_plan           plan;
    UT_hash_handle     hh;
};

void mfi_dispatcher_init(mfi_dispatcher *d)
{
    pthread_mutex_init(&d->lock, NULL);
    d->boxes = NULL;
    d->count = 0;
}

static void list_free(mf_client *client, struct posted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mfi_flow_event_release(&list->at[i].event);
    mfi_release(client->allocator, list->at, list->capacity * sizeof *list->at);
}

static void mailbox_free(mf_client *client, mfi_mailbox *box)
{
    list_free(client, &box->incoming);
    list_free(client, &box->batch);
    mf_record_release(&box->record);
    mfi_plan_fini(&box->plan);
    mf_delete(client->allocator, box);
}

void mfi_dispatcher_fini(mf_client *client)
{
    mfi_mailbox *box, *next;
    HASH_ITER(hh, client->dispatcher.boxes, box, next) {
        HASH_DEL(client->dispatcher.boxes, box);
        mailbox_free(client, box);
    }
    pthread_mutex_destroy(&client->dispatcher.lock);
}

void mfi_ticket_done(mfi_ticket *ticket, mf_status status)
{
    if (ticket == NULL)
        return;
    ticket->status = status;
    /* After this store the waiter may return, and the ticket is gone: wake touches no memory there. */
    atomic_store_explicit(&ticket->done, 1, memory_order_release);
    mfi_futex_wake(&ticket->done, UINT32_MAX);
}

/* ---- one batch --------------------------------------------------------------------------------------------------- */

/* Without memory, or with a store that answers no more, an outcome must still not be lost: it is kept and tried again. */
void mfi_pause_before_retry(mf_client *client, mf_status st, const mf_error *err, unsigned *tries)
{
    if ((*tries)++ == 0)
        mfi_log(client, MF_LOG_ERROR, "cannot commit, trying again: %s: %s", mf_status_name(st), err->text);
    unsigned shift = *tries < 7 ? *tries : 7;
    nanosleep(&(struct timespec){.tv_nsec = 1000000L << shift}, NULL);
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

/* A complete swarm's end needs its results: they are read before the transition, which reads nothing. */
static void gather_for_fill(mf_client *client, mfi_mailbox *box, const mf_state *state, mfi_flow_event *event)
{
    const mf_spec *spec = box->record.spec;
    if (event->kind != MFI_EV_FILL || event->value != NULL || !mfi_swarm_is_complete(spec, state))
        return;
    bool wanted = spec->on_success_count > 0 || mf_key_is_set(&spec->container);
    mf_error err;
    mf_status st = mfi_gather_end(client, spec, state, wanted, &box->plan, &event->value, &err);
    if (st != MF_OK)
        mfi_plan_fail(&box->plan, st, err.text);
}

/* Starts become entries now that the records they name can be read. A record that is gone has nothing to start. */
static void resolve_starts(mf_client *client, mfi_plan *plan)
{
    for (size_t i = 0; i < plan->start_count && plan->status == MF_OK; i++) {
        mf_record record = {0};
        mf_error err;
        mf_status st = mf_store_load(client->store, &plan->starts[i].key, 1, &record, &err);
        if (st != MF_OK)
            mfi_plan_fail(plan, st, err.text);
        else if (record.spec != NULL && mf_signature_status_ended(record.state.status))
            mfi_flow_ended_before(record.spec, plan);
        else if (record.spec != NULL)
            mfi_flow_start_entry(record.spec, record.state.epoch, &plan->starts[i], plan);
        mf_record_release(&record);
    }
}

/* What failed will fail again however often it is tried: the flow itself ends as failed, with this as its error. */
static void fail_flow(mfi_mailbox *box, mf_state *state, const mf_error *why, int64_t now_ms)
{
    mf_message *map = NULL;
    mfi_failure failure = {.type = mf_cstr(mf_status_name(why->status)), .text = mf_cstr(why->text), .attempt = 1,
                           .key = box->key, .final = true};
    mf_status st = mfi_compose_error(&failure, box->plan.allocator, &map);
    if (st != MF_OK) {
        mfi_plan_fail(&box->plan, st, "no memory for an error");
        return;
    }
    mfi_flow_event end = {.kind = MFI_EV_FAIL, .value = map};
    mfi_flow_apply(box->record.spec, state, &end, now_ms, &box->plan);
    mf_message_unref(map);
}

/* The same where a transition failed in the middle: from the record as it was, with the deliveries settled. */
static void fail_flow_anew(mfi_mailbox *box, mf_state *state, int64_t now_ms)
{
    mf_error why = box->plan.error;
    mfi_plan_reset(&box->plan);
    mf_state_unref(state);
    *state = box->record.state;
    mf_state_ref(state);
    for (size_t i = 0; i < box->batch.count; i++)
        if (!box->batch.at[i].stale)
            mfi_plan_settle(&box->plan, box->batch.at[i].event.settle);
    fail_flow(box, state, &why, now_ms);
}

static bool is_passing(mf_status st)
{
    return st == MF_E_NOMEM || st == MF_E_IO || st == MF_E_TIMEOUT;
}

/* Everything up to the commit: the new state and a complete plan. */
static mf_status prepare(mf_client *client, mfi_mailbox *box, bool may_draw, mf_state *state, mf_error *err)
{
    mfi_plan *plan = &box->plan;
    int64_t now_ms = mf_store_now_ms(client->store);
    mfi_plan_reset(plan);
    for (size_t i = 0; i < box->batch.count && plan->status == MF_OK; i++) {
        struct posted *p = &box->batch.at[i];
        if (p->stale)
            continue;
        gather_for_fill(client, box, state, &p->event);
        if (plan->status == MF_OK)
            mfi_flow_apply(box->record.spec, state, &p->event, now_ms, plan);
    }
    if (plan->status == MF_OK) {
        mfi_draw(client, box->record.spec, state, may_draw, plan);
        if (plan->status != MF_OK && !is_passing(plan->status)) {    /* what the batch told before stays told */
            mf_error why = plan->error;
            plan->status = MF_OK;
            fail_flow(box, state, &why, now_ms);
        }
    }
    resolve_starts(client, plan);
    if (plan->status != MF_OK && !is_passing(plan->status)) {
        fail_flow_anew(box, state, now_ms);
        resolve_starts(client, plan);
    }
    if (plan->status != MF_OK && !is_passing(plan->status)) {
        mfi_log(client, MF_LOG_ERROR, "%s: a callback cannot be started: %s", box->key.text, plan->error.text);
        fail_flow_anew(box, state, now_ms);     /* and its callbacks are left out */
    }
    if (plan->status != MF_OK)
        *err = plan->error;
    return plan->status;
}

static mf_status commit(mf_client *client, mfi_mailbox *box, const mf_state *state, mf_refusal *refusal, mf_error *err)
{
    mfi_plan *plan = &box->plan;
    mf_batch batch = {
        .key = box->key, .version = box->record.state.version, .state = plan->changed ? state : NULL,
        .outcomes = plan->outcomes, .outcome_count = plan->outcome_count,
        .settles = plan->settles, .settle_count = plan->settle_count,
        .entries = plan->entries, .entry_count = plan->entry_count,
    };
    if (!plan->changed && batch.settle_count == 0 && batch.entry_count == 0)
        return MF_OK;
    return mf_store_commit(client->store, &batch, refusal, err);
}

static bool is_item(const mfi_flow_event *event)
{
    return event->kind == MFI_EV_ITEM_DONE || event->kind == MFI_EV_ITEM_FAILED || event->kind == MFI_EV_ITEM_CANCELED;
}

/* A guard refused. A record that moved on is read again; an outcome that is known already leaves only its delivery to
 * settle; a claim that was taken over leaves nothing. */
static void after_refusal(mfi_mailbox *box, const mf_refusal *refusal)
{
    struct posted *at = box->batch.at;
    struct posted *second = NULL;
    switch (refusal->guard) {
    case MF_GUARD_OUTCOME:
        for (size_t i = 0; i < box->batch.count; i++)
            if (!at[i].stale && is_item(&at[i].event) &&
                at[i].event.index == box->plan.outcomes[refusal->index].index)
                second = &at[i];    /* the last one, where the same outcome came twice in this batch */
        if (second != NULL)
            second->event.kind = MFI_EV_SETTLE;
        break;
    case MF_GUARD_SETTLE:
        for (size_t i = 0; i < box->batch.count; i++)
            if (at[i].event.settle == box->plan.settles[refusal->index])
                at[i].stale = true;
        break;
    default:
        forget_record(box);
        break;
    }
}

static void remember(mfi_mailbox *box, mf_state *state)
{
    if (box->plan.changed) {
        mf_state_unref(&box->record.state);
        box->record.state = *state;
        box->record.state.version++;
    } else {
        mf_state_unref(state);
    }
}

/* The record is gone: nothing to count, only deliveries to settle. */
static void settle_only(mf_client *client, mfi_mailbox *box)
{
    for (size_t i = 0; i < box->batch.count; i++) {
        if (box->batch.at[i].event.settle != 0)
            mfi_commit_plain(client, &box->batch.at[i].event.settle, NULL);
        mfi_ticket_done(box->batch.at[i].ticket, MF_E_NOT_FOUND);
    }
}

static void tell_tickets(mfi_mailbox *box, bool had_ended)
{
    for (size_t i = 0; i < box->batch.count; i++)
        mfi_ticket_done(box->batch.at[i].ticket,
                        box->batch.at[i].stale ? MF_E_STALE : had_ended ? MF_E_STATE : MF_OK);
}

/* Process the mailbox's batch until it is committed. */
static void process(mf_client *client, mfi_mailbox *box, bool may_draw)
{
    mf_error err = {0};
    mf_refusal refusal = {0};
    unsigned tries = 0;
    for (;;) {
        mf_status st = read_record(client, box, &err);
        if (st == MF_OK && box->record.spec == NULL) {
            settle_only(client, box);
            return;
        }
        if (st == MF_OK) {
            bool had_ended = mf_signature_status_ended(box->record.state.status);
            mf_state state = box->record.state;
            mf_state_ref(&state);
            st = prepare(client, box, may_draw, &state, &err);
            bool ends_early = st == MF_OK && !had_ended && mf_signature_status_ended(state.status) &&
                              state.status != MF_STATUS_DONE;
            if (ends_early)
                mfi_control_stop_begin(client);
            if (st == MF_OK)
                st = commit(client, box, &state, &refusal, &err);
            if (ends_early)
                mfi_control_stop_end(client, &box->key, st == MF_OK);
            if (st == MF_OK) {
                remember(box, &state);
                mfi_plan_reset(&box->plan);
                tell_tickets(box, had_ended);
                return;
            }
            mf_state_unref(&state);
        }
        if (st == MF_E_CONFLICT)
            after_refusal(box, &refusal);
        else if (st == MF_E_NOT_FOUND)
            forget_record(box);
        else
            mfi_pause_before_retry(client, st, &err, &tries);
    }
}

/* ---- posting ----------------------------------------------------------------------------------------------------- */

static mfi_mailbox *mailbox_of(mf_client *client, const mf_key *key)
{
    mfi_dispatcher *d = &client->dispatcher;
    mfi_mailbox *box = NULL;
    HASH_FIND(hh, d->boxes, key, sizeof *key, box);
    if (box != NULL)
        return box;
    box = mf_new(client->allocator, mfi_mailbox);
    if (box == NULL)
        return NULL;
    box->key = *key;
    mfi_plan_init(&box->plan, client->allocator, &client->limits, &client->framework);
    HASH_ADD(hh, d->boxes, key, sizeof box->key, box);
    if (box->hh.tbl == NULL) {
        mailbox_free(client, box);
        return NULL;
    }
    d->count++;
    return box;
}

/* Worth keeping: more events will come, and the record is at hand. */
static bool keeps(const mf_client *client, const mfi_mailbox *box)
{
    return box->record.spec != NULL && box->record.spec->kind != MF_KIND_TASK &&
           box->record.state.status == MF_STATUS_ACTIVE && client->dispatcher.count <= KEPT_MAILBOXES;
}

static void process_until_idle(mf_client *client, mfi_mailbox *box, bool may_draw)
{
    mfi_dispatcher *d = &client->dispatcher;
    for (;;) {      /* the lock is held at the top */
        if (box->incoming.count == 0)
            break;
        struct posted_list taken = box->incoming;
        box->incoming = box->batch;
        box->incoming.count = 0;
        box->batch = taken;
        pthread_mutex_unlock(&d->lock);
        process(client, box, may_draw);
        for (size_t i = 0; i < box->batch.count; i++)
            mfi_flow_event_release(&box->batch.at[i].event);
        box->batch.count = 0;
        pthread_mutex_lock(&d->lock);
    }
    box->busy = false;
    if (!keeps(client, box)) {
        HASH_DEL(d->boxes, box);
        d->count--;
        pthread_mutex_unlock(&d->lock);
        mailbox_free(client, box);
        pthread_mutex_lock(&d->lock);
    }
}

void mfi_dispatch(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw, mfi_ticket *ticket)
{
    mfi_dispatcher *d = &client->dispatcher;
    may_draw = may_draw && !mfi_keeper_is_here();
    mf_error none = {.status = MF_E_NOMEM, .text = "no memory for an event"};
    unsigned tries = 0;
    pthread_mutex_lock(&d->lock);
    mfi_mailbox *box;
    while ((box = mailbox_of(client, key)) == NULL ||
           !mfi_array_reserve(client->allocator, (void **)&box->incoming.at, &box->incoming.capacity,
                              box->incoming.count + 1, sizeof *box->incoming.at)) {
        pthread_mutex_unlock(&d->lock);
        mfi_pause_before_retry(client, MF_E_NOMEM, &none, &tries);
        pthread_mutex_lock(&d->lock);
    }
    /* From a source or an on_end callback, which runs while this thread processes the record: the event is next in turn,
     * and whoever waited for it here would wait for itself. */
    if (ticket != NULL && box->busy && pthread_equal(box->owner, pthread_self())) {
        mfi_ticket_done(ticket, MF_OK);
        ticket = NULL;
    }
    box->incoming.at[box->incoming.count++] = (struct posted){.event = *event, .ticket = ticket};
    if (!box->busy) {
        box->busy = true;
        box->owner = pthread_self();
        process_until_idle(client, box, may_draw);
    }
    pthread_mutex_unlock(&d->lock);
}

mf_status mfi_dispatch_wait(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw)
{
    mfi_ticket ticket = {0};
    mfi_dispatch(client, key, event, may_draw, &ticket);
    while (atomic_load_explicit(&ticket.done, memory_order_acquire) == 0)
        mfi_futex_wait(&ticket.done, 0, INT64_MAX);
    return ticket.status;
}

mf_status mfi_commit_plain(mf_client *client, const uint64_t *settle, const mf_entry *entry)
{
    mf_error err = {0};
    mf_refusal refusal = {0};
    unsigned tries = 0;
    mf_batch batch = {.settles = settle, .settle_count = settle != NULL ? 1 : 0, .entries = entry,
                      .entry_count = entry != NULL ? 1 : 0};
    for (;;) {
        mf_status st = mf_store_commit(client->store, &batch, &refusal, &err);
        if (st == MF_OK)
            return MF_OK;
        if (st == MF_E_CONFLICT)
            return MF_E_STALE;
        mfi_pause_before_retry(client, st, &err, &tries);
    }
}
