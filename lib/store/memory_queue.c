/* Slots: messages that wait, and the claims they turn into.
 *
 *               add                     due                       end
 *     free ───────────► queued/delayed ─────► (detached) ─► claimed ────► free, one generation on
 *                              ▲                  │
 *                              └──── delay ───────┘
 *
 * Rows without a due time form a list, in which due times and ids both grow; rows with one form a heap. The next row is
 * the earlier of the list's first and the heap's first.
 *
 * A token is the slot's generation and number, so that settling is a look at one slot, and a settled token meets another
 * generation for ever: a slot whose generations are used up (2^32 of them) is never used again.
 *
 * The two small hash tables are our own: uthash cannot reserve room ahead, as all-or-nothing needs, gives its table back
 * whenever it is empty, as these often are, and adds 56 bytes to an element where a chain adds 8. */
#include "memory_store.h"

/* ---- the heap ---------------------------------------------------------------------------------------------------- */

static bool before(const struct mfi_slot *a, const struct mfi_slot *b)
{
    if (a->entry.due_ms != b->entry.due_ms)
        return a->entry.due_ms < b->entry.due_ms;
    return a->entry.id < b->entry.id;
}

static void heap_set(struct mfi_queue *q, size_t at, struct mfi_slot *slot)
{
    q->heap[at] = slot;
    slot->heap_at = at;
}

static void heap_up(struct mfi_queue *q, size_t at, struct mfi_slot *slot)
{
    while (at > 0 && before(slot, q->heap[(at - 1) / 2])) {
        heap_set(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(q, at, slot);
}

static void heap_down(struct mfi_queue *q, size_t at, struct mfi_slot *slot)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < q->heap_count && before(q->heap[child + 1], q->heap[child]))
            child++;
        if (child >= q->heap_count || before(slot, q->heap[child]))
            break;
        heap_set(q, at, q->heap[child]);
        at = child;
    }
    heap_set(q, at, slot);
}

static void heap_remove(struct mfi_queue *q, struct mfi_slot *slot)
{
    size_t at = slot->heap_at;
    struct mfi_slot *moved = q->heap[--q->heap_count];
    if (moved == slot)
        return;
    if (at > 0 && before(moved, q->heap[(at - 1) / 2]))
        heap_up(q, at, moved);
    else
        heap_down(q, at, moved);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static void list_append(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->next = NULL;
    slot->prev = q->last;
    if (q->last != NULL)
        q->last->next = slot;
    else
        q->first = slot;
    q->last = slot;
}

static void list_remove(struct mfi_queue *q, struct mfi_slot *slot)
{
    *(slot->prev != NULL ? &slot->prev->next : &q->first) = slot->next;
    *(slot->next != NULL ? &slot->next->prev : &q->last) = slot->prev;
}

/* ---- the two tables ---------------------------------------------------------------------------------------------- */

/* Ids count up, so that their low bits spread them evenly. */
static struct mfi_slot **id_bucket(const struct mfi_queue *q, uint64_t id)
{
    return &q->ids[id & (q->buckets - 1)];
}

static struct mfi_slot **unit_bucket(const struct mfi_queue *q, const struct mfi_head *head, uint64_t index)
{
    uint64_t hash = ((uint64_t)(uintptr_t)head ^ index) * UINT64_C(0x9e3779b97f4a7c15);
    return &q->units[(hash >> 32) & (q->buckets - 1)];
}

static void id_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = id_bucket(q, slot->entry.id);
    slot->same_id = *bucket;
    *bucket = slot;
}

static void id_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = id_bucket(q, slot->entry.id);
    while (*link != slot)
        link = &(*link)->same_id;
    *link = slot->same_id;
}

static void unit_insert(struct mfi_queue *q, struct mfi_slot *slot)
{
    struct mfi_slot **bucket = unit_bucket(q, slot->head, slot->entry.unit.index);
    slot->next = *bucket;
    *bucket = slot;
}

