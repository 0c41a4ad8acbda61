/* Items: up to 64 that were appended together are one row, since they never change: [spec, message, spec, message, …], a
 * spec as the number of its call, or whole where it has a key; a message as its bytes, or nil. */
#include "sqlite_store.h"

#include "record_codec.h"

#define PAGE_ITEMS 64
#define PAGE_BYTES 65536    /* of messages, after which a page ends early */

static const mf_limits page_limits = {sizeof(mf_limits), UINT32_MAX, MF_DEPTH_MAX, UINT32_MAX};

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static bool is_keyed(const mf_spec *spec)
{
    return mf_key_is_set(&spec->key) || spec->on_success_count > 0 || spec->on_error_count > 0;
}

static mf_status build_spec(struct mfi_sqlite *s, mf_builder *b, const mf_spec *spec, mf_error *err)
{
    if (spec == NULL) {
        mf_build_nil(b);
        return MF_OK;
    }
    if (!mf_key_is_set(&spec->key)) {
        int64_t id = 0;
        mf_status st = mfi_sq_call_number(s, spec, true, &id, err);
        mf_build_int(b, id);
        return st;
    }
    mf_message *body = NULL;
    mf_status st = mfi_spec_encode(spec, s->allocator, &body, err);
    if (st == MF_OK)
        mf_build_bin(b, mf_message_bytes(body));
    mf_message_unref(body);
    return st;
}

static size_t page_size(const mf_item *items, size_t n)
{
    size_t count = 0, bytes = 0;
    while (count < n && count < PAGE_ITEMS && (count == 0 || bytes < PAGE_BYTES))
        bytes += mf_message_bytes(items[count++].message).len;
    return count;
}

static mf_status build_page(struct mfi_sqlite *s, const mf_item *items, size_t n, bool *keyed, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_status st = MF_OK;
    mf_builder_init(&b, s->allocator, &page_limits);
    mf_build_array(&b, 2 * n);
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        const mf_message *message = items[i].message;
        st = build_spec(s, &b, items[i].spec, err);
        *keyed |= items[i].spec != NULL && is_keyed(items[i].spec);
        if (message == NULL)
            mf_build_nil(&b);
        else if (mf_message_status(message) == MF_OK)
            mf_build_bin(&b, mf_message_bytes(message));
        else if (st == MF_OK)
            st = mf_fail(err, MF_E_INVALID, "store: item %zu has a message that was never made", i);
    }
    if (st == MF_OK)
        st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_sq_items_append(struct mfi_sqlite *s, const struct mfi_sq_head *head, const mf_batch *b, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0, n; st == MF_OK && i < b->item_count; i += n) {
        mf_message *body = NULL;
        bool keyed = false;
        n = page_size(&b->items[i], b->item_count - i);
        st = build_page(s, &b->items[i], n, &keyed, &body, err);
        if (st != MF_OK)
            break;
        struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_PAGE_INSERT);
        mfi_sq_bind(&q, mfi_sq_place(head->rec, b->items_from + i));
        mfi_sq_bind(&q, (int64_t)n);
        mfi_sq_bind(&q, keyed);
        mfi_sq_bind_bytes(&q, mf_message_bytes(body));
        st = mfi_sq_run(&q, err);
        mf_message_unref(body);
    }
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_items_count(struct mfi_sq_db *db, int64_t rec, uint64_t *out, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_PAGE_LAST);
    mfi_sq_bind(&q, mfi_sq_place(rec, 0));
    mfi_sq_bind(&q, mfi_sq_place(rec + 1, 0));
    *out = mfi_sq_next(&q) ? (uint64_t)(mfi_sq_int(&q, 0) - mfi_sq_place(rec, 0)) : 0;
    return mfi_sq_done(&q, err);
}

static mf_status damaged(const struct mfi_sqlite *s, mf_error *err)
{
    return mf_fail(err, MF_E_IO, "store %s: damaged: a page of items is not what was written", s->path);
}

static mf_status read_spec(struct mfi_sqlite *s, struct mfi_sq_db *db, mf_value value, mf_spec **out, mf_error *err)
{
    int64_t id;
    mf_str body;
    if (mf_value_type(value) == MF_TYPE_NIL)
        return MF_OK;
    if (mf_value_int(value, &id) == MF_OK)
        return mfi_sq_call_read(s, db, id, out, err);
    return mf_value_bin(value, &body) == MF_OK ? mfi_spec_decode(body, s->allocator, out, err) : damaged(s, err);
}

