/* Lanes: made, found by their threads, looked at. */
#include "barrier.h"
#include "lane.h"
#include "memory.h"
#include "owner.h"

/* The owner of a lane that is no thread's. */
#define NO_THREAD UINT64_MAX

/* ---- lanes ---------------------------------------------------------------------------------------------------- */

static mfi_lane *lane_make(mfi_lanes *q, uint64_t owner)
{
    mfi_lane *lane = mf_new(q->allocator, mfi_lane);
    struct segment *seg = lane != NULL ? mfi_segment_get(q, 0) : NULL;
    if (seg == NULL) {
        mf_delete(q->allocator, lane);
        return NULL;
    }
    mfi_lane_begin(q, lane, seg, 1, 0, 0);
    atomic_init(&lane->head, (uintptr_t)seg);
    atomic_init(&lane->owner, owner);
    return lane;
}

/* Under the owners' lock. */
static mfi_lane *lane_add(mfi_lanes *q, uint64_t owner)
{
    mfi_lane *lane = lane_make(q, owner);
    if (lane != NULL) {
        lane->next = mfi_lane_first(q);
        atomic_store_explicit(&q->first, lane, memory_order_seq_cst);
    }
    return lane;
}

mfi_lane *mfi_lanes_open(mfi_lanes *q)
{
    mfi_owners_lock();
    mfi_lane *lane = lane_add(q, NO_THREAD);
    mfi_owners_unlock();
    return lane;
}

mfi_lane *mfi_lane_find(mfi_lanes *q)
{
    uint64_t self = mfi_owner_self();
    if (self == 0)
        return NULL;
    mfi_lane *mine = NULL, *left = NULL;
    mfi_owners_lock();
    for (mfi_lane *lane = mfi_lane_first(q); lane != NULL && mine == NULL; lane = lane->next) {
        uint64_t owner = atomic_load_explicit(&lane->owner, memory_order_relaxed);
        if (owner == self)
            mine = lane;
        else if (left == NULL && owner != NO_THREAD && !mfi_owner_lives(owner))
            left = lane;
    }
    if (mine == NULL && left != NULL) {
        atomic_store_explicit(&left->owner, self, memory_order_relaxed);
        mine = left;
    } else if (mine == NULL) {
        mine = lane_add(q, self);
    }
    mfi_owners_unlock();
    return mine;
}

/* ---- made and destroyed --------------------------------------------------------------------------------------- */

bool mfi_lanes_init(mfi_lanes *q, const mf_allocator *allocator, size_t cells, size_t guards)
{
    static _Atomic uint64_t last_id;
    memset(q, 0, sizeof *q);
    mfi_barrier_init();
    q->allocator = allocator;
    q->cells = cells > 0 ? cells : MFI_LANES_CELLS;
    q->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    if (!mfi_guards_init(&q->guards, allocator, guards))
        return false;
    q->reserve_size = MFI_LANES_RESERVE + guards;
    q->reserve = mfi_alloc_zero(allocator, q->reserve_size * sizeof *q->reserve);
    /* Whoever pushes begins with one and needs the next when it is used up; poppers hold some of those before. All that two of them
     * need belongs to the start, not to the first jobs. */
    bool made = q->reserve != NULL;
    for (int i = 0; made && i < MFI_LANES_RESERVE; i++) {
        struct segment *seg = mfi_alloc(allocator, mfi_segment_size(q));
        atomic_init(&q->reserve[i], (uintptr_t)seg);
        made = seg != NULL;
    }
    if (!made)
        mfi_lanes_fini(q);
    return made;
}

static void segments_free(mfi_lanes *q, struct segment *seg, bool chain)
{
    for (struct segment *after; seg != NULL; seg = after) {
        after = chain ? (struct segment *)atomic_load_explicit(&seg->next, memory_order_acquire) : seg->below;
        mfi_release(q->allocator, seg, mfi_segment_size(q));
    }
}

void mfi_lanes_fini(mfi_lanes *q)
{
    mfi_lane *lane = mfi_lane_first(q);
    for (mfi_lane *next; lane != NULL; lane = next) {
        next = lane->next;
        segments_free(q, (struct segment *)atomic_load_explicit(&lane->head, memory_order_acquire), true);
        mf_delete(q->allocator, lane);
    }
    segments_free(q, (struct segment *)atomic_load_explicit(&q->retired, memory_order_acquire), false);
    for (size_t i = 0; q->reserve != NULL && i < q->reserve_size; i++)
        mfi_release(q->allocator, (void *)atomic_load_explicit(&q->reserve[i], memory_order_acquire), mfi_segment_size(q));
    mfi_release(q->allocator, q->reserve, q->reserve_size * sizeof *q->reserve);
    mfi_guards_fini(&q->guards);
}

bool mfi_popper_init(mfi_popper *p, mfi_lanes *q)
{
    *p = (mfi_popper){.guard = mfi_guard_claim(&q->guards)};
    p->number = atomic_fetch_add_explicit(&q->poppers, 1, memory_order_relaxed);
    return p->guard != NULL;
}

void mfi_popper_fini(mfi_popper *p)
{
    mfi_guard_release(p->guard);
    p->guard = NULL;
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

bool mfi_lanes_empty(mfi_lanes *q)
{
    for (mfi_lane *lane = mfi_lane_first(q); lane != NULL; lane = lane->next) {
        uint64_t at = atomic_load_explicit(&lane->popped, memory_order_seq_cst);
        if (at != atomic_load_explicit(&lane->pushed, memory_order_seq_cst))
            return false;
    }
    return true;
}

bool mfi_lanes_released(mfi_lanes *q, size_t enough)
{
    return atomic_load_explicit(&q->released, memory_order_relaxed) >= enough
        && atomic_exchange_explicit(&q->released, 0, memory_order_relaxed) >= enough;
}

size_t mfi_lanes_size(mfi_lanes *q)
{
    size_t sum = 0;
    for (mfi_lane *lane = mfi_lane_first(q); lane != NULL; lane = lane->next) {
        uint64_t at = atomic_load_explicit(&lane->popped, memory_order_seq_cst);
        sum += (size_t)(atomic_load_explicit(&lane->pushed, memory_order_seq_cst) - at);
    }
    return sum;
}
