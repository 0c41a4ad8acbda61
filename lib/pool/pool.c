/* Made and destroyed. */
#include "fork_join.h"
#include "pool_impl.h"

#include "memory.h"

#include <unistd.h>

enum { MAX_WORKERS = 1024, MAX_SPARES = 1024, DEFAULT_SPARES = 16, DEFAULT_CAPACITY = 65536, SEARCH_LOOKS = 4 };
/* Workers a CPU from which on they are for jobs that block: most end together, so that looking is in vain, and begin together. */
enum { CROWD = 4 };

/* ---- options -------------------------------------------------------------------------------------------------- */

/* Copy what the caller's header knew; what it knew beyond ours must not have been used. */
static mf_status read_options(const mf_pool_options *given, mf_pool_options *out, mf_error *err)
{
    memset(out, 0, sizeof *out);
    if (given == NULL)
        return MF_OK;
    if (given->struct_size < sizeof given->struct_size)
        return mf_fail(err, MF_E_INVALID, "pool: options without struct_size; use MF_POOL_OPTIONS");
    for (size_t i = sizeof *out; i < given->struct_size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return mf_fail(err, MF_E_UNSUPPORTED, "pool: an option of a newer version");
    memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
    if (out->workers > MAX_WORKERS)
        return mf_fail(err, MF_E_INVALID, "pool: %u workers, at most %d", out->workers, MAX_WORKERS);
    if (out->max_spares > MAX_SPARES && out->max_spares != MF_POOL_NO_SPARES)
        return mf_fail(err, MF_E_INVALID, "pool: %u spares, at most %d", out->max_spares, MAX_SPARES);
    if (out->when_full != MF_POOL_FULL_FAIL && out->when_full != MF_POOL_FULL_WAIT
        && out->when_full != MF_POOL_FULL_GROW)
        return mf_fail(err, MF_E_INVALID, "pool: when_full is %d", (int)out->when_full);
    return MF_OK;
}

static unsigned online_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : (unsigned)n;
}

static void take_options(mf_pool *pool, const mf_pool_options *o)
{
    pool->allocator = o->allocator;
    pool->workers = o->workers > 0 ? o->workers : online_cpus();
    pool->max_spares = o->max_spares == MF_POOL_NO_SPARES ? 0 : o->max_spares > 0 ? o->max_spares : DEFAULT_SPARES;
    pool->when_full = o->when_full;
    pool->on_worker_start = o->on_worker_start;
    pool->on_worker_stop = o->on_worker_stop;
    pool->user = o->user;
    pool->pin_workers = o->pin_workers;
    unsigned cpus = online_cpus();
    pool->searchers = pool->workers < cpus ? pool->workers : cpus;
    pool->crowded = pool->workers > CROWD * cpus;
    /* Spinning on a single CPU keeps away the very thread it waits for. */
    pool->spinning = cpus == 1 ? 0 : pool->crowded ? 1 : SEARCH_LOOKS;
    const char *name = o->thread_name != NULL ? o->thread_name : "mf-pool";
    size_t len = strlen(name);
    memcpy(pool->name, name, len < 10 ? len : 10);
}

/* ---- create --------------------------------------------------------------------------------------------------- */

static mf_status queue_init(mf_pool *pool, size_t capacity, mf_error *err)
{
    if (pool->when_full == MF_POOL_FULL_GROW)
        pool->lanes_made = mfi_lanes_init(&pool->lanes, pool->allocator, 0, pool->workers + pool->max_spares);
    else if (mfi_ring_init(&pool->ring, pool->allocator, capacity > 0 ? capacity : DEFAULT_CAPACITY, 0))
        return MF_OK;
    return pool->lanes_made ? MF_OK : mf_fail(err, MF_E_NOMEM, "pool: no memory for the queue");
}

static mf_status parts_init(mf_pool *pool, mf_error *err)
{
    mfi_event_init(&pool->room);
    mfi_event_init(&pool->drained);
    pool->bell_made = mfi_doorbell_init(&pool->bell);
    pool->lock_made = pthread_mutex_init(&pool->spares_lock, NULL) == 0;
    if (!pool->bell_made || !pool->lock_made || !mfi_fork_watch())
        return mf_fail(err, MF_E_NOMEM, "pool: the system has no mutex left");
    pool->fork_generation = mfi_fork_generation();
    return MF_OK;
}

