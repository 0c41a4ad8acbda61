/* Whether the engine is there, and whether we hear it.
 *
 * A connection alone says little: an engine may keep it and have lost our stream, or may answer nothing. So a worker counts as
 * deaf from when its stream ended, or a heartbeat was refused or not answered, until the engine takes a heartbeat while a stream is
 * open, which it only does for a worker whose stream it sees. */
#include "hatchet.h"

#include <stdio.h>

#include "clock.h"

void hatchet_health_link(hatchet *h, bool up, const mf_error *why)
{
    pthread_mutex_lock(&h->lock);
    if (h->health.up != up)
        h->health.since_ns = mfi_now_ns(NULL);
    h->health.up = up;
    if (!up && why != NULL)
        h->health.link_why = *why;
    pthread_mutex_unlock(&h->lock);
}

void io_is_deaf(hatchet *h, const char *why)
{
    pthread_mutex_lock(&h->lock);
    h->health.deaf = true;
    snprintf(h->health.deaf_why.text, sizeof h->health.deaf_why.text, "%s", why);
    pthread_mutex_unlock(&h->lock);
}

bool hatchet_is_deaf(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool deaf = h->health.deaf;
    pthread_mutex_unlock(&h->lock);
    return deaf;
}

bool hatchet_is_connected(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool up = h->health.up;
    pthread_mutex_unlock(&h->lock);
    return up;
}

bool io_hears(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool was_deaf = h->health.deaf;
    h->health.deaf = false;
    pthread_mutex_unlock(&h->lock);
    return was_deaf;
}

void hatchet_health_replaced(hatchet *h, bool replace)
{
    pthread_mutex_lock(&h->lock);
    h->health.replaced += replace ? 1u : -1u;
    pthread_mutex_unlock(&h->lock);
}

void hatchet_health(mf_adapter *base, mf_adapter_health *out)
{
    hatchet *h = hatchet_of(base);
    mf_pool_counts counts = {0};
    mfi_rpc_stats stats;
    mfi_rpc_stats_read(h->rpc, &stats);
    out->link = (mf_link_health){.connects = stats.connects, .drops = stats.drops, .requests = stats.calls,
                                 .bytes_out = stats.bytes_out, .bytes_in = stats.bytes_in};
    snprintf(out->link.server, sizeof out->link.server, "%.*s", (int)sizeof out->link.server - 1, h->what);
    pthread_mutex_lock(&h->lock);
    out->link.connected = h->health.up;
    out->link.since_ns = h->health.since_ns;
    out->deaf = h->serving && h->health.up && h->health.deaf;
    const mf_error *why = out->deaf ? &h->health.deaf_why : &h->health.link_why;
    snprintf(out->link.last_error, sizeof out->link.last_error, "%.*s", (int)sizeof out->link.last_error - 1, why->text);
    if (h->serving) {       /* worker_stop says that it ends before the pool goes */
        (void)mf_pool_stats(h->pool, &counts);
        out->slots = h->serving_options.slots != 0 ? h->serving_options.slots : HATCHET_SLOTS;
    }
    out->threads = counts.workers;
    out->held = (unsigned)h->job_count;
    out->replaced = h->health.replaced;
    pthread_mutex_unlock(&h->lock);
}
