/* queue/lanes.h: a queue that grows: one lane for each thread that pushes, any number of threads that pop.
 *
 * A lane is a chain of segments, filled by its one pusher. Where it is filled to and where it is emptied to are two positions
 * that only ever grow:
 *
 *     pusher                                   popper
 *     P1  write items behind `pushed`          T1  read popped, then pushed: what is between is there
 *     P2  segment full, or of another          T2  guard the head segment; it ends before popped: move the head on
 *         shape: close it, link the next one
 *     P3  pushed = …    publishes all          T3  copy up to a run of items out
 *                                              T4  popped: from what T1 read to behind the run (compare and swap)
 *
 * Invariants
 *   - An item is written before P3 and never again while its segment is in the chain, so T3 races with nobody; of two that
 *     copied the same items T4 lets one have them.
 *   - popped <= pushed. A position in [popped, pushed) lies in the head segment or in one linked behind it.
 *   - A segment that was unlinked is used again only after no guard holds it (guard.h). A popper keeps its guard on the segment that
 *     it popped from last, until it finds nothing anywhere.
 * Order     what was pushed into one lane is popped in that order. Between lanes there is none.
 * Progress  a push waits for nobody, but for the allocator when no segment is in reserve, and a thread's first
 *           push, which looks for a lane under a lock. A pop is lock-free: it repeats only when another popper moved on.
 *           Empty is exact: there was a moment during the pop when every push that had returned was taken. A halted pusher
 *           stops nobody; a halted popper, or one busy with what it popped, keeps one segment, and the run it was taking.
 * Memory    a segment of items whose first words are all the same, and whose last ones are, holds the middle ones alone: eight bytes
 *           an item, which is what jobs of one function take. One that comes and is different closes it and begins another, of two words
 *           each, or three; these are filled before one word is tried again, more of them each time that it did not pay. What a
 *           queue that gets longer costs is mostly its memory: a fresh page took 1.5 µs, 9 ns for an item of three words.
 *           What was used by a long queue goes back to the allocator, but for the reserve. So a steady state allocates nothing.
 * Cost      one operation on a shared word an item, or a run: T4. A push has none: P3 is mfi_publish (sync/barrier.h). Of the words
 *           that others write a popper reads `popped` each time, and `pushed` when it has come to where it saw it last. Both were
 *           measured: with P3 and the guard seq_cst, and `pushed` read each time, an item took 2.5 to 6 times as long from one
 *           thread to another (bench/README.md).
 * Orders    P3 is S1 of the doorbell, T1 and T4 are seq_cst, as it asks of the looks.
 * Lanes     belong to threads; that of a thread that has ended goes to the next one that comes (owner.h). They are given back
 *           with the queue.
 * Rejected  one chain of cells for all pushers: two counters and a word per cell that all threads write, four operations on
 *           shared lines a push and three a pop, where here there are none a push and one a run. A lane claimed for each push:
 *           the claim is such an operation again, and a thread's own order is lost where two meet. Tickets by fetch_and_add in place of
 *           T4, as moodycamel has: it never fails, but takes two such operations, and what a halted popper has is lost to the rest. A longer
 *           reserve: no difference.
 * Checked   tests/unit/queue/lanes_test.c, lanes_words_test.c, tests/stress/queue, tests/stress/halt
 */
#ifndef MFI_LANES_H
#define MFI_LANES_H

#include "guard.h"
#include "item.h"
#include "open_run.h"

#ifndef MFI_LANES_CELLS
#define MFI_LANES_CELLS 512      /* 12 KiB a segment: what changing to the next one takes is a hundredth of an operation an item */
#endif
#define MFI_LANES_RESERVE 4      /* segments that there are from the start */
#define MFI_LANES_TURN 32        /* items of a lane before the next one is looked at */

typedef struct mfi_lane mfi_lane;

typedef struct mfi_lanes {
    const mf_allocator *allocator;                     /* I */
    size_t              cells;                         /* I  per segment */
    uint64_t            id;                            /* I  of this queue, in this process: for a thread's memory of its lane */
    mfi_guards          guards;                        /* A */
    _Atomic(mfi_lane *) first;                         /* A  all lanes; the list only ever gets longer, until fini */
    _Atomic uintptr_t   retired;                       /* A  unlinked segments that may still be guarded: a stack */
    _Atomic uintptr_t  *reserve;                       /* A  segments to use again */
    size_t              reserve_size;                  /* I  MFI_LANES_RESERVE, and one for each popper, which may keep one away */
    _Atomic size_t      released;                      /* A  bytes that the allocator got back since somebody asked */
    _Atomic unsigned    poppers;                       /* A  how many there have been */
} mfi_lanes;

