/* Pauses, locks, removal, adding, expiry and waking, one transition at a time: each also twice and too late. */
#include "bench.h"

#include "lifecycle.h"

static bench b;

static void init(void)
{
    bench_init(&b);
}

static void done(void)
{
    bench_fini(&b);
}

TestSuite(flow_lifecycle, .init = init, .fini = done);

static mf_status answer(mfi_flow_event event)
{
    event.settle = 7;
    mfi_plan_reset(&b.plan);
    return mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
}

static mf_status verb(mfi_flow_event_kind kind)
{
    return answer((mfi_flow_event){.kind = kind});
}

static void is_state(const char *text, bool changed)
{
    is_text(state_text(&b), text);
    cr_assert(eq(int, b.plan.changed, changed));
}

/* ---- pauses ---------------------------------------------------------------------------------------------------------- */

Test(flow_lifecycle, a_pause_keeps_the_status_before_it_and_its_deadline_away)
{
    put_chain(&b, 2);
    b.spec->ttl_ms = 100;
    b.state.deadline_ms = NOW + 1;      /* from its storing on */
    start(&b, NULL, NULL);
    cr_assert(eq(i64, b.state.deadline_ms, NOW + 100));
    is_status(verb(MFI_EV_SUSPEND), MF_OK);
    cr_assert(all(eq(int, b.state.status, MF_STATUS_SUSPENDED), eq(int, b.state.last_status, MF_STATUS_ACTIVE),
                  eq(i64, b.state.deadline_ms, 0), eq(u32, b.state.epoch, 0)));
    is_status(verb(MFI_EV_SUSPEND), MF_OK);
    cr_assert(not(b.plan.changed));
    is_status(verb(MFI_EV_INTERRUPT), MF_OK);
    cr_assert(all(eq(int, b.state.status, MF_STATUS_INTERRUPTED), eq(int, b.state.last_status, MF_STATUS_ACTIVE)));
    is_status(verb(MFI_EV_SUSPEND), MF_OK);     /* what is interrupted is suspended already */
    cr_assert(eq(int, b.state.status, MF_STATUS_INTERRUPTED));
    is_status(verb(MFI_EV_RESUME), MF_OK);
    cr_assert(b.plan.resumes);
    cr_assert(all(eq(int, b.state.status, MF_STATUS_ACTIVE), eq(i64, b.state.deadline_ms, NOW + 100)));
    is_status(verb(MFI_EV_RESUME), MF_E_STATE);
    is_state("active 1/2 running 1 done 0 failed 0 canceled 0 epoch 0", false);
}

Test(flow_lifecycle, a_paused_chain_sends_its_next_step_and_holds_its_end)
{
    put_chain(&b, 2);
    start(&b, NULL, NULL);
    verb(MFI_EV_SUSPEND);
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    is_text(effects(&b), "entry step1 chain…1 1/0 #1 {\"r1\":1}\nsettle 7\n");      /* to be parked by whoever claims it */
    apply(&b, MFI_EV_ITEM_DONE, 1, "2", NULL);
    is_text(effects(&b), "settle 7\n");
    is_state("suspended 2/2 running 0 done 2 failed 0 canceled 0 epoch 0", true);
    is_status(verb(MFI_EV_RESUME), MF_OK);
    is_state("done 2/2 running 0 done 2 failed 0 canceled 0 epoch 0", true);
    is_text(mf_signature_status_name(b.state.status), "done");
}

Test(flow_lifecycle, a_step_that_failed_meanwhile_is_the_end_at_the_resume)
{
    put_chain(&b, 2);
    add_callbacks(&b);
    start(&b, "{\"a\":1}", NULL);
    verb(MFI_EV_SUSPEND);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"x\"}", NULL);
    is_text(effects(&b), "settle 7\n");
    is_status(verb(MFI_EV_RESUME), MF_OK);
    is_text(effects(&b), "settle 7\nstart task-…72 0 message {\"a\":1} error {\"text\":\"x\"}\nremove task-…71\n");
    is_state("failed 1/2 running 0 done 0 failed 1 canceled 0 epoch 1", true);
}

