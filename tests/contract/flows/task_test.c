/* One task: its result, its failure, its callbacks, its message. */
#include "kit.h"

FLOW_TEST(flow_task, its_result_is_the_runs_result)
{
    ends_done(f, start(f, sign(f, "add", NULL), "{\"n\":41}"), "42");
    called(f, "add", 1);
}

FLOW_TEST(flow_task, a_task_without_a_result_gives_nil)
{
    ends_done(f, start(f, sign(f, "note", NULL), NULL), "null");
    is_text(call_of(f, "note", 0).in, "null");
}

FLOW_TEST(flow_task, its_own_words_are_the_error)
{
    ends_failed(f, start(f, sign(f, "fail", NULL), NULL), "Boom: it broke");
    called(f, "fail", 1);
}

FLOW_TEST(flow_task, stored_kwargs_win_over_the_message_and_merge_deeply)
{
    mf_signature *sig = sign(f, "echo", "{\"a\":{\"x\":1},\"b\":2}");
    ends_done(f, start(f, sig, "{\"a\":{\"x\":0,\"y\":5},\"c\":3}"), "{\"a\":{\"x\":1,\"y\":5},\"c\":3,\"b\":2}");
}

FLOW_TEST(flow_task, a_success_callback_receives_the_result_in_its_return_field)
{
    mf_signature *sig = on_success(f, sign(f, "add", NULL), sign(f, "add", "{\"by\":10}"));
    ends_done(f, start(f, sig, "{\"n\":1}"), "2");
    settle_down(f);
    is_value(call_of(f, "add", 1).in, "{\"n\":2,\"by\":10}");
    called(f, "add", 2);
}

FLOW_TEST(flow_task, a_success_callback_without_a_return_field_finds_mageflow_results)
{
    mf_signature *sig = on_success(f, sign(f, "add", NULL), sign(f, "note", "{\"own\":true}"));
    ends_done(f, start(f, sig, "{\"n\":1}"), "2");
    settle_down(f);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":2,\"own\":true}");
    called(f, "note", 1);
}

FLOW_TEST(flow_task, an_error_callback_receives_the_message_sent_and_the_error)
{
    mf_signature *failing = sign(f, "fail", "{\"b\":2}");
    mf_key key = mf_signature_key(failing);
    mf_signature *sig = on_error(f, failing, sign(f, "note", "{\"c\":3}"));
    ends_failed(f, start(f, sig, "{\"a\":1}"), "Boom: it broke");
    settle_down(f);
    called(f, "note", 1);
    call c = call_of(f, "note", 0);
    is_value(c.in, "{\"a\":1,\"b\":2,\"c\":3}");
    char expected[256];
    snprintf(expected, sizeof expected,
             "{\"type\":\"Boom\",\"text\":\"it broke\",\"attempt\":1,\"key\":\"%s\",\"index\":0,\"final\":true}", key.text);
    is_value(c.error, expected);
}

FLOW_TEST(flow_task, success_starts_no_error_callback_and_failure_no_success_callback)
{
    mf_signature *good = on_error(f, on_success(f, sign(f, "add", NULL), sign(f, "note", NULL)), sign(f, "linger", NULL));
    mf_signature *bad = on_error(f, on_success(f, sign(f, "fail", NULL), sign(f, "linger", NULL)), sign(f, "echo", NULL));
    ends_done(f, start(f, good, NULL), "1");
    ends_failed(f, start(f, bad, NULL), "Boom: it broke");
    settle_down(f);
    called(f, "note", 1);
    called(f, "echo", 1);
    called(f, "linger", 0);
}

FLOW_TEST(flow_task, every_callback_is_started)
{
    mf_signature *sig = sign(f, "add", NULL);
    for (int i = 0; i < 5; i++)
        sig = on_success(f, sig, sign(f, "note", NULL));
    ends_done(f, start(f, sig, NULL), "1");
    settle_down(f);
    called(f, "note", 5);
}

FLOW_TEST(flow_task, a_callback_may_have_callbacks)
{
    mf_signature *last = on_success(f, sign(f, "add", NULL), sign(f, "note", NULL));
    mf_signature *sig = on_success(f, sign(f, "add", NULL), last);
    ends_done(f, start(f, sig, NULL), "1");
    settle_down(f);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":2}");
}

FLOW_TEST(flow_task, a_chain_may_be_a_callback)
{
    mf_signature *sig = on_success(f, sign(f, "add", NULL), CHAIN(f, sign(f, "add", NULL), sign(f, "note", NULL)));
    ends_done(f, start(f, sig, "{\"n\":5}"), "6");
    settle_down(f);
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":7}");
}

FLOW_TEST(flow_task, a_swarm_may_be_a_callback)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.on_success = sign(f, "note", NULL)), sign(f, "echo", NULL),
                                sign(f, "echo", "{\"own\":1}"));
    ends_done(f, start(f, on_success(f, sign(f, "add", NULL), swarm), "{\"n\":5}"), "6");
    settle_down(f);
    has_text(call_of(f, "note", 0).in, "{\"mageflow_results\":[{\"mageflow_results\":6},{\"mageflow_results\":6,\"own\":1}]");
}

FLOW_TEST(flow_task, a_chain_may_be_an_error_callback_and_its_first_step_knows_the_error)
{
    mf_signature *rescue = CHAIN(f, sign(f, "echo", NULL), sign(f, "note", NULL));
    ends_failed(f, start(f, on_error(f, sign(f, "fail", NULL), rescue), "{\"a\":1}"), "Boom: it broke");
    settle_down(f);
    is_value(call_of(f, "echo", 0).in, "{\"a\":1}");
    is_value(call_of(f, "note", 0).in, "{\"mageflow_results\":{\"a\":1}}");
}
