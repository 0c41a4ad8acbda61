/* A running call: its log goes to the engine, where people look for it, and to the store for a signature's. */
#include "hatchet.h"

static mf_status context_log(mf_context *ctx, mf_str line)
{
    hatchet *h = hatchet_of(ctx->adapter);
    const hatchet_job *job = ctx->info.raw_context;
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
    return hatchet_begin(h, "/EventsService/PutLog", &l.base, mf_seconds(10), NULL, NULL, NULL, NULL, NULL);
}

/* The engine shows none. */
static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    (void)ctx, (void)progress;
    return MF_E_UNSUPPORTED;
}

static const mf_context_ops context_ops = {
    .struct_size = sizeof(mf_context_ops),
    .log = context_log,
    .progress = context_progress,
};

void hatchet_extract_execution_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    (void)base;
    hatchet_job *job = d->native;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = mf_cstr(job->action->workflow_run_id), .task_name = d->task, .attempt_number = d->attempt, .raw_context = job,
    };
}

mf_status hatchet_create_task_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    ctx->ops = &context_ops;
    ctx->adapter = base;
    hatchet_extract_execution_info(base, d, &ctx->info);
    return MF_OK;
}
