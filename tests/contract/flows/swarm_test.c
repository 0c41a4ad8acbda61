/* Swarms of added items: order, bounds, failures, ends. */
#include "kit.h"

FLOW_TEST(flow_swarm, results_come_in_the_order_of_the_items)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 4), &f->err);
    for (int i = 0; i < 50; i++) {
        char json[32];
        snprintf(json, sizeof json, "{\"n\":%d}", i);
        swarm = mf_swarm_add(swarm, sign(f, "add", json), &f->err);
    }
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    mf_key key = mf_run_key(run);
    char want[256] = "[", number[16];
    for (int i = 1; i <= 50; i++) {
        snprintf(number, sizeof number, "%d%s", i, i < 50 ? "," : "]");
        strcat(want, number);
    }
    ends_done(f, run, want);
    is_text(counted(f, &key), "done: total 50, running 0, done 50, failed 0, canceled 0");
    called(f, "add", 50);
}

FLOW_TEST(flow_swarm, a_long_list_of_results_is_whole)
{
    size_t items = many(f, 1500);       /* several pages of a reader, and more than one of a store's */
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (size_t i = 0; i < items; i++)
        swarm = mf_swarm_add(swarm, mf_sign(f->mage, "add", mf_msg("{s:i}", "n", (int)i), &f->err), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    mf_message *results = NULL;
    is_status(mf_run_wait(run, PATIENCE, &results, &f->err), MF_OK);
    cr_assert(eq(sz, mf_value_count(mf_message_value(results)), items));
    mf_iter iter = mf_value_iter(mf_message_value(results));
    mf_value value;
    for (int64_t i = 0, got; mf_iter_next(&iter, NULL, &value); i++) {
        is_status(mf_value_int(value, &got), MF_OK);
        cr_assert(eq(i64, got, i + 1));
    }
    mf_message_unref(results);
    mf_run_destroy(run);
}

FLOW_TEST(flow_swarm, a_failed_item_is_nil_among_the_results)
{
    mf_run *run = start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "fail", NULL), sign(f, "add", "{\"n\":2}")), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[1,null,3]");
    is_text(counted(f, &key), "done: total 3, running 0, done 2, failed 1, canceled 0");
}

FLOW_TEST(flow_swarm, the_error_of_a_failed_item_can_be_asked_for)
{
    mf_run *run = start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "fail", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[1,null]");
    mf_results *results = NULL;
    mf_outcome outcome;
    is_status(mf_results_open(f->mage, &key, &results, &f->err), MF_OK);
    is_status(mf_results_next(results, &outcome, &f->err), MF_OK);
    is_word(outcome.status, MF_STATUS_DONE);
    is_json(outcome.value, "1");
    is_status(mf_results_next(results, &outcome, &f->err), MF_OK);
    cr_assert(eq(u64, outcome.index, 1));
    is_word(outcome.status, MF_STATUS_FAILED);
    has_text(json_of(outcome.value), "\"attempt\":1,");
    has_text(json_of(outcome.value), "\"text\":\"it broke\",\"type\":\"Boom\"}");
    is_status(mf_results_next(results, &outcome, &f->err), MF_E_NOT_FOUND);
    mf_results_close(results);
}

FLOW_TEST(flow_swarm, no_more_run_at_once_than_it_allows)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 3), &f->err);
    for (int i = 0; i < 12; i++)
        swarm = mf_swarm_add(swarm, sign(f, "gate", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), "{}");
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 3);
    is_text(counted(f, &key), "active: total 12, running 3, done 0, failed 0, canceled 0");
    open_gate(f);
    ends_done(f, run, "[{},{},{},{},{},{},{},{},{},{},{},{}]");
    cr_assert(eq(uint, f->most, 3));
    called(f, "gate", 12);
}

FLOW_TEST(flow_swarm, thirty_run_at_once_where_nothing_is_said)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (int i = 0; i < 35; i++)
        swarm = mf_swarm_add(swarm, sign(f, "gate", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", THREADS);
    is_text(counted(f, &key), "active: total 35, running 30, done 0, failed 0, canceled 0");
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "gate", 35);
}

FLOW_TEST(flow_swarm, one_at_a_time_runs_in_order)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.max_concurrency = 1), sign(f, "add", "{\"n\":1}"),
                                sign(f, "add", "{\"n\":2}"), sign(f, "add", "{\"n\":3}"));
    ends_done(f, start(f, swarm, NULL), "[2,3,4]");
    is_value(call_of(f, "add", 0).in, "{\"n\":1}");
    is_value(call_of(f, "add", 2).in, "{\"n\":3}");
    cr_assert(eq(u64, call_of(f, "add", 2).index, 2));
}

