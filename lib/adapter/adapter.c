/* The only caller of an adapter's table: what is optional is settled here, once. */
#include <mageflow/adapter.h>

#include <assert.h>

mf_status mf_adapter_task(mf_adapter *a, const mf_task_def *def, mf_error *err)
{
    return a->ops->task(a, def, err);
}

mf_status mf_adapter_durable_task(mf_adapter *a, const mf_task_def *def, mf_error *err)
{
    return a->ops->durable_task(a, def, err);
}

mf_status mf_adapter_worker(mf_adapter *a, const char *const *names, size_t n, const mf_worker_options *options,
                            mf_worker **out, mf_error *err)
{
    return a->ops->worker(a, names, n, options, out, err);
}

mf_status mf_adapter_workflow(mf_adapter *a, mf_str name, mf_workflow **out, mf_error *err)
{
    return a->ops->workflow(a, name, out, err);
}

void mf_adapter_extract_execution_info(mf_adapter *a, const mf_delivery *delivery, mf_execution_info *out)
{
    a->ops->extract_execution_info(a, delivery, out);
}

mf_status mf_adapter_create_task_context(mf_adapter *a, const mf_delivery *delivery, mf_context *ctx)
{
    return a->ops->create_task_context(a, delivery, ctx);
}

mf_status mf_adapter_create_framework_tasks(mf_adapter *a, const mf_task_def *defs, size_t n, mf_error *err)
{
    return a->ops->create_framework_tasks(a, defs, n, err);
}

mf_status mf_adapter_publish(mf_adapter *a, const mf_entry *entries, size_t n, mf_error *err)
{
    assert(!mf_adapter_can(a, MF_CAP_TAKES));
    return a->ops->publish(a, entries, n, err);
}

mf_status mf_adapter_settle(mf_adapter *a, const mf_settlement *settlements, size_t n, mf_error *err)
{
    return a->ops->settle(a, settlements, n, err);
}

mf_status mf_adapter_request_stop(mf_adapter *a, const mf_unit *unit)
{
    return a->ops->request_stop == NULL ? MF_OK : a->ops->request_stop(a, unit);    /* no other process runs anything */
}

mf_status mf_adapter_observe(mf_adapter *a, const mf_unit *unit, mf_error *err)
{
    if (a->ops->observe == NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "%s serves no tasks of others", a->ops->name);
    return a->ops->observe(a, unit, err);
}

mf_status mf_adapter_bind(mf_adapter *a, mf_host *host, mf_store *store, mf_error *err)
{
    return a->ops->bind(a, host, store, err);
}

int64_t mf_adapter_due(mf_adapter *a)
{
    return a->ops->due == NULL ? INT64_MAX : a->ops->due(a);    /* the outbox publishes what is due */
}

mf_status mf_adapter_help(mf_adapter *a, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    return a->ops->help == NULL ? MF_E_UNSUPPORTED : a->ops->help(a, done, arg, deadline_ns);
}

void mf_adapter_wake_helpers(mf_adapter *a)
{
    if (a->ops->wake_helpers != NULL)
        a->ops->wake_helpers(a);
}

mf_status mf_adapter_replace_thread(mf_adapter *a, void *thread_mark, bool replace)
{
    return a->ops->replace_thread == NULL ? MF_E_FULL : a->ops->replace_thread(a, thread_mark, replace);
}

void *mf_adapter_thread_mark(mf_adapter *a)
{
    return a->ops->thread_mark == NULL ? NULL : a->ops->thread_mark(a);
}

void mf_adapter_read_health(mf_adapter *a, mf_adapter_health *out)
{
    *out = (mf_adapter_health){.link = {.connected = true}};
    if (a->ops->health != NULL)
        a->ops->health(a, out);
}

/* ---- dead letters ------------------------------------------------------------------------------------------------- */

static mf_status no_dead_letter(const mf_adapter *a, mf_str key, mf_error *err)
{
    return mf_fail(err, MF_E_INVALID, "dead letter: expected the key of a signature, as in task-…, got \"%.*s\"; %s keeps none "
                   "of its own", (int)(key.len < 80 ? key.len : 80), key.at, a->ops->name);
}

mf_status mf_adapter_dead_page(mf_adapter *a, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err)
{
    *got = 0;
    return a->ops->dead_page == NULL ? MF_OK : a->ops->dead_page(a, after, max, out, got, err);
}

mf_status mf_adapter_dead_read(mf_adapter *a, mf_str key, mf_dead_letter *out, mf_error *err)
{
    return a->ops->dead_read == NULL ? no_dead_letter(a, key, err) : a->ops->dead_read(a, key, out, err);
}

mf_status mf_adapter_dead_requeue(mf_adapter *a, mf_str key, mf_error *err)
{
    return a->ops->dead_requeue == NULL ? no_dead_letter(a, key, err) : a->ops->dead_requeue(a, key, err);
}

mf_status mf_adapter_dead_drop(mf_adapter *a, mf_str key, mf_error *err)
{
    return a->ops->dead_drop == NULL ? no_dead_letter(a, key, err) : a->ops->dead_drop(a, key, err);
}

/* ------------------------------------------------------------------------------------------------------------------- */

void mf_adapter_doctor(mf_adapter *a, mf_finding_fn *tell, void *user)
{
    if (a->ops->doctor != NULL)
        a->ops->doctor(a, tell, user);
}

mf_status mf_adapter_queues(mf_adapter *a, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err)
{
    *count = 0;
    return a->ops->queues == NULL ? MF_OK : a->ops->queues(a, out, room, count, err);
}

bool mf_adapter_can(const mf_adapter *a, mf_capability capability)
{
    return (a->ops->capabilities & (unsigned)capability) != 0;
}

void mf_adapter_destroy(mf_adapter *a)
{
    if (a != NULL)
        a->ops->destroy(a);
}
