/* sync/atomics.h: what every lock-free file needs beside <stdatomic.h>.
 *
 * Only the _explicit forms are used in this library: the order is part of the meaning. Orders stand on operations, never
 * on free-standing fences, because ThreadSanitizer reports correctly fenced publication as a race.
 */
#ifndef MFI_ATOMICS_H
#define MFI_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_CACHE_LINE 64

/* Between two words that different threads write: keeps them on different lines wherever the allocator put the struct
 * (alignas would ask more of an mf_allocator than malloc's alignment). */
#define MFI_APART(name) char name[MFI_CACHE_LINE]

/** Tell the CPU that this is a spin loop. No system call. */
static inline void mfi_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/** Whether free-running counter a is ahead of b: by difference, so that it holds across the wrap-around. */
static inline bool mfi_ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) > 0;
}

#endif
