/* Claims of stores with a lease are renewed by the keeper, three times in a lease, for the calls that run here. A claim that
 * is no longer ours asks its call to stop: somebody else runs it by now, and its outcome will be refused. A worker looks as
 * often whether a claim of somebody else's has lapsed, since no commit tells that. */
#include "runtime.h"

#include "memory.h"

struct tokens {
    uint64_t *at;
    size_t    count, capacity;
};

static struct tokens running_tokens(mf_client *client)
{
    struct tokens tokens = {0};
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r) {
        if (r->token == 0)
            continue;
        if (!mfi_array_reserve(client->allocator, (void **)&tokens.at, &tokens.capacity, tokens.count + 1, sizeof *tokens.at))
            break;      /* without memory the rest is renewed the next time */
        tokens.at[tokens.count++] = r->token;
    }
    mfi_running_looked(client);
    return tokens;
}

/* The log is told without the lock, so of a copy. */
static void stop_one(mf_client *client, uint64_t token)
{
    mf_delivery about = {.task = {NULL, 0}};
    bool found = false;
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r)
        if (r->token == token) {
            mfi_call_stop(&r->call, MFI_STOP_CANCEL);
            about = (mf_delivery){.task = r->task->name, .unit = r->call.delivery->unit, .attempt = r->call.delivery->attempt};
            found = true;
        }
    mfi_running_looked(client);
    if (found)
        mfi_log_about(client, MF_LOG_WARN, &about, NULL, "lost its lease; it is asked to stop, and its outcome will not count");
}

static void stop_lost(mf_client *client, const uint64_t *asked, const uint64_t *renewed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (renewed[i] == 0)
            stop_one(client, asked[i]);
    mf_adapter_wake_helpers(client->adapter);
}

static void renew(mf_client *client)
{
    struct tokens asked = running_tokens(client);
    uint64_t *renewed = asked.count > 0 ? mfi_alloc_array(client->allocator, asked.count, sizeof *renewed) : NULL;
    mf_error err = {0};
    if (renewed != NULL) {
        memcpy(renewed, asked.at, asked.count * sizeof *renewed);
        if (mf_store_renew(client->store, renewed, asked.count, &err) == MF_OK)
            stop_lost(client, asked.at, renewed, asked.count);
        else
            mfi_log_about(client, MF_LOG_WARN, NULL, err.text, "cannot renew %zu claims, trying again", asked.count);
        mfi_release(client->allocator, renewed, asked.count * sizeof *renewed);
    }
    mfi_release(client->allocator, asked.at, asked.capacity * sizeof *asked.at);
}

int64_t mfi_leases_tick(mf_client *client, int64_t now_ns)
{
    int64_t lease_ms = mf_store_lease_ms(client->store);
    mfi_control *c = &client->control;
    if (lease_ms == 0 || !atomic_load_explicit(&client->serves, memory_order_acquire))
        return INT64_MAX;
    mfi_mutex_lock(&c->lock);
    int64_t at = c->renew_ns;
    mfi_mutex_unlock(&c->lock);
    if (now_ns < at)
        return at;
    if (at != 0) {
        renew(client);
        mfi_keeper_delayed(client, mf_store_now_ms(client->store));     /* and look at what others let lapse */
    }
    at = now_ns + lease_ms * 1000000 / 3;
    mfi_mutex_lock(&c->lock);
    c->renew_ns = at;
    mfi_mutex_unlock(&c->lock);
    return at;
}
