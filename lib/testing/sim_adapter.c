/* A task manager on strands. One kind takes from the common store; the other has a queue of its own (sim_broker.c), to which
 * messages are published, and which may deliver them twice, late and in any order. */
#include "sim_adapter.h"

#include <assert.h>

#define LATE_MAX_MS 8000        /* longer than the store waits for a row to be ticked off */

static mf_status adapter_task(mf_adapter *base, const mf_task_def *def, mf_error *err);

sim_adapter *sim_adapter_of(mf_adapter *base)
{
    assert(base->ops->task == adapter_task);
    return (sim_adapter *)(void *)base;
}

void sim_adapter_changed(sim_adapter *a)
{
    atomic_fetch_add_explicit(&a->changed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&a->sim->posted, 1, memory_order_relaxed);    /* what workers of the queue's kind wait for */
}

static mf_status adapter_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    (void)err;
    sim_adapter *a = sim_adapter_of(base);
    if (def->max_concurrency > 0) {
        sim_gate *gate = mfi_sim_new(a->sim, sizeof *gate);
        *gate = (sim_gate){.next = a->gates, .task = mf_cstr(def->name), .limit = def->max_concurrency};
        a->gates = gate;
    }
    return MF_OK;
}

static mf_status adapter_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    (void)base, (void)defs, (void)n, (void)err;
    return MF_OK;
}

/* ---- publish ------------------------------------------------------------------------------------------------------------ */

static void post(sim_adapter *a, const mf_entry *entry, unsigned met)
{
    mfi_sim *sim = a->sim;
    mfi_fault fault;
    int64_t due_ns = 0;
    bool twice = false;
    if (mfi_fault_draw(sim, MFI_FAULT_BIT(MFI_FAULT_TWICE) | MFI_FAULT_BIT(MFI_FAULT_LATE), &fault)) {
        met |= MFI_FAULT_BIT(fault);
        twice = fault == MFI_FAULT_TWICE;
        if (fault == MFI_FAULT_LATE)
            due_ns = sim->now_ns + mf_milliseconds(mfi_prng_below(&sim->chance, LATE_MAX_MS));
        mfi_sim_trace(sim, "fault: %.*s for %.12s %llu comes %s", (int)entry->spec->name.len, entry->spec->name.at,
                      entry->unit.key.text, (unsigned long long)entry->unit.index, mfi_fault_name(fault));
    }
    mfi_parcel_post(sim, entry, due_ns, met);
    /* A manager that refuses at first is one that may have had it all the same. */
    if ((met & MFI_FAULT_BIT(MFI_FAULT_REFUSED)) != 0 && mfi_prng_one_in(&sim->chance, 3))
        twice = true;
    if (!twice || !mf_key_is_set(&entry->unit.key))
        return;
    bool late = !mfi_prng_one_in(&sim->chance, 4);
    mfi_parcel_post(sim, entry, late ? sim->now_ns + mf_milliseconds(mfi_prng_below(&sim->chance, LATE_MAX_MS)) : 0,
                    met | MFI_FAULT_BIT(MFI_FAULT_TWICE) | (late ? MFI_FAULT_BIT(MFI_FAULT_LATE) : 0));
}

static mf_status adapter_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    sim_adapter *a = sim_adapter_of(base);
    mfi_sim *sim = a->sim;
    mfi_fault fault;
    bool struck;
    mfi_sim_yield(sim);
    struck = mfi_fault_draw(sim, MFI_FAULT_BIT(MFI_FAULT_CRASH_BEFORE) | MFI_FAULT_BIT(MFI_FAULT_REFUSED) |
                                     MFI_FAULT_BIT(MFI_FAULT_LOST_PUBLISH) | MFI_FAULT_BIT(MFI_FAULT_PAUSE), &fault);
    if (struck && fault == MFI_FAULT_PAUSE) {
        mfi_fault_count(sim, fault, MFI_ROW_PUBLISH);
        mfi_process_pause(a->process);
        struck = false;
    }
    if (struck && fault == MFI_FAULT_CRASH_BEFORE) {
        mfi_fault_count(sim, fault, MFI_ROW_PUBLISH);
        mfi_process_crash(a->process);
    }
    if (struck && fault == MFI_FAULT_REFUSED) {
        mfi_fault_count(sim, fault, MFI_ROW_PUBLISH);
        for (size_t i = 0; i < n; i++)
            mfi_fault_mark(sim, entries[i].id, fault);
        return mf_fail(err, MF_E_IO, "simulated: the queue is not reachable");
    }
    for (size_t i = 0; i < n; i++)
        post(a, &entries[i], mfi_fault_marks(sim, entries[i].id) | (struck ? MFI_FAULT_BIT(fault) : 0));
    if (struck) {
        mfi_fault_count(sim, fault, MFI_ROW_PUBLISH);
        mfi_process_crash(a->process);
    }
    return MF_OK;
}

