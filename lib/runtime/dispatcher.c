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
 * A plan is needed while a record is processed, and not between: it lies on a desk, and there are as many desks as threads
 * have processed at the same time. So a record that waits for its items keeps no room for effects, and a swarm that
 * begins finds it.
 *
 * Locks      the dispatcher's mutex guards the table, and each mailbox's `incoming`, `busy`. Everything else of a mailbox
 *            belongs to the thread that made it busy.
 */
#define HASH_NONFATAL_OOM 1
#include "mailbox.h"

#include "clock.h"
#include "futex.h"
#include "memory.h"
#include "thread.h"

#define KEPT_MAILBOXES 1024     /* idle ones beyond these are closed */
#define KEPT_ENTRIES   1024     /* a larger plan gives its room back */

void mfi_dispatcher_init(mfi_dispatcher *d)
{
    mfi_mutex_init(&d->lock);
    d->boxes = d->recent = NULL;
    d->count = 0;
    d->desks = NULL;
    d->held = 0;
    atomic_init(&d->later_count, 0);
    atomic_init(&d->later_rounds, 0);
}

/* ---- desks ------------------------------------------------------------------------------------------------------- */

/* A new one has room for a page of a swarm's items, which is what a swarm begins with, and for the outcomes that wait for each other.
 * The lock is held. */
struct mfi_desk *mfi_desk_take(mf_client *client)
{
    struct mfi_desk *desk = client->dispatcher.desks;
    if (desk != NULL) {
        client->dispatcher.desks = desk->next;
        return desk;
    }
    desk = mf_new(client->allocator, struct mfi_desk);
    if (desk == NULL)
        return NULL;
    mfi_plan_init(&desk->plan, client->allocator, &client->limits, &client->framework);
    if (mfi_plan_reserve_entries(&desk->plan, MFI_DRAW_PAGE) && mfi_plan_reserve_outcomes(&desk->plan, MFI_LATER_MAX))
        return desk;
    mfi_plan_fini(&desk->plan);
    mf_delete(client->allocator, desk);
    return NULL;
}

/* Its plan is empty. The lock is held. */
static void desk_give(mfi_dispatcher *d, struct mfi_desk *desk)
{
    desk->next = d->desks;
    d->desks = desk;
}

void mfi_dispatcher_prepare(mf_client *client)
{
    mfi_dispatcher *d = &client->dispatcher;
    mfi_mutex_lock(&d->lock);
    struct mfi_desk *desk = mfi_desk_take(client);
    if (desk != NULL)
        desk_give(d, desk);
    mfi_mutex_unlock(&d->lock);
}

/* Drop what was planned, and the room of an uncommonly large plan, which few of the next ones need. */
static void desk_clear(mf_client *client, mfi_plan *plan)
{
    mfi_plan_reset(plan);
    if (plan->entry_capacity <= KEPT_ENTRIES && plan->outcome_capacity <= KEPT_ENTRIES)
        return;
    mfi_plan_fini(plan);
    mfi_plan_init(plan, client->allocator, &client->limits, &client->framework);
}

static void desks_free(mf_client *client)
{
    while (client->dispatcher.desks != NULL) {
        struct mfi_desk *desk = client->dispatcher.desks;
        client->dispatcher.desks = desk->next;
        mfi_plan_fini(&desk->plan);
        mf_delete(client->allocator, desk);
    }
}

/* ---- mailboxes --------------------------------------------------------------------------------------------------- */

static void list_free(mf_client *client, struct mfi_posted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mfi_flow_event_release(&list->at[i].event);
    mfi_release(client->allocator, list->at, list->capacity * sizeof *list->at);
}

static void mailbox_free(mf_client *client, mfi_mailbox *box)
{
    list_free(client, &box->incoming);
    list_free(client, &box->taken);
    list_free(client, &box->held);
    mfi_release(client->allocator, box->deliveries, box->delivery_capacity * sizeof *box->deliveries);
    mf_record_release(&box->record);
    mf_delete(client->allocator, box);
}

