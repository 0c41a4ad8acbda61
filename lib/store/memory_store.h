/* store/memory_store.h: the memory store, as its own files see it.
 *
 *    memory.c          the object and its table; reading records, items and outcomes
 *    memory_heads.c    the table of records ("heads"), each with its items and outcomes
 *    memory_queue.c    slots: messages that wait, and the claims they turn into
 *    memory_claim.c    who may run what: take, claim, outbox
 *    memory_commit.c   one batch, all or nothing
 *    memory_watch.c    telling others, with no lock held
 *    memory_log.c      log lines and progress
 *
 * One mutex guards everything. An operation on a batch of sixteen holds it for about a microsecond, so that it serves a
 * few million items a second however many threads there are; beyond that, threads queue up behind each other. Under it
 * runs nothing of anybody else's but the store's allocator: the clock is read before, watchers are called after.
 *
 * Rejected: a lock per record (a commit touches two records and the queue: three locks in an order, for operations that
 * are shorter than the locking); a log of commits that threads append to without a lock (a guard must be answered at
 * once, so each would wait for all before it anyway).
 */
#ifndef MFI_MEMORY_STORE_H
#define MFI_MEMORY_STORE_H

#include <mageflow/store.h>

#include <pthread.h>

#include "memory.h"
#include "memory_pages.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) mfi_alloc(allocator, (size))          /* `allocator`: in scope where a table is changed */
#define uthash_free(at, size) mfi_release(allocator, (at), (size))
#include <uthash.h>

#define MFI_ABOVE_MAX 32          /* records a claim looks at upward */
#define MFI_INDEX_MAX UINT32_MAX  /* no item has a greater index */
#define MFI_LINES_MAX 10000       /* log lines kept for one record; then the oldest goes */
#define MFI_OUTBOX_LEASE_MS 3000  /* a row handed out and not ticked off is handed out again after this */

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* mf_state without its cursor, which only a swarm with a source has. */
struct mfi_kept {
    uint64_t    version, total, expected, next, running, done, failed, canceled;
    int64_t     started_ms, ended_ms;
    mf_message *input, *inherited, *result;
    uint32_t    epoch;
    uint8_t     status, last_status;
    bool        closed;
};

struct mfi_lines;

/* All fields under the store's lock. A head is never removed, so that a pointer to one stays good. */
struct mfi_head {
    mf_spec          *spec;          /* its key is the hash key */
    struct mfi_kept   state;
    mf_cursor        *cursor;        /* NULL: empty */
    struct mfi_head  *container;     /* spec->container's, once somebody looked for it */
    struct mfi_pages  items;         /* of mf_item */
    uint64_t          item_count;
    struct mfi_pages  outcomes;      /* of uintptr_t: the value's address, its status in the low bits; 0: none yet */
    uint64_t          outcome_end;   /* one past the last index that has one */
    struct mfi_lines *log;
    mf_message       *progress;
    UT_hash_handle    hh;
};

/* ---- messages and claims ---------------------------------------------------------------------------------------- */

enum mfi_slot_state { MFI_SLOT_FREE, MFI_SLOT_QUEUED, MFI_SLOT_DELAYED, MFI_SLOT_CLAIMED };

/* A message that waits, and later the claim on it: the same slot, so that taking allocates nothing. */
struct mfi_slot {
    mf_entry         entry;        /* claimed: id and unit alone, the references went to the taker */
    struct mfi_slot *next;         /* free: the next free one; queued: the one behind; claimed: the next of its bucket */
    struct mfi_slot *prev;         /* queued: the one in front */
    struct mfi_slot *same_id;      /* the next in its bucket of ids */
    struct mfi_head *head;         /* claimed: the record whose unit is held; NULL: the claim covers the message alone */
    size_t           heap_at;      /* delayed: its place in the heap */
    uint32_t         number;       /* its place among the slots */
    uint32_t         generation;   /* from 1; grows whenever the slot becomes free */
    uint8_t          state;
    bool             settling;     /* the commit under way settles it */
};

struct mfi_queue {
    struct mfi_pages  slots;
    uint32_t          slot_count;
    struct mfi_slot  *free;
    size_t            free_count;
    struct mfi_slot  *first, *last;     /* due at once, in the order of their ids */
    struct mfi_slot **heap;             /* delayed; the earliest first */
    size_t            heap_count, heap_capacity;
    struct mfi_slot **ids, **units;     /* two hash tables with `buckets` chains each: rows by id, claims by unit */
    size_t            buckets;          /* a power of two, at least slot_count */
    uint64_t          last_id;
    size_t            waiting, claimed;
};

/** Have n free slots, and room for `delayed` more in the heap: then nothing below can fail. */
bool mfi_queue_reserve(struct mfi_queue *q, const mf_allocator *a, size_t n, size_t delayed);
void mfi_queue_fini(struct mfi_queue *q, const mf_allocator *a);
/** Queue a copy of entry, whose references become the queue's, and give it its id. */
void mfi_queue_add(struct mfi_queue *q, const mf_entry *entry, int64_t now_ms);
/** Detach the first row that is due; NULL: there is none. The slot is then in nobody's list. */
struct mfi_slot *mfi_queue_due(struct mfi_queue *q, int64_t now_ms);
/** When the first one is due; INT64_MAX: none waits. */
int64_t mfi_queue_next_due(const struct mfi_queue *q);
/** Put a detached slot back, for another time. Room in the heap was reserved. */
void mfi_queue_delay(struct mfi_queue *q, struct mfi_slot *slot, int64_t due_ms);
struct mfi_slot *mfi_queue_find(const struct mfi_queue *q, uint64_t id);

