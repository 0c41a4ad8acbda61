/* One swarm over local threads, for counting what an item costs: steady_cost count|plain|results|added ITEMS
 *
 * count    prints the store operations and the bytes that were asked of the allocator, from the start to the end of the run
 * plain    counts nothing: for a tool that counts instructions from outside
 * results  each task returns a message of its own, and all are read in order: prints the allocations, theirs included
 * added    the same of items that are added one by one, all with the same message */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>

#include "counting_allocator.h"
#include "counting_source.h"
#include "spy_store.h"

static uint64_t items;
static const mf_allocator *counted;     /* NULL: nothing is counted */

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

/* Its own index, in a message from the allocator that is counted. */
static mf_status number(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_builder b;
    (void)in, (void)user;
    mf_builder_init(&b, counted, NULL);
    mf_build_map(&b, 1);
    mf_build_key(&b, "number");
    mf_build_int(&b, (int64_t)mf_context_execution_info(ctx)->task_data.index);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

static mf_signature *make(mf_client *mage, const char *task, bool added, mf_error *err)
{
    const mf_swarm_options *options = MF_SWARM_OPTIONS(.max_concurrency = 64);
    if (!added)
        return mf_map(mage, "map", "many", mf_sign(mage, task, NULL, err), options, err);
    mf_signature *swarm = mf_swarm(mage, "many", options, err);
    mf_message *message = mf_msg("{s:i}", "width", 640);
    for (uint64_t i = 0; swarm != NULL && i < items; i++)
        swarm = mf_swarm_add(swarm, mf_sign(mage, task, mf_message_ref(message), err), err);
    mf_message_unref(message);
    return mf_swarm_close(swarm, err);
}

static mf_status read_results(mf_client *mage, mf_key key, mf_error *err)
{
    mf_results *results = NULL;
    mf_status st = mf_results_open(mage, &key, &results, err);
    for (uint64_t i = 0; st == MF_OK && i < items; i++) {
        mf_outcome outcome;
        mf_value value;
        int64_t is = -1;
        st = mf_results_next(results, &outcome, err);
        if (st == MF_OK && (!mf_value_get(mf_message_value(outcome.value), MF_STR_LIT("number"), &value) ||
                            mf_value_int(value, &is) != MF_OK || is != (int64_t)i))
            st = mf_fail(err, MF_E_STATE, "item %llu has another result", (unsigned long long)i);
    }
    mf_results_close(results);
    return st;
}

static mf_status run(mf_client *mage, bool results, bool added, mf_error *err)
{
    mf_signature *swarm = make(mage, results ? "number" : "noop", added, err);
    mf_run *r = mf_start(swarm, NULL, err);
    mf_status st = mf_run_wait(r, MF_FOREVER, NULL, err);
    if (st == MF_OK && results)
        st = read_results(mage, mf_run_key(r), err);
    mf_run_destroy(r);
    mf_signature_destroy(swarm);
    return st;
}

int main(int argc, char **argv)
{
    const char *mode = argc == 3 ? argv[1] : "";
    bool added = strcmp(mode, "added") == 0, results = added || strcmp(mode, "results") == 0;
    bool counts = results || strcmp(mode, "count") == 0;
    if (!counts && strcmp(mode, "plain") != 0)
        return fprintf(stderr, "usage: steady_cost count|plain|results|added ITEMS\n"), 2;
    items = strtoull(argv[2], NULL, 10);

    counting_allocator counting;
    counting_init(&counting);
    counted = counts ? &counting.allocator : NULL;
    mf_error err;
    counting_source many = {.total = items};
    mf_store *store = NULL;
    mf_client *mage = NULL;
    mf_status st = mf_memory_store_create(counted, NULL, &store, &err);
    if (st == MF_OK && counts)
        store = spy_store_create(store);
    if (st == MF_OK)
        st = mf_open("local:?threads=1", MF_OPTIONS(.allocator = counted, .store = store), &mage, &err);
    if (st == MF_OK)
        st = mf_task(mage, MF_TASK_DEF(.name = "noop", .run = noop), &err);
    if (st == MF_OK)
        st = mf_task(mage, MF_TASK_DEF(.name = "number", .run = number), &err);
    if (st == MF_OK)
        st = mf_source(mage, MF_SOURCE_DEF(.name = "many", .next = counting_source_next, .user = &many), &err);
    if (st == MF_OK)
        st = run(mage, results, added, &err);
    if (st == MF_OK && results)
        printf("%ld\n", atomic_load(&counting.calls));
    else if (st == MF_OK && counts)
        printf("%lu %ld\n", spy_store_calls(spy_store_of(store)), atomic_load(&counting.bytes));
    if (st != MF_OK)
        fprintf(stderr, "steady_cost: %s\n", err.text);
    mf_client_destroy(mage);
    return st == MF_OK ? 0 : 1;
}
