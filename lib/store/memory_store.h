/* store/memory_store.h: the memory store, as its own files see it.
 *
 *    memory.c          the object and its table; reading records, items and outcomes
 *    memory_heads.c    the table of records ("heads"), each with its items and outcomes
 *    memory_outcomes.c what ended, in 8 bytes an item
 *    memory_remove.c   taking records away, with what stands in them; deadlines
 *    memory_queue.h    messages that wait, and the claims they turn into: three files, see there
 *    memory_claim.c    who may run what: take, claim, outbox
 *    memory_lease.c    how long that is good for: renew, give_back
 *    memory_commit.c   one batch, all or nothing; memory_prepare.c its first half, memory_step.h what they share
 *    memory_notes.c    small values by name
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

#include "memory.h"
#include "heap.h"
#include "memory_lease.h"
#include "memory_pages.h"
#include "memory_queue.h"
#include "mutex.h"
#include "watchers.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) mfi_alloc(allocator, (size))          /* `allocator`: in scope where a table is changed */
#define uthash_free(at, size) mfi_release(allocator, (at), (size))
#include <uthash.h>

#define MFI_ABOVE_MAX 32          /* records a claim looks at upward */
#define MFI_LINES_MAX 10000       /* log lines kept for one record; then the oldest goes */
#define MFI_OUTBOX_LEASE_MS 3000  /* a row handed out and not ticked off is handed out again after this */
#define MFI_LOCKED_WAIT_MS 100    /* a message for a locked task is looked at again after this, at the latest */
#define MFI_FORGET_MAX 256        /* records past their deadline that one call forgets, about */

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* mf_state without what few records have and what never changes. */
struct mfi_kept {
    uint64_t    version, total, expected, next, running, done, failed, canceled;
    int64_t     started_ms, ended_ms;
    mf_message *input, *inherited, *result, *kwargs;
    uint32_t    epoch;
    int32_t     priority;
    uint8_t     status, last_status;
    bool        closed;
};

struct mfi_lines;
struct mfi_head;

/* Of a unit that was tried again: its latest attempt that was sent, in that epoch. attempt 0: none above the first. */
struct mfi_tried {
    uint32_t epoch, attempt;
};

/* What few records have. Once there, it stays as long as its head. */
struct mfi_rare {
    struct mfi_node  deadline;       /* in the heap of deadlines while due is not 0. First: a node there is one of these */
    struct mfi_rare *overdue;        /* during one call: the next such one */
    struct mfi_head *head;
    uint64_t         lock;
    int64_t          lock_until_ms;
    struct mfi_list  parked;         /* entries that wait for this record */
    struct mfi_pages tried;          /* of struct mfi_tried, by index */
};

/* All fields under the store's lock. Nobody keeps a pointer to one beyond a call, but for `container`. */
struct mfi_head {
    mf_spec          *spec;          /* its key is the hash key */
    struct mfi_kept   state;
    bool              keyed;         /* an item is a record, or has callbacks that are */
    bool              writing;       /* the commit under way writes it */
    mf_cursor        *cursor;        /* NULL: empty */
    struct mfi_rare  *rare;          /* NULL: none of it */
    struct mfi_head  *container;     /* spec->container's, once somebody looked for it, */
    uint64_t          container_at;  /* as long as the store's `removals` is still this */
    uint64_t          serial;        /* from 1; never used again, so that a claim may outlive its record */
    int64_t           created_ms;
    struct mfi_pages  items;         /* of mf_item */
    uint64_t          item_count;
    struct mfi_pages  outcomes;      /* of uint64_t: memory_outcomes.c; 0: none yet */
    uint64_t          outcome_end;   /* one past the last index that has one */
    struct mfi_lines *log;
    mf_message       *progress;
    struct mfi_head  *gone;          /* taken out of the table: the next such one */
    UT_hash_handle    hh;
};

/* ---- the store -------------------------------------------------------------------------------------------------- */

struct mfi_note;

/* I set at creation, then read-only · L under `lock` */
struct mfi_memory {
    mf_store            base;         /* I */
    const mf_allocator *allocator;    /* I */
    const mf_clock     *clock;        /* I */
    bool                leases;       /* I  claims have an end: whoever asks for one needs the time */
    mfi_mutex           lock;
    struct mfi_head    *heads;        /* L  uthash, in the order of their creation */
    struct mfi_head    *recent;       /* L  the head looked up last */
    uint64_t            last_serial;  /* L */
    uint64_t            removals;     /* L  records ever taken away */
    struct mfi_heap     deadlines;    /* L  of mfi_rare; room for one each */
    size_t              rares;        /* L */
    struct mfi_queue    queue;        /* L */
    struct mfi_note    *notes;        /* L  a tree */
    struct mfi_heap     expiring;     /* L  the notes that expire; room for each */
    uint64_t            last_note;    /* L */
    int64_t             now_ms;       /* L  the latest time seen: it never goes back */
    struct mfi_watchers watchers;     /* their own lock */
};

struct mfi_memory *mfi_memory_of(mf_store *base);

/** The clock as it is now, and as an operation under the lock sees it. */
int64_t mfi_memory_clock(const struct mfi_memory *m);
int64_t mfi_memory_advance(struct mfi_memory *m, int64_t now_ms);

/* ---- memory_heads.c --- */

