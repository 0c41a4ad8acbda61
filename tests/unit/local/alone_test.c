/* When small jobs are run by one worker alone: windows are ended by hand, as long as each says. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "clock.h"
#include "local.h"
#include "thread.h"

enum { LONG_AGO = 1 };

static local *fresh(void)
{
    static local l;
    l = (local){.alone = {.call_ns = 1000000}};
    mfi_mutex_init(&l.lock);
    return &l;
}

/* A window in which a job took `us`: once more, from where it stood, if this thread was kept waiting in it for longer than half a
 * hundredth of that, and 20 us, which no limit here is as near to. */
static void window(local *l, int64_t us)
{
    const struct local_alone before = l->alone;
    int64_t most = LOCAL_WINDOW * us * 1000 / 200 + 20000, began;
    do {
        l->alone = before;
        began = mfi_now_ns(NULL);
        l->alone.since_ns = began - LOCAL_WINDOW * us * 1000;
        for (int i = 0; i < LOCAL_WINDOW; i++)
            local_alone_ended(l);
    } while (mfi_now_ns(NULL) - began > most);
    l->alone.try_ns = INT64_MAX;        /* the other way is tried when a test says so, not when it is kept waiting */
}

static void windows(local *l, int n, int64_t us)
{
    while (n-- > 0)
        window(l, us);
}

static bool on(const local *l)
{
    return atomic_load(&l->alone.on);
}

/* Jobs of 100 ms, of which nearly nothing is the call: the other way is tried, and there is a runner, as from local_alone_begin. */
static local *tries_alone(void)
{
    local *l = fresh();
    l->alone.call_ns = 1;
    window(l, 100000);
    cr_assert(on(l));
    l->alone.runner = 1;
    return l;
}

Test(local_alone, it_is_tried_where_calls_are_small)
{
    local *l = fresh();
    window(l, 100000);
    cr_assert(not(on(l)));
    for (int i = 0; i < 20; i++)
        local_alone_called(l, 500);
    window(l, 100000);
    cr_assert(on(l));
}

Test(local_alone, it_is_tried_where_all_of_a_job_is_small)
{
    local *l = fresh();
    window(l, 1);
    cr_assert(on(l));
}

Test(local_alone, long_calls_are_shared)
{
    local *l = fresh();
    windows(l, 100, 100000);
    cr_assert(not(on(l)));
}

Test(local_alone, what_is_slower_alone_is_shared_again)
{
    local *l = tries_alone();
    windows(l, 4, 300000);
    cr_assert(on(l), "a trial has four windows that are measured, after one that is not");
    window(l, 300000);
    cr_assert(not(on(l)));
}

Test(local_alone, what_is_hardly_slower_alone_stays_so)
{
    local *l = tries_alone();
    windows(l, 5, 105000);
    windows(l, 50, 105000);
    cr_assert(on(l));
}

Test(local_alone, one_window_that_was_interrupted_changes_nothing)
{
    local *l = tries_alone();
    windows(l, 16, 50000);
    window(l, 500000);
    cr_assert(on(l));
}

Test(local_alone, jobs_that_become_longer_are_shared)
{
    local *l = tries_alone();
    windows(l, 16, 50000);
    for (int i = 0; i < 8 && on(l); i++)
        window(l, 500000);
    cr_assert(not(on(l)));
}

Test(local_alone, the_other_way_is_tried_again_and_later_the_more_often_it_was_in_vain)
{
    local *l = tries_alone();
    int64_t waited = 0;
    for (int trial = 0; trial < 5; trial++) {
        if (!on(l)) {
            windows(l, 1, 100000);
            l->alone.try_ns = LONG_AGO;
            window(l, 100000);
        }
        cr_assert(on(l));
        windows(l, 5, 300000);
        cr_assert(not(on(l)));
        cr_assert(gt(i64, l->alone.wait_ns, waited));
        waited = l->alone.wait_ns;
    }
}

Test(local_alone, windows_between_two_runners_are_not_measured)
{
    local *l = fresh();
    window(l, 1);
    cr_assert(on(l));
    windows(l, 20, 500000);
    cr_assert(on(l));
}

Test(local_alone, what_is_left_to_the_runner_is_its_own_to_do)
{
    local *l = fresh();
    l->alone.kept = 1;
    cr_assert(not(local_alone_leaves_it(l)), "there is no runner");
    l->alone.runner = mfi_thread_self() + 1;
    cr_assert(local_alone_leaves_it(l));
    cr_assert(not(local_alone_owes(l)));
    l->alone.runner = mfi_thread_self();
    cr_assert(local_alone_owes(l));
    cr_assert(not(local_alone_leaves_it(l)));
    cr_assert(not(local_alone_owes(l)));
}

Test(local_alone, nothing_is_kept_while_the_pool_has_older_ones)
{
    local *l = fresh();
    local_job job = {0};
    l->alone.runner = mfi_thread_self();
    atomic_store(&l->queued, 1);
    cr_assert(not(local_alone_may_keep(l)));
    local_alone_keep(l, &job);
    cr_assert(local_alone_may_keep(l));
}

Test(local_alone, a_long_call_among_small_ones_is_not_forgotten)
{
    local *l = tries_alone();
    windows(l, 16, 1);
    cr_assert(on(l));
    l->alone.owed = true;
    l->pumping = true;      /* there is no pool to submit to */
    l->alone.seen = l->alone.steps;
    l->alone.since_ns = mfi_now_ns(NULL) - INT64_C(50000000000);
    cr_assert(local_alone_look(l));
    cr_assert(not(on(l)));
    windows(l, 50, 100000);
    cr_assert(not(on(l)), "one that takes 50 s does not pay for all the small ones");
}
