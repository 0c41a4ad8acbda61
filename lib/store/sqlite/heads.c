/* Records: a row each, and its head, which is what deciding and writing need of it.
 *
 * Heads are remembered from one transaction to the next, since a swarm's operations name the same one again and again; group.c
 * forgets them all when somebody else wrote or when a transaction failed.
 *
 * A message of up to 1 KiB stands in the record's row. A longer one has a row of its own, so that a swarm of a megabyte of
 * input does not write it again with each of its outcomes; it is known by its address while the cache holds it. */
#include "sqlite_store.h"

#include "record_codec.h"

#include <assert.h>

#define INLINE_MAX 1024
#define KEPT_FIRST 2    /* columns of MFI_SQL_RECORD_READ in front of the state */

/* ---- remembering -------------------------------------------------------------------------------------------------- */

void mfi_sq_heads_forget(struct mfi_sqlite *s)
{
    const mf_allocator *allocator = s->allocator;
    struct mfi_sq_head *head = s->heads;
    HASH_CLEAR(hh, s->heads);
    while (head != NULL) {
        struct mfi_sq_head *next = head->hh.next;
        mf_delete(allocator, head);
        head = next;
    }
}

static struct mfi_sq_head *remembered(struct mfi_sqlite *s, const mf_key *key)
{
    struct mfi_sq_head *head;
    HASH_FIND(hh, s->heads, key, sizeof *key, head);
    return head;
}

static void forget(struct mfi_sqlite *s, struct mfi_sq_head *head)
{
    const mf_allocator *allocator = s->allocator;
    HASH_DEL(s->heads, head);
    mf_delete(allocator, head);
}

static struct mfi_sq_head *remember(struct mfi_sqlite *s, const struct mfi_sq_head *from)
{
    const mf_allocator *allocator = s->allocator;
    struct mfi_sq_head *head = mf_new(allocator, struct mfi_sq_head);
    if (head == NULL)
        return NULL;
    *head = *from;
    HASH_ADD(hh, s->heads, key, sizeof head->key, head);
    if (head->hh.tbl == NULL) {    /* how uthash says that there was no memory */
        mf_delete(allocator, head);
        return NULL;
    }
    return head;
}

static mf_status no_memory(mf_error *err)
{
    return mf_fail(err, MF_E_NOMEM, "store: no memory for a record");
}

static void key_of(mf_str text, mf_key *out)
{
    memset(out, 0, sizeof *out);
    if (text.len > 0 && text.len < sizeof out->text)
        memcpy(out->text, text.at, text.len);
}

mf_status mfi_sq_head_find(struct mfi_sqlite *s, const mf_key *key, struct mfi_sq_head **out, mf_error *err)
{
    *out = remembered(s, key);
    if (*out != NULL)
        return MF_OK;
    struct mfi_sq_head head = {.key = *key};
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_HEAD_FIND);
    mfi_sq_bind_text(&q, key->text);
    bool found = mfi_sq_next(&q);
    if (found) {
        head.rec = mfi_sq_int(&q, 0);
        head.kind = (uint8_t)mfi_sq_int(&q, 1);
        head.numbered = mfi_sq_int(&q, 2) != 0;
        key_of(mfi_sq_bytes(&q, 3), &head.container);
        head.version = (uint64_t)mfi_sq_int(&q, 4);
        head.epoch = (uint32_t)mfi_sq_int(&q, 5);
        head.status = (uint8_t)mfi_sq_int(&q, 6);
        head.next = (uint64_t)mfi_sq_int(&q, 7);
        head.running = (uint64_t)mfi_sq_int(&q, 8);
        head.started_ms = mfi_sq_int(&q, 9);
        head.deadline_ms = mfi_sq_int(&q, 10);
        head.lock = (uint64_t)mfi_sq_int(&q, 11);
        head.lock_until_ms = mfi_sq_int(&q, 12);
        for (int part = 0; part < MFI_PARTS; part++)
            if (sqlite3_column_type(q.at, 13 + part) == SQLITE_INTEGER)
                head.parts[part] = mfi_sq_int(&q, 13 + part);
    }
    mf_status st = mfi_sq_done(&q, err);
    if (st != MF_OK || !found)
        return st;
    *out = remember(s, &head);
    return *out != NULL ? MF_OK : no_memory(err);
}

