/* sync/mutex.h: a lock for sections of a few dozen instructions that every item passes through.
 *
 *     word   0 free · 1 held · 2 held, and somebody may sleep
 *
 * As pthread's, without kinds, owners and statistics: a free one is taken with one instruction, inline (60 instructions less
 * each time), and who meets a held one tries for some 1 to 2 µs, longer than such a section lasts, before it sleeps. Where
 * somebody waits for a condition, a pthread mutex is the right one.
 *
 * Why nobody sleeps on: a sleeper has written 2 before, and goes on to hold with 2, so that each holder that came after a
 * sleeper wakes one (Drepper, "Futexes are tricky", mutex 2). */
#ifndef MFI_MUTEX_H
#define MFI_MUTEX_H

#include "atomics.h"

typedef struct mfi_mutex {
    _Atomic uint32_t word;
} mfi_mutex;

static inline void mfi_mutex_init(mfi_mutex *m)
{
    atomic_init(&m->word, 0);
}

/* mutex.c */
void mfi_mutex_lock_slowly(mfi_mutex *m);
void mfi_mutex_wake(mfi_mutex *m);

/* acquire and release: what one holder wrote, the next one sees. */
static inline void mfi_mutex_lock(mfi_mutex *m)
{
    uint32_t free = 0;
    if (!atomic_compare_exchange_strong_explicit(&m->word, &free, 1, memory_order_acquire, memory_order_relaxed))
        mfi_mutex_lock_slowly(m);
}

/** Touches no memory of the lock after it is free. */
static inline void mfi_mutex_unlock(mfi_mutex *m)
{
    if (atomic_exchange_explicit(&m->word, 0, memory_order_release) == 2)
        mfi_mutex_wake(m);
}

#endif
