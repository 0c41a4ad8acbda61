/* pool/fork_join.h: what the rest of the pool knows of spawns: that there may be some to take. */
#ifndef MFI_FORK_JOIN_H
#define MFI_FORK_JOIN_H

#include <mageflow/fork_join.h>

#include "pool_impl.h"

/** Take a spawn of another worker as a job that must be run next, on this thread; none: ask for some. */
bool mfi_fork_take(mf_pool_worker *self, mfi_item *job);
/** Whether another worker has spawns to take. Asks all for some: for who is about to sleep (I2 and I3 of fork_join.c). */
bool mfi_fork_stealable(mf_pool_worker *self);
/** The worker's thread has ended. */
void mfi_fork_free(mf_pool_worker *worker);

#endif
