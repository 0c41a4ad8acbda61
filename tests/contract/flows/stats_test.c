/* What is counted, and how a client says that it does well: mageflow/stats.h. */
#include "kit.h"

#include <limits.h>
#include <sched.h>

static mf_task_stats stats_of(fixture *f, const char *task)
{
    mf_task_stats all[16];
    size_t n = mf_stats_tasks(f->mage, mf_str_of(NULL, 0), all, 16);
    for (size_t i = 0; i < n; i++)
        if (mf_str_eq(all[i].task, mf_cstr(task)))
            return all[i];
    cr_assert(false, "\"%s\" is not among the tasks", task);
    return all[0];
}

static uint64_t measured(const mf_task_stats *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= MF_STATS_BOUNDS; i++)
        sum += s->within[i];
    return sum;
}

static mf_health health_of(fixture *f)
{
    mf_health h = {.struct_size = sizeof h};
    is_status(mf_health_read(f->mage, &h), MF_OK);
    return h;
}

/* Nothing tells that a health has changed: look until it has. */
static mf_health wait_trouble(fixture *f, mf_trouble trouble)
{
    int64_t deadline = mf_clock_default()->monotonic_ns(NULL) + PATIENCE;
    mf_health h;
    while ((h = health_of(f)).trouble != trouble) {
        cr_assert(lt(i64, mf_clock_default()->monotonic_ns(NULL), deadline), "trouble is %d: %s", h.trouble, h.text);
        sched_yield();
    }
    return h;
}

FLOW_TEST(flow_stats, each_call_is_counted_by_its_end)
{
    ends_done(f, start(f, sign(f, "echo", NULL), "{\"a\":1}"), "{\"a\":1}");
    ends_done(f, start(f, sign(f, "echo", NULL), "{}"), "{}");
    ends_failed(f, start(f, sign(f, "fail", NULL), NULL), "Boom: it broke");
    ends_done(f, start(f, sign(f, "flaky", NULL), "{\"good\":3}"), "3");
    mf_signature *sig = sign(f, "linger", NULL);
    mf_key key = mf_signature_key(sig);
    mf_run *run = start(f, sig, NULL);
    wait_calls(f, "linger", 1);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    ends_canceled(f, run);
    settle_down(f);
    if (f->maker->quirks.twice)
        return;     /* some run twice, and their second outcome is nobody's */
    mf_task_stats echo = stats_of(f, "echo"), fail = stats_of(f, "fail"), flaky = stats_of(f, "flaky"),
                  linger = stats_of(f, "linger"), note = stats_of(f, "note");
    cr_assert(all(eq(u64, echo.started, 2), eq(u64, echo.succeeded, 2), eq(u64, echo.failed, 0), eq(u64, echo.retried, 0)));
    cr_assert(all(eq(u64, fail.started, 1), eq(u64, fail.succeeded, 0), eq(u64, fail.failed, 1), eq(u64, fail.retried, 0)));
    cr_assert(all(eq(u64, flaky.started, 3), eq(u64, flaky.succeeded, 1), eq(u64, flaky.failed, 0), eq(u64, flaky.retried, 2)));
    cr_assert(all(eq(u64, linger.started, 1), eq(u64, linger.canceled, 1), eq(u64, linger.succeeded, 0)));
    cr_assert(all(eq(u64, note.started, 0), eq(u64, note.succeeded, 0)));
    cr_assert(eq(u64, measured(&echo), 0), "nobody asked for durations");
}

FLOW_TEST(flow_stats, durations_are_measured_once_asked_for)
{
    mf_stats_measure(f->mage, true);
    for (int i = 0; i < 3; i++)
        ends_done(f, start(f, sign(f, "echo", NULL), "{}"), "{}");
    settle_down(f);
    mf_task_stats echo = stats_of(f, "echo");
    cr_assert(eq(u64, measured(&echo), echo.started));
    cr_assert(gt(u64, echo.spent_ns, 0));
    mf_stats_measure(f->mage, false);
    ends_done(f, start(f, sign(f, "echo", NULL), "{}"), "{}");
    settle_down(f);
    mf_task_stats after = stats_of(f, "echo");
    cr_assert(eq(u64, measured(&after), measured(&echo)));
    cr_assert(gt(u64, after.started, echo.started));
}

