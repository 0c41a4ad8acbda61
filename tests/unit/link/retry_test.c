#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "retry.h"

struct dice {
    uint32_t value;
    bool     broken;
};

static mf_status throw(void *user, void *at, size_t len)
{
    const struct dice *d = user;
    if (d->broken)
        return MF_E_IO;
    memcpy(at, &d->value, len);
    return MF_OK;
}

Test(link_retry, doubles_up_to_its_cap_and_begins_anew)
{
    struct dice dice = {.value = 0};
    mfi_random random = {throw, &dice};
    mfi_retry retry = {mf_milliseconds(50), mf_milliseconds(300), 0};
    static const int want[] = {50, 100, 200, 300, 300};
    for (size_t i = 0; i < 5; i++)
        cr_assert(eq(i64, mfi_retry_next(&retry, &random), mf_milliseconds(want[i])));
    mfi_retry_reset(&retry);
    cr_assert(eq(i64, mfi_retry_next(&retry, &random), mf_milliseconds(50)));
}

Test(link_retry, is_never_less_than_half_and_differs_with_the_dice)
{
    struct dice dice = {0};
    mfi_random random = {throw, &dice};
    int64_t least = INT64_MAX, most = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        dice.value = i * 4294967u;
        mfi_retry retry = {mf_seconds(1), mf_seconds(1), 0};
        int64_t span = mfi_retry_next(&retry, &random);
        cr_assert(ge(i64, span, mf_milliseconds(500)));
        cr_assert(le(i64, span, mf_seconds(1)));
        least = span < least ? span : least;
        most = span > most ? span : most;
    }
    cr_assert(lt(i64, least, mf_milliseconds(550)));
    cr_assert(gt(i64, most, mf_milliseconds(950)));
}

Test(link_retry, without_dice_waits_the_whole_and_never_overflows)
{
    struct dice dice = {.broken = true};
    mfi_random random = {throw, &dice};
    mfi_retry retry = {1, INT64_MAX, 0};
    int64_t last = 0;
    for (int i = 0; i < 200; i++) {
        int64_t span = mfi_retry_next(&retry, &random);
        cr_assert(ge(i64, span, last));
        last = span;
    }
    cr_assert(eq(i64, last, INT64_MAX));
}
