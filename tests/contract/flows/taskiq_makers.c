/* Flows over a real TaskIQ broker: messages of flows go through mageflow's own queue on a redis-server of the test's own. Once
 * with a store elsewhere, so that they pass the outbox; once with the store that taskiq: means, whose commits carry them. */
#include "makers.h"

#include <stdio.h>
#include <stdlib.h>

#include "redis_server.h"
#include "redis_store.h"
#include "taskiq_adapter.h"

static redis_server server = REDIS_SERVER(NULL);
static mf_store *same;      /* the store on the server, beneath what the test sees of it; NULL: it is elsewhere */

static mf_status open_broker(const char *parameters, const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    char url[256];
    mf_options o = *options;
    o.store = store;
    if (server.pid == 0)
        redis_server_start(&server);
    snprintf(url, sizeof url, "taskiq+unix://%s?%s", server.socket, parameters);
    mf_status st = mf_options_from_url(url, &o, err);
    if (st == MF_OK && same != NULL)
        mfi_taskiq_shares(o.adapter, same);
    if (st == MF_OK)
        st = mf_client_create(o.adapter, o.store, &o, out, err);
    if (st != MF_OK)
        return st;
    st = mf_serve(*out, MF_WORKER_OPTIONS(.threads = options->threads), err);
    if (st != MF_OK)
        mf_client_destroy(*out);
    return st;
}

static mf_status open_stream(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    return open_broker("lease=2s&unknown=leave", options, store, out, err);
}

static mf_status store_there(const mf_allocator *allocator, mf_store **out, mf_error *err)
{
    mfi_redis_address address;
    char url[128];
    if (server.pid == 0)
        redis_server_start(&server);
    snprintf(url, sizeof url, "unix://%s", server.socket);
    mf_status st = mfi_redis_address_from_url(url, &address, err);
    if (st == MF_OK)
        st = mfi_redis_store_create(&(mfi_redis_store_options){.allocator = allocator, .address = &address, .lease_ms = 2000}, out, err);
    same = st == MF_OK ? *out : NULL;
    return st;
}

static void stop_server(void)
{
    redis_server_stop(&server);
}

const flow_maker flow_makers[] = {
    {"taskiq on a stream", open_stream, {.outside = true}, NULL, stop_server},
    {"taskiq on a stream, with its own store", open_stream, {.outside = true}, store_there, stop_server},
};
const size_t flow_maker_count = sizeof flow_makers / sizeof flow_makers[0];

const char *flow_store_path(void)
{
    return "";
}
