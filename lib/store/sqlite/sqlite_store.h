/* store/sqlite/sqlite_store.h: the SQLite store, as its own files see it.
 *
 *    db.c          a connection, its statements, what can be wrong with a file          schema.c   tables and statements
 *    sqlite.c      the object and its table; the store's clock                          cache.c    specs and long messages
 *    group.c       group commit: who writes, and for whom                               heads.c    records
 *    commit.c      one batch                      remove.c   taking records away        pages.c    items
*    calls.c       specs where they are called
 *    queue.c       messages that wait             claim.c    take, claim, give back     notes.c    notes, logs, progress
 *    read.c        what needs no transaction of the writer's
 *    doctor.c      a look at the file and its disk before it hurts
 *    owner.c       which processes live           watch.c    telling others, and hearing of them
 *
 * One connection writes. An operation that writes is handed to it with those of other threads, in one transaction (group.c);
 * one that reads borrows one of a few readers, whose view is whatever was committed last, so that what an answered commit
 * wrote is there.
 *
 * Caches hold what never changes (specs, long messages) for as long as it pays, and the heads of records for as long as
 * nobody else writes: SQLite tells, at the beginning of each transaction, whether somebody did. */
#ifndef MFI_SQLITE_STORE_H
#define MFI_SQLITE_STORE_H

#include <mageflow/store.h>

#include <pthread.h>
#include <sys/types.h>

#include "atomics.h"
#include "cache.h"
#include "db.h"
#include "memory.h"
#include "record.h"
#include "sqlite_create.h"
#include "watchers.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) mfi_alloc(allocator, (size))          /* `allocator`: in scope where a table is changed */
#define uthash_free(at, size) mfi_release(allocator, (at), (size))
#include <uthash.h>

#define MFI_READERS 4                   /* connections for reading, opened when they are needed */
#define MFI_HEADS_MAX 4096              /* records whose heads are remembered */
#define MFI_ABOVE_MAX 32                /* records a claim looks at upward */
#define MFI_RECORD_MAX INT32_MAX        /* record numbers, in all that a file ever had */
#define MFI_LINES_MAX 10000             /* log lines kept for one record; then the oldest goes */
#define MFI_OUTBOX_LEASE_MS 3000        /* a row handed out and not ticked off is handed out again after this */
#define MFI_LOCKED_WAIT_MS 100          /* a message for a locked task is looked at again after this, at the latest */
#define MFI_FORGET_MAX 256              /* records past their deadline that one call forgets, about */
#define MFI_POLL_MS 500                 /* how often others are looked for where the system does not tell of them */

/* ---- an operation that writes ------------------------------------------------------------------------------------- */

struct mfi_sqlite;

/* On the stack of the thread that waits for its answer; the first member of what says what it is to do. */
struct mfi_sq_op {
    mf_status (*run)(struct mfi_sqlite *s, struct mfi_sq_op *op);    /* inside a transaction, perhaps more than once */
    void      (*undo)(struct mfi_sq_op *op);                         /* gives back what run made, should it not come to be */
    bool           durable;     /* its answer promises that it survives a power failure */
    int64_t        now_ms;      /* the store's clock when it was asked; not before what was committed then */
    mf_error      *err;
    mf_status      status;
    struct mfi_sq_op *next;        /* L */
    _Atomic uint32_t turn;      /* A  waits, leads, or is answered */
};

/** Run op in a transaction, with others that wait; returns when it is on the disk, or refused. */
mf_status mfi_sq_submit(struct mfi_sqlite *s, struct mfi_sq_op *op);

/* ---- records ------------------------------------------------------------------------------------------------------ */

enum { MFI_PART_KWARGS, MFI_PART_INPUT, MFI_PART_INHERITED, MFI_PART_RESULT, MFI_PARTS };    /* messages of a state */

/* What deciding and writing need of a record. W: belongs to the writer. */
struct mfi_sq_head {
    mf_key         key, container;
    int64_t        rec;
    uint64_t       version, next, running, lock;
    int64_t        started_ms, deadline_ms, lock_until_ms;
    int64_t        parts[MFI_PARTS];    /* ids of its long messages; 0: none, or a short one */
    uint32_t       epoch;
    uint8_t        kind, status;
    bool           numbered;
    UT_hash_handle hh;
};

