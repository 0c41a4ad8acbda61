/* The table itself: what must be there, what it says of itself, and what the runtime asks of it. */
#include "kit.h"

#include "runtime.h"

static mf_adapter *adapter_of(fixture *f)
{
    return f->mage->adapter;
}

FLOW_TEST(adapter_operations, the_seven_and_what_stands_below_them_are_there)
{
    const mf_adapter_ops *ops = adapter_of(f)->ops;
    cr_assert(eq(sz, ops->struct_size, sizeof *ops));
    cr_assert(ops->task != NULL && ops->durable_task != NULL && ops->worker != NULL && ops->workflow != NULL &&
              ops->extract_execution_info != NULL && ops->create_task_context != NULL && ops->create_framework_tasks != NULL);
    cr_assert(ops->publish != NULL && ops->settle != NULL && ops->bind != NULL && ops->destroy != NULL);
    cr_assert(ne(ptr, (void *)ops->name, NULL));
    for (const char *at = ops->name; *at != '\0'; at++)
        cr_assert(strchr("abcdefghijklmnopqrstuvwxyz_", *at) != NULL, "the name \"%s\" is lower case", ops->name);
}

FLOW_TEST(adapter_operations, one_that_takes_from_the_store_knows_what_is_due)
{
    mf_adapter *a = adapter_of(f);
    if (!mf_adapter_can(a, MF_CAP_TAKES))
        return;
    cr_assert(a->ops->due != NULL);
    cr_assert(eq(i64, mf_adapter_due(a), INT64_MAX));
}

FLOW_TEST(adapter_operations, in_process_is_what_the_client_says)
{
    cr_assert(eq(int, mf_client_in_process(f->mage), mf_adapter_can(adapter_of(f), MF_CAP_IN_PROCESS)));
}

FLOW_TEST(adapter_operations, outside_of_its_threads_nobody_is_helped)
{
    ends_done(f, start(f, sign(f, "add", NULL), NULL), "1");
    is_status(mf_adapter_help(adapter_of(f), NULL, NULL, 0), MF_E_UNSUPPORTED);
}

FLOW_TEST(adapter_operations, a_worker_of_some_tasks_is_honoured_or_refused_in_words)
{
    const char *names[] = {"add"};
    mf_worker *w = NULL;
    mf_status st = mf_adapter_worker(adapter_of(f), names, 1, MF_WORKER_OPTIONS(.threads = 1), &w, &f->err);
    if (st == MF_OK) {
        mf_worker_destroy(w);
        return;
    }
    is_status(st, MF_E_UNSUPPORTED);
    has_text(f->err.text, "not a choice of");
}

FLOW_TEST(adapter_operations, what_nobody_may_call_fails_when_it_is_called_by_name)
{
    mf_workflow *w = NULL;
    is_status(mf_workflow_open(f->mage, "mageflow.swarm_fill", &w, &f->err), MF_E_UNKNOWN_TASK);
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "mageflow.swarm_fill", .run = NULL), &f->err), MF_E_INVALID);
}

FLOW_TEST(adapter_operations, foreign_tasks_are_watched_or_refused_in_words)
{
    mf_adapter *a = adapter_of(f);
    mf_status st = a->ops->observe != NULL ? MF_OK : mf_adapter_observe(a, &(mf_unit){.index = 0}, &f->err);
    if (st != MF_OK) {
        is_status(st, MF_E_UNSUPPORTED);
        has_text(f->err.text, "serves no tasks of others");
    }
}

/* ---- the host -------------------------------------------------------------------------------------------------------- */

static mf_run *gated(fixture *f, mf_key *key)
{
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", NULL)), NULL);
    *key = mf_run_key(run);
    wait_calls(f, "gate", 1);
    return run;
}

