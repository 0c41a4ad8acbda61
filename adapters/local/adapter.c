/* Local threads as a task manager: the store's ready queue is the queue, mageflow::pool runs what is taken from it. */
#include "local.h"
#include "local_adapter.h"

#include <assert.h>

#include "memory.h"
#include "stack.h"

#define MAX_REPLACED 4      /* threads put in the place of calls that ignore their timeout */

static mf_status local_task(mf_adapter *base, const mf_task_def *def, mf_error *err);

local *local_of(mf_adapter *base)
{
    assert(base->ops->task == local_task);
    return (local *)(void *)base;
}

static mf_status local_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    return def->max_concurrency > 0 ? local_gate_add(local_of(base), def, err) : MF_OK;
}

/* Entries are taken from the bound store; the runtime never publishes. */
static mf_status local_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    (void)base, (void)entries, (void)n;
    return mf_fail(err, MF_E_UNSUPPORTED, "local threads take their messages from the store");
}

/* Where the last look ended for want of slots, a job that ends looks next. No entry is missed: the look that clears `starved`
 * takes from the store after that, and the store orders its takes with the commit that told of this. */
static void on_ready(void *user, size_t n)
{
    (void)n;
    local *l = user;
    if (!atomic_load_explicit(&l->starved, memory_order_acquire))
        local_pump(l);
}

static void on_elsewhere(void *user)
{
    local_pump(user);
}

static mf_status local_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    local *l = local_of(base);
    l->host = host;
    l->store = store;
    mf_status st = mf_store_watch_start(store, &(mf_store_watch){.ready = on_ready, .elsewhere = on_elsewhere, .user = l});
    return st == MF_OK ? MF_OK : mf_fail(err, st, "local threads: cannot watch the store: %s", mf_status_text(st));
}

static mf_status local_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    local *l = local_of(base);
    if (l->pool == NULL || !mf_pool_on_worker(l->pool))
        return MF_E_UNSUPPORTED;
    if (mfi_stack_is_short())
        return MF_E_FULL;
    local_slot_release(l);
    mf_status st = mf_pool_help_until(l->pool, done, arg, deadline_ns);
    local_slot_take(l);
    return st;
}

/* seq_cst, as is what worker_stop does: either it sees the visitor, or the visitor sees no pool. */
mf_pool *local_pool_enter(local *l)
{
    atomic_fetch_add(&l->visitors, 1);
    return atomic_load(&l->pool);
}

void local_pool_leave(local *l)
{
    atomic_fetch_sub(&l->visitors, 1);
}

static void local_wake_helpers(mf_adapter *base)
{
    local *l = local_of(base);
    mf_pool *pool = local_pool_enter(l);
    if (pool != NULL)
        mf_pool_wake_helpers(pool);
    local_pool_leave(l);
}

static void *local_thread_mark(mf_adapter *base)
{
    (void)base;
    return mf_pool_current_worker();
}

static mf_status local_replace_thread(mf_adapter *base, void *thread_mark, bool replace)
{
    local *l = local_of(base);
    if (thread_mark == NULL)
        return MF_E_FULL;
    if (!replace)
        mf_pool_restore(thread_mark);
    mfi_mutex_lock(&l->lock);
    bool room = !replace || l->replaced < MAX_REPLACED;
    if (room) {     /* the stuck call keeps its slot; its stand-in brings another */
        l->replaced += replace ? 1u : -1u;
        l->least += replace ? 1u : -1u;
        l->slots += replace ? 1u : -1u;
        l->low += replace ? 1u : -1u;
    }
    mfi_mutex_unlock(&l->lock);
    if (!room)
        return MF_E_FULL;
    if (replace) {
        (void)mf_pool_compensate(thread_mark);  /* without a spare the pool goes on with one thread less until restore */
        local_pump(l);
    }
    return MF_OK;
}

static void local_health(mf_adapter *base, mf_adapter_health *out)
{
    local *l = local_of(base);
    mf_pool_counts counts = {0};
    mfi_mutex_lock(&l->lock);
    if (atomic_load_explicit(&l->serving, memory_order_relaxed)) {      /* worker_stop waits for the lock before the pool goes */
        (void)mf_pool_stats(l->pool, &counts);
        out->slots = l->slots;
    }
    out->threads = counts.workers;
    out->held = l->in_flight;
    out->replaced = l->replaced;
    mfi_mutex_unlock(&l->lock);
}

static void local_destroy(mf_adapter *base)
{
    local *l = local_of(base);
    if (l->store != NULL)
        mf_store_watch_stop(l->store, l);
    local_jobs_free(l);
    local_gate_free(l);
    mf_delete(l->allocator, l);
}

static const mf_adapter_ops local_ops = {
    .struct_size = sizeof(mf_adapter_ops),
    .name = "local",
    .capabilities = MF_CAP_IN_PROCESS | MF_CAP_TAKES | MF_CAP_DELAYS | MF_CAP_CONCURRENCY,
    .task = local_task,
    .durable_task = local_task,
    .worker = local_worker,
    .workflow = local_workflow,
    .extract_execution_info = local_extract_execution_info,
    .create_task_context = local_create_task_context,
    .create_framework_tasks = local_create_framework_tasks,
    .publish = local_publish,
    .settle = local_settle,
    .bind = local_bind,
    .due = local_due,
    .help = local_help,
    .wake_helpers = local_wake_helpers,
    .replace_thread = local_replace_thread,
    .thread_mark = local_thread_mark,
    .health = local_health,
    .destroy = local_destroy,
};

mf_status mfi_local_create(const mf_allocator *allocator, mf_adapter **out, mf_error *err)
{
    local *l = mf_new(allocator, local);
    if (l == NULL)
        return mf_fail(err, MF_E_NOMEM, "local threads: no memory");
    l->base.ops = &local_ops;
    l->allocator = allocator;
    mfi_mutex_init(&l->lock);
    mfi_event_init(&l->changed);
    *out = &l->base;
    return MF_OK;
}
