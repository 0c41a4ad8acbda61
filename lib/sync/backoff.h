/* sync/backoff.h: wait a little longer each time, and know when to stop spinning.
 *
 *     mfi_backoff wait = MFI_BACKOFF;
 *     while (!there(x) && mfi_backoff_once(&wait))
 *         ;
 *
 * A full run is 2^MFI_BACKOFF_STEPS - 1 pauses, some 1 to 2 µs: a few cache misses, far below a system call with a wake. */
#ifndef MFI_BACKOFF_H
#define MFI_BACKOFF_H

#include "atomics.h"

#ifndef MFI_BACKOFF_STEPS
#define MFI_BACKOFF_STEPS 6
#endif

typedef struct mfi_backoff {
    unsigned step;
} mfi_backoff;
#define MFI_BACKOFF ((mfi_backoff){0})

/** Pause 1, 2, 4, … times; false, without a pause, when there has been enough of it. */
static inline bool mfi_backoff_once(mfi_backoff *b)
{
    if (b->step >= MFI_BACKOFF_STEPS)
        return false;
    for (unsigned i = 0; i < 1u << b->step; i++)
        mfi_pause();
    b->step++;
    return true;
}

#endif
