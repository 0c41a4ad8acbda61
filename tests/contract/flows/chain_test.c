/* Chains: each result is handed on, and the first failure is the end. */
#include "kit.h"

FLOW_TEST(flow_chain, two_steps_hand_the_result_on)
{
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "add", "{\"by\":10}")), "{\"n\":1}"), "12");
    is_value(call_of(f, "add", 1).in, "{\"n\":2,\"by\":10}");
}

FLOW_TEST(flow_chain, five_steps_run_one_after_the_other)
{
    mf_signature *chain = CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL),
                                sign(f, "echo", NULL));
    ends_done(f, start(f, chain, "{\"n\":0}"), "{\"mageflow_results\":4}");
    called(f, "add", 4);
    for (size_t i = 0; i < 4; i++) {
        char in[32];
        snprintf(in, sizeof in, "{\"n\":%zu}", i);
        is_value(call_of(f, "add", i).in, in);
    }
}

FLOW_TEST(flow_chain, only_the_first_step_receives_the_message)
{
    mf_signature *chain = CHAIN(f, sign(f, "note", NULL), sign(f, "echo", NULL));
    ends_done(f, start(f, chain, "{\"a\":1}"), "{\"mageflow_results\":null}");
    is_value(call_of(f, "note", 0).in, "{\"a\":1}");
}

FLOW_TEST(flow_chain, its_kwargs_reach_each_step_and_win)
{
    mf_signature *chain = mf_chain(f->mage, "chain", msg("{\"by\":100,\"who\":\"chain\"}"), &f->err);
    chain = mf_chain_add(chain, sign(f, "add", "{\"by\":5}"), &f->err);
    chain = mf_chain_add(chain, sign(f, "add", NULL), &f->err);
    chain = mf_chain_add(chain, sign(f, "echo", "{\"who\":\"step\"}"), &f->err);
    ends_done(f, start(f, chain, "{\"n\":1}"), "{\"mageflow_results\":201,\"who\":\"chain\",\"by\":100}");
}

FLOW_TEST(flow_chain, a_failure_in_the_middle_is_the_end)
{
    mf_signature *chain = CHAIN(f, sign(f, "echo", NULL), sign(f, "fail", "{\"k\":1}"), sign(f, "add", NULL));
    chain = on_error(f, on_success(f, chain, sign(f, "linger", NULL)), sign(f, "note", "{\"c\":2}"));
    mf_run *run = start(f, chain, "{\"a\":1}");
    mf_key key = mf_run_key(run);
    ends_failed(f, run, "Boom: it broke");
    settle_down(f);
    called(f, "fail", 1);
    called(f, "add", 0);
    called(f, "linger", 0);
    called(f, "note", 1);
    call c = call_of(f, "note", 0);
    is_value(c.in, "{\"a\":1,\"c\":2}");
    has_text(c.error, "\"text\":\"it broke\",\"type\":\"Boom\"}");
    has_text(c.error, "\"attempt\":1,");
    has_text(c.error, key.text);
    has_text(c.error, "\"index\":1");
    is_text(counted(f, &key), "failed: total 3, running 0, done 1, failed 1, canceled 0");
}

FLOW_TEST(flow_chain, a_failure_in_the_first_step_is_the_end)
{
    ends_failed(f, start(f, CHAIN(f, sign(f, "fail", NULL), sign(f, "note", NULL)), NULL), "Boom: it broke");
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_chain, its_success_callback_receives_the_last_result_once)
{
    mf_signature *chain = on_success(f, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), sign(f, "note", NULL));
    ends_done(f, start(f, chain, "{\"n\":1}"), "3");
    settle_down(f);
    called(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":3}");
}

FLOW_TEST(flow_chain, a_step_may_have_callbacks_of_its_own)
{
    mf_signature *step = on_success(f, sign(f, "add", NULL), sign(f, "note", NULL));
    ends_done(f, start(f, CHAIN(f, step, sign(f, "add", NULL)), "{\"n\":1}"), "3");
    settle_down(f);
    called(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":2}");
}

FLOW_TEST(flow_chain, a_failing_step_tells_its_own_error_callback_and_the_chains)
{
    mf_signature *step = on_error(f, sign(f, "fail", NULL), sign(f, "note", NULL));
    mf_signature *chain = on_error(f, CHAIN(f, sign(f, "echo", NULL), step, sign(f, "linger", NULL)), sign(f, "add", NULL));
    ends_failed(f, start(f, chain, "{\"n\":1}"), "Boom: it broke");
    settle_down(f);
    called(f, "note", 1);
    called(f, "add", 1);
    called(f, "linger", 0);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":{\"n\":1}}");
    is_value(call_of(f, "add", 0).in, "{\"n\":1}");
}

FLOW_TEST(flow_chain, it_counts_its_steps)
{
    mf_run *run = start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "gate", NULL), sign(f, "note", NULL)), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 1);
    is_text(counted(f, &key), "active: total 3, running 1, done 1, failed 0, canceled 0");
    open_gate(f);
    ends_done(f, run, "null");
    is_text(counted(f, &key), "done: total 3, running 0, done 3, failed 0, canceled 0");
}
