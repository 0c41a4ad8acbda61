#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "clock.h"
#include "gate.h"

#include <pthread.h>

static mf_pool *pool;

static void make(unsigned workers)
{
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = workers), &pool, NULL), MF_OK));
}

struct wait {
    atomic_bool flag;
    atomic_int  asked;
    sem_t       waiting;
    int64_t     deadline_ns;
    mf_status   st;
};

static bool flag_is_set(void *arg)
{
    struct wait *w = arg;
    if (atomic_fetch_add(&w->asked, 1) == 1)
        sem_post(&w->waiting);      /* the second look comes when it has announced its sleep */
    return atomic_load_explicit(&w->flag, memory_order_relaxed);
}

static void help(void *arg)
{
    struct wait *w = arg;
    w->st = mf_pool_help_until(pool, flag_is_set, w, w->deadline_ns);
}

static void start(struct wait *w, int64_t deadline_ns)
{
    w->deadline_ns = deadline_ns;
    sem_init(&w->waiting, 0, 0);
    cr_assert(eq(int, mf_pool_submit(pool, help, w), MF_OK));
    gate_sem_wait(&w->waiting);
}

Test(pool_help, a_changed_condition_wakes_the_helper)
{
    make(1);
    for (int round = 0; round < 1000; round++) {
        struct wait w = {0};
        start(&w, MF_FOREVER);
        atomic_store_explicit(&w.flag, true, memory_order_relaxed);
        mf_pool_wake_helpers(pool);
        cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
        cr_assert(eq(int, w.st, MF_OK));
    }
    mf_pool_destroy(pool);
}

Test(pool_help, a_helper_runs_jobs_that_come)
{
    struct wait w = {0};
    atomic_long ran = 0;
    mf_group group;
    make(1);
    mf_group_init(&group, pool);
    start(&w, MF_FOREVER);
    for (int i = 0; i < 100; i++)
        cr_assert(eq(int, mf_group_submit(&group, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_group_wait(&group), MF_OK), "by the only worker, which waits itself");
    atomic_store(&w.flag, true);
    mf_pool_wake_helpers(pool);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(long, ran, 100));
    cr_assert(eq(int, w.st, MF_OK));
}

Test(pool_help, a_deadline_ends_it_and_one_in_the_past_at_once)
{
    struct wait w = {0};
    make(1);
    w.deadline_ns = mfi_now_ns(NULL) + 3000000;
    sem_init(&w.waiting, 0, 0);
    cr_assert(eq(int, mf_pool_submit(pool, help, &w), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(int, w.st, MF_E_TIMEOUT));
    cr_assert(ge(i64, mfi_now_ns(NULL), w.deadline_ns));
    w.deadline_ns = 1;
    cr_assert(eq(int, mf_pool_submit(pool, help, &w), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(int, w.st, MF_E_TIMEOUT));
    atomic_store(&w.flag, true);
    cr_assert(eq(int, mf_pool_submit(pool, help, &w), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(int, w.st, MF_OK), "a condition that is true counts before the deadline");
    mf_pool_destroy(pool);
}

Test(pool_help, is_for_workers_of_this_pool)
{
    struct wait w = {0};
    make(1);
    sem_init(&w.waiting, 0, 0);
    cr_assert(eq(int, mf_pool_help_until(pool, flag_is_set, &w, MF_FOREVER), MF_E_STATE));
    mf_pool_wake_helpers(pool);
    mf_pool_destroy(pool);
}

Test(pool_help, several_helpers_each_get_their_own)
{
    struct wait w[3] = {0};
    make(3);
    for (int i = 0; i < 3; i++)
        start(&w[i], MF_FOREVER);
    for (int i = 2; i >= 0; i--) {
        atomic_store(&w[i].flag, true);
        mf_pool_wake_helpers(pool);
    }
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, w[i].st, MF_OK));
    mf_pool_destroy(pool);
}
