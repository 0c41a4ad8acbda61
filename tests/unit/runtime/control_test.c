/* Calls that run here, their deadlines and who tells their outcome: ticked by hand. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/control.h>
#include <mageflow/stats.h>

#include "bench.h"

static bench b;
static mfi_task task;
static mf_delivery delivery;
static mfi_running running;

static void init(void)
{
    cr_assert(bench_open(&b));
    task = (mfi_task){.def = {.name = "task"}};
    delivery = (mf_delivery){.id = MF_STR_LIT("7"), .task = MF_STR_LIT("task"), .attempt = 1};
    memset(&running, 0, sizeof running);
    running.task = &task;
    running.call.client = b.client;
    running.call.delivery = &delivery;
    running.deadline_ns = INT64_MAX;
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(runtime_control, .init = init, .fini = fini);

static unsigned stop_of(const mfi_running *r)
{
    return atomic_load(&r->call.stop);
}

/* A deadline on the bench's clock; the keeper is asleep or acts for us, which is the same. */
static void enter(mf_duration timeout)
{
    if (timeout > 0)
        running.deadline_ns = b.clock.monotonic_ns(&b) + timeout;
    mfi_control_enter(b.client, &running);
}

Test(runtime_control, a_call_without_a_timeout_is_left_alone)
{
    enter(0);
    cr_assert(eq(i64, mfi_control_tick(b.client, INT64_MAX - 1), INT64_MAX));
    cr_assert(eq(uint, stop_of(&running), 0));
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_control, out_of_time_it_is_asked_to_stop_and_has_its_grace)
{
    enter(mf_seconds(1000));
    int64_t deadline = running.deadline_ns;
    cr_assert(eq(i64, mfi_control_tick(b.client, deadline - 1), deadline));
    cr_assert(eq(uint, stop_of(&running), 0));
    cr_assert(eq(i64, mfi_control_tick(b.client, deadline), deadline + mf_seconds(3)));
    cr_assert(eq(uint, stop_of(&running), MFI_STOP_TIMEOUT));
    cr_assert(mfi_control_leave(b.client, &running), "it returned within its grace: the outcome is its own");
    cr_assert(eq(uint, atomic_load(&b.mute.settled), 0));
}

Test(runtime_control, past_its_grace_its_outcome_is_told_and_its_thread_replaced)
{
    enter(mf_seconds(1000));
    int64_t deadline = running.deadline_ns;
    mfi_control_tick(b.client, deadline);
    cr_assert(eq(i64, mfi_control_tick(b.client, deadline + mf_seconds(3)), INT64_MAX));
    cr_assert(eq(uint, atomic_load(&b.mute.settled), 1));
    cr_assert(eq(int, atomic_load(&b.mute.last_status), MF_STATUS_FAILED));
    cr_assert(eq(uint, atomic_load(&b.mute.replaced), 1));
    cr_assert(not(mfi_control_leave(b.client, &running)), "the outcome was told already");
    cr_assert(eq(uint, atomic_load(&b.mute.restored), 1));
    mfi_control_tick(b.client, deadline + mf_seconds(10));
    cr_assert(eq(uint, atomic_load(&b.mute.settled), 1));
}

Test(runtime_control, more_time_moves_the_deadline_from_now)
{
    enter(mf_seconds(1000));
    bench_turn_clock(&b, mf_seconds(900));
    int64_t now = b.clock.monotonic_ns(&b);
    cr_assert(eq(int, mfi_control_refresh(b.client, &running.call, mf_seconds(500)), MF_OK));
    cr_assert(ge(i64, running.deadline_ns, now + mf_seconds(500)));
    cr_assert(eq(i64, mfi_control_tick(b.client, now + mf_seconds(200)), running.deadline_ns));
    cr_assert(eq(uint, stop_of(&running), 0));
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_control, more_time_comes_too_late_when_it_is_over)
{
    enter(mf_seconds(1000));
    mfi_control_tick(b.client, running.deadline_ns);
    cr_assert(eq(int, mfi_control_refresh(b.client, &running.call, mf_seconds(5)), MF_E_STATE));
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_control, a_stop_by_id_is_for_that_call_alone)
{
    mfi_running other = running;
    mf_delivery another = delivery;
    another.id = MF_STR_LIT("8");
    other.call.delivery = &another;
    mfi_control_enter(b.client, &other);
    enter(0);
    mfi_control_stop_id(b.client, MF_STR_LIT("8"));
    cr_assert(eq(uint, stop_of(&other), MFI_STOP_CANCEL));
    cr_assert(eq(uint, stop_of(&running), 0));
    cr_assert(mfi_control_leave(b.client, &running));
    cr_assert(mfi_control_leave(b.client, &other));
}