/* ---- the store ---------------------------------------------------------------------------------------------------- */

struct mfi_sq_meta {
    int64_t last_entry, last_id, last_record, clock_ms, commits, sweeps;
    bool    retries;    /* no column: there may be rows in `retries`; false: nobody need look */
};

/* I set at creation, then read-only · W the leader of a group · A atomic · the name of a lock: under it */
struct mfi_sqlite {
    mf_store            base;
    const mf_allocator *allocator;    /* I */
    const mf_clock     *clock;        /* I */
    char               *path;         /* I  as it was given: for error texts */
    const char         *full_path;    /* I  the writer's: absolute, no symbolic link in it. What is opened later, or beside it */
    int64_t             ahead_ms;     /* I  the store's clock is the system's monotonic one and this */
    _Atomic int64_t     latest_ms;    /* A  no transaction was later, as far as we know */

    pthread_mutex_t     group_lock;
    struct mfi_sq_op      *waiting, **last_waiting;    /* group_lock */
    bool                led;                        /* group_lock: somebody is the leader */

    struct mfi_sq_db       writer;           /* W */
    struct mfi_sq_meta     meta;             /* W */
    int64_t             data_version;     /* W  changes when another connection has written */
    struct mfi_sq_head    *heads;            /* W */
    unsigned            calls_added;      /* W  since the last sweep */
    bool                claims;           /* W  claims for messages from elsewhere are asked for: attempts are noted for them */
    struct mfi_sq_cache    cache;            /* its own lock */

    pthread_mutex_t     reader_lock;
    pthread_cond_t      reader_free;
    struct mfi_sq_db       readers[MFI_READERS];    /* reader_lock */
    bool                reader_busy[MFI_READERS];

    int                 lock_fd;          /* I  FILE-lock */
    int64_t             owner;            /* I  whose byte in it is locked while we live */
    _Atomic int64_t     own_commits;      /* A  of meta.commits, those of ours */
    int64_t             others_at_start;  /* I  commits before we came */
    struct mfi_sqlite  *next_open;        /* owner.c: the list of all that are open in this process */
    bool                forked;           /* set once, in a child, while it has one thread */
    dev_t               device;           /* I  of FILE */
    ino_t               inode;            /* I */
    ino_t               log_inode;        /* I  of FILE-wal */

    struct mfi_watchers watchers;         /* their own lock */
    pthread_mutex_t     listener_lock;
    bool                listening;        /* listener_lock: the thread that hears of others runs */
    pthread_t           listener;
    int                 inotify_fd, stop_fd;
};

struct mfi_sqlite *mfi_sqlite_of(mf_store *base);
int64_t mfi_sqlite_now_ms(mf_store *base);

static inline int64_t mfi_sq_place(int64_t rec, uint64_t index)
{
    return rec << 32 | (int64_t)(index & UINT32_MAX);
}

/* ---- group.c, inside a transaction -------------------------------------------------------------------------------- */

/** The next number for a token, an owner, a call or a long message; never given twice. */
static inline int64_t mfi_sq_next_id(struct mfi_sqlite *s)
{
    return ++s->meta.last_id;
}
/** Read the one row of meta through any connection. */
mf_status mfi_sq_meta_read(struct mfi_sq_db *db, struct mfi_sq_meta *out, mf_error *err);

/* ---- heads.c ------------------------------------------------------------------------------------------------------ */

/** *out NULL: there is none. Good until the transaction ends or a record is removed. */
mf_status mfi_sq_head_find(struct mfi_sqlite *s, const mf_key *key, struct mfi_sq_head **out, mf_error *err);
mf_status mfi_sq_head_put(struct mfi_sqlite *s, const mf_put *put, int64_t now_ms, mf_error *err);
/** state's version is not looked at: `version` is written. */
mf_status mfi_sq_head_write(struct mfi_sqlite *s, struct mfi_sq_head *head, uint64_t version, const mf_state *state,
                         mf_error *err);
