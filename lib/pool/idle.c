/* Who is busy: how a drained pool is recognised, at no cost per job.
 *
 * A thread is busy from before it takes a job until it found nothing and lies down; `busy` counts those threads, and how
 * often one became busy. The pool is drained when nobody is busy and nothing is queued at one and the same moment:
 *
 *     D1  read busy: somebody is: not drained
 *     D2  look at the queue: not empty: not drained
 *     D3  read busy again: the same word: drained
 *
 * Why        between D1 and D3 nobody became busy, so nobody held a job at D2, when every push that had returned was
 *            taken; what was taken had been run by then.
 * Waking     a thread that leaves the busy ones last notifies the waiters (sync/event.h: leaving is C1, D1 is W2).
 *            A waiter that finds a job queued and nobody busy is safe to sleep: its submitter has rung, or will.
 * Rejected   a count of unfinished jobs: two shared operations per job, on one word, for something asked so rarely.
 */
#include "pool_impl.h"

#include "memory.h"

#define BUSY_CHANGE (1ull << 16)
#define BUSY_THREADS (BUSY_CHANGE - 1)
/* A queue that was this long and is empty, 170 000 to 500 000 jobs: worth the milliseconds, which the last busy thread has to spare. */
#define GIVE_BACK ((size_t)4 << 20)

void mfi_pool_busy_enter(mf_pool *pool)
{
    atomic_fetch_add_explicit(&pool->busy, BUSY_CHANGE + 1, memory_order_seq_cst);
}

void mfi_pool_busy_leave(mf_pool *pool)
{
    uint64_t before = atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_seq_cst);
    if ((before & BUSY_THREADS) != 1)
        return;
    mfi_event_notify(&pool->drained, UINT32_MAX);
    if (pool->lanes_made && mfi_lanes_released(&pool->lanes, GIVE_BACK))
        mfi_give_back(pool->allocator);
}

static bool is_drained(mf_pool *pool)
{
    uint64_t busy = atomic_load_explicit(&pool->busy, memory_order_seq_cst);
    if ((busy & BUSY_THREADS) != 0 || !mfi_pool_nothing_queued(pool))
        return false;
    return atomic_load_explicit(&pool->busy, memory_order_seq_cst) == busy;
}

mf_status mf_pool_drain(mf_pool *pool)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    if (mfi_worker_of(pool) != NULL)
        return MF_E_STATE;
    for (bool done = false; !done; ) {
        uint32_t prepared = mfi_event_prepare(&pool->drained);
        done = is_drained(pool);
        if (!done)
            mfi_event_wait(&pool->drained, prepared, INT64_MAX);
        mfi_event_finish(&pool->drained);
    }
    return MF_OK;
}

mf_status mf_pool_stop(mf_pool *pool)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    /* C1 and C2 for those that wait for room. */
    atomic_store_explicit(&pool->closed, 1, memory_order_seq_cst);
    mfi_event_notify(&pool->room, UINT32_MAX);
    return MF_OK;
}

mf_status mf_pool_stats(mf_pool *pool, mf_pool_counts *out)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    mf_pool_counts counts = {.queued = mfi_pool_queued(pool), .workers = pool->workers};
    pthread_mutex_lock(&pool->spares_lock);
    for (unsigned i = 0; i < mfi_pool_started(pool); i++) {
        const mf_pool_worker *w = &pool->threads[i];
        uint32_t spare = atomic_load_explicit(&w->spare, memory_order_relaxed);
        counts.running += atomic_load_explicit(&w->depth, memory_order_relaxed) > 0;
        counts.spares += spare != MFI_SPARE_NONE;
        counts.replacing += spare == MFI_SPARE_ACTIVE;
    }
    pthread_mutex_unlock(&pool->spares_lock);
    *out = counts;
    return MF_OK;
}
