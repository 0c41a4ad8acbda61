/* queue/lane.h: what a lane and its segments are, for the files that lanes.h describes: segment.c, lanes.c, lanes_push.c, lanes_pop.c. */
#ifndef MFI_LANE_H
#define MFI_LANE_H

#include "lanes.h"

/* A segment is published by a store of a pointer to it; before that it is its maker's alone. */
struct segment {
    _Atomic uintptr_t next;      /* A  0 until its pusher has filled it and links the next one */
    uint64_t          first;     /* I  while linked: the position of its first item */
    _Atomic uint64_t  end;       /* A  behind its last one; its pusher may close it early, before it pushes on */
    uintptr_t         words;     /* I  once there is an item in it, as the next two: the words of each that it holds, 1 to 3 */
    uintptr_t         a, c;      /*    the first and the last word of all, where it does not hold them */
    struct segment   *below;     /* in the stack of retired ones */
    uintptr_t         cells[];   /* of each item its middle word; its first; its last */
};

struct mfi_lane {
    mfi_lane         *next;      /* I  once published */
    _Atomic uint64_t  owner;     /* A  the thread whose it is; under the owners' lock */
    MFI_APART(apart_pushed);
    _Atomic uint64_t  pushed;    /* A  written by the pusher */
    struct segment   *tail;      /* the pusher's, as all to the end of this line; with what is free of it: */
    uintptr_t        *room;
    uint64_t          end;       /* the position where there is none */
    uintptr_t         a, c;      /* of tail */
    uint16_t          words;     /* of tail */
    uint16_t          wide;      /* segments to fill before one word is tried again */
    uint16_t          tried;     /* what `wide` was last */
    MFI_APART(apart_popped);
    _Atomic uint64_t  popped;    /* A */
    _Atomic uintptr_t head;      /* A  the segment of `popped`, or one before it */
    MFI_APART(apart_end);
};

static inline size_t mfi_segment_size(const mfi_lanes *q)
{
    return sizeof(struct segment) + q->cells * sizeof(mfi_item);
}

/** One from the reserve, or the allocator; its first item is at `first`. NULL: no memory. */
struct segment *mfi_segment_get(mfi_lanes *q, uint64_t first);
/** seg was unlinked by this thread. */
void mfi_segment_retire(mfi_lanes *q, struct segment *seg);
/** Make seg, which has no item yet, the tail of a lane, for items of so many words. Pusher only. */
void mfi_lane_begin(const mfi_lanes *q, mfi_lane *lane, struct segment *seg, unsigned words, uintptr_t a, uintptr_t c);

/** This thread's lane, or one of a thread that has ended, or a new one. NULL: no memory. */
mfi_lane *mfi_lane_find(mfi_lanes *q);

static inline mfi_lane *mfi_lane_first(mfi_lanes *q)
{
    /* seq_cst: a sleeper's look (W2) has to see the lane that a push before it made. */
    return atomic_load_explicit(&q->first, memory_order_seq_cst);
}

#endif
