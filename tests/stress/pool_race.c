/* The pool as a whole under load, through its public header. */
#include "scenario.h"

#include "counting_allocator.h"

#include <mageflow/pool.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { SUBMITTERS = 3 };

static mf_pool *pool;
static atomic_long ran;
static long plain_sum;      /* written by jobs one at a time, read after a wait: for ThreadSanitizer to judge */

static void make(unsigned workers, size_t capacity, mf_pool_full when_full)
{
    atomic_store(&ran, 0);
    CHECK_EQ(mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .capacity = capacity, .when_full = when_full,
                                            .max_spares = 4), &pool, NULL), MF_OK);
}

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

static void submit(mf_job_fn *fn, void *arg)
{
    mf_status st;
    while ((st = mf_pool_submit(pool, fn, arg)) == MF_E_FULL)
        sched_yield();
    CHECK_EQ(st, MF_OK);
}

/* ---- many submitters ------------------------------------------------------------------------------------------ */

static void *submitter(void *arg)
{
    mf_job jobs[7];
    for (int i = 0; i < 7; i++)
        jobs[i] = (mf_job){count, NULL};
    for (long left = scenario_rounds(14000); left > 0; ) {
        size_t queued = 0;
        if (left % 2 == 0)
            (void)!mf_pool_submit_batch(pool, jobs, left < 7 ? (size_t)left : 7, &queued);
        else
            queued = mf_pool_submit(pool, count, NULL) == MF_OK;
        left -= (long)queued;
        if (queued == 0)
            sched_yield();
    }
    return arg;
}

static void submitters_race(mf_pool_full when_full)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        pthread_t threads[SUBMITTERS];
        make(workers, 16, when_full);
        for (int i = 0; i < SUBMITTERS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, submitter, NULL), 0);
        for (int i = 0; i < SUBMITTERS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(mf_pool_drain(pool), MF_OK);
        CHECK_EQ(ran, scenario_rounds(14000) * SUBMITTERS);
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

static void submitters_fail(void) { submitters_race(MF_POOL_FULL_FAIL); }
static void submitters_wait(void) { submitters_race(MF_POOL_FULL_WAIT); }
static void submitters_grow(void) { submitters_race(MF_POOL_FULL_GROW); }

/* ---- waking, one job at a time -------------------------------------------------------------------------------- */

static void add_plain(void *arg)
{
    plain_sum += (long)(intptr_t)arg;
}

static void one_at_a_time(void)
{
    make(4, 0, MF_POOL_FULL_FAIL);
    long rounds = scenario_rounds(10000);
    plain_sum = 0;
    for (long i = 0; i < rounds; i++) {
        mf_group group;
        mf_group_init(&group, pool);
        CHECK_EQ(mf_group_submit(&group, add_plain, (void *)1), MF_OK);
        CHECK_EQ(mf_group_wait(&group), MF_OK);
        CHECK_EQ(plain_sum, 2 * i + 1);
        submit(add_plain, (void *)1);
        CHECK_EQ(mf_pool_drain(pool), MF_OK);
        CHECK_EQ(plain_sum, 2 * i + 2);
    }
    CHECK_EQ(mf_pool_destroy(pool), MF_OK);
}

/* ---- jobs that wait for jobs ---------------------------------------------------------------------------------- */

struct node {
    int  depth;
    long leaves;
};

static void count_leaves(void *arg)
{
    struct node *n = arg;
    if (n->depth == 0) {
        n->leaves = 1;
        return;
    }
    struct node below[2] = {{n->depth - 1, 0}, {n->depth - 1, 0}};
    mf_group group;
    mf_group_init(&group, pool);
    for (int i = 0; i < 2; i++) {
        if (mf_group_submit(&group, count_leaves, &below[i]) != MF_OK)
            count_leaves(&below[i]);
    }
    CHECK_EQ(mf_group_wait(&group), MF_OK);
    n->leaves = below[0].leaves + below[1].leaves;
}

static void trees(void)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        make(workers, 32, workers % 2 ? MF_POOL_FULL_GROW : MF_POOL_FULL_FAIL);
        for (long i = 0; i < scenario_rounds(100); i++) {
            struct node top = {6, 0};
            mf_group group;
            mf_group_init(&group, pool);
            CHECK_EQ(mf_group_submit(&group, count_leaves, &top), MF_OK);
            CHECK_EQ(mf_group_wait(&group), MF_OK);
            CHECK_EQ(top.leaves, 64);
        }
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

/* ---- helpers and who wakes them ------------------------------------------------------------------------------- */

struct turn {
    atomic_long number;      /* changed with relaxed order: mf_pool_wake_helpers must be enough */
    long        text;        /* plain, written before, read after */
};

struct await {
    struct turn *turn;
    long         want;
};

static bool turn_has_come(void *arg)
{
    struct await *a = arg;
    return atomic_load_explicit(&a->turn->number, memory_order_relaxed) >= a->want;
}

static struct turn ball[2];
static atomic_int players;

/* Each player on a worker of its own: one that was run by the other's help, on top of its stack, would wait for ever for
 * what lies beneath it. */
static void play(void *arg)
{
    int side = (int)(intptr_t)arg;
    atomic_fetch_add(&players, 1);
    while (atomic_load(&players) < 2)
        sched_yield();
    long rounds = scenario_rounds(5000);
    for (long i = 1; i <= rounds; i++) {
        if (side == 1) {
            struct await a = {&ball[0], i};
            CHECK_EQ(mf_pool_help_until(pool, turn_has_come, &a, MF_FOREVER), MF_OK);
        }
        atomic_store_explicit(&ball[side].number, i, memory_order_relaxed);
        mf_pool_wake_helpers(pool);
        submit(count, NULL);
        if (side == 0) {
            struct await a = {&ball[1], i};
            CHECK_EQ(mf_pool_help_until(pool, turn_has_come, &a, MF_FOREVER), MF_OK);
        }
    }
}

static void ping_pong(void)
{
    for (unsigned workers = 2; workers <= 4; workers++) {
        atomic_store(&players, 0);
        atomic_store(&ball[0].number, 0);
        atomic_store(&ball[1].number, 0);
        make(workers, 0, MF_POOL_FULL_GROW);
        mf_group group;
        mf_group_init(&group, pool);
        for (intptr_t side = 0; side < 2; side++)
            CHECK_EQ(mf_group_submit(&group, play, (void *)side), MF_OK);
        CHECK_EQ(mf_group_wait(&group), MF_OK);
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
        CHECK_EQ(ran, 2 * scenario_rounds(5000));
    }
}

/* ---- jobs that need every worker ------------------------------------------------------------------------------ */

static atomic_uint begun;
static unsigned needed;

/* Each stays until as many run as there are workers: one that nobody wakes is waited for until the alarm. */
static void meet(void *arg)
{
    unsigned before = atomic_fetch_add(&begun, 1), round = before / needed;
    while (atomic_load(&begun) < (round + 1) * needed)
        sched_yield();
    count(arg);
}

static void all_are_woken(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    static mf_job jobs[2 * (64 * 4 + 3)];
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
        jobs[i] = (mf_job){meet, NULL};
    /* A few, and more than four a CPU, which wake each other as a tree. In one batch: the submitter wakes one of them. */
    for (int crowd = 0; crowd <= 1; crowd++)
        for (int grows = 0; grows <= 1; grows++) {
            needed = crowd && cpus < 64 ? (unsigned)cpus * 4 + 3 : 3;
            long rounds = scenario_rounds(crowd ? 200 : 1000);
            atomic_store(&begun, 0);
            make(needed, 1024, grows ? MF_POOL_FULL_GROW : MF_POOL_FULL_FAIL);
            for (long i = 0; i < rounds; i++) {
                CHECK_EQ(mf_pool_submit_batch(pool, jobs, 2 * needed, NULL), MF_OK);
                CHECK_EQ(mf_pool_drain(pool), MF_OK);
            }
            CHECK_EQ(mf_pool_destroy(pool), MF_OK);
            CHECK_EQ(ran, rounds * 2 * needed);
        }
}

/* ---- spares --------------------------------------------------------------------------------------------------- */

static void block_a_moment(void *arg)
{
    (void)mf_pool_block_begin();
    sched_yield();
    mf_pool_block_end();
    count(arg);
}

static void spares_come_and_go(void)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        make(workers, 0, MF_POOL_FULL_GROW);
        long rounds = scenario_rounds(3000);
        for (long i = 0; i < rounds; i++) {
            submit(block_a_moment, NULL);
            submit(count, NULL);
            if (i % 16 == 0)
                CHECK_EQ(mf_pool_drain(pool), MF_OK);
        }
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
        CHECK_EQ(ran, 2 * rounds);
    }
}

