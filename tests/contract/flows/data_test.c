/* Flows as data, started from a message and run to their end. */
#include "kit.h"

#include <sched.h>

static mf_run *start_document(fixture *f, const char *json, const char *message)
{
    mf_message *document = msg(json);
    serve_fixture(f);
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
    ends_failed(f, run, "TooManyFailures: 1 item failed, stop_after_failures is 1; the last: it broke");
    wait_calls(f, "note", 1);
    settle_down(f);
    called(f, "fail", 1);
    is_text(counted(f, &key), "failed: total 2, running 0, done 0, failed 1, canceled 0");
}

static void shows(const char *picture, const char *part)
{
    cr_assert(ne(ptr, strstr(picture, part), NULL), "\"%s\" is not in\n%s", part, picture);
}

FLOW_TEST(flow_data, a_flow_is_drawn_as_it_runs_and_when_it_has_ended)
{
    mf_run *run = start_document(f,
        "{\"chain\": [{\"task\": \"echo\"},"
        "            {\"swarm\": [{\"task\": \"gate\"}, {\"task\": \"gate\", \"on_success\": [{\"task\": \"note\"}]}, {\"task\": \"fail\"}],"
        "             \"name\": \"gates\"},"
        "            {\"task\": \"echo\"}]}", NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 2);
    char *text = NULL;
    do {        /* the failure is told before it is counted */
        mf_text_free(f->mage, text);
        is_status(mf_flow_graph(f->mage, &key, MF_GRAPH_MERMAID, &text, &f->err), MF_OK);
        sched_yield();
    } while (strstr(text, "1 failed") == NULL);
    shows(text, "subgraph c0[\"chain<br/>active, 1/3 done\"]");
    shows(text, "n1[\"echo<br/>done\"]:::done");
    shows(text, "subgraph c2[\"swarm gates<br/>active, 0/3 done, 1 failed, 2 running\"]");
    shows(text, "n3[\"[0] gate<br/>active\"]:::active");
    shows(text, "n4[\"[1] gate<br/>active\"]:::active");
    shows(text, "n5[\"[2] fail<br/>failed: Boom: it broke\"]:::failed");
    shows(text, "n6[\"echo<br/>pending\"]:::pending");
    shows(text, "n4 -. on_success .-> n7");
    mf_text_free(f->mage, text);

    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    settle_down(f);
    is_status(mf_flow_graph(f->mage, &key, MF_GRAPH_MERMAID, &text, &f->err), MF_OK);
    shows(text, "chain<br/>done, 3/3 done");
    shows(text, "swarm gates<br/>done, 2/3 done, 1 failed\"]");
    shows(text, "n7[\"note<br/>done\"]:::done");
    mf_text_free(f->mage, text);
    mf_run_destroy(run);
}

/* ---- mageflow.run_flow, as another program calls it ------------------------------------------------------------------ */

static mf_workflow *run_flow_of(fixture *f)
{
    mf_workflow *workflow = NULL;
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "mageflow.run_flow", &workflow, &f->err), MF_OK);
    return workflow;
}

static mf_status call_run_flow(fixture *f, const char *json, mf_message **result)
{
    mf_workflow *workflow = run_flow_of(f);
    mf_message *document = msg(json);
    mf_status st = mf_workflow_run_and_wait(workflow, document, PATIENCE, result, &f->err);
    mf_message_unref(document);
    mf_workflow_destroy(workflow);
    return st;
}

FLOW_TEST(flow_data, a_flow_that_is_sent_to_run_flow_answers_with_its_result)
{
    mf_message *result = NULL;
    is_status(call_run_flow(f, "{\"flow\": {\"chain\": [{\"task\": \"add\"}, {\"task\": \"add\", \"kwargs\": {\"by\": 10}}]},"
                               " \"message\": {\"n\": 1}}", &result), MF_OK);
    is_json(result, "12");
    mf_message_unref(result);
    is_status(call_run_flow(f, "{\"swarm\": [{\"task\": \"add\", \"kwargs\": {\"n\": 1}}, {\"task\": \"note\"}]}", &result), MF_OK);
    is_json(result, "[2,null]");
    mf_message_unref(result);
}

FLOW_TEST(flow_data, run_flow_fails_as_its_flow_does)
{
    mf_message *result = NULL;
    is_status(call_run_flow(f, "{\"task\": \"fail\"}", &result), MF_E_TASK_FAILED);
    has_text(f->err.text, "Boom: it broke");
    is_status(call_run_flow(f, "{\"task\": \"echo\", \"kwarg\": {}}", &result), MF_E_TASK_FAILED);
    has_text(f->err.text, "InvalidFlow: flow: unknown key \"kwarg\"");
    is_status(call_run_flow(f, "{\"cancel\": \"nobody\"}", &result), MF_E_TASK_FAILED);
    has_text(f->err.text, "NotFound: nothing runs under \"nobody\"");
    is_status(call_run_flow(f, "{\"cancel\": 5}", &result), MF_E_TASK_FAILED);
    has_text(f->err.text, "InvalidFlow: cancel: expected text, got an integer");
    cr_assert(eq(ptr, mf_sign(f->mage, "mageflow.run_flow", NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_UNKNOWN_TASK);
}

FLOW_TEST(flow_data, a_flow_that_run_flow_started_can_be_canceled_by_its_unique_name)
{
    mf_message *result = NULL, *document = msg("{\"flow\": {\"chain\": [{\"task\": \"linger\"}, {\"task\": \"note\"}]}, \"unique\": \"order 7\"}");
    mf_workflow *workflow = run_flow_of(f);
    is_status(mf_workflow_run(workflow, document, &f->err), MF_OK);
    wait_calls(f, "linger", 1);
    is_status(call_run_flow(f, "{\"cancel\": \"order 7\"}", &result), MF_OK);
    cr_assert(eq(int, memcmp(json_of(result), "\"chain-", 7), 0));
    mf_message_unref(result);
    mf_message_unref(document);
    mf_workflow_destroy(workflow);
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_data, more_flows_at_once_than_there_are_threads_do_not_wait_for_each_other)
{
    mf_message *document = msg("{\"chain\": [{\"task\": \"echo\"}, {\"task\": \"note\"}]}");
    const mf_message *documents[40];
    mf_workflow *workflow = run_flow_of(f);
    for (size_t i = 0; i < 40; i++)
        documents[i] = document;
    is_status(mf_workflow_run_many(workflow, documents, 40, 0, &f->err), MF_OK);
    wait_calls(f, "note", 40);
    settle_down(f);
    called(f, "note", 40);
    mf_workflow_destroy(workflow);
    mf_message_unref(document);
}
