/* One batch, all or nothing.
 *
 *     prepare    every guard, and every allocation that can fail. Three things are put in place on the way, because that
 *                is how a second one of the same batch is noticed: new records, marks on the settled claims, and outcomes.
 *     write      the rest; nothing in it can fail
 *     undo       instead of write, when prepare failed: takes back the three, in as many steps as were made
 *
 * Room that was reserved stays reserved after a failure; nobody can see it. */
#include "memory_store.h"

#include "record.h"

struct step {
    struct mfi_memory *m;
    const mf_batch    *b;
    mf_refusal        *refusal;
    mf_error          *err;
    int64_t            now_ms;
    struct mfi_head   *head;       /* the record that b->key names, there before or put by this batch; NULL: none */
    size_t             puts_made, settles_marked, outcomes_made;
    size_t             slots_back;     /* what the settled claims leave to the entries */
    uint64_t           outcome_end;
    struct mfi_kept    old;        /* what the state held before; dropped without the lock */
    struct mfi_news    news;
};

static mf_status refuse(struct step *s, mf_guard guard, size_t index)
{
    static const char *const what[] = {
        [MF_GUARD_PUT] = "put: the key exists", [MF_GUARD_VERSION] = "the record has another version",
        [MF_GUARD_ITEMS] = "items: there are not so many yet, or more", [MF_GUARD_OUTCOME] = "outcome: known already",
        [MF_GUARD_SETTLE] = "settle: not a current token",
    };
    *s->refusal = (mf_refusal){guard, index};
    return mf_fail(s->err, MF_E_CONFLICT, "store: %s (%zu)", what[guard], index);
}

static mf_status no_memory(struct step *s)
{
    return mf_fail(s->err, MF_E_NOMEM, "store: no memory for the commit");
}

/* ---- what no store accepts --------------------------------------------------------------------------------------- */

static mf_status check_outcome(const mf_outcome *outcome, size_t i, mf_error *err)
{
    if (!mf_signature_status_ended(outcome->status))
        return mf_fail(err, MF_E_INVALID, "store: outcome %zu is \"%s\", which is no end", i,
                       mf_signature_status_name(outcome->status));
    if (outcome->index > MFI_INDEX_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "store: outcome %zu has an index above 2^32 - 1", i);
    return MF_OK;
}

static mf_status check_state(const mf_state *state, mf_error *err)
{
    if (state->cursor.len > MF_CURSOR_MAX)
        return mf_fail(err, MF_E_INVALID, "store: a cursor of %u bytes is above %d", state->cursor.len, MF_CURSOR_MAX);
    return MF_OK;
}

static mf_status check_batch(const mf_batch *b, mf_error *err)
{
    mf_status st = MF_OK;
    if ((b->state != NULL || b->item_count > 0 || b->outcome_count > 0) && !mf_key_is_set(&b->key))
        return mf_fail(err, MF_E_INVALID, "store: a state, items or outcomes, and no key");
    if (b->item_count > MFI_INDEX_MAX || b->items_from > MFI_INDEX_MAX - b->item_count)
        return mf_fail(err, MF_E_TOO_BIG, "store: an item would have an index above 2^32 - 1");
    for (size_t i = 0; st == MF_OK && i < b->put_count; i++) {
        if (!mf_key_is_set(&b->puts[i].spec->key))
            return mf_fail(err, MF_E_INVALID, "store: put %zu has no key", i);
        st = check_state(b->puts[i].state, err);
    }
    if (st == MF_OK && b->state != NULL)
        st = check_state(b->state, err);
    for (size_t i = 0; st == MF_OK && i < b->outcome_count; i++)
        st = check_outcome(&b->outcomes[i], i, err);
    for (size_t i = 0; st == MF_OK && i < b->entry_count; i++)
        if (b->entries[i].spec == NULL)
            st = mf_fail(err, MF_E_INVALID, "store: entry %zu names no task", i);
    return st;
}

/* ---- prepare ----------------------------------------------------------------------------------------------------- */

static mf_status prepare_record(struct step *s)
{
    if (!mf_key_is_set(&s->b->key))
        return MF_OK;
    s->head = mfi_head_find(s->m, &s->b->key);
    if (s->b->state == NULL)
        return MF_OK;
    if (s->head == NULL || s->head->state.version != s->b->version)
        return refuse(s, MF_GUARD_VERSION, 0);
    return mfi_head_reserve(s->m, s->head, s->b->state) ? MF_OK : no_memory(s);
}

