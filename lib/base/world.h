/* base/world.h: what a thread takes from the system: memory, time, random bytes, waiting, other threads.
 *
 * Normally that is the system itself. The simulator puts a world of its own in its place, on its one thread: then everything
 * above runs there as it is, on strands that only change where one of them waits, with a clock that nobody waits for.
 *
 * base answers for the first three, lib/sync for waiting and threads. */
#ifndef MFI_WORLD_H
#define MFI_WORLD_H

#include <mageflow/base.h>

#include <stdatomic.h>

#include "random.h"

typedef struct mfi_world mfi_world;
struct mfi_world {
    const mf_allocator *allocator;      /* what NULL means as an allocator */
    const mf_clock     *clock;          /* … and as a clock, CLOCK_MONOTONIC's deadlines included */
    const mfi_random   *random;
    /* Wait while *word is `seen`, until deadline_ns of that clock; false: it is over. Nobody needs to wake. */
    bool (*wait)(mfi_world *world, const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns);
    /* What stands for the running strand; never 0. */
    uintptr_t (*self)(mfi_world *world);
    /* A strand more; NULL: there is none. join returns when it has ended. */
    void *(*start)(mfi_world *world, void *(*run)(void *arg), void *arg);
    void (*join)(mfi_world *world, void *strand);
};

/** The world of this thread; NULL: the system. */
extern _Thread_local mfi_world *mfi_world_here;

#endif
