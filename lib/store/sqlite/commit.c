/* One batch, all or nothing.
 *
 *     guards     what can be asked without writing: versions, tokens that are held, keys that are new, notes that are fresh.
 *                What they refuse costs the group it is in nothing
 *     write      the rest, where a guard is the write itself: an outcome that is there already, a token that is gone, the
 *                same thing twice in one batch. Refused there, the transaction is rolled back (group.c)
 *
 * The order of writing: records that are new; states, items, outcomes; claims and rows that end; what is resumed; what is
 * removed; then messages, which are parked or not by what is true by now; then notes. */
#include "sqlite_store.h"

enum { ENDED_FEW = 8 };

struct commit_op {
    struct mfi_sq_op   op;
    const mf_batch *b;
    mf_refusal     *refusal;
    const mf_key  **ended;     /* room for one each that is written */
    struct mfi_news news;
};

static mf_status refuse(struct commit_op *c, mf_guard guard, size_t index)
{
    static const char *const what[] = {
        [MF_GUARD_PUT] = "put: the key exists", [MF_GUARD_VERSION] = "the record has another version",
        [MF_GUARD_ITEMS] = "items: there are not so many yet, or more", [MF_GUARD_OUTCOME] = "outcome: known already",
        [MF_GUARD_SETTLE] = "settle: not a current token", [MF_GUARD_WRITE] = "write: the record has another version",
        [MF_GUARD_HOLD] = "hold: not a current token", [MF_GUARD_NOTE] = "note: there is one of that name",
    };
    *c->refusal = (mf_refusal){guard, index};
    return mf_fail(c->op.err, MF_E_CONFLICT, "store: %s (%zu)", what[guard], index);
}

static void sooner(struct commit_op *c, int64_t ms)
{
    if (ms < c->news.delayed_ms)
        c->news.delayed_ms = ms;
}

/* ---- guards ------------------------------------------------------------------------------------------------------- */

static mf_status check_version(struct mfi_sqlite *s, struct commit_op *c, const mf_key *key, uint64_t version, mf_guard guard,
                               size_t index)
{
    struct mfi_sq_head *head;
    mf_status st = mfi_sq_head_find(s, key, &head, c->op.err);
    if (st == MF_OK && (head == NULL || head->version != version))
        st = refuse(c, guard, index);
    return st;
}

static mf_status check_versions(struct mfi_sqlite *s, struct commit_op *c)
{
    const mf_batch *b = c->b;
    mf_status st = b->state == NULL ? MF_OK : check_version(s, c, &b->key, b->version, MF_GUARD_VERSION, 0);
    for (size_t i = 0; st == MF_OK && i < b->write_count; i++)
        st = check_version(s, c, &b->writes[i].key, b->writes[i].version, MF_GUARD_WRITE, i);
    return st;
}

static mf_status check_holds(struct mfi_sqlite *s, struct commit_op *c)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < c->b->hold_count; i++) {
        st = mfi_sq_claim_check(&s->writer, c->b->holds[i], c->op.err);
        if (st == MF_E_STALE)
            st = refuse(c, MF_GUARD_HOLD, i);
    }
    return st;
}

static mf_status check_puts(struct mfi_sqlite *s, struct commit_op *c)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < c->b->put_count; i++) {
        struct mfi_sq_head *head;
        st = mfi_sq_head_find(s, &c->b->puts[i].spec->key, &head, c->op.err);
        if (st == MF_OK && head != NULL)
            st = refuse(c, MF_GUARD_PUT, i);
    }
    return st;
}

static mf_status check_notes(struct mfi_sqlite *s, struct commit_op *c)
{
    size_t refused = c->b->note_count;
    if (c->b->note_count == 0)
        return MF_OK;
    mf_status st = mfi_sq_notes_check(s, c->b, c->op.now_ms, &refused, c->op.err);
    return st == MF_OK && refused < c->b->note_count ? refuse(c, MF_GUARD_NOTE, refused) : st;
}

static mf_status check_guards(struct mfi_sqlite *s, struct commit_op *c)
{
    mf_status st = check_versions(s, c);
    if (st == MF_OK)
        st = check_holds(s, c);
    if (st == MF_OK)
        st = check_puts(s, c);
    return st == MF_OK ? check_notes(s, c) : st;
}

/* ---- write -------------------------------------------------------------------------------------------------------- */

