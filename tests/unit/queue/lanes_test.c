#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "lanes.h"

#include <pthread.h>

static counting_allocator counter;
static mfi_lanes q;
static mfi_popper popper;

static void begin(size_t cells)
{
    counting_init(&counter);
    cr_assert(mfi_lanes_init(&q, &counter.allocator, cells, 1));
    cr_assert(mfi_popper_init(&popper, &q));
}

static void end(void)
{
    mfi_lanes_fini(&q);
    cr_assert(zero(long, atomic_load(&counter.live)));
    cr_assert(zero(long, atomic_load(&counter.wrong_size)));
}

/* How many words differ from one item to the next: 1, the middle one; 2, the first one, too; 3, all. */
static int vary = 3;

static mfi_item item_of(uintptr_t n)
{
    return (mfi_item){{vary > 1 ? n + 1 : 1, n, vary > 2 ? n + 2 : 2}};
}

static size_t push(uintptr_t n)
{
    mfi_item it = item_of(n);
    return mfi_lanes_push(&q, NULL, &it, 1);
}

static void expect(uintptr_t n)
{
    mfi_item got = {{0}};
    cr_assert(mfi_lanes_pop(&q, &popper, &got, 1, 1) == 1, "item %zu", (size_t)n);
    mfi_item want = item_of(n);
    for (int i = 0; i < 3; i++)
        cr_assert(eq(sz, got.word[i], want.word[i]), "word %d of item %zu", i, (size_t)n);
}

Test(queue_lanes, grows_as_long_as_there_is_memory_and_keeps_order)
{
    begin(4);
    for (uintptr_t n = 0; n < 1000; n++)
        cr_assert(eq(sz, push(n), 1));
    cr_assert(eq(sz, mfi_lanes_size(&q), 1000));
    for (uintptr_t n = 0; n < 1000; n++)
        expect(n);
    cr_assert(mfi_lanes_empty(&q));
    end();
}

Test(queue_lanes, gives_memory_back_after_a_burst)
{
    begin(4);
    for (uintptr_t n = 0; n < 4000; n++)
        push(n);
    long most = atomic_load(&counter.live);
    for (uintptr_t n = 0; n < 4000; n++)
        expect(n);
    cr_assert(ge(long, most, 1000));
    cr_assert(le(long, atomic_load(&counter.live), 4 + MFI_LANES_RESERVE + 1), "guards, lane, its last segment, the reserve and its list");
    end();
}

Test(queue_lanes, tells_one_caller_that_much_was_given_back)
{
    begin(4);
    for (uintptr_t n = 0; n < 4000; n++)
        push(n);
    cr_assert(not(mfi_lanes_released(&q, 1)), "nothing yet");
    for (uintptr_t n = 0; n < 4000; n++)
        expect(n);
    size_t least = 4000 * sizeof(mfi_item) - 16 * 4 * sizeof(mfi_item);
    cr_assert(not(mfi_lanes_released(&q, 2 * 4000 * sizeof(mfi_item))));
    cr_assert(mfi_lanes_released(&q, least));
    cr_assert(not(mfi_lanes_released(&q, 1)), "told");
    end();
}

Test(queue_lanes, a_steady_state_allocates_nothing)
{
    begin(4);
    push(0);
    expect(0);
    long calls = atomic_load(&counter.calls);
    for (uintptr_t n = 0; n < 10000; n++) {
        push(n);
        expect(n);
    }
    cr_assert(eq(long, atomic_load(&counter.calls), calls));
    end();
}

Test(queue_lanes, a_batch_spans_segments)
{
    begin(4);
    mfi_item items[30];
    for (vary = 3; vary > 0; vary--) {
        for (uintptr_t n = 0; n < 30; n++)
            items[n] = item_of(n);
        for (size_t length = 1; length <= 30; length++) {
            cr_assert(eq(sz, mfi_lanes_push(&q, NULL, items, length), length));
            for (uintptr_t n = 0; n < length; n++)
                expect(n);
            cr_assert(mfi_lanes_empty(&q), "length %zu", length);
        }
    }
    end();
}

static void without_memory(size_t most)
{
    begin(4);
    push(0);      /* this thread has its lane */
    expect(0);
    atomic_store(&counter.fail_all, true);
    atomic_store(&counter.fail_at, atomic_load(&counter.calls) + 1);
    uintptr_t in = 0;
    while (push(in) == 1)
        in++;
    cr_assert(eq(sz, in, most), "what is left of the segments it begins with, %d words", vary);
    atomic_store(&counter.fail_at, 0);
    cr_assert(eq(sz, push(in), 1));
    for (uintptr_t n = 0; n <= in; n++)
        expect(n);
    cr_assert(mfi_lanes_empty(&q));
    end();
}