Test(runtime_control, closing_stops_what_runs_and_what_begins_later)
{
    mfi_running later = running;
    enter(0);
    mfi_control_close(b.client);
    cr_assert(eq(uint, stop_of(&running), MFI_STOP_CLOSING));
    mfi_control_enter(b.client, &later);
    cr_assert(eq(uint, stop_of(&later), MFI_STOP_CLOSING));
    cr_assert(mfi_control_leave(b.client, &later));
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_control, a_stop_between_claim_and_call_is_noticed)
{
    mf_key key = bench_key(MF_KIND_TASK, 1);
    delivery.unit.key = key;
    cr_assert(eq(int, bench_put(&b, bench_spec(&b, MF_KIND_TASK, "task", 1), &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK));
    running.mark = b.mute.host->ops->mark(b.mute.host);
    enter(0);
    cr_assert(not(mfi_control_overtaken(b.client, &running)));
    cr_assert(mfi_control_leave(b.client, &running));
    mf_error err;
    cr_assert(eq(int, mf_cancel(b.client, &key, &err), MF_OK));
    running.owner = MFI_CALL_RUNNING;
    enter(0);
    cr_assert(mfi_control_overtaken(b.client, &running));
    cr_assert(mfi_control_leave(b.client, &running));
}

Test(runtime_control, a_stop_elsewhere_overtakes_nobody)
{
    mf_key key = bench_key(MF_KIND_TASK, 1), other = bench_key(MF_KIND_TASK, 2);
    delivery.unit.key = other;
    cr_assert(eq(int, bench_put(&b, bench_spec(&b, MF_KIND_TASK, "task", 1), &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK));
    cr_assert(eq(int, bench_put(&b, bench_spec(&b, MF_KIND_TASK, "task", 2), &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK));
    running.mark = b.mute.host->ops->mark(b.mute.host);
    mf_error err;
    cr_assert(eq(int, mf_cancel(b.client, &key, &err), MF_OK));
    enter(0);
    cr_assert(not(mfi_control_overtaken(b.client, &running)));
    cr_assert(mfi_control_leave(b.client, &running));
}

/* ---- health: the first trouble that holds --------------------------------------------------------------------------- */

static mf_health health(unsigned threads)
{
    mf_health h = {.struct_size = sizeof h};
    b.mute.health.threads = threads;
    cr_assert(eq(int, mf_health_read(b.client, &h), MF_OK));
    return h;
}

static void serve_on_a_link(void)
{
    atomic_store(&b.client->serves, true);
    b.mute.health.link.connected = true;
}

static void stop_serving(void)
{
    atomic_store(&b.client->serves, false);
}

Test(runtime_control, a_link_that_is_lost_or_deaf_is_a_trouble_and_has_its_reason)
{
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NOT_SERVING));
    serve_on_a_link();
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NONE));
    b.mute.health.deaf = true;
    strcpy(b.mute.health.link.last_error, "queue: no permission");
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_MANAGER));
    cr_assert(eq(str, health(1).text, "the task manager: nothing can be read: queue: no permission"));
    b.mute.health.link.connected = false;
    cr_assert(eq(str, health(1).text, "the task manager: not connected: queue: no permission"));
    stop_serving();
}

Test(runtime_control, calls_that_ignore_their_timeout_on_every_thread_are_a_trouble)
{
    serve_on_a_link();
    enter(mf_seconds(1000));
    int64_t deadline = running.deadline_ns;
    mfi_control_tick(b.client, deadline);
    cr_assert(eq(uint, health(1).stuck, 0));
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NONE));
    mfi_control_tick(b.client, deadline + mf_seconds(3));
    cr_assert(eq(uint, health(1).stuck, 1));
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_STUCK));
    cr_assert(eq(int, health(2).trouble, MF_TROUBLE_NONE), "the other one takes work");
    b.mute.health.replaced = 1;
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NONE), "so does one in its place");
    cr_assert(not(mfi_control_leave(b.client, &running)));
    cr_assert(eq(uint, health(1).stuck, 0));
    stop_serving();
}

Test(runtime_control, threads_that_are_all_in_calls_for_a_minute_take_no_work)
{
    serve_on_a_link();
    enter(0);
    bench_turn_clock(&b, mf_minutes(10));
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NONE), "it was not measured: nobody knows");
    atomic_store(&running.began_ns, b.clock.monotonic_ns(&b));
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_NONE));
    bench_turn_clock(&b, mf_seconds(61));
    cr_assert(eq(int, health(1).trouble, MF_TROUBLE_BUSY));
    cr_assert(eq(int, health(2).trouble, MF_TROUBLE_NONE));
    cr_assert(mfi_control_leave(b.client, &running));
    stop_serving();
}
