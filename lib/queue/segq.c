#include "segq.h"

#include "backoff.h"
#include "memory.h"
#include "step.h"

enum { EMPTY, FULL, SKIPPED };

struct cell {
    _Atomic uint64_t state;      /* A */
    mfi_item         item;       /* its pusher until full, then its popper */
};

/* A segment is published by a seq_cst exchange of a pointer to it; before that it is its maker's alone. */
struct segment {
    _Atomic uintptr_t next;      /* A  0 until the segment is used up; then the next one, for good */
    uint64_t          number;    /* I  while linked: 0, 1, 2, … along the chain */
    struct segment   *below;     /* in the stack of retired ones */
    MFI_APART(apart_push);
    _Atomic uint64_t  push_at;   /* A  cells given to pushers; runs past the last cell */
    MFI_APART(apart_pop);
    _Atomic uint64_t  pop_at;    /* A  cells given to poppers; never passes push_at nor the last cell */
    MFI_APART(apart_cells);
    struct cell       cells[];
};

static size_t segment_size(const mfi_segq *q)
{
    return sizeof(struct segment) + q->cells * sizeof(struct cell);
}

static struct segment *protect(mfi_guard *guard, const _Atomic uintptr_t *from)
{
    return (struct segment *)mfi_guard_protect(guard, from);
}

/* ---- segments: made, retired, used again ---------------------------------------------------------------------- */

static void segment_clear(const mfi_segq *q, struct segment *seg)
{
    atomic_init(&seg->next, 0);
    atomic_init(&seg->push_at, 0);
    atomic_init(&seg->pop_at, 0);
    for (size_t i = 0; i < q->cells; i++)
        atomic_init(&seg->cells[i].state, EMPTY);
}

static struct segment *segment_get(mfi_segq *q)
{
    for (int i = 0; i < MFI_SEGQ_RESERVE; i++) {
        if (atomic_load_explicit(&q->reserve[i], memory_order_relaxed) == 0)
            continue;
        /* Acquire: pairs with segment_give; the last use of it is over. */
        uintptr_t seg = atomic_exchange_explicit(&q->reserve[i], 0, memory_order_acquire);
        if (seg != 0)
            return (struct segment *)seg;
    }
    struct segment *seg = mfi_alloc(q->allocator, segment_size(q));
    if (seg != NULL)
        segment_clear(q, seg);
    return seg;
}

