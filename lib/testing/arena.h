/* testing/arena.h: all memory of one schedule. What a crashed process held has no owner any more; it goes with the arena.
 *
 * Under a sanitizer every block is one of malloc's, so that a use after release is still seen. */
#ifndef MFI_ARENA_H
#define MFI_ARENA_H

#include <mageflow/base.h>

#define MFI_ARENA_CLASSES 64        /* of 32 bytes each; what is larger comes from malloc */

struct mfi_arena_block;
struct mfi_arena_chunk;
struct mfi_arena_free;

typedef struct mfi_arena {
    mf_allocator            allocator;      /* what the schedule allocates with */
    size_t                  live;           /* blocks that nobody released */
    unsigned                refuse;         /* so many allocations that come next fail */
    struct mfi_arena_block *large;
    struct mfi_arena_chunk *chunks;
    char                   *at, *end;
    struct mfi_arena_free  *free[MFI_ARENA_CLASSES];
} mfi_arena;

void mfi_arena_init(mfi_arena *arena);
/** Release everything that is still there. */
void mfi_arena_fini(mfi_arena *arena);

#endif
