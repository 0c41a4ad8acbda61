#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "clock.h"
#include "gate.h"

#include <pthread.h>

static mf_pool *pool;

static void make(unsigned workers, size_t capacity, mf_pool_full when_full)
{
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .capacity = capacity, .when_full = when_full),
                                     &pool, NULL), MF_OK));
}

Test(pool_group, an_empty_one_is_done)
{
    mf_group group;
    make(1, 0, MF_POOL_FULL_FAIL);
    mf_group_init(&group, pool);
    cr_assert(eq(int, mf_group_wait(&group), MF_OK));
    cr_assert(eq(int, mf_group_submit_batch(&group, NULL, 0, NULL), MF_OK));
    cr_assert(eq(int, mf_group_wait(&group), MF_OK));
    mf_pool_destroy(pool);
}

Test(pool_group, waits_for_its_own_jobs_only)
{
    gate door;
    mf_group mine, other;
    atomic_long ran = 0;
    gate_init(&door);
    make(2, 0, MF_POOL_FULL_FAIL);
    mf_group_init(&mine, pool);
    mf_group_init(&other, pool);
    cr_assert(eq(int, mf_group_submit(&other, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    for (int i = 0; i < 100; i++)
        cr_assert(eq(int, mf_group_submit(&mine, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_group_wait(&mine), MF_OK));
    cr_assert(eq(long, ran, 100));
    cr_assert(eq(int, mf_group_wait_until(&other, mfi_now_ns(NULL) + 1000), MF_E_TIMEOUT));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_group_wait(&other), MF_OK));
    cr_assert(eq(int, door.passed, 1));
    mf_pool_destroy(pool);
}

Test(pool_group, may_be_used_again_and_on_the_stack)
{
    make(2, 0, MF_POOL_FULL_GROW);
    for (int round = 0; round < 2000; round++) {
        mf_group group;
        atomic_long ran = 0;
        mf_group_init(&group, pool);
        for (int again = 1; again <= 2; again++) {
            cr_assert(eq(int, mf_group_submit(&group, count_job, &ran), MF_OK));
            cr_assert(eq(int, mf_group_submit(&group, count_job, &ran), MF_OK));
            cr_assert(eq(int, mf_group_wait(&group), MF_OK));
            cr_assert(eq(long, ran, 2 * again));
        }
    }
    mf_pool_destroy(pool);
}

Test(pool_group, a_refused_job_is_not_waited_for)
{
    gate door;
    mf_group group;
    atomic_long ran = 0;
    mf_job jobs[20];
    size_t queued;
    gate_init(&door);
    for (int i = 0; i < 20; i++)
        jobs[i] = (mf_job){count_job, &ran};
    make(1, 8, MF_POOL_FULL_FAIL);
    mf_group_init(&group, pool);
    cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(eq(int, mf_group_submit_batch(&group, jobs, 20, &queued), MF_E_FULL));
    cr_assert(eq(sz, queued, 8));
    cr_assert(eq(int, mf_group_submit(&group, count_job, &ran), MF_E_FULL));
    cr_assert(eq(int, mf_group_submit(&group, NULL, &ran), MF_E_INVALID));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_group_wait(&group), MF_OK));
    cr_assert(eq(long, ran, 8));
    mf_pool_destroy(pool);
}

struct sum {
    long from, to, result;
};

static void add_up(void *arg)
{
    struct sum *s = arg;
    if (s->to - s->from <= 4) {
        for (long i = s->from; i < s->to; i++)
            s->result += i;
        return;
    }
    long middle = (s->from + s->to) / 2;
    struct sum halves[2] = {{s->from, middle, 0}, {middle, s->to, 0}};
    mf_group group;
    mf_group_init(&group, pool);
    for (int i = 0; i < 2; i++)
        if (mf_group_submit(&group, add_up, &halves[i]) != MF_OK)
            abort();
    if (mf_group_wait(&group) != MF_OK)
        abort();
    s->result = halves[0].result + halves[1].result;
}

Test(pool_group, jobs_may_wait_for_jobs_on_any_number_of_workers)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct sum all = {0, 1000, 0};
        mf_group group;
        make(workers, 0, MF_POOL_FULL_GROW);
        mf_group_init(&group, pool);
        cr_assert(eq(int, mf_group_submit(&group, add_up, &all), MF_OK));
        cr_assert(eq(int, mf_group_wait(&group), MF_OK));
        cr_assert(eq(long, all.result, 499500), "%u workers", workers);
        mf_pool_destroy(pool);
    }
}

static mf_group shared;

static void *wait_too(void *arg)
{
    cr_assert(eq(int, mf_group_wait(&shared), MF_OK));
    return arg;
}

static void wait_inside(void *arg)
{
    (void)arg;
    if (mf_group_wait(&shared) != MF_OK)
        abort();
}

Test(pool_group, any_number_of_threads_may_wait)
{
    gate door;
    pthread_t outsiders[4];
    gate_init(&door);
    make(3, 0, MF_POOL_FULL_FAIL);
    mf_group_init(&shared, pool);
    cr_assert(eq(int, mf_group_submit(&shared, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    for (int i = 0; i < 2; i++)
        cr_assert(eq(int, mf_pool_submit(pool, wait_inside, NULL), MF_OK));
    for (int i = 0; i < 4; i++)
        pthread_create(&outsiders[i], NULL, wait_too, NULL);
    gate_open(&door, 1);
    for (int i = 0; i < 4; i++)
        pthread_join(outsiders[i], NULL);
    mf_pool_destroy(pool);
}
