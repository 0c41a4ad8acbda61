#include "lanes.h"

#include "barrier.h"
#include "memory.h"
#include "owner.h"
#include "step.h"

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

/* The owner of a lane that is no thread's. */
#define NO_THREAD UINT64_MAX

enum {
    LANES_SPREAD = 16,      /* how far apart poppers begin */
    WIDE_MOST    = 63       /* segments between two that were tried with one word and did not pay */
};

static size_t segment_size(const mfi_lanes *q)
{
    return sizeof(struct segment) + q->cells * sizeof(mfi_item);
}

/* ---- segments: made, retired, used again ---------------------------------------------------------------------- */

static struct segment *segment_get(mfi_lanes *q, uint64_t first)
{
    struct segment *seg = NULL;
    for (size_t i = 0; i < q->reserve_size && seg == NULL; i++)
        if (atomic_load_explicit(&q->reserve[i], memory_order_relaxed) != 0)
            /* Acquire: pairs with segment_give; the last use of it is over. */
            seg = (struct segment *)atomic_exchange_explicit(&q->reserve[i], 0, memory_order_acquire);
    if (seg == NULL)
        seg = mfi_alloc(q->allocator, segment_size(q));
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
    mfi_release(q->allocator, seg, segment_size(q));
    atomic_fetch_add_explicit(&q->released, segment_size(q), memory_order_relaxed);
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

/* seg was unlinked by this thread. */
static void segment_retire(mfi_lanes *q, struct segment *seg)
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

/* ---- lanes ---------------------------------------------------------------------------------------------------- */

/* There is no item in seg yet. */
static void begin_segment(const mfi_lanes *q, mfi_lane *lane, struct segment *seg, unsigned words, uintptr_t a, uintptr_t c)
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

static mfi_lane *lane_make(mfi_lanes *q, uint64_t owner)
{
    mfi_lane *lane = mf_new(q->allocator, mfi_lane);
    struct segment *seg = lane != NULL ? segment_get(q, 0) : NULL;
    if (seg == NULL) {
        mf_delete(q->allocator, lane);
        return NULL;
    }
    begin_segment(q, lane, seg, 1, 0, 0);
    atomic_init(&lane->head, (uintptr_t)seg);
    atomic_init(&lane->owner, owner);
    return lane;
}

static mfi_lane *lane_first(mfi_lanes *q)
{
    /* seq_cst: a sleeper's look (W2) has to see the lane that a push before it made. */
    return atomic_load_explicit(&q->first, memory_order_seq_cst);
}

/* Under the owners' lock. */
static mfi_lane *lane_add(mfi_lanes *q, uint64_t owner)
{
    mfi_lane *lane = lane_make(q, owner);
    if (lane != NULL) {
        lane->next = lane_first(q);
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

/* This thread's lane, or one of a thread that has ended, or a new one. NULL: no memory. */
__attribute__((noinline)) static mfi_lane *lane_find(mfi_lanes *q)
{
    uint64_t self = mfi_owner_self();
    if (self == 0)
        return NULL;
    mfi_lane *mine = NULL, *left = NULL;
    mfi_owners_lock();
    for (mfi_lane *lane = lane_first(q); lane != NULL && mine == NULL; lane = lane->next) {
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
    if (lane == NULL && (lane = lane_find(q)) != NULL)
        usual[q->id % USUAL] = (struct usual){q->id, mfi_owner_number, lane, 0};
    return lane;
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
        struct segment *seg = mfi_alloc(allocator, segment_size(q));
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
        mfi_release(q->allocator, seg, segment_size(q));
    }
}

void mfi_lanes_fini(mfi_lanes *q)
{
    mfi_lane *lane = lane_first(q);
    for (mfi_lane *next; lane != NULL; lane = next) {
        next = lane->next;
        segments_free(q, (struct segment *)atomic_load_explicit(&lane->head, memory_order_acquire), true);
        mf_delete(q->allocator, lane);
    }
    segments_free(q, (struct segment *)atomic_load_explicit(&q->retired, memory_order_acquire), false);
    for (size_t i = 0; q->reserve != NULL && i < q->reserve_size; i++)
        mfi_release(q->allocator, (void *)atomic_load_explicit(&q->reserve[i], memory_order_acquire), segment_size(q));
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
        begin_segment(q, lane, tail, 1, a, c);
        return true;
    }
    struct segment *seg = segment_get(q, end);
    if (seg == NULL)
        return false;
    /* Relaxed: P3 of what is pushed next publishes it; until then nobody looks for anything from `end` on. */
    atomic_store_explicit(&tail->end, end, memory_order_relaxed);
    begin_segment(q, lane, seg, words_of_next(q, lane, c, used), a, c);
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

/* ---- pop ------------------------------------------------------------------------------------------------------ */

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
        segment_retire(q, seg);
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
    return lane->next != NULL ? lane->next : lane_first(q);
}

/* Poppers begin each at another lane, not all at the newest. */
static mfi_lane *lane_begin(mfi_lanes *q, const mfi_popper *p)
{
    mfi_lane *lane = lane_first(q);
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

/* ---- looking -------------------------------------------------------------------------------------------------- */

bool mfi_lanes_empty(mfi_lanes *q)
{
    for (mfi_lane *lane = lane_first(q); lane != NULL; lane = lane->next) {
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
    for (mfi_lane *lane = lane_first(q); lane != NULL; lane = lane->next) {
        uint64_t at = atomic_load_explicit(&lane->popped, memory_order_seq_cst);
        sum += (size_t)(atomic_load_explicit(&lane->pushed, memory_order_seq_cst) - at);
    }
    return sum;
}
