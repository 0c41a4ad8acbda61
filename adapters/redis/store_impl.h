/* redis/store_impl.h: the Redis store as its own files see it. Which file does what:
 *
 *   store.c          the object and its table; running a script
 *   store_args.c     what a script is given
 *   store_commit.c   one batch
 *   store_claim.c    claim, take, outbox, renew, give_back, expired
 *   store_read.c     records, items, outcomes, lists
 *   store_notes.c    notes, logs, progress
 *   store_watch.c    telling others, and hearing of them
 *   doctor.c         a look at the server before it hurts
 *   lua/             what runs in the server: each operation is one script, and one round trip
 */
#ifndef MFI_STORE_IMPL_H
#define MFI_STORE_IMPL_H

#include <mageflow/store.h>

#include <pthread.h>

#include "atomics.h"
#include "memory.h"
#include "redis_store.h"
#include "server_clock.h"
#include "watchers.h"

#define MFI_RS_PREFIX    "mageflow:"
#define MFI_RS_LINES_MAX 10000
#define MFI_RS_WAKE      MFI_RS_PREFIX "wake"
#define MFI_RS_POLL_MS   1000       /* how long another process's commit may go unnoticed at most */
#define MFI_RS_REST_MS   20         /* between two looks at them */

typedef enum mfi_rs_script {
    MFI_RS_CLAIM, MFI_RS_COMMIT, MFI_RS_EXPIRED, MFI_RS_LEASE, MFI_RS_LINES, MFI_RS_LIST, MFI_RS_NOTES, MFI_RS_OUTBOX, MFI_RS_OUTCOMES,
    MFI_RS_READ_NOTE, MFI_RS_TAKE, MFI_RS_TELL, MFI_RS_SCRIPTS
} mfi_rs_script;


/* A place in the server's memory of what it has answered, for one call at a time. */
struct mfi_rs_slot {
    uint64_t number, serial;
};

/* I set at creation · L under lock · W under listener_lock · A atomic */
struct mfi_rs {
    mf_store                 base;           /* I */
    const mf_allocator      *allocator;      /* I */
    const mf_clock          *clock;          /* I  NULL: the server's */
    mfi_redis               *link;           /* I */
    mf_log_fn               *log;            /* I  NULL: nobody is told of the link */
    void                    *log_user;       /* I */
    mf_duration              timeout;        /* I */
    int64_t                  lease_ms;       /* I */
    char                     caller[33];     /* I  random: names this handle */
    const mfi_redis_script  *scripts[MFI_RS_SCRIPTS];     /* I */
    pthread_mutex_t          lock;
    struct mfi_rs_slot      *slots;          /* L  those that no call uses */
    size_t                   slot_count, slot_capacity;   /* L */
    uint64_t                 slots_made;     /* L */
    struct mfi_server_clock  server_clock;   /* L */
    mfi_redis_courier        courier;        /* I  pack NULL: none */
    _Atomic bool             claims;         /* A  claims for messages from elsewhere are asked for: attempts are noted for them */
    _Atomic uint64_t         commits_seen;   /* A  the server's count of commits, as far as it was told here */
    struct mfi_watchers      watchers;       /* their own lock */
    pthread_mutex_t          listener_lock;
    pthread_cond_t           listener_ended, listen;
    bool                     listening, listened, closing;    /* W  the thread has begun, has ended; is to end */
    mf_duration              poll;           /* I */
    pthread_t                listener;       /* W */
};

struct mfi_rs *mfi_rs_of(mf_store *base);

/* ---- what a script is given (store_args.c) ------------------------------------------------------------------------- */

struct mfi_rs_chunk;
struct mfi_rs_args {
    const mf_allocator  *allocator;
    mf_str              *at;
    size_t               count, capacity;
    struct mfi_rs_chunk *chunks;             /* texts made here */
    mf_message         **held;               /* messages that texts point into */
    size_t               held_count, held_capacity;
    bool                 once;               /* it has a slot */
    struct mfi_rs_slot   slot;
    mf_status            st;                 /* the first failure; every call after it does nothing */
};