void mfi_dispatcher_fini(mf_client *client)
{
    mfi_mailbox *box, *next;
    HASH_ITER(hh, client->dispatcher.boxes, box, next) {
        HASH_DEL(client->dispatcher.boxes, box);
        mailbox_free(client, box);
    }
    desks_free(client);
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

/* ---- locks ------------------------------------------------------------------------------------------------------- */

/* An unlock in this process looks at once; one elsewhere, or a lease that is over, within this. */
#define LOOK_AT_LOCK_MS 50

void mfi_mailbox_hold(mf_client *client, mfi_mailbox *box, const struct mfi_posted *posted, int64_t until_ms)
{
    mf_error err = {.status = MF_E_NOMEM, .text = "no memory for an event that waits for a lock"};
    unsigned tries = 0;
    while (!mfi_array_reserve(client->allocator, (void **)&box->held.at, &box->held.capacity, box->held.count + 1,
                              sizeof *box->held.at))
        mfi_pause_before_retry(client, MF_E_NOMEM, &err, &tries);
    int64_t soon = mf_store_now_ms(client->store) + LOOK_AT_LOCK_MS;
    mfi_mutex_lock(&client->dispatcher.lock);
    box->held.at[box->held.count++] = *posted;
    client->dispatcher.held++;
    box->held_until_ms = until_ms < soon ? until_ms : soon;
    mfi_mutex_unlock(&client->dispatcher.lock);
    mfi_keeper_delayed(client, box->held_until_ms);
}

/* With the lock held: what waited is next in turn. */
static bool unhold(mf_client *client, mfi_mailbox *box)
{
    struct mfi_posted_list *in = &box->incoming, *held = &box->held;
    if (held->count == 0 || !mfi_array_reserve(client->allocator, (void **)&in->at, &in->capacity, in->count + held->count,
                                               sizeof *in->at))
        return false;
    memmove(in->at + held->count, in->at, in->count * sizeof *in->at);
    memcpy(in->at, held->at, held->count * sizeof *in->at);
    in->count += held->count;
    client->dispatcher.held -= (unsigned)held->count;
    held->count = 0;
    return true;
}

/* ---- posting ----------------------------------------------------------------------------------------------------- */

mfi_mailbox *mfi_mailbox_of(mf_client *client, const mf_key *key)
{
    mfi_dispatcher *d = &client->dispatcher;
    mfi_mailbox *box = d->recent;
    if (box != NULL && mf_key_eq(&box->key, key))
        return box;
    HASH_FIND(hh, d->boxes, key, sizeof *key, box);
    if (box != NULL)
        return d->recent = box;
    box = mf_new(client->allocator, mfi_mailbox);
    if (box == NULL)
        return NULL;
    box->key = *key;
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
    if (box->held.count > 0 || box->later > 0)
        return true;
    return box->record.spec != NULL && box->record.spec->kind != MF_KIND_TASK &&
           box->record.state.status == MF_STATUS_ACTIVE && client->dispatcher.count <= KEPT_MAILBOXES;
}

/* What is processed next, in box->batch; false: nothing. The lock is held. */
static bool next_batch(mfi_dispatcher *d, mfi_mailbox *box)
{
    if (box->flush && box->later > 0) {
        box->batch = (struct mfi_posted_list){.at = box->desk->later, .count = mfi_later_collect(d, box, box->desk->later)};
        box->flush = false;
        return true;
    }
    if (box->incoming.count == 0)
        return false;
    box->batch = box->incoming;
    box->incoming = box->taken;
    box->incoming.count = 0;
    box->taken = box->batch;
    return true;
}

static bool may_be_given_up(const struct mfi_posted *p)
{
    mfi_flow_event_kind kind = p->event.kind;
    return p->ticket != NULL && (mfi_flow_is_verb(kind) || kind == MFI_EV_LOCK || kind == MFI_EV_UNLOCK);
}

static void give_up(struct mfi_posted_list *list, mf_status st, const mf_error *why)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct mfi_posted *p = &list->at[i];
        if (!may_be_given_up(p)) {
            list->at[kept++] = *p;
            continue;
        }
        if (p->ticket->err != NULL)
            *p->ticket->err = *why;
        mfi_flow_event_release(&p->event);
        mfi_ticket_done(p->ticket, st);
    }
    list->count = kept;
}

void mfi_mailbox_give_up(mf_client *client, mfi_mailbox *box, mf_status st, const mf_error *why)
{
    mfi_dispatcher *d = &client->dispatcher;
    give_up(&box->batch, st, why);
    mfi_mutex_lock(&d->lock);
    give_up(&box->incoming, st, why);
    mfi_mutex_unlock(&d->lock);
}

/* Give back what a batch holds. Tells whether a lock on the record ended with it. */
static bool batch_release(struct mfi_posted_list *batch)
{
    bool unlocked = false;
    for (size_t i = 0; i < batch->count; i++) {
        unlocked = unlocked || batch->at[i].event.kind == MFI_EV_UNLOCK;
        mfi_flow_event_release(&batch->at[i].event);
    }
    batch->count = 0;
    return unlocked;
}

void mfi_mailbox_run(mf_client *client, mfi_mailbox *box, struct mfi_desk *desk, bool may_draw)
{
    mfi_dispatcher *d = &client->dispatcher;
    box->desk = desk;
    box->plan = &box->desk->plan;
    box->busy = box->flush = true;
    box->owner = mfi_thread_self();
    while (next_batch(d, box)) {
        mfi_mutex_unlock(&d->lock);
        mfi_mailbox_process(client, box, may_draw);
        desk_clear(client, box->plan);
        bool unlocked = batch_release(&box->batch);
        mfi_mutex_lock(&d->lock);
        box->taken.count = 0;
        if (unlocked)
            unhold(client, box);
    }
    box->busy = box->flush = false;
    desk_give(d, box->desk);
    box->desk = NULL;
    box->plan = NULL;
    if (!keeps(client, box)) {
        HASH_DEL(d->boxes, box);
        d->count--;
        d->recent = NULL;
        mfi_mutex_unlock(&d->lock);
        mailbox_free(client, box);
        mfi_mutex_lock(&d->lock);
    }
}

