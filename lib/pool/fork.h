/* pool/fork.h: whether this process is still the one that made the pool.
 *
 * A child has none of its parent's worker threads, and finds their locks as they happened to be. A handler counts
 * forks in the child, so that each call of the pool compares two words instead of asking the kernel who it is.
 * A child made by a raw clone system call does not run the handler and is not noticed.
 */
#ifndef MFI_FORK_H
#define MFI_FORK_H

#include "atomics.h"

/** Begin to count, once per process. False: no memory for the handler. */
bool mfi_fork_watch(void);

extern _Atomic uint32_t mfi_forks;
/** How many forks lie between the first process that watched and this one. */
static inline uint32_t mfi_fork_generation(void)
{
    /* Relaxed: written only in a child that has no other thread yet. */
    return atomic_load_explicit(&mfi_forks, memory_order_relaxed);
}

#endif
