#include "kit.h"

#include <string.h>

mfi_redis *live_open(const redis_server *s, const char *before, const char *behind, const mfi_redis_options *more)
{
    mfi_redis_address address;
    mfi_redis_options o = more != NULL ? *more : (mfi_redis_options){0};
    mf_error err = {0};
    char url[1024];
    snprintf(url, sizeof url, "redis%s://%s127.0.0.1:%u%s", s->tls ? "s" : "", before, s->port, behind);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK), "%s", err.text);
    o.address = &address;
    mfi_redis *redis;
    cr_assert(eq(int, mfi_redis_create(&o, &redis, &err), MF_OK), "%s", err.text);
    return redis;
}

mfi_redis *live_open_up(const redis_server *s, const char *before, const char *behind)
{
    mfi_redis *redis = live_open(s, before, behind, NULL);
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_wait_up(redis, mf_seconds(20), &err), MF_OK), "%s", err.text);
    return redis;
}

mfi_redis_request *live_command(mfi_redis *redis, const char *text)
{
    mf_str argv[32];
    size_t argc = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        argv[argc++] = mf_str_of(text, len);
        text += len + (text[len] == ' ');
    }
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add_argv(rq, argc, argv);
    return rq;
}

mf_status live_call(mfi_redis *redis, const char *text, char *out, mf_error *err)
{
    mfi_redis_replies *replies;
    mf_status st = mfi_redis_call(redis, live_command(redis, text), NULL, &replies, err);
    if (out != NULL && replies != NULL) {
        const mfi_redis_reply *r = replies->at;
        if (r->type == MFI_REDIS_INTEGER)
            snprintf(out, 64, "%lld", (long long)r->integer);
        else
            snprintf(out, 64, "%s", r->text.at != NULL ? r->text.at : "(nil)");
    }
    mfi_redis_replies_destroy(replies);
    return st;
}

void live_do(mfi_redis *redis, const char *text)
{
    mf_error err = {0};
    cr_assert(eq(int, live_call(redis, text, NULL, &err), MF_OK), "%s: %s", text, err.text);
}

bool live_says(const mf_error *err, const char *part)
{
    return strstr(err->text, part) != NULL;
}

mf_status live_failure(mfi_redis *redis, mf_error *err)
{
    mf_status st;
    do
        st = mfi_redis_wait_up(redis, mf_milliseconds(20), err);
    while (st == MF_E_TIMEOUT && live_says(err, "still connecting"));
    return st;
}
