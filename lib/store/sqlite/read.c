/* Reading: on connections of their own, so that nobody who reads waits for a disk. What they see is what was committed
 * last. A read of several rows is one transaction: all of them are from the same moment. */
#include "sqlite_store.h"

#include "record_codec.h"

#include <unistd.h>

/* ---- readers ------------------------------------------------------------------------------------------------------ */

/* Under reader_lock. The last one used is tried first: its pages are at hand. */
static int free_reader(const struct mfi_sqlite *s)
{
    int fallback = -1;
    for (int i = 0; i < MFI_READERS; i++) {
        if (s->reader_busy[i])
            continue;
        if (s->readers[i].at != NULL)
            return i;
        if (fallback < 0)
            fallback = i;
    }
    return fallback;
}

void mfi_sq_reader_return(struct mfi_sqlite *s, struct mfi_sq_db *db)
{
    if (db->at != NULL && mfi_sq_db_in_transaction(db)) {
        struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_COMMIT);
        (void)!mfi_sq_run(&q, NULL);    /* nothing was written */
    }
    pthread_mutex_lock(&s->reader_lock);
    s->reader_busy[db - s->readers] = false;
    pthread_cond_signal(&s->reader_free);
    pthread_mutex_unlock(&s->reader_lock);
}

mf_status mfi_sq_reader_borrow(struct mfi_sqlite *s, bool transaction, struct mfi_sq_db **out, mf_error *err)
{
    mf_status st = mfi_sq_owner_check(s, err);
    if (st != MF_OK)
        return st;
    pthread_mutex_lock(&s->reader_lock);
    int i;
    while ((i = free_reader(s)) < 0)
        pthread_cond_wait(&s->reader_free, &s->reader_lock);
    s->reader_busy[i] = true;
    pthread_mutex_unlock(&s->reader_lock);
    struct mfi_sq_db *db = &s->readers[i];
    if (db->at == NULL)
        st = mfi_sq_db_open(db, s->full_path, s->writer.busy_ms, false, err);
    if (st == MF_OK && transaction) {
        struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_BEGIN_READ);
        st = mfi_sq_run(&q, err);
    }
    if (st == MF_OK)
        *out = db;
    else
        mfi_sq_reader_return(s, db);
    return st;
}

mf_status mfi_sq_record_number(struct mfi_sq_db *db, const mf_key *key, int64_t *out, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_RECORD_NUMBER);
    mfi_sq_bind_text(&q, key->text);
    *out = mfi_sq_next(&q) ? mfi_sq_int(&q, 0) : 0;
    return mfi_sq_done(&q, err);
}

mf_status mfi_sq_record_missing(const mf_key *key, mf_error *err)
{
    return mf_fail(err, MF_E_NOT_FOUND, "store: no record \"%.32s\"", key->text);
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sqlite_load(mf_store *base, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    size_t done = 0;
    mf_status st = mfi_sq_reader_borrow(s, n > 1, &db, err);
    if (st != MF_OK)
        return st;
    while (done < n && (st = mfi_sq_record_read(s, db, &keys[done], &out[done], err)) == MF_OK)
        done++;
    mfi_sq_reader_return(s, db);
    while (st != MF_OK && done > 0)
        mf_record_release(&out[--done]);
    return st;
}

/* The record number behind which the list goes on: that of `after`, or one above all. */
static mf_status list_start(struct mfi_sq_db *db, const mf_key *after, int64_t *rec, mf_error *err)
{
    *rec = INT64_MAX;
    if (after == NULL)
        return MF_OK;
    mf_status st = mfi_sq_record_number(db, after, rec, err);
    return st == MF_OK && *rec == 0 ? mfi_sq_record_missing(after, err) : st;
}

mf_status mfi_sqlite_list(mf_store *base, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                          mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t rec;
    mf_status st = mfi_sq_reader_borrow(s, true, &db, err);
    if (st != MF_OK)
        return st;
    st = list_start(db, after, &rec, err);
    if (st == MF_OK) {
        struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_RECORD_LIST);
        mfi_sq_bind(&q, rec);
        mfi_sq_bind(&q, filter->kind);
        mfi_sq_bind(&q, filter->statuses);
        mfi_sq_bind(&q, filter->roots);
        mfi_sq_bind(&q, max > INT32_MAX ? INT32_MAX : (int64_t)max);
        while (*got < max && mfi_sq_next(&q)) {
            mf_str key = mfi_sq_bytes(&q, 1);
            memset(&out[*got], 0, sizeof out[*got]);
            if (key.len < sizeof out->text)
                memcpy(out[*got].text, key.at, key.len);
            (*got)++;
        }
        st = mfi_sq_done(&q, err);
    }
    mfi_sq_reader_return(s, db);
    return st;
}

