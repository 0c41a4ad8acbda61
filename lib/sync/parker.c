#include "parker.h"

#include "futex.h"

enum { EMPTY, TOKEN, ASLEEP };

void mfi_parker_init(mfi_parker *p)
{
    atomic_init(&p->word, EMPTY);
}

bool mfi_parker_park(mfi_parker *p, int64_t deadline_ns)
{
    uint32_t seen = EMPTY;
    /* One word carries both "I sleep" and "token", so that the two cannot miss each other. Acquire on the ways that find
     * a token: pairs with the release in unpark. */
    atomic_compare_exchange_strong_explicit(&p->word, &seen, ASLEEP, memory_order_acquire, memory_order_acquire);
    while (seen != TOKEN) {
        bool in_time = mfi_futex_wait(&p->word, ASLEEP, deadline_ns);
        seen = atomic_load_explicit(&p->word, memory_order_acquire);
        if (!in_time && seen != TOKEN)
            /* Get up; a token that came in this moment counts. */
            return atomic_exchange_explicit(&p->word, EMPTY, memory_order_acquire) == TOKEN;
    }
    /* An exchange, not a store: a second unpark may put its token here now, and what it wrote must be visible too. */
    atomic_exchange_explicit(&p->word, EMPTY, memory_order_acquire);
    return true;
}

void mfi_parker_unpark(mfi_parker *p)
{
    if (atomic_exchange_explicit(&p->word, TOKEN, memory_order_acq_rel) == ASLEEP)
        mfi_futex_wake(&p->word, 1);
}
