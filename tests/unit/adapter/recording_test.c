/* The recording adapter around one that only counts, and the settled defaults of what is optional. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "call.h"
#include "counting_allocator.h"

#include <stdio.h>

#define is_text(got, want)   cr_assert(eq(str, (char *)(got), (char *)(want)))
#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))

/* An adapter that does nothing, and counts. */
typedef struct mute {
    mf_adapter base;
    mf_host   *host;
    unsigned   tasks, durables, published, settled, stops, framework, destroyed;
} mute;

static mf_status mute_task(mf_adapter *a, const mf_task_def *def, mf_error *err)
{
    ((mute *)(void *)a)->tasks++;
    return strcmp(def->name, "refused") == 0 ? mf_fail(err, MF_E_UNSUPPORTED, "no") : MF_OK;
}

static mf_status mute_durable(mf_adapter *a, const mf_task_def *def, mf_error *err)
{
    (void)def, (void)err;
    ((mute *)(void *)a)->durables++;
    return MF_OK;
}

static mf_status mute_framework(mf_adapter *a, const mf_task_def *defs, size_t n, mf_error *err)
{
    (void)defs, (void)err;
    ((mute *)(void *)a)->framework += (unsigned)n;
    return MF_OK;
}

static mf_status mute_publish(mf_adapter *a, const mf_entry *entries, size_t n, mf_error *err)
{
    (void)entries, (void)err;
    ((mute *)(void *)a)->published += (unsigned)n;
    return MF_OK;
}

static mf_status mute_settle(mf_adapter *a, const mf_settlement *s, size_t n, mf_error *err)
{
    (void)s, (void)err;
    ((mute *)(void *)a)->settled += (unsigned)n;
    return MF_OK;
}

static mf_status mute_stop(mf_adapter *a, const mf_unit *unit)
{
    (void)unit;
    ((mute *)(void *)a)->stops++;
    return MF_OK;
}

static mf_status mute_bind(mf_adapter *a, mf_host *host, mf_store *store, mf_error *err)
{
    (void)store, (void)err;
    ((mute *)(void *)a)->host = host;
    return MF_OK;
}

static void mute_destroy(mf_adapter *a)
{
    ((mute *)(void *)a)->destroyed++;
}

static const mf_adapter_ops mute_ops = {
    .struct_size = sizeof mute_ops, .name = "mute", .capabilities = MF_CAP_DELAYS, .task = mute_task,
    .durable_task = mute_durable, .create_framework_tasks = mute_framework, .publish = mute_publish, .settle = mute_settle,
    .request_stop = mute_stop, .bind = mute_bind, .destroy = mute_destroy,
};

/* A host that counts. */
static unsigned delivered, outcomes, losses, host_stops, refreshed;

static void host_deliver(mf_host *host, const mf_delivery *d)
{
    (void)host, (void)d;
    delivered++;
}

static mf_status host_outcome(mf_host *host, const mf_unit *unit, mf_signature_status status, const mf_message *value,
                              const mf_message *sent)
{
    (void)host, (void)unit, (void)status, (void)value, (void)sent;
    outcomes++;
    return MF_OK;
}

static mf_status host_lost(mf_host *host, const mf_delivery *d, const char *why)
{
    (void)host, (void)d, (void)why;
    losses++;
    return MF_OK;
}

static void host_stop(mf_host *host, mf_str id)
{
    (void)host, (void)id;
    host_stops++;
}

static mf_status host_refresh(mf_host *host, mf_context *ctx, mf_duration more)
{
    (void)host, (void)ctx, (void)more;
    refreshed++;
    return MF_E_STATE;
}

static uint64_t host_mark(mf_host *host)
{
    (void)host;
    return 42;
}

static const mf_host_ops host_ops = {.struct_size = sizeof host_ops, .deliver = host_deliver, .outcome = host_outcome,
                                     .lost = host_lost, .stop = host_stop, .refresh_timeout = host_refresh,
                                     .mark = host_mark};

static counting_allocator counting;
static mute inner;
static mf_adapter *recording;

static void init(void)
{
    counting_init(&counting);
    inner = (mute){.base.ops = &mute_ops};
    is_status(mf_recording_adapter_create(&inner.base, &counting.allocator, &recording, NULL), MF_OK);
}

static void fini(void)
{
    mf_adapter_destroy(recording);
    cr_assert(eq(uint, inner.destroyed, 1));
    cr_assert(eq(long, atomic_load(&counting.live), 0));
}

TestSuite(adapter_recording, .init = init, .fini = fini);

static void line_is(size_t i, const char *want)
{
    static const char *const words[] = {"task", "publish", "delivery", "settle", "stop"};
    mf_record_line line;
    char text[200];
    is_status(mf_recording_line(recording, i, &line), MF_OK);
    snprintf(text, sizeof text, "%s %s %s/%llu #%u %s", words[line.what], line.name, line.unit.key.text,
             (unsigned long long)line.unit.index, line.attempt, mf_signature_status_name(line.status));
    is_text(text, want);
}

