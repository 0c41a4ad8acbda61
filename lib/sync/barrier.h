/* sync/barrier.h: write one word, then read another, where one side does so all the time and the other hardly ever.
 *
 *     often                                    rarely
 *     A1  mfi_publish(word, …)                 B1  write the other word, seq_cst
 *     A2  read the other word, seq_cst         B2  mfi_barrier_everywhere()
 *                                              B3  read the word, seq_cst
 *
 * Invariant  A2 sees B1, or B3 sees A1; never neither.
 * Why        during B2 every running thread of the process passes a full barrier (membarrier(2)); one that does not run passed one
 *            when it stopped. Is A1 before it in its thread, B3 sees A1. Is A1 behind it, so is A2, which then sees B1.
 *            A1 alone is a release: whoever reads what it wrote sees what was written before.
 * Cost       A1 is a plain store; seq_cst it would take 5 ns, and wait for the line where another thread has just read it. B2 takes
 *            0.2 to 1 µs. The first mfi_barrier_init of a process that has threads already takes 5 to 10 ms (Linux 6.18, two CPUs).
 * Without    where the system call is missing or forbidden, and under ThreadSanitizer, which knows nothing of it, A1 is seq_cst and
 *            B2 nothing.
 * Rejected   mprotect of a page, which interrupts other CPUs, too: not on every architecture.
 * Checked    tests/model/doorbell.pml, tests/stress/doorbell (both ways)
 */
#ifndef MFI_BARRIER_H
#define MFI_BARRIER_H

#include "atomics.h"

/* ThreadSanitizer neither knows of membarrier nor of fences. */
#if defined(__SANITIZE_THREAD__)
#define MFI_BARRIER_UNSEEN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MFI_BARRIER_UNSEEN
#endif
#endif

/** Whether B2 does the work of A1. Read relaxed: it is set before the first thread that relies on it is there. */
extern atomic_bool mfi_barrier_remote;

/** Ask the system, once a process. */
void mfi_barrier_init(void);
/** From now on without the system call, for tests. */
void mfi_barrier_forgo(void);

/** A1. */
static inline void mfi_publish(_Atomic uint64_t *word, uint64_t value)
{
    if (atomic_load_explicit(&mfi_barrier_remote, memory_order_relaxed)) {
        atomic_store_explicit(word, value, memory_order_release);
        /* Not the compiler either may read earlier. */
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store_explicit(word, value, memory_order_seq_cst);
    }
}

/** A barrier of this thread's own, between A1 and A2 against a side that has no B2. */
static inline void mfi_barrier_here(void)
{
#ifndef MFI_BARRIER_UNSEEN
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/** B2. Any thread. */
void mfi_barrier_everywhere(void);

#endif
