/* Claims: begun on a detached row, or on none of ours; ended by a settlement, by being given back, or by their lease.
 *
 * All leases of a store are equally long, so that a list in the order of their beginning is in the order of their end, too.
 * A store without leases has an empty list. */
#include "memory_tables.h"

#include "record.h"

/* ---- leases ------------------------------------------------------------------------------------------------------ */

void mfi_lease_begin(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms)
{
    slot->until_ms = now_ms + q->lease_ms;
    mfi_list_append(&q->leases, slot);
}

static void lease_end(struct mfi_queue *q, struct mfi_slot *slot)
{
    if (slot->until_ms != 0)
        mfi_list_remove(&q->leases, slot);
    slot->until_ms = 0;
}

void mfi_claim_renew(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms)
{
    lease_end(q, slot);
    if (q->lease_ms != 0)
        mfi_lease_begin(q, slot, now_ms);
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

void mfi_claims_by_unit(struct mfi_queue *q)
{
    if (q->by_unit)
        return;
    q->by_unit = true;
    for (uint32_t i = 0; i < q->slot_count; i++) {
        struct mfi_slot *slot = mfi_slot_at(q, i);
        if (slot->state == MFI_SLOT_CLAIMED && slot->held != 0)
            mfi_unit_insert(q, slot);
    }
}

bool mfi_claim_held(const struct mfi_queue *q, uint64_t serial, const mf_unit *unit)
{
    if (q->buckets == 0)
        return false;
    const struct mfi_slot *slot = *mfi_unit_bucket(q, serial, unit->index);
    for (; slot != NULL; slot = slot->same_unit)
        if (slot->held == serial && slot->unit.index == unit->index && slot->unit.epoch == unit->epoch)
            return true;
    return false;
}

static void claim_leave(struct mfi_queue *q, struct mfi_slot *slot)
{
    if (mfi_unit_is_kept(q, slot))
        mfi_unit_remove(q, slot);
    lease_end(q, slot);
    q->claimed--;
}

size_t mfi_claim_return(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms)
{
    claim_leave(q, slot);
    if (slot->node.id == 0) {    /* it has no message of ours, and refers to nothing */
        mfi_slot_free(q, slot);
        return 0;
    }
    if (++slot->generation == 0)
        slot->generation = 1;
    mfi_queue_place(q, slot, now_ms);
    return 1;
}

size_t mfi_claims_sweep_some(struct mfi_queue *q, int64_t now_ms)
{
    size_t n = 0;
    while (mfi_claims_next(q) <= now_ms) {
        q->leases.first->deaths++;
        n += mfi_claim_return(q, q->leases.first, now_ms);
    }
    return n;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Neighbours are mostly calls of the same task: one atomic subtraction serves a run of them. */
void mfi_dropped_release(struct mfi_dropped *dropped)
{
    for (size_t i = 0; i < dropped->count;) {
        mf_spec *spec = dropped->rows[i].spec;
        unsigned same = 0;
        for (; i < dropped->count && dropped->rows[i].spec == spec; i++, same++) {
            mf_message_unref(dropped->rows[i].message);
            if (dropped->rows[i].error != NULL)    /* rare */
                mf_message_unref(dropped->rows[i].error);
        }
        mfi_spec_unref_many(spec, same);
    }
    dropped->count = 0;
}

void mfi_queue_end(struct mfi_queue *q, struct mfi_slot *slot, struct mfi_dropped *dropped)
{
    if (slot->node.id != 0) {
        mfi_id_remove(q, slot);
        if (dropped->count == MFI_DROPPED_MAX)
            mfi_dropped_release(dropped);
        dropped->rows[dropped->count++] = (struct mfi_dropped_row){slot->spec, slot->message, slot->error};
        q->ranked_rows -= slot->priority != 0;
    }
    if (slot->state == MFI_SLOT_CLAIMED)
        claim_leave(q, slot);
    else
        mfi_queue_detach(q, slot);
    mfi_slot_free(q, slot);
}
