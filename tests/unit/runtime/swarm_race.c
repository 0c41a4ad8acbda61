/* The whole runtime, over every way to run a flow: swarms of items that do nothing, watched, canceled and let go meanwhile. */
#include "scenario.h"

#include <mageflow/mageflow.h>

#include "counting_source.h"
#include "makers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { ITEMS = 20000, THREADS = 4 };

static counting_source many = {.total = ITEMS};
static mf_client *mage;
static atomic_uint calls;
static atomic_uint bodies_after_end;
static atomic_bool ended, holding;      /* holding: from the middle on, bodies wait for `ended` */

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (atomic_load(&ended))
        atomic_fetch_add(&bodies_after_end, 1);
    while (atomic_load(&holding) && atomic_load(&calls) > ITEMS / 2 && !atomic_load(&ended))
        sched_yield();
    return MF_OK;
}

static void open_client(size_t maker)
{
    mf_error err;
    mf_store *store = NULL;
    mf_options options = {.struct_size = sizeof options, .threads = THREADS};
    atomic_store(&calls, 0);
    atomic_store(&ended, false);
    atomic_store(&holding, false);
    atomic_store(&bodies_after_end, 0);
    CHECK_EQ(mf_memory_store_create(NULL, NULL, &store, &err), MF_OK);
    CHECK_EQ(flow_makers[maker].open(&options, store, &mage, &err), MF_OK);
    CHECK_EQ(mf_task(mage, MF_TASK_DEF(.name = "noop", .run = noop), &err), MF_OK);
    CHECK_EQ(mf_source(mage, MF_SOURCE_DEF(.name = "many", .next = counting_source_next, .user = &many), &err), MF_OK);
}

static mf_run *start_map(mf_signature *each, unsigned max_concurrency)
{
    mf_error err = {0};
    mf_signature *map = mf_map(mage, "map", "many", each, MF_SWARM_OPTIONS(.max_concurrency = max_concurrency), &err);
    mf_run *run = mf_start(map, NULL, &err);
    CHECK(run != NULL);
    mf_signature_destroy(map);
    return run;
}

static void run_to_the_end(size_t maker)
{
    mf_error err;
    mf_counts counts;
    open_client(maker);
    mf_run *run = start_map(mf_sign(mage, "noop", NULL, &err), 64);
    mf_key key = mf_run_key(run);
    CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_OK);
    CHECK_EQ(mf_count(mage, &key, &counts, &err), MF_OK);
    CHECK_EQ(counts.done, ITEMS);
    CHECK_EQ(counts.running, 0);
    CHECK_EQ(atomic_load(&calls), ITEMS);
    mf_run_destroy(run);
    mf_client_destroy(mage);
}

static void a_swarm_runs_each_item_once(void)
{
    for (size_t maker = 0; maker < flow_maker_count; maker++)
        run_to_the_end(maker);
}

static void *cancel(void *arg)
{
    mf_error err;
    while (atomic_load_explicit(&calls, memory_order_relaxed) < ITEMS / 4)
        sched_yield();
    CHECK_EQ(mf_cancel(mage, arg, &err), MF_OK);
    atomic_store(&ended, true);     /* from here on no body begins */
    return NULL;
}

static void *watch(void *arg)
{
    mf_error err;
    mf_counts counts = {.status = MF_STATUS_ACTIVE};
    uint64_t last = 0;
    while (!mf_signature_status_ended(counts.status)) {
        CHECK_EQ(mf_count(mage, arg, &counts, &err), MF_OK);
        CHECK(counts.done >= last);
        last = counts.done;
        mf_run *run = mf_run_open(mage, arg, &err);
        CHECK(run != NULL);
        (void)mf_run_fd(run);
        (void)mf_run_poll(run, NULL, &err);
        mf_run_destroy(run);
    }
    return NULL;
}

/* A body that had begun before may still count itself after `ended` was set: at most one a thread. */
static void after_a_cancel_nothing_begins(void)
{
    for (size_t round = 0; round < (size_t)scenario_rounds(2) * flow_maker_count; round++) {
        mf_error err;
        pthread_t canceler, watcher;
        open_client(round % flow_maker_count);
        atomic_store(&holding, true);
        mf_run *run = start_map(mf_sign(mage, "noop", NULL, &err), 32);
        mf_key key = mf_run_key(run);
        CHECK_EQ(pthread_create(&canceler, NULL, cancel, &key), 0);
        CHECK_EQ(pthread_create(&watcher, NULL, watch, &key), 0);
        CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_E_CANCELED);
        pthread_join(canceler, NULL);
        pthread_join(watcher, NULL);
        CHECK_EQ(mf_drain(mage, MF_FOREVER), MF_OK);
        CHECK(atomic_load(&bodies_after_end) <= THREADS);
        CHECK(atomic_load(&calls) < ITEMS);
        mf_counts counts;
        CHECK_EQ(mf_count(mage, &key, &counts, &err), MF_OK);
        CHECK_EQ(counts.running, 0);
        CHECK_EQ(counts.done + counts.canceled, counts.total);
        mf_run_destroy(run);
        mf_client_destroy(mage);
    }
}

static void *start_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        mf_error err;
        mf_signature *chain = mf_chain(mage, "chain", NULL, &err);
        for (int step = 0; step < 3; step++)
            chain = mf_chain_add(chain, mf_sign(mage, "noop", NULL, &err), &err);
        chain = mf_on_success(chain, mf_sign(mage, "noop", NULL, &err), &err);
        mf_run *run = mf_start(chain, NULL, &err);
        CHECK(run != NULL);
        mf_key key = mf_run_key(run);
        mf_signature_destroy(chain);
        if (i % 3 == 0)
            (void)mf_cancel(mage, &key, &err);
        else if (i % 3 == 1)
            CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_OK);
        mf_run_destroy(run);
    }
    return NULL;
}

static void start_by_many(size_t maker)
{
    pthread_t starters[THREADS];
    open_client(maker);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&starters[i], NULL, start_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(starters[i], NULL);
    CHECK_EQ(mf_drain(mage, MF_FOREVER), MF_OK);
    mf_client_destroy(mage);
}

static void chains_are_started_waited_for_canceled_and_let_go_by_many(void)
{
    for (size_t maker = 0; maker < flow_maker_count; maker++)
        start_by_many(maker);
}

static void a_client_may_be_destroyed_in_the_middle(void)
{
    for (size_t round = 0; round < (size_t)scenario_rounds(4) * flow_maker_count; round++) {
        mf_error err;
        open_client(round % flow_maker_count);
        mf_run_destroy(start_map(mf_sign(mage, "noop", NULL, &err), 32));
        while (atomic_load_explicit(&calls, memory_order_relaxed) < 100 * (unsigned)round)
            sched_yield();
        mf_client_destroy(mage);
    }
}

const scenario scenarios[] = {
    {"a_swarm_runs_each_item_once", a_swarm_runs_each_item_once},
    {"after_a_cancel_nothing_begins", after_a_cancel_nothing_begins},
    {"chains_are_started_waited_for_canceled_and_let_go_by_many", chains_are_started_waited_for_canceled_and_let_go_by_many},
    {"a_client_may_be_destroyed_in_the_middle", a_client_may_be_destroyed_in_the_middle},
    {NULL, NULL},
};
