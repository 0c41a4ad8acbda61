/* The context of a running call: mageflow/task.h's functions over what the manager offers.
 *
 * Stop is one word. Whoever asks for it sets a bit and wakes the word; a sleeping task waits on the same word with the
 * value it last saw, so that a request between look and sleep is never missed. */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "futex.h"
#include "memory.h"

const mf_execution_info *mf_context_execution_info(const mf_context *ctx)
{
    return &ctx->info;
}

mf_key mf_context_signature(const mf_context *ctx)
{
    return ctx->info.task_data.signature;
}

const mf_message *mf_context_error(const mf_context *ctx)
{
    return ctx->call->delivery->error;
}

/* ---- stop ------------------------------------------------------------------------------------------------------ */

void mfi_call_stop(mfi_call *call, unsigned bits)
{
    atomic_fetch_or_explicit(&call->stop, bits, memory_order_release);
    mfi_futex_wake(&call->stop, UINT32_MAX);
}

bool mf_context_stop_requested(const mf_context *ctx)
{
    return atomic_load_explicit(&ctx->call->stop, memory_order_acquire) != 0;
}

mf_status mf_context_sleep(mf_context *ctx, mf_duration span)
{
    mfi_call *call = ctx->call;
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), span);
    while (atomic_load_explicit(&call->stop, memory_order_acquire) == 0) {
        if (mfi_now_ns(NULL) >= deadline)
            return MF_OK;
        mfi_futex_wait(&call->stop, 0, deadline);
    }
    return MF_E_CANCELED;
}

mf_status mf_context_cancel(mf_context *ctx)
{
    mfi_call_stop(ctx->call, MFI_STOP_SELF);
    return ctx->ops->cancel == NULL ? MF_OK : ctx->ops->cancel(ctx);
}

mf_status mf_context_refresh_timeout(mf_context *ctx, mf_duration more)
{
    if (more < 0)
        return MF_E_INVALID;
    if (ctx->ops->refresh_timeout != NULL)
        return ctx->ops->refresh_timeout(ctx, more);
    return ctx->host->ops->refresh_timeout(ctx->host, ctx, more);
}

/* ---- what it says ---------------------------------------------------------------------------------------------- */

mf_status mf_context_log(mf_context *ctx, const char *fmt, ...)
{
    char line[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (len < 0)
        return MF_E_INVALID;
    if ((size_t)len >= sizeof line)
        len = sizeof line - 1;
    return ctx->ops->log(ctx, mf_str_of(line, (size_t)len));
}

mf_status mf_context_progress(mf_context *ctx, const mf_message *progress)
{
    mf_status st = mf_message_status(progress);
    return st != MF_OK ? st : ctx->ops->progress(ctx, progress);
}

mf_status mf_task_fail(mf_context *ctx, mf_status how, const char *type, const char *fmt, ...)
{
    mfi_call *call = ctx->call;
    snprintf(call->error_type, sizeof call->error_type, "%s", type == NULL ? "Error" : type);
    if (call->error_text == NULL)
        call->error_text = mfi_alloc(call->allocator, MFI_ERROR_TEXT_LIMIT + 1);
    if (call->error_text != NULL) {     /* without memory the type alone has to do */
        va_list args;
        va_start(args, fmt);
        vsnprintf(call->error_text, MFI_ERROR_TEXT_LIMIT + 1, fmt, args);
        va_end(args);
    }
    return how == MF_FINAL ? MF_FINAL : MF_RETRY;
}

void mfi_call_fini(mfi_call *call)
{
    mfi_release(call->allocator, call->error_text, MFI_ERROR_TEXT_LIMIT + 1);
    call->error_text = NULL;
}
