#include "contestant.h"

#include <mageflow/pool.h>

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

const contestant bench_ours = {"mageflow", version, create, submit, submit_many, drain, destroy, false};
