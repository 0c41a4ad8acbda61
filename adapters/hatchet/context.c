/* A running call: its log goes to the engine, where people look for it, a signature's to the store, too. */
#include "hatchet.h"

#include <stddef.h>

#define WITHIN mf_seconds(10)
#define REFRESH_MAX mf_minutes(8760 * 60) /* as long as the timeout that we give our own tasks */

hatchet_job *hatchet_job_of(const mf_context *ctx)
{
    return (hatchet_job *)(void *)((char *)ctx->info.raw_context - offsetof(hatchet_job, raw));
}

static mf_status context_log(mf_context *ctx, mf_str line)
{
    hatchet *h = hatchet_of(ctx->adapter);
    const hatchet_job *job = hatchet_job_of(ctx);
    char text[4200], level[] = "INFO", none[] = "";
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__Log l = HATCHET_PB__LOG__INIT;
    size_t len = line.len < sizeof text - 1 ? line.len : sizeof text - 1;
    memcpy(text, line.at, len);
    text[len] = '\0';
    hatchet_make_utf8(text);
    l.task_run_external_id = job->action->task_run_external_id;
    l.created_at = &now;
    l.message = text;
    l.level = level;
    l.metadata = none;
    l.has_task_retry_count = true;
    l.task_retry_count = job->action->retry_count;
    const mf_key *key = &ctx->info.task_data.signature;
    mf_status kept = mf_key_is_set(key) ? mf_store_log(h->store, key, line) : MF_OK;
    mf_status st = hatchet_begin(h, "/EventsService/PutLog", &l.base, WITHIN, NULL, NULL, NULL, NULL, NULL);
    return kept != MF_OK ? kept : st;
}

/* The engine shows none: a signature's is in the store. */
static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_progress(hatchet_of(ctx->adapter)->store, key, progress) : MF_E_UNSUPPORTED;
}

static void refresh_ended(void *user, const mfi_rpc_end *end)
{
    if (end->status != MF_OK && end->status != MF_E_CLOSED)
        hatchet_log(user, MF_LOG_WARN, "a timeout could not be moved: %s", end->err->text);
}

/* The task's own timeout is the runtime's. The engine has one, too, for which a workflow that somebody else declared may name a short
 * time, and which it counts from the assignment on; it adds what it is told, so that afterwards it is never the shorter one. */
static mf_status context_refresh_timeout(mf_context *ctx, mf_duration more)
{
    hatchet *h = hatchet_of(ctx->adapter);
    char span[32];
    HatchetPb__RefreshTimeout r = HATCHET_PB__REFRESH_TIMEOUT__INIT;
    mf_status st = ctx->host->ops->refresh_timeout(ctx->host, ctx, more);
    if (st != MF_OK || more == 0)
        return st;
    hatchet_span_text(span, more < REFRESH_MAX ? more : REFRESH_MAX);
    r.task_run_external_id = hatchet_job_of(ctx)->action->task_run_external_id;
    r.increment_timeout_by = span;
    return hatchet_begin(h, "/Dispatcher/RefreshTimeout", &r.base, WITHIN, NULL, refresh_ended, h, NULL, NULL);
}

static const mf_context_ops context_ops = {
    .struct_size = sizeof(mf_context_ops),
    .log = context_log,
    .refresh_timeout = context_refresh_timeout,
    .progress = context_progress,
    .recall = hatchet_recall,
    .remember = hatchet_remember,
    .sleep = hatchet_durable_sleep,
    .wait_event = hatchet_durable_event,
};

void hatchet_extract_execution_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    (void)base;
    hatchet_job *job = d->native;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = mf_cstr(job->action->workflow_run_id), .task_name = d->task, .attempt_number = d->attempt, .raw_context = &job->raw,
    };
}

mf_status hatchet_create_task_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    ctx->ops = &context_ops;
    ctx->adapter = base;
    hatchet_extract_execution_info(base, d, &ctx->info);
    return MF_OK;
}

/* ---- mageflow/hatchet.h ----------------------------------------------------------------------------------------------- */

mf_status hatchet_of_context(const mf_context *ctx, hatchet **out)
{
    hatchet *h;
    mf_status st = ctx == NULL ? MF_E_INVALID : hatchet_of_adapter(ctx->adapter, &h);
    if (st == MF_OK && mfi_rpc_is_forked(h->rpc))
        st = MF_E_FORKED;       /* a task's child */
    if (st == MF_OK)
        *out = h;
    return st;
}

mf_status mf_hatchet_release_slot(mf_context *ctx)
{
    hatchet *h;
    mf_status st = hatchet_of_context(ctx, &h);
    if (st != MF_OK)
        return st;
    HatchetPb__TaskRun r = HATCHET_PB__TASK_RUN__INIT;
    r.task_run_external_id = hatchet_job_of(ctx)->action->task_run_external_id;
    return hatchet_begin(h, "/Dispatcher/ReleaseSlot", &r.base, WITHIN, NULL, NULL, NULL, NULL, NULL);
}