FLOW_TEST(flow_swarm, so_many_failures_end_it_and_nothing_starts_afterwards)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm",
                                   MF_SWARM_OPTIONS(.max_concurrency = 1, .stop_after_failures = 3,
                                                    .on_error = sign(f, "note", "{\"c\":1}"),
                                                    .on_success = sign(f, "linger", NULL)), &f->err);
    for (int i = 0; i < 20; i++)
        swarm = mf_swarm_add(swarm, sign(f, "fail", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), "{\"a\":1}");
    mf_key key = mf_run_key(run);
    ends_failed(f, run, "TooManyFailures: 3 items failed, stop_after_failures is 3; the last: it broke");
    settle_down(f);
    called(f, "fail", 3);
    called(f, "note", 1);
    called(f, "linger", 0);
    is_value(call_of(f, "note", 0).in, "{\"a\":1,\"c\":1}");
    has_text(call_of(f, "note", 0).error, "\"type\":\"TooManyFailures\"");
    is_text(counted(f, &key), "failed: total 20, running 0, done 0, failed 3, canceled 0");
}

FLOW_TEST(flow_swarm, failures_at_the_same_time_call_the_error_callback_once)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.stop_after_failures = 2, .on_error = sign(f, "note", "{\"c\":1}")), &f->err);
    for (int i = 0; i < THREADS; i++)
        swarm = mf_swarm_add(swarm, CHAIN(f, sign(f, "gate", NULL), sign(f, "fail", NULL)), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), "{\"a\":1}");
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", THREADS);
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "TooManyFailures: ");
    mf_run_destroy(run);
    settle_down(f);
    called(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"a\":1,\"c\":1}");
    has_text(call_of(f, "note", 0).error, "\"type\":\"TooManyFailures\"");
    mf_counts c = count(f, &key);
    cr_assert(all(eq(int, c.status, MF_STATUS_FAILED), ge(u64, c.failed, 2), eq(u64, c.failed + c.canceled, THREADS)));
}

FLOW_TEST(flow_swarm, fewer_failures_than_the_bound_do_not_end_it)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.stop_after_failures = 3, .on_error = sign(f, "linger", NULL)),
                                sign(f, "fail", NULL), sign(f, "add", NULL), sign(f, "fail", NULL));
    ends_done(f, start(f, swarm, NULL), "[null,1,null]");
    settle_down(f);
    called(f, "linger", 0);
}

FLOW_TEST(flow_swarm, what_still_runs_when_it_fails_is_told_to_stop)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.max_concurrency = 3, .stop_after_failures = 1),
                                sign(f, "linger", NULL), sign(f, "linger", NULL), sign(f, "gate", NULL));
    mf_signature *failing = sign(f, "fail", NULL);
    /* The failing item comes when the others are known to run. */
    mf_signature *outer = SWARM(f, MF_SWARM_OPTIONS(.stop_after_failures = 1), swarm,
                                CHAIN(f, sign(f, "gate", NULL), failing));
    mf_run *run = start(f, outer, NULL);
    wait_calls(f, "linger", 2);
    wait_calls(f, "gate", 2);
    open_gate(f);
    ends_failed(f, run, "TooManyFailures: 1 item failed, stop_after_failures is 1; the last: it broke");
    settle_down(f);     /* comes to an end, for linger sleeps until it is asked to stop */
}

FLOW_TEST(flow_swarm, an_empty_closed_swarm_is_done)
{
    mf_signature *swarm = swarm_of(f, MF_SWARM_OPTIONS(.on_success = sign(f, "note", NULL)), 0, NULL);
    mf_run *run = start(f, swarm, NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[]");
    settle_down(f);
    char want[160];
    snprintf(want, sizeof want,
             "{\"mageflow_results\":[],\"mageflow_swarm\":{\"swarm\":\"%s\",\"total\":0,\"done\":0,\"failed\":0}}", key.text);
    is_value(call_of(f, "note", 0).in, want);
    called(f, "note", 1);
}

FLOW_TEST(flow_swarm, each_item_receives_its_message_below_its_own_kwargs)
{
    mf_signature *swarm = SWARM(f, NULL, sign(f, "echo", "{\"i\":0}"), sign(f, "echo", "{\"a\":\"mine\"}"), sign(f, "echo", NULL));
    ends_done(f, start(f, swarm, "{\"a\":1,\"b\":2}"), "[{\"a\":1,\"b\":2,\"i\":0},{\"a\":\"mine\",\"b\":2},{\"a\":1,\"b\":2}]");
}

FLOW_TEST(flow_swarm, its_kwargs_win_over_those_of_its_items)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.kwargs = msg("{\"k\":\"swarm\"}")), sign(f, "echo", "{\"k\":\"item\"}"));
    ends_done(f, start(f, swarm, "{\"k\":\"message\"}"), "[{\"k\":\"swarm\"}]");
}

