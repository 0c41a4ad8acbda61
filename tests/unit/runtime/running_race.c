/* Calls begin and end without a lock while others look at them: what is seen has not ended, and what is not seen has seen what was
 * written before. */
#include "atomics.h"
#include "bench.h"
#include "scenario.h"

#include <sched.h>

enum { THREADS = 3, LOOKS = 20000, ALIVE = 4711, CLOSINGS = 1000, CLOSING_SPREAD = 100 };

static bench b;
static atomic_bool over;

static void begin(mfi_running *running, mf_delivery *d)
{
    memset(running, 0, offsetof(mfi_running, durable.event));
    running->call.delivery = d;
    running->deadline_ns = INT64_MAX;
    mfi_control_enter(b.client, running);
}

/* Whoever still looks at a call that has ended finds it dead. */
static void end(mfi_running *running, mf_delivery *d)
{
    CHECK(mfi_control_leave(b.client, running));
    d->attempt = 0;
}

static void *calls(void *arg)
{
    (void)arg;
    for (long i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) {
        mf_delivery outer = {.attempt = ALIVE}, inner = {.attempt = ALIVE};
        mfi_running below, above;
        begin(&below, &outer);
        if (i % 4 == 0) {       /* a call that waits, and helps */
            begin(&above, &inner);
            end(&above, &inner);
        }
        end(&below, &outer);
    }
    return NULL;
}

static void what_is_looked_at_does_not_end(void)
{
    pthread_t threads[THREADS];
    long looks = scenario_rounds(LOOKS);
    CHECK(bench_open(&b));
    atomic_store(&over, false);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, calls, NULL), 0);
    for (long seen = 0; seen < looks;) {
        mfi_running_look(b.client);
        MFI_EACH_RUNNING (b.client, r) {
            for (int times = 0; times < 20; times++)
                CHECK_EQ(((const volatile mf_delivery *)r->call.delivery)->attempt, ALIVE);
            seen++;
        }
        mfi_running_looked(b.client);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(mfi_running_first(b.client) == NULL);
    CHECK(bench_close(&b));
}

static void *waits_for_the_closing(void *arg)
{
    mf_delivery d = {.attempt = ALIVE};
    mfi_running running;
    (void)arg;
    begin(&running, &d);
    while ((atomic_load(&running.call.stop) & MFI_STOP_CLOSING) == 0)
        sched_yield();
    end(&running, &d);
    return NULL;
}

/* A while, another one each round, in which the calls begin, or some of them. Not by many yields: each of those may cost the turns of
 * everything else that the machine does. */
static void let_some_begin(long round)
{
    for (long i = 0; i < round % CLOSING_SPREAD * 50; i++)
        mfi_pause();
    if (round % 4 == 0)
        sched_yield();
}

/* One that nobody tells goes on for ever. */
static void a_closing_reaches_each_call(void)
{
    long rounds = scenario_rounds(CLOSINGS);
    CHECK(bench_open(&b));
    for (long round = 0; round < rounds; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, waits_for_the_closing, NULL), 0);
        let_some_begin(round);
        mfi_control_close(b.client);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        atomic_store(&b.client->control.closing, false);
    }
    CHECK(bench_close(&b));
}

const scenario scenarios[] = {
    {"what_is_looked_at_does_not_end", what_is_looked_at_does_not_end},
    {"a_closing_reaches_each_call", a_closing_reaches_each_call},
    {NULL, NULL},
};
