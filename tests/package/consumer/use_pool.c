/* Jobs run on the installed pool, with nothing else of mageflow beside it. */
#include <mageflow/pool.h>

#include <stdatomic.h>
#include <stdio.h>

static void count(void *arg)
{
    atomic_int *ran = arg;
    atomic_fetch_add_explicit(ran, 1, memory_order_relaxed);
}

int main(void)
{
    enum { JOBS = 1000 };
    atomic_int ran = 0;
    mf_error   err = { MF_OK, "" };
    mf_pool   *pool = NULL;
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = 2), &pool, &err) != MF_OK) {
        fprintf(stderr, "mf_pool_create: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < JOBS; i++)
        if (mf_pool_submit(pool, count, &ran) != MF_OK)
            return 1;
    mf_pool_destroy(pool);   /* drains first */
    printf("%d jobs\n", atomic_load_explicit(&ran, memory_order_relaxed));
    return atomic_load_explicit(&ran, memory_order_relaxed) == JOBS ? 0 : 1;
}
