/* Outcomes that wait for each other: what a worker's next deliveries make of a swarm is committed with what the last one did.
 *
 * A commit costs as much as the call of a small task, whether it tells of one item or of thirty. So where the adapter has more
 * deliveries at hand (mf_delivery.gather), the result of an item is kept here, and the adapter flushes when the last one begins.
 * Only results of a swarm's items: what follows a task's own end, or a chain's step, or a failure, is not put off, and an event
 * of another kind takes along what waits for the same record.
 *
 * What waits is claimed still: should the process end, its message is due again, as that of a call that runs. And it does not
 * wait for long, whatever the next deliveries do: the keeper looks while something gathers (keeper.c). */
#include "mailbox.h"

bool mfi_dispatch_later(mf_client *client, const mf_key *key, uint64_t index, uint64_t token, mf_message *value)
{
    mfi_dispatcher *d = &client->dispatcher;
    mfi_mutex_lock(&d->lock);
    uint32_t count = atomic_load_explicit(&d->later_count, memory_order_relaxed);
    mfi_mailbox *box = count < MFI_LATER_MAX ? mfi_mailbox_of(client, key) : NULL;
    if (box != NULL) {
        d->later[count] = (mfi_later){.box = box, .index = index, .token = token, .value = value};
        box->later++;
        /* The first one is told with seq_cst: what an adapter reads next, and then flushes by, is ordered with it, see its
         * invoker. Those after it meet in the lock whoever found the first one. */
        if (count == 0) {
            atomic_store_explicit(&d->later_count, 1, memory_order_seq_cst);
            atomic_fetch_add_explicit(&d->later_rounds, 1, memory_order_seq_cst);
        } else {
            atomic_store_explicit(&d->later_count, count + 1, memory_order_relaxed);
        }
    }
    mfi_mutex_unlock(&d->lock);
    if (box != NULL && count == 0)
        mfi_keeper_gathers(client);
    return box != NULL;
}

size_t mfi_later_collect(mfi_dispatcher *d, mfi_mailbox *box, struct mfi_posted *out)
{
    uint32_t count = atomic_load_explicit(&d->later_count, memory_order_relaxed), left = 0;
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const mfi_later *l = &d->later[i];
        if (l->box == box)
            out[n++] = (struct mfi_posted){.event = {.kind = MFI_EV_ITEM_DONE, .index = l->index, .settle = l->token, .value = l->value}};
        else
            d->later[left++] = *l;
    }
    box->later = 0;
    atomic_store_explicit(&d->later_count, left, memory_order_release);
    return n;
}

/* The first record that something waits for and nobody processes. Whoever processes another one is told to go on with it. */
static mfi_mailbox *idle_box(mfi_dispatcher *d)
{
    uint32_t count = atomic_load_explicit(&d->later_count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (!d->later[i].box->busy)
            return d->later[i].box;
        d->later[i].box->flush = true;
    }
    return NULL;
}

void mfi_dispatch_flush(mf_client *client)
{
    mfi_dispatcher *d = &client->dispatcher;
    if (atomic_load_explicit(&d->later_count, memory_order_seq_cst) == 0)
        return;
    bool may_draw = !mfi_keeper_is_here();
    unsigned tries = 0;
    mfi_mailbox *box;
    mfi_mutex_lock(&d->lock);
    while ((box = idle_box(d)) != NULL) {
        struct mfi_desk *desk = mfi_desk_take(client);
        if (desk != NULL) {
            mfi_mailbox_run(client, box, desk, may_draw);
            continue;
        }
        mfi_mutex_unlock(&d->lock);
        mfi_pause_without_memory(client, &tries);
        mfi_mutex_lock(&d->lock);
    }
    mfi_mutex_unlock(&d->lock);
}
