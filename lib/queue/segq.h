/* queue/segq.h: a queue that grows: segments of cells in a chain, any number of threads at both ends.
 *
 * A segment hands out its cells by two counters, push_at and pop_at. Each cell is used once: empty → full by its pusher,
 * or empty → skipped by a popper that did not want to wait for a late pusher, which then takes another cell. When a
 * segment's cells are used up, the next pusher appends a new one that already holds its items: so pushers and poppers
 * cannot spoil each other's cells for ever. Poppers leave used-up segments behind; those are reused or given back once
 * no guard holds them (guard.h).
 *
 * Invariants
 *   - A cell has one pusher (fetch_add of push_at) and at most one popper (pop_at never passes push_at).
 *   - head is the tail's segment or before it: a popper moves the tail on before it moves the head.
 *   - A segment that was unlinked comes back into the chain only after no guard holds it; so a thread that compares a
 *     pointer to its guarded segment compares with the same use of it (no ABA).
 * Progress
 *   push  lock-free while a segment is in reserve (one is from the beginning, four are kept); else it asks the allocator,
 *         which may lock, once for each segment's worth of items.
 *   pop   lock-free, the release of used-up segments to the allocator excepted. Empty is exact: there was a moment
 *         during the pop when every push that had returned was taken.
 *   A halted thread keeps the segment it is in, and a halted popper the one item it was taking.
 * Orders   tickets, publishing and linking are seq_cst, as the doorbell asks of the queue (S1 and the looks).
 * Rejected crossbeam's SegQueue (all wait while one installs the next block); a list of nodes (an allocation and a
 *          cache miss an item); never giving memory back (ten million queued jobs are 320 MB).
 * Checked  tests/unit/queue/segq_test.c, tests/stress/queue, tests/stress/halt
 */
#ifndef MFI_SEGQ_H
#define MFI_SEGQ_H

#include "guard.h"
#include "item.h"

#ifndef MFI_SEGQ_CELLS
#define MFI_SEGQ_CELLS 256      /* 8 KiB a segment; a queue begins with two */
#endif
#define MFI_SEGQ_RESERVE 4

typedef struct mfi_segq {
    const mf_allocator *allocator;                    /* I */
    size_t              cells;                        /* I  per segment */
    mfi_guards          guards;                       /* A */
    _Atomic uintptr_t   retired;                      /* A  unlinked segments that may still be guarded: a stack */
    _Atomic uintptr_t   reserve[MFI_SEGQ_RESERVE];    /* A  segments to use again */
    MFI_APART(apart_tail);
    _Atomic uintptr_t   tail;                         /* A  segment for pushers, or one that has a next */
    MFI_APART(apart_head);
    _Atomic uintptr_t   head;                         /* A  segment for poppers */
    MFI_APART(apart_end);
} mfi_segq;

/** cells: per segment, 0: MFI_SEGQ_CELLS. guards: how many threads may be inside without asking the allocator. False:
 * no memory. */
bool mfi_segq_init(mfi_segq *q, const mf_allocator *allocator, size_t cells, size_t guards);
void mfi_segq_fini(mfi_segq *q);

/** A guard to hand to the operations below, for a thread that comes often; NULL there claims one for the call. */
mfi_guard *mfi_segq_guard(mfi_segq *q);

/** Put items in, in order; tells how many: fewer than count only when there is no memory. */
size_t mfi_segq_push(mfi_segq *q, mfi_guard *guard, const mfi_item *items, size_t count);
/** Take the oldest item. False: empty (or, with a NULL guard, no memory for one). */
bool mfi_segq_pop(mfi_segq *q, mfi_guard *guard, mfi_item *out);
/** Whether every push that has returned was taken; one in progress may count as there, and so does no memory for a guard. */
bool mfi_segq_empty(mfi_segq *q, mfi_guard *guard);
/** How many items, about. */
size_t mfi_segq_size(mfi_segq *q, mfi_guard *guard);

#endif