FLOW_TEST(flow_stats, pages_give_every_task_once_in_order)
{
    mf_task_stats all[16], one;
    size_t n = mf_stats_tasks(f->mage, mf_str_of(NULL, 0), all, 16);
    cr_assert(gt(sz, n, 5));
    mf_str after = mf_str_of(NULL, 0);
    for (size_t i = 0; i < n; i++) {
        cr_assert(eq(sz, mf_stats_tasks(f->mage, after, &one, 1), 1));
        cr_assert(mf_str_eq(one.task, all[i].task), "task %zu", i);
        after = one.task;
    }
    cr_assert(eq(sz, mf_stats_tasks(f->mage, after, &one, 1), 0));
}

FLOW_TEST(flow_stats, a_worker_that_runs_a_call_is_well_and_says_so)
{
    mf_run *run = start(f, sign(f, "gate", NULL), "{}");
    wait_calls(f, "gate", 1);
    mf_health h = wait_trouble(f, MF_TROUBLE_NONE);
    is_text(h.text, "");
    cr_assert(all(h.manager.link.connected, h.store.connected));
    cr_assert(ge(uint, h.running, 1u));
    cr_assert(eq(uint, h.stuck, 0u));
    open_gate(f);
    ends_done(f, run, "{}");
    settle_down(f);
    cr_assert(eq(uint, health_of(f).running, 0u));
    is_status(mf_unserve(f->mage), MF_OK);
    h = health_of(f);
    cr_assert(eq(int, h.trouble, MF_TROUBLE_NOT_SERVING));
    is_text(h.text, "nothing is served");
}

FLOW_TEST(flow_stats, a_store_that_refuses_is_told_until_it_takes_again)
{
    mf_stats before = {.struct_size = sizeof before}, after = before;
    ends_done(f, start(f, sign(f, "echo", NULL), "{}"), "{}");
    settle_down(f);
    wait_trouble(f, MF_TROUBLE_NONE);
    is_status(mf_stats_read(f->mage, &before), MF_OK);
    cr_assert(gt(u64, before.commits, 0));
    atomic_store(&f->store->refusal, MF_E_IO);
    atomic_store(&f->store->refusals, INT_MAX);
    mf_run *run = start(f, SWARM(f, NULL, sign(f, "echo", NULL), sign(f, "echo", NULL)), "{}");
    mf_health h = wait_trouble(f, MF_TROUBLE_STORE);
    has_text(h.text, "the store refuses");
    atomic_store(&f->store->refusals, 0);
    ends_done(f, run, "[{},{}]");
    wait_trouble(f, MF_TROUBLE_NONE);
    is_status(mf_stats_read(f->mage, &after), MF_OK);
    cr_assert(gt(u64, after.refusals, before.refusals));
    cr_assert(gt(u64, after.commits, before.commits));
}

FLOW_TEST(flow_stats, a_struct_without_its_size_is_refused)
{
    mf_stats stats = {0};
    mf_health health = {0};
    is_status(mf_stats_read(f->mage, &stats), MF_E_INVALID);
    is_status(mf_health_read(f->mage, &health), MF_E_INVALID);
    is_status(mf_stats_read(f->mage, NULL), MF_E_INVALID);
}

Test(flow_stats, bounds_ascend_and_end)
{
    for (unsigned i = 1; i < MF_STATS_BOUNDS; i++) {
        cr_assert(gt(i64, mf_stats_bound(i), mf_stats_bound(i - 1)));
    }
    cr_assert(eq(i64, mf_stats_bound(MF_STATS_BOUNDS), MF_FOREVER));
}
