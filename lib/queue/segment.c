/* Segments of lanes: made, retired, used again. */
#include "lane.h"
#include "memory.h"
#include "step.h"

struct segment *mfi_segment_get(mfi_lanes *q, uint64_t first)
{
    struct segment *seg = NULL;
    for (size_t i = 0; i < q->reserve_size && seg == NULL; i++)
        if (atomic_load_explicit(&q->reserve[i], memory_order_relaxed) != 0)
            /* Acquire: pairs with segment_give; the last use of it is over. */
            seg = (struct segment *)atomic_exchange_explicit(&q->reserve[i], 0, memory_order_acquire);
    if (seg == NULL)
        seg = mfi_alloc(q->allocator, mfi_segment_size(q));
    if (seg != NULL) {
        atomic_init(&seg->next, 0);
        seg->first = first;
    }
    return seg;
}

/* Nobody else knows of seg. */
static void segment_give(mfi_lanes *q, struct segment *seg)
{
    for (size_t i = 0; i < q->reserve_size; i++) {
        uintptr_t none = 0;
        if (atomic_load_explicit(&q->reserve[i], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&q->reserve[i], &none, (uintptr_t)seg, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    mfi_release(q->allocator, seg, mfi_segment_size(q));
    atomic_fetch_add_explicit(&q->released, mfi_segment_size(q), memory_order_relaxed);
}

static void retired_push(mfi_lanes *q, struct segment *seg)
{
    uintptr_t top = atomic_load_explicit(&q->retired, memory_order_relaxed);
    do
        seg->below = (struct segment *)top;
    while (!atomic_compare_exchange_weak_explicit(&q->retired, &top, (uintptr_t)seg, memory_order_release,
                                                  memory_order_relaxed));
}

/* Everything retired is looked at again; taking the whole stack at once has no ABA. */
static void look_at_retired(mfi_lanes *q)
{
    struct segment *seg = (struct segment *)atomic_exchange_explicit(&q->retired, 0, memory_order_acquire);
    for (struct segment *below; seg != NULL; seg = below) {
        below = seg->below;
        if (mfi_guards_hold(&q->guards, (uintptr_t)seg))
            retired_push(q, seg);
        else
            segment_give(q, seg);
    }
}

void mfi_segment_retire(mfi_lanes *q, struct segment *seg)
{
    if (atomic_load_explicit(&q->retired, memory_order_relaxed) != 0)
        look_at_retired(q);
    if (!mfi_guards_hold(&q->guards, (uintptr_t)seg)) {
        segment_give(q, seg);
        return;
    }
    retired_push(q, seg);
    MFI_STEP("lanes.retire.pushed");
}

void mfi_lane_begin(const mfi_lanes *q, mfi_lane *lane, struct segment *seg, unsigned words, uintptr_t a, uintptr_t c)
{
    size_t items = q->cells * 3 / words;
    seg->words = words;
    seg->a = a;
    seg->c = c;
    atomic_store_explicit(&seg->end, seg->first + items, memory_order_relaxed);
    lane->tail = seg;
    lane->room = seg->cells;
    lane->end = seg->first + items;
    lane->a = a;
    lane->c = c;
    lane->words = (uint16_t)words;
}
