#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "guard.h"

Test(queue_guard, what_is_guarded_is_held_until_cleared)
{
    mfi_guards g;
    _Atomic uintptr_t block = 0x1000;
    cr_assert(mfi_guards_init(&g, NULL, 2));
    mfi_guard *guard = mfi_guard_claim(&g);
    cr_assert(eq(sz, mfi_guard_protect(guard, &block), 0x1000));
    cr_assert(mfi_guards_hold(&g, 0x1000));
    cr_assert(not(mfi_guards_hold(&g, 0x2000)));
    mfi_guard_clear(guard);
    cr_assert(not(mfi_guards_hold(&g, 0x1000)));
    mfi_guard_release(guard);
    mfi_guards_fini(&g);
}

Test(queue_guard, more_are_made_when_all_are_claimed_and_used_again)
{
    counting_allocator counter;
    counting_init(&counter);
    mfi_guards g;
    mfi_guard *guards[80];
    cr_assert(mfi_guards_init(&g, &counter.allocator, 2));
    for (int i = 0; i < 80; i++) {
        guards[i] = mfi_guard_claim(&g);
        cr_assert(ne(ptr, guards[i], NULL));
        for (int j = 0; j < i; j++)
            cr_assert(ne(ptr, guards[i], guards[j]));
    }
    long calls = atomic_load(&counter.calls);
    for (int i = 0; i < 80; i++)
        mfi_guard_release(guards[i]);
    for (int i = 0; i < 80; i++)
        cr_assert(ne(ptr, mfi_guard_claim(&g), NULL));
    cr_assert(eq(long, atomic_load(&counter.calls), calls));
    mfi_guards_fini(&g);
    cr_assert(zero(long, atomic_load(&counter.live)));
}

Test(queue_guard, without_memory_there_is_none)
{
    counting_allocator counter;
    counting_init(&counter);
    mfi_guards g;
    cr_assert(mfi_guards_init(&g, &counter.allocator, 1));
    mfi_guard *only = mfi_guard_claim(&g);
    atomic_store(&counter.fail_at, atomic_load(&counter.calls) + 1);
    cr_assert(eq(ptr, mfi_guard_claim(&g), NULL));
    mfi_guard_release(only);
    cr_assert(eq(ptr, mfi_guard_claim(&g), only));
    mfi_guards_fini(&g);
}
