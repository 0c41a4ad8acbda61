/* One batch, all or nothing.
 *
 *     before     what needs no lock: nodes for the notes, room to remember what was written over
 *     prepare    every guard, and every allocation that can fail. Four things are put in place on the way, because that
 *                is how a second one of the same batch is noticed: new records, marks on the records that are written and
 *                on the settled claims, and outcomes.
 *     write      the rest; nothing in it can fail
 *     undo       instead of write, when prepare failed: takes back the four, in as many steps as were made
 *     after      without the lock: what is not referred to any more is released, and watchers are told
 *
 * Room that was reserved stays reserved after a failure; nobody can see it.
 *
 * The order of writing: states, items, outcomes; claims and rows that end; what is resumed; what is removed; then messages,
 * which are parked or not by what is true by now; then notes. */
#include "memory_store.h"
#include "memory_tables.h"

#include "record.h"

enum { WRITTEN_FEW = 4 };

struct step {
    struct mfi_memory  *m;
    const mf_batch     *b;
    mf_refusal         *refusal;
    mf_error           *err;
    int64_t             now_ms;
    struct mfi_head    *head;       /* the record that b->key names, there before or put by this batch; NULL: none */
    size_t              puts_made, writes_marked, settles_marked, outcomes_made;
    size_t              slots_back; /* what the settled claims leave to the entries */
    struct mfi_written *written;    /* room for one each that is written */
    struct mfi_note    *notes;      /* made for the notes that are set; in the end what is to be released */
    struct mfi_head    *gone;       /* taken away */
    struct mfi_news     news;
};

static mf_status refuse(struct step *s, mf_guard guard, size_t index)
{
    static const char *const what[] = {
        [MF_GUARD_PUT] = "put: the key exists", [MF_GUARD_VERSION] = "the record has another version",
        [MF_GUARD_ITEMS] = "items: there are not so many yet, or more", [MF_GUARD_OUTCOME] = "outcome: known already",
        [MF_GUARD_SETTLE] = "settle: not a current token", [MF_GUARD_WRITE] = "write: the record has another version",
        [MF_GUARD_HOLD] = "hold: not a current token", [MF_GUARD_NOTE] = "note: there is one of that name",
    };
    *s->refusal = (mf_refusal){guard, index};
    return mf_fail(s->err, MF_E_CONFLICT, "store: %s (%zu)", what[guard], index);
}

static mf_status no_memory(mf_error *err)
{
    return mf_fail(err, MF_E_NOMEM, "store: no memory for the commit");
}

/* ---- prepare ----------------------------------------------------------------------------------------------------- */

static mf_status prepare_state(struct step *s, struct mfi_head *head, uint64_t version, const mf_state *state, mf_guard guard,
                               size_t index)
{
    if (head == NULL || head->writing || head->state.version != version)
        return refuse(s, guard, index);
    return mfi_head_reserve(s->m, head, state) ? MF_OK : no_memory(s->err);
}

static mf_status prepare_record(struct step *s)
{
    if (!mf_key_is_set(&s->b->key))
        return MF_OK;
    s->head = mfi_head_find(s->m, &s->b->key);
    if (s->b->state == NULL)
        return MF_OK;
    return prepare_state(s, s->head, s->b->version, s->b->state, MF_GUARD_VERSION, 0);
}

static mf_status prepare_writes(struct step *s)
{
    for (size_t i = 0; i < s->b->write_count; i++) {
        const mf_write *w = &s->b->writes[i];
        struct mfi_head *head = mfi_head_find(s->m, &w->key);
        mf_status st = prepare_state(s, head, w->version, w->state, MF_GUARD_WRITE, i);
        if (st != MF_OK)
            return st;
        head->writing = true;
        s->writes_marked++;
    }
    return MF_OK;
}

static mf_status prepare_claims(struct step *s)
{
    for (size_t i = 0; i < s->b->hold_count; i++)
        if (mfi_claim_find(&s->m->queue, s->b->holds[i]) == NULL)
            return refuse(s, MF_GUARD_HOLD, i);
    for (size_t i = 0; i < s->b->settle_count; i++) {
        struct mfi_slot *slot = mfi_claim_find(&s->m->queue, s->b->settles[i]);
        if (slot == NULL || slot->settling)
            return refuse(s, MF_GUARD_SETTLE, i);
        slot->settling = true;
        s->settles_marked++;
        s->slots_back += mfi_slot_comes_back(slot);
    }
    return MF_OK;
}

