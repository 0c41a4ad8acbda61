/* A running call: its log goes to the store, its progress to where Python's progress tracker looks, and to the store. */
#include "taskiq.h"

#include <stdio.h>

#include "memory.h"

/* A call without a signature has nowhere to keep lines: it has no record, and nobody to ask for it. */
static mf_status context_log(mf_context *ctx, mf_str line)
{
    const mf_key *key = &ctx->info.task_data.signature;
    return mf_key_is_set(key) ? mf_store_log(taskiq_of(ctx->adapter)->store, key, line) : MF_OK;
}

static void shown(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    (void)st, (void)replies, (void)err;     /* the next one comes */
    taskiq_answered(user);
}

static mf_status show(taskiq *t, const char *result_key, const mf_message *progress)
{
    taskiq_bytes bytes;
    char ttl[24];
    mf_status st = taskiq_progress_write("STARTED", progress, (taskiq_format)t->options.result_serializer, t->allocator, &bytes, NULL);
    if (st != MF_OK)
        return st;
    char *key = taskiq_key(t, "%s__progress", result_key);
    mfi_redis_request *rq = mfi_redis_request_create(t->results);
    mf_str value = {bytes.at, bytes.len};
    mf_str ms = {ttl, (size_t)snprintf(ttl, sizeof ttl, "%lld", (long long)((t->options.result_ttl + 999999) / 1000000))};
    if (t->options.result_ttl > 0)
        mfi_redis_add(rq, MF_STR_LIT("SET"), mf_cstr(key), value, MF_STR_LIT("PX"), ms);
    else
        mfi_redis_add(rq, MF_STR_LIT("SET"), mf_cstr(key), value);
    st = key == NULL ? MF_E_NOMEM : taskiq_submit(t, t->results, rq, MFI_REDIS_HOW(.idempotent = true), shown, t);
    taskiq_text_free(t, key);
    taskiq_bytes_free(t->allocator, &bytes);
    return st;
}

/* What the task may look at stands inside its job. */
static const taskiq_job *job_of(const mf_context *ctx)
{
    return (const taskiq_job *)(const void *)((const char *)ctx->info.raw_context - offsetof(taskiq_job, raw));
}

static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    taskiq *t = taskiq_of(ctx->adapter);
    const taskiq_job *job = job_of(ctx);
    const mf_key *key = &ctx->info.task_data.signature;
    mf_status st = job->result_key != NULL ? show(t, job->result_key, progress) : MF_OK;
    return mf_key_is_set(key) ? mf_store_progress(t->store, key, progress) : st;
}

static const mf_context_ops context_ops = {
    .struct_size = sizeof(mf_context_ops),
    .log = context_log,
    .progress = context_progress,
};

void taskiq_extract_execution_info(mf_adapter *base, const mf_delivery *d, mf_execution_info *out)
{
    (void)base;
    taskiq_job *job = d->native;
    *out = (mf_execution_info){
        .task_data = {.signature = d->unit.key, .container = job->meta.container, .index = d->unit.index, .epoch = d->unit.epoch},
        .workflow_id = d->id, .task_name = d->task, .attempt_number = d->attempt, .raw_context = &job->raw,
    };
}

mf_status taskiq_create_task_context(mf_adapter *base, const mf_delivery *d, mf_context *ctx)
{
    ctx->ops = &context_ops;
    ctx->adapter = base;
    taskiq_extract_execution_info(base, d, &ctx->info);
    return MF_OK;
}