/** Whether the slot is free for others once it ends: not when that was the last of its generations. */
static inline bool mfi_slot_comes_back(const struct mfi_slot *slot)
{
    return slot->generation < UINT32_MAX;
}
/** A free slot for a claim without a message of ours. One was reserved. */
struct mfi_slot *mfi_queue_slot(struct mfi_queue *q);
/** Make a detached slot, whose references somebody took, a claim: on its unit of head, or on the message alone (head NULL).
 * Gives the token. */
uint64_t mfi_claim_begin(struct mfi_queue *q, struct mfi_slot *slot, struct mfi_head *head);
/** True while somebody's claim holds this unit. */
bool mfi_claim_held(const struct mfi_queue *q, const struct mfi_head *head, const mf_unit *unit);
/** The claim that a token stands for; NULL: it is not, or no longer, one. */
struct mfi_slot *mfi_claim_find(const struct mfi_queue *q, uint64_t token);
/** The slot is done with, whatever its state; what it refers to is released. */
void mfi_queue_end(struct mfi_queue *q, struct mfi_slot *slot);

/* ---- the store -------------------------------------------------------------------------------------------------- */

struct mfi_watcher;

/* I set at creation, then read-only · L under `lock` · W under `watch_lock` */
struct mfi_memory {
    mf_store            base;         /* I */
    const mf_allocator *allocator;    /* I */
    const mf_clock     *clock;        /* I */
    pthread_mutex_t     lock;
    struct mfi_head    *heads;        /* L  uthash */
    struct mfi_head    *recent;       /* L  the head looked up last */
    struct mfi_queue    queue;        /* L */
    int64_t             now_ms;       /* L  the latest time seen: it never goes back */
    pthread_mutex_t     watch_lock;
    pthread_cond_t      watch_idle;   /* W  a call to a watcher that is going away returned */
    struct mfi_watcher *watchers;     /* W */
};

struct mfi_memory *mfi_memory_of(mf_store *base);

/** The clock as it is now, and as an operation under the lock sees it. */
int64_t mfi_memory_clock(const struct mfi_memory *m);
int64_t mfi_memory_advance(struct mfi_memory *m, int64_t now_ms);

struct mfi_head *mfi_head_find(struct mfi_memory *m, const mf_key *key);
/** A new record. NULL: no memory. The key is not there yet. */
struct mfi_head *mfi_head_add(struct mfi_memory *m, const mf_spec *spec, const mf_state *state);
/** Take back one that was added under the lock still held. */
void mfi_head_remove(struct mfi_memory *m, struct mfi_head *head);
void mfi_heads_fini(struct mfi_memory *m);
void mfi_head_state(const struct mfi_head *head, mf_state *out);
/** Have room for this state's cursor. */
bool mfi_head_reserve(struct mfi_memory *m, struct mfi_head *head, const mf_state *state);
/** Write a state, with references of its own. The ones that were there are the caller's to drop. */
struct mfi_kept mfi_head_write(struct mfi_head *head, const mf_state *state);
void mfi_kept_unref(const struct mfi_kept *kept);
/** The first status above head that does not run; else active. */
mf_signature_status mfi_head_above(struct mfi_memory *m, struct mfi_head *head);

static inline mf_item *mfi_head_item(const struct mfi_head *head, uint64_t i)
{
    return mfi_pages_at(&head->items, i, sizeof(mf_item));
}
static inline uintptr_t *mfi_head_outcome(const struct mfi_head *head, uint64_t i)
{
    return mfi_pages_at(&head->outcomes, i, sizeof(uintptr_t));
}
/* A message is aligned for pointers, which leaves three bits for its status. */
static inline uintptr_t mfi_outcome_pack(const mf_outcome *outcome)
{
    return (uintptr_t)outcome->value | (uintptr_t)outcome->status;
}
static inline mf_message *mfi_outcome_value(uintptr_t packed)
{
    return (mf_message *)(packed & ~(uintptr_t)7);
}

/** What a commit has to tell. */
struct mfi_news {
    size_t        ready;        /* entries that are due */
    int64_t       delayed_ms;   /* the first that is not; INT64_MAX: none */
    const mf_key *ended;        /* NULL: none */
};
void mfi_watch_tell(struct mfi_memory *m, const struct mfi_news *news);
void mfi_watch_fini(struct mfi_memory *m);
mf_status mfi_memory_watch(mf_store *base, const mf_store_watch *watch);
void      mfi_memory_unwatch(mf_store *base, void *user);

mf_status mfi_memory_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err);
mf_status mfi_memory_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err);
mf_status mfi_memory_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mfi_memory_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);

mf_status mfi_memory_log(mf_store *base, const mf_key *key, mf_str line);
mf_status mfi_memory_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len);
mf_status mfi_memory_progress(mf_store *base, const mf_key *key, const mf_message *progress);
mf_status mfi_memory_read_progress(mf_store *base, const mf_key *key, mf_message **out);
void      mfi_lines_free(const mf_allocator *a, struct mfi_lines *lines);

#endif