static mf_status prepare_puts(struct step *s)
{
    for (size_t i = 0; i < s->b->put_count; i++) {
        const mf_put *put = &s->b->puts[i];
        if (mfi_head_find(s->m, &put->spec->key) != NULL)
            return refuse(s, MF_GUARD_PUT, i);
        struct mfi_head *head = mfi_head_add(s->m, put->spec, put->state);
        if (head == NULL)
            return no_memory(s->err);
        s->puts_made++;
        if (s->head == NULL && mf_key_eq(&put->spec->key, &s->b->key))
            s->head = head;
    }
    return MF_OK;
}

static mf_status prepare_items(struct step *s)
{
    const mf_batch *b = s->b;
    if (b->item_count == 0)
        return MF_OK;
    if (s->head == NULL || s->head->item_count != b->items_from)
        return refuse(s, MF_GUARD_ITEMS, 0);
    bool room = mfi_pages_reserve(&s->head->items, s->m->allocator, b->items_from, b->item_count, sizeof(mf_item));
    return room ? MF_OK : no_memory(s->err);
}

static mf_status prepare_outcomes(struct step *s)
{
    for (size_t i = 0; i < s->b->outcome_count; i++) {
        const mf_outcome *outcome = &s->b->outcomes[i];
        if (s->head == NULL)
            return refuse(s, MF_GUARD_OUTCOME, i);
        uintptr_t *packed = mfi_head_outcome(s->head, outcome->index);
        if (packed == NULL) {
            if (!mfi_pages_reserve(&s->head->outcomes, s->m->allocator, outcome->index, 1, sizeof *packed))
                return no_memory(s->err);
            packed = mfi_head_outcome(s->head, outcome->index);
        }
        if (*packed != 0)
            return refuse(s, MF_GUARD_OUTCOME, i);
        *packed = mfi_outcome_pack(outcome);
        s->outcomes_made++;
    }
    return MF_OK;
}

/* Settled claims free their slots before entries are written: a swarm that publishes an item for each that ended needs no
 * slots beyond its max_concurrency. */
static mf_status prepare_entries(struct step *s)
{
    size_t ranked = 0, slots = s->b->entry_count > s->slots_back ? s->b->entry_count - s->slots_back : 0;
    for (size_t i = 0; i < s->b->entry_count; i++) {
        const mf_entry *entry = &s->b->entries[i];
        ranked += entry->priority != 0;
        if (!mf_key_is_set(&entry->parked))
            continue;
        struct mfi_head *head = mfi_head_find(s->m, &entry->parked);
        if (head != NULL && !mfi_rare_reserve(s->m, head))
            return no_memory(s->err);
    }
    return mfi_queue_reserve(&s->m->queue, s->m->allocator, slots, ranked) ? MF_OK : no_memory(s->err);
}

static mf_status prepare_notes(struct step *s)
{
    size_t refused = mfi_notes_refused(s->m, s->b, s->now_ms);
    if (refused < s->b->note_count)
        return refuse(s, MF_GUARD_NOTE, refused);
    return mfi_notes_reserve(s->m, s->b->note_count) ? MF_OK : no_memory(s->err);
}

static mf_status prepare(struct step *s)
{
    mf_status st = prepare_record(s);
    if (st == MF_OK)
        st = prepare_writes(s);
    if (st == MF_OK)
        st = prepare_claims(s);
    if (st == MF_OK)
        st = prepare_puts(s);
    if (st == MF_OK)
        st = prepare_items(s);
    if (st == MF_OK)
        st = prepare_outcomes(s);
    if (st == MF_OK)
        st = prepare_entries(s);
    if (st == MF_OK && s->b->note_count > 0)
        st = prepare_notes(s);
    return st;
}

