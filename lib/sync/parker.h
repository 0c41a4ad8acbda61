/* sync/parker.h: one thread's bed, with a token.
 *
 * Unpark leaves a token and wakes the owner if it sleeps; park takes the token, or sleeps until there is one. A token
 * left before the park is not lost, and tokens do not add up. So a park may return for an unpark of long ago: the owner
 * looks at its own condition again, in a loop.
 */
#ifndef MFI_PARKER_H
#define MFI_PARKER_H

#include "atomics.h"

typedef struct mfi_parker {
    _Atomic uint32_t word;      /* A  empty, token, or asleep */
} mfi_parker;

void mfi_parker_init(mfi_parker *p);
/** Owner thread only. True: took a token; all that its giver wrote is visible. False: CLOCK_MONOTONIC reached
 * deadline_ns (INT64_MAX: never). */
bool mfi_parker_park(mfi_parker *p, int64_t deadline_ns);
/** Any thread. A system call only when the owner sleeps. */
void mfi_parker_unpark(mfi_parker *p);

#endif
