/* From a new client to one that serves. */
#include "runtime.h"

#include "clock.h"

/* A message for one of mageflow's own tasks reaches mfi_framework_deliver through the host; no manager calls this. Only
 * run_flow may be called from outside, and is a task like any other then. */
static mf_status framework_run(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_FINAL, "NotForCalling", "mageflow's own tasks take messages of flows only");
}

static mf_status register_framework_tasks(mf_client *client, mf_error *err)
{
    mf_task_def defs[MFI_FRAMEWORK_TASKS];
    for (int i = 0; i < MFI_FRAMEWORK_TASKS; i++)
        defs[i] = (mf_task_def){.struct_size = sizeof defs[i], .name = mfi_framework_name((mfi_framework_task)i),
                                .run = i == MFI_RUN_FLOW ? mfi_run_flow : framework_run, .user = client};
    mf_status st = mfi_registry_add_task(&client->registry, &defs[MFI_RUN_FLOW], MFI_TASK_OWN, err);
    if (st != MF_OK)
        return st;
    return mf_adapter_create_framework_tasks(client->adapter, defs, MFI_FRAMEWORK_TASKS, err);
}

/* A store may tell of others' commits from its first moment on, on a thread of its own, when the adapter does not know the store yet.
 * What is passed over then is looked at when the client is up. */
static bool is_up(const mf_client *client)
{
    return atomic_load_explicit(&client->up, memory_order_acquire);
}

static void store_ready(void *user, size_t n)
{
    (void)n;
    if (is_up(user))
        mfi_outbox_publish(user);
}

static void store_delayed(void *user, int64_t due_ms)
{
    if (is_up(user))
        mfi_keeper_delayed(user, due_ms);
}

static void store_ended(void *user, const mf_key *key)
{
    mfi_control_ended(user, key);
    mfi_observers_ended(user, key);
}

/* What waits in the store may be due here now. */
static void store_elsewhere(void *user)
{
    mf_client *client = user;
    if (!is_up(client))
        return;
    mfi_outbox_publish(client);
    mfi_keeper_elsewhere(client);
}

mf_status mfi_startup(mf_client *client, mf_error *err)
{
    mf_status st = mfi_framework_init(&client->framework, client->allocator);
    if (st != MF_OK)
        return mf_fail(err, st, "client: no memory");
    st = mf_store_watch_start(client->store, &(mf_store_watch){.ready = store_ready, .delayed = store_delayed,
                                                               .ended = store_ended, .elsewhere = store_elsewhere,
                                                               .user = client});
    if (st != MF_OK)
        return mf_fail(err, st, "client: cannot watch the store: %s", mf_status_text(st));
    st = mf_adapter_bind(client->adapter, &client->host, client->store, err);
    if (st == MF_OK)
        st = register_framework_tasks(client, err);
    if (st == MF_OK)
        atomic_store_explicit(&client->up, true, memory_order_release);
    if (st == MF_OK && mf_client_durable(client))
        mfi_keeper_delayed(client, mf_store_now_ms(client->store));     /* what an earlier process left */
    return st;
}

static mf_status serve(mf_client *client, const mf_worker_options *options, bool again_is_fine, mf_error *err)
{
    mf_status st = MF_OK;
    pthread_mutex_lock(&client->serve_lock);
    if (client->worker != NULL) {
        st = again_is_fine ? MF_OK : mf_fail(err, MF_E_STATE, "the client serves already");
    } else {
        mf_worker *worker;
        st = mfi_definitions_publish(client, err);
        if (st == MF_OK)
            st = mf_adapter_worker(client->adapter, NULL, 0, options, &worker, err);
        if (st == MF_OK) {
            client->worker = worker;
            atomic_store_explicit(&client->serves, true, memory_order_release);
            st = mf_worker_start(worker, err);
        }
        if (st == MF_OK) {
            mfi_keeper_begin(client);
            mfi_dispatcher_prepare(client);
        }
        /* What a process before this one left, delayed or on its way to the manager, has nobody who waits for it. */
        if (st == MF_OK && client->store->ops->durable)
            mfi_keeper_delayed(client, 0);
        if (st == MF_OK && mf_store_lease_ms(client->store) > 0)
            mfi_keeper_look(client);
        if (st != MF_OK && client->worker != NULL) {
            atomic_store_explicit(&client->serves, false, memory_order_release);
            mf_worker_destroy(client->worker);
            client->worker = NULL;
        }
    }
    pthread_mutex_unlock(&client->serve_lock);
    return st;
}

mf_status mf_serve(mf_client *client, const mf_worker_options *options, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (options != NULL && options->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "worker: struct_size is 0; make the options with MF_WORKER_OPTIONS(...)");
    mf_worker_options o = {0};
    if (options != NULL)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    o.struct_size = sizeof o;
    if (o.threads == 0)
        o.threads = client->threads;
    return serve(client, &o, false, err);
}

mf_status mfi_serve_here(mf_client *client, mf_error *err)
{
    mfi_task *any;
    if (!mf_client_in_process(client))
        return MF_OK;
    /* With nothing to run it would only keep messages from those who can, if there are any. */
    if (client->store->ops->shared && mfi_registry_page(&client->registry, mf_str_of(NULL, 0), 1, &any) == 0)
        return MF_OK;
    return serve(client, MF_WORKER_OPTIONS(.threads = client->threads), true, err);
}

/* NULL: nothing is served. */
static mf_worker *worker_of(mf_client *client)
{
    pthread_mutex_lock(&client->serve_lock);
    mf_worker *worker = client->worker;
    pthread_mutex_unlock(&client->serve_lock);
    return worker;
}

mf_status mf_unserve(mf_client *client)
{
    mf_status st = mfi_client_check(client, NULL);
    if (st != MF_OK)
        return st;
    mf_worker *worker = worker_of(client);
    if (worker == NULL)
        return MF_OK;
    mf_worker_stop(worker);         /* what still runs keeps its leases meanwhile */
    pthread_mutex_lock(&client->serve_lock);
    if (client->worker == worker) {
        atomic_store_explicit(&client->serves, false, memory_order_release);
        client->worker = NULL;
        mf_worker_destroy(worker);
    }
    pthread_mutex_unlock(&client->serve_lock);
    return MF_OK;
}

void mf_stop_calls(mf_client *client)
{
    if (mfi_client_check(client, NULL) == MF_OK)
        mfi_control_close(client);
}

mf_status mf_drain(mf_client *client, mf_duration timeout)
{
    mf_status st = mfi_client_check(client, NULL);
    if (st != MF_OK)
        return st;
    mf_worker *worker = worker_of(client);
    return worker == NULL ? MF_OK : mf_worker_drain(worker, timeout);
}