static mf_status threads_init(mf_pool *pool, mf_error *err)
{
    size_t n = pool->workers + pool->max_spares;
    pool->threads = mfi_alloc_zero(pool->allocator, n * sizeof *pool->threads);
    if (pool->threads == NULL)
        return mf_fail(err, MF_E_NOMEM, "pool: no memory for %u workers", pool->workers);
    for (unsigned i = 0; i < n; i++) {
        mf_pool_worker *w = &pool->threads[i];
        w->pool = pool;
        w->index = i;
        mfi_sleeper_init(&w->sleeper);
        mfi_parker_init(&w->rest);
        mfi_parker_init(&w->fork_bed);
        mfi_run_init(&w->run);
        /* Among those made at init, so there is one. */
        if (pool->lanes_made)
            mfi_popper_init(&w->popper, &pool->lanes);
    }
    mf_status st = MF_OK;
    while (st == MF_OK && mfi_pool_started(pool) < pool->workers)
        st = mfi_pool_start_thread(pool, MFI_SPARE_NONE, err);
    return st;
}

/* ---- destroy -------------------------------------------------------------------------------------------------- */

static void threads_end(mf_pool *pool)
{
    atomic_store_explicit(&pool->exiting, 1, memory_order_seq_cst);
    mfi_doorbell_call_all(&pool->bell);
    unsigned n = mfi_pool_started(pool);
    for (unsigned i = 0; i < n; i++)
        mfi_parker_unpark(&pool->threads[i].rest);
    for (unsigned i = 0; i < n; i++)
        pthread_join(pool->threads[i].thread, NULL);
}

/* Copes with any stage of construction, and with a forked child, where no thread and no lock is what it seems. */
static void pool_free(mf_pool *pool)
{
    bool forked = mfi_pool_forked(pool);
    if (mfi_pool_started(pool) > 0 && !forked)
        threads_end(pool);
    if (pool->bell_made && !forked)
        mfi_doorbell_fini(&pool->bell);
    if (pool->lock_made && !forked)
        pthread_mutex_destroy(&pool->spares_lock);
    for (unsigned i = 0; pool->threads != NULL && i < pool->workers + pool->max_spares; i++)
        mfi_fork_free(&pool->threads[i]);
    if (pool->threads != NULL)
        mfi_release(pool->allocator, pool->threads, (pool->workers + pool->max_spares) * sizeof *pool->threads);
    mf_pool_line *line = atomic_load_explicit(&pool->lines, memory_order_acquire);
    for (mf_pool_line *next; line != NULL; line = next) {
        next = line->next;
        mf_delete(pool->allocator, line);
    }
    if (pool->lanes_made)
        mfi_lanes_fini(&pool->lanes);
    mfi_ranks_free(pool);
    mfi_timers_free(pool);
    mfi_ring_fini(&pool->ring);
    mf_delete(pool->allocator, pool);
}

mf_status mf_pool_create(const mf_pool_options *options, mf_pool **out, mf_error *err)
{
    mf_pool_options o;
    mf_status st = read_options(options, &o, err);
    if (st != MF_OK)
        return st;
    mf_pool *pool = mf_new(o.allocator, mf_pool);
    if (pool == NULL)
        return mf_fail(err, MF_E_NOMEM, "pool: no memory");
    take_options(pool, &o);
    pool->fork_generation = mfi_fork_generation();

    st = queue_init(pool, o.capacity, err);
    if (st == MF_OK)
        st = parts_init(pool, err);
    if (st == MF_OK)
        st = threads_init(pool, err);
    if (st != MF_OK) {
        pool_free(pool);
        return st;
    }
    *out = pool;
    return MF_OK;
}

mf_status mf_pool_destroy(mf_pool *pool)
{
    if (pool == NULL)
        return MF_OK;
    if (!mfi_pool_forked(pool)) {
        if (mfi_worker_of(pool) != NULL)
            return MF_E_STATE;
        mf_pool_stop(pool);
        mfi_timers_end(pool);
        mf_status st = mf_pool_drain(pool);
        if (st != MF_OK)
            return st;
    } else {
        mfi_worker_forget(pool);
    }
    pool_free(pool);
    return MF_OK;
}
