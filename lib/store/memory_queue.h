/* store/memory_queue.h: messages that wait, and the claims they turn into.
 *
 *    memory_tables.h   lists of slots, and the tables that find one
 *    memory_slots.c    room for them
 *    memory_queue.c    the order of what waits
 *    memory_claims.c   claims, their leases, and how they end
 *
 *               add                          due                    end
 *     free ───────────► ready · later · ranked ─────► (detached) ─► claimed ────► free, one generation on
 *                        ▲    ▲     ▲                     │            │
 *                 resume │    └─────┴────── place ────────┴────────────┘  given back, or its lease ran out:
 *                      parked                                             one generation on, too
 *
 * A claim keeps its message: it may be due again. So every row in use can be placed at any moment, and room for that is
 * reserved when the row is added: nothing but mfi_queue_reserve can fail.
 *
 * A token is the slot's generation and number, so that settling is a look at one slot, and a settled token meets another
 * generation from then on: a slot whose generations run out is not used again. */
#ifndef MFI_MEMORY_QUEUE_H
#define MFI_MEMORY_QUEUE_H

#include <mageflow/store.h>

#include "heap.h"
#include "memory_pages.h"

enum mfi_slot_state {
    MFI_SLOT_FREE,
    MFI_SLOT_READY,           /* priority 0, due at once: in the list */
    MFI_SLOT_LATER,           /* priority 0, of any due time: in the heap */
    MFI_SLOT_RANKED_LATER,    /* another priority, not due when last looked at */
    MFI_SLOT_RANKED,          /* another priority, due */
    MFI_SLOT_PARKED,
    MFI_SLOT_CLAIMED
};

struct mfi_slot;

struct mfi_list {
    struct mfi_slot *first, *last;
};

/* A message that waits, and later the claim on it: the same slot, so that taking allocates nothing. */
struct mfi_slot {
    struct mfi_node  node;         /* due and the entry's id; 0: a claim without a message of ours. First: see slot_of */
    mf_spec         *spec;         /* the entry, as far as it is kept */
    mf_unit          unit;
    mf_message      *message, *error;
    uint32_t         attempt, deaths;
    int32_t          priority;
    uint32_t         number;       /* its place among the slots */
    uint32_t         generation;   /* from 1 */
    uint8_t          state;
    bool             settling;     /* the commit under way settles it */
    struct mfi_slot *next, *prev;  /* free: the next free one; ready, parked, leased: its neighbours in the list */
    struct mfi_slot *same_id;      /* the next in its bucket of ids */
    struct mfi_slot *same_unit;    /* claimed: the next in its bucket of units */
    union {
        uint64_t         held;     /* claimed: the serial number of the record whose unit it holds; 0: the message alone */
        struct mfi_list *parked;   /* parked: the list it is in */
    };
    int64_t          until_ms;     /* claimed: when the lease ends; 0: it has none */
};

/* Rows that a call let go of, to be released without the lock; what does not fit is released at once. */
enum { MFI_DROPPED_MAX = 32 };
struct mfi_dropped {
    size_t count;
    struct mfi_dropped_row { mf_spec *spec; mf_message *message, *error; } rows[MFI_DROPPED_MAX];
};
void mfi_dropped_release(struct mfi_dropped *dropped);

struct mfi_queue {
    struct mfi_pages  slots;
    uint32_t          slot_count;
    struct mfi_slot  *free;
    size_t            free_count;
    struct mfi_list   ready;           /* in the order of due time and id */
    struct mfi_heap   later;           /* room for all slots */
    struct mfi_heap   ranked_later, ranked;
    size_t            ranked_rows;     /* in use with a priority, waiting or claimed */
    struct mfi_list   leases;          /* claims in the order in which their leases end */
    int64_t           lease_ms;        /* of new claims; 0: for ever */
    struct mfi_slot **ids, **units;    /* two hash tables with `buckets` chains each: rows by id, claims by unit, */
    bool              by_unit;         /* from the first claim from elsewhere on: nobody else asks */
    size_t            buckets;         /* a power of two, at least slot_count */
    uint64_t          last_id;
    size_t            waiting, claimed;
};

/* A slot is not used again from this generation on. What is left of them is for the message that is in it then: so often it
 * may be given back before a token of it repeats one. */
#define MFI_GENERATION_LAST (UINT32_MAX - (UINT32_C(1) << 24))

/** Whether the slot is free for others once it ends: not when its generations run out. */
static inline bool mfi_slot_comes_back(const struct mfi_slot *slot)
{
    return slot->generation < MFI_GENERATION_LAST;
}

/* ---- memory_slots.c --- */

/** Have n free slots, `ranked` of them for rows with a priority: then nothing below can fail. */
bool mfi_queue_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n, size_t ranked);
void mfi_queue_fini(struct mfi_queue *q, const mf_allocator *a);
/** A free slot for a claim without a message of ours. One was reserved. */
struct mfi_slot *mfi_queue_slot(struct mfi_queue *q);

/* ---- memory_queue.c --- */

/** Queue a copy of entry, whose references become the queue's, and give it its id. parked: NULL, or the list to wait in. */
void mfi_queue_add(struct mfi_queue *q, const mf_entry *entry, struct mfi_list *parked, int64_t now_ms);
/** Detach the first row that is due; NULL: there is none. The slot is then in nobody's list. */
struct mfi_slot *mfi_queue_due(struct mfi_queue *q, int64_t now_ms);
/** When the first one is due; INT64_MAX: none waits. */
int64_t mfi_queue_next_due(const struct mfi_queue *q);
struct mfi_slot *mfi_queue_find(const struct mfi_queue *q, uint64_t id);
/** Put a slot that is in nobody's list where its priority and due belong. */
void mfi_queue_place(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms);
void mfi_queue_detach(struct mfi_queue *q, struct mfi_slot *slot);
/** Everything in the list is due now. Gives how many that were. */
size_t mfi_queue_unpark(struct mfi_queue *q, struct mfi_list *parked, int64_t now_ms);

/* ---- memory_claims.c --- */

/** Have claims found by their unit from now on. */
void mfi_claims_by_unit(struct mfi_queue *q);
/** True while somebody's claim holds this unit of the record with that serial number. */
bool mfi_claim_held(const struct mfi_queue *q, uint64_t serial, const mf_unit *unit);
/** For mfi_claim_begin, in memory_tables.h: a claim gets a lease, where claims have one. */
void mfi_lease_begin(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms);
/** The lease begins anew. */
void mfi_claim_renew(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms);
/** The claim is none any more, and its message is due again. Gives how many messages: one, or none where there was none. */
size_t mfi_claim_return(struct mfi_queue *q, struct mfi_slot *slot, int64_t now_ms);
/** When the first lease ends; INT64_MAX: none does. */
static inline int64_t mfi_claims_next(const struct mfi_queue *q)
{
    return q->leases.first == NULL ? INT64_MAX : q->leases.first->until_ms;
}
size_t mfi_claims_sweep_some(struct mfi_queue *q, int64_t now_ms);
/** Return the claims whose leases ended, each with one more death. Gives how many messages became due. */
static inline size_t mfi_claims_sweep(struct mfi_queue *q, int64_t now_ms)
{
    return mfi_claims_next(q) <= now_ms ? mfi_claims_sweep_some(q, now_ms) : 0;
}
/** The slot is done with, whatever its state; what it refers to goes to dropped. */
void mfi_queue_end(struct mfi_queue *q, struct mfi_slot *slot, struct mfi_dropped *dropped);

#endif
