#include "mutex.h"

#include "backoff.h"
#include "futex.h"

void mfi_mutex_lock_slowly(mfi_mutex *m)
{
    mfi_backoff wait = MFI_BACKOFF;
    while (mfi_backoff_once(&wait)) {
        uint32_t free = 0;
        /* A look first: an attempt takes the cache line from the holder. */
        if (atomic_load_explicit(&m->word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&m->word, &free, 1, memory_order_acquire, memory_order_relaxed))
            return;
    }
    while (atomic_exchange_explicit(&m->word, 2, memory_order_acquire) != 0)
        mfi_futex_wait(&m->word, 2, INT64_MAX);
}

/* The address alone is used: whoever had the lock last may free it once it is unlocked. */
void mfi_mutex_wake(mfi_mutex *m)
{
    mfi_futex_wake(&m->word, 1);
}
