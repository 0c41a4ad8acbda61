#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "backoff.h"

Test(sync_backoff, says_when_there_has_been_enough)
{
    mfi_backoff wait = MFI_BACKOFF;
    for (int i = 0; i < MFI_BACKOFF_STEPS; i++)
        cr_assert(mfi_backoff_once(&wait));
    cr_assert(not(mfi_backoff_once(&wait)));
}

Test(sync_atomics, a_counter_is_ahead_across_the_wrap_around)
{
    cr_assert(mfi_ahead(1, 0));
    cr_assert(not(mfi_ahead(0, 0)));
    cr_assert(not(mfi_ahead(0, 1)));
    cr_assert(mfi_ahead(3, UINT64_MAX - 3));
    cr_assert(not(mfi_ahead(UINT64_MAX - 3, 3)));
}
