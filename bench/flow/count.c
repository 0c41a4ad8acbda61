#include "count.h"

#include <stdatomic.h>
#include <stdlib.h>

const char *const count_op_names[COUNT_OPS] = {
    [COUNT_LOAD] = "load", [COUNT_ITEMS] = "items", [COUNT_OUTCOMES] = "outcomes", [COUNT_COMMIT] = "commit",
    [COUNT_CLAIM] = "claim", [COUNT_TAKE] = "take", [COUNT_OTHER] = "other",
};

/* Any thread; each is right by itself. */
static atomic_ullong allocations, allocated, held, most, ops[COUNT_OPS];

static void add(atomic_ullong *to, unsigned long long n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static void note_growth(size_t size)
{
    add(&allocations, 1);
    add(&allocated, size);
    unsigned long long now = atomic_fetch_add_explicit(&held, size, memory_order_relaxed) + size;
    unsigned long long seen = atomic_load_explicit(&most, memory_order_relaxed);
    while (now > seen &&
           !atomic_compare_exchange_weak_explicit(&most, &seen, now, memory_order_relaxed, memory_order_relaxed)) {}
}

static void *count_alloc(void *user, size_t size)
{
    (void)user;
    void *at = malloc(size);
    if (at != NULL)
        note_growth(size);
    return at;
}

static void *count_resize(void *user, void *at, size_t old_size, size_t size)
{
    (void)user;
    void *moved = realloc(at, size);
    if (moved == NULL)
        return NULL;
    if (size < old_size)
        atomic_fetch_sub_explicit(&held, old_size - size, memory_order_relaxed);
    note_growth(size < old_size ? 0 : size - old_size);
    return moved;
}

static void count_release(void *user, void *at, size_t size)
{
    (void)user;
    if (at != NULL)
        atomic_fetch_sub_explicit(&held, size, memory_order_relaxed);
    free(at);
}

const mf_allocator *count_allocator(void)
{
    static const mf_allocator allocator = {.alloc = count_alloc, .resize = count_resize, .release = count_release};
    return &allocator;
}

void count_begin(void)
{
    atomic_store(&most, atomic_load(&held));
}

void count_read(count_figures *out)
{
    out->allocations = atomic_load(&allocations);
    out->allocated = atomic_load(&allocated);
    out->held = atomic_load(&held);
    out->most = atomic_load(&most);
    for (int i = 0; i < COUNT_OPS; i++)
        out->ops[i] = atomic_load(&ops[i]);
}

/* ---- the store ------------------------------------------------------------------------------------------------ */

typedef struct count_store {
    mf_store  base;
    mf_store *inner;
} count_store;

static mf_store *inner_of(mf_store *self)
{
    return ((count_store *)(void *)self)->inner;
}

static mf_store *counted(mf_store *self, count_op op)
{
    add(&ops[op], 1);
    return inner_of(self);
}

static void count_destroy(mf_store *self)
{
    mf_store_destroy(inner_of(self));
    free(self);
}

static mf_status count_watch(mf_store *self, const mf_store_watch *watch)
{
    return mf_store_watch_start(inner_of(self), watch);
}

static void count_unwatch(mf_store *self, void *user)
{
    mf_store_watch_stop(inner_of(self), user);
}

static int64_t count_now_ms(mf_store *self)
{
    return mf_store_now_ms(inner_of(self));
}

static void count_load_counts(mf_store *self, size_t *waiting, size_t *claimed)
{
    mf_store_load_counts(inner_of(self), waiting, claimed);
}

static mf_status count_load(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    return mf_store_load(counted(self, COUNT_LOAD), keys, n, out, err);
}

static mf_status count_items(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                             mf_error *err)
{
    return mf_store_items(counted(self, COUNT_ITEMS), key, from, n, out, got, err);
}

static mf_status count_outcomes(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                                mf_error *err)
{
    return mf_store_outcomes(counted(self, COUNT_OUTCOMES), key, from, n, out, got, err);
}

static mf_status count_commit(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    return mf_store_commit(counted(self, COUNT_COMMIT), batch, refusal, err);
}

static mf_status count_claim(mf_store *self, mf_claim *claims, size_t n, mf_error *err)
{
    return mf_store_claim(counted(self, COUNT_CLAIM), claims, n, err);
}

static mf_status count_take(mf_store *self, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    return mf_store_take(counted(self, COUNT_TAKE), max, out, got, next_due_ms, err);
}

static mf_status count_outbox(mf_store *self, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    return mf_store_outbox(counted(self, COUNT_OTHER), max, out, got, next_due_ms, err);
}

static int64_t count_lease_ms(mf_store *self)
{
    return mf_store_lease_ms(inner_of(self));
}

static mf_status count_renew(mf_store *self, uint64_t *tokens, size_t n, mf_error *err)
{
    return mf_store_renew(counted(self, COUNT_OTHER), tokens, n, err);
}

static mf_status count_give_back(mf_store *self, const uint64_t *tokens, size_t n, mf_error *err)
{
    return mf_store_give_back(counted(self, COUNT_OTHER), tokens, n, err);
}

static mf_status count_expired(mf_store *self, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    return mf_store_expired(counted(self, COUNT_OTHER), max, out, got, next_ms, err);
}

static mf_status count_list(mf_store *self, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out,
                            size_t *got, mf_error *err)
{
    return mf_store_list(counted(self, COUNT_OTHER), filter, after, max, out, got, err);
}

static mf_status count_notes(mf_store *self, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got,
                             mf_error *err)
{
    return mf_store_notes(counted(self, COUNT_OTHER), space, after, max, out, got, err);
}

static mf_status count_read_note(mf_store *self, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    return mf_store_read_note(counted(self, COUNT_OTHER), space, name, out, err);
}

static mf_status count_log(mf_store *self, const mf_key *key, mf_str line)
{
    return mf_store_log(counted(self, COUNT_OTHER), key, line);
}

static mf_status count_read_log(mf_store *self, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                                size_t *len)
{
    return mf_store_read_log(counted(self, COUNT_OTHER), key, n, allocator, text, len);
}

static mf_status count_read_lines(mf_store *self, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                 mf_line *out, size_t *got, mf_error *err)
{
    return mf_store_read_lines(counted(self, COUNT_OTHER), key, from, n, allocator, out, got, err);
}

static mf_status count_progress(mf_store *self, const mf_key *key, const mf_message *progress)
{
    return mf_store_progress(counted(self, COUNT_OTHER), key, progress);
}

static mf_status count_read_progress(mf_store *self, const mf_key *key, mf_message **out)
{
    return mf_store_read_progress(counted(self, COUNT_OTHER), key, out);
}

mf_store *count_store_create(mf_store *inner)
{
    static const mf_store_ops table = {
        .struct_size = sizeof table, .name = "count", .destroy = count_destroy, .watch = count_watch,
        .unwatch = count_unwatch, .now_ms = count_now_ms, .load = count_load, .items = count_items,
        .outcomes = count_outcomes, .commit = count_commit, .claim = count_claim, .take = count_take,
        .outbox = count_outbox, .load_counts = count_load_counts, .log = count_log, .read_log = count_read_log, .read_lines = count_read_lines,
        .progress = count_progress, .read_progress = count_read_progress, .lease_ms = count_lease_ms,
        .renew = count_renew, .give_back = count_give_back, .expired = count_expired, .list = count_list,
        .notes = count_notes, .read_note = count_read_note,
    };
    count_store *store = malloc(sizeof *store);
    if (store == NULL) {
        mf_store_destroy(inner);
        return NULL;
    }
    store->base = (mf_store){.ops = &table, .allocator = inner->allocator};
    store->inner = inner;
    return &store->base;
}
