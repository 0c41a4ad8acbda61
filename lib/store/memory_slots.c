/* Slots, room for them, and the tables that find one.
 *
 * The two small hash tables are our own: uthash cannot reserve room ahead, as all-or-nothing needs, gives its table back
 * whenever it is empty, as these often are, and adds 56 bytes to an element where a chain adds 8. */
#include "memory_queue.h"

#include "memory.h"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

void mfi_list_append(struct mfi_list *list, struct mfi_slot *slot)
{
    slot->next = NULL;
    slot->prev = list->last;
    if (list->last != NULL)
        list->last->next = slot;
    else
        list->first = slot;
    list->last = slot;
}

void mfi_list_remove(struct mfi_list *list, struct mfi_slot *slot)
{
    *(slot->prev != NULL ? &slot->prev->next : &list->first) = slot->next;
    *(slot->next != NULL ? &slot->next->prev : &list->last) = slot->prev;
}

/* ---- the two tables ---------------------------------------------------------------------------------------------- */

/* Ids count up, so that their low bits spread them evenly. */
static struct mfi_slot **id_bucket(const struct mfi_queue *q, uint64_t id)
{
    return &q->ids[id & (q->buckets - 1)];
}

/* So do serial numbers and indices: the first factor keeps the two apart. */
static struct mfi_slot **unit_bucket(const struct mfi_queue *q, uint64_t serial, uint64_t index)
{
    uint64_t hash = (serial * UINT64_C(0xd1b54a32d192ed03) + index) * UINT64_C(0x9e3779b97f4a7c15);
    return &q->units[(hash >> 32) & (q->buckets - 1)];
}

void mfi_id_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = id_bucket(q, slot->node.id);
    slot->same_id = *bucket;
    *bucket = slot;
}

void mfi_id_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = id_bucket(q, slot->node.id);
    while (*link != slot)
        link = &(*link)->same_id;
    *link = slot->same_id;
}

void mfi_unit_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = unit_bucket(q, slot->held, slot->unit.index);
    slot->same_unit = *bucket;
    *bucket = slot;
}

void mfi_unit_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = unit_bucket(q, slot->held, slot->unit.index);
    while (*link != slot)
        link = &(*link)->same_unit;
    *link = slot->same_unit;
}

struct mfi_slot *mfi_queue_find(const struct mfi_queue *q, uint64_t id)
{
    if (q->buckets == 0)
        return NULL;
    struct mfi_slot *slot = *id_bucket(q, id);
    while (slot != NULL && slot->node.id != id)
        slot = slot->same_id;
    return slot;
}

bool mfi_claim_held(const struct mfi_queue *q, uint64_t serial, const mf_unit *unit)
{
    if (q->buckets == 0)
        return false;
    const struct mfi_slot *slot = *unit_bucket(q, serial, unit->index);
    for (; slot != NULL; slot = slot->same_unit)
        if (slot->held == serial && slot->unit.index == unit->index && slot->unit.epoch == unit->epoch)
            return true;
    return false;
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

struct mfi_slot *mfi_slot_at(const struct mfi_queue *q, uint64_t number)
{
    return mfi_pages_at(&q->slots, number, sizeof(struct mfi_slot));
}

static void tables_fill(struct mfi_queue *q)
{
    for (uint32_t i = 0; i < q->slot_count; i++) {
        struct mfi_slot *slot = mfi_slot_at(q, i);
        if (slot->state != MFI_SLOT_FREE && slot->node.id != 0)
            mfi_id_insert(q, slot);
        if (slot->state == MFI_SLOT_CLAIMED && slot->held != 0)
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

static void put_free(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->next = q->free;
    q->free = slot;
    q->free_count++;
}

void mfi_slot_free(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->state = MFI_SLOT_FREE;
    slot->settling = false;
    bool again = mfi_slot_comes_back(slot);
    slot->generation++;
    if (again)
        put_free(q, slot);
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
            put_free(q, slot);
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
    struct mfi_slot *slot = q->free;
    q->free = slot->next;
    q->free_count--;
    slot->node.id = 0;
    slot->node.rank = 0;
    slot->spec = NULL;
    slot->message = slot->error = NULL;
    slot->priority = 0;
    slot->deaths = 0;
    return slot;
}