struct mfi_head *mfi_head_find(struct mfi_memory *m, const mf_key *key);
/** A new record. NULL: no memory. The key is not there yet. */
struct mfi_head *mfi_head_add(struct mfi_memory *m, const mf_spec *spec, const mf_state *state);
/** Take it out of the table and of the deadlines. Nothing is parked on it. */
void mfi_head_remove(struct mfi_memory *m, struct mfi_head *head);
/** Release one that was taken out. Needs no lock. */
void mfi_head_free(struct mfi_head *head, const mf_allocator *a);
void mfi_heads_fini(struct mfi_memory *m);
void mfi_head_state(const struct mfi_head *head, mf_state *out);
/** Have room for what this state holds that few do. */
bool mfi_head_reserve(struct mfi_memory *m, struct mfi_head *head, const mf_state *state);
bool mfi_rare_reserve(struct mfi_memory *m, struct mfi_head *head);
/** Have room for what the attempt of this unit is. */
bool mfi_tried_reserve(struct mfi_memory *m, struct mfi_head *head, uint64_t index);
/** That attempt was sent. Room was reserved. */
void mfi_tried_note(struct mfi_head *head, const mf_unit *unit, uint32_t attempt);
/** Whether a later attempt of the unit was sent. */
static inline bool mfi_is_overtaken(const struct mfi_head *head, const mf_unit *unit, uint32_t attempt)
{
    const struct mfi_tried *tried = head->rare == NULL ? NULL : mfi_pages_at(&head->rare->tried, unit->index, sizeof *tried);
    return tried != NULL && tried->epoch == unit->epoch && attempt < tried->attempt;
}
/** Write a state, with references of its own. The ones that were there are the caller's to drop. */
struct mfi_kept mfi_head_write(struct mfi_memory *m, struct mfi_head *head, const mf_state *state);
void mfi_kept_unref(const struct mfi_kept *kept);
/** The first record above head that does not run, or NULL. */
struct mfi_head *mfi_head_blocker(struct mfi_memory *m, struct mfi_head *head);

static inline mf_signature_status mfi_head_status(const struct mfi_head *head)
{
    return (mf_signature_status)head->state.status;
}
static inline mf_item *mfi_head_item(const struct mfi_head *head, uint64_t i)
{
    return mfi_pages_at(&head->items, i, sizeof(mf_item));
}
static inline uint64_t *mfi_head_outcome(const struct mfi_head *head, uint64_t i)
{
    return mfi_pages_at(&head->outcomes, i, sizeof(uint64_t));
}

/** What writing states leaves for after the lock; room for one each that is written. */
struct mfi_written {
    struct mfi_kept *old;      /* what was there before, to be dropped */
    size_t           count;
    const mf_key   **ended;    /* the keys of the records that ended with this; struct mfi_news counts them */
};

/* ---- memory_outcomes.c --- */

/** An outcome as it is kept; never 0. Takes no reference yet. */
uint64_t mfi_outcome_pack(const mf_outcome *outcome);
/** Hold what it leads to. */
void mfi_outcome_ref(uint64_t packed);
/** Read n outcomes from index `from`; those that are not there are pending. Each value is the caller's to unref.
 * MF_E_NOMEM: nothing was read. */
mf_status mfi_outcomes_read(const struct mfi_memory *m, const struct mfi_head *head, uint64_t from, size_t n, mf_outcome *out,
                            mf_error *err);
void mfi_outcomes_fini(struct mfi_head *head, const mf_allocator *a);

/* ---- memory_remove.c --- */

/** Take the record away, and what stands in it; its own callbacks as told. All go to the front of *gone, for mfi_gone_free.
 * Gives how many entries became due that were parked on them. */
size_t mfi_remove(struct mfi_memory *m, const mf_removal *removal, struct mfi_head **gone, int64_t now_ms);
/** Release what was taken away. Without the lock. */
void mfi_gone_free(struct mfi_head *gone, const mf_allocator *a);
mf_status mfi_memory_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err);

/* ---- memory_notes.c --- */

/** Nodes for the notes that a batch sets, each with the values it will have: made before the lock is taken. false: no
 * memory, and *made is NULL. */
bool mfi_notes_make(struct mfi_memory *m, const mf_batch *batch, struct mfi_note **made);
/** Have room for them in the tree. */
bool mfi_notes_reserve(struct mfi_memory *m, size_t n);
/** The first note of the batch whose guard refuses; note_count: none. */
size_t mfi_notes_refused(struct mfi_memory *m, const mf_batch *batch, int64_t now_ms);
/** Do what the batch says, with the nodes that were made. What goes comes to *made, for mfi_notes_free. */
void mfi_notes_write(struct mfi_memory *m, const mf_batch *batch, struct mfi_note **made, int64_t now_ms);
/** Move expired ones to *gone, a bounded number. */
void mfi_notes_sweep(struct mfi_memory *m, size_t most, struct mfi_note **gone, int64_t now_ms);
/** Release a list of nodes. Without the lock. */
void mfi_notes_free(struct mfi_note *list, const mf_allocator *a);
void mfi_notes_fini(struct mfi_memory *m);
mf_status mfi_memory_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err);
mf_status mfi_memory_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err);

/* ---- operations of the other files --- */

mf_status mfi_memory_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err);
mf_status mfi_memory_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err);
mf_status mfi_memory_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mfi_memory_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);

int64_t   mfi_memory_lease_ms(mf_store *base);
mf_status mfi_memory_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err);
mf_status mfi_memory_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err);

mf_status mfi_memory_log(mf_store *base, const mf_key *key, mf_str line);
mf_status mfi_memory_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len);
mf_status mfi_memory_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                 mf_line *out, size_t *got, mf_error *err);
mf_status mfi_memory_progress(mf_store *base, const mf_key *key, const mf_message *progress);
mf_status mfi_memory_read_progress(mf_store *base, const mf_key *key, mf_message **out);
void      mfi_lines_free(const mf_allocator *a, struct mfi_lines *lines);

#endif
