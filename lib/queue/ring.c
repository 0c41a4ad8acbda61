#include "ring.h"

#include "backoff.h"
#include "memory.h"
#include "step.h"

enum { FREE = 0, BUSY = 1, FULL = 2, HELD = 3, KIND = 3 };

static uint64_t kind_of(uint64_t state) { return state & KIND; }
static uint64_t lap_of(uint64_t state)  { return state & ~(uint64_t)KIND; }

static mfi_ring_cell *cell_of(const mfi_ring *ring, uint64_t ticket) { return &ring->cells[ticket & ring->mask]; }
static uint64_t ticket_lap(const mfi_ring *ring, uint64_t ticket)    { return ticket & ~ring->mask; }

static size_t round_capacity(size_t capacity)
{
    size_t rounded = 4;         /* two bits of the lap for the kind */
    while (rounded < capacity && rounded <= SIZE_MAX / 4 / sizeof(mfi_ring_cell))
        rounded *= 2;
    return rounded;
}

bool mfi_ring_init(mfi_ring *ring, const mf_allocator *allocator, size_t capacity, uint64_t first)
{
    size_t n = round_capacity(capacity);
    if (n < capacity)
        return false;
    ring->allocator = allocator;
    ring->block_size = n * sizeof(mfi_ring_cell) + MFI_CACHE_LINE;
    ring->block = mfi_alloc(allocator, ring->block_size);
    if (ring->block == NULL)
        return false;
    ring->cells = (mfi_ring_cell *)(((uintptr_t)ring->block + MFI_CACHE_LINE - 1) / MFI_CACHE_LINE * MFI_CACHE_LINE);
    ring->mask = n - 1;
    for (uint64_t ticket = first; ticket != first + n; ticket++)
        atomic_init(&cell_of(ring, ticket)->state, ticket_lap(ring, ticket) | FREE);
    atomic_init(&ring->tail, first);
    atomic_init(&ring->head, first);
    return true;
}

void mfi_ring_fini(mfi_ring *ring)
{
    mfi_release(ring->allocator, ring->block, ring->block_size);
    ring->block = NULL;
}

/* ---- both ends ------------------------------------------------------------------------------------------------ */

/* Leave a cell that is held by this thread. Its lap may have been raised meanwhile, so it is added to, not stored. Release:
 * the next one inside comes after all that we did here. */
static void release_cell(mfi_ring *ring, mfi_ring_cell *cell)
{
    atomic_fetch_add_explicit(&cell->state, ring->mask + 1 - HELD, memory_order_release);
}

/* ---- push ----------------------------------------------------------------------------------------------------- */

/* Take up to `wanted` tickets in a row; tells how many, 0 when the ring is full. */
static size_t take_tickets(mfi_ring *ring, size_t wanted, uint64_t *first)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        /* seq_cst: a submitter that waits for room looks here (W2 of its event) after it said so. */
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
        uint64_t used = tail - head;
        if (used > ring->mask + 1) {
            /* Our tail is so old that head has passed it. */
            tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
            continue;
        }
        uint64_t room = ring->mask + 1 - used;
        if (room == 0)
            return 0;
        uint64_t got = wanted < room ? wanted : room;
        if (atomic_compare_exchange_weak_explicit(&ring->tail, &tail, tail + got, memory_order_seq_cst,
                                                  memory_order_relaxed)) {
            *first = tail;
            return got;
        }
    }
}

/* Publish item under the ticket. False: a popper has passed it, or somebody halted is in the cell. */
static bool put(mfi_ring *ring, uint64_t ticket, const mfi_item *item)
{
    mfi_ring_cell *cell = cell_of(ring, ticket);
    uint64_t lap = ticket_lap(ring, ticket);
    uint64_t state = atomic_load_explicit(&cell->state, memory_order_relaxed);
    do {
        if (kind_of(state) != FREE || mfi_ahead(lap_of(state), lap)) {
            MFI_STEP("ring.push.barred");
            return false;
        }
        /* Acquire: pairs with release_cell; the previous one's reading is over before we write. */
    } while (!atomic_compare_exchange_weak_explicit(&cell->state, &state, lap | BUSY, memory_order_acquire,
                                                    memory_order_relaxed));
    MFI_STEP("ring.push.inside");
    cell->item = *item;
    MFI_STEP("ring.push.written");
    uint64_t mine = lap | BUSY;
    /* Release: pairs with the popper's acquire in collect. seq_cst: S1 of the doorbell. */
    if (atomic_compare_exchange_strong_explicit(&cell->state, &mine, lap | FULL, memory_order_seq_cst,
                                                memory_order_relaxed))
        return true;
    /* A popper did not wait for us. Without this release the cell would be out of use for ever. */
    MFI_STEP("ring.push.passed");
    release_cell(ring, cell);
    return false;
}

