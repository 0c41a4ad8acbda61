#include "bench.h"

static bench b;

static void two_steps(void)
{
    bench_init(&b);
    put_chain(&b, 2);
}

static void done(void)
{
    bench_fini(&b);
}

TestSuite(flow_chain, .init = two_steps, .fini = done);

Test(flow_chain, its_start_sends_the_first_step)
{
    start(&b, "{\"a\":1}", NULL);
    is_text(effects(&b), "entry step0 chain…1 0/0 #1 {\"a\":1}\nsettle 7\n");
    is_text(state_text(&b), "active 1/2 running 1 done 0 failed 0 canceled 0 epoch 0");
    cr_assert(b.plan.changed);
    cr_assert(eq(i64, b.state.started_ms, NOW));
}

Test(flow_chain, a_second_start_changes_nothing_but_settles)
{
    start(&b, "{\"a\":1}", NULL);
    start(&b, "{\"a\":2}", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
    is_text(state_text(&b), "active 1/2 running 1 done 0 failed 0 canceled 0 epoch 0");
}

Test(flow_chain, a_result_is_handed_to_the_next_step_in_its_return_field)
{
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "[5]", NULL);
    is_text(effects(&b), "entry step1 chain…1 1/0 #1 {\"r1\":[5]}\nsettle 7\n");
    is_text(state_text(&b), "active 2/2 running 1 done 1 failed 0 canceled 0 epoch 0");
}

Test(flow_chain, the_last_result_is_its_own)
{
    add_callbacks(&b);
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    apply(&b, MFI_EV_ITEM_DONE, 1, "6", NULL);
    is_text(effects(&b), "settle 7\nstart task-…71 0 result 6\nremove task-…72\n");
    is_text(state_text(&b), "done 2/2 running 0 done 2 failed 0 canceled 0 epoch 0");
    cr_assert(eq(i64, b.state.ended_ms, NOW));
    int64_t result = 0;
    is_status(mf_value_int(mf_message_value(b.state.result), &result), MF_OK);
    cr_assert(eq(i64, result, 6));
}

Test(flow_chain, a_failure_is_its_end_and_its_error_callback_gets_what_it_was_started_with)
{
    add_callbacks(&b);
    start(&b, "{\"a\":1}", NULL);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"x\"}", "{\"sent\":true}");
    is_text(effects(&b), "settle 7\nstart task-…72 0 message {\"a\":1} error {\"text\":\"x\"}\nremove task-…71\n");
    is_text(state_text(&b), "failed 1/2 running 0 done 0 failed 1 canceled 0 epoch 1");
}

Test(flow_chain, the_same_outcome_twice_counts_once)
{
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    is_text(effects(&b), "settle 7\n");
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{}", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
    is_text(state_text(&b), "active 2/2 running 1 done 1 failed 0 canceled 0 epoch 0");
}

Test(flow_chain, an_outcome_that_comes_before_its_step_is_not_believed)
{
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_ITEM_DONE, 1, "5", NULL);
    is_text(effects(&b), "settle 7\n");
    is_text(state_text(&b), "active 1/2 running 1 done 0 failed 0 canceled 0 epoch 0");
}

/* Whoever is about to publish the step in another process looked at it before it ended. */
Test(flow_chain, a_step_that_ends_before_its_start_moves_the_record_on_and_counts_nothing)
{
    apply_early(&b, MFI_EV_ITEM_CANCELED, 0, key_of(MF_KIND_TASK, 5));
    cr_assert(b.plan.changed);
    start(&b, NULL, NULL);
    apply_early(&b, MFI_EV_ITEM_FAILED, 1, key_of(MF_KIND_TASK, 5));
    is_text(effects(&b), "settle 7\n");
    cr_assert(b.plan.changed);
    is_text(state_text(&b), "active 1/2 running 1 done 0 failed 0 canceled 0 epoch 0");
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    apply_early(&b, MFI_EV_ITEM_CANCELED, 1, key_of(MF_KIND_TASK, 5));
    cr_assert(not(b.plan.changed));
}

