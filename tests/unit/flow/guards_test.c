/* Guards that no story of a whole flow passes; tests/sim/mutate deletes each and expects somebody to notice. */
#include "bench.h"

#include "compose.h"
#include "memory.h"
#include "registry.h"

static bench b;

static void init(void)
{
    bench_init(&b);
}

static void fini(void)
{
    bench_fini(&b);
}

TestSuite(flow_guards, .init = init, .fini = fini);

/* ---- plans --------------------------------------------------------------------------------------------------------------- */

Test(flow_guards, the_first_failure_of_a_plan_stays)
{
    is_status(mfi_plan_fail(&b.plan, MF_E_TOO_BIG, "first"), MF_E_TOO_BIG);
    is_status(mfi_plan_fail(&b.plan, MF_E_NOMEM, "second"), MF_E_TOO_BIG);
    is_status(mfi_plan_fail(&b.plan, MF_OK, "nothing"), MF_E_TOO_BIG);
    is_text(b.plan.error.text, "first");
}

Test(flow_guards, a_failed_plan_takes_nothing_more)
{
    b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, NULL);
    mfi_plan_entry(&b.plan, b.spec, &(mf_unit){.key = b.spec->key}, 1, NULL);
    mfi_plan_fail(&b.plan, MF_E_NOMEM, "no more");
    mfi_plan_entry(&b.plan, b.spec, &(mf_unit){.key = b.spec->key}, 1, NULL);
    mfi_plan_settle(&b.plan, 3);
    cr_assert(all(eq(sz, b.plan.entry_count, 1), eq(sz, b.plan.settle_count, 0)));
}

Test(flow_guards, items_of_two_additions_begin_where_the_first_one_did)
{
    mf_item item = {.spec = spec_of(&b, MF_KIND_TASK, "item", 0, NULL)};
    mfi_plan_items(&b.plan, 4, &item, 1);
    mfi_plan_items(&b.plan, 5, &item, 1);
    cr_assert(all(eq(u64, b.plan.items_from, 4), eq(sz, b.plan.item_count, 2)));
    mf_spec_unref(item.spec);
}

Test(flow_guards, without_memory_items_and_notes_are_a_failure)
{
    mf_item item = {.spec = spec_of(&b, MF_KIND_TASK, "item", 0, NULL)};
    mf_note note = {.space = MF_STR_LIT("space"), .name = MF_STR_LIT("name")};
    atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + 1);
    mfi_plan_items(&b.plan, 0, &item, 1);
    is_status(b.plan.status, MF_E_NOMEM);
    cr_assert(eq(sz, b.plan.item_count, 0));
    mfi_plan_reset(&b.plan);
    atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + 1);
    mfi_plan_note(&b.plan, &note);
    is_status(b.plan.status, MF_E_NOMEM);
    cr_assert(eq(sz, b.plan.note_count, 0));
    atomic_store(&b.counting.fail_at, 0);
    mf_spec_unref(item.spec);
}

/* Only what is handed on as a result is put into a return field. */
Test(flow_guards, the_message_that_a_chain_is_started_with_need_not_fit_into_a_return_field)
{
    put_chain(&b, 2);
    b.limits.bytes = 6;
    start(&b, "{\"a\":1}", NULL);
    is_status(b.plan.status, MF_OK);
    cr_assert(eq(sz, b.plan.entry_count, 1));
}

/* ---- ends ---------------------------------------------------------------------------------------------------------------- */

static mf_status remove_it(void)
{
    mfi_flow_event event = {.kind = MFI_EV_REMOVE, .removal = {.on_success = true}};
    mfi_plan_reset(&b.plan);
    return mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
}

Test(flow_guards, a_root_that_is_removed_tells_nobody)
{
    put_chain(&b, 2);
    is_status(remove_it(), MF_E_AGAIN);
    cr_assert(eq(sz, b.plan.entry_count, 0));
}

