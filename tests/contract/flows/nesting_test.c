/* Everything may stand in everything. */
#include "kit.h"

FLOW_TEST(flow_nesting, a_chain_in_a_swarm)
{
    mf_signature *swarm = SWARM(f, NULL, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), sign(f, "add", NULL),
                                CHAIN(f, sign(f, "add", "{\"by\":5}"), sign(f, "add", "{\"by\":6}")));
    ends_done(f, start(f, swarm, "{\"n\":1}"), "[3,2,12]");
}

FLOW_TEST(flow_nesting, a_swarm_in_a_chain)
{
    mf_signature *chain = CHAIN(f, sign(f, "add", NULL), SWARM(f, NULL, sign(f, "echo", NULL), sign(f, "note", NULL)),
                                sign(f, "note", NULL));
    ends_done(f, start(f, chain, "{\"n\":1}"), "null");
    has_text(call_of(f, "note", 1).in,
             "{\"mageflow_results\":[{\"mageflow_results\":2},null],\"mageflow_swarm\":{\"done\":2,\"failed\":0,\"swarm\":\"swarm-");
    called(f, "note", 2);
}

FLOW_TEST(flow_nesting, each_item_receives_the_result_before_its_swarm_in_its_own_return_field)
{
    mf_signature *swarm = SWARM(f, NULL, sign(f, "add", NULL), sign(f, "echo", NULL), sign(f, "add", "{\"n\":40}"),
                                CHAIN(f, sign(f, "add", NULL), sign(f, "echo", NULL)), SWARM(f, NULL, sign(f, "add", NULL)));
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), swarm), "{\"n\":1}"),
              "[3,{\"mageflow_results\":2},41,{\"mageflow_results\":3},[3]]");
}

FLOW_TEST(flow_nesting, a_swarm_at_the_end_of_a_chain_gives_its_list)
{
    mf_signature *chain = CHAIN(f, sign(f, "note", NULL), SWARM(f, NULL, sign(f, "add", NULL), sign(f, "add", "{\"n\":2}")));
    ends_done(f, start(f, chain, NULL), "[1,3]");
}

FLOW_TEST(flow_nesting, a_swarm_in_a_swarm)
{
    mf_signature *inner = SWARM(f, NULL, sign(f, "add", "{\"n\":1}"), sign(f, "fail", NULL));
    ends_done(f, start(f, SWARM(f, NULL, inner, sign(f, "add", "{\"n\":9}")), NULL), "[[2,null],10]");
}

FLOW_TEST(flow_nesting, a_chain_in_a_chain)
{
    mf_signature *inner = CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL));
    ends_done(f, start(f, CHAIN(f, inner, sign(f, "add", "{\"by\":10}")), "{\"n\":0}"), "12");
    called(f, "add", 3);
}

FLOW_TEST(flow_nesting, a_chain_in_the_middle_of_a_chain_receives_the_result)
{
    mf_signature *inner = CHAIN(f, sign(f, "add", "{\"by\":2}"), sign(f, "add", "{\"by\":3}"));
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), inner, sign(f, "add", NULL)), "{\"n\":0}"), "7");
}

FLOW_TEST(flow_nesting, three_deep)
{
    mf_signature *deep = SWARM(f, NULL, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), sign(f, "note", NULL));
    mf_signature *middle = CHAIN(f, sign(f, "echo", NULL), deep);
    mf_signature *outer = SWARM(f, NULL, middle, sign(f, "add", "{\"n\":4}"));
    ends_done(f, start(f, outer, NULL), "[[2,null],5]");
    settle_down(f);
    called(f, "add", 3);
}

FLOW_TEST(flow_nesting, kwargs_of_the_outermost_container_win)
{
    mf_signature *inner = mf_chain(f->mage, "inner", msg("{\"k\":\"inner\",\"i\":1}"), &f->err);
    inner = mf_chain_add(mf_chain_add(inner, sign(f, "echo", "{\"k\":\"task\",\"t\":1}"), &f->err), sign(f, "note", NULL), &f->err);
    mf_signature *outer = SWARM(f, MF_SWARM_OPTIONS(.kwargs = msg("{\"k\":\"outer\",\"o\":1}")), inner);
    ends_done(f, start(f, outer, "{\"k\":\"message\",\"m\":1}"), "[null]");
    is_value(call_of(f, "echo", 0).in, "{\"k\":\"outer\",\"m\":1,\"t\":1,\"i\":1,\"o\":1}");
}

FLOW_TEST(flow_nesting, a_failure_deep_below_fails_each_chain_above_it_once)
{
    mf_signature *inner = on_error(f, CHAIN(f, sign(f, "fail", NULL), sign(f, "linger", NULL)), sign(f, "note", NULL));
    mf_signature *outer = on_error(f, CHAIN(f, sign(f, "add", NULL), inner, sign(f, "linger", NULL)), sign(f, "echo", NULL));
    ends_failed(f, start(f, outer, "{\"n\":1}"), "Boom: it broke");
    settle_down(f);
    called(f, "note", 1);
    called(f, "echo", 1);
    called(f, "linger", 0);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":2}");
    is_value(call_of(f, "echo", 0).in, "{\"n\":1}");
}

FLOW_TEST(flow_nesting, a_failed_chain_is_one_failed_item_of_its_swarm)
{
    mf_run *run = start(f, SWARM(f, NULL, CHAIN(f, sign(f, "fail", NULL), sign(f, "note", NULL)), sign(f, "add", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[null,1]");
    is_text(counted(f, &key), "done: total 2, running 0, done 1, failed 1, canceled 0");
}

FLOW_TEST(flow_nesting, a_task_that_returns_the_message_of_a_swarms_end_returns_no_swarms_end)
{
    mf_signature *swarm = SWARM(f, NULL, sign(f, "add", NULL));
    mf_run *run = start(f, CHAIN(f, swarm, sign(f, "echo", NULL), sign(f, "echo", NULL)), NULL);
    mf_message *result = NULL;
    is_status(mf_run_wait(run, PATIENCE, &result, &f->err), MF_OK);
    has_text(json_of(result), "{\"mageflow_results\":{\"mageflow_results\":[1],\"mageflow_swarm\":{\"done\":1,\"failed\":0,\"swarm\":");
    mf_message_unref(result);
    mf_run_destroy(run);
}
