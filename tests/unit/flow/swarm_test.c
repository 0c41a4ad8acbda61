#include "bench.h"

#include "compose.h"

static bench b;

static void init(void)
{
    bench_init(&b);
}

static void done(void)
{
    bench_fini(&b);
}

TestSuite(flow_swarm, .init = init, .fini = done);

Test(flow_swarm, its_room_is_what_may_run_and_what_is_left)
{
    put_swarm(&b, 5, 3, 0);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));     /* not started */
    start(&b, NULL, NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 3));
    publish(&b, "item", 3, NULL, false);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));
    apply(&b, MFI_EV_ITEM_DONE, 1, "1", NULL);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 1));
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    publish(&b, "item", 2, NULL, false);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));
    apply(&b, MFI_EV_ITEM_DONE, 2, "1", NULL);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));     /* nothing is left */
}

Test(flow_swarm, each_item_receives_the_swarms_message_below_its_own)
{
    put_swarm(&b, 2, 3, 0);
    b.spec->kwargs = json(&b, "{\"k\":1}");
    start(&b, "{\"a\":1,\"b\":1}", NULL);
    publish(&b, "item", 2, "{\"b\":2}", false);
    is_text(effects(&b), "entry item swarm…1 0/0 #1 {\"a\":1,\"b\":2,\"k\":1}\n"
                         "entry item swarm…1 1/0 #1 {\"a\":1,\"b\":2,\"k\":1}\n");
    is_text(state_text(&b), "active 2/2 running 2 done 0 failed 0 canceled 0 epoch 0");
}

Test(flow_swarm, the_last_outcome_asks_for_the_end_once)
{
    put_swarm(&b, 2, 3, 0);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    apply(&b, MFI_EV_ITEM_FAILED, 1, "{\"text\":\"x\"}", NULL);
    is_text(effects(&b), "outcome 1 failed {\"text\":\"x\"}\nsettle 7\n");
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/0 #1\noutcome 0 done 5\nsettle 7\n");
    is_text(state_text(&b), "active 2/2 running 0 done 1 failed 1 canceled 0 epoch 0");
}

Test(flow_swarm, a_fill_ends_a_complete_swarm_with_what_it_brings_and_once)
{
    put_swarm(&b, 1, 3, 0);
    add_callbacks(&b);
    start(&b, NULL, NULL);
    publish(&b, "item", 1, NULL, false);
    apply(&b, MFI_EV_FILL, 0, NULL, NULL);
    cr_assert(not(b.plan.changed));                              /* not complete */
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    apply(&b, MFI_EV_FILL, 0, "{\"end\":[5]}", NULL);
    is_text(effects(&b), "settle 7\nstart task-…71 0 result {\"end\":[5]}\nremove task-…72\n");
    is_text(state_text(&b), "done 1/1 running 0 done 1 failed 0 canceled 0 epoch 0");
    apply(&b, MFI_EV_FILL, 0, "{\"end\":[5]}", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
}

Test(flow_swarm, an_empty_closed_one_asks_for_its_end_at_its_start)
{
    put_swarm(&b, 0, 3, 0);
    start(&b, NULL, NULL);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/0 #1\nsettle 7\n");
}

Test(flow_swarm, so_many_failures_end_it_once)
{
    put_swarm(&b, 5, 5, 2);
    add_callbacks(&b);
    start(&b, "{\"a\":1}", NULL);
    publish(&b, "item", 5, NULL, false);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"first\"}", NULL);
    is_text(state_text(&b), "active 5/5 running 4 done 0 failed 1 canceled 0 epoch 0");
    apply(&b, MFI_EV_ITEM_FAILED, 4, "{\"text\":\"second\"}", NULL);
    char want[512];
    snprintf(want, sizeof want,
             "entry mageflow.swarm_fill swarm…1 0/1 #1\n"      /* tells the signatures below that it ended */
             "outcome 4 failed {\"text\":\"second\"}\nsettle 7\nstart task-…72 0 message {\"a\":1} error "
             "{\"type\":\"TooManyFailures\",\"text\":\"2 items failed, stop_after_failures is 2; the last: second\","
             "\"attempt\":1,\"key\":\"%s\",\"index\":0,\"final\":true}\nremove task-…71\n", b.spec->key.text);
    is_text(effects(&b), want);
    is_text(state_text(&b), "failed 5/5 running 3 done 0 failed 2 canceled 0 epoch 1");
    apply(&b, MFI_EV_ITEM_FAILED, 3, "{\"text\":\"third\"}", NULL);
    is_text(effects(&b), "outcome 3 failed {\"text\":\"third\"}\nsettle 7\n");
    is_text(state_text(&b), "failed 5/5 running 2 done 0 failed 3 canceled 0 epoch 1");
}

Test(flow_swarm, an_outcome_never_published_is_not_believed)
{
    put_swarm(&b, 5, 2, 0);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    apply(&b, MFI_EV_ITEM_DONE, 2, "5", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
}

Test(flow_swarm, an_item_that_ends_before_its_start_moves_the_record_on_and_counts_nothing)
{
    put_swarm(&b, 5, 2, 0);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    apply_early(&b, MFI_EV_ITEM_CANCELED, 2, key_of(MF_KIND_TASK, 5));
    is_text(effects(&b), "settle 7\n");
    cr_assert(b.plan.changed);
    is_text(state_text(&b), "active 2/5 running 2 done 0 failed 0 canceled 0 epoch 0");
}

Test(flow_swarm, after_its_cancel_outcomes_are_counted_and_nothing_follows)
{
    put_swarm(&b, 5, 2, 0);
    add_callbacks(&b);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/1 #1\nsettle 7\nremove task-…71\nremove task-…72\n");
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));
    apply(&b, MFI_EV_ITEM_DONE, 0, "5", NULL);
    is_text(effects(&b), "outcome 0 done 5\nsettle 7\n");
    apply(&b, MFI_EV_ITEM_CANCELED, 1, NULL, NULL);
    is_text(effects(&b), "outcome 1 canceled\nsettle 7\n");
    is_text(state_text(&b), "canceled 2/5 running 0 done 1 failed 0 canceled 1 epoch 1");
}

