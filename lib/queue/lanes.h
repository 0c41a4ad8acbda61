/* queue/lanes.h: a queue that grows: one lane for each thread that pushes, any number of threads that pop.
 *
 * A lane is a chain of segments, filled by its one pusher. Where it is filled to and where it is emptied to are two positions
 * that only ever grow:
 *
 *     pusher                                   popper
 *     P1  write items behind `pushed`          T1  read popped, then pushed: what is between is there
 *     P2  segment full: link the next one      T2  guard the head segment; it ends before popped: move the head on
 *     P3  pushed = …    publishes all          T3  copy up to a run of items out
 *                                              T4  popped: from what T1 read to behind the run (compare and swap)
 *
 * Invariants
 *   - An item is written before P3 and never again while its segment is in the chain, so T3 races with nobody; of two that
 *     copied the same items T4 lets one have them.
 *   - popped <= pushed. A position in [popped, pushed) lies in the head segment or in one linked behind it.
 *   - A segment that was unlinked is used again only after no guard holds it (guard.h).
 * Order     what was pushed into one lane is popped in that order. Between lanes there is none.
 * Progress  a push waits for nobody, but for the allocator when no segment is in reserve (four are kept), and a thread's first
 *           push, which looks for a lane under a lock. A pop is lock-free: it repeats only when another popper moved on.
 *           Empty is exact: there was a moment during the pop when every push that had returned was taken. A halted pusher
 *           stops nobody; a halted popper keeps its segment, and the run it was taking.
 * Orders    P3, T1 and T4 are seq_cst, as the doorbell asks of the queue (S1 and the looks).
 * Lanes     belong to threads; that of a thread that has ended goes to the next one that comes (owner.h). They are given back
 *           with the queue.
 * Rejected  one chain of cells for all pushers: two counters and a word per cell that all threads write, four operations on
 *           shared lines a push and three a pop, where here there are none a push and one a run. A lane claimed for each push:
 *           the claim is such an operation again, and a thread's own order is lost where two meet.
 * Checked   tests/unit/queue/lanes_test.c, tests/stress/queue, tests/stress/halt
 */
#ifndef MFI_LANES_H
#define MFI_LANES_H

#include "guard.h"
#include "item.h"

#ifndef MFI_LANES_CELLS
#define MFI_LANES_CELLS 256      /* 6 KiB a segment */
#endif
#define MFI_LANES_RESERVE 4

typedef struct mfi_lane mfi_lane;

typedef struct mfi_lanes {
    const mf_allocator *allocator;                     /* I */
    size_t              cells;                         /* I  per segment */
    uint64_t            id;                            /* I  of this queue, in this process: for a thread's memory of its lane */
    mfi_guards          guards;                        /* A */
    _Atomic(mfi_lane *) first;                         /* A  all lanes; the list only ever gets longer, until fini */
    _Atomic uintptr_t   retired;                       /* A  unlinked segments that may still be guarded: a stack */
    _Atomic uintptr_t   reserve[MFI_LANES_RESERVE];    /* A  segments to use again */
    _Atomic size_t      released;                      /* A  bytes that the allocator got back since somebody asked */
} mfi_lanes;

/** cells: per segment, 0: MFI_LANES_CELLS. guards: how many poppers may come without asking the allocator. False: no memory. */
bool mfi_lanes_init(mfi_lanes *q, const mf_allocator *allocator, size_t cells, size_t guards);
void mfi_lanes_fini(mfi_lanes *q);

/** A guard for a thread that pops; NULL: no memory for one more than were asked for. For mfi_guard_release. */
mfi_guard *mfi_lanes_guard(mfi_lanes *q);

/** A lane that is no thread's: of whoever pushes into it, one at a time, each after what the one before wrote. NULL: no memory. */
mfi_lane *mfi_lanes_open(mfi_lanes *q);
/** Put items into the lane (NULL: this thread's), in order; tells how many: fewer than count only when there is no memory. */
size_t mfi_lanes_push(mfi_lanes *q, mfi_lane *lane, const mfi_item *items, size_t count);
/** Take the oldest items of a lane: of the one after *cursor that has some, which is remembered there (NULL: begin anywhere).
 * At most `most`, and at most one in `shares` of what is there, but one at least. Tells how many; 0: empty. */
size_t mfi_lanes_pop(mfi_lanes *q, mfi_guard *guard, mfi_lane **cursor, mfi_item *out, size_t most, size_t shares);
/** Whether every push that has returned was taken. */
bool mfi_lanes_empty(mfi_lanes *q);
/** Whether the allocator got back `enough` bytes since this was true last; of several callers one hears it. */
bool mfi_lanes_released(mfi_lanes *q, size_t enough);
/** How many items, about. */
size_t mfi_lanes_size(mfi_lanes *q);

#endif
