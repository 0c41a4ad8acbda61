/* Requests: RESP, formatted in the thread that asks, so that the I/O thread only copies.
 *
 * Formatted here and not by hiredis, whose redisFormatCommandArgv spends some 70 % of a command's instructions in sprintf and
 * makes a copy of its own (bench/redis). */
#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "redis_impl.h"

#define HEAD 23     /* a mark, 20 digits, CR LF */

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

/* "*3\r\n" or "$12\r\n": at most HEAD bytes. */
static char *put_head(char *at, char mark, size_t number)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *at++ = mark;
    while (n > 0)
        *at++ = digits[--n];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *put_arg(char *at, mf_str arg)
{
    at = put_head(at, '$', arg.len);
    if (arg.len > 0)
        memcpy(at, arg.at, arg.len);
    at += arg.len;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

/* Append one command: an array of strings. A few arguments come in front of the others. */
static bool format(mfi_redis_request *rq, size_t lead, const mf_str *first, size_t argc, const mf_str *argv)
{
    size_t n = lead + argc, bytes = HEAD;
    if (n == 0 || n > INT32_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (__builtin_add_overflow(bytes, (i < lead ? first[i] : argv[i - lead]).len, &bytes) ||
            __builtin_add_overflow(bytes, HEAD + 2, &bytes))
            return false;
    if (!room_for(rq, bytes))
        return false;
    char *at = put_head(rq->bytes + rq->len, '*', n);
    for (size_t i = 0; i < lead; i++)
        at = put_arg(at, first[i]);
    for (size_t i = 0; i < argc; i++)
        at = put_arg(at, argv[i]);
    rq->len = (size_t)(at - rq->bytes);
    rq->commands++;
    return true;
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