FLOW_TEST(flow_swarm, on_success_receives_the_list_and_the_counts)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.on_success = sign(f, "note", NULL)), sign(f, "add", NULL),
                                sign(f, "fail", NULL), sign(f, "add", "{\"n\":6}"));
    mf_run *run = start(f, swarm, NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[1,null,7]");
    settle_down(f);
    char want[200];
    snprintf(want, sizeof want,
             "{\"mageflow_results\":[1,null,7],\"mageflow_swarm\":{\"swarm\":\"%s\",\"total\":3,\"done\":2,\"failed\":1}}",
             key.text);
    is_value(call_of(f, "note", 0).in, want);
    called(f, "note", 1);
}

FLOW_TEST(flow_swarm, an_item_may_have_callbacks_of_its_own)
{
    mf_signature *item = on_error(f, on_success(f, sign(f, "add", NULL), sign(f, "note", NULL)), sign(f, "linger", NULL));
    mf_signature *bad = on_error(f, sign(f, "fail", NULL), sign(f, "echo", NULL));
    ends_done(f, start(f, SWARM(f, NULL, item, bad), "{\"n\":1}"), "[2,null]");
    settle_down(f);
    called(f, "note", 1);
    called(f, "echo", 1);
    called(f, "linger", 0);
}

/* ---- results above the bound -------------------------------------------------------------------------------------------- */

enum { BIG = 300 * 1024 };

static mf_status big(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    char *text = malloc(BIG);
    if (text == NULL)
        return MF_E_NOMEM;
    memset(text, 'x', BIG);
    *out = mf_msg("S", mf_str_of(text, BIG));
    free(text);
    return mf_message_status(*out);
}

/* Reads the swarm it was told of, and gives how many results of how many bytes there are. */
static mf_status reader(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_results *results = NULL;
    mf_outcome  outcome;
    mf_error    err;
    mf_status   st = mf_context_results(ctx, in, &results, &err);
    uint64_t    n = 0, bytes = 0;
    note_call(user, ctx, in);
    while (st == MF_OK && (st = mf_results_next(results, &outcome, &err)) == MF_OK) {
        mf_str text;
        if (outcome.index == n && mf_value_str(mf_message_value(outcome.value), &text) == MF_OK)
            bytes += text.len;
        n++;
    }
    mf_results_close(results);
    *out = mf_msg("[U,U]", n, bytes);
    return st == MF_E_NOT_FOUND ? MF_OK : mf_task_fail(ctx, MF_FINAL, "Reading", "%s", err.text);
}

static void declare_big(fixture *f)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "big", .run = big, .user = f), &f->err), MF_OK);
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "reader", .run = reader, .user = f), &f->err), MF_OK);
}

FLOW_TEST(flow_swarm, results_above_the_bound_come_without_the_list_and_can_be_read)
{
    declare_big(f);
    mf_signature *swarm = SWARM(f, NULL, sign(f, "big", NULL), sign(f, "big", NULL), sign(f, "big", NULL), sign(f, "big", NULL));
    mf_run *run = start(f, CHAIN(f, swarm, sign(f, "reader", NULL)), NULL);
    char want[64];
    snprintf(want, sizeof want, "[4,%d]", 4 * BIG);
    ends_done(f, run, want);
    has_text(call_of(f, "reader", 0).in, "{\"mageflow_swarm\":{\"done\":4,\"failed\":0,\"swarm\":\"swarm-");
    has_text(call_of(f, "reader", 0).in, "\"total\":4}}");
}

FLOW_TEST(flow_swarm, a_run_whose_results_are_above_the_bound_gives_nil)
{
    declare_big(f);
    mf_signature *swarm = SWARM(f, NULL, sign(f, "big", NULL), sign(f, "big", NULL), sign(f, "big", NULL), sign(f, "big", NULL));
    ends_done(f, start(f, swarm, NULL), "null");
}

static mf_status huge(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)user;
    mf_builder b;
    mf_builder_init(&b, NULL, MF_LIMITS(.bytes = 4u << 20));
    mf_build_array(&b, 5);
    char *text = calloc(1, BIG);
    for (int i = 0; i < 5; i++)
        mf_build_bin(&b, mf_str_of(text, BIG));
    free(text);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

FLOW_TEST(flow_swarm, one_result_above_the_bound_is_the_tasks_failure)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "huge", .run = huge), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "huge", NULL), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "ResultTooBig: the result has 15");
    has_text(f->err.text, "bytes, the limit is 1048576");
    mf_run_destroy(run);
}