Test(flow_guards, a_callback_that_is_gone_tells_nobody_a_step_its_container)
{
    mfi_start gone = {.key = key_of(MF_KIND_TASK, 5), .index = 3};
    mfi_flow_gone(&gone, &b.plan);
    cr_assert(eq(sz, b.plan.entry_count, 0));
    gone.container = key_of(MF_KIND_SWARM, 9);
    mfi_flow_gone(&gone, &b.plan);
    cr_assert(eq(sz, b.plan.entry_count, 1));
    cr_assert(eq(u64, b.plan.entries[0].unit.index, 3));
}

/* For each allocation that fails in turn: the failure is told, and nothing else is. */
static void fails_at_each(mf_status (*apply_it)(void), void (*prepare)(void))
{
    for (long n = 1;; n++) {
        bench_fini(&b);
        bench_init(&b);
        prepare();
        mfi_plan_fini(&b.plan);
        mfi_plan_init(&b.plan, b.allocator, &b.limits, &b.framework);
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        (void)apply_it();
        atomic_store(&b.counting.fail_at, 0);
        if (atomic_load(&b.counting.calls) - before < n)
            return;
        is_status(b.plan.status, MF_E_NOMEM);
        cr_assert(eq(sz, b.plan.entry_count, 0));
    }
}

static void inside(void)
{
    put_chain(&b, 2);
    put_inside(&b, MF_KIND_SWARM);
}

static void overdue(void)
{
    inside();
    b.state.deadline_ms = NOW - 1;
}

static mf_status expire(void)
{
    mfi_flow_event event = {.kind = MFI_EV_EXPIRE};
    return mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
}

Test(flow_guards, without_memory_for_its_error_a_removal_is_a_failure)
{
    fails_at_each(remove_it, inside);
}

Test(flow_guards, without_memory_for_its_error_an_expiry_is_a_failure)
{
    fails_at_each(expire, overdue);
}

/* ---- messages for items ---------------------------------------------------------------------------------------------------- */

static const char *for_item(const char *message, const char *field)
{
    static char text[200];
    mf_error err;
    mf_message *in = json(&b, message), *out = NULL;
    is_status(mfi_compose_for_item(in, mf_cstr(field), &b.plan, &out, &err), MF_OK);
    char *written = NULL;
    size_t len = 0;
    is_status(mf_message_to_json(out, b.allocator, &written, &len, &err), MF_OK);
    snprintf(text, sizeof text, "%s", written);
    mf_json_free(b.allocator, written, len);
    mf_message_unref(in);
    mf_message_unref(out);
    return text;
}

Test(flow_guards, a_result_moves_to_the_field_in_which_an_item_receives_it)
{
    is_text(for_item("{\"a\":1,\"mageflow_results\":2,\"r\":3}", "r"), "{\"a\":1,\"r\":2}");
    is_text(for_item("{\"a\":1}", "r"), "{\"a\":1}");
    is_text(for_item("{\"mageflow_results\":2}", "mageflow_results"), "{\"mageflow_results\":2}");
    is_text(for_item("{\"mageflow_results\":2}", ""), "{\"mageflow_results\":2}");
    is_text(for_item("7", "r"), "7");
}

/* ---- declarations ---------------------------------------------------------------------------------------------------------- */

static mf_status run(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

Test(flow_guards, a_foreign_task_has_a_timeout_and_no_function)
{
    mfi_registry registry;
    mf_error err = {0};
    mfi_registry_init(&registry, b.allocator);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "theirs"), MFI_TASK_FOREIGN, &err), MF_E_INVALID);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "theirs", .run = run, .timeout = mf_seconds(1)),
                                    MFI_TASK_FOREIGN, &err), MF_E_INVALID);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "theirs", .timeout = mf_seconds(1)), MFI_TASK_FOREIGN, &err),
              MF_OK);
    mfi_registry_fini(&registry);
}

