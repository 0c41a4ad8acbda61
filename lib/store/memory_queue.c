/* The order of what waits.
 *
 * Rows of priority 0 that are due when they come form a list, in which due times and ids both grow; those with a due time,
 * and those that come back, form a heap. The next one is the earlier of the two firsts: with that, a flow without delays
 * and priorities costs a list, and a delayed row one way through the heap.
 *
 * Rows of another priority go through two heaps: by time until they are due, then by priority. One that is due and above 0
 * goes before all of the above, one below 0 after them. */
#include "memory_tables.h"

static struct mfi_slot *slot_of(struct mfi_node *node)
{
    return (struct mfi_slot *)(void *)node;    /* its first member */
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

static void push(struct mfi_heap *heap, struct mfi_slot *slot, enum mfi_slot_state state, int32_t rank)
{
    slot->state = (uint8_t)state;
    slot->node.rank = rank;
    mfi_heap_push(heap, &slot->node);
}

static void append(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->state = MFI_SLOT_READY;
    slot->node.rank = 0;
    mfi_list_append(&q->ready, slot);
}

void mfi_queue_place(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms)
{
    q->waiting++;
    if (slot->priority != 0)
        push(&q->ranked_later, slot, MFI_SLOT_RANKED_LATER, 0);
    else if (slot->node.due <= now_ms && (q->ready.last == NULL || mfi_node_before(&q->ready.last->node, &slot->node)))
        append(q, slot);
    else
        push(&q->later, slot, MFI_SLOT_LATER, 0);
}

static void detach_rare(struct mfi_queue *q, struct mfi_slot *slot)
{
    switch ((enum mfi_slot_state)slot->state) {
    case MFI_SLOT_LATER: mfi_heap_remove(&q->later, &slot->node); break;
    case MFI_SLOT_RANKED_LATER: mfi_heap_remove(&q->ranked_later, &slot->node); break;
    case MFI_SLOT_RANKED: mfi_heap_remove(&q->ranked, &slot->node); break;
    case MFI_SLOT_PARKED: mfi_list_remove(slot->parked, slot); break;
    case MFI_SLOT_FREE: case MFI_SLOT_READY: case MFI_SLOT_CLAIMED: break;
    }
}

static void detach(struct mfi_queue *q, struct mfi_slot *slot)
{
    if (slot->state == MFI_SLOT_READY)
        mfi_list_remove(&q->ready, slot);
    else
        detach_rare(q, slot);
    q->waiting--;
}

void mfi_queue_detach(struct mfi_queue *q, struct mfi_slot *slot)
{
    detach(q, slot);
}

static void copy_entry(struct mfi_slot *slot, const mf_entry *entry)
{
    slot->spec = entry->spec;
    slot->unit = entry->unit;
    slot->message = entry->message;
    slot->error = entry->error;
    slot->attempt = entry->attempt;
    slot->deaths = entry->deaths;
    slot->priority = entry->priority;
}

void mfi_queue_add(struct mfi_queue *q, const mf_entry *entry, struct mfi_list *parked, int64_t now_ms)
{
    struct mfi_slot *slot = mfi_slot_pop(q);
    copy_entry(slot, entry);
    slot->node.id = ++q->last_id;
    slot->node.rank = 0;
    slot->node.due = entry->due_ms != 0 ? entry->due_ms : now_ms;
    mfi_id_insert(q, slot);
    q->ranked_rows += entry->priority != 0;
    if (parked != NULL) {
        slot->state = MFI_SLOT_PARKED;
        slot->parked = parked;
        mfi_list_append(parked, slot);
        q->waiting++;
    } else if (entry->due_ms == 0 && entry->priority == 0) {
        append(q, slot);
        q->waiting++;
    } else {
        mfi_queue_place(q, slot, now_ms);
    }
}

size_t mfi_queue_unpark(struct mfi_queue *q, struct mfi_list *parked, int64_t now_ms)
{
    size_t n = 0;
    for (struct mfi_slot *slot; (slot = parked->first) != NULL; n++) {
        detach(q, slot);
        slot->node.due = now_ms;
        mfi_queue_place(q, slot, now_ms);
    }
    return n;
}

struct mfi_slot *mfi_queue_find(const struct mfi_queue *q, uint64_t id)
{
    if (q->buckets == 0)
        return NULL;
    struct mfi_slot *slot = *mfi_id_bucket(q, id);
    while (slot != NULL && slot->node.id != id)
        slot = slot->same_id;
    return slot;
}

/* ---- what is next ------------------------------------------------------------------------------------------------ */

static struct mfi_slot *plain_first(const struct mfi_queue *q)
{
    struct mfi_node *top = mfi_heap_top(&q->later);
    struct mfi_slot *first = q->ready.first;
    return top != NULL && (first == NULL || mfi_node_before(top, &first->node)) ? slot_of(top) : first;
}

/* The first of those with a priority that are due, or NULL. */
static struct mfi_slot *ranked_first(struct mfi_queue *q, int64_t now_ms)
{
    struct mfi_node *top;
    while ((top = mfi_heap_top(&q->ranked_later)) != NULL && top->due <= now_ms) {
        mfi_heap_remove(&q->ranked_later, top);
        push(&q->ranked, slot_of(top), MFI_SLOT_RANKED, slot_of(top)->priority);
    }
    top = mfi_heap_top(&q->ranked);
    return top == NULL ? NULL : slot_of(top);
}

struct mfi_slot *mfi_queue_due(struct mfi_queue *q, int64_t now_ms)
{
    struct mfi_slot *slot = plain_first(q);
    if (slot != NULL && slot->node.due > now_ms)
        slot = NULL;
    if (q->ranked_rows > 0) {
        struct mfi_slot *ranked = ranked_first(q, now_ms);
        if (ranked != NULL && (slot == NULL || ranked->priority > 0))
            slot = ranked;
    }
    if (slot != NULL)
        detach(q, slot);
    return slot;
}

static int64_t sooner(int64_t ms, const struct mfi_node *node)
{
    return node != NULL && node->due < ms ? node->due : ms;
}

int64_t mfi_queue_next_due(const struct mfi_queue *q)
{
    const struct mfi_slot *slot = plain_first(q);
    int64_t ms = slot == NULL ? INT64_MAX : slot->node.due;
    if (q->ranked_rows > 0) {
        ms = sooner(ms, mfi_heap_top(&q->ranked));
        ms = sooner(ms, mfi_heap_top(&q->ranked_later));
    }
    return ms;
}