mf_status mfi_sq_head_activate(struct mfi_sqlite *s, struct mfi_sq_head *head, int64_t now_ms, mf_error *err);
/** The first record above that does not run; NULL: none. */
mf_status mfi_sq_head_blocker(struct mfi_sqlite *s, const struct mfi_sq_head *head, struct mfi_sq_head **out, mf_error *err);
/** Take the record and all that is kept with it away, but nothing that stands in it. */
mf_status mfi_sq_head_delete(struct mfi_sqlite *s, struct mfi_sq_head *head, mf_error *err);
void mfi_sq_heads_forget(struct mfi_sqlite *s);
/** Read a whole record; the reader holds a transaction where it reads several. */
mf_status mfi_sq_record_read(struct mfi_sqlite *s, struct mfi_sq_db *db, const mf_key *key, mf_record *out, mf_error *err);
/** The spec of a record; *out is the caller's. NULL: it is gone. */
mf_status mfi_sq_record_spec(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec, mf_spec **out, mf_error *err);

/* ---- remove.c ----------------------------------------------------------------------------------------------------- */

/** *ready grows by the messages that waited for it. */
mf_status mfi_sq_remove(struct mfi_sqlite *s, const mf_removal *removal, int64_t now_ms, size_t *ready, mf_error *err);
mf_status mfi_sqlite_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err);

/* ---- pages.c ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_items_append(struct mfi_sqlite *s, const struct mfi_sq_head *head, const mf_batch *b, mf_error *err);
/** How many there are. */
mf_status mfi_sq_items_count(struct mfi_sq_db *db, int64_t rec, uint64_t *out, mf_error *err);
/** Call visit with the spec of each item that is a record or has callbacks. */
mf_status mfi_sq_items_keyed(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t rec,
                          mf_status (*visit)(void *user, const mf_spec *spec, mf_error *err), void *user, mf_error *err);
mf_status mfi_sqlite_items(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                           mf_error *err);

/* ---- calls.c ------------------------------------------------------------------------------------------------------ */

/** The number of a spec without key; pin: it stays for good. */
mf_status mfi_sq_call_number(struct mfi_sqlite *s, const mf_spec *spec, bool pin, int64_t *id, mf_error *err);
mf_status mfi_sq_call_read(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t id, mf_spec **out, mf_error *err);

/* ---- queue.c ------------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_entry_add(struct mfi_sqlite *s, const mf_entry *entry, bool parked, int64_t now_ms, mf_error *err);
/** Put one that is in no table where it belongs now. */
mf_status mfi_sq_entry_place(struct mfi_sqlite *s, int64_t id, int32_t priority, int64_t due_ms, int64_t now_ms, mf_error *err);
mf_status mfi_sq_entry_read(struct mfi_sqlite *s, struct mfi_sq_db *db, struct mfi_sq_row *q, mf_entry *out, mf_error *err);
/** A row that was handed to a manager ends, whoever holds it; one that is not there is passed over. */
mf_status mfi_sq_entry_published(struct mfi_sqlite *s, int64_t id, mf_error *err);
mf_status mfi_sq_unpark(struct mfi_sqlite *s, const mf_key *key, int64_t now_ms, size_t *ready, mf_error *err);
/** Move what has become due to where take looks. */
mf_status mfi_sq_queue_ripen(struct mfi_sqlite *s, int64_t now_ms, mf_error *err);
mf_status mfi_sq_queue_next_due(struct mfi_sqlite *s, int64_t *out, mf_error *err);

/* ---- claim.c ------------------------------------------------------------------------------------------------------ */

