#include "bench.h"

static bench b;

static void a_task(void)
{
    bench_init(&b);
    b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, "{\"k\":1}");
    b.state = (mf_state){.total = 1};
}

static void done(void)
{
    bench_fini(&b);
}

TestSuite(flow_task, .init = a_task, .fini = done);

Test(flow_task, an_event_of_another_kind_changes_nothing_but_settles)
{
    static const mfi_flow_event_kind kinds[] = {MFI_EV_START, MFI_EV_FILL, MFI_EV_SETTLE};
    for (size_t i = 0; i < 3; i++) {
        apply(&b, kinds[i], 0, "{}", NULL);
        is_text(effects(&b), "settle 7\n");
        cr_assert(not(b.plan.changed));
    }
    is_text(state_text(&b), "pending 0/1 running 0 done 0 failed 0 canceled 0 epoch 0");
}

Test(flow_task, its_result_is_kept_and_calls_back)
{
    add_callbacks(&b);
    apply(&b, MFI_EV_ITEM_DONE, 0, "{\"x\":1}", NULL);
    is_text(effects(&b), "settle 7\nstart task-…71 0 result {\"x\":1}\nremove task-…72\n");
    is_text(state_text(&b), "done 0/1 running 0 done 1 failed 0 canceled 0 epoch 0");
}

Test(flow_task, its_failure_calls_back_with_the_message_sent)
{
    add_callbacks(&b);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"x\"}", "{\"sent\":1}");
    is_text(effects(&b), "settle 7\nstart task-…72 0 message {\"sent\":1} error {\"text\":\"x\"}\nremove task-…71\n");
    is_text(state_text(&b), "failed 0/1 running 0 done 0 failed 1 canceled 0 epoch 1");
}

Test(flow_task, ends_once_whatever_comes_later)
{
    static const mfi_flow_event_kind later[] = {MFI_EV_ITEM_DONE, MFI_EV_ITEM_FAILED, MFI_EV_ITEM_CANCELED, MFI_EV_CANCEL,
                                                MFI_EV_FAIL};
    add_callbacks(&b);
    apply(&b, MFI_EV_ITEM_CANCELED, 0, NULL, NULL);
    is_text(state_text(&b), "canceled 0/1 running 0 done 0 failed 0 canceled 1 epoch 1");
    for (size_t i = 0; i < 5; i++) {
        apply(&b, later[i], 0, "{}", NULL);
        is_text(effects(&b), "settle 7\n");
        cr_assert(not(b.plan.changed));
    }
    is_text(state_text(&b), "canceled 0/1 running 0 done 0 failed 0 canceled 1 epoch 1");
}

Test(flow_task, canceled_before_its_start_it_tells_its_container_who_it_is_and_does_so_once)
{
    put_inside(&b, MF_KIND_SWARM);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    cr_assert(ne(ptr, strstr(effects(&b), "entry mageflow.on_swarm_item_error swarm…9 3/0 #1 {\"error\":null,\"child\":\"task-"), NULL));
    apply(&b, MFI_EV_ITEM_CANCELED, 0, NULL, NULL);     /* its call came, and did not run */
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
}

Test(flow_task, a_failure_of_the_flow_itself_ends_it)
{
    add_callbacks(&b);
    apply(&b, MFI_EV_FAIL, 0, "{\"text\":\"x\"}", NULL);
    is_text(effects(&b), "settle 7\nstart task-…72 0 error {\"text\":\"x\"}\nremove task-…71\n");
    is_text(state_text(&b), "failed 0/1 running 0 done 0 failed 0 canceled 0 epoch 1");
}

Test(flow_task, a_numbered_callback_has_no_end)
{
    b.spec->numbered = true;
    apply(&b, MFI_EV_ITEM_DONE, 4, "1", NULL);
    is_text(effects(&b), "settle 7\n");
    cr_assert(not(b.plan.changed));
}

Test(flow_task, without_a_delivery_nothing_is_settled)
{
    mfi_flow_event event = {.kind = MFI_EV_ITEM_DONE};
    mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
    is_text(effects(&b), "");
    cr_assert(b.plan.changed);
}

/* ---- starts become entries -------------------------------------------------------------------------------------------- */

static void start_it(const char *message, bool is_result, const char *inherited, const char *error)
{
    mfi_start s = {.key = b.spec->key, .index = 6, .message = json(&b, message), .is_result = is_result,
                   .inherited = json(&b, inherited), .error = json(&b, error)};
    mfi_plan_reset(&b.plan);
    b.state.epoch = 4;
    mfi_flow_start_entry(b.spec, &b.state, &s, &b.plan);
    mf_message_unref(s.message);
    mf_message_unref(s.inherited);
    mf_message_unref(s.error);
}

Test(flow_task, its_start_is_its_call)
{
    start_it("{\"a\":1,\"k\":0}", false, "{\"up\":1}", NULL);
    is_text(effects(&b), "entry task task-…1 0/4 #1 {\"a\":1,\"k\":1,\"up\":1}\n");
}

Test(flow_task, started_with_a_result_it_finds_it_in_its_return_field)
{
    start_it("5", true, NULL, NULL);
    is_text(effects(&b), "entry task task-…1 0/4 #1 {\"mageflow_results\":5,\"k\":1}\n");
    start_it(NULL, true, NULL, NULL);
    is_text(effects(&b), "entry task task-…1 0/4 #1 {\"mageflow_results\":null,\"k\":1}\n");
}

Test(flow_task, started_by_a_failure_it_carries_the_error_beside_its_message)
{
    start_it("{\"a\":1}", false, NULL, "{\"text\":\"x\"}");
    is_text(effects(&b), "entry task task-…1 0/4 #1 {\"a\":1,\"k\":1} error {\"text\":\"x\"}\n");
}

Test(flow_task, a_numbered_callback_is_called_under_the_items_index)
{
    b.spec->numbered = true;
    start_it("5", true, NULL, NULL);
    is_text(effects(&b), "entry task task-…1 6/4 #1 {\"mageflow_results\":5,\"k\":1}\n");
}

Test(flow_task, a_container_is_started_by_a_message_of_mageflows_own)
{
    mf_spec_unref(b.spec);
    put_chain(&b, 2);
    start_it("{\"a\":1}", false, "{\"up\":1}", NULL);
    is_text(effects(&b), "entry mageflow.run_flow chain…1 0/4 #1 {\"message\":{\"a\":1},\"inherited\":{\"up\":1}}\n");
}

Test(flow_task, only_pending_and_active_ones_run)
{
    for (int head = MF_STATUS_PENDING; head <= MF_STATUS_CANCELED; head++)
        for (int above = MF_STATUS_PENDING; above <= MF_STATUS_CANCELED; above++)
            cr_assert(eq(int, mfi_flow_should_run((mf_signature_status)head, (mf_signature_status)above),
                         head <= MF_STATUS_ACTIVE && above <= MF_STATUS_ACTIVE));
}
