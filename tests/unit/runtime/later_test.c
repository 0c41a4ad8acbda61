/* Results that wait to be committed together: what they wait for, and that they do not wait for long. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "bench.h"
#include "mailbox.h"

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

TestSuite(runtime_later, .init = init, .fini = fini, .timeout = 60);

/* A swarm of which that many items run, and no others will come. */
static mf_key put_swarm(unsigned n, uint64_t running)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "many", n);
    spec->max_concurrency = (uint32_t)running;
    mf_state state = {.status = MF_STATUS_ACTIVE, .closed = true, .total = running, .next = running, .running = running};
    cr_assert(eq(int, bench_put(&b, spec, &state), MF_OK));
    return bench_key(MF_KIND_SWARM, n);
}

static void keep_back(const mf_key *key, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        cr_assert(mfi_dispatch_later(b.client, key, i, 0, mf_message_nil()));
}

static mf_state state_of(const mf_key *key)
{
    mf_record record = {0};
    cr_assert(eq(int, mf_store_load(b.store, key, 1, &record, NULL), MF_OK));
    mf_state state = record.state;      /* its numbers alone are looked at */
    mf_record_release(&record);
    return state;
}

/* From here on nobody but the test looks at what waits. */
static void without_keeper(void)
{
    mfi_keeper_stop(b.client);
}

Test(runtime_later, what_waited_is_one_commit)
{
    without_keeper();
    mf_key key = put_swarm(1, 10);
    uint64_t version = state_of(&key).version;
    keep_back(&key, 0, 10);
    cr_assert(zero(u64, state_of(&key).done));
    mfi_dispatch_flush(b.client);
    cr_assert(zero(uint, atomic_load(&b.client->dispatcher.later_count)));
    cr_assert(eq(u64, state_of(&key).done, 10));
    cr_assert(eq(u64, state_of(&key).version, version + 1));
}

Test(runtime_later, each_record_gets_its_own_in_one_commit)
{
    without_keeper();
    mf_key first = put_swarm(1, 6), second = put_swarm(2, 4);
    for (uint64_t i = 0; i < 4; i++) {
        keep_back(&first, i, i + 1);
        keep_back(&second, i, i + 1);
    }
    keep_back(&first, 4, 6);
    mfi_dispatch_flush(b.client);
    mf_state one = state_of(&first), other = state_of(&second);
    cr_assert(eq(u64, one.done, 6));
    cr_assert(eq(u64, one.version, 1));
    cr_assert(eq(u64, other.done, 4));
    cr_assert(eq(u64, other.version, 1));
}

Test(runtime_later, another_event_of_the_record_takes_it_along)
{
    without_keeper();
    mf_key key = put_swarm(1, 10), other = put_swarm(2, 10);
    keep_back(&key, 0, 5);
    keep_back(&other, 0, 3);
    mfi_flow_event suspend = {.kind = MFI_EV_SUSPEND};
    cr_assert(eq(int, mfi_dispatch_wait(b.client, &key, &suspend, false), MF_OK));
    mf_state state = state_of(&key);
    cr_assert(eq(u64, state.done, 5), "what came before the verb counts before it");
    cr_assert(eq(int, state.status, MF_STATUS_SUSPENDED));
    cr_assert(zero(u64, state_of(&other).done));
    mfi_dispatch_flush(b.client);
    cr_assert(eq(u64, state_of(&other).done, 3));
}

Test(runtime_later, there_is_room_for_so_many_and_the_next_one_is_not_kept)
{
    without_keeper();
    mf_key key = put_swarm(1, MFI_LATER_MAX + 1);
    keep_back(&key, 0, MFI_LATER_MAX);
    cr_assert(not(mfi_dispatch_later(b.client, &key, MFI_LATER_MAX, 0, NULL)));
    mfi_flow_event last = {.kind = MFI_EV_ITEM_DONE, .index = MFI_LATER_MAX};
    mfi_dispatch(b.client, &key, &last, false, NULL);
    cr_assert(eq(u64, state_of(&key).done, MFI_LATER_MAX + 1), "it goes the usual way, and the others with it");
}

Test(runtime_later, a_result_of_a_record_that_is_gone_is_forgotten)
{
    without_keeper();
    mf_key key = bench_key(MF_KIND_SWARM, 1);
    keep_back(&key, 0, 3);
    mfi_dispatch_flush(b.client);
    cr_assert(zero(uint, atomic_load(&b.client->dispatcher.later_count)));
    cr_assert(zero(uint, b.client->dispatcher.count), "nor is its mailbox kept");
}

static void count_ready(void *user, size_t n)
{
    atomic_fetch_add((atomic_size_t *)user, n);
}

/* The last result completes the swarm, whose end is then asked for by a message. */
Test(runtime_later, what_nobody_flushes_the_keeper_commits_again_and_again)
{
    atomic_size_t ready = 0;
    cr_assert(eq(int, mf_store_watch_start(b.store, &(mf_store_watch){.ready = count_ready, .user = &ready}), MF_OK));
    for (unsigned n = 1; n <= 3; n++) {
        mf_key key = put_swarm(n, 2);
        keep_back(&key, 0, 2);
        while (atomic_load(&ready) < n)
            sched_yield();
        cr_assert(eq(u64, state_of(&key).done, 2));
        while (n == 2 && atomic_load(&b.client->keeper.gathers))    /* it has lain down: the third round wakes it anew */
            sched_yield();
    }
    mf_store_watch_stop(b.store, &ready);
}