mf_status mfi_sq_head_blocker(struct mfi_sqlite *s, const struct mfi_sq_head *head, struct mfi_sq_head **out, mf_error *err)
{
    *out = NULL;
    for (int i = 0; i < MFI_ABOVE_MAX && mf_key_is_set(&head->container); i++) {
        struct mfi_sq_head *above;
        mf_status st = mfi_sq_head_find(s, &head->container, &above, err);
        if (st != MF_OK || above == NULL)
            return st;
        if (!mf_signature_status_runs((mf_signature_status)above->status)) {
            *out = above;
            return MF_OK;
        }
        head = above;
    }
    return MF_OK;
}

/* ---- long messages ------------------------------------------------------------------------------------------------ */

static const mf_message *part_of(const mf_state *state, int part)
{
    const mf_message *const parts[] = {state->kwargs, state->input, state->inherited, state->result};
    return parts[part];
}

/* The rows that long messages need, before the row that names them. ids[part] 0: it stands in the record's row. */
static mf_status write_parts(struct mfi_sqlite *s, const int64_t *before, const mf_state *state, int64_t *ids, mf_error *err)
{
    mf_status st = MF_OK;
    for (int part = 0; st == MF_OK && part < MFI_PARTS; part++) {
        const mf_message *message = part_of(state, part);
        mf_str bytes = mf_message_bytes(message);
        ids[part] = 0;
        if (message != NULL && mf_message_status(message) != MF_OK)
            return mf_fail(err, MF_E_INVALID, "store: a state with a message that was never made");
        if (bytes.len <= INLINE_MAX)
            continue;
        ids[part] = before[part] != 0 && mfi_sq_cache_message_id(&s->cache, message) == before[part] ? before[part] : 0;
        if (ids[part] != 0)
            continue;
        ids[part] = mfi_sq_next_id(s);
        struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_MESSAGE_INSERT);
        mfi_sq_bind(&q, ids[part]);
        mfi_sq_bind_bytes(&q, bytes);
        st = mfi_sq_run(&q, err);
        if (st == MF_OK)
            mfi_sq_cache_add_message(&s->cache, message, ids[part]);
    }
    return st;
}

static mf_status drop_parts(struct mfi_sqlite *s, const int64_t *before, const int64_t *ids, mf_error *err)
{
    mf_status st = MF_OK;
    for (int part = 0; st == MF_OK && part < MFI_PARTS; part++)
        if (before[part] != 0 && before[part] != ids[part])
            st = mfi_sq_exec(&s->writer, MFI_SQL_MESSAGE_DELETE, err, before[part]);
    return st;
}