/* What a thread that pops has; its own alone. It keeps its guard from pop to pop, so that most pops write one word that is shared. */
typedef struct mfi_popper {
    mfi_guard *guard;      /* NULL: not made */
    mfi_lane  *lane;       /* looked at last; NULL: none yet */
    uint64_t   seen;       /* what was seen of its `pushed` */
    size_t     turn;       /* items taken from it in a row */
    unsigned   number;
} mfi_popper;

/* Where a pusher writes. */
typedef struct mfi_room {
    uintptr_t *cells;
    size_t     items;      /* how many may be written, 1 at least */
    uintptr_t  words;      /* 1: the middle word of each; 2: and behind it the first; 3: and the last */
    uintptr_t  a, c;       /* the first, with one word, and the last, up to two, are these */
} mfi_room;

/** cells: whole items per segment, 0: MFI_LANES_CELLS. guards: how many poppers may come without asking the allocator. False: no memory. */
bool mfi_lanes_init(mfi_lanes *q, const mf_allocator *allocator, size_t cells, size_t guards);
void mfi_lanes_fini(mfi_lanes *q);

/** False: no memory for one more than were asked for. */
bool mfi_popper_init(mfi_popper *p, mfi_lanes *q);
/** Of one that was never made, too. */
void mfi_popper_fini(mfi_popper *p);

/** A lane that is no thread's: of whoever pushes into it, one at a time, each after what the one before wrote. NULL: no memory. */
mfi_lane *mfi_lanes_open(mfi_lanes *q);
/** Put items into the lane (NULL: this thread's), in order; tells how many: fewer than count only when there is no memory. */
size_t mfi_lanes_push(mfi_lanes *q, mfi_lane *lane, const mfi_item *items, size_t count);
/** The same in parts. Room at the end of the lane (NULL: this thread's; *lane tells which) for an item with this first and this last
 * word, and for others that mfi_room_put finds to fit; those written, from 0 on, are then shown. False: no memory. */
bool mfi_lanes_room(mfi_lanes *q, mfi_lane **lane, uintptr_t a, uintptr_t c, mfi_room *room);
static inline bool mfi_room_put(const mfi_room *room, size_t i, uintptr_t a, uintptr_t b, uintptr_t c);
void mfi_lanes_show(mfi_lane *lane, size_t n);
/** One item, by its words, into this thread's lane. False: no memory. */
bool mfi_lanes_push_one(mfi_lanes *q, uintptr_t a, uintptr_t b, uintptr_t c);
/** Take the oldest items of a lane that has some: MFI_LANES_TURN of one lane, then of the next. At most `most`, and at most one in
 * `shares` of what is there, but one at least. Tells how many; 0: empty. */
size_t mfi_lanes_pop(mfi_lanes *q, mfi_popper *p, mfi_item *out, size_t most, size_t shares);
/** The same into a run of the caller's own, which is empty: as many as it holds, at most. */
size_t mfi_lanes_pop_run(mfi_lanes *q, mfi_popper *p, mfi_run *run, size_t shares);
/** Whether every push that has returned was taken. */
bool mfi_lanes_empty(mfi_lanes *q);
/** Whether the allocator got back `enough` bytes since this was true last; of several callers one hears it. */
bool mfi_lanes_released(mfi_lanes *q, size_t enough);
/** How many items, about. */
size_t mfi_lanes_size(mfi_lanes *q);

/** Write the i-th item. False: it does not fit. */
static inline bool mfi_room_put(const mfi_room *room, size_t i, uintptr_t a, uintptr_t b, uintptr_t c)
{
    uintptr_t *cell = room->cells + i * room->words;
    if (room->words < 3 && (c != room->c || (room->words == 1 && a != room->a)))
        return false;
    cell[0] = b;
    if (room->words > 1)
        cell[1] = a;
    if (room->words > 2)
        cell[2] = c;
    return true;
}

#endif
