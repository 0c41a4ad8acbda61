/* One batch, all or nothing.
 *
 *     before     what needs no lock: nodes for the notes, room to remember what was written over
 *     prepare    every guard, and every allocation that can fail (memory_prepare.c). Four things are put in place on the way,
 *                because that is how a second one of the same batch is noticed: new records, marks on the records that are
 *                written and on the settled claims, and outcomes.
 *     write      the rest; nothing in it can fail
 *     undo       instead of write, when prepare failed: takes back the four, in as many steps as were made
 *     after      without the lock: what is not referred to any more is released, and watchers are told
 *
 * Room that was reserved stays reserved after a failure; nobody can see it.
 *
 * The order of writing: states, items, outcomes; claims and rows that end; what is resumed; what is removed; then messages,
 * which are parked or not by what is true by now; then notes. */
#include "memory_step.h"
#include "memory_tables.h"

#include "record.h"

enum { WRITTEN_FEW = 4 };

/* ---- write ------------------------------------------------------------------------------------------------------- */

static void write_state(struct mfi_step *s, struct mfi_head *head, const mf_key *key, uint64_t version, const mf_state *state)
{
    struct mfi_written *written = s->written;
    if (!mf_signature_status_ended(mfi_head_status(head)) && mf_signature_status_ended(state->status))
        written->ended[s->news.ended_count++] = key;
    written->old[written->count++] = mfi_head_write(s->m, head, state);
    head->state.version = version + 1;
}

static void write_states(struct mfi_step *s)
{
    const mf_batch *b = s->b;
    if (b->state != NULL)
        write_state(s, s->head, &b->key, b->version, b->state);
    for (size_t i = 0; i < b->write_count; i++) {
        struct mfi_head *head = mfi_head_find(s->m, &b->writes[i].key);
        head->writing = false;
        write_state(s, head, &b->writes[i].key, b->writes[i].version, b->writes[i].state);
    }
}

/* Neighbours are mostly calls of the same task: one atomic addition serves a run of them. */
static void ref_specs(const mf_spec *const *first, size_t stride, size_t n)
{
    for (size_t i = 0; i < n;) {
        const mf_spec *spec = *first;
        unsigned same = 0;
        for (; i < n && same < UINT32_MAX / 2 && *first == spec; i++, same++)
            first = (const mf_spec *const *)(const void *)((const char *)first + stride);
        mfi_spec_ref_many(spec, same);
    }
}

static bool is_keyed(const mf_item *item)
{
    const mf_spec *spec = item->spec;
    return spec != NULL && (mf_key_is_set(&spec->key) || spec->on_success_count > 0 || spec->on_error_count > 0);
}

static void write_items(struct mfi_step *s)
{
    const mf_batch *b = s->b;
    if (b->item_count == 0)
        return;
    for (size_t i = 0; i < b->item_count; i++) {
        *mfi_head_item(s->head, b->items_from + i) = b->items[i];
        mf_message_ref(b->items[i].message);
        s->head->keyed |= is_keyed(&b->items[i]);
    }
    ref_specs((const mf_spec *const *)&b->items[0].spec, sizeof b->items[0], b->item_count);
    s->head->item_count += b->item_count;
}

static void write_outcomes(struct mfi_step *s)
{
    for (size_t i = 0; i < s->b->outcome_count; i++) {
        const mf_outcome *outcome = &s->b->outcomes[i];
        mfi_outcome_ref(*mfi_head_outcome(s->head, outcome->index));
        if (outcome->index >= s->head->outcome_end)
            s->head->outcome_end = outcome->index + 1;
    }
}

static void write_ends(struct mfi_step *s, struct mfi_dropped *dropped)
{
    struct mfi_queue *q = &s->m->queue;
    for (size_t i = 0; i < s->b->settle_count; i++)
        mfi_queue_end(q, mfi_slot_at(q, (uint32_t)s->b->settles[i]), dropped);    /* it was looked at in prepare */
    for (size_t i = 0; i < s->b->published_count; i++) {
        struct mfi_slot *slot = mfi_queue_find(q, s->b->published[i]);
        if (slot != NULL)
            mfi_queue_end(q, slot, dropped);
    }
}

static void write_resume(struct mfi_step *s)
{
    if (!mf_key_is_set(&s->b->resume))
        return;
    struct mfi_head *head = mfi_head_find(s->m, &s->b->resume);
    if (head != NULL && head->rare != NULL)
        s->news.ready += mfi_queue_unpark(&s->m->queue, &head->rare->parked, s->now_ms);
}

/* The list it has to wait in; NULL: it has not. */
static struct mfi_list *parked_on(struct mfi_step *s, const mf_entry *entry)
{
    if (!mf_key_is_set(&entry->parked))
        return NULL;
    struct mfi_head *head = mfi_head_find(s->m, &entry->parked);
    if (head == NULL || (head->state.status != MF_STATUS_SUSPENDED && head->state.status != MF_STATUS_INTERRUPTED))
        return NULL;
    return &head->rare->parked;
}

static void sooner(struct mfi_news *news, int64_t ms)
{
    if (ms < news->delayed_ms)
        news->delayed_ms = ms;
}

