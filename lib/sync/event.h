/* sync/event.h: wait for a condition that others make true, at no cost to them while nobody waits.
 *
 *    waiter                                        changer
 *    W1  waiters += 1; remember the epoch          C1  make the condition true
 *    W2  look at the condition; true: done         C2  read waiters; 0: done
 *    W3  sleep while the epoch is the same         C3  epoch += 1, wake
 *
 * Invariant  C2 sees the waiter, or W2 sees the condition, or both; never neither.
 * Why        each side writes one word, then reads the other's. C1, C2, W1 and W2 must be seq_cst: under acquire and
 *            release both reads may return the old value and the waiter sleeps for ever. W1 and C2 are so here, C1 and
 *            W2 are the user's to make so. Between C2 and W3 the epoch keeps the wake from being lost.
 * Checked    tests/model/event.pml, tests/stress/event
 */
#ifndef MFI_EVENT_H
#define MFI_EVENT_H

#include "atomics.h"

typedef struct mfi_event {
    _Atomic uint32_t epoch;        /* A  changes with each notification that found a waiter; the futex word */
    _Atomic uint32_t waiters;      /* A  threads between prepare and finish */
} mfi_event;

void mfi_event_init(mfi_event *e);

/** W1. Returns what mfi_event_wait wants to know. Must be followed by mfi_event_finish. */
uint32_t mfi_event_prepare(mfi_event *e);
/** W3. False: CLOCK_MONOTONIC reached deadline_ns (INT64_MAX: never). True says only: look again, from prepare on. */
bool mfi_event_wait(mfi_event *e, uint32_t prepared, int64_t deadline_ns);
void mfi_event_finish(mfi_event *e);

/** C2 and C3, for n of the waiters (UINT32_MAX: all). Any thread, after a seq_cst change of the condition. */
void mfi_event_notify(mfi_event *e, uint32_t n);

#endif
