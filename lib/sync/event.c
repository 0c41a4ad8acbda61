#include "event.h"

#include "futex.h"

void mfi_event_init(mfi_event *e)
{
    atomic_init(&e->epoch, 0);
    atomic_init(&e->waiters, 0);
}

uint32_t mfi_event_prepare(mfi_event *e)
{
    /* W1, seq_cst: pairs with C2 in mfi_event_notify. */
    atomic_fetch_add_explicit(&e->waiters, 1, memory_order_seq_cst);
    /* Before W2: read after it, this might be the epoch that our own notification began, and we would sleep in it. */
    return atomic_load_explicit(&e->epoch, memory_order_seq_cst);
}

bool mfi_event_wait(mfi_event *e, uint32_t prepared, int64_t deadline_ns)
{
    return mfi_futex_wait(&e->epoch, prepared, deadline_ns);
}

void mfi_event_finish(mfi_event *e)
{
    atomic_fetch_sub_explicit(&e->waiters, 1, memory_order_release);
}

void mfi_event_notify(mfi_event *e, uint32_t n)
{
    /* C2, seq_cst: pairs with W1 in mfi_event_prepare. */
    if (atomic_load_explicit(&e->waiters, memory_order_seq_cst) == 0)
        return;
    atomic_fetch_add_explicit(&e->epoch, 1, memory_order_seq_cst);
    mfi_futex_wake(&e->epoch, n);
}