static mf_status read_item(struct mfi_sqlite *s, struct mfi_sq_db *db, mf_value spec, mf_value message, mf_item *out,
                           mf_error *err)
{
    mf_str bytes;
    *out = (mf_item){0};
    mf_status st = read_spec(s, db, spec, &out->spec, err);
    if (st == MF_OK && mf_value_type(message) != MF_TYPE_NIL)
        st = mf_value_bin(message, &bytes) != MF_OK ? damaged(s, err)
                                                    : mfi_message_decode(bytes, s->allocator, &out->message, err);
    if (st != MF_OK) {
        mfi_item_unref(out);
        *out = (mf_item){0};
    }
    return st;
}

/* A page's body, proved to be what a builder writes: an array of pairs. */
static mf_status open_page(struct mfi_sqlite *s, const struct mfi_sq_row *q, mf_message **page, mf_error *err)
{
    mf_status st = mf_message_from_bytes(mfi_sq_bytes(q, 2), &page_limits, s->allocator, page, err);
    if (st == MF_E_NOMEM)
        return st;
    if (st != MF_OK)
        return damaged(s, err);
    if (mf_value_count(mf_message_value(*page)) == 2 * (size_t)mfi_sq_int(q, 1))
        return MF_OK;
    mf_message_unref(*page);
    *page = NULL;
    return damaged(s, err);
}

/* Skips `skip` items and reads up to `room`. */
static mf_status read_page(struct mfi_sqlite *s, struct mfi_sq_db *db, const struct mfi_sq_row *q, uint64_t skip, size_t room,
                           mf_item *out, size_t *got, mf_error *err)
{
    mf_message *page = NULL;
    mf_value spec, message;
    mf_status st = open_page(s, q, &page, err);
    if (st != MF_OK)
        return st;
    mf_iter iter = mf_value_iter(mf_message_value(page));
    while (st == MF_OK && *got < room && mf_iter_next(&iter, NULL, &spec) && mf_iter_next(&iter, NULL, &message)) {
        if (skip > 0) {
            skip--;
            continue;
        }
        st = read_item(s, db, spec, message, &out[*got], err);
        *got += st == MF_OK;
    }
    mf_message_unref(page);
    return st;
}

static struct mfi_sq_row query_pages(struct mfi_sq_db *db, int64_t rec, uint64_t from, bool keyed)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_PAGES_READ);
    mfi_sq_bind(&q, mfi_sq_place(rec, 0));
    mfi_sq_bind(&q, mfi_sq_place(rec, from));
    mfi_sq_bind(&q, mfi_sq_place(rec + 1, 0));
    mfi_sq_bind(&q, keyed);
    return q;
}

static mf_status read_items(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec, uint64_t from, size_t n, mf_item *out,
                            size_t *got, mf_error *err)
{
    mf_status st = MF_OK;
    struct mfi_sq_row q = query_pages(db, rec, from, false);
    while (st == MF_OK && *got < n && mfi_sq_next(&q)) {
        uint64_t first = (uint64_t)(mfi_sq_int(&q, 0) - mfi_sq_place(rec, 0)), at = from + *got;
        if (first > at)
            break;
        if (at - first < (uint64_t)mfi_sq_int(&q, 1))
            st = read_page(s, db, &q, at - first, n, out, got, err);
    }
    mf_status done = mfi_sq_done(&q, err);
    return st != MF_OK ? st : done;
}

mf_status mfi_sq_items_keyed(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec,
                          mf_status (*visit)(void *user, const mf_spec *spec, mf_error *err), void *user, mf_error *err)
{
    mf_status st = MF_OK;
    struct mfi_sq_row q = query_pages(db, rec, 0, true);
    while (st == MF_OK && mfi_sq_next(&q)) {
        mf_item items[PAGE_ITEMS];
        size_t got = 0;
        st = read_page(s, db, &q, 0, PAGE_ITEMS, items, &got, err);
        for (size_t i = 0; i < got; i++) {
            if (st == MF_OK && items[i].spec != NULL && is_keyed(items[i].spec))
                st = visit(user, items[i].spec, err);
            mfi_item_unref(&items[i]);
        }
    }
    mf_status done = mfi_sq_done(&q, err);
    return st != MF_OK ? st : done;
}

mf_status mfi_sqlite_items(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                           mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t rec = 0;
    mf_status st = mfi_sq_reader_borrow(s, true, &db, err);
    if (st != MF_OK)
        return st;
    st = mfi_sq_record_number(db, key, &rec, err);
    if (st == MF_OK && rec == 0)
        st = mfi_sq_record_missing(key, err);
    else if (st == MF_OK && from <= MFI_INDEX_MAX)
        st = read_items(s, db, rec, from, n, out, got, err);
    mfi_sq_reader_return(s, db);
    while (st != MF_OK && *got > 0)
        mfi_item_unref(&out[--*got]);
    return st;
}