Test(flow_lifecycle, a_paused_swarm_fills_nothing_and_ends_at_the_resume)
{
    put_swarm(&b, 3, 2, 0);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    verb(MFI_EV_SUSPEND);
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 0));
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    apply(&b, MFI_EV_ITEM_DONE, 1, "1", NULL);
    is_status(verb(MFI_EV_RESUME), MF_OK);
    is_text(effects(&b), "settle 7\n");
    cr_assert(eq(u64, mfi_swarm_room(b.spec, &b.state), 1));
    publish(&b, "item", 1, NULL, false);
    verb(MFI_EV_SUSPEND);
    apply(&b, MFI_EV_ITEM_DONE, 2, "1", NULL);
    is_text(effects(&b), "outcome 2 done 1\nsettle 7\n");
    verb(MFI_EV_RESUME);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/0 #1\nsettle 7\n");
}

Test(flow_lifecycle, failures_of_a_paused_swarm_stop_it_at_the_resume)
{
    put_swarm(&b, 2, 2, 1);
    start(&b, NULL, NULL);
    publish(&b, "item", 2, NULL, false);
    verb(MFI_EV_SUSPEND);
    apply(&b, MFI_EV_ITEM_FAILED, 0, "{\"text\":\"x\"}", NULL);
    is_state("suspended 2/2 running 1 done 0 failed 1 canceled 0 epoch 0", true);
    verb(MFI_EV_RESUME);
    is_state("failed 2/2 running 1 done 0 failed 1 canceled 0 epoch 1", true);
}

Test(flow_lifecycle, a_paused_task_that_ran_to_its_end_has_ended)
{
    b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, NULL);
    b.state.status = MF_STATUS_ACTIVE;
    b.state.started_ms = 1;
    verb(MFI_EV_SUSPEND);
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    cr_assert(b.plan.resumes);
    cr_assert(eq(int, b.state.status, MF_STATUS_DONE));
    mfi_flow_event_kind late[] = {MFI_EV_SUSPEND, MFI_EV_INTERRUPT, MFI_EV_RESUME, MFI_EV_CANCEL};
    for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
        is_status(verb(late[i]), MF_E_STATE);
        is_text(effects(&b), "settle 7\n");
        cr_assert(not(b.plan.changed));
    }
}

/* ---- locks ----------------------------------------------------------------------------------------------------------- */

Test(flow_lifecycle, a_lock_is_its_holders_until_its_time_is_over)
{
    put_chain(&b, 2);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 5, .until_ms = NOW + 10}), MF_OK);
    cr_assert(mfi_flow_is_locked(&b.state, NOW + 9));
    cr_assert(not(mfi_flow_is_locked(&b.state, NOW + 10)));
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 6, .until_ms = NOW + 10}), MF_E_STATE);
    cr_assert(not(b.plan.changed));
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 5, .renews = true, .until_ms = NOW + 20}), MF_OK);
    cr_assert(eq(i64, b.state.lock_until_ms, NOW + 20));
    is_status(answer((mfi_flow_event){.kind = MFI_EV_UNLOCK, .lock = 6}), MF_E_STALE);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_UNLOCK, .lock = 5}), MF_OK);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_UNLOCK, .lock = 5}), MF_E_STALE);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 6, .until_ms = NOW}), MF_OK);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 7, .until_ms = NOW + 1}), MF_OK);    /* 6 was over */
}

Test(flow_lifecycle, a_lock_that_is_over_is_not_held_on_to)
{
    put_chain(&b, 2);
    mfi_flow_event renewal = {.kind = MFI_EV_LOCK, .lock = 5, .renews = true, .until_ms = NOW + 10};
    is_status(answer(renewal), MF_E_STALE);         /* never was */
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 5, .until_ms = NOW}), MF_OK);
    is_status(answer(renewal), MF_E_STALE);
    cr_assert(not(b.plan.changed));
    is_status(answer((mfi_flow_event){.kind = MFI_EV_LOCK, .lock = 6, .until_ms = NOW + 1}), MF_OK);
    is_status(answer(renewal), MF_E_STATE);         /* and is another's now */
}