static mf_status message_read(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t id, mf_message **out, mf_error *err)
{
    *out = mfi_sq_cache_message(&s->cache, id);
    if (*out != NULL)
        return MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_MESSAGE_READ);
    mfi_sq_bind(&q, id);
    mf_status st = MF_OK;
    if (mfi_sq_next(&q))
        st = mfi_message_decode(mfi_sq_bytes(&q, 0), s->allocator, out, err);
    mf_status done = mfi_sq_done(&q, err);
    if (st == MF_OK && done == MF_OK && *out == NULL)
        st = mf_fail(err, MF_E_IO, "store %s: damaged: a record's message is missing", s->path);
    if (*out != NULL)
        mfi_sq_cache_add_message(&s->cache, *out, id);
    return st != MF_OK ? st : done;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void bind_state(struct mfi_sq_row *q, uint64_t version, const mf_state *state, const int64_t *ids)
{
    const int64_t numbers[] = {
        (int64_t)version, state->epoch, state->status, state->last_status, state->closed, (int64_t)state->total,
        (int64_t)state->expected, (int64_t)state->next, (int64_t)state->running, (int64_t)state->done,
        (int64_t)state->failed, (int64_t)state->canceled, state->priority, state->started_ms, state->ended_ms,
        state->deadline_ms, (int64_t)state->lock, state->lock_until_ms,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        mfi_sq_bind(q, numbers[i]);
    for (int part = 0; part < MFI_PARTS; part++) {
        const mf_message *message = part_of(state, part);
        if (message == NULL)
            mfi_sq_bind_null(q);
        else if (ids[part] != 0)
            mfi_sq_bind(q, ids[part]);
        else
            mfi_sq_bind_bytes(q, mf_message_bytes(message));
    }
    if (state->cursor.len == 0)
        mfi_sq_bind_null(q);
    else
        mfi_sq_bind_bytes(q, mf_str_of((const char *)state->cursor.bytes, state->cursor.len));
}

static void head_take(struct mfi_sq_head *head, uint64_t version, const mf_state *state, const int64_t *ids)
{
    head->version = version;
    head->epoch = state->epoch;
    head->status = (uint8_t)state->status;
    head->next = state->next;
    head->running = state->running;
    head->started_ms = state->started_ms;
    head->deadline_ms = state->deadline_ms;
    head->lock = state->lock;
    head->lock_until_ms = state->lock_until_ms;
    memcpy(head->parts, ids, sizeof head->parts);
}

static bool has_ended(int status)
{
    return mf_signature_status_ended((mf_signature_status)status);
}

static mf_status move_deadline(struct mfi_sqlite *s, const struct mfi_sq_head *head, const mf_state *state, mf_error *err)
{
    bool before = has_ended(head->status), after = has_ended(state->status);
    mf_status st = MF_OK;
    if (head->deadline_ms == state->deadline_ms && before == after)
        return MF_OK;
    if (head->deadline_ms != 0)
        st = mfi_sq_exec(&s->writer, MFI_SQL_DEADLINE_DELETE, err, before, head->deadline_ms, head->rec);
    if (st == MF_OK && state->deadline_ms != 0)
        st = mfi_sq_exec(&s->writer, MFI_SQL_DEADLINE_INSERT, err, after, state->deadline_ms, head->rec);
    return st;
}

mf_status mfi_sq_head_write(struct mfi_sqlite *s, struct mfi_sq_head *head, uint64_t version, const mf_state *state,
                         mf_error *err)
{
    int64_t ids[MFI_PARTS];
    mf_status st = write_parts(s, head->parts, state, ids, err);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_RECORD_UPDATE);
    bind_state(&q, version, state, ids);
    mfi_sq_bind(&q, head->rec);
    st = mfi_sq_run(&q, err);
    if (st == MF_OK)
        st = drop_parts(s, head->parts, ids, err);
    if (st == MF_OK)
        st = move_deadline(s, head, state, err);
    if (st == MF_OK)
        head_take(head, version, state, ids);
    return st;
}

static void bind_key(struct mfi_sq_row *q, const mf_key *key)
{
    if (mf_key_is_set(key))
        mfi_sq_bind_text(q, key->text);
    else
        mfi_sq_bind_null(q);
}

static mf_status insert_record(struct mfi_sqlite *s, const struct mfi_sq_head *head, const mf_put *put, const int64_t *ids,
                               int64_t now_ms, mf_error *err)
{
    const mf_spec *spec = put->spec;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_RECORD_INSERT);
    bind_state(&q, put->state->version, put->state, ids);
    mfi_sq_bind(&q, head->rec);
    mfi_sq_bind_text(&q, spec->key.text);
    mfi_sq_bind(&q, spec->kind);
    mfi_sq_bind(&q, spec->numbered);
    mfi_sq_bind(&q, !mf_key_is_set(&spec->container) && !mf_key_is_set(&spec->parent));
    bind_key(&q, &spec->container);
    mfi_sq_bind(&q, now_ms);
    return mfi_sq_run(&q, err);
}

