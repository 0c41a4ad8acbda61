/* Flows through a real Hatchet engine, which all scenarios of the program share: each has a namespace of its own there. */
#include "makers.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 4

static mf_status open_engine(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    char ns[32];
    mf_options o = *options;
    o.store = store;
    snprintf(ns, sizeof ns, "t%ld", (long)getpid());        /* a scenario is a process */
    setenv("HATCHET_CLIENT_NAMESPACE", ns, 1);
    mf_status st = mf_options_from_url("hatchet:", &o, err);
    return st != MF_OK ? st : mf_client_create(o.adapter, o.store, &o, out, err);
}

static mf_status serve(mf_client *client, mf_error *err)
{
    return mf_serve(client, MF_WORKER_OPTIONS(.threads = THREADS), err);
}

const flow_maker flow_makers[] = {
    {"hatchet", open_engine, {.outside = true, .unserved_waits = true, .known_names = true, .maps = true, .fewer = 5}, NULL, NULL, serve},
};
const size_t flow_maker_count = sizeof flow_makers / sizeof flow_makers[0];

const char *flow_store_path(void)
{
    return "";
}
