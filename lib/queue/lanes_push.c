/* Into a lane: P1 to P3 of lanes.h. */
#include "barrier.h"
#include "lane.h"
#include "owner.h"
#include "step.h"

enum { WIDE_MOST = 63 };      /* segments between two that were tried with one word and did not pay */

/* ---- whose lane ----------------------------------------------------------------------------------------------- */

/* Which lanes this thread has used lately, and of which queues: one for each remainder of their numbers. */
enum { USUAL = 4 };
static _Thread_local struct usual {
    uint64_t  queue, self;
    mfi_lane *lane;
    uint64_t  unused;      /* a power of two, for the index */
} usual[USUAL];

/* The owner's number too: a thread at its end may have got another one. NULL: look for it. */
static inline mfi_lane *lane_usual(const mfi_lanes *q)
{
    const struct usual *u = &usual[q->id % USUAL];
    return u->queue == q->id && u->self == mfi_owner_number ? u->lane : NULL;
}

static mfi_lane *lane_mine(mfi_lanes *q)
{
    mfi_lane *lane = lane_usual(q);
    if (lane == NULL && (lane = mfi_lane_find(q)) != NULL)
        usual[q->id % USUAL] = (struct usual){q->id, mfi_owner_number, lane, 0};
    return lane;
}

/* ---- push ----------------------------------------------------------------------------------------------------- */

static inline uint64_t filled(const mfi_lane *lane)
{
    return atomic_load_explicit(&lane->pushed, memory_order_relaxed);
}

static inline bool takes(const mfi_lane *lane, uintptr_t a, uintptr_t c)
{
    return filled(lane) != lane->end && (lane->words == 3 || (c == lane->c && (lane->words == 2 || a == lane->a)));
}

/* How many words of each item the segment behind tail holds. What holds as many items as one of whole items would has paid, closed
 * early or not. */
static unsigned words_of_next(const mfi_lanes *q, mfi_lane *lane, uintptr_t c, uint64_t used)
{
    bool paid = used >= q->cells;
    if (paid && lane->words == 1)
        lane->tried = 0;
    if (paid && lane->words > 1 && lane->wide > 0) {
        lane->wide--;
        return lane->words;
    }
    if (paid)
        return 1;
    lane->tried = lane->tried < WIDE_MOST ? (uint16_t)(2 * lane->tried + 1) : WIDE_MOST;
    lane->wide = lane->tried;
    return c == lane->c ? 2 : 3;
}

/* Make room for an item with these words. False: no memory. */
__attribute__((noinline)) static bool more_room(mfi_lanes *q, mfi_lane *lane, uintptr_t a, uintptr_t c)
{
    struct segment *tail = lane->tail;
    uint64_t end = filled(lane), used = end - tail->first;
    if (used == 0) {      /* the first one of the lane */
        mfi_lane_begin(q, lane, tail, 1, a, c);
        return true;
    }
    struct segment *seg = mfi_segment_get(q, end);
    if (seg == NULL)
        return false;
    /* Relaxed: P3 of what is pushed next publishes it; until then nobody looks for anything from `end` on. */
    atomic_store_explicit(&tail->end, end, memory_order_relaxed);
    MFI_STEP("lanes.push.closed");
    mfi_lane_begin(q, lane, seg, words_of_next(q, lane, c, used), a, c);
    /* P2, release: its position. */
    atomic_store_explicit(&tail->next, (uintptr_t)seg, memory_order_release);
    MFI_STEP("lanes.push.linked");
    return true;
}

bool mfi_lanes_room(mfi_lanes *q, mfi_lane **at, uintptr_t a, uintptr_t c, mfi_room *room)
{
    mfi_lane *lane = *at != NULL ? *at : lane_mine(q);
    if (lane == NULL || (!takes(lane, a, c) && !more_room(q, lane, a, c)))
        return false;
    MFI_STEP("lanes.push.begun");
    *at = lane;
    *room = (mfi_room){lane->room, (size_t)(lane->end - filled(lane)), lane->words, lane->a, lane->c};
    return true;
}

void mfi_lanes_show(mfi_lane *lane, size_t n)
{
    lane->room += n * lane->words;
    MFI_STEP("lanes.push.written");
    /* P3: S1 of the doorbell. */
    mfi_publish(&lane->pushed, filled(lane) + n);
}

size_t mfi_lanes_push(mfi_lanes *q, mfi_lane *lane, const mfi_item *items, size_t count)
{
    mfi_room room;
    size_t done = 0;
    while (done < count && mfi_lanes_room(q, &lane, items[done].word[0], items[done].word[2], &room)) {
        const mfi_item *from = items + done;
        size_t n = 0, most = count - done < room.items ? count - done : room.items;
        while (n < most && mfi_room_put(&room, n, from[n].word[0], from[n].word[1], from[n].word[2]))
            n++;
        mfi_lanes_show(lane, n);
        done += n;
    }
    return done;
}

static inline void write_one(mfi_lane *lane, uintptr_t a, uintptr_t b, uintptr_t c)
{
    uintptr_t *cell = lane->room;
    cell[0] = b;
    if (lane->words > 1)
        cell[1] = a;
    if (lane->words > 2)
        cell[2] = c;
    lane->room = cell + lane->words;
    MFI_STEP("lanes.push_one.written");
    /* P3. */
    mfi_publish(&lane->pushed, filled(lane) + 1);
}

__attribute__((noinline)) static bool push_one_anew(mfi_lanes *q, uintptr_t a, uintptr_t b, uintptr_t c)
{
    mfi_lane *lane = lane_mine(q);
    if (lane == NULL || (!takes(lane, a, c) && !more_room(q, lane, a, c)))
        return false;
    write_one(lane, a, b, c);
    return true;
}

bool mfi_lanes_push_one(mfi_lanes *q, uintptr_t a, uintptr_t b, uintptr_t c)
{
    mfi_lane *lane = lane_usual(q);
    MFI_STEP("lanes.push_one.begun");
    if (lane == NULL || !takes(lane, a, c))
        return push_one_anew(q, a, b, c);
    write_one(lane, a, b, c);
    return true;
}