static mf_status insert_spec(struct mfi_sqlite *s, int64_t rec, const mf_spec *spec, mf_error *err)
{
    mf_message *body = NULL;
    mf_status st = mfi_spec_encode(spec, s->allocator, &body, err);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_SPEC_INSERT);
    mfi_sq_bind(&q, rec);
    mfi_sq_bind_bytes(&q, mf_message_bytes(body));
    st = mfi_sq_run(&q, err);
    mf_message_unref(body);
    if (st == MF_OK)
        mfi_sq_cache_add_spec(&s->cache, spec, rec);
    return st;
}

mf_status mfi_sq_head_put(struct mfi_sqlite *s, const mf_put *put, int64_t now_ms, mf_error *err)
{
    static const int64_t none[MFI_PARTS];
    const mf_spec *spec = put->spec;
    struct mfi_sq_head head = {.key = spec->key, .container = spec->container, .kind = (uint8_t)spec->kind,
                            .numbered = spec->numbered};
    int64_t ids[MFI_PARTS];
    if (s->meta.last_record == MFI_RECORD_MAX)
        return mf_fail(err, MF_E_FULL, "store %s: has had 2^31 - 1 records; begin a new file", s->path);
    mf_status st = write_parts(s, none, put->state, ids, err);
    if (st != MF_OK)
        return st;
    head.rec = ++s->meta.last_record;
    st = insert_record(s, &head, put, ids, now_ms, err);
    if (st == MF_OK)
        st = insert_spec(s, head.rec, spec, err);
    if (st == MF_OK && put->state->deadline_ms != 0)
        st = mfi_sq_exec(&s->writer, MFI_SQL_DEADLINE_INSERT, err, has_ended(put->state->status), put->state->deadline_ms,
                      head.rec);
    if (st != MF_OK)
        return st;
    head_take(&head, put->state->version, put->state, ids);
    return remember(s, &head) != NULL ? MF_OK : no_memory(err);
}

