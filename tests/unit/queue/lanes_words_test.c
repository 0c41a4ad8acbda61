/* What a segment holds of its items: the middle words alone where the others are all the same. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "lanes.h"

enum { CELLS = 4, MANY = 4000 };

static counting_allocator counter;
static mfi_lanes q;
static mfi_popper popper;

static void begin(void)
{
    counting_init(&counter);
    cr_assert(mfi_lanes_init(&q, &counter.allocator, CELLS, 1));
    cr_assert(mfi_popper_init(&popper, &q));
}

static void end(void)
{
    cr_assert(mfi_lanes_empty(&q));
    mfi_lanes_fini(&q);
    cr_assert(zero(long, atomic_load(&counter.live)));
}

static void push(uintptr_t a, uintptr_t b, uintptr_t c)
{
    cr_assert(mfi_lanes_push_one(&q, a, b, c));
}

static void expect(uintptr_t a, uintptr_t b, uintptr_t c)
{
    mfi_item got = {{0}};
    cr_assert(eq(sz, mfi_lanes_pop(&q, &popper, &got, 1, 1), 1), "item %zu", (size_t)b);
    cr_assert(eq(sz, got.word[0], a));
    cr_assert(eq(sz, got.word[1], b));
    cr_assert(eq(sz, got.word[2], c));
}

/* Segments, and what else there is: guards, lane, the reserve and its list. */
static long segments(void)
{
    return atomic_load(&counter.live) - 3;
}

Test(queue_lanes_words, items_that_differ_in_the_middle_take_a_third)
{
    begin();
    for (uintptr_t n = 0; n < MANY; n++)
        push(8, n, 9);
    cr_assert(le(long, segments(), MANY / (3 * CELLS) + 1));
    for (uintptr_t n = 0; n < MANY; n++)
        expect(8, n, 9);
    end();
}

Test(queue_lanes_words, those_of_one_last_word_take_two_thirds)
{
    begin();
    for (uintptr_t n = 0; n < MANY; n++)
        push(n % 5, n, 9);
    cr_assert(le(long, segments(), MANY * 2 / (3 * CELLS) + 20), "and those tried with one word, ever fewer");
    for (uintptr_t n = 0; n < MANY; n++)
        expect(n % 5, n, 9);
    end();
}

Test(queue_lanes_words, a_mix_takes_hardly_more_than_whole_items)
{
    begin();
    for (uintptr_t n = 0; n < MANY; n++)
        push(n % 5, n, n % 3);
    cr_assert(le(long, segments(), MANY / CELLS + 30));
    for (uintptr_t n = 0; n < MANY; n++)
        expect(n % 5, n, n % 3);
    end();
}

Test(queue_lanes_words, stretches_as_long_as_a_segment_of_whole_items_pay)
{
    enum { STRETCH = 2 * CELLS };
    begin();
    for (uintptr_t n = 0; n < MANY; n++)
        push(n / STRETCH, n, n / STRETCH + 1);
    cr_assert(le(long, segments(), MANY / STRETCH + 1));
    for (uintptr_t n = 0; n < MANY; n++)
        expect(n / STRETCH, n, n / STRETCH + 1);
    end();
}

Test(queue_lanes_words, after_a_mix_one_word_is_tried_again)
{
    begin();
    for (uintptr_t n = 0; n < MANY; n++)
        push(n, n, n);
    for (uintptr_t n = 0; n < MANY; n++)
        expect(n, n, n);
    for (uintptr_t n = 0; n < MANY; n++)
        push(8, n, 9);
    cr_assert(le(long, segments(), 64 + MANY / (3 * CELLS) + 1), "64 of whole items at most");
    for (uintptr_t n = 0; n < MANY; n++)
        expect(8, n, 9);
    end();
}

/* ---- all ways in, all ways out -------------------------------------------------------------------------------- */

static uint32_t state;

static uint32_t chance(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

/* The words before and behind change now and then. */
static mfi_item item_of(uintptr_t n)
{
    return (mfi_item){{n / 7 % 3 == 0 ? n : n / 50, ~n, n / 29 % 2 == 0 ? 1 : n / 3}};
}

static size_t push_room(const mfi_item *items, size_t n)
{
    mfi_lane *lane = NULL;
    mfi_room room;
    cr_assert(mfi_lanes_room(&q, &lane, items->word[0], items->word[2], &room));
    cr_assert(ge(sz, room.items, 1));
    size_t done = 0;
    while (done < n && done < room.items && mfi_room_put(&room, done, items[done].word[0], items[done].word[1], items[done].word[2]))
        done++;
    cr_assert(ge(sz, done, 1), "the one that room was asked for");
    mfi_lanes_show(lane, done);
    return done;
}

static size_t push_some(uintptr_t first)
{
    mfi_item items[20];
    size_t n = 1 + chance(20);
    for (size_t i = 0; i < n; i++)
        items[i] = item_of(first + i);
    switch (chance(3)) {
    case 0:
        push(items->word[0], items->word[1], items->word[2]);
        return 1;
    case 1:
        return push_room(items, n);
    default:
        cr_assert(eq(sz, mfi_lanes_push(&q, NULL, items, n), n));
        return n;
    }
}

static mfi_run run;

static size_t pop_some(mfi_item *out)
{
    if (chance(2) == 0)
        return mfi_lanes_pop(&q, &popper, out, 1 + chance(MFI_RUN_MAX), 1);
    size_t n = mfi_lanes_pop_run(&q, &popper, &run, 1 + chance(2));
    for (size_t i = 0; i < n; i++) {
        const mfi_run_slot *slot = mfi_run_take(&run);
        cr_assert(ne(ptr, (void *)slot, NULL));
        out[i] = mfi_run_item(slot);
    }
    return n;
}

Test(queue_lanes_words, every_way_in_and_out_keeps_words_and_order)
{
    for (uint32_t seed = 1; seed <= 50; seed++) {
        state = seed;
        begin();
        mfi_run_init(&run);
        uintptr_t in = 0, out = 0;
        while (in < MANY || out < in) {
            if (in < MANY && chance(2) == 0)
                in += push_some(in);
            mfi_item got[MFI_RUN_MAX];
            size_t n = in >= MANY || in - out > chance(300) ? pop_some(got) : 0;
            for (size_t i = 0; i < n; i++, out++) {
                mfi_item want = item_of(out);
                for (int w = 0; w < 3; w++)
                    cr_assert(eq(sz, got[i].word[w], want.word[w]), "seed %u, item %zu, word %d", seed, (size_t)out, w);
            }
            cr_assert(n > 0 || in < MANY, "seed %u: %zu of %zu", seed, (size_t)out, (size_t)in);
        }
        end();
    }
}
