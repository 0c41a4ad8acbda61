/* What the dispatcher keeps between events. Who meets whom in it is dispatcher_race.c's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "bench.h"
#include "mailbox.h"

#include <mageflow/control.h>

#include <pthread.h>
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

TestSuite(runtime_dispatcher, .init = init, .fini = fini);

/* Its items, if it has any, are all published at once. */
static void put_swarm(unsigned n, uint32_t items)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "many", n);
    spec->max_concurrency = items > 0 ? items : 1;
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){.status = MF_STATUS_ACTIVE, .total = items}), MF_OK));
}

/* As the swarm's own message does: look for items that can be published. */
static void fill(unsigned n)
{
    mf_key key = bench_key(MF_KIND_SWARM, n);
    cr_assert(eq(int, mfi_dispatch_wait(b.client, &key, &(mfi_flow_event){.kind = MFI_EV_FILL}, false), MF_OK));
}

static size_t desks(void)
{
    size_t n = 0;
    for (const struct mfi_desk *desk = b.client->dispatcher.desks; desk != NULL; desk = desk->next)
        n++;
    return n;
}

Test(runtime_dispatcher, records_that_wait_share_the_plan_of_the_thread_that_served_them)
{
    enum { SWARMS = 20 };
    for (unsigned n = 1; n <= SWARMS; n++) {
        put_swarm(n, 0);
        fill(n);
    }
    cr_assert(eq(uint, b.client->dispatcher.count, SWARMS), "each has a mailbox");
    cr_assert(eq(sz, desks(), 1));
    long calls = atomic_load(&b.counting.calls);
    for (unsigned n = 1; n <= SWARMS; n++)
        fill(n);
    fill(1);
    cr_assert(le(long, atomic_load(&b.counting.calls) - calls, SWARMS), "at most each mailbox's second list of events");
}

Test(runtime_dispatcher, the_room_of_a_very_large_plan_is_given_back)
{
    enum { ITEMS = 5000 };
    put_swarm(1, ITEMS);
    mf_key key = bench_key(MF_KIND_SWARM, 1);
    mf_spec *call = bench_spec(&b, MF_KIND_TASK, "work", 0);
    mf_item *items = calloc(ITEMS, sizeof *items);
    for (size_t i = 0; i < ITEMS; i++)
        items[i].spec = call;
    mf_batch batch = {.key = key, .items = items, .item_count = ITEMS};
    cr_assert(eq(int, mf_store_commit(b.store, &batch, NULL, NULL), MF_OK));
    free(items);
    mf_spec_unref(call);

    mf_record record = {0};
    fill(1);
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, NULL), MF_OK));
    cr_assert(eq(u64, record.state.next, ITEMS), "one commit published them all");
    mf_record_release(&record);
    cr_assert(eq(sz, desks(), 1));
    cr_assert(zero(sz, b.client->dispatcher.desks->plan.entry_capacity));
}

/* ---- a swarm's end and its last outcome in one batch ---------------------------------------------------------------- */

static void post(const mf_key *key, mfi_flow_event event)
{
    mfi_dispatch(b.client, key, &event, false, NULL);
}

static void lock(const mf_key *key, mfi_flow_event_kind kind)
{
    mfi_flow_event event = {.kind = kind, .lock = 7, .until_ms = mf_store_now_ms(b.store) + 600000};
    cr_assert(eq(int, mfi_dispatch_wait(b.client, key, &event, false), MF_OK));
}

/* A message that asks for the end comes twice, and late, where a manager delivers so. */
Test(runtime_dispatcher, an_end_that_comes_with_the_last_outcome_does_not_miss_it)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "pair", 1);
    mf_key key = spec->key;
    spec->max_concurrency = 2;
    spec->container = bench_key(MF_KIND_CHAIN, 2);      /* which receives the list */
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){.status = MF_STATUS_ACTIVE, .closed = true, .total = 2, .next = 2,
                                                      .running = 2}), MF_OK));
    post(&key, (mfi_flow_event){.kind = MFI_EV_ITEM_DONE, .index = 0, .value = mf_msg("i", 10)});
    lock(&key, MFI_EV_LOCK);
    post(&key, (mfi_flow_event){.kind = MFI_EV_ITEM_DONE, .index = 1, .value = mf_msg("i", 11)});
    post(&key, (mfi_flow_event){.kind = MFI_EV_FILL});
    lock(&key, MFI_EV_UNLOCK);      /* both at once now */
    fill(1);                        /* as the last outcome asked for */

    mf_record record = {0};
    mf_value results, second;
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, NULL), MF_OK));
    cr_assert(eq(int, record.state.status, MF_STATUS_DONE));
    cr_assert(mf_value_get(mf_message_value(record.state.result), MF_STR_LIT("results"), &results));
    cr_assert(eq(u64, mf_value_count(results), 2));
    cr_assert(mf_value_at(results, 1, &second));
    int64_t value = 0;
    cr_assert(eq(int, mf_value_int(second, &value), MF_OK));
    cr_assert(eq(i64, value, 11));
    mf_record_release(&record);
}

/* ---- whose end is it ----------------------------------------------------------------------------------------------------- */