/* Nobody else knows of seg. */
static void segment_give(mfi_segq *q, struct segment *seg)
{
    segment_clear(q, seg);
    for (int i = 0; i < MFI_SEGQ_RESERVE; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong_explicit(&q->reserve[i], &none, (uintptr_t)seg, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    mfi_release(q->allocator, seg, segment_size(q));
}

static void retired_push(mfi_segq *q, struct segment *seg)
{
    uintptr_t top = atomic_load_explicit(&q->retired, memory_order_relaxed);
    do
        seg->below = (struct segment *)top;
    while (!atomic_compare_exchange_weak_explicit(&q->retired, &top, (uintptr_t)seg, memory_order_release,
                                                  memory_order_relaxed));
}

/* seg was unlinked by this thread. Everything retired is looked at again; taking the whole stack at once has no ABA. */
static void segment_retire(mfi_segq *q, struct segment *seg)
{
    retired_push(q, seg);
    MFI_STEP("segq.retire.pushed");
    seg = (struct segment *)atomic_exchange_explicit(&q->retired, 0, memory_order_acquire);
    for (struct segment *below; seg != NULL; seg = below) {
        below = seg->below;
        if (mfi_guards_hold(&q->guards, (uintptr_t)seg))
            retired_push(q, seg);
        else
            segment_give(q, seg);
    }
}

bool mfi_segq_init(mfi_segq *q, const mf_allocator *allocator, size_t cells, size_t guards)
{
    memset(q, 0, sizeof *q);
    q->allocator = allocator;
    q->cells = cells > 0 ? cells : MFI_SEGQ_CELLS;
    if (!mfi_guards_init(&q->guards, allocator, guards))
        return false;
    /* Two: a cell is used once, so that whatever serves for long needs the next segment, and then passes the two back and
     * forth. It belongs to the start, not to the first job that comes past the end. */
    struct segment *seg = segment_get(q), *spare = seg != NULL ? segment_get(q) : NULL;
    if (spare == NULL) {
        mfi_release(allocator, seg, segment_size(q));
        mfi_guards_fini(&q->guards);
        return false;
    }
    seg->number = 0;
    atomic_init(&q->head, (uintptr_t)seg);
    atomic_init(&q->tail, (uintptr_t)seg);
    atomic_init(&q->reserve[0], (uintptr_t)spare);
    return true;
}

void mfi_segq_fini(mfi_segq *q)
{
    struct segment *seg = (struct segment *)atomic_load_explicit(&q->head, memory_order_acquire), *after;
    for (; seg != NULL; seg = after) {
        after = (struct segment *)atomic_load_explicit(&seg->next, memory_order_acquire);
        mfi_release(q->allocator, seg, segment_size(q));
    }
    seg = (struct segment *)atomic_load_explicit(&q->retired, memory_order_acquire);
    for (; seg != NULL; seg = after) {
        after = seg->below;
        mfi_release(q->allocator, seg, segment_size(q));
    }
    for (int i = 0; i < MFI_SEGQ_RESERVE; i++)
        mfi_release(q->allocator, (void *)atomic_load_explicit(&q->reserve[i], memory_order_acquire), segment_size(q));
    mfi_guards_fini(&q->guards);
}

mfi_guard *mfi_segq_guard(mfi_segq *q)
{
    return mfi_guard_claim(&q->guards);
}

/* ---- push ----------------------------------------------------------------------------------------------------- */

static bool put(struct cell *cell, const mfi_item *item)
{
    cell->item = *item;
    MFI_STEP("segq.push.written");
    uint64_t empty = EMPTY;
    /* Release: pairs with the popper's acquire. seq_cst: S1 of the doorbell. */
    if (atomic_compare_exchange_strong_explicit(&cell->state, &empty, FULL, memory_order_seq_cst, memory_order_relaxed))
        return true;
    MFI_STEP("segq.push.skipped");
    return false;
}

/* Link a segment that holds as many of the items as fit behind last, which is guarded and used up. Tells how many it took
 * along: none when somebody else was first. False: no memory. */
static bool append(mfi_segq *q, struct segment *last, const mfi_item *items, size_t count, size_t *took)
{
    *took = 0;
    uintptr_t next = atomic_load_explicit(&last->next, memory_order_acquire);
    if (next == 0) {
        struct segment *seg = segment_get(q);
        if (seg == NULL)
            return false;
        size_t n = count < q->cells ? count : q->cells;
        for (size_t i = 0; i < n; i++) {
            seg->cells[i].item = items[i];
            atomic_store_explicit(&seg->cells[i].state, FULL, memory_order_relaxed);
        }
        atomic_store_explicit(&seg->push_at, n, memory_order_relaxed);
        seg->number = last->number + 1;
        MFI_STEP("segq.append.ready");
        /* seq_cst: publishes the items; S1 of the doorbell. */
        if (atomic_compare_exchange_strong_explicit(&last->next, &next, (uintptr_t)seg, memory_order_seq_cst,
                                                    memory_order_acquire)) {
            *took = n;
            next = (uintptr_t)seg;
        } else {
            segment_give(q, seg);
        }
    }
    MFI_STEP("segq.append.linked");
    /* Whoever comes moves the tail on: nobody waits for the thread that linked. */
    uintptr_t tail = (uintptr_t)last;
    atomic_compare_exchange_strong_explicit(&q->tail, &tail, next, memory_order_seq_cst, memory_order_relaxed);
    return true;
}

static size_t push_guarded(mfi_segq *q, mfi_guard *guard, const mfi_item *items, size_t count)
{
    size_t done = 0;
    while (done < count) {
        struct segment *seg = protect(guard, &q->tail);
        MFI_STEP("segq.push.guarded");
        uint64_t at = atomic_fetch_add_explicit(&seg->push_at, count - done, memory_order_seq_cst);
        uint64_t end = at + (count - done);
        MFI_STEP("segq.push.ticket");
        for (; at < end && at < q->cells; at++)
            if (put(&seg->cells[at], &items[done]))
                done++;
        if (done == count || at < q->cells)
            continue;
        size_t took;
        if (!append(q, seg, items + done, count - done, &took))
            break;
        done += took;
    }
    mfi_guard_clear(guard);
    return done;
}

size_t mfi_segq_push(mfi_segq *q, mfi_guard *guard, const mfi_item *items, size_t count)
{
    if (guard != NULL)
        return push_guarded(q, guard, items, count);
    guard = mfi_guard_claim(&q->guards);
    if (guard == NULL)
        return 0;
    size_t done = push_guarded(q, guard, items, count);
    mfi_guard_release(guard);
    return done;
}

/* ---- pop ------------------------------------------------------------------------------------------------------ */

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* A late pusher is probably on its way: give it a moment, for skipping its cell costs it another one. */
static void await_pusher(const struct cell *cell)
{
    mfi_backoff wait = MFI_BACKOFF;
    while (atomic_load_explicit(&cell->state, memory_order_seq_cst) == EMPTY && mfi_backoff_once(&wait))
        ;
}

/* This thread has the cell's popping ticket. */
static bool collect(struct cell *cell, mfi_item *out)
{
    uint64_t state = EMPTY;
    /* Acquire: pairs with put. */
    if (atomic_load_explicit(&cell->state, memory_order_acquire) != FULL
        && atomic_compare_exchange_strong_explicit(&cell->state, &state, SKIPPED, memory_order_acq_rel,
                                                   memory_order_acquire)) {
        MFI_STEP("segq.pop.skipped");
        return false;
    }
    *out = cell->item;
    return true;
}

/* Move the head past seg, which is guarded and used up, and which has a next. */
static void leave_segment(mfi_segq *q, mfi_guard *guard, struct segment *seg, uintptr_t next)
{
    uintptr_t tail = (uintptr_t)seg, head = (uintptr_t)seg;
    /* The tail first: a tail behind the head would lead pushers into retired memory. */
    atomic_compare_exchange_strong_explicit(&q->tail, &tail, next, memory_order_seq_cst, memory_order_relaxed);
    MFI_STEP("segq.pop.leaving");
    if (atomic_compare_exchange_strong_explicit(&q->head, &head, next, memory_order_seq_cst, memory_order_relaxed)) {
        mfi_guard_clear(guard);
        segment_retire(q, seg);
    }
}

static bool pop_guarded(mfi_segq *q, mfi_guard *guard, mfi_item *out)
{
    for (;;) {
        struct segment *seg = protect(guard, &q->head);
        MFI_STEP("segq.pop.guarded");
        /* seq_cst: the looks (W2, F2) of the doorbell; pop_at first, so that it is no newer than push_at. */
        uint64_t at = atomic_load_explicit(&seg->pop_at, memory_order_seq_cst);
        uint64_t end = atomic_load_explicit(&seg->push_at, memory_order_seq_cst);
        if (at >= at_most(end, q->cells)) {
            uintptr_t next = at < q->cells ? 0 : atomic_load_explicit(&seg->next, memory_order_seq_cst);
            if (next == 0)
                return false;
            leave_segment(q, guard, seg, next);
            continue;
        }
        await_pusher(&seg->cells[at]);
        if (!atomic_compare_exchange_strong_explicit(&seg->pop_at, &at, at + 1, memory_order_seq_cst,
                                                     memory_order_relaxed))
            continue;
        MFI_STEP("segq.pop.ticket");
        if (collect(&seg->cells[at], out))
            return true;
    }
}

bool mfi_segq_pop(mfi_segq *q, mfi_guard *guard, mfi_item *out)
{
    mfi_guard *mine = guard != NULL ? guard : mfi_guard_claim(&q->guards);
    if (mine == NULL)
        return false;
    bool got = pop_guarded(q, mine, out);
    if (guard == NULL)
        mfi_guard_release(mine);
    else
        mfi_guard_clear(mine);
    return got;
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

static bool empty_guarded(mfi_segq *q, mfi_guard *guard)
{
    struct segment *seg = protect(guard, &q->head);
    uint64_t at = atomic_load_explicit(&seg->pop_at, memory_order_seq_cst);
    uint64_t end = atomic_load_explicit(&seg->push_at, memory_order_seq_cst);
    if (at < at_most(end, q->cells))
        return false;
    return at < q->cells || atomic_load_explicit(&seg->next, memory_order_seq_cst) == 0;
}

bool mfi_segq_empty(mfi_segq *q, mfi_guard *guard)
{
    mfi_guard *mine = guard != NULL ? guard : mfi_guard_claim(&q->guards);
    if (mine == NULL)
        return false;
    bool empty = empty_guarded(q, mine);
    if (guard == NULL)
        mfi_guard_release(mine);
    else
        mfi_guard_clear(mine);
    return empty;
}

size_t mfi_segq_size(mfi_segq *q, mfi_guard *guard)
{
    mfi_guard *mine = guard != NULL ? guard : mfi_guard_claim(&q->guards);
    if (mine == NULL)
        return 0;
    struct segment *seg = protect(mine, &q->head);
    uint64_t out = seg->number * q->cells + atomic_load_explicit(&seg->pop_at, memory_order_relaxed);
    seg = protect(mine, &q->tail);
    uint64_t in = seg->number * q->cells + at_most(atomic_load_explicit(&seg->push_at, memory_order_relaxed), q->cells);
    if (guard == NULL)
        mfi_guard_release(mine);
    else
        mfi_guard_clear(mine);
    return mfi_ahead(in, out) ? (size_t)(in - out) : 0;
}
