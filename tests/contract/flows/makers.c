#include "makers.h"

#include "local_adapter.h"
#include "queue_manager.h"
#ifdef MFT_SQLITE
#include "sqlite_create.h"
#include "temp_store.h"
#endif
#ifdef MFT_REDIS
#include "temp_redis.h"
#endif

static mf_status open_url(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    mf_options o = *options;
    o.store = store;
    return mf_open("local:", &o, out, err);
}

static mf_status open_by_message(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    mf_options o = *options;
    o.no_fast_path = true;
    return open_url(&o, store, out, err);
}

static mf_status open_adapter(const mf_options *options, mf_adapter *adapter, mf_store *store, mf_client **out,
                              mf_error *err)
{
    mf_options o = *options;
    o.adapter = adapter;
    o.store = store;
    return mf_open(NULL, &o, out, err);
}

static mf_status open_recorded(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    mf_adapter *adapter = NULL;
    mf_status st = mfi_local_create(options->allocator, &adapter, err);
    if (st == MF_OK)
        st = mf_recording_adapter_create(adapter, options->allocator, &adapter, err);
    if (st == MF_OK)
        return open_adapter(options, adapter, store, out, err);
    mf_store_destroy(store);
    return st;
}

static mf_status open_queue_of(unsigned copies, const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    mf_adapter *adapter = NULL;
    mf_status st = queue_manager_create(options->allocator, &(queue_manager_options){.copies = copies}, &adapter, err);
    if (st == MF_OK)
        return open_adapter(options, adapter, store, out, err);
    mf_store_destroy(store);
    return st;
}

static mf_status open_queue(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    return open_queue_of(1, options, store, out, err);
}

static mf_status open_queue_twice(const mf_options *options, mf_store *store, mf_client **out, mf_error *err)
{
    return open_queue_of(2, options, store, out, err);
}

#ifdef MFT_SQLITE
static mf_status sqlite_store(const mf_allocator *allocator, mf_store **out, mf_error *err)
{
    return mfi_sqlite_store_create(temp_store_new(), allocator, NULL, out, err);
}
#endif

#ifdef MFT_REDIS
static mf_status redis_store(const mf_allocator *allocator, mf_store **out, mf_error *err)
{
    return temp_redis_store(allocator, NULL, 0, out, err);
}
#endif

const flow_maker flow_makers[] = {
    {"local", open_url, {0}},
    {"local, outcomes by message", open_by_message, {.by_message = true}},
    {"recording around local", open_recorded, {0}},
    {"a queue of its own", open_queue, {0}},
    {"a queue that delivers twice", open_queue_twice, {.twice = true}},
#ifdef MFT_SQLITE
    {"local in one file", open_url, {0}, sqlite_store, temp_store_clean},
    {"a queue of its own, flows in one file", open_queue, {0}, sqlite_store, temp_store_clean},
#endif
#ifdef MFT_REDIS
    {"local on Redis", open_url, {0}, redis_store, temp_redis_clean},
    {"a queue of its own, flows in Redis", open_queue, {0}, redis_store, temp_redis_clean},
#endif
};
const size_t flow_maker_count = sizeof flow_makers / sizeof flow_makers[0];

const char *flow_store_path(void)
{
#ifdef MFT_SQLITE
    return temp_store_path;
#else
    return "";
#endif
}
