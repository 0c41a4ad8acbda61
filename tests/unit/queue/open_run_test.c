#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "open_run.h"

static mfi_run run;
static mfi_item items[MFI_RUN_MAX], got[MFI_RUN_MAX];

static bool take(mfi_item *out)
{
    const mfi_run_slot *slot = mfi_run_take(&run);
    if (slot != NULL)
        *out = mfi_run_item(slot);
    return slot != NULL;
}

static void begin(size_t n)
{
    mfi_run_init(&run);
    for (size_t i = 0; i < MFI_RUN_MAX; i++)
        items[i] = (mfi_item){{i, i + 1, i + 2}};
    mfi_run_fill(&run, items, n);
}

Test(queue_run, gives_its_items_in_order)
{
    begin(MFI_RUN_MAX);
    for (size_t i = 0; i < MFI_RUN_MAX; i++) {
        cr_assert(eq(sz, mfi_run_size(&run), MFI_RUN_MAX - i));
        cr_assert(take(got));
        cr_assert(eq(sz, got[0].word[0], i));
        cr_assert(eq(sz, got[0].word[2], i + 2));
    }
    cr_assert(not(take(got)));
    cr_assert(zero(sz, mfi_run_steal(&run, got)));
}

Test(queue_run, others_take_half_and_the_last)
{
    size_t expected[] = {4, 2, 1, 1, 0}, first = 0;
    begin(8);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        cr_assert(eq(sz, mfi_run_steal(&run, got), expected[i]));
        if (expected[i] > 0)
            cr_assert(eq(sz, got[0].word[0], first));
        first += expected[i];
    }
}

Test(queue_run, is_filled_again_and_again)
{
    begin(3);
    for (size_t round = 0; round < 1000; round++) {
        while (take(got))
            ;
        mfi_run_fill(&run, items + round % 16, 1 + round % 16);
        cr_assert(eq(sz, mfi_run_size(&run), 1 + round % 16));
        cr_assert(take(got));
        cr_assert(eq(sz, got[0].word[0], round % 16));
    }
}

Test(queue_run, once_asked_for_it_is_everybodys)
{
    begin(8);
    cr_assert(take(got));
    cr_assert(take(got));
    cr_assert(eq(sz, mfi_run_steal(&run, got), 3));
    cr_assert(eq(sz, got[0].word[0], 2));
    cr_assert(take(got));
    cr_assert(eq(sz, got[0].word[0], 5));
    cr_assert(eq(sz, mfi_run_steal(&run, got), 1));
    cr_assert(take(got));
    cr_assert(eq(sz, got[0].word[0], 7));
    cr_assert(not(take(got)));
    cr_assert(zero(sz, mfi_run_size(&run)));
    mfi_run_fill(&run, items, 2);
    cr_assert(take(got));
    cr_assert(eq(sz, got[0].word[0], 0), "the next filling is its owner's");
}
