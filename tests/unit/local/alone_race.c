/* Small jobs that one worker runs alone, among threads that start, help, block, stop and change the way meanwhile. Forced: each way
 * says that it pays, whatever it costs, so that the scenarios meet it on any machine and under any sanitizer. */
#include "scenario.h"

#include <mageflow/mageflow.h>

#include "counting_source.h"
#include "local.h"
#include "runtime.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { ITEMS = 20000, THREADS = 4, EVERY = 4000 };

static counting_source many = {.total = ITEMS};
static mf_client *mage;
static local *l;
static _Atomic unsigned char calls[ITEMS];
static atomic_uint called;
static atomic_uint last;        /* of the items in their order */
static atomic_bool submitted;
static atomic_bool over;
static void (*body)(mf_context *ctx, unsigned index);

static mf_status item(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    unsigned index = (unsigned)mf_context_execution_info(ctx)->task_data.index;
    atomic_fetch_add(&calls[index], 1);
    atomic_fetch_add(&called, 1);
    if (body != NULL)
        body(ctx, index);
    return MF_OK;
}

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

/* Alone from now on, and for good. */
static void force(bool alone)
{
    mfi_mutex_lock(&l->lock);
    l->alone.each_ns[0] = alone ? 1000000000 : 1;
    l->alone.each_ns[1] = alone ? 1 : 1000000000;
    l->alone.windows = 1000;
    l->alone.try_ns = INT64_MAX;
    atomic_store(&l->alone.on, alone);
    mfi_mutex_unlock(&l->lock);
}

static void open_client(unsigned threads, unsigned max_concurrency, void (*with)(mf_context *ctx, unsigned index))
{
    mf_error err;
    memset(calls, 0, sizeof calls);
    atomic_store(&called, 0);
    atomic_store(&last, 0);
    atomic_store(&submitted, false);
    atomic_store(&over, false);
    body = with;
    CHECK_EQ(mf_open("local:", MF_OPTIONS(.threads = threads), &mage, &err), MF_OK);
    CHECK_EQ(mf_task(mage, MF_TASK_DEF(.name = "item", .run = item, .max_concurrency = max_concurrency), &err), MF_OK);
    CHECK_EQ(mf_task(mage, MF_TASK_DEF(.name = "nothing", .run = nothing), &err), MF_OK);
    CHECK_EQ(mf_source(mage, MF_SOURCE_DEF(.name = "many", .next = counting_source_next, .user = &many), &err), MF_OK);
    CHECK_EQ(mf_serve(mage, NULL, &err), MF_OK);
    l = local_of(mage->adapter);
    force(true);
}

static mf_run *start_map(void)
{
    mf_error err;
    mf_signature *map = mf_map(mage, "map", "many", mf_sign(mage, "item", NULL, &err), NULL, &err);
    mf_run *run = mf_start(map, NULL, &err);
    CHECK(run != NULL);
    mf_signature_destroy(map);
    return run;
}

static void ends(mf_run *run)
{
    mf_error err;
    CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_OK);
    CHECK_EQ(atomic_load(&called), ITEMS);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK_EQ(atomic_load(&calls[i]), 1);
    mf_run_destroy(run);
    mf_client_destroy(mage);
}

static void each_item_runs_once(void)
{
    open_client(THREADS, 0, NULL);
    ends(start_map());
}

static void waits_for_the_next(mf_context *ctx, unsigned index)
{
    (void)ctx;
    while (index % EVERY == EVERY / 2 && atomic_load(&calls[index + 1]) == 0)
        sched_yield();
}

/* The next one is kept behind it, and nobody else's until the host looks. */
static void what_is_kept_behind_a_long_call_is_run_by_others(void)
{
    open_client(THREADS, 0, waits_for_the_next);
    mf_run *run = start_map();
    while (atomic_load(&called) < ITEMS) {
        force(true);        /* it goes back to sharing each time */
        sched_yield();
    }
    ends(run);
}

static void runs_a_flow(mf_context *ctx, unsigned index)
{
    mf_error err;
    (void)ctx;
    if (index % EVERY != EVERY / 2)
        return;
    mf_signature *swarm = mf_swarm(mage, "inner", NULL, &err);
    for (int i = 0; i < 100; i++)
        swarm = mf_swarm_add(swarm, mf_sign(mage, "nothing", NULL, &err), &err);
    mf_run *run = mf_start(mf_swarm_close(swarm, &err), NULL, &err);
    mf_signature_destroy(swarm);
    CHECK(run != NULL);
    CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_OK);
    mf_run_destroy(run);
}

static void runs_a_flow_and_waits(mf_context *ctx, unsigned index)
{
    runs_a_flow(ctx, index);
    waits_for_the_next(ctx, index);
}

