#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "gate.h"

#include <pthread.h>

static mf_pool *pool;
static gate door;

static char order[64];
static atomic_int ended;

static void note(void *arg)
{
    order[atomic_fetch_add(&ended, 1)] = *(const char *)arg;
}

static void make(mf_pool_full when_full)
{
    gate_init(&door);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1, .capacity = 4, .when_full = when_full), &pool, NULL), MF_OK));
}

static void submit(mf_pool_priority priority, const char *what)
{
    cr_assert(eq(int, mf_pool_submit_priority(pool, priority, note, (void *)(uintptr_t)what), MF_OK));
}

static void runs_in_their_order(mf_pool_full when_full)
{
    memset(order, 0, sizeof order);
    atomic_store(&ended, 0);
    make(when_full);
    cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    submit(MF_POOL_LOW, "x");
    submit(MF_POOL_NORMAL, "a");
    submit(MF_POOL_NORMAL, "b");
    submit(MF_POOL_LOW, "y");
    submit(MF_POOL_HIGH, "1");
    submit(MF_POOL_NORMAL, "c");
    submit(MF_POOL_HIGH, "2");
    mf_pool_counts counts;
    cr_assert(eq(int, mf_pool_stats(pool, &counts), MF_OK));
    cr_assert(eq(sz, counts.queued, 7));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(str, order, "12abcxy"));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
}

Test(pool_priority, high_runs_first_and_low_last_in_every_kind_of_queue)
{
    runs_in_their_order(MF_POOL_FULL_GROW);
    runs_in_their_order(MF_POOL_FULL_FAIL);
    runs_in_their_order(MF_POOL_FULL_WAIT);
}

static void high_from_within(void *arg)
{
    cr_assert(eq(int, mf_pool_submit_priority(pool, MF_POOL_HIGH, note, arg), MF_OK));
}

Test(pool_priority, a_high_job_passes_those_that_its_worker_has_taken_together)
{
    make(MF_POOL_FULL_GROW);
    cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(eq(int, mf_pool_submit(pool, high_from_within, (void *)(uintptr_t)"1"), MF_OK));
    for (int i = 0; i < 20; i++)
        submit(MF_POOL_NORMAL, "a");
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(int, atomic_load(&ended), 21));
    cr_assert(eq(chr, order[0], '1'));
}

Test(pool_priority, neither_counts_in_the_capacity)
{
    make(MF_POOL_FULL_FAIL);
    cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    for (int i = 0; i < 10; i++) {
        submit(MF_POOL_HIGH, "1");
        submit(MF_POOL_LOW, "x");
    }
    for (int i = 0; i < 4; i++)
        submit(MF_POOL_NORMAL, "a");
    cr_assert(eq(int, mf_pool_submit_priority(pool, MF_POOL_NORMAL, note, "a"), MF_E_FULL));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(int, atomic_load(&ended), 24));
}

static void *submit_many(void *arg)
{
    for (int i = 0; i < 20000; i++)
        cr_assert(eq(int, mf_pool_submit_priority(pool, (mf_pool_priority)(i % 3), count_job, arg), MF_OK));
    return NULL;
}

Test(pool_priority, an_idle_pool_wakes_for_each_of_them_and_none_is_lost)
{
    atomic_long ran = 0;
    pthread_t threads[3];
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 2, .when_full = MF_POOL_FULL_GROW), &pool, NULL), MF_OK));
    for (int i = 0; i < 200; i++) {
        cr_assert(eq(int, mf_pool_submit_priority(pool, (mf_pool_priority)(i % 3), count_job, &ran), MF_OK));
        cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
        cr_assert(eq(long, ran, i + 1));
    }
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, submit_many, &ran);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(long, ran, 60200));
}

Test(pool_priority, what_breaks_a_rule_is_refused)
{
    make(MF_POOL_FULL_GROW);
    cr_assert(eq(int, mf_pool_submit_priority(pool, MF_POOL_HIGH, NULL, NULL), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_submit_priority(pool, (mf_pool_priority)7, note, NULL), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    cr_assert(eq(int, mf_pool_submit_priority(pool, MF_POOL_HIGH, note, NULL), MF_E_CLOSED));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
}

Test(pool_priority, each_allocation_may_fail)
{
    for (long n = 1; ; n++) {
        counting_allocator counter;
        atomic_long ran = 0;
        counting_init(&counter);
        cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 2, .when_full = MF_POOL_FULL_GROW), &pool,
                                         NULL), MF_OK));
        atomic_store(&counter.fail_at, atomic_load(&counter.calls) + n);
        mf_status st = mf_pool_submit_priority(pool, MF_POOL_HIGH, count_job, &ran);
        cr_assert(st == MF_OK || st == MF_E_NOMEM);
        cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
        cr_assert(eq(long, ran, st == MF_OK));
        cr_assert(zero(long, atomic_load(&counter.live)));
        if (st == MF_OK)
            break;
    }
}
