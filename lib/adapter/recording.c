/* An adapter wrapped around another: the same table, each call noted and passed on.
 *
 * It stands on both sides: downward it is the adapter of the runtime, upward it is the host of the inner adapter, so that
 * deliveries which a manager takes from the store by itself are seen too. Contexts are the inner adapter's own.
 */
#include <mageflow/adapter.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "memory.h"

struct recording {
    mf_adapter          base;
    mf_adapter_ops      ops;          /* the table, with the inner adapter's name and capabilities */
    mf_host             host;         /* what the inner adapter calls */
    mf_adapter         *inner;
    mf_host            *upper;        /* what the runtime gave */
    const mf_allocator *allocator;
    pthread_mutex_t     lock;
    mf_record_line     *lines;        /* L */
    size_t              count, capacity;
};

static mf_status recording_task(mf_adapter *base, const mf_task_def *def, mf_error *err);

static struct recording *recording_of(mf_adapter *base)
{
    assert(base->ops->task == recording_task);
    return (struct recording *)base;
}

static struct recording *recording_of_host(mf_host *host)
{
    return (struct recording *)(void *)((char *)host - offsetof(struct recording, host));
}

static void note(struct recording *r, mf_recorded what, mf_str name, const mf_unit *unit, uint32_t attempt,
                 mf_signature_status status)
{
    mf_record_line line = {.what = what, .attempt = attempt, .status = status};
    snprintf(line.name, sizeof line.name, "%.*s", (int)name.len, name.at == NULL ? "" : name.at);
    if (unit != NULL)
        line.unit = *unit;
    pthread_mutex_lock(&r->lock);
    if (mfi_array_reserve(r->allocator, (void **)&r->lines, &r->capacity, r->count + 1, sizeof line))
        r->lines[r->count++] = line;
    pthread_mutex_unlock(&r->lock);
}

/* ---- downward -------------------------------------------------------------------------------------------------- */

static mf_status recording_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    struct recording *r = recording_of(base);
    note(r, MF_RECORDED_TASK, mf_cstr(def->name), NULL, 0, MF_STATUS_PENDING);
    return mf_adapter_task(r->inner, def, err);
}

static mf_status recording_durable_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    struct recording *r = recording_of(base);
    note(r, MF_RECORDED_TASK, mf_cstr(def->name), NULL, 0, MF_STATUS_PENDING);
    return mf_adapter_durable_task(r->inner, def, err);
}

static mf_status recording_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                                  mf_worker **out, mf_error *err)
{
    return mf_adapter_worker(recording_of(base)->inner, names, n, options, out, err);
}

static mf_status recording_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    return mf_adapter_workflow(recording_of(base)->inner, name, out, err);
}

static void recording_extract(mf_adapter *base, const mf_delivery *delivery, mf_execution_info *out)
{
    mf_adapter_extract_execution_info(recording_of(base)->inner, delivery, out);
}

static mf_status recording_context(mf_adapter *base, const mf_delivery *delivery, mf_context *ctx)
{
    return mf_adapter_create_task_context(recording_of(base)->inner, delivery, ctx);
}

static mf_status recording_framework(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    return mf_adapter_create_framework_tasks(recording_of(base)->inner, defs, n, err);
}

static mf_status recording_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    struct recording *r = recording_of(base);
    for (size_t i = 0; i < n; i++)
        note(r, MF_RECORDED_PUBLISH, entries[i].spec->name, &entries[i].unit, entries[i].attempt, MF_STATUS_PENDING);
    return mf_adapter_publish(r->inner, entries, n, err);
}

static mf_status recording_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    struct recording *r = recording_of(base);
    for (size_t i = 0; i < n; i++) {
        const mf_delivery *d = settlements[i].delivery;
        note(r, MF_RECORDED_SETTLE, d->task, &d->unit, d->attempt, settlements[i].status);
    }
    return mf_adapter_settle(r->inner, settlements, n, err);
}

