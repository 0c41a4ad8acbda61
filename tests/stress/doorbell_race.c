/* The parking protocols under load: no job is left with everybody asleep. A lost wake-up hangs, and the alarm ends it. */
#include "scenario.h"

#include "doorbell.h"
#include "event.h"
#include "ring.h"

#include <pthread.h>
#include <sched.h>

enum { WORKERS = 4, SUBMITTERS = 2 };

static mfi_doorbell bell;
static mfi_ring ring;
static mfi_sleeper sleepers[WORKERS];
static atomic_bool ending;
static atomic_long done;

static void found(void)
{
    if (mfi_doorbell_found(&bell) && !mfi_ring_empty(&ring))
        mfi_doorbell_ring(&bell);
}

/* The idle loop of the pool at its barest: no spinning, so that each job meets workers about to sleep. */
static void *worker(void *arg)
{
    mfi_sleeper *self = arg;
    bool searching = false;
    while (!atomic_load_explicit(&ending, memory_order_seq_cst)) {
        mfi_item job;
        if (mfi_ring_pop(&ring, &job)) {
            if (searching)
                found();
            searching = false;
            atomic_fetch_add_explicit(&done, 1, memory_order_release);
            continue;
        }
        if (!searching && mfi_doorbell_search(&bell, WORKERS)) {
            searching = true;
            continue;
        }
        mfi_doorbell_lie_down(&bell, self, searching, false);
        if (!mfi_ring_empty(&ring) || atomic_load_explicit(&ending, memory_order_seq_cst)) {
            mfi_doorbell_get_up(&bell, self);
            searching = true;
        } else {
            searching = mfi_doorbell_sleep(&bell, self, INT64_MAX) == MFI_WAKE_RUNG;
        }
    }
    if (searching)
        mfi_doorbell_found(&bell);
    return NULL;
}

static void submit(void)
{
    mfi_item job = {{1, 2, 3}};
    while (mfi_ring_push(&ring, &job, 1) == 0)
        sched_yield();
    mfi_doorbell_ring(&bell);
}

/* Each job is awaited before the next is submitted: whoever misses one stands still. */
static void *submitter(void *arg)
{
    long rounds = scenario_rounds(20000);
    for (long i = 0; i < rounds; i++) {
        long before = atomic_load_explicit(&done, memory_order_acquire);
        submit();
        if (i % 3 == 0)
            while (atomic_load_explicit(&done, memory_order_acquire) == before)
                sched_yield();
    }
    return arg;
}

static void no_job_is_left(void)
{
    pthread_t workers[WORKERS], submitters[SUBMITTERS];
    CHECK(mfi_doorbell_init(&bell));
    CHECK(mfi_ring_init(&ring, NULL, 64, 0));
    for (int i = 0; i < WORKERS; i++) {
        mfi_sleeper_init(&sleepers[i]);
        CHECK_EQ(pthread_create(&workers[i], NULL, worker, &sleepers[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(pthread_create(&submitters[i], NULL, submitter, NULL), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    while (atomic_load_explicit(&done, memory_order_acquire) < scenario_rounds(20000) * SUBMITTERS)
        sched_yield();
    atomic_store_explicit(&ending, true, memory_order_seq_cst);
    mfi_doorbell_call_all(&bell);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK_EQ(atomic_load_explicit(&bell.counts, memory_order_relaxed), 0);
    mfi_doorbell_fini(&bell);
    mfi_ring_fini(&ring);
}

/* ---- events --------------------------------------------------------------------------------------------------- */

static mfi_event event;
static _Atomic long turn;

/* Takes its turns, every THREADS-th, and sleeps in between. */
static void *taker(void *arg)
{
    long rounds = scenario_rounds(20000);
    for (long mine = (intptr_t)arg; mine < rounds * WORKERS; mine += WORKERS) {
        for (;;) {
            uint32_t prepared = mfi_event_prepare(&event);
            bool is_mine = atomic_load_explicit(&turn, memory_order_seq_cst) == mine;
            if (!is_mine)
                mfi_event_wait(&event, prepared, INT64_MAX);
            mfi_event_finish(&event);
            if (is_mine)
                break;
        }
        atomic_store_explicit(&turn, mine + 1, memory_order_seq_cst);
        mfi_event_notify(&event, UINT32_MAX);
    }
    return NULL;
}

static void no_turn_is_missed(void)
{
    pthread_t takers[WORKERS];
    mfi_event_init(&event);
    for (intptr_t i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&takers[i], NULL, taker, (void *)i), 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(takers[i], NULL);
    CHECK_EQ(turn, scenario_rounds(20000) * WORKERS);
}

const scenario scenarios[] = {
    {"no job is left with everybody asleep", no_job_is_left},
    {"no waiter sleeps through its event", no_turn_is_missed},
    {NULL, NULL},
};
