/* Each allocation of each transition fails in turn: the plan says MF_E_NOMEM, and nothing leaks. */
#include "bench.h"

typedef void prepare_fn(bench *b);

static void chain_to_start(bench *b)
{
    put_chain(b, 2);
    b->spec->kwargs = json(b, "{\"k\":1}");
    b->spec->steps[0].spec->kwargs = json(b, "{\"t\":1}");
}

static void chain_to_step(bench *b)
{
    chain_to_start(b);
    start(b, "{\"a\":1}", "{\"up\":1}");
}

static void chain_to_fail(bench *b)
{
    chain_to_step(b);
    add_callbacks(b);
    put_inside(b, MF_KIND_SWARM);
}

static void chain_to_end(bench *b)
{
    chain_to_fail(b);
    apply(b, MFI_EV_ITEM_DONE, 0, "1", NULL);
}

static void swarm_to_stop(bench *b)
{
    put_swarm(b, 2, 2, 1);
    add_callbacks(b);
    put_inside(b, MF_KIND_CHAIN);
    start(b, NULL, NULL);
    publish(b, "item", 2, NULL, false);
}

static void swarm_to_complete(bench *b)
{
    put_swarm(b, 1, 1, 0);
    start(b, NULL, NULL);
    publish(b, "item", 1, NULL, false);
}

static const struct {
    const char         *name;
    prepare_fn         *prepare;
    mfi_flow_event_kind kind;
    uint64_t            index;
} transitions[] = {
    {"a chain starts", chain_to_start, MFI_EV_START, 0},
    {"a step follows", chain_to_step, MFI_EV_ITEM_DONE, 0},
    {"a chain fails", chain_to_fail, MFI_EV_ITEM_FAILED, 0},
    {"a chain ends", chain_to_end, MFI_EV_ITEM_DONE, 1},
    {"a chain is canceled", chain_to_fail, MFI_EV_CANCEL, 0},
    {"a swarm stops after a failure", swarm_to_stop, MFI_EV_ITEM_FAILED, 0},
    {"a swarm is complete", swarm_to_complete, MFI_EV_ITEM_DONE, 0},
};

/* False: it needed fewer allocations than n. */
static bool fails_at(size_t transition, long n)
{
    bench b;
    bench_init(&b);
    transitions[transition].prepare(&b);
    mfi_plan_fini(&b.plan);     /* room it has already would hide what it asks for */
    mfi_plan_init(&b.plan, b.allocator, &b.limits, &b.framework);
    mfi_flow_event event = {.kind = transitions[transition].kind, .index = transitions[transition].index, .settle = 7,
                            .value = json(&b, "{\"text\":\"x\"}"), .sent = json(&b, "{\"s\":1}"),
                            .inherited = json(&b, "{\"up\":1}")};
    long before = atomic_load(&b.counting.calls);
    atomic_store(&b.counting.fail_at, before + n);
    mfi_flow_apply(b.spec, &b.state, &event, NOW, &b.plan);
    atomic_store(&b.counting.fail_at, 0);
    bool reached = atomic_load(&b.counting.calls) - before >= n;
    cr_assert(eq(int, b.plan.status, reached ? MF_E_NOMEM : MF_OK), "%s, allocation %ld", transitions[transition].name, n);
    mfi_flow_event_release(&event);
    bench_fini(&b);
    return reached;
}

Test(flow_nomem, each_transition_says_so_and_leaks_nothing)
{
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++) {
        long n = 1;
        while (fails_at(i, n))
            n++;
        cr_assert(gt(long, n, 1), "%s allocates nothing, which says nothing", transitions[i].name);
    }
}

Test(flow_nomem, publishing_items_says_so_and_leaks_nothing)
{
    for (long n = 1;; n++) {
        bench b;
        bench_init(&b);
        put_swarm(&b, 3, 3, 0);
        b.spec->kwargs = json(&b, "{\"k\":1}");
        start(&b, "{\"a\":1}", NULL);
        mfi_plan_fini(&b.plan);
        mfi_plan_init(&b.plan, b.allocator, &b.limits, &b.framework);
        mf_item item = {.spec = spec_of(&b, MF_KIND_TASK, "item", 0, "{\"t\":1}"), .message = json(&b, "{\"i\":1}")};
        mf_item items[3] = {item, item, item};
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        mfi_swarm_publish(b.spec, &b.state, items, 3, false, &b.plan);
        atomic_store(&b.counting.fail_at, 0);
        bool reached = atomic_load(&b.counting.calls) - before >= n;
        cr_assert(eq(int, b.plan.status, reached ? MF_E_NOMEM : MF_OK));
        mf_spec_unref(item.spec);
        mf_message_unref(item.message);
        bench_fini(&b);
        if (!reached)
            break;
    }
}

Test(flow_nomem, a_start_becoming_an_entry_says_so_and_leaks_nothing)
{
    for (long n = 1;; n++) {
        bench b;
        bench_init(&b);
        b.spec = spec_of(&b, MF_KIND_TASK, "task", 1, "{\"k\":1}");
        mfi_start s = {.key = b.spec->key, .message = json(&b, "5"), .is_result = true, .error = json(&b, "{}")};
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        mfi_flow_start_entry(b.spec, &b.state, &s, &b.plan);
        atomic_store(&b.counting.fail_at, 0);
        bool reached = atomic_load(&b.counting.calls) - before >= n;
        cr_assert(eq(int, b.plan.status, reached ? MF_E_NOMEM : MF_OK));
        mf_message_unref(s.message);
        mf_message_unref(s.error);
        bench_fini(&b);
        if (!reached)
            break;
    }
}
