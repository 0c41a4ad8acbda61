/* Taking records away, and the deadlines after which they go.
 *
 * A record goes with everything that stands in it: steps and items that are records, the callbacks of each, and so on down.
 * Their keys join a list that is walked to its end: no recursion, and a circle of keys ends where a key is not found any
 * more. */
#include "sqlite_store.h"

struct removal {
    struct mfi_sqlite *s;
    mf_key            *keys;
    size_t             count, capacity;
    size_t             done, ready;
    int64_t            now_ms;
};

static mf_status add_keys(struct removal *r, const mf_key *keys, size_t n, mf_error *err)
{
    if (n == 0)
        return MF_OK;
    if (!mfi_array_reserve(r->s->allocator, (void **)&r->keys, &r->capacity, r->count + n, sizeof *r->keys))
        return mf_fail(err, MF_E_NOMEM, "store: no memory to take records away");
    memcpy(r->keys + r->count, keys, n * sizeof *keys);
    r->count += n;
    return MF_OK;
}

static mf_status add_callbacks(struct removal *r, const mf_spec *spec, bool on_success, bool on_error, mf_error *err)
{
    mf_status st = on_success ? add_keys(r, spec->on_success, spec->on_success_count, err) : MF_OK;
    return st == MF_OK && on_error ? add_keys(r, spec->on_error, spec->on_error_count, err) : st;
}

/* What an item names: a record of its own, or, of the task that a swarm gives its messages to, the numbered callbacks. */
static mf_status add_item(void *user, const mf_spec *spec, mf_error *err)
{
    struct removal *r = user;
    if (spec == NULL)
        return MF_OK;
    return mf_key_is_set(&spec->key) ? add_keys(r, &spec->key, 1, err) : add_callbacks(r, spec, true, true, err);
}

static mf_status add_contents(struct removal *r, int64_t rec, const mf_spec *spec, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < spec->step_count; i++)
        st = add_item(r, spec->steps[i].spec, err);
    if (st == MF_OK)
        st = add_item(r, spec->each.spec, err);
    return st == MF_OK ? mfi_sq_items_keyed(r->s, &r->s->writer, rec, add_item, r, err) : st;
}

static mf_status remove_one(struct removal *r, const mf_key *key, bool on_success, bool on_error, mf_error *err)
{
    struct mfi_sq_head *head;
    mf_spec *spec = NULL;
    mf_status st = mfi_sq_head_find(r->s, key, &head, err);
    if (st != MF_OK || head == NULL)
        return st;
    st = mfi_sq_record_spec(r->s, &r->s->writer, head->rec, &spec, err);
    if (st == MF_OK && spec != NULL)
        st = add_callbacks(r, spec, on_success, on_error, err);
    if (st == MF_OK && spec != NULL)
        st = add_contents(r, head->rec, spec, err);
    mf_spec_unref(spec);
    if (st == MF_OK)
        st = mfi_sq_unpark(r->s, key, r->now_ms, &r->ready, err);
    r->done++;
    return st == MF_OK ? mfi_sq_head_delete(r->s, head, err) : st;
}

static mf_status remove_all(struct removal *r, const mf_key *key, bool on_success, bool on_error, mf_error *err)
{
    r->count = 0;
    mf_status st = remove_one(r, key, on_success, on_error, err);
    for (size_t i = 0; st == MF_OK && i < r->count; i++) {
        mf_key next = r->keys[i];    /* the list moves as it grows */
        st = remove_one(r, &next, true, true, err);
    }
    return st;
}

static void removal_fini(struct removal *r)
{
    mfi_release(r->s->allocator, r->keys, r->capacity * sizeof *r->keys);
}

mf_status mfi_sq_remove(struct mfi_sqlite *s, const mf_removal *removal, int64_t now_ms, size_t *ready, mf_error *err)
{
    struct removal r = {.s = s, .now_ms = now_ms};
    mf_status st = remove_all(&r, &removal->key, removal->on_success, removal->on_error, err);
    *ready += r.ready;
    removal_fini(&r);
    return st;
}

