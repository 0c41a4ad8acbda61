#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "clock.h"
#include "counting_allocator.h"
#include "gate.h"
#include "threads_rest.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static mf_pool *pool;
static char order[64];
static atomic_int ended;
static gate door;

static void make(void)
{
    gate_init(&door);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1, .when_full = MF_POOL_FULL_GROW), &pool, NULL), MF_OK));
}

static void note(void *arg)
{
    order[atomic_fetch_add(&ended, 1)] = *(const char *)arg;
}

static void start(mf_pool_timer *timer, int64_t ms, mf_job_fn *fn, const char *arg)
{
    cr_assert(eq(int, mf_pool_timer_start(timer, pool, mf_milliseconds(ms), fn, (void *)(uintptr_t)arg), MF_OK));
}

/* Three timers, the last one first, then one that opens the gate for the test. False: this thread was kept waiting between the
 * starts, from which each is counted, so long that they may be due in another order. */
static bool start_backwards(void)
{
    mf_pool_timer timers[4];
    memset(order, 0, sizeof order);
    atomic_store(&ended, 0);
    make();
    int64_t began = mfi_now_ns(NULL);
    start(&timers[0], 30, note, "c");
    start(&timers[1], 20, note, "b");
    start(&timers[2], 10, note, "a");
    bool at_once = mfi_now_ns(NULL) - began < mf_milliseconds(10);
    cr_assert(eq(int, mf_pool_timer_start(&timers[3], pool, mf_milliseconds(40), gate_job, &door), MF_OK));
    gate_await(&door, 1);
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    return at_once;
}

/* By what they were told to wait, whatever the order in which they were started. */
Test(pool_timer, jobs_come_in_the_order_of_their_times)
{
    while (!start_backwards())
        ;
    cr_assert(eq(str, order, "abc"));
}

Test(pool_timer, what_was_canceled_does_not_run)
{
    mf_pool_timer far, near, gone;
    make();
    start(&far, 3600000, note, "x");
    start(&gone, 3600000, note, "y");
    cr_assert(mf_pool_timer_cancel(&far));
    cr_assert(not(mf_pool_timer_cancel(&far)), "once");
    cr_assert(eq(int, mf_pool_timer_start(&near, pool, 0, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(not(mf_pool_timer_cancel(&near)), "it runs");
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK), "what is not due is forgotten");
    cr_assert(eq(int, atomic_load(&ended), 0));
}

static mf_pool_timer every;

static void ten_times(void *arg)
{
    if (atomic_fetch_add(&ended, 1) < 9)
        cr_assert(eq(int, mf_pool_timer_start(&every, pool, mf_microseconds(100), ten_times, arg), MF_OK));
    else
        gate_job(arg);
}

Test(pool_timer, a_job_may_start_its_own_timer_again)
{
    make();
    cr_assert(eq(int, mf_pool_timer_start(&every, pool, 0, ten_times, &door), MF_OK));
    gate_await(&door, 1);
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(int, atomic_load(&ended), 10));
}

Test(pool_timer, a_timer_that_is_due_goes_ahead_of_what_is_queued)
{
    mf_pool_timer timer;
    make();
    cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    for (int i = 0; i < 20; i++)
        cr_assert(eq(int, mf_pool_submit(pool, note, "b"), MF_OK));
    start(&timer, 0, note, "a");
    mf_pool_counts counts = {0};
    while (counts.queued < 21)      /* until the thread of the timers has queued it */
        cr_assert(eq(int, mf_pool_stats(pool, &counts), MF_OK));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(chr, order[0], 'a'));
}

enum { MANY = 3000 };

Test(pool_timer, each_of_many_runs_or_was_canceled)
{
    static mf_pool_timer timers[MANY];
    atomic_long ran = 0;
    long canceled = 0;
    make();
    for (int i = 0; i < MANY; i++)
        cr_assert(eq(int, mf_pool_timer_start(&timers[i], pool, mf_microseconds((i * 7919) % 5000), count_job, &ran), MF_OK));
    for (int i = 0; i < MANY; i += 2)
        canceled += mf_pool_timer_cancel(&timers[i]);
    while (atomic_load(&ran) + canceled < MANY)
        sched_yield();
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(long, ran + canceled, MANY));
}

Test(pool_timer, what_breaks_a_rule_is_refused)
{
    mf_pool_timer timer;
    make();
    cr_assert(eq(int, mf_pool_timer_start(&timer, pool, 0, NULL, NULL), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_timer_start(&timer, pool, -1, note, "a"), MF_E_INVALID));
    start(&timer, 3600000, note, "a");
    threads_rest();
    pid_t child = fork();
    if (child == 0)
        _exit(mf_pool_timer_start(&timer, pool, 0, note, NULL) == MF_E_FORKED && !mf_pool_timer_cancel(&timer) &&
              mf_pool_destroy(pool) == MF_OK ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    cr_assert(eq(int, status, 0));
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    cr_assert(eq(int, mf_pool_timer_start(&timer, pool, 0, note, "a"), MF_E_CLOSED));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
}

Test(pool_timer, each_allocation_may_fail)
{
    for (long n = 1; ; n++) {
        counting_allocator counter;
        mf_pool_timer timer;
        counting_init(&counter);
        cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW), &pool,
                                         NULL), MF_OK));
        atomic_store(&counter.fail_at, atomic_load(&counter.calls) + n);
        mf_status st = mf_pool_timer_start(&timer, pool, mf_seconds(3600), note, "a");
        cr_assert(st == MF_OK || st == MF_E_NOMEM);
        cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
        cr_assert(zero(long, atomic_load(&counter.live)));
        if (st == MF_OK)
            break;
    }
}

Test(pool_timer, one_that_could_not_be_started_is_nothing_to_cancel)
{
    enum { ENOUGH = 1000 };
    static mf_pool_timer timers[ENOUGH];
    counting_allocator counter;
    int n = 0;
    counting_init(&counter);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW), &pool,
                                     NULL), MF_OK));
    start(&timers[n++], 3600000, note, "a");
    atomic_store(&counter.fail_all, true);
    atomic_store(&counter.fail_at, atomic_load(&counter.calls) + 1);
    while (n < ENOUGH && mf_pool_timer_start(&timers[n], pool, mf_seconds(3600), note, NULL) == MF_OK)
        n++;
    cr_assert(lt(int, n, ENOUGH));
    cr_assert(not(mf_pool_timer_cancel(&timers[n])));
    for (int i = 0; i < n; i++)
        cr_assert(mf_pool_timer_cancel(&timers[i]), "%d", i);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
}

/* The thread of the timers has nothing to queue it with, and tries again. */
Test(pool_timer, one_that_cannot_be_queued_waits_for_memory)
{
    counting_allocator counter;
    mf_pool_timer far, timer;
    gate_init(&door);
    counting_init(&counter);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW), &pool,
                                     NULL), MF_OK));
    start(&far, 3600000, note, "a");        /* the thread is there, and room for a few timers */
    long calls = atomic_load(&counter.calls);
    atomic_store(&counter.fail_at, calls + 1);
    cr_assert(eq(int, mf_pool_timer_start(&timer, pool, 0, gate_job, &door), MF_OK));
    gate_await(&door, 1);
    cr_assert(gt(long, atomic_load(&counter.calls), calls + 1), "one was refused");
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(zero(long, atomic_load(&counter.live)));
}