static void note_retry(struct mfi_step *s, const mf_entry *entry)
{
    struct mfi_head *head = mfi_head_find(s->m, &entry->unit.key);
    if (head != NULL)
        mfi_tried_note(head, &entry->unit, entry->attempt);
}

static void write_entries(struct mfi_step *s)
{
    const mf_batch *b = s->b;
    if (b->entry_count == 0)
        return;
    for (size_t i = 0; i < b->entry_count; i++) {
        const mf_entry *entry = &b->entries[i];
        struct mfi_list *parked = parked_on(s, entry);
        mf_message_ref(entry->message);
        if (entry->error != NULL)    /* rare */
            mf_message_ref(entry->error);
        mfi_queue_add(&s->m->queue, entry, parked, s->now_ms);
        if (mfi_step_is_retry(s, entry))    /* rare */
            note_retry(s, entry);
        if (parked != NULL)
            continue;
        if (entry->due_ms <= s->now_ms)
            s->news.ready++;
        else
            sooner(&s->news, entry->due_ms);
    }
    ref_specs((const mf_spec *const *)&b->entries[0].spec, sizeof b->entries[0], b->entry_count);
}

static int64_t first_deadline(const struct mfi_memory *m)
{
    const struct mfi_node *top = mfi_heap_top(&m->deadlines);
    return top == NULL ? INT64_MAX : top->due;
}

/* first_before: the first deadline of all before the batch. */
static void write_all(struct mfi_step *s, struct mfi_dropped *dropped, int64_t first_before)
{
    write_states(s);
    write_items(s);
    write_outcomes(s);
    write_ends(s, dropped);
    write_resume(s);
    if (first_deadline(s->m) < first_before)
        sooner(&s->news, first_deadline(s->m));
    for (size_t i = 0; i < s->b->removal_count; i++)
        s->news.ready += mfi_remove(s->m, &s->b->removals[i], &s->gone, s->now_ms);
    write_entries(s);
    if (s->b->note_count > 0)
        mfi_notes_write(s->m, s->b, &s->notes, s->now_ms);
}

/* ---- the batch --------------------------------------------------------------------------------------------------- */

/* Everything under the lock. */
static mf_status commit_locked(struct mfi_step *s, struct mfi_dropped *dropped, int64_t now_ms)
{
    s->now_ms = mfi_memory_advance(s->m, now_ms);
    s->news.ready = mfi_claims_sweep(&s->m->queue, s->now_ms);
    int64_t first_before = first_deadline(s->m);
    mf_status st = mfi_step_prepare(s);
    if (st == MF_OK)
        write_all(s, dropped, first_before);
    else
        mfi_step_undo(s);
    return st;
}

static bool needs_time(const struct mfi_memory *m, const mf_batch *b)
{
    return b->entry_count > 0 || m->leases || b->put_count > 0 || b->note_count > 0 || b->removal_count > 0 ||
           mf_key_is_set(&b->resume);
}

static mf_status commit(struct mfi_step *s)
{
    struct mfi_memory *m = s->m;
    struct mfi_dropped dropped;
    dropped.count = 0;
    if (s->b->note_count > 0 && !mfi_notes_make(m, s->b, &s->notes))
        return mfi_step_no_memory(s->err);
    int64_t now = needs_time(m, s->b) ? mfi_memory_clock(m) : 0;
    mfi_mutex_lock(&m->lock);
    mf_status st = commit_locked(s, &dropped, now);
    mfi_mutex_unlock(&m->lock);
    for (size_t i = 0; i < s->written->count; i++)
        mfi_kept_unref(&s->written->old[i]);
    mfi_dropped_release(&dropped);
    mfi_gone_free(s->gone, m->allocator);
    mfi_notes_free(s->notes, m->allocator);
    mfi_watchers_tell(&m->watchers, &s->news);
    return st;
}

static size_t written_size(size_t room)
{
    return sizeof(struct mfi_written) + room * (sizeof(struct mfi_kept) + sizeof(const mf_key *));
}

/* One allocation: the two arrays follow. */
static struct mfi_written *written_create(const mf_allocator *allocator, size_t room)
{
    struct mfi_written *written = mfi_alloc(allocator, written_size(room));
    if (written == NULL)
        return NULL;
    written->old = (struct mfi_kept *)(void *)(written + 1);
    written->ended = (const mf_key **)(void *)(written->old + room);
    written->count = 0;
    return written;
}

mf_status mfi_memory_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_kept old[WRITTEN_FEW];
    const mf_key *ended[WRITTEN_FEW];
    struct mfi_written few = {.old = old, .ended = ended}, *written = &few;
    size_t room = batch->write_count + 1;
    if (room > WRITTEN_FEW && (written = written_create(m->allocator, room)) == NULL)
        return mfi_step_no_memory(err);
    struct mfi_step s = {.m = m, .b = batch, .refusal = refusal, .err = err, .written = written,
                     .news = {.delayed_ms = INT64_MAX, .ended = written->ended}};
    mf_status st = commit(&s);
    if (written != &few)
        mfi_release(m->allocator, written, written_size(room));
    return st;
}
