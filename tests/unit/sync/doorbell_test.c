#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "doorbell.h"

/* One thread plays all parts: a sleeper that was woken returns from mfi_doorbell_sleep at once. */
static mfi_doorbell bell;
static mfi_sleeper a, b;

static void setup(void)
{
    cr_assert(mfi_doorbell_init(&bell));
    mfi_sleeper_init(&a);
    mfi_sleeper_init(&b);
}

static void teardown(void)
{
    mfi_doorbell_fini(&bell);
}

TestSuite(sync_doorbell, .init = setup, .fini = teardown);

static bool still_sleeping(mfi_sleeper *s)
{
    return mfi_doorbell_sleep(&bell, s, 1) == MFI_WAKE_TIMEOUT;
}

Test(sync_doorbell, a_ring_wakes_one_and_the_warmest)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    mfi_doorbell_ring(&bell);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &b, INT64_MAX), MFI_WAKE_RUNG));
    cr_assert(still_sleeping(&a));
}

Test(sync_doorbell, nobody_is_woken_while_somebody_searches)
{
    cr_assert(mfi_doorbell_search(&bell, 2));
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_ring(&bell);
    cr_assert(still_sleeping(&a));
}

Test(sync_doorbell, the_woken_one_counts_as_searching_before_it_runs)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    mfi_doorbell_ring(&bell);
    mfi_doorbell_ring(&bell);
    cr_assert(still_sleeping(&a), "the second ring found the first one's searcher");
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &b, INT64_MAX), MFI_WAKE_RUNG));
    cr_assert(not(mfi_doorbell_found(&bell)), "nobody sleeps: nobody to pass the waking on to");
}

Test(sync_doorbell, the_last_searcher_passes_the_waking_on)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    mfi_doorbell_ring(&bell);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &b, INT64_MAX), MFI_WAKE_RUNG));
    cr_assert(mfi_doorbell_found(&bell), "it was the last, and a sleeps");
    mfi_doorbell_ring(&bell);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &a, INT64_MAX), MFI_WAKE_RUNG));
}

Test(sync_doorbell, half_of_the_workers_may_search)
{
    cr_assert(mfi_doorbell_search(&bell, 4));
    cr_assert(mfi_doorbell_search(&bell, 4));
    cr_assert(not(mfi_doorbell_search(&bell, 4)));
    mfi_doorbell_found(&bell);
    cr_assert(mfi_doorbell_search(&bell, 4));
}

Test(sync_doorbell, a_lone_worker_may_search)
{
    cr_assert(mfi_doorbell_search(&bell, 1));
    cr_assert(not(mfi_doorbell_search(&bell, 1)));
}

Test(sync_doorbell, getting_up_leaves_one_searcher_however_it_was_raced)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_get_up(&bell, &a);
    cr_assert(not(mfi_doorbell_search(&bell, 1)));
    mfi_doorbell_found(&bell);

    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_ring(&bell);
    mfi_doorbell_get_up(&bell, &a);
    cr_assert(not(mfi_doorbell_search(&bell, 1)));
    mfi_doorbell_found(&bell);

    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_call(&bell, &a);
    mfi_doorbell_get_up(&bell, &a);
    cr_assert(not(mfi_doorbell_search(&bell, 1)));
    mfi_doorbell_found(&bell);
    cr_assert(mfi_doorbell_search(&bell, 1), "the count is back at zero");
}

Test(sync_doorbell, a_token_of_an_earlier_sleep_does_not_end_a_later_one)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_ring(&bell);
    mfi_doorbell_get_up(&bell, &a);
    mfi_doorbell_lie_down(&bell, &a, true, false);
    cr_assert(still_sleeping(&a));
}

Test(sync_doorbell, who_has_a_job_for_each_wakes_them_while_somebody_searches)
{
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    cr_assert(mfi_doorbell_search(&bell, 4));
    mfi_doorbell_wake(&bell, 1);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &b, INT64_MAX), MFI_WAKE_RUNG));
    cr_assert(still_sleeping(&a));
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_wake(&bell, 7);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &a, INT64_MAX), MFI_WAKE_RUNG));
    cr_assert(not(mfi_doorbell_found(&bell)), "the other two still search");
    cr_assert(not(mfi_doorbell_found(&bell)), "one still does");
    cr_assert(not(mfi_doorbell_found(&bell)), "the last one, and nobody sleeps");
}

Test(sync_doorbell, a_call_reaches_helpers_and_leaves_idle_sleepers)
{
    mfi_doorbell_lie_down(&bell, &a, false, true);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    mfi_doorbell_call_helpers(&bell);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &a, INT64_MAX), MFI_WAKE_CALLED));
    cr_assert(still_sleeping(&b));
}

Test(sync_doorbell, a_call_to_one_in_the_middle_leaves_the_others)
{
    mfi_sleeper c;
    mfi_sleeper_init(&c);
    mfi_doorbell_lie_down(&bell, &a, false, false);
    mfi_doorbell_lie_down(&bell, &b, false, false);
    mfi_doorbell_lie_down(&bell, &c, false, false);
    mfi_doorbell_call(&bell, &b);
    mfi_doorbell_call(&bell, &b);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &b, INT64_MAX), MFI_WAKE_CALLED));
    mfi_doorbell_call_all(&bell);
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &a, INT64_MAX), MFI_WAKE_CALLED));
    cr_assert(eq(int, mfi_doorbell_sleep(&bell, &c, INT64_MAX), MFI_WAKE_CALLED));
}
