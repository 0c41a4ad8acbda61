/* The server's time as it is known here. Times in milliseconds; ours begins at 1000. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "server_clock.h"

static struct mfi_server_clock c;

static void heard(int64_t server_ms, int64_t sent_ms, int64_t here_ms)
{
    mfi_server_clock_heard(&c, server_ms * 1000, sent_ms * 1000000, here_ms * 1000000);
}

static int64_t at(int64_t here_ms)
{
    return mfi_server_clock_us(&c, here_ms * 1000000) / 1000;
}

Test(redis_server_clock, goes_on_as_ours_does_between_answers)
{
    heard(50000, 1000, 1001);
    cr_assert(eq(i64, at(1001), 50000));
    cr_assert(eq(i64, at(1501), 50500));
}

Test(redis_server_clock, a_slow_answer_does_not_set_it_back)
{
    heard(50000, 1000, 1001);
    heard(51000, 2001, 2101);       /* read at 2001 there, and 100 ms on its way here */
    cr_assert(eq(i64, at(2101), 51100));
}

Test(redis_server_clock, a_quick_answer_after_a_slow_one_sets_it_forward)
{
    heard(50000, 1000, 1100);
    heard(51100, 2100, 2101);
    cr_assert(eq(i64, at(2101), 51100));
}

Test(redis_server_clock, follows_a_server_whose_clock_was_set)
{
    heard(50000, 1000, 1001);
    heard(20000, 2000, 2001);
    cr_assert(eq(i64, at(2001), 20000));
    heard(90000, 3000, 3001);
    cr_assert(eq(i64, at(3001), 90000));
}
