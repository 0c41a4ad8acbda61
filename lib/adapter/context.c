/* The context of a running call: mageflow/task.h's functions over what the manager offers.
 *
 * Stop is one word. Whoever asks for it sets a bit and wakes the word; a sleeping task waits on the same word with the
 * value it last saw, so that a request between look and sleep is never missed. */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

static void tell_fd(int stop_fd)
{
    uint64_t one = 1;
    ssize_t written = write(stop_fd - 1, &one, sizeof one);
    (void)written;      /* it can only be full, and is readable then */
}

/* Each side stores one word and then loads the other's, so seq_cst: else both could find the old one, and the descriptor
 * would never tell. */
void mfi_call_stop(mfi_call *call, unsigned bits)
{
    atomic_fetch_or_explicit(&call->stop, bits, memory_order_seq_cst);
    mfi_futex_wake(&call->stop, UINT32_MAX);
    int fd = atomic_load_explicit(&call->stop_fd, memory_order_seq_cst);
    if (fd != 0)
        tell_fd(fd);
}

int mf_context_stop_fd(mf_context *ctx)
{
    mfi_call *call = ctx->call;
    int known = atomic_load_explicit(&call->stop_fd, memory_order_acquire);
    if (known != 0)
        return known - 1;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -1;
    if (!atomic_compare_exchange_strong_explicit(&call->stop_fd, &known, fd + 1, memory_order_seq_cst, memory_order_acquire)) {
        close(fd);      /* another thread of the task was first */
        return known - 1;
    }
    if (atomic_load_explicit(&call->stop, memory_order_seq_cst) != 0)
        tell_fd(fd + 1);
    return fd;
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
    int fd = atomic_load_explicit(&call->stop_fd, memory_order_relaxed);
    if (fd != 0)
        close(fd - 1);
}