/* ---- beginning and end ---------------------------------------------------------------------------------------- */

static void short_lives(void)
{
    for (long i = 0; i < scenario_rounds(400); i++) {
        make(1 + (unsigned)(i % 4), 16, (mf_pool_full)(i % 3));
        long jobs = i % 7;
        for (long j = 0; j < jobs; j++)
            submit(j % 2 ? count : block_a_moment, NULL);
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
        CHECK_EQ(ran, jobs);
    }
}

static atomic_long accepted;

static void *submit_until_closed(void *arg)
{
    mf_status st;
    while ((st = mf_pool_submit(pool, count, NULL)) != MF_E_CLOSED)
        if (st == MF_OK)
            atomic_fetch_add(&accepted, 1);
    return arg;
}

static void stopped_under_fire(void)
{
    for (long i = 0; i < scenario_rounds(100); i++) {
        pthread_t threads[SUBMITTERS];
        make(2, 16, (mf_pool_full)(i % 3));
        atomic_store(&accepted, 0);
        for (int t = 0; t < SUBMITTERS; t++)
            CHECK_EQ(pthread_create(&threads[t], NULL, submit_until_closed, NULL), 0);
        while (atomic_load(&ran) < 100)
            sched_yield();
        CHECK_EQ(mf_pool_stop(pool), MF_OK);
        for (int t = 0; t < SUBMITTERS; t++)
            pthread_join(threads[t], NULL);
        CHECK_EQ(mf_pool_drain(pool), MF_OK);
        CHECK_EQ(ran, accepted);
        CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    }
}

const scenario scenarios[] = {
    {"many submitters, full queue refuses", submitters_fail},
    {"many submitters, full queue makes them wait", submitters_wait},
    {"many submitters, queue grows", submitters_grow},
    {"one job at a time always wakes somebody", one_at_a_time},
    {"jobs that wait for jobs", trees},
    {"helpers are never left asleep", ping_pong},
    {"every worker is woken", all_are_woken},
    {"spares come and go", spares_come_and_go},
    {"short lives", short_lives},
    {"stopped under fire", stopped_under_fire},
    {NULL, NULL},
};