static void unit_remove(struct mfi_queue *q, const struct mfi_slot *slot)
{
    struct mfi_slot **link = unit_bucket(q, slot->head, slot->entry.unit.index);
    while (*link != slot)
        link = &(*link)->next;
    *link = slot->next;
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

static struct mfi_slot *slot_at(const struct mfi_queue *q, uint64_t number)
{
    return mfi_pages_at(&q->slots, number, sizeof(struct mfi_slot));
}

static void tables_fill(struct mfi_queue *q)
{
    for (uint32_t i = 0; i < q->slot_count; i++) {
        struct mfi_slot *slot = slot_at(q, i);
        if (slot->state != MFI_SLOT_FREE && slot->entry.id != 0)
            id_insert(q, slot);
        if (slot->state == MFI_SLOT_CLAIMED && slot->head != NULL)
            unit_insert(q, slot);
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

static void slot_free(struct mfi_queue *q, struct mfi_slot *slot)
{
    slot->state = MFI_SLOT_FREE;
    slot->settling = false;
    if (!mfi_slot_comes_back(slot))
        return;    /* all its tokens were given: never again */
    slot->generation++;
    slot->next = q->free;
    q->free = slot;
    q->free_count++;
}

static bool slots_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n)
{
    while (q->free_count < n) {
        if (q->slot_count > UINT32_MAX - MFI_PAGE || !tables_reserve(q, a, (size_t)q->slot_count + MFI_PAGE)
            || !mfi_pages_reserve(&q->slots, a, q->slot_count, MFI_PAGE, sizeof(struct mfi_slot)))
            return false;
        q->slot_count += MFI_PAGE;
        for (uint32_t i = 1; i <= MFI_PAGE; i++) {    /* backwards: the first one is used first */
            struct mfi_slot *slot = slot_at(q, q->slot_count - i);
            slot->number = q->slot_count - i;
            slot_free(q, slot);
        }
    }
    return true;
}

bool mfi_queue_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n, size_t delayed)
{
    return slots_reserve(q, a, n)
        && mfi_array_reserve(a, (void **)&q->heap, &q->heap_capacity, q->heap_count + delayed, sizeof *q->heap);
}

void mfi_queue_fini(struct mfi_queue *q, const mf_allocator *a)
{
    for (uint32_t i = 0; i < q->slot_count; i++) {
        struct mfi_slot *slot = slot_at(q, i);
        if (slot->state != MFI_SLOT_FREE)
            mf_entry_release(&slot->entry);
    }
    mfi_pages_fini(&q->slots, a, sizeof(struct mfi_slot));
    mfi_release(a, q->heap, q->heap_capacity * sizeof *q->heap);
    mfi_release(a, q->ids, 2 * q->buckets * sizeof *q->ids);
    *q = (struct mfi_queue){0};
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

struct mfi_slot *mfi_queue_slot(struct mfi_queue *q)
{
    struct mfi_slot *slot = q->free;
    q->free = slot->next;
    q->free_count--;
    return slot;
}

void mfi_queue_delay(struct mfi_queue *q, struct mfi_slot *slot, int64_t due_ms)
{
    slot->entry.due_ms = due_ms;
    slot->state = MFI_SLOT_DELAYED;
    heap_up(q, q->heap_count++, slot);
    q->waiting++;
}

void mfi_queue_add(struct mfi_queue *q, const mf_entry *entry, int64_t now_ms)
{
    struct mfi_slot *slot = mfi_queue_slot(q);
    slot->entry = *entry;
    slot->entry.id = ++q->last_id;
    id_insert(q, slot);
    if (entry->due_ms != 0) {
        mfi_queue_delay(q, slot, entry->due_ms);
        return;
    }
    slot->entry.due_ms = now_ms;
    slot->state = MFI_SLOT_QUEUED;
    list_append(q, slot);
    q->waiting++;
}

static void detach(struct mfi_queue *q, struct mfi_slot *slot)
{
    if (slot->state == MFI_SLOT_QUEUED)
        list_remove(q, slot);
    else
        heap_remove(q, slot);
    q->waiting--;
}

static struct mfi_slot *earliest(const struct mfi_queue *q)
{
    if (q->heap_count > 0 && (q->first == NULL || before(q->heap[0], q->first)))
        return q->heap[0];
    return q->first;
}

struct mfi_slot *mfi_queue_due(struct mfi_queue *q, int64_t now_ms)
{
    struct mfi_slot *slot = earliest(q);
    if (slot == NULL || slot->entry.due_ms > now_ms)
        return NULL;
    detach(q, slot);
    return slot;
}

int64_t mfi_queue_next_due(const struct mfi_queue *q)
{
    const struct mfi_slot *slot = earliest(q);
    return slot == NULL ? INT64_MAX : slot->entry.due_ms;
}

struct mfi_slot *mfi_queue_find(const struct mfi_queue *q, uint64_t id)
{
    if (q->buckets == 0)
        return NULL;
    struct mfi_slot *slot = *id_bucket(q, id);
    while (slot != NULL && slot->entry.id != id)
        slot = slot->same_id;
    return slot;
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

uint64_t mfi_claim_begin(struct mfi_queue *q, struct mfi_slot *slot, struct mfi_head *head)
{
    slot->state = MFI_SLOT_CLAIMED;
    slot->head = head;
    if (head != NULL)
        unit_insert(q, slot);
    q->claimed++;
    return (uint64_t)slot->generation << 32 | slot->number;
}

bool mfi_claim_held(const struct mfi_queue *q, const struct mfi_head *head, const mf_unit *unit)
{
    if (q->buckets == 0)
        return false;
    const struct mfi_slot *slot = *unit_bucket(q, head, unit->index);
    for (; slot != NULL; slot = slot->next)
        if (slot->head == head && slot->entry.unit.index == unit->index && slot->entry.unit.epoch == unit->epoch)
            return true;
    return false;
}

struct mfi_slot *mfi_claim_find(const struct mfi_queue *q, uint64_t token)
{
    struct mfi_slot *slot = slot_at(q, (uint32_t)token);
    if (slot == NULL || slot->state != MFI_SLOT_CLAIMED || slot->generation != (uint32_t)(token >> 32))
        return NULL;
    return slot;
}

void mfi_queue_end(struct mfi_queue *q, struct mfi_slot *slot)
{
    if (slot->entry.id != 0)
        id_remove(q, slot);
    if (slot->state != MFI_SLOT_CLAIMED) {
        detach(q, slot);
        mf_entry_release(&slot->entry);
    } else {
        if (slot->head != NULL)
            unit_remove(q, slot);
        q->claimed--;
    }
    slot_free(q, slot);
}