static void a_call_that_helps_gives_away_what_is_kept(void)
{
    open_client(THREADS, 0, runs_a_flow_and_waits);
    ends(start_map());
    open_client(1, 0, runs_a_flow);
    ends(start_map());
}

static void comes_in_order(mf_context *ctx, unsigned index)
{
    (void)ctx;
    CHECK_EQ(index, atomic_load(&last));
    atomic_store(&last, index + 1);
}

static void *changes_the_way(void *arg)
{
    (void)arg;
    for (bool alone = false; !atomic_load(&over); alone = !alone) {
        force(alone);
        sched_yield();
    }
    return NULL;
}

static void with_changes(unsigned threads, unsigned max_concurrency, void (*with)(mf_context *ctx, unsigned index))
{
    pthread_t changer;
    open_client(threads, max_concurrency, with);
    mf_run *run = start_map();
    CHECK_EQ(pthread_create(&changer, NULL, changes_the_way, NULL), 0);
    while (atomic_load(&called) < ITEMS)
        sched_yield();
    atomic_store(&over, true);
    pthread_join(changer, NULL);
    ends(run);
}

static void one_thread_runs_items_in_their_order(void)
{
    with_changes(1, 0, comes_in_order);
}

static void the_way_may_change_at_any_moment(void)
{
    with_changes(THREADS, 0, NULL);
}

static void a_gate_holds(void)
{
    with_changes(THREADS, 1, comes_in_order);
}

/* What had not begun goes back, and comes again. */
static void a_worker_may_stop_with_jobs_kept(void)
{
    mf_error err;
    open_client(THREADS, 0, NULL);
    mf_run *run = start_map();
    for (unsigned round = 1; round < 10; round++) {
        while (atomic_load(&called) < round * ITEMS / 10)
            sched_yield();
        CHECK_EQ(mf_unserve(mage), MF_OK);
        CHECK_EQ(mf_serve(mage, MF_WORKER_OPTIONS(.threads = 1 + round % THREADS), &err), MF_OK);
        force(true);
    }
    ends(run);
}

/* Each step is made ready by the worker that ran the one before, which leaves it to the runner. */
static void *starts_chains(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        mf_error err;
        mf_signature *chain = mf_chain(mage, "chain", NULL, &err);
        for (int step = 0; step < 3; step++)
            chain = mf_chain_add(chain, mf_sign(mage, "nothing", NULL, &err), &err);
        mf_run *run = mf_start(chain, NULL, &err);
        CHECK(run != NULL);
        mf_signature_destroy(chain);
        CHECK_EQ(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_OK);
        mf_run_destroy(run);
    }
    return NULL;
}

static void start_chains(void)
{
    pthread_t starters[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&starters[i], NULL, starts_chains, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(starters[i], NULL);
}

static void others_start_flows_meanwhile(void)
{
    open_client(THREADS, 0, NULL);
    start_chains();
    mf_run *run = start_map();
    start_chains();
    ends(run);
}

static void sets_over(void *arg)
{
    (void)arg;
    atomic_store(&over, true);
}

static void waits_for_the_job_then_for_its_turn(mf_context *ctx, unsigned index)
{
    (void)ctx;
    while (index == ITEMS / 4 && !atomic_load(&submitted))
        sched_yield();
    while (index > ITEMS / 4 * 3 && !atomic_load(&over))
        sched_yield();
}

/* The only worker comes back to its pool before the swarm is over. */
static void a_job_of_the_pool_has_its_turn(void)
{
    open_client(1, 0, waits_for_the_job_then_for_its_turn);
    mf_run *run = start_map();
    while (atomic_load(&called) < ITEMS / 10)
        sched_yield();
    CHECK_EQ(mf_pool_submit(atomic_load(&l->pool), sets_over, NULL), MF_OK);
    atomic_store(&submitted, true);
    ends(run);
}

const scenario scenarios[] = {
    {"each_item_runs_once", each_item_runs_once},
    {"what_is_kept_behind_a_long_call_is_run_by_others", what_is_kept_behind_a_long_call_is_run_by_others},
    {"a_call_that_helps_gives_away_what_is_kept", a_call_that_helps_gives_away_what_is_kept},
    {"one_thread_runs_items_in_their_order", one_thread_runs_items_in_their_order},
    {"the_way_may_change_at_any_moment", the_way_may_change_at_any_moment},
    {"a_gate_holds", a_gate_holds},
    {"a_worker_may_stop_with_jobs_kept", a_worker_may_stop_with_jobs_kept},
    {"others_start_flows_meanwhile", others_start_flows_meanwhile},
    {"a_job_of_the_pool_has_its_turn", a_job_of_the_pool_has_its_turn},
    {NULL, NULL},
};