size_t mfi_ring_push(mfi_ring *ring, const mfi_item *items, size_t count)
{
    size_t done = 0;
    while (done < count) {
        uint64_t ticket;
        size_t got = take_tickets(ring, count - done, &ticket);
        if (got == 0)
            break;
        MFI_STEP("ring.push.ticket");
        for (; got > 0; got--, ticket++)
            if (put(ring, ticket, &items[done]))
                done++;
    }
    return done;
}

/* ---- pop ------------------------------------------------------------------------------------------------------ */

/* Close the lap of this ticket's cell, and take the item that is there, if any. */
static bool collect(mfi_ring *ring, uint64_t ticket, mfi_item *out)
{
    mfi_ring_cell *cell = cell_of(ring, ticket);
    uint64_t lap = ticket_lap(ring, ticket);
    uint64_t state = atomic_load_explicit(&cell->state, memory_order_relaxed), closed;
    do {
        if (mfi_ahead(lap_of(state), lap)) {
            MFI_STEP("ring.pop.over");
            return false;
        }
        closed = kind_of(state) == FREE ? (lap + ring->mask + 1) | FREE : lap | HELD;
        /* Acquire: pairs with the pusher's publishing. */
    } while (!atomic_compare_exchange_weak_explicit(&cell->state, &state, closed, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (kind_of(state) != FULL) {
        MFI_STEP("ring.pop.passed");
        return false;
    }
    MFI_STEP("ring.pop.inside");
    *out = cell->item;
    MFI_STEP("ring.pop.read");
    release_cell(ring, cell);
    return true;
}

/* The pusher of the oldest ticket is probably on its way: give it a moment before passing it, for that costs it another
 * ticket. The only waiting here, and it ends by itself. */
static void await_pusher(const mfi_ring *ring, uint64_t ticket)
{
    uint64_t lap = ticket_lap(ring, ticket);
    mfi_backoff wait = MFI_BACKOFF;
    for (;;) {
        uint64_t state = atomic_load_explicit(&cell_of(ring, ticket)->state, memory_order_seq_cst);
        if (kind_of(state) == FULL || kind_of(state) == HELD || mfi_ahead(lap_of(state), lap) || !mfi_backoff_once(&wait))
            return;
    }
}

bool mfi_ring_pop(mfi_ring *ring, mfi_item *out)
{
    /* seq_cst, as the head below: the looks (W2, F2) of the doorbell. Tickets from here on belong to pushes that had not
     * returned when we began, so that we may stop there, and poppers and pushers cannot chase each other for ever. */
    uint64_t end = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
    for (;;) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
        if (!mfi_ahead(end, head))
            return false;
        await_pusher(ring, head);
        /* seq_cst: the change that makes room, C1 of the event that a waiting submitter sleeps on. */
        if (!atomic_compare_exchange_strong_explicit(&ring->head, &head, head + 1, memory_order_seq_cst,
                                                     memory_order_relaxed))
            continue;
        MFI_STEP("ring.pop.ticket");
        if (collect(ring, head, out))
            return true;
    }
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

bool mfi_ring_empty(const mfi_ring *ring)
{
    /* Head first: a head that moves on between the two loads makes the answer "not empty", never a wrong "empty". */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
    return !mfi_ahead(atomic_load_explicit(&ring->tail, memory_order_seq_cst), head);
}

size_t mfi_ring_size(const mfi_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    return mfi_ahead(tail, head) ? (size_t)(tail - head) : 0;
}
