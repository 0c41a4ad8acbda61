/* queue/owner.h: threads as owners of something that outlives them: a number each, never used again, and whether it lives.
 *
 * Numbers are given out and taken back under one lock; a thread asks once. A fork takes the lock over into the child. */
#ifndef MFI_OWNER_H
#define MFI_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/** This thread's number; 0: it has none yet, or at its end none any more. */
extern _Thread_local uint64_t mfi_owner_number;

/** The same, given out if there is none. 0: no memory. */
uint64_t mfi_owner_self(void);
void mfi_owners_lock(void);
void mfi_owners_unlock(void);
/** Under the lock: whether the thread of that number has not ended. */
bool mfi_owner_lives(uint64_t number);

#endif