static mf_status recording_request_stop(mf_adapter *base, const mf_unit *unit)
{
    struct recording *r = recording_of(base);
    note(r, MF_RECORDED_STOP, mf_str_of(NULL, 0), unit, 0, MF_STATUS_PENDING);
    return mf_adapter_request_stop(r->inner, unit);
}

static mf_status recording_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    return mf_adapter_observe(recording_of(base)->inner, unit, err);
}

static mf_status recording_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    struct recording *r = recording_of(base);
    r->upper = host;
    return mf_adapter_bind(r->inner, &r->host, store, err);
}

static int64_t recording_due(mf_adapter *base)
{
    return mf_adapter_due(recording_of(base)->inner);
}

static mf_status recording_help(mf_adapter *base, bool (*done)(void *), void *arg, int64_t deadline_ns)
{
    return mf_adapter_help(recording_of(base)->inner, done, arg, deadline_ns);
}

static void recording_wake_helpers(mf_adapter *base)
{
    mf_adapter_wake_helpers(recording_of(base)->inner);
}

static mf_status recording_replace_thread(mf_adapter *base, void *thread_mark, bool replace)
{
    return mf_adapter_replace_thread(recording_of(base)->inner, thread_mark, replace);
}

static void *recording_thread_mark(mf_adapter *base)
{
    return mf_adapter_thread_mark(recording_of(base)->inner);
}

static mf_status recording_queues(mf_adapter *base, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err)
{
    return mf_adapter_queues(recording_of(base)->inner, out, room, count, err);
}

static void recording_health(mf_adapter *base, mf_adapter_health *out)
{
    mf_adapter_read_health(recording_of(base)->inner, out);
}

static mf_status recording_dead_page(mf_adapter *base, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err)
{
    return mf_adapter_dead_page(recording_of(base)->inner, after, max, out, got, err);
}

static mf_status recording_dead_read(mf_adapter *base, mf_str key, mf_dead_letter *out, mf_error *err)
{
    return mf_adapter_dead_read(recording_of(base)->inner, key, out, err);
}

static mf_status recording_dead_requeue(mf_adapter *base, mf_str key, mf_error *err)
{
    return mf_adapter_dead_requeue(recording_of(base)->inner, key, err);
}

static mf_status recording_dead_drop(mf_adapter *base, mf_str key, mf_error *err)
{
    return mf_adapter_dead_drop(recording_of(base)->inner, key, err);
}

static void recording_doctor(mf_adapter *base, mf_finding_fn *tell, void *user)
{
    mf_adapter_doctor(recording_of(base)->inner, tell, user);
}

static void recording_destroy(mf_adapter *base)
{
    struct recording *r = recording_of(base);
    mf_adapter_destroy(r->inner);
    pthread_mutex_destroy(&r->lock);
    mfi_release(r->allocator, r->lines, r->capacity * sizeof *r->lines);
    mf_delete(r->allocator, r);
}

/* ---- upward ---------------------------------------------------------------------------------------------------- */

static void recording_deliver(mf_host *host, const mf_delivery *delivery)
{
    struct recording *r = recording_of_host(host);
    note(r, MF_RECORDED_DELIVERY, delivery->task, &delivery->unit, delivery->attempt, MF_STATUS_PENDING);
    r->upper->ops->deliver(r->upper, delivery);
}

static mf_status recording_outcome(mf_host *host, const mf_unit *unit, mf_signature_status status, const mf_message *value,
                                   const mf_message *sent)
{
    struct recording *r = recording_of_host(host);
    return r->upper->ops->outcome(r->upper, unit, status, value, sent);
}

static mf_status recording_lost(mf_host *host, const mf_delivery *delivery, const char *why)
{
    struct recording *r = recording_of_host(host);
    return r->upper->ops->lost(r->upper, delivery, why);
}

static void recording_stop(mf_host *host, mf_str id)
{
    struct recording *r = recording_of_host(host);
    r->upper->ops->stop(r->upper, id);
}

