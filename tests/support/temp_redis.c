#include "temp_redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "redis_server.h"
#include "redis_store.h"

static redis_server server;

static mfi_redis_address where(void)
{
    mfi_redis_address address;
    char url[128];
    if (server.pid == 0) {
        server = (redis_server)REDIS_SERVER(NULL);
        redis_server_start(&server);
    }
    snprintf(url, sizeof url, "unix://%s", server.socket);
    if (mfi_redis_address_from_url(url, &address, NULL) != MF_OK)
        abort();
    return address;
}

static void empty(const mfi_redis_address *address)
{
    mfi_redis *redis;
    mf_error err = {0};
    mf_status st = mfi_redis_create(&(mfi_redis_options){.address = address}, &redis, &err);
    if (st == MF_OK) {
        mfi_redis_request *rq = mfi_redis_request_create(redis);
        mfi_redis_add(rq, MF_STR_LIT("FLUSHALL"));
        st = mfi_redis_call(redis, rq, NULL, NULL, &err);
        mfi_redis_destroy(redis, 0);
    }
    if (st != MF_OK) {
        fprintf(stderr, "temp_redis: %s\n", err.text);
        abort();
    }
}

mf_status temp_redis_again(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err)
{
    mfi_redis_address address = where();
    return mfi_redis_store_create(&(mfi_redis_store_options){.allocator = allocator, .clock = clock, .address = &address}, out,
                                  err);
}

mf_status temp_redis_store(const mf_allocator *allocator, const mf_clock *clock, int64_t lease_ms, mf_store **out, mf_error *err)
{
    mfi_redis_address address = where();
    empty(&address);
    return mfi_redis_store_create(&(mfi_redis_store_options){.allocator = allocator, .clock = clock, .address = &address,
                                                             .lease_ms = lease_ms}, out, err);
}

void temp_redis_clean(void)
{
    redis_server_stop(&server);
}
