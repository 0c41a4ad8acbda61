#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "refcount.h"

Test(sync_refcount, only_the_last_holder_destroys)
{
    mfi_refcount r;
    mfi_refcount_init(&r);
    mfi_refcount_ref(&r);
    mfi_refcount_ref(&r);
    cr_assert(not(mfi_refcount_unref(&r)));
    cr_assert(not(mfi_refcount_unref(&r)));
    cr_assert(mfi_refcount_unref(&r));
}
