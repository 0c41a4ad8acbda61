#include "runtime.h"

#include <dlfcn.h>
#include <stdio.h>

#include "memory.h"
#include "random.h"

/* A child has a generation of its own: what was made before the fork is refused there, without asking for the process
 * id at each call. */
static atomic_uint fork_generation;

static void child_of_fork(void)
{
    atomic_fetch_add_explicit(&fork_generation, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_of_fork);
}

mf_status mfi_client_check(const mf_client *client, mf_error *err)
{
    if (client == NULL)
        return mf_fail(err, MF_E_INVALID, "expected a client, got NULL");
    if (client->fork_generation != atomic_load_explicit(&fork_generation, memory_order_relaxed))
        return mf_fail(err, MF_E_FORKED, "the client was made before a fork; open a new one in the child");
    return MF_OK;
}

static mf_status check_options(const mf_options *options, mf_error *err)
{
    if (options != NULL && options->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "options: struct_size is 0; make them with MF_OPTIONS(...)");
    if (options != NULL && options->struct_size > offsetof(mf_options, limits) && options->limits != NULL &&
        options->limits->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "options: the limits' struct_size is 0; make them with MF_LIMITS(...)");
    return MF_OK;
}

#define DAY_MS (24 * INT64_C(3600) * 1000)
#define KEEP_IN_MEMORY_MS (5 * INT64_C(60) * 1000)

static void take_ttl(mf_client *client, mf_kind kind, const mf_ttl_default *ttl)
{
    client->ttl_ms[kind] = mfi_span_ms(ttl->live, DAY_MS);
    client->keep_ms[kind] = mfi_span_ms(ttl->keep, mf_client_durable(client) ? DAY_MS : KEEP_IN_MEMORY_MS);
}

uint64_t mfi_client_random(mf_client *client)
{
    uint64_t z = atomic_fetch_add_explicit(&client->random, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void take_options(mf_client *client, const mf_options *options)
{
    mf_options o = {0};
    if (options != NULL)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    client->allocator = o.allocator;
    client->clock = o.clock;
    client->log = o.log;
    client->log_user = o.log_user;
    client->log_event = o.log_event;
    client->call = o.call;
    client->call_user = o.call_user;
    client->threads = o.threads;
    client->fast_path = !o.no_fast_path;
    take_ttl(client, MF_KIND_TASK, &o.task_ttl);
    take_ttl(client, MF_KIND_CHAIN, &o.chain_ttl);
    take_ttl(client, MF_KIND_SWARM, &o.swarm_ttl);
    if (o.limits != NULL)
        memcpy(&client->limits, o.limits,
               o.limits->struct_size < sizeof client->limits ? o.limits->struct_size : sizeof client->limits);
    client->limits.struct_size = sizeof client->limits;
}

static void client_free(mf_client *client)
{
    mf_adapter_destroy(client->adapter);    /* until then it may tell the ends of tasks that others serve */
    mfi_dispatcher_fini(client);
    mfi_seats_fini(client);
    mfi_outbox_fini(client);
    mf_store_destroy(client->store);
    mfi_signature_spare_fini(client);
    mfi_observers_fini(&client->observers);
    mfi_registry_fini(&client->registry);
    mfi_framework_fini(&client->framework);
    for (size_t i = client->module_count; i > 0; i--)
        dlclose(client->modules[i - 1]);
    mfi_release(client->allocator, client->modules, client->module_capacity * sizeof *client->modules);
    pthread_mutex_destroy(&client->serve_lock);
    pthread_mutex_destroy(&client->keeper.lock);
    mf_delete(client->allocator, client);
}

mf_status mf_client_create(mf_adapter *adapter, mf_store *store, const mf_options *options, mf_client **out, mf_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);

    mf_status st = check_options(options, err);
    if (st == MF_OK && (adapter == NULL || store == NULL))
        st = mf_fail(err, MF_E_INVALID, "client: expected an adapter and a store, got no %s",
                     adapter == NULL ? "adapter" : "store");
    mf_client *client = NULL;
    if (st == MF_OK) {
        client = mf_new(options == NULL ? NULL : options->allocator, mf_client);
        if (client == NULL)
            st = mf_fail(err, MF_E_NOMEM, "client: no memory");
    }
    if (st != MF_OK) {
        mf_adapter_destroy(adapter);
        mf_store_destroy(store);
        return st;
    }

    client->host.ops = &mfi_host_ops;
    client->fork_generation = atomic_load_explicit(&fork_generation, memory_order_relaxed);
    client->adapter = adapter;
    client->store = store;
    take_options(client, options);
    uint64_t seed = 0;
    st = mfi_random_fill(NULL, &seed, sizeof seed);
    atomic_init(&client->random, seed);
    /* Recursive: a worker's on_start is called under it, and may start flows. */
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&client->serve_lock, &attr);
    pthread_mutexattr_destroy(&attr);
    mfi_registry_init(&client->registry, client->allocator);
    mfi_dispatcher_init(&client->dispatcher);
    mfi_control_init(&client->control);
    client->storing_ms = MFI_STORING_MS;
    mfi_keeper_init(&client->keeper);
    mfi_outbox_init(&client->outbox);
    mfi_observers_init(&client->observers);
    mfi_stats_init(&client->stats);
    st = st == MF_OK ? mfi_startup(client, err) : mf_fail(err, st, "client: no random bytes");
    if (st != MF_OK) {
        mf_client_destroy(client);
        return st;
    }
    *out = client;
    return MF_OK;
}

