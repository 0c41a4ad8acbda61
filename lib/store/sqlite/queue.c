/* Messages that wait. The row of an entry is written once and read once; where it is in its life, small tables of numbers
 * tell, of which it stands in one:
 *
 *            add           due             take                settle
 *     ─────────► delayed ───────► ready ─────────► claims ───────────► gone
 *            │                      ▲                 │ give back, or its owner died
 *            └──► parked ───────────┴─────────────────┘
 *                          resume
 *
 * So a message of a megabyte is not moved about with it. `ready` is in the order in which take hands out. */
#include "sqlite_store.h"

#include "record_codec.h"

/* ---- in ----------------------------------------------------------------------------------------------------------- */

static mf_status bind_message(struct mfi_sq_row *q, const mf_message *message, mf_error *err)
{
    if (message == NULL)
        mfi_sq_bind_null(q);
    else if (mf_message_status(message) == MF_OK)
        mfi_sq_bind_bytes(q, mf_message_bytes(message));
    else
        return mf_fail(err, MF_E_INVALID, "store: an entry with a message that was never made");
    return MF_OK;
}

static void bind_key(struct mfi_sq_row *q, const mf_key *key)
{
    if (mf_key_is_set(key))
        mfi_sq_bind_text(q, key->text);
    else
        mfi_sq_bind_null(q);
}

static mf_status insert(struct mfi_sqlite *s, const mf_entry *entry, int64_t id, int64_t due_ms, bool parked, int64_t call,
                        mf_str whole, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_ENTRY_INSERT);
    mfi_sq_bind(&q, id);
    if (whole.len > 0)
        mfi_sq_bind_bytes(&q, whole);
    else
        mfi_sq_bind(&q, call);
    bind_key(&q, &entry->unit.key);
    mfi_sq_bind(&q, (int64_t)entry->unit.index);
    mfi_sq_bind(&q, entry->unit.epoch);
    mfi_sq_bind(&q, entry->attempt);
    mfi_sq_bind(&q, entry->priority);
    mfi_sq_bind(&q, due_ms);
    mfi_sq_bind(&q, entry->deaths);
    mf_status st = bind_message(&q, entry->message, err);
    if (st == MF_OK)
        st = bind_message(&q, entry->error, err);
    if (st != MF_OK)
        return st;
    if (parked)
        mfi_sq_bind_text(&q, entry->parked.text);
    else
        mfi_sq_bind_null(&q);
    return mfi_sq_run(&q, err);
}

mf_status mfi_sq_entry_place(struct mfi_sqlite *s, int64_t id, int32_t priority, int64_t due_ms, int64_t now_ms, mf_error *err)
{
    if (due_ms <= now_ms)
        return mfi_sq_exec(&s->writer, MFI_SQL_READY_INSERT, err, -(int64_t)priority, due_ms, id);
    return mfi_sq_exec(&s->writer, MFI_SQL_DELAYED_INSERT, err, due_ms, id);
}

mf_status mfi_sq_entry_add(struct mfi_sqlite *s, const mf_entry *entry, bool parked, int64_t now_ms, mf_error *err)
{
    int64_t call = 0, due_ms = entry->due_ms != 0 ? entry->due_ms : now_ms;
    mf_message *whole = NULL;
    mf_status st = mf_key_is_set(&entry->spec->key) ? mfi_spec_encode(entry->spec, s->allocator, &whole, err)
                                                    : mfi_sq_call_number(s, entry->spec, false, &call, err);
    if (st != MF_OK)
        return st;
    int64_t id = ++s->meta.last_entry;
    st = insert(s, entry, id, due_ms, parked, call, mf_message_bytes(whole), err);
    mf_message_unref(whole);
    if (st != MF_OK || !parked)
        return st != MF_OK ? st : mfi_sq_entry_place(s, id, entry->priority, due_ms, now_ms, err);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_PARKED_INSERT);
    mfi_sq_bind_text(&q, entry->parked.text);
    mfi_sq_bind(&q, id);
    return mfi_sq_run(&q, err);
}

mf_status mfi_sq_unpark(struct mfi_sqlite *s, const mf_key *key, int64_t now_ms, size_t *ready, mf_error *err)
{
    static const enum mfi_sql steps[] = {MFI_SQL_UNPARK_READY, MFI_SQL_UNPARK_DUE, MFI_SQL_UNPARK};
    mf_status st = MF_OK;
    for (int i = 0; st == MF_OK && i < 3; i++) {
        struct mfi_sq_row q = mfi_sq_query(&s->writer, steps[i]);
        mfi_sq_bind_text(&q, key->text);
        if (steps[i] != MFI_SQL_UNPARK)
            mfi_sq_bind(&q, now_ms);
        st = mfi_sq_run(&q, err);
        int moved = sqlite3_changes(s->writer.at);
        if (st == MF_OK && i == 0) {
            *ready += (size_t)moved;
            if (moved == 0)
                break;
        }
    }
    return st;
}

/* ---- what is next ------------------------------------------------------------------------------------------------- */

