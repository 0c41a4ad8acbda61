#include "memory_store.h"

#include "clock.h"
#include "record.h"

#include <assert.h>

static const mf_store_ops memory_ops;    /* filled in below the functions it names */

struct mfi_memory *mfi_memory_of(mf_store *base)
{
    assert(base->ops == &memory_ops);    /* the one cast, checked */
    return (struct mfi_memory *)base;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

int64_t mfi_memory_clock(const struct mfi_memory *m)
{
    return mfi_now_ns(m->clock) / 1000000;
}

/* The clock was read before the lock was taken: who came later may have been served earlier. */
int64_t mfi_memory_advance(struct mfi_memory *m, int64_t now_ms)
{
    if (now_ms > m->now_ms)
        m->now_ms = now_ms;
    return m->now_ms;
}

static int64_t memory_now_ms(mf_store *base)
{
    return mfi_memory_clock(mfi_memory_of(base));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void record_read(struct mfi_memory *m, const mf_key *key, mf_record *out)
{
    const struct mfi_head *head = mfi_head_find(m, key);
    if (head == NULL) {
        *out = (mf_record){0};
        return;
    }
    out->spec = mf_spec_ref(head->spec);
    mfi_head_state(head, &out->state);
    mf_state_ref(&out->state);
}

static mf_status memory_load(mf_store *base, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    (void)err;
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    for (size_t i = 0; i < n; i++)
        record_read(m, &keys[i], &out[i]);
    mfi_mutex_unlock(&m->lock);
    return MF_OK;
}

/* How many of n from `from` lie before `end`. */
static size_t within(uint64_t from, size_t n, uint64_t end)
{
    if (from >= end)
        return 0;
    return end - from < n ? (size_t)(end - from) : n;
}

static mf_status not_found(const mf_key *key, mf_error *err)
{
    return mf_fail(err, MF_E_NOT_FOUND, "store: no record \"%.32s\"", key->text);
}

static mf_status memory_items(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                              mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    const struct mfi_head *head = mfi_head_find(m, key);
    *got = head == NULL ? 0 : within(from, n, head->item_count);
    for (size_t i = 0; i < *got; i++) {
        out[i] = *mfi_head_item(head, from + i);
        mfi_item_ref(&out[i]);
    }
    mfi_mutex_unlock(&m->lock);
    return head == NULL ? not_found(key, err) : MF_OK;
}

static mf_status memory_outcomes(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                                 mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    const struct mfi_head *head = mfi_head_find(m, key);
    size_t count = head == NULL ? 0 : within(from, n, head->outcome_end);
    mf_status st = head == NULL ? not_found(key, err) : mfi_outcomes_read(m, head, from, count, out, err);
    mfi_mutex_unlock(&m->lock);
    *got = st == MF_OK ? count : 0;
    return st;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static bool passes(const struct mfi_head *head, const mf_filter *filter)
{
    const mf_spec *spec = head->spec;
    return (filter->kind == MF_KIND_NONE || filter->kind == spec->kind) &&
           (filter->statuses == 0 || (filter->statuses >> head->state.status & 1) != 0) &&
           (!filter->roots || (!mf_key_is_set(&spec->container) && !mf_key_is_set(&spec->parent)));
}

/* The table keeps them in the order of their creation. */
static const struct mfi_head *newest(const struct mfi_memory *m)
{
    if (m->heads == NULL)
        return NULL;
    UT_hash_table *table = m->heads->hh.tbl;
    return ELMT_FROM_HH(table, table->tail);
}

static mf_status memory_list(mf_store *base, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out,
                             size_t *got, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    const struct mfi_head *from = after == NULL ? NULL : mfi_head_find(m, after);
    const struct mfi_head *head = from == NULL ? newest(m) : from->hh.prev;
    bool lost = after != NULL && from == NULL;
    for (; !lost && *got < max && head != NULL; head = head->hh.prev)
        if (passes(head, filter))
            out[(*got)++] = head->spec->key;
    mfi_mutex_unlock(&m->lock);
    return lost ? not_found(after, err) : MF_OK;
}

static void memory_load_counts(mf_store *base, size_t *waiting, size_t *claimed)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    *waiting = m->queue.waiting;
    *claimed = m->queue.claimed;
    mfi_mutex_unlock(&m->lock);
}

static mf_status memory_watch(mf_store *base, const mf_store_watch *watch)
{
    return mfi_watchers_add(&mfi_memory_of(base)->watchers, watch);
}

static void memory_unwatch(mf_store *base, void *user)
{
    mfi_watchers_remove(&mfi_memory_of(base)->watchers, user);
}

/* ---- the object -------------------------------------------------------------------------------------------------- */

static void memory_destroy(mf_store *base)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_queue_fini(&m->queue, m->allocator);
    mfi_heads_fini(m);
    mfi_notes_fini(m);
    mfi_watchers_fini(&m->watchers);
    mf_delete(m->allocator, m);
}

static const mf_store_ops memory_ops = {
    .struct_size = sizeof(mf_store_ops),
    .name = "memory",
    .durable = false,
    .shared = false,
    .destroy = memory_destroy,
    .watch = memory_watch,
    .unwatch = memory_unwatch,
    .now_ms = memory_now_ms,
    .load = memory_load,
    .items = memory_items,
    .outcomes = memory_outcomes,
    .commit = mfi_memory_commit,
    .claim = mfi_memory_claim,
    .take = mfi_memory_take,
    .lease_ms = mfi_memory_lease_ms,
    .renew = mfi_memory_renew,
    .give_back = mfi_memory_give_back,
    .outbox = mfi_memory_outbox,
    .expired = mfi_memory_expired,
    .list = memory_list,
    .notes = mfi_memory_notes,
    .read_note = mfi_memory_read_note,
    .load_counts = memory_load_counts,
    .log = mfi_memory_log,
    .read_log = mfi_memory_read_log,
    .read_lines = mfi_memory_read_lines,
    .progress = mfi_memory_progress,
    .read_progress = mfi_memory_read_progress,
};

mf_status mf_memory_store_create(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err)
{
    if (allocator == NULL)
        allocator = mf_allocator_default();
    struct mfi_memory *m = mf_new(allocator, struct mfi_memory);
    if (m == NULL)
        return mf_fail(err, MF_E_NOMEM, "store: no memory");
    m->base = (mf_store){.ops = &memory_ops, .allocator = allocator};
    m->allocator = allocator;
    m->clock = clock;
    mfi_mutex_init(&m->lock);
    mfi_watchers_init(&m->watchers, allocator);
    *out = &m->base;
    return MF_OK;
}