static void undo(struct step *s)
{
    for (size_t i = 0; i < s->outcomes_made; i++)
        *mfi_head_outcome(s->head, s->b->outcomes[i].index) = 0;
    for (size_t i = 0; i < s->puts_made; i++) {
        struct mfi_head *head = mfi_head_find(s->m, &s->b->puts[i].spec->key);
        mfi_head_remove(s->m, head);
        head->gone = s->gone;
        s->gone = head;
    }
    for (size_t i = 0; i < s->writes_marked; i++)
        mfi_head_find(s->m, &s->b->writes[i].key)->writing = false;
    for (size_t i = 0; i < s->settles_marked; i++)
        mfi_claim_find(&s->m->queue, s->b->settles[i])->settling = false;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

static void write_state(struct step *s, struct mfi_head *head, const mf_key *key, uint64_t version, const mf_state *state)
{
    struct mfi_written *written = &s->written[s->news.written_count++];
    bool ended = !mf_signature_status_ended(mfi_head_status(head)) && mf_signature_status_ended(state->status);
    written->old = mfi_head_write(s->m, head, state);
    written->ended = ended ? key : NULL;
    head->state.version = version + 1;
    s->news.ended |= ended;
}

static void write_states(struct step *s)
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

static void write_items(struct step *s)
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

static void write_outcomes(struct step *s)
{
    for (size_t i = 0; i < s->b->outcome_count; i++) {
        const mf_outcome *outcome = &s->b->outcomes[i];
        mf_message_ref(outcome->value);
        if (outcome->index >= s->head->outcome_end)
            s->head->outcome_end = outcome->index + 1;
    }
}

static void write_ends(struct step *s, struct mfi_dropped *dropped)
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

static void write_resume(struct step *s)
{
    if (!mf_key_is_set(&s->b->resume))
        return;
    struct mfi_head *head = mfi_head_find(s->m, &s->b->resume);
    if (head != NULL && head->rare != NULL)
        s->news.ready += mfi_queue_unpark(&s->m->queue, &head->rare->parked, s->now_ms);
}

/* The list it has to wait in; NULL: it has not. */
static struct mfi_list *parked_on(struct step *s, const mf_entry *entry)
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

static void write_entries(struct step *s)
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
    return top == NULL ? INT64_MAX : top->due_ms;
}

/* first_before: the first deadline of all before the batch. */
static void write_all(struct step *s, struct mfi_dropped *dropped, int64_t first_before)
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
static mf_status commit_locked(struct step *s, struct mfi_dropped *dropped, int64_t now_ms)
{
    s->now_ms = mfi_memory_advance(s->m, now_ms);
    s->news.ready = mfi_claims_sweep(&s->m->queue, s->now_ms);
    int64_t first_before = first_deadline(s->m);
    mf_status st = prepare(s);
    if (st == MF_OK)
        write_all(s, dropped, first_before);
    else
        undo(s);
    return st;
}

static bool needs_time(const struct mfi_memory *m, const mf_batch *b)
{
    return b->entry_count > 0 || m->leases || b->put_count > 0 || b->note_count > 0 || b->removal_count > 0 ||
           mf_key_is_set(&b->resume);
}

static mf_status commit(struct step *s)
{
    struct mfi_memory *m = s->m;
    struct mfi_dropped dropped;
    dropped.count = 0;
    if (s->b->note_count > 0 && !mfi_notes_make(m, s->b, &s->notes))
        return no_memory(s->err);
    int64_t now = needs_time(m, s->b) ? mfi_memory_clock(m) : 0;
    pthread_mutex_lock(&m->lock);
    mf_status st = commit_locked(s, &dropped, now);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < s->news.written_count; i++)
        mfi_kept_unref(&s->written[i].old);
    mfi_dropped_release(&dropped);
    mfi_gone_free(s->gone, m->allocator);
    mfi_notes_free(s->notes, m->allocator);
    mfi_watch_tell(m, &s->news);
    return st;
}

mf_status mfi_memory_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_written few[WRITTEN_FEW], *written = few;
    size_t room = batch->write_count + 1;
    if (room > WRITTEN_FEW && (written = mfi_alloc_array(m->allocator, room, sizeof *written)) == NULL)
        return no_memory(err);
    struct step s = {.m = m, .b = batch, .refusal = refusal, .err = err, .written = written,
                     .news = {.delayed_ms = INT64_MAX, .written = written}};
    mf_status st = commit(&s);
    if (written != few)
        mfi_release(m->allocator, written, room * sizeof *written);
    return st;
}