mf_status mfi_sq_head_activate(struct mfi_sqlite *s, struct mfi_sq_head *head, int64_t now_ms, mf_error *err)
{
    int64_t started_ms = head->started_ms != 0 ? head->started_ms : now_ms;
    mf_status st = mfi_sq_exec(&s->writer, MFI_SQL_RECORD_ACTIVATE, err, head->rec, MF_STATUS_ACTIVE, head->status, started_ms);
    if (st == MF_OK) {
        head->status = MF_STATUS_ACTIVE;
        head->started_ms = started_ms;
    }
    return st;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_head_delete(struct mfi_sqlite *s, struct mfi_sq_head *head, mf_error *err)
{
    static const int64_t none[MFI_PARTS];
    struct mfi_sq_db *db = &s->writer;
    int64_t rec = head->rec, first = mfi_sq_place(rec, 0), end = mfi_sq_place(rec + 1, 0);
    mf_status st = drop_parts(s, head->parts, none, err);
    if (st == MF_OK && head->deadline_ms != 0)
        st = mfi_sq_exec(db, MFI_SQL_DEADLINE_DELETE, err, has_ended(head->status), head->deadline_ms, rec);
    static const enum mfi_sql by_record[] = {MFI_SQL_RECORD_DELETE, MFI_SQL_SPEC_DELETE, MFI_SQL_PROGRESS_DELETE};
    static const enum mfi_sql by_place[] = {MFI_SQL_PAGES_DELETE, MFI_SQL_OUTCOMES_DELETE, MFI_SQL_LOGS_DELETE};
    for (int i = 0; st == MF_OK && i < 3; i++)
        st = mfi_sq_exec(db, by_record[i], err, rec);
    for (int i = 0; st == MF_OK && i < 3; i++)
        st = mfi_sq_exec(db, by_place[i], err, first, end);
    if (st == MF_OK && s->meta.retries)
        st = mfi_sq_exec(db, MFI_SQL_RETRIES_DELETE, err, first, end);
    if (st == MF_OK)
        forget(s, head);
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_record_spec(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec, mf_spec **out, mf_error *err)
{
    *out = mfi_sq_cache_spec(&s->cache, rec);
    if (*out != NULL)
        return MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_SPEC_READ);
    mfi_sq_bind(&q, rec);
    mf_status st = MF_OK;
    if (mfi_sq_next(&q))
        st = mfi_spec_decode(mfi_sq_bytes(&q, 0), s->allocator, out, err);
    mf_status done = mfi_sq_done(&q, err);
    if (*out != NULL)
        mfi_sq_cache_add_spec(&s->cache, *out, rec);
    return st != MF_OK ? st : done;
}

static void read_numbers(const struct mfi_sq_row *q, mf_state *s)
{
    int at = KEPT_FIRST;
    s->version = (uint64_t)mfi_sq_int(q, at++);
    s->epoch = (uint32_t)mfi_sq_int(q, at++);
    s->status = (mf_signature_status)mfi_sq_int(q, at++);
    s->last_status = (mf_signature_status)mfi_sq_int(q, at++);
    s->closed = mfi_sq_int(q, at++) != 0;
    s->total = (uint64_t)mfi_sq_int(q, at++);
    s->expected = (uint64_t)mfi_sq_int(q, at++);
    s->next = (uint64_t)mfi_sq_int(q, at++);
    s->running = (uint64_t)mfi_sq_int(q, at++);
    s->done = (uint64_t)mfi_sq_int(q, at++);
    s->failed = (uint64_t)mfi_sq_int(q, at++);
    s->canceled = (uint64_t)mfi_sq_int(q, at++);
    s->priority = (int32_t)mfi_sq_int(q, at++);
    s->started_ms = mfi_sq_int(q, at++);
    s->ended_ms = mfi_sq_int(q, at++);
    s->deadline_ms = mfi_sq_int(q, at++);
    s->lock = (uint64_t)mfi_sq_int(q, at++);
    s->lock_until_ms = mfi_sq_int(q, at++);
    s->created_ms = mfi_sq_int(q, 1);
}

static mf_status read_parts(struct mfi_sqlite *s, struct mfi_sq_db *db, const struct mfi_sq_row *q, mf_state *state, mf_error *err)
{
    mf_message **const parts[] = {&state->kwargs, &state->input, &state->inherited, &state->result};
    mf_status st = MF_OK;
    for (int part = 0; st == MF_OK && part < MFI_PARTS; part++) {
        int column = KEPT_FIRST + 18 + part;
        if (sqlite3_column_type(q->at, column) == SQLITE_INTEGER)
            st = message_read(s, db, mfi_sq_int(q, column), parts[part], err);
        else if (!mfi_sq_is_null(q, column))
            st = mfi_message_decode(mfi_sq_bytes(q, column), s->allocator, parts[part], err);
    }
    mf_str cursor = mfi_sq_bytes(q, KEPT_FIRST + 18 + MFI_PARTS);
    if (cursor.len > 0 && cursor.len <= sizeof state->cursor.bytes) {
        memcpy(state->cursor.bytes, cursor.at, cursor.len);
        state->cursor.len = (uint16_t)cursor.len;
    }
    return st;
}

mf_status mfi_sq_record_read(struct mfi_sqlite *s, struct mfi_sq_db *db, const mf_key *key, mf_record *out, mf_error *err)
{
    *out = (mf_record){0};
    mf_status st = MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_RECORD_READ);
    mfi_sq_bind_text(&q, key->text);
    bool found = mfi_sq_next(&q);
    if (found) {
        read_numbers(&q, &out->state);
        st = mfi_sq_record_spec(s, db, mfi_sq_int(&q, 0), &out->spec, err);
        if (st == MF_OK && out->spec == NULL)
            st = mf_fail(err, MF_E_IO, "store %s: damaged: the spec of %s is missing", s->path, key->text);
        if (st == MF_OK)
            st = read_parts(s, db, &q, &out->state, err);
    }
    mf_status done = mfi_sq_done(&q, err);
    st = st != MF_OK ? st : done;
    if (st != MF_OK) {
        mf_spec_unref(out->spec);
        mf_state_unref(&out->state);
        *out = (mf_record){0};
    }
    return st;
}
