/* store/memory_tables.h: lists of slots, and the tables that find one: every message passes through them, so they are inline.
 *
 * The two small hash tables, rows by id and claims by unit, are our own: uthash cannot reserve room ahead, as all-or-nothing
 * needs, gives its table back whenever it is empty, as these often are, and adds 56 bytes to an element where a chain adds
 * 8. */
#ifndef MFI_MEMORY_TABLES_H
#define MFI_MEMORY_TABLES_H

#include "memory_queue.h"

static inline struct mfi_slot *mfi_slot_at(const struct mfi_queue *q, uint64_t number)
{
    return mfi_pages_at(&q->slots, number, sizeof(struct mfi_slot));
}

static inline struct mfi_slot *mfi_slot_pop(struct mfi_queue *q)
{
    struct mfi_slot *slot = q->free;
    q->free = slot->next;
    q->free_count--;
    return slot;
}

static inline void mfi_slot_push(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->next = q->free;
    q->free = slot;
    q->free_count++;
}

/* The slot is nobody's any more. */
static inline void mfi_slot_free(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->state = MFI_SLOT_FREE;
    slot->settling = false;
    bool again = mfi_slot_comes_back(slot);
    slot->generation++;
    if (again)
        mfi_slot_push(q, slot);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static inline void mfi_list_append(struct mfi_list *list, struct mfi_slot *slot)
{
    slot->next = NULL;
    slot->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = slot;
    list->last = slot;
}

static inline void mfi_list_remove(struct mfi_list *list, struct mfi_slot *slot)
{
    *(slot->prev != NULL ? &slot->prev->next : &list->first) = slot->next;
    *(slot->next != NULL ? &slot->next->prev : &list->last) = slot->prev;
}

/* ---- rows by id -------------------------------------------------------------------------------------------------- */

/* Ids count up, so that their low bits spread them evenly. */
static inline struct mfi_slot **mfi_id_bucket(const struct mfi_queue *q, uint64_t id)
{
    return &q->ids[id & (q->buckets - 1)];
}

static inline void mfi_id_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = mfi_id_bucket(q, slot->node.id);
    slot->same_id = *bucket;
    *bucket = slot;
}

static inline void mfi_id_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = mfi_id_bucket(q, slot->node.id);
    while (*link != slot)
        link = &(*link)->same_id;
    *link = slot->same_id;
}

/* ---- claims by unit ---------------------------------------------------------------------------------------------- */

/* Whether a unit is held is asked for messages from elsewhere alone. A store that never sees one does without the table. */
static inline bool mfi_unit_is_kept(const struct mfi_queue *q, const struct mfi_slot *slot)
{
    return q->by_unit && slot->held != 0;
}

/* Serial numbers and indices count up, too: the factor keeps the two apart. */
static inline struct mfi_slot **mfi_unit_bucket(const struct mfi_queue *q, uint64_t serial, uint64_t index)
{
    uint64_t hash = (serial * UINT64_C(0xd1b54a32d192ed03) + index) * UINT64_C(0x9e3779b97f4a7c15);
    return &q->units[(hash >> 32) & (q->buckets - 1)];
}

static inline void mfi_unit_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = mfi_unit_bucket(q, slot->held, slot->unit.index);
    slot->same_unit = *bucket;
    *bucket = slot;
}

static inline void mfi_unit_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = mfi_unit_bucket(q, slot->held, slot->unit.index);
    while (*link != slot)
        link = &(*link)->same_unit;
    *link = slot->same_unit;
}

/* Make a detached slot a claim: on its unit of the record with that serial number, or on the message alone (0). Gives the
 * token. */
static inline uint64_t mfi_claim_begin(struct mfi_queue *q, struct mfi_slot *slot, uint64_t held, int64_t now_ms)
{
    slot->state = MFI_SLOT_CLAIMED;
    slot->held = held;
    if (mfi_unit_is_kept(q, slot))
        mfi_unit_insert(q, slot);
    slot->until_ms = 0;
    if (q->lease_ms != 0)
        mfi_lease_begin(q, slot, now_ms);
    q->claimed++;
    return (uint64_t)slot->generation << 32 | slot->number;
}

/* The claim that a token stands for; NULL: it is not, or no longer, one. */
static inline struct mfi_slot *mfi_claim_find(const struct mfi_queue *q, uint64_t token)
{
    struct mfi_slot *slot = mfi_slot_at(q, (uint32_t)token);
    if (slot == NULL || slot->state != MFI_SLOT_CLAIMED || slot->generation != (uint32_t)(token >> 32))
        return NULL;
    return slot;
}

#endif
