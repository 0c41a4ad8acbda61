/* Jobs ahead of all others and behind them: two more growing queues, made when the first such job comes.
 *
 * A worker looks into the high one before each job, also before those it has taken together; into the low one when there is
 * nothing else, spawns of fork_join.c included. Both count wherever it matters that nothing is queued: to sleep, to be
 * drained, to end.
 *
 * Orders    the pointer is published and read seq_cst, as the doorbell asks of a queue: who sleeps without seeing it is seen
 *           by the ring that follows the push.
 * Rejected  one queue in the order of numbers: every push and every pop would meet at its top, for something few jobs use.
 *           A level in each lane: a look at all lanes before each job.
 */
#include "pool_impl.h"

#include "memory.h"

struct mfi_ranks {
    mfi_lanes lanes[MFI_RANKS];
};

enum { CELLS = 64 };

static struct mfi_ranks *ranks_of(mf_pool *pool)
{
    return atomic_load_explicit(&pool->ranks, memory_order_seq_cst);
}

static void ranks_delete(mf_pool *pool, struct mfi_ranks *r, int made)
{
    for (int i = 0; i < made; i++)
        mfi_lanes_fini(&r->lanes[i]);
    mf_delete(pool->allocator, r);
}

/* Several may make them at once; one set stays. NULL: no memory. */
static struct mfi_ranks *ranks_make(mf_pool *pool)
{
    struct mfi_ranks *r = mf_new(pool->allocator, struct mfi_ranks), *there = NULL;
    if (r == NULL)
        return NULL;
    for (int i = 0; i < MFI_RANKS; i++)
        if (!mfi_lanes_init(&r->lanes[i], pool->allocator, CELLS, pool->workers + pool->max_spares)) {
            ranks_delete(pool, r, i);
            return NULL;
        }
    if (atomic_compare_exchange_strong_explicit(&pool->ranks, &there, r, memory_order_seq_cst, memory_order_seq_cst))
        return r;
    ranks_delete(pool, r, MFI_RANKS);
    return there;
}

bool mfi_rank_take_from(struct mfi_ranks *ranks, mf_pool_worker *self, mfi_rank rank, mfi_item *job)
{
    mfi_lanes *lanes = &ranks->lanes[rank];
    mfi_popper *popper = &self->ranks[rank];
    if (popper->guard == NULL)
        mfi_popper_init(popper, lanes);      /* with one of the guards made with the queue: there is one for each thread */
    return mfi_lanes_pop(lanes, popper, job, 1, 1) == 1;
}

bool mfi_ranks_empty(mf_pool *pool)
{
    struct mfi_ranks *r = ranks_of(pool);
    return r == NULL || (mfi_lanes_empty(&r->lanes[MFI_RANK_HIGH]) && mfi_lanes_empty(&r->lanes[MFI_RANK_LOW]));
}

size_t mfi_ranks_size(mf_pool *pool)
{
    struct mfi_ranks *r = ranks_of(pool);
    return r == NULL ? 0 : mfi_lanes_size(&r->lanes[MFI_RANK_HIGH]) + mfi_lanes_size(&r->lanes[MFI_RANK_LOW]);
}

void mfi_ranks_free(mf_pool *pool)
{
    struct mfi_ranks *r = ranks_of(pool);
    if (r != NULL)
        ranks_delete(pool, r, MFI_RANKS);
}

static mf_status put_ranked(mf_pool *pool, mfi_rank rank, mf_job_fn *fn, void *arg)
{
    struct mfi_ranks *r = ranks_of(pool);
    mfi_item item = {{(uintptr_t)fn, (uintptr_t)arg, 0}};
    if (r == NULL && (r = ranks_make(pool)) == NULL)
        return MF_E_NOMEM;
    if (mfi_lanes_push(&r->lanes[rank], NULL, &item, 1) != 1)
        return MF_E_NOMEM;
    mfi_doorbell_ring(&pool->bell);
    return MF_OK;
}

mf_status mf_pool_submit_priority(mf_pool *pool, mf_pool_priority priority, mf_job_fn *fn, void *arg)
{
    if (priority == MF_POOL_NORMAL)
        return mf_pool_submit(pool, fn, arg);
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    if (fn == NULL || (priority != MF_POOL_HIGH && priority != MF_POOL_LOW))
        return MF_E_INVALID;
    if (atomic_load_explicit(&pool->closed, memory_order_seq_cst) != 0)
        return MF_E_CLOSED;
    return put_ranked(pool, priority == MF_POOL_HIGH ? MFI_RANK_HIGH : MFI_RANK_LOW, fn, arg);
}
