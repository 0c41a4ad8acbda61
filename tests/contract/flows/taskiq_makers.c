/* Flows over a real TaskIQ broker: messages of flows go through mageflow's own queue on a redis-server of the test's own. */
#include "makers.h"

#include <stdio.h>
#include <stdlib.h>

#include "redis_server.h"

static redis_server server = REDIS_SERVER(NULL);

static mf_status open_broker(const char *parameters, const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    char url[256];
    mf_options o = *options;
    o.store = store;
    if (server.pid == 0)
        redis_server_start(&server);
    snprintf(url, sizeof url, "taskiq+unix://%s?%s", server.socket, parameters);
    mf_status st = mf_open(url, &o, out, err);
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

static void stop_server(void)
{
    redis_server_stop(&server);
}

const flow_maker flow_makers[] = {
    {"taskiq on a stream", open_stream, {.outside = true}, NULL, stop_server},
};
const size_t flow_maker_count = sizeof flow_makers / sizeof flow_makers[0];

const char *flow_store_path(void)
{
    return "";
}
