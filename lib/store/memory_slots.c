/* Slots, and room for them. */
#include "memory_tables.h"

#include "memory.h"

static void tables_fill(struct mfi_queue *q)
{
    for (uint32_t i = 0; i < q->slot_count; i++) {
        struct mfi_slot *slot = mfi_slot_at(q, i);
        if (slot->state != MFI_SLOT_FREE && slot->node.id != 0)
            mfi_id_insert(q, slot);
        if (slot->state == MFI_SLOT_CLAIMED && mfi_unit_is_kept(q, slot))
            mfi_unit_insert(q, slot);
    }
}

static bool tables_reserve(struct mfi_queue *q, const mf_allocator *a, size_t slots)
{
    size_t buckets = q->buckets == 0 ? MFI_PAGE : q->buckets;
    while (buckets < slots)
        buckets *= 2;
    if (buckets == q->buckets)
        return true;
    struct mfi_slot **both = mfi_alloc_array(a, 2 * buckets, sizeof *both);
    if (both == NULL)
        return false;
    memset(both, 0, 2 * buckets * sizeof *both);
    mfi_release(a, q->ids, 2 * q->buckets * sizeof *q->ids);
    q->ids = both;
    q->units = both + buckets;
    q->buckets = buckets;
    tables_fill(q);
    return true;
}

static bool slots_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n)
{
    while (q->free_count < n) {
        size_t slots = (size_t)q->slot_count + MFI_PAGE;
        if (slots > UINT32_MAX || !tables_reserve(q, a, slots) || !mfi_heap_reserve(&q->later, a, slots) ||
            !mfi_pages_reserve(&q->slots, a, q->slot_count, MFI_PAGE, sizeof(struct mfi_slot)))
            return false;
        q->slot_count += MFI_PAGE;
        for (uint32_t i = 1; i <= MFI_PAGE; i++) {    /* backwards: the first one is used first */
            struct mfi_slot *slot = mfi_slot_at(q, q->slot_count - i);
            slot->number = q->slot_count - i;
            slot->generation = 1;
            mfi_slot_push(q, slot);
        }
    }
    return true;
}

static bool ranked_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n)
{
    return mfi_heap_reserve(&q->ranked_later, a, q->ranked_rows + n) && mfi_heap_reserve(&q->ranked, a, q->ranked_rows + n);
}

bool mfi_queue_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n, size_t ranked)
{
    return slots_reserve(q, a, n) && (ranked == 0 || ranked_reserve(q, a, ranked));
}

static void slot_release(const struct mfi_slot *slot)
{
    mf_spec_unref(slot->spec);
    mf_message_unref(slot->message);
    mf_message_unref(slot->error);
}

void mfi_queue_fini(struct mfi_queue *q, const mf_allocator *a)
{
    for (uint32_t i = 0; i < q->slot_count; i++)
        if (mfi_slot_at(q, i)->state != MFI_SLOT_FREE)
            slot_release(mfi_slot_at(q, i));
    mfi_pages_fini(&q->slots, a, sizeof(struct mfi_slot));
    mfi_heap_fini(&q->later, a);
    mfi_heap_fini(&q->ranked_later, a);
    mfi_heap_fini(&q->ranked, a);
    mfi_release(a, q->ids, 2 * q->buckets * sizeof *q->ids);
    *q = (struct mfi_queue){0};
}

struct mfi_slot *mfi_queue_slot(struct mfi_queue *q)
{
    struct mfi_slot *slot = mfi_slot_pop(q);
    slot->node.id = 0;
    slot->spec = NULL;
    slot->message = slot->error = NULL;
    slot->priority = 0;
    slot->deaths = 0;
    return slot;
}
