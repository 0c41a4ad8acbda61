/* Flows as data, started from a message and run to their end. */
#include "kit.h"

static mf_run *start_document(fixture *f, const char *json, const char *message)
{
    mf_message *document = msg(json);
    mf_run *run = mf_flow_start(f->mage, document, message == NULL ? NULL : msg(message), &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    mf_message_unref(document);
    return run;
}

FLOW_TEST(flow_data, a_chain_with_a_swarm_and_callbacks_runs_as_written)
{
    mf_run *run = start_document(f,
        "{\"flow\": {\"chain\": [{\"task\": \"add\", \"kwargs\": {\"by\": 2}},"
        "                        {\"swarm\": [{\"task\": \"echo\"}, {\"task\": \"echo\", \"kwargs\": {\"k\": 10}}], \"name\": \"both\"},"
        "                        {\"task\": \"echo\"}],"
        "            \"on_success\": [{\"task\": \"note\"}], \"on_error\": [{\"task\": \"fail\"}]},"
        " \"message\": {\"n\": 0}}", "{\"n\": 1}");
    mf_key key = mf_run_key(run);
    mf_message *result = NULL, *list = NULL;
    is_status(mf_run_wait(run, PATIENCE, &result, &f->err), MF_OK);
    mf_value values;
    cr_assert(mf_value_get(mf_message_value(result), MF_STR_LIT("mageflow_results"), &values));
    is_status(mf_message_of_value(values, NULL, &list, NULL), MF_OK);
    is_json(list, "[{\"mageflow_results\":3},{\"mageflow_results\":3,\"k\":10}]");
    mf_message_unref(list);
    mf_message_unref(result);
    mf_run_destroy(run);
    wait_calls(f, "note", 1);
    settle_down(f);
    called(f, "note", 1);
    called(f, "fail", 0);

    /* What it was can be read from the store, and started once more. */
    mf_message *flow = NULL;
    is_status(mf_flow_read(f->mage, &key, &flow, &f->err), MF_OK);
    mf_run *again = mf_flow_start(f->mage, flow, msg("{\"n\": 5}"), &f->err);
    cr_assert(ne(ptr, again, NULL), "%s", f->err.text);
    mf_message_unref(flow);
    is_status(mf_run_wait(again, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(again);
    wait_calls(f, "note", 2);
}

FLOW_TEST(flow_data, a_failing_item_stops_the_swarm_as_written)
{
    mf_run *run = start_document(f,
        "{\"swarm\": [{\"task\": \"fail\"}, {\"task\": \"fail\"}], \"max_concurrency\": 1, \"stop_after_failures\": 1,"
        " \"on_error\": [{\"task\": \"note\", \"kwargs\": {\"told\": true}}]}", NULL);
    mf_key key = mf_run_key(run);
    ends_failed(f, run, "TooManyFailures: 1 items failed, stop_after_failures is 1; the last: it broke");
    wait_calls(f, "note", 1);
    settle_down(f);
    called(f, "fail", 1);
    is_text(counted(f, &key), "failed: total 2, running 0, done 0, failed 1, canceled 0");
}
