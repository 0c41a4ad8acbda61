/* The first half of a commit: may it be, and is there room for it? memory_commit.c tells how the halves go together. */
#include "memory_step.h"
#include "memory_tables.h"

static mf_status refuse(struct mfi_step *s, mf_guard guard, size_t index)
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

mf_status mfi_step_no_memory(mf_error *err)
{
    return mf_fail(err, MF_E_NOMEM, "store: no memory for the commit");
}

static mf_status prepare_state(struct mfi_step *s, struct mfi_head *head, uint64_t version, const mf_state *state, mf_guard guard,
                               size_t index)
{
    if (head == NULL || head->writing || head->state.version != version)
        return refuse(s, guard, index);
    return mfi_head_reserve(s->m, head, state) ? MF_OK : mfi_step_no_memory(s->err);
}

static mf_status prepare_record(struct mfi_step *s)
{
    if (!mf_key_is_set(&s->b->key))
        return MF_OK;
    s->head = mfi_head_find(s->m, &s->b->key);
    if (s->b->state == NULL)
        return MF_OK;
    return prepare_state(s, s->head, s->b->version, s->b->state, MF_GUARD_VERSION, 0);
}

static mf_status prepare_writes(struct mfi_step *s)
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

static mf_status prepare_claims(struct mfi_step *s)
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

static mf_status prepare_puts(struct mfi_step *s)
{
    for (size_t i = 0; i < s->b->put_count; i++) {
        const mf_put *put = &s->b->puts[i];
        if (mfi_head_find(s->m, &put->spec->key) != NULL)
            return refuse(s, MF_GUARD_PUT, i);
        struct mfi_head *head = mfi_head_add(s->m, put->spec, put->state);
        if (head == NULL)
            return mfi_step_no_memory(s->err);
        s->puts_made++;
        if (s->head == NULL && mf_key_eq(&put->spec->key, &s->b->key))
            s->head = head;
    }
    return MF_OK;
}

static mf_status prepare_items(struct mfi_step *s)
{
    const mf_batch *b = s->b;
    if (b->item_count == 0)
        return MF_OK;
    if (s->head == NULL || s->head->item_count != b->items_from)
        return refuse(s, MF_GUARD_ITEMS, 0);
    bool room = mfi_pages_reserve(&s->head->items, s->m->allocator, b->items_from, b->item_count, sizeof(mf_item));
    return room ? MF_OK : mfi_step_no_memory(s->err);
}

static mf_status prepare_outcomes(struct mfi_step *s)
{
    for (size_t i = 0; i < s->b->outcome_count; i++) {
        const mf_outcome *outcome = &s->b->outcomes[i];
        if (s->head == NULL)
            return refuse(s, MF_GUARD_OUTCOME, i);
        uint64_t *packed = mfi_head_outcome(s->head, outcome->index);
        if (packed == NULL) {
            if (!mfi_pages_reserve(&s->head->outcomes, s->m->allocator, outcome->index, 1, sizeof *packed))
                return mfi_step_no_memory(s->err);
            packed = mfi_head_outcome(s->head, outcome->index);
        }
        if (*packed != 0)
            return refuse(s, MF_GUARD_OUTCOME, i);
        *packed = mfi_outcome_pack(outcome);
        s->outcomes_made++;
    }
    return MF_OK;
}

static bool prepare_retry(struct mfi_step *s, const mf_entry *entry)
{
    struct mfi_head *head = mfi_head_find(s->m, &entry->unit.key);
    return head == NULL || mfi_tried_reserve(s->m, head, entry->unit.index);
}

/* Settled claims free their slots before entries are written: a swarm that publishes an item for each that ended needs no
 * slots beyond its max_concurrency. */
static mf_status prepare_entries(struct mfi_step *s)
{
    size_t ranked = 0, slots = s->b->entry_count > s->slots_back ? s->b->entry_count - s->slots_back : 0;
    for (size_t i = 0; i < s->b->entry_count; i++) {
        const mf_entry *entry = &s->b->entries[i];
        ranked += entry->priority != 0;
        if (mfi_step_is_retry(s, entry) && !prepare_retry(s, entry))
            return mfi_step_no_memory(s->err);
        if (!mf_key_is_set(&entry->parked))
            continue;
        struct mfi_head *head = mfi_head_find(s->m, &entry->parked);
        if (head != NULL && !mfi_rare_reserve(s->m, head))
            return mfi_step_no_memory(s->err);
    }
    return mfi_queue_reserve(&s->m->queue, s->m->allocator, slots, ranked) ? MF_OK : mfi_step_no_memory(s->err);
}

static mf_status prepare_notes(struct mfi_step *s)
{
    size_t refused = mfi_notes_refused(s->m, s->b, s->now_ms);
    if (refused < s->b->note_count)
        return refuse(s, MF_GUARD_NOTE, refused);
    return mfi_notes_reserve(s->m, s->b->note_count) ? MF_OK : mfi_step_no_memory(s->err);
}

mf_status mfi_step_prepare(struct mfi_step *s)
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

void mfi_step_undo(struct mfi_step *s)
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