static mf_status write_puts(struct mfi_sqlite *s, struct commit_op *c)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < c->b->put_count; i++) {
        const mf_put *put = &c->b->puts[i];
        struct mfi_sq_head *twice = NULL;
        if (i > 0)
            st = mfi_sq_head_find(s, &put->spec->key, &twice, c->op.err);
        if (st == MF_OK && twice != NULL)
            return refuse(c, MF_GUARD_PUT, i);
        if (st == MF_OK)
            st = mfi_sq_head_put(s, put, c->op.now_ms, c->op.err);
        if (put->state->deadline_ms != 0)
            sooner(c, put->state->deadline_ms);
    }
    return st;
}

static mf_status write_state(struct mfi_sqlite *s, struct commit_op *c, const mf_key *key, uint64_t version,
                             const mf_state *state, mf_guard guard, size_t index)
{
    struct mfi_sq_head *head;
    mf_status st = mfi_sq_head_find(s, key, &head, c->op.err);
    if (st != MF_OK)
        return st;
    if (head == NULL || head->version != version)    /* written by this batch already */
        return refuse(c, guard, index);
    if (!mf_signature_status_ended((mf_signature_status)head->status) && mf_signature_status_ended(state->status))
        c->ended[c->news.ended_count++] = key;
    if (state->deadline_ms != 0 && state->deadline_ms != head->deadline_ms)
        sooner(c, state->deadline_ms);
    return mfi_sq_head_write(s, head, version + 1, state, c->op.err);
}

static mf_status write_states(struct mfi_sqlite *s, struct commit_op *c)
{
    const mf_batch *b = c->b;
    mf_status st = MF_OK;
    if (b->state != NULL)
        st = write_state(s, c, &b->key, b->version, b->state, MF_GUARD_VERSION, 0);
    for (size_t i = 0; st == MF_OK && i < b->write_count; i++)
        st = write_state(s, c, &b->writes[i].key, b->writes[i].version, b->writes[i].state, MF_GUARD_WRITE, i);
    return st;
}

static mf_status write_items(struct mfi_sqlite *s, struct commit_op *c, const struct mfi_sq_head *head)
{
    uint64_t count = 0;
    if (c->b->item_count == 0)
        return MF_OK;
    mf_status st = head == NULL ? MF_OK : mfi_sq_items_count(&s->writer, head->rec, &count, c->op.err);
    if (st != MF_OK)
        return st;
    if (head == NULL || count != c->b->items_from)
        return refuse(c, MF_GUARD_ITEMS, 0);
    return mfi_sq_items_append(s, head, c->b, c->op.err);
}

static mf_status write_outcome(struct mfi_sqlite *s, struct commit_op *c, const struct mfi_sq_head *head, size_t i)
{
    const mf_outcome *outcome = &c->b->outcomes[i];
    if (head == NULL)
        return refuse(c, MF_GUARD_OUTCOME, i);
    if (outcome->value != NULL && mf_message_status(outcome->value) != MF_OK)
        return mf_fail(c->op.err, MF_E_INVALID, "store: outcome %zu has a value that was never made", i);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_OUTCOME_INSERT);
    mfi_sq_bind(&q, mfi_sq_place(head->rec, outcome->index));
    mfi_sq_bind(&q, outcome->status);
    if (outcome->value == NULL)
        mfi_sq_bind_null(&q);
    else
        mfi_sq_bind_bytes(&q, mf_message_bytes(outcome->value));
    mf_status st = mfi_sq_run(&q, c->op.err);
    return st == MF_OK && sqlite3_changes(s->writer.at) == 0 ? refuse(c, MF_GUARD_OUTCOME, i) : st;
}

static mf_status write_contents(struct mfi_sqlite *s, struct commit_op *c)
{
    const mf_batch *b = c->b;
    struct mfi_sq_head *head = NULL;
    if (b->item_count == 0 && b->outcome_count == 0)
        return MF_OK;
    mf_status st = mfi_sq_head_find(s, &b->key, &head, c->op.err);
    if (st == MF_OK)
        st = write_items(s, c, head);
    for (size_t i = 0; st == MF_OK && i < b->outcome_count; i++)
        st = write_outcome(s, c, head, i);
    return st;
}

static mf_status write_ends(struct mfi_sqlite *s, struct commit_op *c)
{
    const mf_batch *b = c->b;
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < b->settle_count; i++) {
        st = mfi_sq_claim_settle(s, b->settles[i], c->op.err);
        if (st == MF_E_STALE)
            st = refuse(c, MF_GUARD_SETTLE, i);
    }
    for (size_t i = 0; st == MF_OK && i < b->published_count; i++)
        st = mfi_sq_entry_published(s, (int64_t)b->published[i], c->op.err);
    return st;
}