Test(queue_lanes, without_memory_it_refuses_and_loses_nothing)
{
    vary = 1;
    without_memory(12 * MFI_LANES_RESERVE - 1);
    /* The second one closes the first segment, and the last one was tried with one word. */
    vary = 2;
    without_memory(1 + 6 + 6 + 1);
    vary = 3;
    without_memory(1 + 4 + 4 + 1);
}

Test(queue_lanes, each_allocation_may_fail_at_init)
{
    for (long n = 1; ; n++) {
        counting_init(&counter);
        atomic_store(&counter.fail_at, n);
        bool made = mfi_lanes_init(&q, &counter.allocator, 4, 4);
        if (made)
            mfi_lanes_fini(&q);
        cr_assert(zero(long, atomic_load(&counter.live)), "call %ld", n);
        if (made) {
            cr_assert(eq(long, n, 3 + MFI_LANES_RESERVE), "guards, a list and segments");
            break;
        }
    }
}

Test(queue_lanes, a_run_is_a_fair_share_of_what_is_there)
{
    mfi_item run[32];
    vary = 1;
    begin(64);
    for (uintptr_t n = 0; n < 50; n++)
        push(n);
    cr_assert(eq(sz, mfi_lanes_pop(&q, &popper, run, 32, 1), 32), "no more than there is room for");
    cr_assert(eq(sz, mfi_lanes_pop(&q, &popper, run, 32, 4), 5), "a quarter of 18");
    cr_assert(eq(sz, run[0].word[1], 32));
    cr_assert(eq(sz, run[4].word[1], 36));
    for (uintptr_t n = 37; n < 50; n++)
        expect(n);
    cr_assert(zero(sz, mfi_lanes_pop(&q, &popper, run, 32, 4)));
    end();
}

static void *push_some(void *arg)
{
    for (uintptr_t n = 0; n < 10; n++)
        push((uintptr_t)arg + n);
    return NULL;
}

struct many {
    uintptr_t first, count;
};

static void *push_many(void *arg)
{
    const struct many *m = arg;
    for (uintptr_t n = 0; n < m->count; n += 10)
        push_some((void *)(m->first + n));
    return NULL;
}

static void in_thread_many(uintptr_t first, uintptr_t count)
{
    pthread_t thread;
    struct many many = {first, count};
    cr_assert(zero(int, pthread_create(&thread, NULL, push_many, &many)));
    pthread_join(thread, NULL);
}

static void in_thread(uintptr_t first)
{
    in_thread_many(first, 10);
}

Test(queue_lanes, what_a_thread_left_behind_is_popped_and_its_lane_goes_to_the_next)
{
    begin(4);
    for (uintptr_t n = 0; n < 50; n++)
        in_thread(n * 10);
    cr_assert(eq(sz, mfi_lanes_size(&q), 500));
    for (uintptr_t n = 0; n < 500; n++)
        expect(n);
    long live = atomic_load(&counter.live);
    for (uintptr_t n = 0; n < 50; n++) {
        in_thread(n * 10);
        for (uintptr_t i = 0; i < 10; i++)
            expect(n * 10 + i);
    }
    cr_assert(eq(long, atomic_load(&counter.live), live), "no lane for each");
    end();
}

Test(queue_lanes, lanes_take_turns)
{
    enum { TURN = MFI_LANES_TURN, EACH = 10 * TURN };
    begin(4);
    uintptr_t seen[2] = {0};
    for (uintptr_t n = 0; n < EACH; n += 10)
        push_some((void *)(1000 + n));      /* first: the lane of a thread that has ended would be ours */
    in_thread_many(2000, EACH);
    for (int i = 0; i < EACH; i++) {
        mfi_item got;
        cr_assert(eq(sz, mfi_lanes_pop(&q, &popper, &got, 1, 1), 1));
        uintptr_t from = got.word[1] / 1000 - 1;
        cr_assert(eq(sz, got.word[1] % 1000, seen[from]), "in order");
        seen[from]++;
        cr_assert(le(sz, seen[from], (size_t)(i / (2 * TURN) + 1) * TURN), "a turn of each");
    }
    end();
}

/* A popper that was here before knows a segment that has been used again since. */
Test(queue_lanes, a_popper_that_comes_back_late_takes_what_is_there_now)
{
    mfi_popper late;
    mfi_item got;
    begin(4);
    cr_assert(mfi_popper_init(&late, &q));
    push(0);
    push(1);
    expect(0);
    cr_assert(eq(sz, mfi_lanes_pop(&q, &late, &got, 1, 1), 1));
    for (uintptr_t n = 2; n < 1000; n++) {
        push(n);
        expect(n);
    }
    push(1000);
    cr_assert(eq(sz, mfi_lanes_pop(&q, &late, &got, 1, 1), 1));
    cr_assert(eq(sz, got.word[1], 1000));
    cr_assert(zero(sz, mfi_lanes_pop(&q, &late, &got, 1, 1)));
    mfi_popper_fini(&late);
    mfi_popper_fini(&late);
    end();
}
