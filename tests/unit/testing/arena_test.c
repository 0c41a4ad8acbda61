#include "kit_support.h"

#include "arena.h"
#include "prng.h"

static mfi_arena arena;

static void init(void)
{
    mfi_arena_init(&arena);
}

static void fini(void)
{
    mfi_arena_fini(&arena);
}

TestSuite(testing_arena, .init = init, .fini = fini);

/* Blocks of all sizes, filled, moved and released in any order: none ever shows another one's bytes. */
Test(testing_arena, no_block_lies_in_another)
{
    const mf_allocator *a = &arena.allocator;
    struct { unsigned char *at; size_t size; unsigned char fill; } blocks[64] = {{0}};
    mfi_prng prng = mfi_prng_of(7, 1);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = mfi_prng_below(&prng, 64);
        for (size_t k = 0; k < blocks[i].size; k++)
            cr_assert(eq(u8, blocks[i].at[k], blocks[i].fill));
        size_t size = mfi_prng_below(&prng, 5000);
        if (blocks[i].at == NULL) {
            blocks[i].at = a->alloc(a->user, size);
        } else if (mfi_prng_one_in(&prng, 2)) {
            a->release(a->user, blocks[i].at, blocks[i].size);
            blocks[i].at = NULL;
            size = 0;
        } else {
            unsigned char *moved = a->resize(a->user, blocks[i].at, blocks[i].size, size);
            for (size_t k = 0; k < size && k < blocks[i].size; k++)
                cr_assert(eq(u8, moved[k], blocks[i].fill));
            blocks[i].at = moved;
        }
        blocks[i].size = size;
        blocks[i].fill = (unsigned char)round;
        if (size > 0)
            memset(blocks[i].at, (unsigned char)round, size);
    }
    size_t live = 0;
    for (unsigned i = 0; i < 64; i++)
        live += blocks[i].at != NULL;
    cr_assert(eq(sz, arena.live, live));
}

Test(testing_arena, it_refuses_as_often_as_it_is_told_to)
{
    const mf_allocator *a = &arena.allocator;
    arena.refuse = 2;
    cr_assert(eq(ptr, a->alloc(a->user, 10), NULL));
    cr_assert(eq(ptr, a->resize(a->user, NULL, 0, 10), NULL));
    void *at = a->alloc(a->user, 10);
    cr_assert(ne(ptr, at, NULL));
    a->release(a->user, at, 10);
    cr_assert(eq(sz, arena.live, 0));
}

Test(testing_prng, a_seed_says_everything_and_streams_are_their_own)
{
    mfi_prng a = mfi_prng_of(1, 1), again = mfi_prng_of(1, 1), other = mfi_prng_of(1, 2);
    unsigned seen[10] = {0}, same = 0;
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t n = mfi_prng_below(&a, 10);
        cr_assert(eq(u32, n, mfi_prng_below(&again, 10)));
        same += n == mfi_prng_below(&other, 10);
        seen[n]++;
    }
    for (unsigned i = 0; i < 10; i++)
        cr_assert(all(gt(uint, seen[i], 900), lt(uint, seen[i], 1100)));
    cr_assert(lt(uint, same, 1150));
}
