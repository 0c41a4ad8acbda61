#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "event.h"

#include <pthread.h>

Test(sync_event, a_notification_after_prepare_is_not_slept_through)
{
    mfi_event e;
    mfi_event_init(&e);
    uint32_t prepared = mfi_event_prepare(&e);
    mfi_event_notify(&e, 1);
    cr_assert(mfi_event_wait(&e, prepared, INT64_MAX));
    mfi_event_finish(&e);
}

Test(sync_event, nobody_waiting_leaves_the_epoch_alone)
{
    mfi_event e;
    mfi_event_init(&e);
    mfi_event_notify(&e, UINT32_MAX);
    cr_assert(eq(u32, mfi_event_prepare(&e), 0));
    mfi_event_finish(&e);
}

Test(sync_event, a_deadline_ends_the_wait)
{
    mfi_event e;
    mfi_event_init(&e);
    uint32_t prepared = mfi_event_prepare(&e);
    cr_assert(not(mfi_event_wait(&e, prepared, 1)));
    mfi_event_finish(&e);
}

static mfi_event changed;
static _Atomic int value;

static void *wait_for_value(void *want)
{
    for (bool there = false; !there; ) {
        uint32_t prepared = mfi_event_prepare(&changed);
        there = atomic_load_explicit(&value, memory_order_seq_cst) >= (int)(intptr_t)want;
        if (!there)
            mfi_event_wait(&changed, prepared, INT64_MAX);
        mfi_event_finish(&changed);
    }
    return NULL;
}

Test(sync_event, all_waiters_get_through)
{
    pthread_t waiters[8];
    mfi_event_init(&changed);
    for (intptr_t i = 0; i < 8; i++)
        cr_assert(zero(int, pthread_create(&waiters[i], NULL, wait_for_value, (void *)(i * 500))));
    for (int i = 0; i < 8 * 500; i++) {
        atomic_fetch_add_explicit(&value, 1, memory_order_seq_cst);
        mfi_event_notify(&changed, UINT32_MAX);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(waiters[i], NULL);
}