Test(adapter_recording, keeps_a_line_of_each_call_in_order_and_passes_it_on)
{
    mf_key key = {"task-0000000000000000000000001"};
    mf_spec *spec = mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("resize"));
    mf_entry entries[2] = {{.spec = spec, .unit = {.key = key, .index = 4}, .attempt = 1}, {.spec = spec, .attempt = 2}};
    mf_delivery d = {.task = MF_STR_LIT("resize"), .unit = entries[0].unit, .attempt = 3};
    mf_host host = {.ops = &host_ops};
    is_status(mf_adapter_bind(recording, &host, NULL, NULL), MF_OK);
    is_status(mf_adapter_task(recording, MF_TASK_DEF(.name = "resize"), NULL), MF_OK);
    is_status(mf_adapter_durable_task(recording, MF_TASK_DEF(.name = "lasting"), NULL), MF_OK);
    is_status(mf_adapter_publish(recording, entries, 2, NULL), MF_OK);
    inner.host->ops->deliver(inner.host, &d);
    is_status(mf_adapter_settle(recording, &(mf_settlement){.delivery = &d, .status = MF_STATUS_FAILED}, 1, NULL), MF_OK);
    is_status(mf_adapter_request_stop(recording, &entries[0].unit), MF_OK);

    cr_assert(eq(sz, mf_recording_count(recording), 7));
    line_is(0, "task resize /0 #0 pending");
    line_is(1, "task lasting /0 #0 pending");
    line_is(2, "publish resize task-0000000000000000000000001/4 #1 pending");
    line_is(3, "publish resize /0 #2 pending");
    line_is(4, "delivery resize task-0000000000000000000000001/4 #3 pending");
    line_is(5, "settle resize task-0000000000000000000000001/4 #3 failed");
    line_is(6, "stop  task-0000000000000000000000001/4 #0 pending");
    mf_record_line none;
    is_status(mf_recording_line(recording, 7, &none), MF_E_NOT_FOUND);
    cr_assert(inner.tasks == 1 && inner.durables == 1 && inner.published == 2 && inner.settled == 1 && inner.stops == 1);
    cr_assert(eq(uint, delivered, 1));
    mf_spec_unref(spec);
}

Test(adapter_recording, is_the_inner_adapter_for_everybody_else)
{
    mf_error err;
    is_text(recording->ops->name, "mute");
    cr_assert(eq(uint, recording->ops->capabilities, (unsigned)MF_CAP_DELAYS));
    is_status(mf_adapter_task(recording, MF_TASK_DEF(.name = "refused"), &err), MF_E_UNSUPPORTED);
    is_text(err.text, "no");
    is_status(mf_adapter_create_framework_tasks(recording, NULL, 6, NULL), MF_OK);
    cr_assert(eq(uint, inner.framework, 6));
}

Test(adapter_recording, what_comes_from_below_reaches_the_host)
{
    mf_host host = {.ops = &host_ops};
    is_status(mf_adapter_bind(recording, &host, NULL, NULL), MF_OK);
    is_status(inner.host->ops->outcome(inner.host, &(mf_unit){.index = 1}, MF_STATUS_DONE, NULL, NULL), MF_OK);
    is_status(inner.host->ops->lost(inner.host, NULL, "why"), MF_OK);
    inner.host->ops->stop(inner.host, MF_STR_LIT("id"));
    is_status(inner.host->ops->refresh_timeout(inner.host, NULL, 1), MF_E_STATE);
    cr_assert(eq(u64, inner.host->ops->mark(inner.host), 42));
    cr_assert(outcomes == 1 && losses == 1 && host_stops == 1 && refreshed == 1);
}

Test(adapter_recording, what_is_optional_below_stays_so)
{
    is_status(mf_adapter_help(recording, NULL, NULL, 0), MF_E_UNSUPPORTED);
    is_status(mf_adapter_replace_thread(recording, NULL, true), MF_E_FULL);
    cr_assert(eq(ptr, mf_adapter_thread_mark(recording), NULL));
    cr_assert(eq(i64, mf_adapter_due(recording), INT64_MAX));
    mf_adapter_wake_helpers(recording);
    mf_error err;
    is_status(mf_adapter_observe(recording, &(mf_unit){.index = 0}, &err), MF_E_UNSUPPORTED);
    is_text(err.text, "mute serves no tasks of others");
}

Test(adapter_recording, a_long_name_is_cut_and_without_memory_a_line_is_left_out)
{
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    is_status(mf_adapter_task(recording, MF_TASK_DEF(.name = name), NULL), MF_OK);
    mf_record_line line;
    is_status(mf_recording_line(recording, 0, &line), MF_OK);
    cr_assert(eq(sz, strlen(line.name), 63));
    atomic_store(&counting.fail_at, 1);
    atomic_store(&counting.fail_all, true);
    for (int i = 0; i < 100; i++)
        is_status(mf_adapter_task(recording, MF_TASK_DEF(.name = "t"), NULL), MF_OK);
    cr_assert(lt(sz, mf_recording_count(recording), 101));
    cr_assert(eq(uint, inner.tasks, 101));
}

Test(adapter_alone, without_memory_the_inner_one_is_consumed)
{
    counting_allocator c;
    mute m = {.base.ops = &mute_ops};
    mf_adapter *out = NULL;
    mf_error err;
    counting_init(&c);
    atomic_store(&c.fail_at, 1);
    is_status(mf_recording_adapter_create(&m.base, &c.allocator, &out, &err), MF_E_NOMEM);
    cr_assert(eq(uint, m.destroyed, 1));
    cr_assert(eq(ptr, out, NULL));
    is_status(mf_recording_adapter_create(NULL, &c.allocator, &out, &err), MF_E_INVALID);
    mf_adapter_destroy(NULL);
}