Test(flow_guards, pages_of_tasks_go_on_where_they_ended_and_hold_what_runs_here)
{
    mfi_registry registry;
    mf_error err = {0};
    mfi_task *page[4];
    mfi_registry_init(&registry, b.allocator);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "one", .run = run), MFI_TASK_PLAIN, &err), MF_OK);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "theirs", .timeout = mf_seconds(1)), MFI_TASK_FOREIGN, &err),
              MF_OK);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "two", .run = run), MFI_TASK_DURABLE, &err), MF_OK);
    cr_assert(eq(sz, mfi_registry_page(&registry, mf_str_of(NULL, 0), 4, page), 2));
    cr_assert(eq(sz, mfi_registry_page(&registry, MF_STR_LIT("one"), 4, page), 1));
    is_text(page[0]->def.name, "two");
    mfi_registry_fini(&registry);
}

Test(flow_guards, without_memory_a_task_of_others_is_not_declared)
{
    mfi_registry registry;
    mf_error err = {0};
    mfi_registry_init(&registry, b.allocator);
    mfi_remote remote = {.name = MF_STR_LIT("far"), .return_field = MF_STR_LIT("r")};
    atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + 1);
    is_status(mfi_registry_add_remote(&registry, &remote, &err), MF_E_NOMEM);
    atomic_store(&b.counting.fail_at, 0);
    is_status(mfi_registry_add_remote(&registry, &remote, &err), MF_OK);
    cr_assert(ne(ptr, mfi_registry_task(&registry, MF_STR_LIT("far")), NULL));
    mfi_registry_fini(&registry);
}

static mf_status draw(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)cursor, (void)item, (void)user, (void)err;
    return MF_OK;
}

Test(flow_guards, names_of_sources_have_rules_too)
{
    mfi_registry registry;
    mf_error err = {0};
    mfi_registry_init(&registry, b.allocator);
    is_status(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "", .next = draw), &err), MF_E_INVALID);
    is_status(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "a\nb", .next = draw), &err), MF_E_INVALID);
    cr_assert(eq(ptr, mfi_registry_source(&registry, MF_STR_LIT("")), NULL));
    is_status(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "fine", .next = draw), &err), MF_OK);
    cr_assert(ne(ptr, mfi_registry_source(&registry, MF_STR_LIT("fine")), NULL));
    cr_assert(eq(ptr, mfi_registry_source(&registry, MF_STR_LIT("other")), NULL));
    mfi_registry_fini(&registry);
}

/* ---- what comes too late, and too early ------------------------------------------------------------------------------------ */

Test(flow_guards, an_item_of_a_map_that_ended_calls_nobody_back)
{
    put_swarm(&b, 0, 3, 0);
    mf_spec *each = spec_of(&b, MF_KIND_TASK, "each", 0, NULL);
    mf_spec *own = b.spec;
    b.spec = each;
    add_callbacks(&b);
    b.spec = own;
    own->each.spec = each;
    b.state.closed = false;
    own->source = mf_str_of(mfi_copy_text(b.allocator, MF_STR_LIT("source")), 6);
    start(&b, NULL, NULL);
    publish(&b, "each", 2, "{}", false);
    apply(&b, MFI_EV_CANCEL, 0, NULL, NULL);
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    cr_assert(all(eq(sz, b.plan.start_count, 0), eq(sz, b.plan.outcome_count, 1)));
    apply(&b, MFI_EV_ITEM_FAILED, 1, "{}", NULL);
    cr_assert(eq(sz, b.plan.start_count, 0));
}

static void paused(void)
{
    put_chain(&b, 2);
    b.state.status = MF_STATUS_SUSPENDED;
    b.state.last_status = MF_STATUS_PENDING;
}

static mf_status start_it(void)
{
    mfi_flow_event event = {.kind = MFI_EV_START, .priority = 4};
    return mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
}

Test(flow_guards, a_start_that_finds_its_record_paused_waits_with_it)
{
    paused();
    mf_key key = b.spec->key;
    start_it();
    cr_assert(all(eq(sz, b.plan.entry_count, 1), not(b.plan.changed)));
    is_text(b.plan.entries[0].parked.text, key.text);
    cr_assert(eq(i32, b.plan.entries[0].priority, 4));
    b.state.last_status = MF_STATUS_ACTIVE;     /* it was running: this is a second one */
    mfi_plan_reset(&b.plan);
    start_it();
    cr_assert(eq(sz, b.plan.entry_count, 0));
}

