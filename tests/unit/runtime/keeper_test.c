/* The keeper's thread: begun by the first thing to wait for, awake when it is due and at no other time. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "bench.h"

#include <sched.h>

static bench b;

static void init(void)
{
    cr_assert(bench_open(&b));
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(runtime_keeper, .init = init, .fini = fini, .timeout = 60);

static bool started(void)
{
    pthread_mutex_lock(&b.client->keeper.lock);
    bool is = b.client->keeper.started;
    pthread_mutex_unlock(&b.client->keeper.lock);
    return is;
}

static void wait_dues(unsigned n)
{
    while (atomic_load(&b.mute.dues) < n)
        sched_yield();
}

static void send_delayed(mf_duration delay)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_TASK, "task", 0);
    mf_entry entry = {.spec = spec, .attempt = 1, .due_ms = mf_store_now_ms(b.store) + delay / 1000000};
    mf_refusal refusal;
    cr_assert(eq(int, mf_store_commit(b.store, &(mf_batch){.entries = &entry, .entry_count = 1}, &refusal, NULL), MF_OK));
    mf_spec_unref(spec);
}

Test(runtime_keeper, an_idle_client_has_no_such_thread)
{
    cr_assert(not(started()));
}

Test(runtime_keeper, a_delayed_message_is_looked_for_when_it_is_due_and_not_before)
{
    send_delayed(mf_minutes(10));
    cr_assert(started());
    mfi_keeper_look(b.client);
    cr_assert(eq(uint, atomic_load(&b.mute.dues), 0));
    bench_turn_clock(&b, mf_minutes(11));
    mfi_keeper_look(b.client);
    wait_dues(1);
}

Test(runtime_keeper, the_earlier_of_two_comes_first)
{
    send_delayed(mf_minutes(30));
    send_delayed(mf_minutes(10));
    bench_turn_clock(&b, mf_minutes(11));
    mfi_keeper_look(b.client);
    wait_dues(1);
}

Test(runtime_keeper, it_wakes_by_itself)
{
    send_delayed(mf_milliseconds(20));
    wait_dues(1);
}

Test(runtime_keeper, a_timeout_wakes_it)
{
    mfi_task task = {.def = {.name = "task"}};
    mf_delivery delivery = {.id = MF_STR_LIT("7"), .task = MF_STR_LIT("task"), .attempt = 1};
    mfi_running running;
    memset(&running, 0, sizeof running);
    running.task = &task;
    running.call.client = b.client;
    running.call.delivery = &delivery;
    running.deadline_ns = b.clock.monotonic_ns(&b) + mf_milliseconds(5);
    mfi_control_enter(b.client, &running);
    cr_assert(started());
    while ((atomic_load(&running.call.stop) & MFI_STOP_TIMEOUT) == 0)
        sched_yield();
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_keeper, it_stops_while_it_waits)
{
    send_delayed(mf_minutes(100));
    cr_assert(started());       /* and fini joins it */
}