static mf_status prepare_settles(struct step *s)
{
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
            return no_memory(s);
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
    return room ? MF_OK : no_memory(s);
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
                return no_memory(s);
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
    size_t delayed = 0, slots = s->b->entry_count > s->slots_back ? s->b->entry_count - s->slots_back : 0;
    for (size_t i = 0; i < s->b->entry_count; i++)
        delayed += s->b->entries[i].due_ms != 0;
    return mfi_queue_reserve(&s->m->queue, s->m->allocator, slots, delayed) ? MF_OK : no_memory(s);
}

static mf_status prepare(struct step *s)
{
    mf_status st = prepare_record(s);
    if (st == MF_OK)
        st = prepare_settles(s);
    if (st == MF_OK)
        st = prepare_puts(s);
    if (st == MF_OK)
        st = prepare_items(s);
    if (st == MF_OK)
        st = prepare_outcomes(s);
    if (st == MF_OK)
        st = prepare_entries(s);
    return st;
}

static void undo(struct step *s)
{
    for (size_t i = 0; i < s->outcomes_made; i++)
        *mfi_head_outcome(s->head, s->b->outcomes[i].index) = 0;
    for (size_t i = 0; i < s->puts_made; i++)
        mfi_head_remove(s->m, mfi_head_find(s->m, &s->b->puts[i].spec->key));
    for (size_t i = 0; i < s->settles_marked; i++)
        mfi_claim_find(&s->m->queue, s->b->settles[i])->settling = false;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

static void write_state(struct step *s)
{
    const mf_state *state = s->b->state;
    if (state == NULL)
        return;
    bool ended = mf_signature_status_ended((mf_signature_status)s->head->state.status);
    s->old = mfi_head_write(s->head, state);
    s->head->state.version = s->b->version + 1;
    if (!ended && mf_signature_status_ended(state->status))
        s->news.ended = &s->head->spec->key;
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

static void write_items(struct step *s)
{
    const mf_batch *b = s->b;
    if (b->item_count == 0)
        return;
    for (size_t i = 0; i < b->item_count; i++) {
        *mfi_head_item(s->head, b->items_from + i) = b->items[i];
        mf_message_ref(b->items[i].message);
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

static void write_entries(struct step *s)
{
    const mf_batch *b = s->b;
    if (b->entry_count == 0)
        return;
    for (size_t i = 0; i < b->entry_count; i++) {
        const mf_entry *entry = &b->entries[i];
        mf_message_ref(entry->message);
        mf_message_ref(entry->error);
        mfi_queue_add(&s->m->queue, entry, s->now_ms);
        if (entry->due_ms <= s->now_ms)
            s->news.ready++;
        else if (entry->due_ms < s->news.delayed_ms)
            s->news.delayed_ms = entry->due_ms;
    }
    ref_specs((const mf_spec *const *)&b->entries[0].spec, sizeof b->entries[0], b->entry_count);
}

static void write_all(struct step *s)
{
    struct mfi_queue *q = &s->m->queue;
    write_state(s);
    write_items(s);
    write_outcomes(s);
    for (size_t i = 0; i < s->b->settle_count; i++)
        mfi_queue_end(q, mfi_claim_find(q, s->b->settles[i]));
    for (size_t i = 0; i < s->b->published_count; i++) {
        struct mfi_slot *slot = mfi_queue_find(q, s->b->published[i]);
        if (slot != NULL)
            mfi_queue_end(q, slot);
    }
    write_entries(s);
}

mf_status mfi_memory_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct step s = {.m = m, .b = batch, .refusal = refusal, .err = err, .news.delayed_ms = INT64_MAX};
    mf_status st = check_batch(batch, err);
    if (st != MF_OK)
        return st;
    int64_t now = batch->entry_count > 0 ? mfi_memory_clock(m) : 0;
    pthread_mutex_lock(&m->lock);
    s.now_ms = mfi_memory_advance(m, now);
    st = prepare(&s);
    if (st == MF_OK)
        write_all(&s);
    else
        undo(&s);
    pthread_mutex_unlock(&m->lock);
    mfi_kept_unref(&s.old);
    mfi_watch_tell(m, &s.news);
    return st;
}
