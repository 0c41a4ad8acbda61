#include "kit.h"

#include <stdio.h>

void kit_start(kit *k, fake_serve_fn *serve, void *user)
{
    memset(k, 0, sizeof *k);
    fake_redis_start(&k->server, serve, user);
    counting_init(&k->memory);
    k->options.allocator = &k->memory.allocator;
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", k->server.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &k->address, NULL), MF_OK));
    k->options.address = &k->address;
}

void kit_open(kit *k)
{
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_create(&k->options, &k->redis, &err), MF_OK), "%s", err.text);
}

void kit_stop(kit *k)
{
    mfi_redis_destroy(k->redis, 0);
    fake_redis_stop(&k->server);
    cr_assert(eq(long, k->memory.live, 0));
    cr_assert(eq(long, k->memory.wrong_size, 0));
}

mfi_redis_request *kit_command(kit *k, const char *text)
{
    mf_str argv[FAKE_ARGS];
    size_t argc = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        argv[argc++] = mf_str_of(text, len);
        text += len + (text[len] == ' ');
    }
    mfi_redis_request *rq = mfi_redis_request_create(k->redis);
    mfi_redis_add_argv(rq, argc, argv);
    return rq;
}

void kit_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    kit_end *end = user;
    end->st = st;
    end->answered = replies != NULL;
    if (err != NULL)
        end->err = *err;
    if (replies != NULL) {
        end->integer = replies->at[0].integer;
        if (replies->at[0].text.at != NULL)
            snprintf(end->text, sizeof end->text, "%s", replies->at[0].text.at);
    }
    fake_signal(&end->event);
}

void kit_submit(kit *k, const char *text, const mfi_redis_how *how, kit_end *end)
{
    cr_assert(eq(int, mfi_redis_submit(k->redis, kit_command(k, text), how, kit_done, end), MF_OK));
}

mf_status kit_await(kit_end *end)
{
    fake_await(&end->event, 1);
    cr_assert(eq(int, end->event.count, 1));
    cr_assert(eq(int, end->st == MF_OK ? MF_OK : end->err.status, end->st));
    return end->st;
}

bool kit_says(const mf_error *err, const char *part)
{
    return strstr(err->text, part) != NULL;
}

mf_status kit_failure(kit *k, mf_error *err)
{
    mf_status st;
    do
        st = mfi_redis_wait_up(k->redis, mf_milliseconds(20), err);
    while (st == MF_E_TIMEOUT && kit_says(err, "still connecting"));
    return st;
}
