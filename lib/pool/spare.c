/* Spares: a thread that stands in for a worker while that one blocks.
 *
 * A worker that says so (or is said to block, by a watchdog) gets a stand-in: a resting spare, else one that was about to
 * rest, else a new thread, as long as there are fewer than max_spares. When it is back, that spare leaves: it finishes
 * the job it has and rests on a bed of its own, outside of the doorbell, until the next call. Resting spares make no
 * system call; their threads end with the pool.
 *
 * All of this is rare and under one mutex. A leaving spare may sleep by the doorbell: mfi_doorbell_call wakes it, and is
 * not lost because the spare looks at its state after it lay down, and the caller wrote the state before the call.
 */
#include "pool_impl.h"

#include <errno.h>
#include <signal.h>

static uint32_t spare_state(const mf_pool_worker *w)
{
    return atomic_load_explicit(&w->spare, memory_order_relaxed);
}

/* Under spares_lock. seq_cst: a spare reads it without the lock after it lay down. */
static void spare_set(mf_pool_worker *w, uint32_t state)
{
    atomic_store_explicit(&w->spare, state, memory_order_seq_cst);
}

mf_status mfi_pool_start_thread(mf_pool *pool, uint32_t spare, mf_error *err)
{
    mf_pool_worker *w = &pool->threads[mfi_pool_started(pool)];
    spare_set(w, spare);
    /* Before it can take anything. */
    atomic_fetch_add_explicit(&pool->started, 1, memory_order_seq_cst);
    mfi_pool_busy_enter(pool);
    /* A program's signal handlers are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, mfi_worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return MF_OK;
    atomic_fetch_sub_explicit(&pool->started, 1, memory_order_seq_cst);
    mfi_pool_busy_leave(pool);
    spare_set(w, MFI_SPARE_NONE);
    return mf_fail(err, rc == ENOMEM ? MF_E_NOMEM : MF_E_IO, "pool: cannot start thread %u (error %d)", w->index, rc);
}

/* Under spares_lock. */
static mf_pool_worker *spare_in(mf_pool *pool, uint32_t state)
{
    for (unsigned i = pool->workers; i < mfi_pool_started(pool); i++)
        if (spare_state(&pool->threads[i]) == state)
            return &pool->threads[i];
    return NULL;
}

/* Under spares_lock. *out: a spare that is active now. */
static mf_status call_spare(mf_pool *pool, mf_pool_worker **out)
{
    mf_pool_worker *spare = spare_in(pool, MFI_SPARE_RESTING);
    if (spare == NULL)
        spare = spare_in(pool, MFI_SPARE_LEAVING);
    if (spare != NULL) {
        bool resting = spare_state(spare) == MFI_SPARE_RESTING;
        spare_set(spare, MFI_SPARE_ACTIVE);
        if (resting)
            mfi_parker_unpark(&spare->rest);
        *out = spare;
        return MF_OK;
    }
    if (mfi_pool_started(pool) == pool->workers + pool->max_spares)
        return MF_E_FULL;
    mf_status st = mfi_pool_start_thread(pool, MFI_SPARE_ACTIVE, NULL);
    if (st == MF_OK)
        *out = &pool->threads[mfi_pool_started(pool) - 1];
    return st;
}

bool mfi_spare_rest(mf_pool_worker *worker)
{
    mf_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->spares_lock);
    bool rests = spare_state(worker) == MFI_SPARE_LEAVING;
    if (rests)
        spare_set(worker, MFI_SPARE_RESTING);
    pthread_mutex_unlock(&pool->spares_lock);
    if (!rests)
        return false;
    mfi_pool_busy_leave(pool);
    while (spare_state(worker) == MFI_SPARE_RESTING && !mfi_pool_exiting(pool))
        mfi_parker_park(&worker->rest, INT64_MAX);
    mfi_pool_busy_enter(pool);
    return true;
}

mf_status mf_pool_compensate(mf_pool_worker *worker)
{
    mf_pool *pool = worker->pool;
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    mf_status st = MF_OK;
    pthread_mutex_lock(&pool->spares_lock);
    worker->blocked++;
    if (worker->replacement == NULL)
        st = call_spare(pool, &worker->replacement);
    pthread_mutex_unlock(&pool->spares_lock);
    return st;
}

void mf_pool_restore(mf_pool_worker *worker)
{
    mf_pool *pool = worker->pool;
    if (mfi_pool_forked(pool))
        return;
    pthread_mutex_lock(&pool->spares_lock);
    if (worker->blocked > 0 && --worker->blocked == 0 && worker->replacement != NULL) {
        mf_pool_worker *spare = worker->replacement;
        worker->replacement = NULL;
        spare_set(spare, MFI_SPARE_LEAVING);
        mfi_doorbell_call(&pool->bell, &spare->sleeper);
    }
    pthread_mutex_unlock(&pool->spares_lock);
}

mf_status mf_pool_block_begin(void)
{
    mf_pool_worker *self = mf_pool_current_worker();
    return self != NULL ? mf_pool_compensate(self) : MF_OK;
}

void mf_pool_block_end(void)
{
    mf_pool_worker *self = mf_pool_current_worker();
    if (self != NULL)
        mf_pool_restore(self);
}