/* ---- deadlines ---------------------------------------------------------------------------------------------------- */

struct expired_op {
    struct mfi_sq_op op;
    size_t        max, *got;
    mf_key       *out;
    int64_t      *next_ms;
    size_t        ready;
};

/* Up to max records past their deadline, the longest overdue first. */
static mf_status overdue(struct mfi_sqlite *s, bool ended, int64_t now_ms, size_t max, mf_key *out, size_t *got, mf_error *err)
{
    *got = 0;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_DEADLINE_LIST);
    mfi_sq_bind(&q, ended);
    mfi_sq_bind(&q, now_ms);
    mfi_sq_bind(&q, max > INT32_MAX ? INT32_MAX : (int64_t)max);
    while (*got < max && mfi_sq_next(&q)) {
        mf_str key = mfi_sq_bytes(&q, 2);
        memset(&out[*got], 0, sizeof out[*got]);
        if (key.len < sizeof out->text)
            memcpy(out[*got].text, key.at, key.len);
        (*got)++;
    }
    return mfi_sq_done(&q, err);
}

static mf_status first_after(struct mfi_sqlite *s, int64_t ended, int64_t now_ms, int64_t *next_ms, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_DEADLINE_FIRST);
    mfi_sq_bind(&q, ended);
    mfi_sq_bind(&q, now_ms);
    if (mfi_sq_next(&q) && !mfi_sq_is_null(&q, 0) && mfi_sq_int(&q, 0) < *next_ms)
        *next_ms = mfi_sq_int(&q, 0);
    return mfi_sq_done(&q, err);
}

/* Records that ended long enough ago; *more: there are others, for the next call. */
static mf_status forget(struct mfi_sqlite *s, struct expired_op *e, bool *more, mf_error *err)
{
    mf_key keys[MFI_FORGET_MAX];
    struct removal r = {.s = s, .now_ms = e->op.now_ms};
    size_t n, i = 0;
    mf_status st = overdue(s, true, e->op.now_ms, MFI_FORGET_MAX, keys, &n, err);
    for (; st == MF_OK && i < n && r.done < MFI_FORGET_MAX; i++)
        st = remove_all(&r, &keys[i], false, false, err);
    *more = i < n || n == MFI_FORGET_MAX;
    e->ready += r.ready;
    removal_fini(&r);
    return st;
}

static mf_status expired_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct expired_op *e = (struct expired_op *)op;
    bool more;
    e->ready = 0;
    *e->next_ms = INT64_MAX;
    mf_status st = forget(s, e, &more, op->err);
    if (st == MF_OK)
        st = overdue(s, false, op->now_ms, e->max, e->out, e->got, op->err);
    if (st == MF_OK)
        st = mfi_sq_exec(&s->writer, MFI_SQL_NOTES_EXPIRE, op->err, op->now_ms, MFI_FORGET_MAX);
    for (int64_t ended = 0; st == MF_OK && ended < 2; ended++)
        st = first_after(s, ended, op->now_ms, e->next_ms, op->err);
    if (more || (e->max > 0 && *e->got == e->max))
        *e->next_ms = op->now_ms;
    return st;
}

static void expired_undo(struct mfi_sq_op *op)
{
    *((struct expired_op *)op)->got = 0;
}

mf_status mfi_sqlite_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    size_t revived = 0;
    struct expired_op e = {.op = {.run = expired_run, .undo = expired_undo, .err = err}, .max = max, .got = got, .out = out,
                           .next_ms = next_ms};
    mf_status st = mfi_sq_revive(s, &revived, err);    /* for a store that nobody watches, too */
    if (st == MF_OK)
        st = mfi_sq_submit(s, &e.op);
    if (st == MF_OK)
        mfi_watchers_tell_ready(&s->watchers, e.ready + revived);
    return st;
}