/* ---- outcomes ----------------------------------------------------------------------------------------------------- */

/* One past the last index that has one. */
static mf_status outcome_end(struct mfi_sq_db *db, int64_t rec, uint64_t *end, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_OUTCOME_LAST);
    mfi_sq_bind(&q, mfi_sq_place(rec, 0));
    mfi_sq_bind(&q, mfi_sq_place(rec + 1, 0));
    *end = mfi_sq_next(&q) && !mfi_sq_is_null(&q, 0) ? (uint64_t)(mfi_sq_int(&q, 0) - mfi_sq_place(rec, 0)) + 1 : 0;
    return mfi_sq_done(&q, err);
}

static mf_status read_outcomes(const struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec, uint64_t from, mf_outcome *out,
                               size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_OUTCOMES_READ);
    mfi_sq_bind(&q, mfi_sq_place(rec, from));
    mfi_sq_bind(&q, mfi_sq_place(rec, from) + (int64_t)n);
    while (st == MF_OK && mfi_sq_next(&q)) {
        mf_outcome *at = &out[mfi_sq_int(&q, 0) - mfi_sq_place(rec, from)];
        at->status = (mf_signature_status)mfi_sq_int(&q, 1);
        if (!mfi_sq_is_null(&q, 2))
            st = mfi_message_decode(mfi_sq_bytes(&q, 2), s->allocator, &at->value, err);
    }
    mf_status done = mfi_sq_done(&q, err);
    return st != MF_OK ? st : done;
}

/* How many of n from `from` lie before `end`. */
static size_t within(uint64_t from, size_t n, uint64_t end)
{
    if (from >= end)
        return 0;
    return end - from < n ? (size_t)(end - from) : n;
}

mf_status mfi_sqlite_outcomes(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                              mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t rec = 0;
    uint64_t end = 0;
    mf_status st = mfi_sq_reader_borrow(s, true, &db, err);
    if (st != MF_OK)
        return st;
    st = mfi_sq_record_number(db, key, &rec, err);
    if (st == MF_OK)
        st = rec == 0 ? mfi_sq_record_missing(key, err) : outcome_end(db, rec, &end, err);
    if (st == MF_OK) {
        *got = within(from, n, end);
        for (size_t i = 0; i < *got; i++)
            out[i] = (mf_outcome){.index = from + i};
        if (*got > 0)
            st = read_outcomes(s, db, rec, from, out, *got, err);
    }
    mfi_sq_reader_return(s, db);
    while (st != MF_OK && *got > 0)
        mf_message_unref(out[--*got].value);
    return st;
}

/* ---- counts ------------------------------------------------------------------------------------------------------- */

void mfi_sqlite_load_counts(mf_store *base, size_t *waiting, size_t *claimed)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    *waiting = *claimed = 0;
    if (mfi_sq_reader_borrow(s, false, &db, NULL) != MF_OK)
        return;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_COUNTS);
    if (mfi_sq_next(&q)) {
        *waiting = (size_t)mfi_sq_int(&q, 0);
        *claimed = (size_t)mfi_sq_int(&q, 1);
    }
    (void)!mfi_sq_done(&q, NULL);
    mfi_sq_reader_return(s, db);
}