/* An addition that a crash cut short leaves the record of an item that was never added. Another one took its place. */
Test(runtime_dispatcher, what_was_never_added_does_not_end_the_item_in_its_place)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "open", 1);
    mf_key key = spec->key;
    spec->max_concurrency = 1;
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK));
    mf_spec *added = bench_spec(&b, MF_KIND_TASK, "work", 5);
    added->container = key;
    mf_item item = {.spec = added};
    mf_key it = added->key, never_added = bench_key(MF_KIND_TASK, 4);
    cr_assert(eq(int, bench_put(&b, mf_spec_ref(added), &(mf_state){.status = MF_STATUS_PENDING}), MF_OK));
    mfi_flow_event add = {.kind = MFI_EV_ADD, .items = &item, .item_count = 1, .from = 0};
    cr_assert(eq(int, mfi_dispatch_wait(b.client, &key, &add, false), MF_OK));
    mf_spec_unref(added);

    mf_record record = {0};
    post(&key, (mfi_flow_event){.kind = MFI_EV_ITEM_CANCELED, .index = 0, .child = never_added});
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, NULL), MF_OK));
    cr_assert(all(eq(u64, record.state.running, 1), zero(u64, record.state.canceled)));
    mf_record_release(&record);
    post(&key, (mfi_flow_event){.kind = MFI_EV_ITEM_CANCELED, .index = 0, .child = it});
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, NULL), MF_OK));
    cr_assert(all(zero(u64, record.state.running), eq(u64, record.state.canceled, 1)));
    mf_record_release(&record);
}

/* Children are stored before what they stand in: a program that knows their keys may cancel one meanwhile. */
Test(runtime_dispatcher, a_step_that_ends_while_its_flow_is_being_stored_does_not_end_its_chain)
{
    mf_spec *chain = bench_spec(&b, MF_KIND_CHAIN, "inner", 1);
    mf_key key = chain->key, step = bench_key(MF_KIND_TASK, 4);
    chain->container = bench_key(MF_KIND_SWARM, 9);     /* which comes last */
    cr_assert(eq(int, bench_put(&b, chain, &(mf_state){.status = MF_STATUS_PENDING}), MF_OK));
    mf_message *told = mf_msg("{s:n, s:s}", "error", "child", step.text);
    mf_delivery d = {.id = MF_STR_LIT("1"), .task = MF_STR_LIT("mageflow.on_chain_error"), .unit = {.key = key, .index = 1},
                     .attempt = 1, .message = told};
    b.mute.host->ops->deliver(b.mute.host, &d);
    mf_message_unref(told);
    mf_record record = {0};
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, NULL), MF_OK));
    cr_assert(eq(int, record.state.status, MF_STATUS_PENDING));
    mf_record_release(&record);
}

/* ---- a store that goes on refusing -------------------------------------------------------------------------------------- */

static atomic_bool refuses;
static atomic_uint refused;

static mf_status full_commit(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    (void)self;
    if (!atomic_load(&refuses))
        return mf_store_commit(b.store, batch, refusal, err);
    bench_turn_clock(&b, mf_seconds(1));
    atomic_fetch_add(&refused, 1);
    return mf_fail(err, MF_E_IO, "the disk is full");
}

static mf_status full_load(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    (void)self;
    return mf_store_load(b.store, keys, n, out, err);
}

static int64_t full_now_ms(mf_store *self)
{
    (void)self;
    return mf_store_now_ms(b.store);
}

static const mf_store_ops full_ops = {.struct_size = sizeof full_ops, .name = "full", .commit = full_commit, .load = full_load,
                                      .now_ms = full_now_ms};

static mf_state state_of(const mf_key *key)
{
    mf_record record = {0};
    cr_assert(eq(int, mf_store_load(b.store, key, 1, &record, NULL), MF_OK));
    mf_state state = {.status = record.state.status, .running = record.state.running, .done = record.state.done};
    mf_record_release(&record);
    return state;
}

Test(runtime_dispatcher, a_verb_that_the_store_goes_on_refusing_is_answered_and_changes_nothing)
{
    mf_store full = {.ops = &full_ops};
    mf_key key = bench_key(MF_KIND_SWARM, 1);
    mf_error err = {.text = ""};
    uint64_t lock = 0;
    put_swarm(1, 0);
    b.client->store = &full;
    atomic_store(&refuses, true);
    cr_assert(eq(int, mf_suspend(b.client, &key, &err), MF_E_IO));
    cr_assert(ne(ptr, strstr(err.text, "cannot suspend: the disk is full"), NULL), "%s", err.text);
    cr_assert(eq(int, mf_lock(b.client, &key, mf_seconds(60), &lock, &err), MF_E_IO));
    cr_assert(eq(int, mf_items_close(b.client, &key, &err), MF_E_IO));
    cr_assert(eq(int, state_of(&key).status, MF_STATUS_ACTIVE));
    atomic_store(&refuses, false);
    cr_assert(eq(int, mf_suspend(b.client, &key, &err), MF_OK));
    cr_assert(eq(int, state_of(&key).status, MF_STATUS_SUSPENDED));
    b.client->store = b.store;
}

static void *post_done(void *arg)
{
    post(arg, (mfi_flow_event){.kind = MFI_EV_ITEM_DONE, .index = 0, .value = mf_msg("i", 10)});
    return NULL;
}

Test(runtime_dispatcher, an_outcome_waits_for_the_store_and_the_verb_behind_it_does_not)
{
    mf_store full = {.ops = &full_ops};
    mf_key key = bench_key(MF_KIND_SWARM, 1);
    pthread_t posts;
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "many", 1);
    spec->max_concurrency = 2;
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){.status = MF_STATUS_ACTIVE, .total = 2, .next = 2, .running = 2}), MF_OK));
    b.client->store = &full;
    atomic_store(&refuses, true);
    cr_assert(eq(int, pthread_create(&posts, NULL, post_done, &key), 0));
    while (atomic_load(&refused) == 0)
        sched_yield();
    cr_assert(eq(int, mf_suspend(b.client, &key, NULL), MF_E_IO));
    atomic_store(&refuses, false);
    pthread_join(posts, NULL);
    cr_assert(eq(int, state_of(&key).status, MF_STATUS_ACTIVE));
    cr_assert(eq(u64, state_of(&key).done, 1));
    b.client->store = b.store;
}