Test(flow_chain, a_canceled_step_cancels_it_and_calls_nobody)
{
    add_callbacks(&b);
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_ITEM_CANCELED, 0, NULL, NULL);
    is_text(effects(&b), "settle 7\nremove task-…71\nremove task-…72\n");
    is_text(state_text(&b), "canceled 1/2 running 0 done 0 failed 0 canceled 1 epoch 1");
}

Test(flow_chain, canceled_while_a_step_runs_it_counts_the_step_later_and_goes_no_further)
{
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    is_text(effects(&b), "settle 7\n");
    is_text(state_text(&b), "canceled 1/2 running 1 done 0 failed 0 canceled 0 epoch 1");
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    is_text(effects(&b), "settle 7\n");
    is_text(state_text(&b), "canceled 1/2 running 0 done 1 failed 0 canceled 0 epoch 1");
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    cr_assert(not(b.plan.changed));
}

Test(flow_chain, in_a_container_its_end_is_told_there)
{
    put_inside(&b, MF_KIND_SWARM);
    start(&b, "{\"a\":1}", NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    apply(&b, MFI_EV_ITEM_DONE, 1, "6", NULL);
    is_text(effects(&b), "entry mageflow.on_swarm_item_done swarm…9 3/0 #1 6\nsettle 7\n");
}

Test(flow_chain, in_a_container_its_failure_is_told_with_its_message)
{
    put_inside(&b, MF_KIND_CHAIN);
    start(&b, "{\"a\":1}", NULL);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"x\"}", NULL);
    is_text(effects(&b), "entry mageflow.on_chain_error chain…9 3/0 #1 {\"error\":{\"text\":\"x\"},\"message\":{\"a\":1}}\n"
                         "settle 7\n");
}

Test(flow_chain, in_a_container_its_cancel_is_told_without_an_error)
{
    put_inside(&b, MF_KIND_CHAIN);
    start(&b, NULL, NULL);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    is_text(effects(&b), "entry mageflow.on_chain_error chain…9 3/0 #1 {\"error\":null,\"message\":null}\nsettle 7\n");
}

Test(flow_chain, canceled_before_its_start_it_tells_its_container_who_it_is_and_does_so_once)
{
    put_inside(&b, MF_KIND_SWARM);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    cr_assert(ne(ptr, strstr(effects(&b), "entry mageflow.on_swarm_item_error swarm…9 3/0 #1 {\"error\":null,\"child\":\"chain-"), NULL));
    start(&b, "{}", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
    is_text(state_text(&b), "canceled 0/2 running 0 done 0 failed 0 canceled 0 epoch 1");
}

Test(flow_chain, messages_merge_in_order_message_task_item_container_and_those_above)
{
    mf_message_unref(b.spec->kwargs);
    b.spec->kwargs = json(&b, "{\"d\":{\"container\":1},\"o\":\"container\",\"c\":1}");
    b.spec->steps[0].spec->kwargs = json(&b, "{\"d\":{\"task\":1},\"o\":\"task\",\"t\":1}");
    b.spec->steps[0].message = json(&b, "{\"d\":{\"item\":1},\"o\":\"item\",\"t\":2}");
    start(&b, "{\"d\":{\"message\":1},\"o\":\"message\",\"m\":1}", "{\"d\":{\"above\":1},\"o\":\"above\",\"c\":2}");
    is_text(effects(&b),
            "entry step0 chain…1 0/0 #1 "
            "{\"d\":{\"message\":1,\"task\":1,\"item\":1,\"container\":1,\"above\":1},\"o\":\"above\",\"m\":1,\"t\":2,\"c\":2}\n"
            "settle 7\n");
}

Test(flow_chain, a_step_with_a_key_is_started_not_sent)
{
    mf_spec_unref(b.spec->steps[1].spec);
    b.spec->steps[1].spec = spec_of(&b, MF_KIND_SWARM, "inner", 5, NULL);
    b.spec->kwargs = json(&b, "{\"k\":1}");
    start(&b, NULL, "{\"up\":2}");
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    is_text(effects(&b), "settle 7\nstart swarm…5 1 result 5 inherited {\"k\":1,\"up\":2}\n");
}
