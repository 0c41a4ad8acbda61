/* Recursive spawns, on few workers and on more than there are CPUs, so that each is halted anywhere. */
#include "scenario.h"

#include <mageflow/fork_join.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

static mf_pool *pool;

static void make(unsigned workers)
{
    CHECK_EQ(mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .max_spares = 2), &pool, NULL), MF_OK);
}

/* ---- trees: fine, and so that thieves come at any moment --------------------------------------------------------- */

/* `seen` is plain: a spawn writes its own part, its parent reads it after the sync. ThreadSanitizer judges. */
MF_SPAWNABLE(long, tree, int, depth, int, width, long *, seen)
{
    if (depth == 0) {
        *seen = 1;
        return 1;
    }
    long below[4] = {0}, leaves = 0, sum = 0;
    for (int i = 0; i < width; i++)
        MF_SPAWN(tree, depth - 1, width, &below[i]);
    for (int i = 0; i < width; i++)
        leaves += MF_SYNC(tree);
    for (int i = 0; i < width; i++)
        sum += below[i];
    *seen = sum;
    return leaves;
}

static void trees(void)
{
    for (unsigned workers = 1; workers <= 5; workers++) {
        make(workers);
        for (long round = 0; round < scenario_rounds(300); round++) {
            int width = 1 + (int)(round % 4), depth = width == 1 ? 200 : width == 2 ? 8 : width == 3 ? 5 : 4;
            long want = 1, leaves = 0, seen = 0;
            for (int i = 0; i < depth; i++)
                want *= width;
            CHECK_EQ(tree_run(pool, &leaves, depth, width, &seen), MF_OK);
            CHECK_EQ(leaves, want);
            CHECK_EQ(seen, want);
        }
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

/* ---- one big spawn among small ones: the owner waits, is woken, takes pieces, waits again -------------------------- */

MF_VOID_SPAWNABLE(yields, int, times)
{
    for (int i = 0; i < times; i++)
        sched_yield();
}

MF_SPAWNABLE(long, lopsided, int, depth)
{
    if (depth == 0)
        return 1;
    MF_SPAWN(lopsided, depth - 1);
    MF_SPAWN(yields, depth % 3);
    MF_SPAWN(yields, depth * 7 % 5);
    MF_SYNC(yields);
    MF_SYNC(yields);
    return MF_SYNC(lopsided) + 1;
}

static void waits(void)
{
    for (unsigned workers = 2; workers <= 4; workers++) {
        make(workers);
        for (long round = 0; round < scenario_rounds(100); round++) {
            long value = 0;
            CHECK_EQ(lopsided_run(pool, &value, 60), MF_OK);
            CHECK_EQ(value, 61);
        }
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

/* ---- starting and ending: a sleeper must hear of the first spawns, and of nothing afterwards ------------------------ */

static void short_ones(void)
{
    for (unsigned workers = 2; workers <= 4; workers++) {
        make(workers);
        for (long round = 0; round < scenario_rounds(3000); round++) {
            long leaves = 0, seen = 0;
            CHECK_EQ(tree_run(pool, &leaves, 2, 2, &seen), MF_OK);
            CHECK_EQ(leaves, 4);
            CHECK_EQ(seen, 4);
        }
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

/* ---- several roots at once, next to ordinary jobs ------------------------------------------------------------------ */

static void job(void *arg)
{
    long leaves = 0, seen = 0;
    CHECK_EQ(tree_run(pool, &leaves, 3, 3, &seen), MF_OK);
    CHECK_EQ(leaves, 27);
    (void)arg;
}

static void *outsider(void *arg)
{
    for (long round = 0; round < scenario_rounds(60); round++) {
        long leaves = 0, seen = 0;
        CHECK_EQ(tree_run(pool, &leaves, 5, 3, &seen), MF_OK);
        CHECK_EQ(leaves, 243);
        while (mf_pool_submit(pool, job, NULL) == MF_E_FULL)
            sched_yield();
    }
    return arg;
}

static void many_roots(void)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        pthread_t threads[3];
        make(workers);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, outsider, NULL), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(mf_pool_drain(pool), MF_OK);
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

const scenario scenarios[] = {
    {"trees of spawns are counted right", trees},
    {"who waits for a spawn is woken", waits},
    {"short ones come and go", short_ones},
    {"several at once, next to jobs", many_roots},
    {NULL, NULL},
};