/* ---- times to live ---------------------------------------------------------------------------------------------------- */

Test(flow_lifecycle, a_time_to_live_counts_from_the_start_unless_it_was_edited_to_end_later)
{
    static const struct {
        int64_t ttl_ms, before_ms, after_ms;
        bool    inside;
    } cases[] = {
        {100, NOW + 20, NOW + 100, false},      /* stored a while ago */
        {100, NOW + 500, NOW + 500, false},     /* edited */
        {100, 0, 0, false},                     /* edited: for ever */
        {100, 0, NOW + 100, true},              /* waited with what it stands in */
        {100, NOW + 500, NOW + 500, true},
        {0, 0, 0, false},
        {0, NOW + 500, NOW + 500, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_fini(&b);
        bench_init(&b);
        put_chain(&b, 2);
        if (cases[i].inside)
            put_inside(&b, MF_KIND_SWARM);
        b.spec->ttl_ms = cases[i].ttl_ms;
        b.state.deadline_ms = cases[i].before_ms;
        start(&b, NULL, NULL);
        cr_assert(eq(i64, b.state.deadline_ms, cases[i].after_ms), "case %zu", i);
    }
}

Test(flow_lifecycle, what_began_with_its_mf_start_keeps_the_time_it_has)
{
    put_chain(&b, 2);
    b.spec->ttl_ms = 100;
    b.state.started_ms = NOW - 1;
    b.state.deadline_ms = NOW + 5;      /* edited since */
    start(&b, NULL, NULL);
    cr_assert(all(eq(i64, b.state.deadline_ms, NOW + 5), eq(i64, b.state.started_ms, NOW - 1)));
}

/* ---- removal, adding, expiry, waking ---------------------------------------------------------------------------------- */

Test(flow_lifecycle, a_live_record_ends_first_and_goes_then)
{
    put_chain(&b, 2);
    add_callbacks(&b);
    put_inside(&b, MF_KIND_SWARM);
    start(&b, NULL, NULL);
    mfi_flow_event gone = {.kind = MFI_EV_REMOVE, .removal = {.on_success = true}};
    is_status(answer(gone), MF_E_AGAIN);
    is_state("canceled 1/2 running 1 done 0 failed 0 canceled 0 epoch 1", true);
    cr_assert(eq(sz, b.plan.removal_count, 0));
    cr_assert(eq(sz, b.plan.entry_count, 1));       /* its container takes that for its failure */
    is_status(answer(gone), MF_OK);
    cr_assert(not(b.plan.changed));
    is_text(effects(&b), "settle 7\nremove chain…1\n");
    cr_assert(all(b.plan.removals[0].on_success, not(b.plan.removals[0].on_error)));
}

Test(flow_lifecycle, items_are_added_where_they_are_next_and_fit)
{
    put_swarm(&b, 1, 3, 0);
    b.state.closed = false;
    b.spec->max_items = 3;
    start(&b, NULL, NULL);
    mf_item items[3] = {{.spec = spec_of(&b, MF_KIND_TASK, "item", 0, NULL)}, {NULL}, {NULL}};
    items[1] = items[2] = items[0];
    mfi_flow_event add = {.kind = MFI_EV_ADD, .items = items, .item_count = 2, .from = 2};
    is_status(answer(add), MF_E_CONFLICT);
    add.from = 1;
    is_status(answer(add), MF_OK);
    cr_assert(all(eq(u64, b.state.total, 3), eq(u64, b.plan.items_from, 1), eq(sz, b.plan.item_count, 2)));
    add.from = UINT64_MAX;
    add.item_count = 1;
    is_status(answer(add), MF_E_FULL);
    is_status(verb(MFI_EV_CLOSE), MF_OK);
    is_status(answer(add), MF_E_CLOSED);
    is_status(verb(MFI_EV_CLOSE), MF_OK);
    cr_assert(not(b.plan.changed));
    verb(MFI_EV_CANCEL);
    is_status(answer(add), MF_E_STATE);
    is_status(verb(MFI_EV_CLOSE), MF_E_STATE);
    mf_spec_unref(items[0].spec);
}

Test(flow_lifecycle, the_item_that_reaches_the_most_closes_where_that_was_asked)
{
    put_swarm(&b, 0, 3, 0);
    b.state.closed = false;
    b.spec->max_items = 1;
    b.spec->close_on_max = true;
    start(&b, NULL, NULL);
    mf_item item = {.spec = spec_of(&b, MF_KIND_TASK, "item", 0, NULL)};
    is_status(answer((mfi_flow_event){.kind = MFI_EV_ADD, .items = &item, .item_count = 1, .from = UINT64_MAX}), MF_OK);
    cr_assert(b.state.closed);
    mf_spec_unref(item.spec);
}

Test(flow_lifecycle, nothing_is_added_to_a_chain_or_a_map)
{
    put_chain(&b, 2);
    is_status(answer((mfi_flow_event){.kind = MFI_EV_ADD, .from = UINT64_MAX}), MF_E_INVALID);
    is_status(verb(MFI_EV_CLOSE), MF_E_INVALID);
}

Test(flow_lifecycle, closing_the_last_thing_missing_asks_for_the_end)
{
    put_swarm(&b, 0, 3, 0);
    b.state.closed = false;
    start(&b, NULL, NULL);
    is_text(effects(&b), "settle 7\n");
    verb(MFI_EV_CLOSE);
    is_text(effects(&b), "entry mageflow.swarm_fill swarm…1 0/0 #1\nsettle 7\n");
}

Test(flow_lifecycle, what_is_overdue_fails_as_a_dead_letter_once)
{
    put_chain(&b, 2);
    b.spec->ttl_ms = 5;
    b.spec->keep_ms = 9;
    b.state.deadline_ms = NOW + 5;
    start(&b, NULL, NULL);
    verb(MFI_EV_EXPIRE);
    cr_assert(not(b.plan.changed));         /* not yet */
    b.state.deadline_ms = NOW;
    verb(MFI_EV_EXPIRE);
    is_text(b.plan.dead, "Expired");
    is_state("failed 1/2 running 1 done 0 failed 0 canceled 0 epoch 1", true);
    cr_assert(eq(i64, b.state.deadline_ms, NOW + 9));
    b.state.deadline_ms = NOW;
    verb(MFI_EV_EXPIRE);
    cr_assert(all(not(b.plan.changed), eq(ptr, (void *)(uintptr_t)b.plan.dead, NULL)));
}

Test(flow_lifecycle, who_is_woken_is_called_in_a_new_epoch)
{
    b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, NULL);
    b.state.status = MF_STATUS_ACTIVE;
    b.state.started_ms = 1;
    mf_note gone = {.space = MF_STR_LIT("event:x"), .name = MF_STR_LIT("n")};
    mfi_flow_event wake = {.kind = MFI_EV_WAKE, .index = 2, .attempt = 3, .note = &gone, .value = json(&b, "5"),
                           .sent = json(&b, "{\"a\":1}")};
    is_status(answer(wake), MF_OK);
    is_text(effects(&b), "entry task task-…1 0/1 #3 {\"a\":1}\noutcome 2 done 5\nsettle 7\n");
    cr_assert(eq(sz, b.plan.note_count, 1));
    verb(MFI_EV_CANCEL);
    is_status(answer(wake), MF_E_STATE);
    is_text(effects(&b), "settle 7\n");
    cr_assert(eq(sz, b.plan.note_count, 1));    /* nobody waits any more: that is to be forgotten all the same */
    mfi_flow_event_release(&wake);
}
