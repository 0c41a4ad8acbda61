#include "apart.h"
#include "counting_source.h"
#include "report.h"
#include "run.h"

#include <mageflow/mageflow.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const run_kind_names[RUN_KINDS] = {
    [RUN_MAP] = "map", [RUN_ADDED] = "added", [RUN_MAP_RESULTS] = "map-results", [RUN_ADDED_RESULTS] = "added-results",
};
const char *const run_kind_titles[RUN_KINDS] = {
    [RUN_MAP] = "a map", [RUN_ADDED] = "a swarm of added items", [RUN_MAP_RESULTS] = "a map, with results",
    [RUN_ADDED_RESULTS] = "a swarm of added items, with results",
};

static bool is_map(run_kind kind)
{
    return kind == RUN_MAP || kind == RUN_MAP_RESULTS;
}

static bool has_results(run_kind kind)
{
    return kind == RUN_MAP_RESULTS || kind == RUN_ADDED_RESULTS;
}

/* ---- what is run ---------------------------------------------------------------------------------------------- */

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

/* A number, as the peer's tasks return one. user is the allocator of the run: so the result is counted, too. */
static mf_status number(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in;
    mf_builder b;
    mf_builder_init(&b, user, NULL);
    mf_build_int(&b, (int64_t)mf_context_execution_info(ctx)->task_data.index);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

static mf_signature *make_swarm(mf_client *client, run_kind kind, const counting_source *source, mf_error *err)
{
    const char *task = has_results(kind) ? "number" : "nothing";
    if (is_map(kind))
        return mf_map(client, "map", "numbers", mf_sign(client, task, NULL, err), NULL, err);
    mf_signature *swarm = mf_swarm(client, "added", NULL, err);
    for (uint64_t i = 0; swarm != NULL && i < source->total; i++)
        swarm = mf_swarm_add(swarm, mf_sign(client, task, mf_message_ref(source->item), err), err);
    return mf_swarm_close(swarm, err);
}

/* In the order of the items: each must be its own index. */
static mf_status read_results(mf_client *client, const mf_key *key, uint64_t items, mf_error *err)
{
    mf_results *results = NULL;
    mf_status st = mf_results_open(client, key, &results, err);
    for (uint64_t i = 0; st == MF_OK && i < items; i++) {
        mf_outcome outcome;
        int64_t number = -1;
        st = mf_results_next(results, &outcome, err);
        if (st == MF_OK && mf_value_int(mf_message_value(outcome.value), &number) != MF_OK)
            number = -1;
        if (st == MF_OK && number != (int64_t)i)
            st = mf_fail(err, MF_E_STATE, "the result of item %llu is %lld", (unsigned long long)i, (long long)number);
    }
    mf_results_close(results);
    return st;
}

/* ---- running it ----------------------------------------------------------------------------------------------- */

static mf_status open_client(const run_order *order, mf_client **out, mf_error *err)
{
    mf_options options = {.struct_size = sizeof options, .threads = order->threads};
    if (order->counted) {
        options.allocator = count_allocator();
        mf_status st = mf_memory_store_create(options.allocator, NULL, &options.store, err);
        if (st != MF_OK)
            return st;
        options.store = count_store_create(options.store);
        if (options.store == NULL)
            return mf_fail(err, MF_E_NOMEM, "no memory for the counting store");
    }
    return mf_open("local:", &options, out, err);
}

static mf_status declare(mf_client *client, const run_order *order, counting_source *source, mf_error *err)
{
    void *allocator = order->counted ? (void *)(uintptr_t)count_allocator() : NULL;
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "nothing", .run = nothing), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "number", .run = number, .user = allocator), err);
    if (st == MF_OK)
        st = mf_source(client, MF_SOURCE_DEF(.name = "numbers", .next = counting_source_next, .user = source), err);
    return st;
}

static mf_status run_swarm(mf_client *client, const run_order *order, const counting_source *source, run_figures *out, mf_error *err)
{
    mf_counts counts = {.done = 0};
    count_begin();
    double begin = report_now_ns(), cpu = report_cpu_ns();
    mf_signature *swarm = make_swarm(client, order->kind, source, err);
    double made = report_now_ns();
    mf_run *run = mf_start(swarm, NULL, err);
    mf_signature_destroy(swarm);
    if (run == NULL)
        return err->status;
    mf_status st = mf_run_wait(run, MF_FOREVER, NULL, err);
    mf_key key = mf_run_key(run);
    if (st == MF_OK && has_results(order->kind))
        st = read_results(client, &key, order->items, err);
    out->adding_ns = made - begin;
    out->running_ns = report_now_ns() - made;
    out->cpu_ns = report_cpu_ns() - cpu;
    count_read(&out->counts);
    mf_run_destroy(run);
    if (st == MF_OK)
        st = mf_count(client, &key, &counts, err);
    if (st == MF_OK && counts.done != order->items)
        st = mf_fail(err, MF_E_STATE, "%llu of %llu items are done", (unsigned long long)counts.done, order->items);
    return st;
}

bool run_here(const run_order *order, run_figures *out)
{
    mf_client *client = NULL;
    mf_error err = {.text = ""};
    mf_message *item = mf_msg("{s:i, s:s}", "width", 640, "owner", "alice");
    counting_source source = {.total = order->items, .item = item};
    unsigned swarms = order->swarms > 0 ? order->swarms : 1;
    memset(out, 0, swarms * sizeof *out);
    mf_status st = open_client(order, &client, &err);
    if (st == MF_OK)
        st = declare(client, order, &source, &err);
    if (st == MF_OK)
        st = mf_serve(client, NULL, &err);      /* threads are there before the clock starts, as the peer's are */
    for (unsigned i = 0; st == MF_OK && i < swarms; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);    /* all threads are asleep then */
        st = run_swarm(client, order, &source, &out[i], &err);
    }
    mf_client_destroy(client);
    mf_message_unref(item);
    if (st != MF_OK)
        fprintf(stderr, "bench_swarm: %s of %llu: %s\n", run_kind_names[order->kind], order->items, err.text);
    return st == MF_OK;
}

static bool run(const void *order, void *out)
{
    return run_here(order, out);
}

/* Nothing of ours has a thread yet when this forks. */
bool run_in_child(const run_order *order, run_figures *out)
{
    long peak_kib;
    bool good = apart(run, order, out, sizeof *out, &peak_kib);
    out->rss_kib = peak_kib;
    return good;
}