/* ---- drawn items ------------------------------------------------------------------------------------------------------ */

static void put_map(void)
{
    put_swarm(&b, 0, 4, 0);
    b.spec->source = mf_str_of(strcpy(b.allocator->alloc(b.allocator->user, 8), "numbers"), 7);
    b.spec->each.spec = spec_of(&b, MF_KIND_TASK, "each", 0, "{\"k\":1}");
    b.state.closed = false;
}

Test(flow_swarm, drawn_messages_are_given_to_the_one_task)
{
    put_map();
    start(&b, "{\"not\":\"handed on\"}", NULL);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 4));
    publish(&b, "unused", 2, "{\"n\":0}", false);
    is_text(effects(&b), "entry each swarm…1 0/0 #1 {\"n\":0,\"k\":1}\nentry each swarm…1 1/0 #1 {\"n\":0,\"k\":1}\n");
    is_text(state_text(&b), "active 2/2 running 2 done 0 failed 0 canceled 0 epoch 0");
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 2));
    publish(&b, "unused", 0, NULL, true);
    cr_assert(b.state.closed);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));
}

Test(flow_swarm, an_exhausted_source_with_nothing_running_asks_for_the_end)
{
    put_map();
    start(&b, NULL, NULL);
    publish(&b, "unused", 0, NULL, true);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/0 #1\n");
}

Test(flow_swarm, callbacks_of_each_item_carry_its_index)
{
    put_map();
    mf_spec *each = b.spec->each.spec, *map = b.spec;
    b.spec = each;
    add_callbacks(&b);
    b.spec = map;
    start(&b, NULL, NULL);
    publish(&b, "unused", 3, NULL, false);
    apply(&b, MFI_EV_ITEM_DONE, 2, "5", NULL);
    is_text(effects(&b), "outcome 2 done 5\nsettle 7\nstart task-…71 2 result 5\n");
    apply(&b, MFI_EV_ITEM_FAILED, 1, "{\"text\":\"x\"}", "{\"n\":1}");
    is_text(effects(&b), "outcome 1 failed {\"text\":\"x\"}\nsettle 7\n"
                         "start task-…72 1 message {\"n\":1} error {\"text\":\"x\"}\n");
    apply(&b, MFI_EV_ITEM_CANCELED, 0, NULL, NULL);
    is_text(effects(&b), "outcome 0 canceled\nsettle 7\n");
}

Test(flow_swarm, its_expected_items_are_kept_from_its_start)
{
    put_map();
    mfi_flow_event event = {.kind = MFI_EV_START, .expected = 77};
    mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
    cr_assert(eq(u64, b.state.expected, 77));
}

/* ---- how its end travels ---------------------------------------------------------------------------------------------- */

static const char *text_of(const mf_message *message)
{
    static char text[512];
    char *made = NULL;
    size_t len = 0;
    is_status(mf_message_to_json(message, NULL, &made, &len, NULL), MF_OK);
    snprintf(text, sizeof text, "%s", made);
    mf_json_free(NULL, made, len);
    return text;
}

static mf_message *end_of(const char *list)
{
    mf_message *results = json(&b, list), *end = NULL;
    b.state.total = 4, b.state.done = 3, b.state.failed = 1;
    is_status(mfi_compose_swarm_end(b.spec, &b.state, results, &b.plan, &end, NULL), MF_OK);
    mf_message_unref(results);
    return end;
}

Test(flow_swarm, its_end_is_received_as_the_list_and_its_counts)
{
    put_swarm(&b, 0, 1, 0);
    mf_message *end = end_of("[1,2]"), *handed = NULL;
    is_status(mfi_compose_handed(end, MF_STR_LIT("list"), &b.plan, &handed, NULL), MF_OK);
    char want[256];
    snprintf(want, sizeof want, "{\"list\":[1,2],\"mageflow_swarm\":{\"swarm\":\"%s\",\"total\":4,\"done\":3,\"failed\":1}}",
             b.spec->key.text);
    is_text(text_of(handed), want);
    mf_message_unref(handed);
    mf_message_unref(end);
}

Test(flow_swarm, its_end_without_a_list_has_the_counts_alone)
{
    put_swarm(&b, 0, 1, 0);
    mf_message *end = end_of(NULL), *handed = NULL;
    mf_value list;
    cr_assert(not(mfi_compose_results_of(end, &list)));
    is_status(mfi_compose_handed(end, MF_STR_LIT("list"), &b.plan, &handed, NULL), MF_OK);
    cr_assert(eq(ptr, strstr(text_of(handed), "list"), NULL));
    cr_assert(eq(sz, mf_value_count(mf_message_value(handed)), 1));
    mf_message_unref(handed);
    mf_message_unref(end);
}

Test(flow_swarm, a_list_that_only_just_fits_is_left_out_with_its_frame)
{
    put_swarm(&b, 0, 1, 0);
    b.limits.bytes = 110;
    mf_message *end = end_of("[\"0123456789012345678901234567890123456789\"]");
    mf_value list;
    cr_assert(not(mfi_compose_results_of(end, &list)));
    mf_message_unref(end);
}
