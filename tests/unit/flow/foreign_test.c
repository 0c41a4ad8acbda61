/* Tasks of others: what goes with their calls. */
#include "bench.h"
#include "foreign.h"

static bench b;

static void init(void)
{
    bench_init(&b);
}

static void fini(void)
{
    bench_fini(&b);
}

TestSuite(flow_foreign, .init = init, .fini = fini);

static void put_theirs(bool with_callbacks)
{
    b.spec = spec_of(&b, MF_KIND_TASK, "theirs", 1, NULL);
    b.spec->foreign = true;
    b.spec->timeout_ms = 100;
    if (with_callbacks)
        add_callbacks(&b);
    b.plan.now_ms = NOW;
}

static void call(const char *message)
{
    mfi_flow_call(b.spec, &(mf_unit){b.spec->key, 0, b.state.epoch}, json(&b, message), &b.plan);
    is_status(b.plan.status, MF_OK);
}

static const mf_note *only_note(void)
{
    cr_assert(eq(sz, b.plan.note_count, 1));
    const mf_note *note = &b.plan.notes[0];
    cr_assert(mf_str_eq(note->space, MFI_FOREIGN_SENT));
    return note;
}

static void is_name(mf_str got, const mf_unit *unit)
{
    char name[MFI_FOREIGN_NAME_MAX];
    cr_assert(mf_str_eq(got, mfi_foreign_name(unit, name)));
}

Test(flow_foreign, the_message_is_noted_for_error_callbacks)
{
    put_theirs(true);
    b.state.epoch = 7;
    call("{\"a\":1}");
    const mf_note *note = only_note();
    is_name(note->name, &(mf_unit){b.spec->key, 0, 7});
    cr_assert(eq(ptr, note->value, b.plan.entries[0].message));
    cr_assert(gt(i64, note->expires_ms, b.plan.entries[1].due_ms));
    cr_assert(not(note->fresh));
}

Test(flow_foreign, where_nobody_asks_for_it_nothing_is_noted)
{
    put_theirs(false);
    call("{\"a\":1}");
    cr_assert(eq(sz, b.plan.note_count, 0));        /* no error callback */
    add_callbacks(&b);
    call(NULL);
    cr_assert(eq(sz, b.plan.note_count, 0));        /* no message */
    b.spec->numbered = true;
    call("{\"a\":1}");
    cr_assert(eq(sz, b.plan.note_count, 0));        /* its record has no end */
    b.spec->numbered = b.spec->foreign = false;
    call("{\"a\":1}");
    cr_assert(eq(sz, b.plan.note_count, 0));        /* a native one brings it */
}

Test(flow_foreign, what_is_put_off_is_noted_for_longer)
{
    put_theirs(true);
    call("{\"a\":1}");
    int64_t expires_ms = only_note()->expires_ms;
    mfi_plan_note(&b.plan, &(mf_note){.space = MF_STR_LIT("other"), .name = MF_STR_LIT("for ever")});
    mfi_plan_put_off(&b.plan, 0, 0, 1000);
    cr_assert(all(eq(i64, b.plan.notes[0].expires_ms, expires_ms + 1000), eq(i64, b.plan.notes[1].expires_ms, 0)));
    cr_assert(all(eq(i64, b.plan.entries[0].due_ms, NOW + 1000), eq(i64, b.plan.entries[1].due_ms, NOW + 100 + 1000)));
}

Test(flow_foreign, each_end_takes_the_note_away_under_the_epoch_of_its_call)
{
    static const mfi_flow_event_kind ends[] = {MFI_EV_ITEM_DONE, MFI_EV_ITEM_FAILED, MFI_EV_ITEM_CANCELED, MFI_EV_CANCEL, MFI_EV_REMOVE};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        bench_fini(&b);
        bench_init(&b);
        put_theirs(true);
        b.state.status = MF_STATUS_ACTIVE;
        b.state.epoch = 7;
        apply(&b, ends[i], 0, NULL, NULL);
        const mf_note *note = only_note();
        is_name(note->name, &(mf_unit){b.spec->key, 0, 7});
        cr_assert(eq(ptr, note->value, NULL));
    }
}

Test(flow_foreign, the_end_of_a_swarms_item_takes_its_note_away)
{
    mf_spec *each = spec_of(&b, MF_KIND_TASK, "theirs", 0, NULL);
    each->foreign = true;
    put_swarm(&b, 2, 2, 0);
    b.spec->each.spec = each;
    start(&b, NULL, NULL);
    publish(&b, "theirs", 2, "{\"a\":1}", true);
    apply(&b, MFI_EV_ITEM_DONE, 0, "1", NULL);
    cr_assert(eq(sz, b.plan.note_count, 0));
    mf_spec *callbacks = spec_of(&b, MF_KIND_TASK, "none", 9, NULL), *record = b.spec;
    b.spec = callbacks;
    add_callbacks(&b);
    b.spec = record;
    each->on_error = callbacks->on_error;
    each->on_error_count = callbacks->on_error_count;
    callbacks->on_error = NULL;
    callbacks->on_error_count = 0;
    mf_spec_unref(callbacks);
    apply(&b, MFI_EV_ITEM_FAILED, 1, "{\"text\":\"x\"}", NULL);
    is_name(only_note()->name, &(mf_unit){b.spec->key, 1, b.state.epoch});
}

/* The list of entries is full but for one: the call finds its place, its timeout none. It must not lend its own to the call. */
Test(flow_foreign, a_timeout_without_memory_leaves_the_call_as_it_is)
{
    put_theirs(false);
    do
        mfi_plan_entry(&b.plan, b.spec, &(mf_unit){.key = b.spec->key}, 1, NULL);
    while (b.plan.entry_count + 1 < b.plan.entry_capacity);
    size_t before = b.plan.entry_count, capacity = b.plan.entry_capacity;
    bool met = false;
    for (long n = 1; !met; n++) {
        long calls = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, calls + n);
        mfi_flow_call(b.spec, &(mf_unit){.key = b.spec->key}, NULL, &b.plan);
        atomic_store(&b.counting.fail_at, 0);
        is_status(b.plan.status, MF_E_NOMEM);
        cr_assert(eq(sz, b.plan.entry_count, before + 1));
        cr_assert(eq(i64, b.plan.entries[before].due_ms, 0));
        met = strstr(b.plan.error.text, "effects of a step") != NULL;
        cr_assert(eq(sz, b.plan.entry_capacity, capacity));
        b.plan.entry_count = before;
        b.plan.status = MF_OK;
    }
}

Test(flow_foreign, a_note_without_memory_fails_the_plan_and_leaks_nothing)
{
    for (long n = 1;; n++) {
        bench_fini(&b);
        bench_init(&b);
        put_theirs(true);
        mf_message *message = json(&b, "{\"a\":1}");
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        mfi_flow_call(b.spec, &(mf_unit){.key = b.spec->key}, message, &b.plan);
        atomic_store(&b.counting.fail_at, 0);
        bool reached = atomic_load(&b.counting.calls) - before >= n;
        is_status(b.plan.status, reached ? MF_E_NOMEM : MF_OK);
        if (!reached)
            break;
    }
    cr_assert(all(eq(sz, b.plan.entry_count, 2), eq(sz, b.plan.note_count, 1)));
}