void mfi_pause_without_memory(mf_client *client, unsigned *tries)
{
    mf_error none = {.status = MF_E_NOMEM, .text = "no memory for an event"};
    mfi_pause_before_retry(client, MF_E_NOMEM, &none, tries);
}

void mfi_dispatch(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw, mfi_ticket *ticket)
{
    mfi_dispatcher *d = &client->dispatcher;
    may_draw = may_draw && !mfi_keeper_is_here();
    unsigned tries = 0;
    mfi_mutex_lock(&d->lock);
    mfi_mailbox *box;
    struct mfi_desk *desk = NULL;
    while ((box = mfi_mailbox_of(client, key)) == NULL ||
           !mfi_array_reserve(client->allocator, (void **)&box->incoming.at, &box->incoming.capacity,
                              box->incoming.count + 1, sizeof *box->incoming.at) ||
           (!box->busy && (desk = mfi_desk_take(client)) == NULL)) {
        mfi_mutex_unlock(&d->lock);
        mfi_pause_without_memory(client, &tries);
        mfi_mutex_lock(&d->lock);
    }
    /* From a source or an on_end callback, which runs while this thread processes the record: the event is next in turn,
     * and whoever waited for it here would wait for itself. */
    if (ticket != NULL && box->busy && box->owner == mfi_thread_self()) {
        mfi_ticket_done(ticket, MF_OK);
        ticket = NULL;
        event->delivery = NULL;     /* nobody keeps it until then */
    }
    struct mfi_posted *posted = &box->incoming.at[box->incoming.count++];
    posted->event = *event;
    posted->ticket = ticket;
    posted->answer = MF_OK;
    posted->stale = false;
    if (!box->busy)
        mfi_mailbox_run(client, box, desk, may_draw);
    mfi_mutex_unlock(&d->lock);
}

int64_t mfi_dispatcher_tick(mf_client *client, int64_t now_ms)
{
    mfi_dispatcher *d = &client->dispatcher;
    int64_t next_ms;
    mfi_mailbox *box, *due;
    struct mfi_desk *desk = NULL;
    mfi_mutex_lock(&d->lock);
    do {
        next_ms = INT64_MAX;
        due = NULL;
        box = d->held > 0 ? d->boxes : NULL;
        for (; box != NULL; box = box->hh.next) {
            if (box->held.count == 0)
                continue;
            if (box->held_until_ms <= now_ms && due == NULL && !box->busy && (desk = mfi_desk_take(client)) != NULL)
                due = box;
            else if (box->held_until_ms < next_ms)
                next_ms = box->held_until_ms;
        }
        if (due != NULL) {
            unhold(client, due);
            mfi_mailbox_run(client, due, desk, false);
        }
    } while (due != NULL);
    if (next_ms <= now_ms)      /* it is busy, or there is no memory */
        next_ms = now_ms + LOOK_AT_LOCK_MS;
    mfi_mutex_unlock(&d->lock);
    return next_ms;
}

mf_status mfi_dispatch_wait(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw)
{
    return mfi_dispatch_ask(client, key, event, may_draw, NULL);
}

mf_status mfi_dispatch_ask(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw, mf_error *err)
{
    mfi_ticket ticket = {.err = err};
    mfi_dispatch(client, key, event, may_draw, &ticket);
    /* What waits for a lock is looked at by the keeper: should it be the one that waits here, it does so meanwhile. */
    bool keeper = mfi_keeper_is_here();
    while (atomic_load_explicit(&ticket.done, memory_order_acquire) == 0) {
        mfi_futex_wait(&ticket.done, 0, keeper ? mfi_deadline_ns(mfi_now_ns(NULL), mf_milliseconds(LOOK_AT_LOCK_MS)) : INT64_MAX);
        if (keeper)
            (void)mfi_dispatcher_tick(client, mf_store_now_ms(client->store));
    }
    return ticket.status;
}

mf_status mfi_commit_plain(mf_client *client, const mf_delivery *d, const uint64_t *settle, const mf_entry *entry)
{
    mf_error err = {0};
    mf_refusal refusal = {0};
    unsigned tries = 0;
    mf_batch batch = {.settles = settle, .settle_count = settle != NULL ? 1 : 0, .entries = entry,
                      .entry_count = entry != NULL ? 1 : 0, .deliveries = &d, .delivery_count = d != NULL ? 1 : 0};
    for (;;) {
        mf_status st = mfi_commit(client, &batch, &refusal, &err);
        if (st == MF_OK)
            return MF_OK;
        if (st == MF_E_CONFLICT)
            return MF_E_STALE;
        mfi_pause_before_retry(client, st, &err, &tries);
    }
}