/* ---- contexts ----------------------------------------------------------------------------------------------------------- */

static mf_status context_log(mf_context *ctx, mf_str line)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_log(sim_adapter_of(ctx->adapter)->store, key, line) : MF_OK;
}

static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_progress(sim_adapter_of(ctx->adapter)->store, key, progress) : MF_OK;
}

static void adapter_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    const mfi_parcel *parcel = sim_adapter_of(base)->sim->current->parcel;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = d->id, .task_name = d->task, .attempt_number = d->attempt,
    };
    if (d->spec != NULL)
        out->task_data.container = d->spec->container;
    else if (parcel != NULL)
        out->task_data.container = parcel->container;
}

static mf_status adapter_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    static const mf_context_ops ops = {.struct_size = sizeof ops, .log = context_log, .progress = context_progress};
    ctx->ops = &ops;
    ctx->adapter = base;
    adapter_info(base, d, &ctx->info);
    return MF_OK;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------ */

static void on_ready(void *user, size_t n)
{
    (void)n;
    sim_adapter_changed(user);
}

static mf_status adapter_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    sim_adapter *a = sim_adapter_of(base);
    (void)err;
    a->host = host;
    a->store = store;
    return mf_store_watch_start(store, &(mf_store_watch){.ready = on_ready, .user = a});
}

/* Answers lie in the queue, and whoever works there tells them. */
static mf_status adapter_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    (void)base, (void)unit, (void)err;
    return MF_OK;
}

static int64_t adapter_due(mf_adapter *base)
{
    sim_adapter *a = sim_adapter_of(base);
    size_t none = 0;
    int64_t next = INT64_MAX;
    mf_taken nothing;
    sim_adapter_changed(a);
    if (mf_store_take(a->store, 0, &nothing, &none, &next, NULL) != MF_OK)
        return mf_store_now_ms(a->store) + 20;
    int64_t now = mf_store_now_ms(a->store);
    return next > now ? next : now + 20;
}

static void adapter_wake_helpers(mf_adapter *base)
{
    sim_adapter_changed(sim_adapter_of(base));
}

static void *adapter_mark(mf_adapter *base)
{
    return sim_adapter_of(base)->sim->current;
}

static void adapter_destroy(mf_adapter *base)
{
    sim_adapter *a = sim_adapter_of(base);
    if (a->store != NULL)
        mf_store_watch_stop(a->store, a);
    for (sim_job *job = a->jobs; job != NULL; job = job->next)
        mf_entry_release(&job->taken.entry);
}

mf_status mfi_sim_adapter_create(mfi_process *process, mf_adapter **out, mf_error *err)
{
    (void)err;
    bool queue = process->sim->config.queue;
    sim_adapter *a = mfi_sim_new(process->sim, sizeof *a);
    a->ops = (mf_adapter_ops){
        .struct_size = sizeof(mf_adapter_ops), .name = queue ? "simulated queue" : "simulated",
        .capabilities = (process->sim->config.records ? 0 : MF_CAP_IN_PROCESS) | MF_CAP_CONCURRENCY | (queue ? MF_CAP_OBSERVES : MF_CAP_TAKES | MF_CAP_DELAYS),
        .task = adapter_task, .durable_task = adapter_task, .worker = sim_adapter_worker, .workflow = sim_adapter_workflow,
        .extract_execution_info = adapter_info, .create_task_context = adapter_context,
        .create_framework_tasks = adapter_framework_tasks, .publish = adapter_publish, .settle = sim_adapter_settle,
        .observe = queue ? adapter_observe : NULL, .bind = adapter_bind, .due = queue ? NULL : adapter_due, .help = sim_adapter_help,
        .wake_helpers = adapter_wake_helpers, .replace_thread = sim_adapter_replace, .thread_mark = adapter_mark,
        .destroy = adapter_destroy,
    };
    a->base.ops = &a->ops;
    a->process = process;
    a->due_ns = INT64_MAX;
    a->sim = process->sim;
    *out = &a->base;
    return MF_OK;
}
