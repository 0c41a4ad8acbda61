/* Out of lanes: T1 to T4 of lanes.h. */
#include "lane.h"
#include "step.h"

enum { LANES_SPREAD = 16 };      /* how far apart poppers begin */

static size_t at_most(uint64_t value, size_t most)
{
    return value < most ? (size_t)value : most;
}

/* seg is guarded, and used up. */
static void leave_segment(mfi_lanes *q, mfi_guard *guard, mfi_lane *lane, struct segment *seg)
{
    uintptr_t head = (uintptr_t)seg, next = atomic_load_explicit(&seg->next, memory_order_acquire);
    MFI_STEP("lanes.pop.leaving");
    if (atomic_compare_exchange_strong_explicit(&lane->head, &head, next, memory_order_seq_cst, memory_order_relaxed)) {
        mfi_guard_clear(guard);
        mfi_segment_retire(q, seg);
    }
}

/* Where the lane is filled to, as far as it matters; `at`: where it is emptied to. Looked up only when what was seen of it before
 * does not make up a whole run: its pusher writes that line all the time. */
static uint64_t filled_to(mfi_popper *p, mfi_lane *lane, uint64_t at, uint64_t enough)
{
    if (lane != p->lane || (int64_t)(p->seen - at) < (int64_t)enough) {
        p->lane = lane;
        p->seen = atomic_load_explicit(&lane->pushed, memory_order_seq_cst);
    }
    return p->seen;
}

typedef enum outcome { TAKEN, EMPTY, LOST } outcome;

/* Where to, and how many; one of the two. */
typedef struct target {
    mfi_item *out;
    mfi_run  *run;
    size_t    most, shares, taken;
} target;

/* `words` is a constant wherever this is called. */
__attribute__((always_inline)) static inline void copy_cells(const uintptr_t *cell, int words, uintptr_t a, uintptr_t c, size_t n,
                                                             target *to)
{
    mfi_run *run = to->run;
    mfi_item *out = to->out;
    for (size_t i = 0; i < n; i++, cell += words) {
        uintptr_t first = words > 1 ? cell[1] : a, last = words > 2 ? cell[2] : c;
        if (run != NULL)
            mfi_run_put(run, i, first, cell[0], last);
        else
            out[i] = (mfi_item){{first, cell[0], last}};
    }
}

/* T3: n items of seg from its i-th on. */
static void copy(const struct segment *seg, size_t i, size_t n, target *to)
{
    const uintptr_t *cell = seg->cells + i * seg->words;
    if (to->run != NULL)
        mfi_run_begin(to->run);
    if (seg->words == 1)
        copy_cells(cell, 1, seg->a, seg->c, n, to);
    else if (seg->words == 2)
        copy_cells(cell, 2, 0, seg->c, n, to);
    else
        copy_cells(cell, 3, 0, 0, n, to);
}

/* LOST: another popper was faster. */
static outcome pop_lane(mfi_lanes *q, mfi_popper *p, mfi_lane *lane, target *to)
{
    size_t shares = to->shares, most = to->most;
    for (;;) {
        /* T1: popped first, so that it is no newer. */
        uint64_t at = atomic_load_explicit(&lane->popped, memory_order_seq_cst);
        uint64_t there = filled_to(p, lane, at, most * shares) - at;
        if (there == 0)
            return EMPTY;
        struct segment *seg = (struct segment *)mfi_guard_protect(p->guard, &lane->head);
        MFI_STEP("lanes.pop.guarded");
        /* Relaxed: what was pushed up to what T1 saw lies before it or behind, for it was closed before that was. */
        uint64_t end = atomic_load_explicit(&seg->end, memory_order_relaxed), left = end - at;
        if (at - seg->first >= end - seg->first) {
            /* Behind it: linked, for something was pushed there. Before it: somebody was faster. */
            if (mfi_ahead(at, seg->first))
                leave_segment(q, p->guard, lane, seg);
            continue;
        }
        size_t n = shares == 1 ? at_most(there, most) : at_most((there + shares - 1) / shares, most);
        n = at_most(left, n);
        copy(seg, at - seg->first, n, to);
        MFI_STEP("lanes.pop.copied");
        /* T4. */
        if (!atomic_compare_exchange_strong_explicit(&lane->popped, &at, at + n, memory_order_seq_cst, memory_order_relaxed))
            return LOST;
        MFI_STEP("lanes.pop.taken");
        to->taken = n;
        return TAKEN;
    }
}

static mfi_lane *lane_after(mfi_lanes *q, const mfi_lane *lane)
{
    return lane->next != NULL ? lane->next : mfi_lane_first(q);
}

/* Poppers begin each at another lane, not all at the newest. */
static mfi_lane *lane_begin(mfi_lanes *q, const mfi_popper *p)
{
    mfi_lane *lane = mfi_lane_first(q);
    for (unsigned n = p->number % LANES_SPREAD; n > 0 && lane != NULL; n--)
        lane = lane_after(q, lane);
    return lane;
}

static size_t pop_any(mfi_lanes *q, mfi_popper *p, target *to)
{
    mfi_lane *begin = p->lane == NULL ? lane_begin(q, p) : p->turn < MFI_LANES_TURN ? p->lane : lane_after(q, p->lane);
    mfi_lane *lane = begin;
    bool lost = false;
    while (lane != NULL) {
        outcome end = pop_lane(q, p, lane, to);
        if (end == TAKEN) {
            p->turn = lane == begin && p->turn < MFI_LANES_TURN ? p->turn + to->taken : to->taken;
            return to->taken;
        }
        lost |= end == LOST;
        p->turn = MFI_LANES_TURN;
        lane = lane_after(q, lane);
        if (lane == begin && !lost)
            break;
        lost &= lane != begin;
    }
    /* Whoever finds nothing holds nothing. */
    mfi_guard_clear(p->guard);
    return 0;
}

size_t mfi_lanes_pop(mfi_lanes *q, mfi_popper *p, mfi_item *out, size_t most, size_t shares)
{
    return pop_any(q, p, &(target){.out = out, .most = most, .shares = shares});
}

size_t mfi_lanes_pop_run(mfi_lanes *q, mfi_popper *p, mfi_run *run, size_t shares)
{
    size_t n = pop_any(q, p, &(target){.run = run, .most = MFI_RUN_MAX, .shares = shares});
    if (n > 0)
        mfi_run_show(run, n);
    return n;
}
