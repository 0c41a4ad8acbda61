/* The client for tests: the simulator's world without chance. One process, one strand that runs tasks, the oldest message
 * first, and a clock that moves when the test says so. */
#include "dispatches.h"

#include "memory.h"

#define STEPS_MAX UINT64_C(100000000)     /* of one call: more is a flow that does not come to its end */
#define BEGIN_NS  INT64_C(1000000000)     /* where the simulator's clock begins */

struct mf_test {
    mfi_sim       *sim;
    mf_client     *client;
    mfi_dispatches dispatches;
    bool           runs;
};

static void committed(void *user, mfi_process *process, const mf_batch *batch)
{
    mf_test *test = user;
    (void)process;
    if (test->client != NULL)
        mfi_dispatches_note(&test->dispatches, test->client, batch);
}

static mf_status boot(mf_test *test, mf_error *err)
{
    mf_status st = mfi_sim_settle_until(test->sim, NULL, NULL, mfi_sim_now_ns(test->sim), err);
    test->client = mfi_sim_client(test->sim, 0);
    test->dispatches.store = mfi_sim_store(test->sim);
    return st;
}

mf_status mf_test_create(const mf_test_options *options, mf_test **out, mf_error *err)
{
    mf_test_options o = {0};
    if (options != NULL && options->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "test: struct_size is 0; make the options with MF_TEST_OPTIONS(...)");
    if (options != NULL)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (mfi_sim_here() != NULL)
        return mf_fail(err, MF_E_STATE, "test: this thread has a test already, or is in a simulation");
    const mf_allocator *allocator = mf_allocator_default();
    mf_test *test = mf_new(allocator, mf_test);
    if (test == NULL)
        return mf_fail(err, MF_E_NOMEM, "test: no memory");
    test->runs = o.run;
    mfi_sim_config config = {.seed = 1, .processes = 1, .workers = 1, .in_order = true, .records = !o.run, .wall_ms = o.wall_ms,
                             .allocator = allocator, .log = o.log, .log_user = o.log_user, .step_limit = STEPS_MAX,
                             .committed = committed, .committed_user = test};
    mf_status st = mfi_sim_create(&config, &test->sim, err);
    if (st == MF_OK)
        st = boot(test, err);
    if (st != MF_OK) {
        mfi_sim_destroy(test->sim);
        mf_delete(allocator, test);
        return st;
    }
    mfi_sim_enter(test->sim);
    *out = test;
    return MF_OK;
}

void mf_test_destroy(mf_test *test)
{
    if (test == NULL)
        return;
    (void)mfi_sim_close(test->sim, NULL);
    mfi_dispatches_clear(&test->dispatches);
    mfi_sim_leave(test->sim);
    mfi_sim_destroy(test->sim);
    mfi_fiber_fini();
    mf_delete(NULL, test);
}

mf_client *mf_test_client(mf_test *test)
{
    return test->client;
}

/* The library looks at what is due a nanosecond after its time: that is still this time. */
#define SLACK INT64_C(1000)

static int64_t now_ns(const mf_test *test)
{
    return mfi_sim_now_ns(test->sim) / SLACK * SLACK;
}

/* ---- running ------------------------------------------------------------------------------------------------------------- */

static mf_status check_runs(const mf_test *test, mf_error *err)
{
    return test->runs ? MF_OK : mf_fail(err, MF_E_STATE, "test: it only records; make it with MF_TEST_OPTIONS(.run = true)");
}

mf_status mf_test_run(mf_test *test, mf_error *err)
{
    mf_status st = check_runs(test, err);
    return st != MF_OK ? st : mfi_sim_settle_until(test->sim, NULL, NULL, now_ns(test) + SLACK, err);
}

mf_status mf_test_advance(mf_test *test, mf_duration span, mf_error *err)
{
    int64_t until;
    if (span < 0 || __builtin_add_overflow(now_ns(test) + SLACK, span, &until))
        return mf_fail(err, MF_E_INVALID, "test: expected a span of 0 or more, got %lld ns", (long long)span);
    mf_status st = mfi_sim_settle_until(test->sim, NULL, NULL, until, err);
    mfi_sim_set_now(test->sim, until - SLACK);
    return st != MF_OK ? st : mfi_sim_settle_until(test->sim, NULL, NULL, until, err);
}

mf_status mf_test_finish(mf_test *test, mf_error *err)
{
    mf_status st = check_runs(test, err);
    return st != MF_OK ? st : mfi_sim_settle(test->sim, err);
}

mf_duration mf_test_now(const mf_test *test)
{
    return now_ns(test) - BEGIN_NS;
}

/* ---- what was dispatched ---------------------------------------------------------------------------------------------------- */

size_t mf_test_dispatch_count(const mf_test *test)
{
    return test->dispatches.count;
}

mf_status mf_test_dispatch(const mf_test *test, size_t i, mf_dispatch *out)
{
    return mfi_dispatches_get(&test->dispatches, i, out);
}

void mf_test_clear(mf_test *test)
{
    mfi_dispatches_clear(&test->dispatches);
}

mf_status mf_test_task_dispatched(const mf_test *test, const char *task, mf_message *expected, mf_test_match how, mf_error *err)
{
    mf_status st = mfi_dispatches_task(&test->dispatches, task, expected, how, err);
    mf_message_unref(expected);
    return st;
}

mf_status mf_test_chain_dispatched(const mf_test *test, const char *name, const char *const *tasks, size_t n, mf_error *err)
{
    return mfi_dispatches_container(&test->dispatches, MF_KIND_CHAIN, name, tasks, n, err);
}

mf_status mf_test_swarm_dispatched(const mf_test *test, const char *name, const char *const *tasks, size_t n, mf_error *err)
{
    return mfi_dispatches_container(&test->dispatches, MF_KIND_SWARM, name, tasks, n, err);
}

mf_status mf_test_nothing_dispatched(const mf_test *test, mf_error *err)
{
    return mfi_dispatches_nothing(&test->dispatches, err);
}
