#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "gate.h"

#include <pthread.h>

static mf_pool *pool;
static gate door;

static void make(unsigned workers, unsigned max_spares)
{
    gate_init(&door);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .max_spares = max_spares), &pool, NULL), MF_OK));
}

static mf_pool_counts stats(void)
{
    mf_pool_counts counts;
    cr_assert(eq(int, mf_pool_stats(pool, &counts), MF_OK));
    return counts;
}

static void run_one(void)
{
    atomic_long ran = 0;
    mf_group group;
    mf_group_init(&group, pool);
    cr_assert(eq(int, mf_group_submit(&group, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_group_wait(&group), MF_OK));
    cr_assert(eq(long, ran, 1));
}

static mf_status begin_status;

static void blocking_job(void *arg)
{
    begin_status = mf_pool_block_begin();
    gate_job(arg);
    mf_pool_block_end();
}

Test(pool_spare, a_blocked_worker_is_replaced)
{
    make(1, 2);
    cr_assert(eq(int, mf_pool_submit(pool, blocking_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(eq(int, begin_status, MF_OK));
    run_one();
    cr_assert(eq(uint, stats().replacing, 1));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(zero(uint, stats().replacing));
    cr_assert(eq(uint, stats().spares, 1));
    mf_pool_destroy(pool);
}

Test(pool_spare, spares_are_used_again)
{
    make(1, 4);
    for (int round = 0; round < 200; round++) {
        cr_assert(eq(int, mf_pool_submit(pool, blocking_job, &door), MF_OK));
        gate_await(&door, 1);
        run_one();
        gate_open(&door, 1);
        cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    }
    cr_assert(eq(uint, stats().spares, 1));
    mf_pool_destroy(pool);
}

Test(pool_spare, at_the_stated_number_the_worker_simply_blocks)
{
    make(1, 2);
    for (int i = 0; i < 3; i++) {
        cr_assert(eq(int, mf_pool_submit(pool, blocking_job, &door), MF_OK));
        gate_await(&door, 1);
        cr_assert(eq(int, begin_status, i < 2 ? MF_OK : MF_E_FULL));
    }
    cr_assert(eq(uint, stats().replacing, 2));
    gate_open(&door, 3);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(int, door.passed, 3));
    cr_assert(zero(uint, stats().replacing));
    mf_pool_destroy(pool);
}

Test(pool_spare, none_when_none_were_allowed)
{
    make(1, MF_POOL_NO_SPARES);
    cr_assert(eq(int, mf_pool_submit(pool, blocking_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(eq(int, begin_status, MF_E_FULL));
    gate_open(&door, 1);
    mf_pool_destroy(pool);
}

static mf_pool_worker *stuck;

static void stuck_job(void *arg)
{
    stuck = mf_pool_current_worker();
    gate_job(arg);
}

Test(pool_spare, a_watchdog_may_replace_a_worker_and_take_it_back)
{
    make(1, 2);
    cr_assert(eq(int, mf_pool_submit(pool, stuck_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(eq(int, mf_pool_compensate(stuck), MF_OK));
    cr_assert(eq(int, mf_pool_compensate(stuck), MF_OK));
    cr_assert(eq(uint, stats().replacing, 1), "one stand-in however often it is said");
    run_one();
    mf_pool_restore(stuck);
    cr_assert(eq(uint, stats().replacing, 1));
    gate_open(&door, 1);
    mf_pool_restore(stuck);
    mf_pool_restore(stuck);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(zero(uint, stats().replacing));
    mf_pool_destroy(pool);
}

Test(pool_spare, outside_of_workers_blocking_is_nobodys_business)
{
    cr_assert(eq(int, mf_pool_block_begin(), MF_OK));
    mf_pool_block_end();
}

Test(pool_spare, a_pool_with_resting_spares_drains_and_ends)
{
    make(2, 8);
    for (int i = 0; i < 8; i++)
        cr_assert(eq(int, mf_pool_submit(pool, blocking_job, &door), MF_OK));
    gate_await(&door, 8);
    gate_open(&door, 8);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(int, door.passed, 8));
}
