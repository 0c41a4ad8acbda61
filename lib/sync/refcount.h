/* sync/refcount.h: shared ownership, for lifetimes that truly cross threads. The comment of each counter names its holders. */
#ifndef MFI_REFCOUNT_H
#define MFI_REFCOUNT_H

#include "atomics.h"

#include <assert.h>

typedef struct mfi_refcount {
    _Atomic uint32_t holders;
} mfi_refcount;

/** Begin with so many holders. */
static inline void mfi_refcount_init_many(mfi_refcount *r, uint32_t holders)
{
    atomic_init(&r->holders, holders);
}

/** Begin with one holder, the caller. */
static inline void mfi_refcount_init(mfi_refcount *r)
{
    mfi_refcount_init_many(r, 1);
}

/** Add a holder. The caller holds one itself, so the count cannot reach zero meanwhile and no order is needed. */
static inline void mfi_refcount_ref(mfi_refcount *r)
{
    uint32_t before = atomic_fetch_add_explicit(&r->holders, 1, memory_order_relaxed);
    assert(before > 0 && before < UINT32_MAX);
    (void)before;
}

/** Give one up. True for the last: what is counted is now the caller's alone, to destroy.
 * Release: what this holder wrote is done. Acquire: the last one sees what all the others wrote. */
static inline bool mfi_refcount_unref(mfi_refcount *r)
{
    /* The only holder: nobody else can take or give one meanwhile, and the locked instruction is saved. */
    if (atomic_load_explicit(&r->holders, memory_order_acquire) == 1)
        return true;
    uint32_t before = atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

#endif