FLOW_TEST(adapter_host, an_outcome_told_from_elsewhere_goes_on_with_the_flow_and_counts_once)
{
    mf_key key;
    mf_run *run = gated(f, &key);
    mf_message *result = msg("\"from elsewhere\"");
    mf_unit unit = {.key = key};
    is_status(f->mage->host.ops->outcome(&f->mage->host, &unit, MF_STATUS_DONE, result, NULL), MF_OK);
    ends_done(f, run, "{\"mageflow_results\":\"from elsewhere\"}");
    mf_message_unref(result);
    open_gate(f);
    settle_down(f);     /* what the gate gives comes too late */
    called(f, "echo", 1);
    is_text(counted(f, &key), "done: total 2, running 0, done 2, failed 0, canceled 0");
}

FLOW_TEST(adapter_host, a_failure_told_from_elsewhere_fails_the_flow)
{
    mf_key key;
    mf_run *run = gated(f, &key);
    mf_message *error = msg("{\"type\":\"Far\",\"text\":\"away\"}");
    mf_unit unit = {.key = key};
    is_status(f->mage->host.ops->outcome(&f->mage->host, &unit, MF_STATUS_FAILED, error, NULL), MF_OK);
    mf_message_unref(error);
    ends_failed(f, run, "Far: away");
    open_gate(f);
    settle_down(f);
    called(f, "echo", 0);
}

FLOW_TEST(adapter_host, what_failed_elsewhere_has_a_whole_error_and_the_message_that_is_told_with_it)
{
    mf_run *run = start(f, on_error(f, sign(f, "gate", NULL), sign(f, "note", NULL)), "{\"a\":1}");
    mf_unit unit = {.key = mf_run_key(run)};
    wait_calls(f, "gate", 1);
    mf_message *error = msg("{\"type\":\"Far\",\"attempt\":7,\"more\":true}"), *sent = msg("{\"a\":1}");
    is_status(f->mage->host.ops->outcome(&f->mage->host, &unit, MF_STATUS_FAILED, error, sent), MF_OK);
    mf_message_unref(error);
    mf_message_unref(sent);
    ends_failed(f, run, "Far: ");
    wait_calls(f, "note", 1);
    is_text(call_of(f, "note", 0).in, "{\"a\":1}");
    char whole[256];
    snprintf(whole, sizeof whole, "{\"type\":\"Far\",\"text\":\"\",\"attempt\":7,\"key\":\"%s\",\"index\":0,\"final\":true,\"more\":true}",
             unit.key.text);
    is_value(call_of(f, "note", 0).error, whole);
    open_gate(f);
    settle_down(f);
    called(f, "note", 1);
}

FLOW_TEST(adapter_host, an_error_that_is_no_map_or_none_at_all_fails_the_flow_all_the_same)
{
    mf_message *errors[] = {msg("\"broken\""), NULL};
    for (size_t i = 0; i < 2; i++) {
        mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", NULL)), NULL);
        mf_unit unit = {.key = mf_run_key(run)};
        wait_calls(f, "gate", i + 1);
        is_status(f->mage->host.ops->outcome(&f->mage->host, &unit, MF_STATUS_FAILED, errors[i], NULL), MF_OK);
        mf_message_unref(errors[i]);
        ends_failed(f, run, "Error: ");
    }
    open_gate(f);
    settle_down(f);
    called(f, "echo", 0);
}

FLOW_TEST(adapter_host, a_stop_by_its_id_reaches_the_call_and_unknown_ids_nobody)
{
    mf_run *run = start(f, sign(f, "linger", NULL), NULL);
    wait_calls(f, "linger", 1);
    f->mage->host.ops->stop(&f->mage->host, MF_STR_LIT("no such id"));
    is_status(mf_run_poll(run, NULL, &f->err), MF_E_AGAIN);
    char id[64] = "";
    mfi_running_look(f->mage);
    MFI_EACH_RUNNING (f->mage, r)
        snprintf(id, sizeof id, "%.*s", (int)r->call.delivery->id.len, r->call.delivery->id.at);
    mfi_running_looked(f->mage);
    f->mage->host.ops->stop(&f->mage->host, mf_cstr(id));
    ends_canceled(f, run);
}
