#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "redis_link.h"
#include "redis_server.h"

Test(redis_live, a_key_that_was_set_is_read_back)
{
    redis_server s = REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis_address address;
    mf_error err = {0};
    char url[128];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u/3", s.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK), "%s", err.text);
    mfi_redis *redis;
    cr_assert(eq(int, mfi_redis_create(&(mfi_redis_options){.address = &address}, &redis, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mfi_redis_wait_up(redis, mf_seconds(5), &err), MF_OK), "%s", err.text);
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT("key"), MF_STR_LIT("value"));
    mfi_redis_add(rq, MF_STR_LIT("GET"), MF_STR_LIT("key"));
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, &err), MF_OK), "%s", err.text);
    cr_assert(eq(sz, replies->count, 2));
    cr_assert(eq(str, (char *)replies->at[1].text.at, "value"));
    mfi_redis_replies_destroy(replies);
    mfi_redis_destroy(redis, 0);
    redis_server_stop(&s);
}
