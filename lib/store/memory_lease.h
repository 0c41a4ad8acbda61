/* store/memory_lease.h: a lease for the memory store, whose claims else are good as long as its process lives: for tests, and for the
 * simulator. */
#ifndef MFI_MEMORY_LEASE_H
#define MFI_MEMORY_LEASE_H

#include <mageflow/store.h>

/** For tests and simulators: claims from now on end after ms, 0: never. Before the store is used. */
void mfi_memory_set_lease(mf_store *base, int64_t ms);

#endif
