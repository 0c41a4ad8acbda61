/* flow/tally.h: what was counted of a task's calls: numbers that every thread adds to, and hardly anybody reads.
 *
 * One number that all threads add to would travel between their caches once a call. So there are several of each, every thread
 * adds to its own of them (two may share one), and a reader adds them up. An addition is one instruction that no other thread
 * waits for, and nothing is ever lost. A reader sees each number at some moment of its reading: none ever falls, and two of
 * them may be some calls apart. */
#ifndef MFI_TALLY_H
#define MFI_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#define MFI_TALLY_SHARES 8          /* a power of two */
#define MFI_TALLY_BOUNDS 16         /* of the durations; see mf_stats_bound */

enum {
    MFI_TALLY_STARTED,
    MFI_TALLY_SUCCEEDED,
    MFI_TALLY_FAILED,
    MFI_TALLY_RETRIED,
    MFI_TALLY_CANCELED,
    MFI_TALLY_PUT_BACK,
    MFI_TALLY_SPENT_NS,
    MFI_TALLY_WITHIN,               /* the durations: up to each bound, and above the last */
    MFI_TALLY_NUMBERS = MFI_TALLY_WITHIN + MFI_TALLY_BOUNDS + 1
};

typedef struct mfi_tally {
    struct {
        _Atomic uint64_t at[(MFI_TALLY_NUMBERS + 7) / 8 * 8];      /* A  whole cache lines */
    } shares[MFI_TALLY_SHARES];
} mfi_tally;

/* share: the thread's own number, whatever it is. */
static inline void mfi_tally_add(mfi_tally *tally, unsigned share, unsigned which, uint64_t n)
{
    atomic_fetch_add_explicit(&tally->shares[share % MFI_TALLY_SHARES].at[which], n, memory_order_relaxed);
}

static inline uint64_t mfi_tally_read(const mfi_tally *tally, unsigned which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < MFI_TALLY_SHARES; i++)
        sum += atomic_load_explicit(&tally->shares[i].at[which], memory_order_relaxed);
    return sum;
}

#endif
