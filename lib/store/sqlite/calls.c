/* Specs where they are called. One without a key is a plain call: a file has few of them however many items call them, so
 * each stands there once, under a number. One with a key is a signature of its own, and is written where it stands.
 *
 * A call that items name is pinned and stays. The others, which only messages on their way name, are swept when many new ones
 * have come and no message names them any more. */
#include "sqlite_store.h"

#include "record_codec.h"

#define SWEEP_AFTER 1024    /* new calls */

static int64_t hash_of(mf_str bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.at[i]) * UINT64_C(0x100000001b3);
    return (int64_t)hash;
}

static mf_status sweep(struct mfi_sqlite *s, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_CALLS_SWEEP);
    mf_status st = mfi_sq_run(&q, err);
    s->meta.sweeps++;    /* for other processes; what we remember ourselves goes now */
    s->calls_added = 0;
    mfi_sq_cache_clear(&s->cache);
    return st;
}

static mf_status insert(struct mfi_sqlite *s, int64_t hash, mf_str body, bool pinned, int64_t *id, mf_error *err)
{
    if (s->calls_added >= SWEEP_AFTER) {
        mf_status st = sweep(s, err);
        if (st != MF_OK)
            return st;
    }
    s->calls_added++;
    *id = mfi_sq_next_id(s);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_CALL_INSERT);
    mfi_sq_bind(&q, *id);
    mfi_sq_bind(&q, hash);
    mfi_sq_bind(&q, pinned);
    mfi_sq_bind_bytes(&q, body);
    return mfi_sq_run(&q, err);
}

static mf_status find_or_insert(struct mfi_sqlite *s, mf_str body, bool pin, int64_t *id, bool *pinned, mf_error *err)
{
    int64_t hash = hash_of(body);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_CALL_FIND);
    mfi_sq_bind(&q, hash);
    mfi_sq_bind_bytes(&q, body);
    bool found = mfi_sq_next(&q);
    if (found) {
        *id = mfi_sq_int(&q, 0);
        *pinned = mfi_sq_int(&q, 1) != 0;
    }
    mf_status st = mfi_sq_done(&q, err);
    if (st != MF_OK || found)
        return st;
    *pinned = pin;
    return insert(s, hash, body, pin, id, err);
}

mf_status mfi_sq_call_number(struct mfi_sqlite *s, const mf_spec *spec, bool pin, int64_t *id, mf_error *err)
{
    bool pinned = false;
    mf_status st = MF_OK;
    if (!mfi_sq_cache_call_id(&s->cache, spec, id, &pinned)) {
        mf_message *body = NULL;
        st = mfi_spec_encode(spec, s->allocator, &body, err);
        if (st == MF_OK)
            st = find_or_insert(s, mf_message_bytes(body), pin, id, &pinned, err);
        mf_message_unref(body);
        if (st == MF_OK)
            mfi_sq_cache_add_call(&s->cache, spec, *id, pinned);
    }
    if (st == MF_OK && pin && !pinned) {
        st = mfi_sq_exec(&s->writer, MFI_SQL_CALL_USE, err, *id);
        if (st == MF_OK)
            mfi_sq_cache_add_call(&s->cache, spec, *id, true);
    }
    return st;
}

mf_status mfi_sq_call_read(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t id, mf_spec **out, mf_error *err)
{
    *out = mfi_sq_cache_call(&s->cache, id);
    if (*out != NULL)
        return MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_CALL_READ);
    mfi_sq_bind(&q, id);
    bool found = mfi_sq_next(&q);
    mf_status st = found ? mfi_spec_decode(mfi_sq_bytes(&q, 0), s->allocator, out, err) : MF_OK;
    bool pinned = found && mfi_sq_int(&q, 1) != 0;
    mf_status done = mfi_sq_done(&q, err);
    if (st == MF_OK && done == MF_OK && !found)
        st = mf_fail(err, MF_E_IO, "store %s: damaged: call %lld is missing", s->path, (long long)id);
    if (*out != NULL)
        mfi_sq_cache_add_call(&s->cache, *out, id, pinned);
    return st != MF_OK ? st : done;
}
