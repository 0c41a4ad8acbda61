/* sync/futex.h: sleep until a word changes. Private to the process. */
#ifndef MFI_FUTEX_H
#define MFI_FUTEX_H

#include "atomics.h"

/** Sleep while *word == seen, until woken or CLOCK_MONOTONIC reaches deadline_ns (INT64_MAX: never). May return early
 * for no reason. False: the deadline is over. */
bool mfi_futex_wait(const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns);
/** Wake at most n sleepers. Touches no memory at word, so that the word may have gone by now. */
void mfi_futex_wake(const _Atomic uint32_t *word, unsigned n);

#endif
