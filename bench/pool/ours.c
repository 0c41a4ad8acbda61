#include "contestant.h"

#include <mageflow/pool.h>

#include <stdatomic.h>
#include <stdlib.h>

enum { BATCH = 256 };

static const char *version(void)
{
    return MF_VERSION ", growing queue";
}

static void *create(unsigned workers)
{
    mf_pool *pool;
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .when_full = MF_POOL_FULL_GROW), &pool, NULL) != MF_OK)
        abort();
    return pool;
}

static void submit(void *pool, bench_fn *fn, void *arg)
{
    if (mf_pool_submit(pool, fn, arg) != MF_OK)
        abort();
}

static void submit_many(void *pool, bench_fn *fn, void *arg, size_t n)
{
    mf_job jobs[BATCH];
    for (size_t i = 0; i < n && i < BATCH; i++)
        jobs[i] = (mf_job){fn, arg};
    for (; n > 0; n -= n < BATCH ? n : BATCH)
        if (mf_pool_submit_batch(pool, jobs, n < BATCH ? n : BATCH, NULL) != MF_OK)
            abort();
}

static void drain(void *pool)
{
    mf_pool_drain(pool);
}

static void destroy(void *pool)
{
    mf_pool_destroy(pool);
}

/* A task for each item: 30 lanes, each job runs its item and submits the next one of its lane. */
struct lanes {
    mf_pool           *pool;
    const bench_swarm *swarm;
    atomic_size_t      next;
};

static void item(void *arg)
{
    struct lanes *lanes = arg;
    size_t at = atomic_fetch_add_explicit(&lanes->next, 1, memory_order_relaxed);
    if (at >= lanes->swarm->items)
        return;
    lanes->swarm->results[at] = lanes_item(at);
    submit(lanes->pool, item, lanes);
}

static void loop(void *arg)
{
    struct lanes *lanes = arg;
    for (size_t at; (at = atomic_fetch_add_explicit(&lanes->next, 1, memory_order_relaxed)) < lanes->swarm->items;)
        lanes->swarm->results[at] = lanes_item(at);
}

static void run_lanes(void *pool, const bench_swarm *swarm, bench_fn *lane)
{
    struct lanes lanes = {.pool = pool, .swarm = swarm};
    for (unsigned i = 0; i < swarm->flight; i++)
        submit(pool, lane, &lanes);
    drain(pool);
}

static void swarm_tasks(void *pool, const bench_swarm *swarm)
{
    run_lanes(pool, swarm, item);
}

static void swarm_lanes(void *pool, const bench_swarm *swarm)
{
    run_lanes(pool, swarm, loop);
}

const contestant bench_ours = {"mageflow", version, create, submit, submit_many, drain, destroy, false, swarm_tasks, swarm_lanes};