/** MF_E_STALE, and nothing done: not a current token. */
mf_status mfi_sq_claim_settle(struct mfi_sqlite *s, uint64_t token, mf_error *err);
mf_status mfi_sq_claim_check(struct mfi_sq_db *db, uint64_t token, mf_error *err);
/** Claims of owners who died are due again. */
mf_status mfi_sq_revive(struct mfi_sqlite *s, size_t *ready, mf_error *err);
/** End what we still hold, as if it had never been taken. */
mf_status mfi_sq_claims_leave(struct mfi_sqlite *s, mf_error *err);
mf_status mfi_sqlite_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err);
mf_status mfi_sqlite_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mfi_sqlite_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);
int64_t   mfi_sqlite_lease_ms(mf_store *base);
mf_status mfi_sqlite_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err);
mf_status mfi_sqlite_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err);

/* ---- commit.c, notes.c, read.c ------------------------------------------------------------------------------------ */

mf_status mfi_sqlite_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err);

/** *refused: the first note that is to be fresh and is not. check: what can be told before anything is written. */
mf_status mfi_sq_notes_check(struct mfi_sqlite *s, const mf_batch *b, int64_t now_ms, size_t *refused, mf_error *err);
mf_status mfi_sq_notes_write(struct mfi_sqlite *s, const mf_batch *b, int64_t now_ms, size_t *refused, mf_error *err);
mf_status mfi_sqlite_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err);
mf_status mfi_sqlite_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err);
mf_status mfi_sqlite_log(mf_store *base, const mf_key *key, mf_str line);
mf_status mfi_sqlite_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len);
mf_status mfi_sqlite_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                 mf_line *out, size_t *got, mf_error *err);
mf_status mfi_sqlite_progress(mf_store *base, const mf_key *key, const mf_message *progress);
mf_status mfi_sqlite_read_progress(mf_store *base, const mf_key *key, mf_message **out);
void      mfi_sqlite_doctor(mf_store *base, mf_finding_fn *tell, void *user);

/** A connection that nobody else uses until it is given back; with a transaction where several rows belong together. */
mf_status mfi_sq_reader_borrow(struct mfi_sqlite *s, bool transaction, struct mfi_sq_db **out, mf_error *err);
void mfi_sq_reader_return(struct mfi_sqlite *s, struct mfi_sq_db *db);
/** The number of a record; 0: there is none. */
mf_status mfi_sq_record_number(struct mfi_sq_db *db, const mf_key *key, int64_t *out, mf_error *err);
mf_status mfi_sq_record_missing(const mf_key *key, mf_error *err);
mf_status mfi_sqlite_load(mf_store *base, const mf_key *keys, size_t n, mf_record *out, mf_error *err);
mf_status mfi_sqlite_outcomes(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                              mf_error *err);
mf_status mfi_sqlite_list(mf_store *base, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                          mf_error *err);
void mfi_sqlite_load_counts(mf_store *base, size_t *waiting, size_t *claimed);

/* ---- owner.c, watch.c --------------------------------------------------------------------------------------------- */

/** MF_E_FORKED: a parent of this process had the file open when it forked. */
mf_status mfi_sq_owner_may_open(const char *path, mf_error *err);
/** Open FILE-lock. */
mf_status mfi_sq_owner_open(struct mfi_sqlite *s, mf_error *err);
/** Be that owner, from now on until mfi_sq_owner_leave or the end of the process, whatever ends it. */
mf_status mfi_sq_owner_enter(struct mfi_sqlite *s, int64_t owner, mf_error *err);
void mfi_sq_owner_leave(struct mfi_sqlite *s);
bool mfi_sq_owner_lives(const struct mfi_sqlite *s, int64_t owner);
bool mfi_sq_owner_has_company(const struct mfi_sqlite *s);
/** MF_E_FORKED in a child. */
mf_status mfi_sq_owner_check(const struct mfi_sqlite *s, mf_error *err);
/** MF_E_IO: FILE or what lies beside it was deleted or replaced while it is open here. Three system calls. */
mf_status mfi_sq_owner_in_place(const struct mfi_sqlite *s, mf_error *err);
/** Let the others know that something was committed. */
void mfi_sq_owner_tell(const struct mfi_sqlite *s);

void mfi_sq_watch_fini(struct mfi_sqlite *s);
mf_status mfi_sqlite_watch(mf_store *base, const mf_store_watch *watch);
void      mfi_sqlite_unwatch(mf_store *base, void *user);

#endif