static mf_status first_of(struct mfi_sq_db *db, enum mfi_sql sql, int64_t *out, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, sql);
    *out = mfi_sq_next(&q) && !mfi_sq_is_null(&q, 0) ? mfi_sq_int(&q, 0) : INT64_MAX;
    return mfi_sq_done(&q, err);
}

mf_status mfi_sq_queue_ripen(struct mfi_sqlite *s, int64_t now_ms, mf_error *err)
{
    int64_t first;
    mf_status st = first_of(&s->writer, MFI_SQL_DELAYED_FIRST, &first, err);
    if (st != MF_OK || first > now_ms)
        return st;
    st = mfi_sq_exec(&s->writer, MFI_SQL_DELAYED_RIPEN, err, now_ms);
    return st == MF_OK ? mfi_sq_exec(&s->writer, MFI_SQL_DELAYED_TRIM, err, now_ms) : st;
}

mf_status mfi_sq_queue_next_due(struct mfi_sqlite *s, int64_t *out, mf_error *err)
{
    mf_status st = first_of(&s->writer, MFI_SQL_READY_FIRST, out, err);
    return st == MF_OK && *out == INT64_MAX ? first_of(&s->writer, MFI_SQL_DELAYED_FIRST, out, err) : st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static mf_status read_message(struct mfi_sqlite *s, const struct mfi_sq_row *q, int column, mf_message **out, mf_error *err)
{
    return mfi_sq_is_null(q, column) ? MF_OK : mfi_message_decode(mfi_sq_bytes(q, column), s->allocator, out, err);
}

mf_status mfi_sq_entry_read(struct mfi_sqlite *s, struct mfi_sq_db *db, struct mfi_sq_row *q, mf_entry *out, mf_error *err)
{
    *out = (mf_entry){.id = (uint64_t)mfi_sq_int(q, 0)};
    mf_str key = mfi_sq_bytes(q, 2);
    if (key.len < sizeof out->unit.key.text && key.len > 0)
        memcpy(out->unit.key.text, key.at, key.len);
    out->unit.index = (uint64_t)mfi_sq_int(q, 3);
    out->unit.epoch = (uint32_t)mfi_sq_int(q, 4);
    out->attempt = (uint32_t)mfi_sq_int(q, 5);
    out->priority = (int32_t)mfi_sq_int(q, 6);
    out->due_ms = mfi_sq_int(q, 7);
    out->deaths = (uint32_t)mfi_sq_int(q, 8);
    mf_status st = sqlite3_column_type(q->at, 1) == SQLITE_INTEGER
                 ? mfi_sq_call_read(s, db, mfi_sq_int(q, 1), &out->spec, err)
                 : mfi_spec_decode(mfi_sq_bytes(q, 1), s->allocator, &out->spec, err);
    if (st == MF_OK)
        st = read_message(s, q, 9, &out->message, err);
    if (st == MF_OK)
        st = read_message(s, q, 10, &out->error, err);
    if (st != MF_OK)
        mf_entry_release(out);
    return st;
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

static mf_status unlist(struct mfi_sqlite *s, int64_t id, int64_t rank, int64_t due_ms, mf_error *err)
{
    struct mfi_sq_db *db = &s->writer;
    mf_status st = mfi_sq_exec(db, MFI_SQL_READY_DELETE, err, rank, due_ms, id);
    if (st != MF_OK || sqlite3_changes(db->at) > 0)
        return st;
    st = mfi_sq_exec(db, MFI_SQL_DELAYED_DELETE, err, due_ms, id);
    if (st != MF_OK || sqlite3_changes(db->at) > 0)
        return st;
    return mfi_sq_exec(db, MFI_SQL_CLAIM_OF_ENTRY, err, id);
}

mf_status mfi_sq_entry_published(struct mfi_sqlite *s, int64_t id, mf_error *err)
{
    struct mfi_sq_db *db = &s->writer;
    mf_key parked = {{0}};
    int64_t rank = 0, due_ms = 0;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_ENTRY_WHERE);
    mfi_sq_bind(&q, id);
    bool found = mfi_sq_next(&q);
    if (found) {
        rank = -mfi_sq_int(&q, 0);
        due_ms = mfi_sq_int(&q, 1);
        mf_str key = mfi_sq_bytes(&q, 2);
        if (key.len > 0 && key.len < sizeof parked.text)
            memcpy(parked.text, key.at, key.len);
    }
    mf_status st = mfi_sq_done(&q, err);
    if (st != MF_OK || !found)
        return st;
    if (mf_key_is_set(&parked)) {    /* once parked; perhaps not any more */
        q = mfi_sq_query(db, MFI_SQL_PARKED_DELETE);
        mfi_sq_bind_text(&q, parked.text);
        mfi_sq_bind(&q, id);
        st = mfi_sq_run(&q, err);
    }
    if (st == MF_OK)
        st = unlist(s, id, rank, due_ms, err);
    return st == MF_OK ? mfi_sq_exec(db, MFI_SQL_ENTRY_DELETE, err, id) : st;
}
