#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "ring.h"

static counting_allocator counter;
static mfi_ring ring;

static void begin(size_t capacity, uint64_t first)
{
    counting_init(&counter);
    cr_assert(mfi_ring_init(&ring, &counter.allocator, capacity, first));
}

static void end(void)
{
    mfi_ring_fini(&ring);
    cr_assert(zero(long, atomic_load(&counter.live)));
    cr_assert(zero(long, atomic_load(&counter.wrong_size)));
}

static mfi_item item(uintptr_t n)
{
    return (mfi_item){{n, n * 3, ~n}};
}

static void push(uintptr_t n)
{
    mfi_item it = item(n);
    cr_assert(eq(sz, mfi_ring_push(&ring, &it, 1), 1), "item %zu", (size_t)n);
}

static void expect(uintptr_t n)
{
    mfi_item got = item(0), want = item(n);
    cr_assert(mfi_ring_pop(&ring, &got), "item %zu", (size_t)n);
    cr_assert(zero(int, memcmp(&got, &want, sizeof got)), "item %zu", (size_t)n);
}

Test(queue_ring, full_ring_refuses_and_keeps_order)
{
    begin(4, 0);
    for (uintptr_t n = 0; n < 4; n++)
        push(n);
    mfi_item more = item(99);
    cr_assert(zero(sz, mfi_ring_push(&ring, &more, 1)));
    cr_assert(eq(sz, mfi_ring_size(&ring), 4));
    for (uintptr_t n = 0; n < 4; n++)
        expect(n);
    cr_assert(mfi_ring_empty(&ring));
    end();
}

Test(queue_ring, empty_ring_says_so_and_stays_usable)
{
    mfi_item none;
    begin(4, 0);
    for (uintptr_t n = 0; n < 20; n++) {
        cr_assert(not(mfi_ring_pop(&ring, &none)));
        cr_assert(mfi_ring_empty(&ring));
        push(n);
        cr_assert(not(mfi_ring_empty(&ring)));
        expect(n);
    }
    end();
}

Test(queue_ring, capacity_is_rounded_up_to_a_power_of_two)
{
    static const struct { size_t asked, got; } cases[] = {{0, 4}, {1, 4}, {4, 4}, {5, 8}, {64, 64}, {65, 128}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].asked, 0);
        mfi_item items[200] = {{{0}}};
        cr_assert(eq(sz, mfi_ring_push(&ring, items, 200), cases[i].got), "asked %zu", cases[i].asked);
        end();
    }
}

Test(queue_ring, a_batch_is_put_in_as_far_as_there_is_room)
{
    begin(8, 0);
    mfi_item items[6];
    for (uintptr_t n = 0; n < 6; n++)
        items[n] = item(n);
    cr_assert(eq(sz, mfi_ring_push(&ring, items, 6), 6));
    cr_assert(eq(sz, mfi_ring_push(&ring, items, 6), 2));
    for (uintptr_t n = 0; n < 6; n++)
        expect(n);
    expect(0);
    expect(1);
    cr_assert(zero(sz, mfi_ring_push(&ring, items, 0)));
    end();
}

Test(queue_ring, counters_may_wrap_around_anywhere)
{
    for (uint64_t before = 0; before < 12; before++) {
        begin(4, UINT64_MAX - before);
        for (uintptr_t n = 0; n < 30; n += 3) {
            push(n);
            push(n + 1);
            push(n + 2);
            expect(n);
            expect(n + 1);
            expect(n + 2);
        }
        for (uintptr_t n = 0; n < 4; n++)
            push(n);
        mfi_item more = item(99);
        cr_assert(zero(sz, mfi_ring_push(&ring, &more, 1)));
        cr_assert(eq(sz, mfi_ring_size(&ring), 4));
        end();
    }
}

Test(queue_ring, no_memory_is_no_ring)
{
    counting_init(&counter);
    atomic_store(&counter.fail_at, 1);
    cr_assert(not(mfi_ring_init(&ring, &counter.allocator, 16, 0)));
    cr_assert(not(mfi_ring_init(&ring, NULL, SIZE_MAX / 2, 0)), "a capacity whose bytes overflow");
}