/** With what every script begins with. */
void mfi_rs_args_init(struct mfi_rs_args *a, const struct mfi_rs *s);
/** The same for a script that changes something, and does so once however often it is sent. */
void mfi_rs_args_once(struct mfi_rs_args *a, struct mfi_rs *s);
void mfi_rs_args_fini(struct mfi_rs_args *a);
void mfi_rs_slot_give(struct mfi_rs *s, const struct mfi_rs_slot *slot);
void mfi_rs_add(struct mfi_rs_args *a, mf_str text);
void mfi_rs_add_key(struct mfi_rs_args *a, const mf_key *key);
void mfi_rs_add_int(struct mfi_rs_args *a, int64_t n);
void mfi_rs_add_uint(struct mfi_rs_args *a, uint64_t n);
/** The message is consumed. st: how its making went; then it may be NULL. */
void mfi_rs_add_message(struct mfi_rs_args *a, mf_status st, mf_message *message);
/** Room for a text of that size, to be added by the caller; NULL: no memory. */
char *mfi_rs_room(struct mfi_rs_args *a, size_t size);

/* ---- running (store.c) --------------------------------------------------------------------------------------------- */

/** Run it, again after a lost connection; args are finished. On MF_OK the answer is an array, and *out the caller's to destroy. What passes by itself is
 * MF_E_IO. */
MF_NODISCARD mf_status mfi_rs_run(struct mfi_rs *s, mfi_rs_script script, struct mfi_rs_args *args, mfi_redis_replies **out,
                                  mf_error *err);
/** The same for commands that only read. */
MF_NODISCARD mf_status mfi_rs_ask(struct mfi_rs *s, mfi_redis_request *rq, mfi_redis_replies **out, mf_error *err);
/** An answer that no script of ours gives: somebody else writes under our prefix. */
mf_status mfi_rs_damaged(const struct mfi_rs *s, mf_error *err);

/* An answer's number; 0 for what is none. */
int64_t  mfi_rs_int(const mfi_redis_reply *r);
uint64_t mfi_rs_uint(const mfi_redis_reply *r);
/* INT64_MAX for ''. */
int64_t  mfi_rs_time(const mfi_redis_reply *r);
void     mfi_rs_key(const mfi_redis_reply *r, mf_key *out);

/* ---- hearing (store_watch.c) --------------------------------------------------------------------------------------- */

/** Our own commit was the count-th of all. */
void mfi_rs_committed(struct mfi_rs *s, uint64_t count);
void mfi_rs_watch_fini(struct mfi_rs *s);

/* The operations of the table. */
mf_status mfi_rs_watch(mf_store *base, const mf_store_watch *watch);
void      mfi_rs_unwatch(mf_store *base, void *user);
mf_status mfi_rs_load(mf_store *base, const mf_key *keys, size_t n, mf_record *out, mf_error *err);
mf_status mfi_rs_items(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got, mf_error *err);
mf_status mfi_rs_outcomes(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got, mf_error *err);
mf_status mfi_rs_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err);
mf_status mfi_rs_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err);
mf_status mfi_rs_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mfi_rs_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mfi_rs_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err);
mf_status mfi_rs_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err);
mf_status mfi_rs_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err);
mf_status mfi_rs_list(mf_store *base, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                      mf_error *err);
mf_status mfi_rs_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err);
mf_status mfi_rs_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err);
void      mfi_rs_load_counts(mf_store *base, size_t *waiting, size_t *claimed);
mf_status mfi_rs_log(mf_store *base, const mf_key *key, mf_str line);
mf_status mfi_rs_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text, size_t *len);
mf_status mfi_rs_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                             mf_line *out, size_t *got, mf_error *err);
mf_status mfi_rs_progress(mf_store *base, const mf_key *key, const mf_message *progress);
mf_status mfi_rs_read_progress(mf_store *base, const mf_key *key, mf_message **out);
void      mfi_rs_doctor(mf_store *base, mf_finding_fn *tell, void *user);

#endif
