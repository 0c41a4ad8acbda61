/* queue/ring.h: a bounded queue, any number of threads at both ends, lock-free at both ends.
 *
 * Two free-running counters, tail and head, hand out tickets; ticket t belongs to cell t mod capacity and to one lap
 * around the ring. Every ticket is given to exactly one pusher and then to exactly one popper. What makes the ring more
 * than a Vyukov ring is that neither has to wait for the other's cell: a popper passes a cell whose pusher is late, and
 * the pusher notices and takes another ticket. The state word of a cell is its lap (the ticket without its low bits) and
 * one of four kinds, in those low bits:
 *
 *     free  nobody is inside; the next lap that may use the cell is this one or a later one
 *     busy  the pusher of this lap is writing
 *     full  the item of this lap is there
 *     held  one thread is inside, a popper that reads, or a pusher that was passed; this lap and all before are over
 *
 *     pusher of lap L   free(<=L) → busy(L)    write    busy(L) → full(L): done
 *                                                       held(y):  mine to release → free(y+1); another ticket
 *                       anything else: another ticket
 *     popper of lap L   full(<=L) → held(L)    read     held(y) → free(y+1): done
 *                       busy(<=L) → held(L)    passed a pusher, which will release; another ticket
 *                       free(<=L) → free(L+1)  passed a pusher that has not come yet; another ticket
 *                       held(<L)  → held(L)    passed a cell where somebody is halted; another ticket
 *                       a later lap: over already; another ticket
 *
 * Invariants
 *   - head <= tail <= head + capacity, by unsigned difference.
 *   - A cell's lap never goes back, so what a halted thread expected never comes true again (no ABA).
 *   - Whoever made busy or, from full, held is alone with the cell's words. Busy leaves by its pusher or to held, held
 *     leaves by that same thread only; others can but raise its lap.
 *   - A popper of lap L leaves behind nothing that a pusher of lap L may still claim; so no item can be put where nobody
 *     will look: a published item is found by the popper of its lap or, when that one is halted, of a later lap.
 * Order
 *   Items come out in the order of their tickets, with one exception: an item whose popper stopped between its ticket and
 *   the item, while the others went round the whole ring, is taken by the next lap's popper, after newer items. It is late,
 *   but less so than if it waited for its own. With one popper the order is exact.
 * Progress
 *   push  lock-free: a failed attempt means that a popper took a ticket. Full may be answered while cells are taken by
 *         pushes in progress or held by halted threads, each of which costs one cell and no more.
 *   pop   lock-free, and bounded by the tickets that were out when it began, unless other poppers succeed.
 *         Empty means: every push that had returned before this pop began was taken by somebody. It may be answered while
 *         pushes that began later have returned. A doorbell's second look needs no more than that.
 *   A halted popper keeps at most the one item that it was taking.
 * Memory orders   tickets and the publishing are seq_cst, as the doorbell asks of the queue (S1, looks).
 * Rejected Vyukov's ring (a halted pusher stops every popper, a preempted one does for 4 ms); SCQ (lock-free, but two
 *          index rings: eight shared operations an item where this has six); LCRQ (16-byte compare-and-swap, and an
 *          item of one word, so an allocation per job); a mutex (81 → 1376 ns from one to four workers on two cores).
 * Checked  tests/unit/queue/ring_test.c, tests/stress/queue (races, order), tests/stress/halt (a thread halted at
 *          each step), tests/model/ring.pml
 */
#ifndef MFI_RING_H
#define MFI_RING_H

#include <mageflow/base.h>

#include "atomics.h"
#include "item.h"

typedef struct mfi_ring_cell {
    _Atomic uint64_t state;      /* A  lap | kind */
    mfi_item         item;       /* whoever is inside */
} mfi_ring_cell;

/* I set at init, then read-only · A atomic, any thread */
typedef struct mfi_ring {
    const mf_allocator *allocator;     /* I */
    void               *block;         /* I  where the cells were allocated */
    size_t              block_size;    /* I */
    mfi_ring_cell      *cells;         /* I  aligned to a cache line */
    uint64_t            mask;          /* I  capacity - 1; capacity is a power of two, at least 4 */
    MFI_APART(apart_tail);
    _Atomic uint64_t    tail;          /* A  tickets given to pushers; never decreases */
    MFI_APART(apart_head);
    _Atomic uint64_t    head;          /* A  tickets given to poppers; never decreases, never passes tail */
    MFI_APART(apart_end);
} mfi_ring;

/** capacity is rounded up to a power of two, at least 4. first is the first ticket: 0, but tests begin shortly before the
 * counters wrap around. False: no memory. */
bool mfi_ring_init(mfi_ring *ring, const mf_allocator *allocator, size_t capacity, uint64_t first);
void mfi_ring_fini(mfi_ring *ring);

/** Put items in, in order, as many as there is room for; tells how many. Lock-free. */
size_t mfi_ring_push(mfi_ring *ring, const mfi_item *items, size_t count);
/** Take the oldest item. False: empty. Lock-free. */
bool mfi_ring_pop(mfi_ring *ring, mfi_item *out);
/** Whether every push that has returned was taken; one that is in progress may count as there. Wait-free. */
bool mfi_ring_empty(const mfi_ring *ring);
/** How many items, about. Wait-free. */
size_t mfi_ring_size(const mfi_ring *ring);

#endif
