#include "queue_private.h"

#include <assert.h>
#include <stdio.h>

#include "memory.h"

static mf_status queue_task(mf_adapter *base, const mf_task_def *def, mf_error *err);

queue_manager *queue_of(mf_adapter *base)
{
    assert(base->ops->task == queue_task);
    return (queue_manager *)(void *)base;
}

/* ---- parcels --------------------------------------------------------------------------------------------------------- */

void parcel_free(queue_manager *q, parcel *p)
{
    mf_message_unref(p->message);
    mf_message_unref(p->error);
    mf_delete(q->allocator, p);
}

static parcel *parcel_create(queue_manager *q, const mf_entry *e)
{
    parcel *p = mf_new(q->allocator, parcel);
    if (p == NULL)
        return NULL;
    snprintf(p->task, sizeof p->task, "%.*s", (int)e->spec->name.len, e->spec->name.at);
    snprintf(p->id, sizeof p->id, "queue-%lu", atomic_fetch_add(&q->numbers, 1) + 1);
    p->unit = e->unit;
    p->container = e->spec->container;
    p->attempt = e->attempt;
    p->priority = e->priority;
    p->foreign = e->spec->foreign;
    p->message = mf_message_ref(e->message);
    p->error = mf_message_ref(e->error);
    p->copies = q->options.copies > 1 && mf_key_is_set(&e->unit.key) ? q->options.copies : 1;
    return p;
}

parcel *parcel_take(queue_manager *q)
{
    parcel *p = q->first;
    if (p == NULL)
        return NULL;
    p->holders++;
    if (--p->copies == 0) {
        q->first = p->next;
        if (q->first == NULL)
            q->last = &q->first;
    }
    q->running++;
    return p;
}

void parcel_done(queue_manager *q, parcel *p)
{
    pthread_mutex_lock(&q->lock);
    bool gone = --p->holders == 0 && p->copies == 0;
    q->running--;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    if (gone)
        parcel_free(q, p);
}

/* All or none. */
static mf_status queue_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    queue_manager *q = queue_of(base);
    pthread_mutex_lock(&q->lock);
    bool refuse = q->refused < q->options.refusals;
    q->refused += refuse;
    pthread_mutex_unlock(&q->lock);
    if (refuse)
        return mf_fail(err, MF_E_IO, "the queue is not reachable");
    parcel *first = NULL, **last = &first;
    for (size_t i = 0; i < n; i++) {
        parcel *p = parcel_create(q, &entries[i]);
        if (p == NULL) {
            while ((p = first) != NULL) {
                first = p->next;
                parcel_free(q, p);
            }
            return mf_fail(err, MF_E_NOMEM, "queue: no memory for %zu messages", n);
        }
        *last = p;
        last = &p->next;
    }
    atomic_fetch_add(&q->published, n);
    pthread_mutex_lock(&q->lock);
    *q->last = first;
    q->last = last;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return MF_OK;
}

static mf_status queue_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    (void)err;
    queue_manager *q = queue_of(base);
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n; i++)
        queue_answer(q, &settlements[i]);
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return MF_OK;
}

static void queue_wake_helpers(mf_adapter *base)
{
    queue_manager *q = queue_of(base);
    pthread_mutex_lock(&q->lock);
    q->wakes++;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

/* ---- the context ----------------------------------------------------------------------------------------------------- */

static mf_status context_log(mf_context *ctx, mf_str line)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_log(queue_of(ctx->adapter)->store, key, line) : MF_OK;
}

static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_progress(queue_of(ctx->adapter)->store, key, progress) : MF_OK;
}

static void queue_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    (void)base;
    parcel *p = d->native;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .container = p->container, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = d->id, .task_name = d->task, .attempt_number = d->attempt, .raw_context = p,
    };
}

static mf_status queue_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    static const mf_context_ops ops = {.struct_size = sizeof ops, .log = context_log, .progress = context_progress};
    ctx->ops = &ops;
    ctx->adapter = base;
    queue_info(base, d, &ctx->info);
    return MF_OK;
}

/* ---- the rest of the table ------------------------------------------------------------------------------------------- */

static mf_status queue_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    (void)base, (void)def, (void)err;
    return MF_OK;       /* messages name their task; the runtime knows its function */
}

/* The worker threads tell the ends of foreign tasks themselves. */
static mf_status queue_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    (void)base, (void)unit, (void)err;
    return MF_OK;
}

static mf_status queue_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < n; i++)
        st = base->ops->task(base, &defs[i], err);
    return st;
}

static mf_status queue_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    (void)err;
    queue_manager *q = queue_of(base);
    q->host = host;
    q->store = store;
    return MF_OK;
}

static void queue_destroy(mf_adapter *base)
{
    queue_manager *q = queue_of(base);
    for (parcel *p; (p = q->first) != NULL;) {
        q->first = p->next;
        parcel_free(q, p);
    }
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    mf_delete(q->allocator, q);
}

static const mf_adapter_ops queue_ops = {
    .struct_size = sizeof(mf_adapter_ops),
    .name = "queue",
    .capabilities = MF_CAP_IN_PROCESS | MF_CAP_OBSERVES,
    .task = queue_task,
    .durable_task = queue_task,
    .worker = queue_worker,
    .workflow = queue_workflow,
    .extract_execution_info = queue_info,
    .create_task_context = queue_context,
    .create_framework_tasks = queue_framework_tasks,
    .publish = queue_publish,
    .settle = queue_settle,
    .observe = queue_observe,
    .bind = queue_bind,
    .help = queue_help,
    .wake_helpers = queue_wake_helpers,
    .destroy = queue_destroy,
};

mf_status queue_manager_create(const mf_allocator *allocator, const queue_manager_options *options, mf_adapter **out,
                               mf_error *err)
{
    queue_manager *q = mf_new(allocator, queue_manager);
    if (q == NULL)
        return mf_fail(err, MF_E_NOMEM, "queue: no memory");
    q->base.ops = &queue_ops;
    q->allocator = allocator;
    if (options != NULL)
        q->options = *options;
    q->last = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    *out = &q->base;
    return MF_OK;
}

unsigned long queue_manager_published(mf_adapter *adapter)
{
    return atomic_load(&queue_of(adapter)->published);
}