void mf_client_destroy(mf_client *client)
{
    if (client == NULL || mfi_client_check(client, NULL) != MF_OK)
        return;
    atomic_store(&client->closing, true);
    mfi_control_close(client);
    if (client->worker != NULL) {
        mf_worker_stop(client->worker);
        mf_worker_destroy(client->worker);
    }
    mfi_dispatch_flush(client);     /* what the last deliveries kept back for others */
    mfi_keeper_stop(client);
    mf_store_watch_stop(client->store, client);
    client_free(client);
}

void mf_client_abandon(mf_client *client)
{
    (void)client;       /* what it shares with the parent must not be touched; a few pages stay until exec or exit */
}

bool mf_client_in_process(const mf_client *client)
{
    return mf_adapter_can(client->adapter, MF_CAP_IN_PROCESS);
}

bool mf_client_durable(const mf_client *client)
{
    return client->store->ops->durable;
}

/* ---- declarations ---------------------------------------------------------------------------------------------- */

static mf_status declare(mf_client *client, const mf_task_def *def, bool durable, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mfi_registry_add_task(&client->registry, def, durable ? MFI_TASK_DURABLE : MFI_TASK_PLAIN, err);
    if (st != MF_OK)
        return st;
    /* The adapter and everybody after it see the checked copy, whatever size of struct the caller knows. */
    const mf_task_def *copy = &mfi_registry_task(&client->registry, mf_cstr(def->name))->def;
    if (copy->max_concurrency > 0 && !mf_adapter_can(client->adapter, MF_CAP_CONCURRENCY))
        st = mf_fail(err, MF_E_UNSUPPORTED, "task \"%s\": %s does not keep max_concurrency", def->name,
                     client->adapter->ops->name);
    else if (durable)
        st = mf_adapter_durable_task(client->adapter, copy, err);
    else
        st = mf_adapter_task(client->adapter, copy, err);
    if (st != MF_OK) {
        mfi_registry_remove_task(&client->registry, mf_cstr(def->name));
        return st;
    }
    pthread_mutex_lock(&client->serve_lock);
    bool serves = client->worker != NULL;
    pthread_mutex_unlock(&client->serve_lock);
    return serves ? mfi_definitions_publish(client, err) : MF_OK;       /* else when it begins to */
}

mf_status mf_task(mf_client *client, const mf_task_def *def, mf_error *err)
{
    return declare(client, def, false, err);
}

mf_status mf_durable_task(mf_client *client, const mf_task_def *def, mf_error *err)
{
    return declare(client, def, true, err);
}

mf_status mf_task_foreign(mf_client *client, const mf_task_def *def, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (!mf_adapter_can(client->adapter, MF_CAP_OBSERVES))
        return mf_fail(err, MF_E_UNSUPPORTED, "foreign task \"%s\": %s cannot watch for the ends of other workers' tasks",
                       def == NULL || def->name == NULL ? "" : def->name, client->adapter->ops->name);
    return mfi_registry_add_task(&client->registry, def, MFI_TASK_FOREIGN, err);
}

mf_status mf_source(mf_client *client, const mf_source_def *def, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    return st != MF_OK ? st : mfi_registry_add_source(&client->registry, def, err);
}

mf_client *mf_context_client(const mf_context *ctx)
{
    return ctx->call->client;
}

mf_status mf_workflow_open(mf_client *client, const char *task, mf_workflow **out, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (mfi_registry_task(&client->registry, mf_cstr(task)) == NULL)
        return mfi_registry_unknown_task(&client->registry, mf_cstr(task), err);
    mf_workflow *workflow;
    st = mf_adapter_workflow(client->adapter, mf_cstr(task), &workflow, err);
    if (st != MF_OK)
        return st;
    st = mfi_serve_here(client, err);
    if (st == MF_OK)
        *out = workflow;
    else
        mf_workflow_destroy(workflow);
    return st;
}
