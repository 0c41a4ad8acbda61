/* A running call on local threads: logs and progress go to the store. */
#include "local.h"

/* A call without a signature has nowhere to keep either: it has no record, and nobody to ask for it. */
static mf_status context_log(mf_context *ctx, mf_str line)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_log(local_of(ctx->adapter)->store, key, line) : MF_OK;
}

static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_progress(local_of(ctx->adapter)->store, key, progress) : MF_OK;
}

static const mf_context_ops context_ops = {
    .struct_size = sizeof(mf_context_ops),
    .log = context_log,
    .progress = context_progress,
};

void local_extract_execution_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    (void)base;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = d->id, .task_name = d->task, .attempt_number = d->attempt,
    };
    if (d->spec != NULL)
        out->task_data.container = d->spec->container;
}

mf_status local_create_task_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    ctx->ops = &context_ops;
    ctx->adapter = base;
    local_extract_execution_info(base, d, &ctx->info);
    return MF_OK;
}
