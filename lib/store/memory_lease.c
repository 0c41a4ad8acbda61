/* How long a claim is good for. The store's claims end with the process, unless a test or a simulator gave them a lease. */
#include "memory_store.h"
#include "memory_tables.h"

void mfi_memory_set_lease(mf_store *base, int64_t ms)
{
    struct mfi_memory *m = mfi_memory_of(base);
    m->leases = ms != 0;
    m->queue.lease_ms = ms;
}

int64_t mfi_memory_lease_ms(mf_store *base)
{
    return mfi_memory_of(base)->queue.lease_ms;
}

mf_status mfi_memory_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err)
{
    (void)err;
    struct mfi_memory *m = mfi_memory_of(base);
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    size_t ready = mfi_claims_sweep(&m->queue, now);
    for (size_t i = 0; i < n; i++) {
        struct mfi_slot *slot = mfi_claim_find(&m->queue, tokens[i]);
        if (slot == NULL)
            tokens[i] = 0;
        else
            mfi_claim_renew(&m->queue, slot, now);
    }
    mfi_mutex_unlock(&m->lock);
    mfi_watchers_tell_ready(&m->watchers, ready);
    return MF_OK;
}

mf_status mfi_memory_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err)
{
    (void)err;
    struct mfi_memory *m = mfi_memory_of(base);
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    size_t ready = mfi_claims_sweep(&m->queue, now);
    for (size_t i = 0; i < n; i++) {
        struct mfi_slot *slot = mfi_claim_find(&m->queue, tokens[i]);
        if (slot != NULL)
            ready += mfi_claim_return(&m->queue, slot, now);
    }
    mfi_mutex_unlock(&m->lock);
    mfi_watchers_tell_ready(&m->watchers, ready);
    return MF_OK;
}