static mf_status write_moves(struct mfi_sqlite *s, struct commit_op *c)
{
    const mf_batch *b = c->b;
    mf_status st = MF_OK;
    if (mf_key_is_set(&b->resume))
        st = mfi_sq_unpark(s, &b->resume, c->op.now_ms, &c->news.ready, c->op.err);
    for (size_t i = 0; st == MF_OK && i < b->removal_count; i++)
        st = mfi_sq_remove(s, &b->removals[i], c->op.now_ms, &c->news.ready, c->op.err);
    return st;
}

static mf_status is_parked(struct mfi_sqlite *s, const mf_entry *entry, bool *parked, mf_error *err)
{
    struct mfi_sq_head *head;
    *parked = false;
    if (!mf_key_is_set(&entry->parked))
        return MF_OK;
    mf_status st = mfi_sq_head_find(s, &entry->parked, &head, err);
    if (st == MF_OK && head != NULL)
        *parked = head->status == MF_STATUS_SUSPENDED || head->status == MF_STATUS_INTERRUPTED;
    return st;
}

/* Makes messages of earlier attempts stale. Only claims from elsewhere ask that, and what they tell of comes after the first of
 * them: a store that never sees one keeps nothing. */
static mf_status note_retry(struct mfi_sqlite *s, const mf_entry *entry, mf_error *err)
{
    struct mfi_sq_head *head;
    if (!s->claims || !mfi_entry_is_of_unit(entry))
        return MF_OK;
    mf_status st = mfi_sq_head_find(s, &entry->unit.key, &head, err);
    if (st != MF_OK || head == NULL)
        return st;
    s->meta.retries = true;
    return mfi_sq_exec(&s->writer, MFI_SQL_RETRY_WRITE, err, mfi_sq_place(head->rec, entry->unit.index), entry->unit.epoch,
                       entry->attempt);
}

static mf_status write_entries(struct mfi_sqlite *s, struct commit_op *c)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < c->b->entry_count; i++) {
        const mf_entry *entry = &c->b->entries[i];
        bool parked;
        st = is_parked(s, entry, &parked, c->op.err);
        if (st == MF_OK)
            st = mfi_sq_entry_add(s, entry, parked, c->op.now_ms, c->op.err);
        if (st == MF_OK && entry->attempt > 1)    /* rare */
            st = note_retry(s, entry, c->op.err);
        if (parked)
            continue;
        if (entry->due_ms <= c->op.now_ms)
            c->news.ready++;
        else
            sooner(c, entry->due_ms);
    }
    return st;
}

static mf_status write_notes(struct mfi_sqlite *s, struct commit_op *c)
{
    size_t refused = c->b->note_count;
    if (c->b->note_count == 0)
        return MF_OK;
    mf_status st = mfi_sq_notes_write(s, c->b, c->op.now_ms, &refused, c->op.err);
    return st == MF_OK && refused < c->b->note_count ? refuse(c, MF_GUARD_NOTE, refused) : st;
}

static mf_status commit_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct commit_op *c = (struct commit_op *)op;
    static mf_status (*const steps[])(struct mfi_sqlite *, struct commit_op *) = {
        check_guards, write_puts, write_states, write_contents, write_ends, write_moves, write_entries, write_notes,
    };
    mf_status st = MF_OK;
    *c->refusal = (mf_refusal){MF_GUARD_NONE, 0};
    c->news = (struct mfi_news){.delayed_ms = INT64_MAX, .ended = c->ended};
    for (size_t i = 0; st == MF_OK && i < sizeof steps / sizeof steps[0]; i++)
        st = steps[i](s, c);
    return st;
}

mf_status mfi_sqlite_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    const mf_key *few[ENDED_FEW], **ended = few;
    size_t room = batch->write_count + 1;
    if (room > ENDED_FEW && (ended = mfi_alloc_array(s->allocator, room, sizeof *ended)) == NULL)
        return mf_fail(err, MF_E_NOMEM, "store: no memory for the commit");
    struct commit_op c = {.op = {.run = commit_run, .durable = true, .err = err}, .b = batch, .refusal = refusal,
                          .ended = ended};
    mf_status st = mfi_sq_submit(s, &c.op);
    if (st == MF_OK)
        mfi_watchers_tell(&s->watchers, &c.news);
    if (ended != few)
        mfi_release(s->allocator, ended, room * sizeof *ended);
    return st;
}
