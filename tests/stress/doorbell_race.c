/* The parking protocols under load: no job is left with everybody asleep. A lost wake-up hangs, and the alarm ends it. */
#include "scenario.h"

#include "barrier.h"
#include "doorbell.h"
#include "event.h"
#include "lanes.h"
#include "ring.h"

#include <pthread.h>
#include <sched.h>

enum { WORKERS = 4, SUBMITTERS = 2 };

static mfi_doorbell bell;
static mfi_ring ring;
static mfi_lanes lanes;
static bool in_lanes;      /* which of the two is used */
static mfi_sleeper sleepers[WORKERS];
static atomic_bool ending;
static atomic_long submitted, done;
static int64_t began_s;

static bool nothing_there(void)
{
    return in_lanes ? mfi_lanes_empty(&lanes) : mfi_ring_empty(&ring);
}

static bool take(mfi_popper *popper)
{
    mfi_item job;
    return in_lanes ? mfi_lanes_pop(&lanes, popper, &job, 1, 1) == 1 : mfi_ring_pop(&ring, &job);
}

static void found(void)
{
    if (mfi_doorbell_found(&bell) && !nothing_there())
        mfi_doorbell_ring(&bell);
}

/* The idle loop of the pool at its barest: no spinning, so that each job meets workers about to sleep. */
static void *worker(void *arg)
{
    mfi_sleeper *self = arg;
    bool searching = false;
    mfi_popper popper = {0};
    CHECK(!in_lanes || mfi_popper_init(&popper, &lanes));
    while (!atomic_load_explicit(&ending, memory_order_seq_cst)) {
        if (take(&popper)) {
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
        if (!nothing_there() || atomic_load_explicit(&ending, memory_order_seq_cst)) {
            mfi_doorbell_get_up(&bell, self);
            searching = true;
        } else {
            searching = mfi_doorbell_sleep(&bell, self, INT64_MAX) == MFI_WAKE_RUNG;
        }
    }
    if (searching)
        mfi_doorbell_found(&bell);
    mfi_popper_fini(&popper);
    return NULL;
}

static void submit(void)
{
    mfi_item job = {{1, 2, 3}};
    while ((in_lanes ? mfi_lanes_push(&lanes, NULL, &job, 1) : mfi_ring_push(&ring, &job, 1)) == 0)
        sched_yield();
    mfi_doorbell_ring(&bell);
}

/* Each job is awaited before the next is submitted: whoever misses one stands still. */
static void *submitter(void *arg)
{
    long rounds = scenario_rounds(20000);
    for (long i = 0; i < rounds && !scenario_is_enough(began_s); i++) {
        long before = atomic_load_explicit(&done, memory_order_acquire);
        submit();
        atomic_fetch_add_explicit(&submitted, 1, memory_order_relaxed);
        if (i % 3 == 0)
            while (atomic_load_explicit(&done, memory_order_acquire) == before)
                sched_yield();
    }
    return arg;
}

static void no_job_is_left(bool lanes_used)
{
    pthread_t workers[WORKERS], submitters[SUBMITTERS];
    CHECK(mfi_doorbell_init(&bell));
    CHECK(mfi_ring_init(&ring, NULL, 64, 0));
    CHECK(mfi_lanes_init(&lanes, NULL, 0, WORKERS));
    in_lanes = lanes_used;
    atomic_store(&ending, false);
    atomic_store(&submitted, 0);
    atomic_store(&done, 0);
    began_s = scenario_now_s();
    for (int i = 0; i < WORKERS; i++) {
        mfi_sleeper_init(&sleepers[i]);
        CHECK_EQ(pthread_create(&workers[i], NULL, worker, &sleepers[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(pthread_create(&submitters[i], NULL, submitter, NULL), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    while (atomic_load_explicit(&done, memory_order_acquire) < atomic_load_explicit(&submitted, memory_order_relaxed))
        sched_yield();
    atomic_store_explicit(&ending, true, memory_order_seq_cst);
    mfi_doorbell_call_all(&bell);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK_EQ(atomic_load_explicit(&bell.counts, memory_order_relaxed), 0);
    mfi_doorbell_fini(&bell);
    mfi_ring_fini(&ring);
    mfi_lanes_fini(&lanes);
}

static void no_job_is_left_in_a_ring(void)
{
    no_job_is_left(false);
}

/* Their pushes leave the barrier to whoever goes to sleep. */
static void no_job_is_left_in_lanes(void)
{
    no_job_is_left(true);
}

/* Where the system has no such barrier. The last one: there is no way back. */
static void no_job_is_left_without_the_barrier(void)
{
    mfi_barrier_forgo();
    no_job_is_left(true);
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

/* ---- the barrier by itself ------------------------------------------------------------------------------------------ */

static struct {
    _Atomic uint64_t often;
    MFI_APART(apart);
    _Atomic uint64_t rarely;
    MFI_APART(apart_too);
} words;
static atomic_long round_at[2], last_round;
static bool seen_by[2];

/* Both at once, as far as two threads can. */
static void meet(int me, long round)
{
    atomic_store_explicit(&round_at[me], round, memory_order_seq_cst);
    for (int i = 0; atomic_load_explicit(&round_at[1 - me], memory_order_seq_cst) < round; i++)
        if (i % 64 == 63)
            sched_yield();
}

static void *writes_often(void *arg)
{
    for (long round = 1; round <= atomic_load_explicit(&last_round, memory_order_seq_cst); round++) {
        meet(0, 2 * round);
        mfi_publish(&words.often, (uint64_t)round);
        seen_by[0] = atomic_load_explicit(&words.rarely, memory_order_seq_cst) == (uint64_t)round;
        meet(0, 2 * round + 1);
    }
    return arg;
}

static void nobody_misses_the_other(void)
{
    pthread_t thread;
    bool enough = false;
    mfi_barrier_init();
    began_s = scenario_now_s();
    atomic_store_explicit(&last_round, scenario_rounds(20000), memory_order_seq_cst);
    CHECK_EQ(pthread_create(&thread, NULL, writes_often, NULL), 0);
    for (long round = 1; round <= atomic_load_explicit(&last_round, memory_order_seq_cst); round++) {
        if (!enough && (enough = scenario_is_enough(began_s)))
            atomic_store_explicit(&last_round, round, memory_order_seq_cst);
        meet(1, 2 * round);
        atomic_store_explicit(&words.rarely, (uint64_t)round, memory_order_seq_cst);
        mfi_barrier_everywhere();
        seen_by[1] = atomic_load_explicit(&words.often, memory_order_seq_cst) == (uint64_t)round;
        meet(1, 2 * round + 1);
        CHECK(seen_by[0] || seen_by[1]);
    }
    pthread_join(thread, NULL);
}

const scenario scenarios[] = {
    {"of a write with the barrier and one without each sees the other's, or is seen", nobody_misses_the_other},
    {"no job is left in a ring with everybody asleep", no_job_is_left_in_a_ring},
    {"no job is left in lanes with everybody asleep", no_job_is_left_in_lanes},
    {"no waiter sleeps through its event", no_turn_is_missed},
    {"no job is left where the system has no barrier", no_job_is_left_without_the_barrier},
    {NULL, NULL},
};
