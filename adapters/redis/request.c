/* Requests: RESP, formatted by hiredis in the thread that asks, so that the I/O thread only copies.
 *
 * By its sds formatter: the other one, redisFormatCommandArgv, spends some 70 % of a command's instructions in sprintf
 * (bench/redis). */
#include <hiredis.h>
#include <stdlib.h>

#include "memory.h"
#include "redis_impl.h"

#define ON_STACK 32

mfi_redis_request *mfi_redis_request_create(mfi_redis *redis)
{
    mfi_redis_request *rq = mfi_alloc(redis->allocator, sizeof *rq);
    if (rq == NULL)
        return NULL;
    memset(rq, 0, offsetof(mfi_redis_request, inline_bytes));
    rq->allocator = redis->allocator;
    rq->what = redis->text;
    rq->bytes = rq->inline_bytes;
    rq->capacity = sizeof rq->inline_bytes;
    return rq;
}

static void drop_again(mfi_redis_request *rq)
{
    mfi_release(rq->allocator, rq->again, rq->again_capacity);
    rq->again = NULL;
    rq->again_len = rq->again_capacity = 0;
}

void mfi_redis_request_destroy(mfi_redis_request *rq)
{
    if (rq == NULL)
        return;
    if (rq->bytes != rq->inline_bytes)
        mfi_release(rq->allocator, rq->bytes, rq->capacity);
    drop_again(rq);
    mfi_release(rq->allocator, rq->calls, rq->call_capacity * sizeof *rq->calls);
    if (rq->replies != NULL)
        mfi_redis_replies_destroy(&rq->replies->public);
    mf_delete(rq->allocator, rq);
}

static bool room_for(mfi_redis_request *rq, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(rq->len, more, &need))
        return false;
    if (need <= rq->capacity)
        return true;
    size_t grown = rq->capacity * 2 > need ? rq->capacity * 2 : need;
    bool inside = rq->bytes == rq->inline_bytes;
    char *at = inside ? mfi_alloc(rq->allocator, grown) : mfi_resize(rq->allocator, rq->bytes, rq->capacity, grown);
    if (at == NULL)
        return false;
    if (inside)
        memcpy(at, rq->bytes, rq->len);
    rq->bytes = at;
    rq->capacity = grown;
    return true;
}

/* Append what hiredis makes of these, with a few in front. */
static bool format(mfi_redis_request *rq, size_t lead, const mf_str *first, size_t argc, const mf_str *argv)
{
    const char *stack_at[ON_STACK], **at = stack_at;
    size_t stack_len[ON_STACK], *len = stack_len, n = lead + argc;
    if (n == 0 || n > INT32_MAX)
        return false;
    if (n > ON_STACK) {
        at = mfi_alloc_array(rq->allocator, n, sizeof *at);
        len = mfi_alloc_array(rq->allocator, n, sizeof *len);
    }
    sds command = NULL;
    long long bytes = -1;
    if (at != NULL && len != NULL) {
        for (size_t i = 0; i < n; i++) {
            mf_str arg = i < lead ? first[i] : argv[i - lead];
            at[i] = arg.at != NULL ? arg.at : "";
            len[i] = arg.len;
        }
        bytes = redisFormatSdsCommandArgv(&command, (int)n, at, len);
    }
    bool ok = bytes > 0 && room_for(rq, (size_t)bytes);
    if (ok) {
        memcpy(rq->bytes + rq->len, command, (size_t)bytes);
        rq->len += (size_t)bytes;
        rq->commands++;
    }
    if (bytes > 0)
        redisFreeSdsCommand(command);
    if (n > ON_STACK) {
        mfi_release(rq->allocator, at, n * sizeof *at);
        mfi_release(rq->allocator, len, n * sizeof *len);
    }
    return ok;
}

void mfi_redis_add_argv(mfi_redis_request *rq, size_t argc, const mf_str *argv)
{
    if (rq != NULL && !rq->failed && argc > 0)
        rq->failed = !format(rq, 0, NULL, argc, argv);
}

void mfi_redis_add_script(mfi_redis_request *rq, const mfi_redis_script *script, size_t keys, size_t argc,
                          const mf_str *argv)
{
    if (rq == NULL || rq->failed)
        return;
    char number[24];
    int digits = snprintf(number, sizeof number, "%zu", keys);
    size_t at = rq->len;
    rq->failed = script == NULL || keys > argc ||
                 !mfi_array_reserve(rq->allocator, (void **)&rq->calls, &rq->call_capacity, rq->call_count + 1,
                                    sizeof *rq->calls) ||
                 !format(rq, 3, (const mf_str[]){MF_STR_LIT("EVALSHA"), mf_cstr(script->sha), mf_str_of(number, (size_t)digits)},
                         argc, argv);
    if (!rq->failed)
        rq->calls[rq->call_count++] = (mfi_script_call){script, rq->commands - 1, false, at, rq->len - at};
}

size_t mfi_redis_request_commands(const mfi_redis_request *rq)
{
    return rq != NULL ? rq->commands : 0;
}

size_t mfi_redis_request_bytes(const mfi_redis_request *rq)
{
    return rq != NULL ? rq->len : 0;
}

void mfi_request_rewind(mfi_redis_request *rq)
{
    rq->answered = 0;
    rq->expected = rq->commands;
    rq->wire = rq->bytes;
    rq->wire_len = rq->len;
    rq->reloads = 0;
    for (size_t i = 0; i < rq->call_count; i++)
        rq->calls[i].missing = false;
    drop_again(rq);
    if (rq->replies != NULL)
        mfi_redis_replies_destroy(&rq->replies->public);
    rq->replies = NULL;
}

bool mfi_request_reload(mfi_redis_request *rq)
{
    mfi_redis_request *pen = mfi_alloc_zero(rq->allocator, sizeof *pen);
    if (pen == NULL)
        return false;
    pen->allocator = rq->allocator;
    pen->bytes = pen->inline_bytes;
    pen->capacity = sizeof pen->inline_bytes;
    uint32_t expected = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < rq->call_count; i++) {
        const mfi_script_call *call = &rq->calls[i];
        if (!call->missing)
            continue;
        mf_str source = mf_str_of(call->script->source, call->script->len);
        ok = format(pen, 3, (const mf_str[]){MF_STR_LIT("SCRIPT"), MF_STR_LIT("LOAD"), source}, 0, NULL) &&
             room_for(pen, call->len);
        if (ok) {
            memcpy(pen->bytes + pen->len, rq->bytes + call->at, call->len);
            pen->len += call->len;
            expected += 2;
        }
    }
    if (ok && pen->bytes == pen->inline_bytes)
        ok = room_for(pen, pen->capacity);       /* into memory of its own */
    if (ok) {
        drop_again(rq);
        rq->again = pen->bytes;
        rq->again_len = pen->len;
        rq->again_capacity = pen->capacity;
        pen->bytes = pen->inline_bytes;
        rq->wire = rq->again;
        rq->wire_len = rq->again_len;
        rq->answered = 0;
        rq->expected = expected;
        rq->reloads++;
    }
    mfi_redis_request_destroy(pen);
    return ok;
}