Test(flow_guards, what_a_record_sends_is_as_urgent_as_it_was_said_to_be_or_as_what_brought_it)
{
    for (int said = 0; said <= 7; said += 7) {
        put_chain(&b, 2);
        b.state.priority = said;
        start_it();
        cr_assert(all(eq(i32, b.state.priority, said != 0 ? 7 : 4), eq(i32, b.plan.entries[0].priority, said != 0 ? 7 : 4)));
        mf_spec_unref(b.spec);
        mf_state_unref(&b.state);
        memset(&b.state, 0, sizeof b.state);

        b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, NULL);
        b.state.priority = said;
        b.state.status = MF_STATUS_ACTIVE;
        put_inside(&b, MF_KIND_CHAIN);
        mfi_flow_event end = {.kind = MFI_EV_ITEM_CANCELED, .priority = 4};
        mfi_plan_reset(&b.plan);
        mfi_flow_apply(b.spec, &b.state, &end, NOW, &b.plan);
        cr_assert(eq(i32, b.plan.entries[0].priority, said != 0 ? 7 : 4));

        b.plan.priority = 4;
        mfi_flow_start_entry(b.spec, &b.state, &(mfi_start){.key = b.spec->key}, &b.plan);
        cr_assert(all(eq(i32, b.plan.entries[1].priority, said != 0 ? 7 : 4), eq(i32, b.plan.priority, 4)));
        mfi_plan_reset(&b.plan);
        mf_spec_unref(b.spec);
        b.spec = NULL;
        memset(&b.state, 0, sizeof b.state);
    }
}

Test(flow_guards, without_memory_a_start_that_waits_is_a_failure)
{
    fails_at_each(start_it, paused);
}

Test(flow_guards, it_began_when_it_was_stored_to_begin)
{
    put_chain(&b, 2);
    b.state.started_ms = 5;
    start_it();
    cr_assert(all(eq(i64, b.state.started_ms, 5), eq(int, b.state.status, MF_STATUS_ACTIVE)));
}

Test(flow_guards, an_item_that_cannot_be_sent_does_not_count_as_running)
{
    put_swarm(&b, 2, 3, 0);
    b.spec->kwargs = json(&b, "{\"k\":1}");
    start(&b, NULL, NULL);
    b.limits = (mf_limits){.struct_size = sizeof b.limits, .bytes = 8};
    mf_item item = {.spec = spec_of(&b, MF_KIND_TASK, "item", 0, NULL), .message = json(&b, "{\"a\":\"longer than that\"}")};
    mfi_plan_reset(&b.plan);
    mfi_swarm_publish(b.spec, &b.state, &item, 1, false, &b.plan);
    is_status(b.plan.status, MF_E_TOO_BIG);
    cr_assert(all(eq(u64, b.state.next, 0), eq(u64, b.state.running, 0)));
    mf_spec_unref(item.spec);
    mf_message_unref(item.message);
}

Test(flow_guards, without_memory_the_call_of_others_or_its_timeout_is_a_failure)
{
    for (long n = 1;; n++) {
        bench_fini(&b);
        bench_init(&b);
        b.spec = spec_of(&b, MF_KIND_TASK, "theirs", 1, NULL);
        b.spec->foreign = true;
        b.spec->timeout_ms = 100;
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        mfi_flow_call(b.spec, &(mf_unit){.key = b.spec->key}, NULL, &b.plan);
        atomic_store(&b.counting.fail_at, 0);
        if (atomic_load(&b.counting.calls) - before < n)
            break;
        is_status(b.plan.status, MF_E_NOMEM);
        cr_assert(lt(sz, b.plan.entry_count, 2));
    }
    cr_assert(eq(sz, b.plan.entry_count, 2));
    cr_assert(all(eq(i64, b.plan.entries[0].due_ms, 0), eq(i64, b.plan.entries[1].due_ms, b.plan.now_ms + 100)));
}