static uint64_t recording_mark(mf_host *host)
{
    struct recording *r = recording_of_host(host);
    return r->upper->ops->mark(r->upper);
}

static mf_status recording_refresh_timeout(mf_host *host, mf_context *ctx, mf_duration more)
{
    struct recording *r = recording_of_host(host);
    return r->upper->ops->refresh_timeout(r->upper, ctx, more);
}

static void recording_flush(mf_host *host)
{
    struct recording *r = recording_of_host(host);
    r->upper->ops->flush(r->upper);
}

static void recording_look(mf_host *host, int64_t within_ms)
{
    struct recording *r = recording_of_host(host);
    r->upper->ops->look(r->upper, within_ms);
}

static void recording_give_up(mf_host *host, const mf_delivery *delivery, const char *type, const char *text)
{
    struct recording *r = recording_of_host(host);
    note(r, MF_RECORDED_DELIVERY, delivery->task, &delivery->unit, delivery->attempt, MF_STATUS_FAILED);
    r->upper->ops->give_up(r->upper, delivery, type, text);
}

static const mf_host_ops recording_host_ops = {
    .struct_size = sizeof(mf_host_ops),
    .deliver = recording_deliver,
    .outcome = recording_outcome,
    .lost = recording_lost,
    .stop = recording_stop,
    .mark = recording_mark,
    .refresh_timeout = recording_refresh_timeout,
    .flush = recording_flush,
    .look = recording_look,
    .give_up = recording_give_up,
};

static const mf_adapter_ops recording_ops = {
    .struct_size = sizeof(mf_adapter_ops),
    .task = recording_task,
    .durable_task = recording_durable_task,
    .worker = recording_worker,
    .workflow = recording_workflow,
    .extract_execution_info = recording_extract,
    .create_task_context = recording_context,
    .create_framework_tasks = recording_framework,
    .publish = recording_publish,
    .settle = recording_settle,
    .request_stop = recording_request_stop,
    .observe = recording_observe,
    .bind = recording_bind,
    .due = recording_due,
    .help = recording_help,
    .wake_helpers = recording_wake_helpers,
    .replace_thread = recording_replace_thread,
    .thread_mark = recording_thread_mark,
    .health = recording_health,
    .dead_page = recording_dead_page,
    .dead_read = recording_dead_read,
    .dead_requeue = recording_dead_requeue,
    .dead_drop = recording_dead_drop,
    .doctor = recording_doctor,
    .queues = recording_queues,
    .destroy = recording_destroy,
};

/* ---- making and reading ---------------------------------------------------------------------------------------- */

mf_status mf_recording_adapter_create(mf_adapter *inner, const mf_allocator *allocator, mf_adapter **out, mf_error *err)
{
    if (inner == NULL)
        return mf_fail(err, MF_E_INVALID, "recording adapter: expected an adapter to wrap, got NULL");
    struct recording *r = mf_new(allocator, struct recording);
    if (r == NULL) {
        mf_adapter_destroy(inner);
        return mf_fail(err, MF_E_NOMEM, "recording adapter: no memory");
    }
    r->ops = recording_ops;
    r->ops.name = inner->ops->name;
    r->ops.capabilities = inner->ops->capabilities;
    r->base.ops = &r->ops;
    r->host.ops = &recording_host_ops;
    r->inner = inner;
    r->allocator = allocator;
    pthread_mutex_init(&r->lock, NULL);
    *out = &r->base;
    return MF_OK;
}

size_t mf_recording_count(mf_adapter *recording)
{
    struct recording *r = recording_of(recording);
    pthread_mutex_lock(&r->lock);
    size_t count = r->count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

mf_status mf_recording_line(mf_adapter *recording, size_t i, mf_record_line *out)
{
    struct recording *r = recording_of(recording);
    mf_status st = MF_E_NOT_FOUND;
    pthread_mutex_lock(&r->lock);
    if (i < r->count) {
        *out = r->lines[i];
        st = MF_OK;
    }
    pthread_mutex_unlock(&r->lock);
    return st;
}
