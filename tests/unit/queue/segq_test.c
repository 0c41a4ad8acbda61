#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "segq.h"

static counting_allocator counter;
static mfi_segq q;

static void begin(size_t cells, size_t guards)
{
    counting_init(&counter);
    cr_assert(mfi_segq_init(&q, &counter.allocator, cells, guards));
}

static void end(void)
{
    mfi_segq_fini(&q);
    cr_assert(zero(long, atomic_load(&counter.live)));
    cr_assert(zero(long, atomic_load(&counter.wrong_size)));
}

static size_t push(uintptr_t n)
{
    mfi_item it = {{n, n + 1, n + 2}};
    return mfi_segq_push(&q, NULL, &it, 1);
}

static void expect(uintptr_t n)
{
    mfi_item got = {{0}};
    cr_assert(mfi_segq_pop(&q, NULL, &got), "item %zu", (size_t)n);
    cr_assert(eq(sz, got.word[0], n));
    cr_assert(eq(sz, got.word[2], n + 2));
}

Test(queue_segq, grows_as_long_as_there_is_memory_and_keeps_order)
{
    begin(4, 4);
    for (uintptr_t n = 0; n < 1000; n++)
        cr_assert(eq(sz, push(n), 1));
    cr_assert(eq(sz, mfi_segq_size(&q, NULL), 1000));
    for (uintptr_t n = 0; n < 1000; n++)
        expect(n);
    cr_assert(mfi_segq_empty(&q, NULL));
    end();
}

Test(queue_segq, gives_memory_back_after_a_burst)
{
    begin(4, 4);
    for (uintptr_t n = 0; n < 4000; n++)
        push(n);
    long most = atomic_load(&counter.live);
    for (uintptr_t n = 0; n < 4000; n++)
        expect(n);
    cr_assert(ge(long, most, 1000));
    cr_assert(le(long, atomic_load(&counter.live), 2 + MFI_SEGQ_RESERVE));
    end();
}

Test(queue_segq, a_steady_state_allocates_nothing)
{
    begin(4, 4);
    long calls = atomic_load(&counter.calls);   /* from the first item on: a busy queue costs no more than one that waits */
    for (uintptr_t n = 0; n < 10000; n++) {
        push(n);
        expect(n);
    }
    cr_assert(eq(long, atomic_load(&counter.calls), calls));
    end();
}

Test(queue_segq, a_batch_spans_segments)
{
    begin(4, 4);
    mfi_item items[30];
    for (uintptr_t n = 0; n < 30; n++)
        items[n] = (mfi_item){{n, n + 1, n + 2}};
    for (size_t length = 1; length <= 30; length++) {
        cr_assert(eq(sz, mfi_segq_push(&q, NULL, items, length), length));
        for (uintptr_t n = 0; n < length; n++)
            expect(n);
        cr_assert(mfi_segq_empty(&q, NULL), "length %zu", length);
    }
    end();
}

Test(queue_segq, without_memory_it_refuses_and_loses_nothing)
{
    begin(4, 4);
    atomic_store(&counter.fail_all, true);
    atomic_store(&counter.fail_at, atomic_load(&counter.calls) + 1);
    uintptr_t in = 0;
    while (push(in) == 1)
        in++;
    cr_assert(eq(sz, in, 8), "the two segments it begins with");
    atomic_store(&counter.fail_at, 0);
    cr_assert(eq(sz, push(in), 1));
    for (uintptr_t n = 0; n <= in; n++)
        expect(n);
    cr_assert(mfi_segq_empty(&q, NULL));
    end();
}

Test(queue_segq, each_allocation_may_fail_at_init)
{
    for (long n = 1; ; n++) {
        counting_init(&counter);
        atomic_store(&counter.fail_at, n);
        bool made = mfi_segq_init(&q, &counter.allocator, 4, 4);
        if (made)
            mfi_segq_fini(&q);
        cr_assert(zero(long, atomic_load(&counter.live)), "call %ld", n);
        if (made) {
            cr_assert(ge(long, n, 4));
            break;
        }
    }
}
