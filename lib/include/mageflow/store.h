/* mageflow/store.h: the records of a flow, and the protocol of what keeps them.
 *
 * A flow is a tree of signatures. Each task with callbacks of its own, each chain and each swarm is one record, found by
 * its key: a spec that says what it is and does not change while it runs, and a small state that does. What stands in a
 * container without callbacks of its own is a numbered item of it and costs no record.
 *
 * Everything a running flow changes goes through one operation, commit: guards, writes, messages to send (the outbox)
 * and the deliveries that are thereby settled, all or nothing.
 *
 * Threads   every operation may be called from any thread. None of them calls user code.
 * Memory    what a batch names is borrowed for the call; a store takes references of its own. What a store hands out is
 *           the caller's to release.
 */
#ifndef MAGEFLOW_STORE_H
#define MAGEFLOW_STORE_H

#include <mageflow/base.h>
#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys and words -------------------------------------------------------------------------------------------- */

/** Names a signature: "task-", "chain-" or "swarm-" and 25 letters and digits (125 random bits), ending in NUL.
 * A value: copied, compared and printed like text. All zero: no key. */
typedef struct mf_key {
    char text[32];
} mf_key;

static inline bool mf_key_is_set(const mf_key *key)
{
    return key->text[0] != '\0';
}
static inline bool mf_key_eq(const mf_key *a, const mf_key *b)
{
    return memcmp(a->text, b->text, sizeof a->text) == 0;
}
/** Read a key as a person gives it. MF_E_INVALID: it is not one; the error says what a key looks like. */
MF_NODISCARD mf_status mf_key_parse(mf_str text, mf_key *out, mf_error *err);

typedef enum mf_kind { MF_KIND_NONE, MF_KIND_TASK, MF_KIND_CHAIN, MF_KIND_SWARM } mf_kind;

/** Where a signature is in its life. Only pending and active ones run; done, failed and canceled are the ends. */
typedef enum mf_signature_status {
    MF_STATUS_PENDING,
    MF_STATUS_ACTIVE,
    MF_STATUS_DONE,
    MF_STATUS_FAILED,
    MF_STATUS_SUSPENDED,
    MF_STATUS_INTERRUPTED,
    MF_STATUS_CANCELED
} mf_signature_status;

/** "pending", "active", …; never NULL. */
const char *mf_signature_status_name(mf_signature_status status);

static inline bool mf_signature_status_runs(mf_signature_status s)
{
    return s == MF_STATUS_PENDING || s == MF_STATUS_ACTIVE;
}
static inline bool mf_signature_status_ended(mf_signature_status s)
{
    return s == MF_STATUS_DONE || s == MF_STATUS_FAILED || s == MF_STATUS_CANCELED;
}

/* ---- records --------------------------------------------------------------------------------------------------- */

typedef struct mf_spec mf_spec;

/** Something to run inside a container: a plain task (spec without key) with its message, or a signature of its own
 * (spec with key, message NULL). Both references are held by whoever holds the item. */
typedef struct mf_item {
    mf_spec    *spec;
    mf_message *message;    /* a map, or NULL */
} mf_item;

/** What a signature is. Immutable once built and shared by reference; only mf_spec_ref and _unref touch `refs`. */
struct mf_spec {
    const mf_allocator *allocator;
    unsigned            refs;                  /* holders: records, items, entries, signatures */
    mf_kind             kind;
    mf_key              key;                   /* unset: a plain item, or the call of a framework task */
    mf_str              name;                  /* task: its registered name; container: the name it was given */
    mf_str              return_field;          /* where it receives the result of what came before it */
    mf_message         *kwargs;                /* a map that is merged over its message, or NULL */
    mf_key              container;             /* the chain or swarm it stands in; unset at the root */
    mf_key              parent;                /* the container, or the signature whose callback it is; unset at the root */
    uint64_t            index;                 /* its place there */
    mf_key             *on_success;            /* signatures started when it ends well */
    size_t              on_success_count;
    mf_key             *on_error;              /* signatures started when it fails */
    size_t              on_error_count;
    bool                numbered;              /* a callback of a swarm's items: runs once an item, under the item's index */
    mf_item            *steps;                 /* chain: two or more */
    size_t              step_count;
    mf_str              source;                /* swarm: the registered source it draws from; empty: items are added */
    mf_item             each;                  /* swarm with a source: the task that every drawn message is given to */
    uint32_t            max_concurrency;       /* swarm: items running at once, at most */
    uint64_t            stop_after_failures;   /* swarm: failed items that end it; 0: no number does */
    uint64_t            max_items;             /* swarm: items at most; 0: no bound */
    bool                close_on_max;          /* swarm: the item that reaches max_items closes it */
    bool                message_as_result;     /* swarm: an item receives the swarm's message in its return field */
    int64_t             ttl_ms;                /* how long it may live from its storing, start or resume; 0: for ever */
    int64_t             keep_ms;               /* how long its record stays after its end; 0: for ever */
    int64_t             stagger_ms;            /* each start of it is put off by a random time below this; 0: none */
    bool                foreign;               /* task: workers that know nothing of mageflow serve it */
    int64_t             timeout_ms;            /* foreign task: how long its end is waited for */
};

/** An empty spec with one reference, zero in every field; texts and arrays set later must come from the allocator. */
mf_spec *mf_spec_create(const mf_allocator *allocator, mf_kind kind, mf_str name);
mf_spec *mf_spec_ref(const mf_spec *spec);
/** The last one releases everything the spec holds. NULL is allowed. */
void mf_spec_unref(const mf_spec *spec);

#define MF_CURSOR_MAX 230

/** How far a source has been drawn: bytes that only the source understands. len 0: from the start. */
typedef struct mf_cursor {
    uint16_t      len;
    unsigned char bytes[MF_CURSOR_MAX];
} mf_cursor;

/** What changes while a signature lives. */
typedef struct mf_state {
    uint64_t            version;      /* grows by one with each commit; the guard of the next */
    uint32_t            epoch;        /* grows when messages already on their way must no longer run */
    mf_signature_status status;
    mf_signature_status last_status;  /* the one before */
    bool                closed;       /* swarm: no more items will be added or drawn */
    uint64_t            total;        /* swarm: items known so far; chain: steps */
    uint64_t            expected;     /* swarm with a source that can tell: how many there will be; else 0 */
    uint64_t            next;         /* the next index to publish */
    uint64_t            running;      /* published and not ended */
    uint64_t            done;
    uint64_t            failed;
    uint64_t            canceled;     /* items that never ran, or ended as canceled */
    int32_t             priority;     /* of every message it sends: greater goes first */
    int64_t             created_ms;   /* store clock; set by the store when it is put */
    int64_t             started_ms;   /* 0: not yet */
    int64_t             ended_ms;
    int64_t             deadline_ms;  /* alive: when it is found by `expired`; ended: when the store may forget it; 0: never */
    uint64_t            lock;         /* who may change its status alone, until lock_until_ms; 0: nobody */
    int64_t             lock_until_ms;
    mf_message         *kwargs;       /* in place of the spec's, once they were edited; NULL: the spec's */
    mf_message         *input;        /* the message it was started with, or NULL */
    mf_message         *inherited;    /* kwargs of the containers above, merged over every message here, or NULL */
    mf_message         *result;       /* done: the result of a task or chain; failed: the error map; else NULL */
    mf_cursor           cursor;       /* swarm with a source */
} mf_state;

/** Take and drop the references that a copy of a state holds. */
void mf_state_ref(const mf_state *state);
void mf_state_unref(const mf_state *state);

/** A record as load hands it out. */
typedef struct mf_record {
    mf_spec *spec;      /* NULL: there is no such key */
    mf_state state;
} mf_record;
void mf_record_release(mf_record *record);

/** How one item of a container ended. */
typedef struct mf_outcome {
    uint64_t            index;
    mf_signature_status status;     /* done, failed or canceled; pending: not ended */
    mf_message         *value;      /* the result, or the error map; NULL is nil */
} mf_outcome;

/* An error as it is kept and sent on is a map: type (text), text, attempt (from 1), key (the signature that failed),
 * index (its place in its container), final (bool: it was not to be tried again). */

/* ---- messages on their way ------------------------------------------------------------------------------------- */

/** On whose behalf a message travels. */
typedef struct mf_unit {
    mf_key   key;       /* the record: a task's own, or the container of a plain item */
    uint64_t index;     /* the item in it; 0 for a task's own record */
    uint32_t epoch;     /* the record's epoch when the message was made */
} mf_unit;

/** A message to send: one row of the outbox. */
typedef struct mf_entry {
    uint64_t    id;          /* given by the store */
    mf_spec    *spec;        /* the task to call: its name */
    mf_unit     unit;
    uint32_t    attempt;     /* from 1. A later one makes claims of earlier ones of the same unit and epoch stale */
    int64_t     due_ms;      /* store clock; 0: at once */
    mf_message *message;     /* what the task receives, or NULL */
    mf_message *error;       /* for an error callback: what went wrong; else NULL */
    int32_t     priority;    /* greater goes first among what is due */
    uint32_t    deaths;      /* how often its lease ended while somebody held it; the store adds to it */
    mf_key      parked;      /* waits, whatever its due time, until a batch resumes this key or the record is removed. Unset,
                                or not suspended nor interrupted when it is committed: does not */
} mf_entry;
void mf_entry_release(mf_entry *entry);

/** A claim: the right to run one unit and to tell its outcome, once. */
typedef struct mf_claim {
    mf_unit             unit;      /* in */
    uint32_t            attempt;   /* in */
    uint64_t            token;     /* out: the owner token, what settles it; never 0 from take, 0 from a refused claim */
    mf_status           status;    /* out: MF_OK: ours. MF_E_NOT_FOUND: the record is gone. MF_E_STALE: another epoch, the
                                    * outcome is known already, or a later attempt was sent since there are claims (take
                                    * does not ask that). MF_E_EXISTS: somebody else holds it (nor that). MF_E_AGAIN: a pending task that is locked; try later (take leaves such an
                                    * entry where it is). A message on nobody's behalf, unit.key unset, is MF_OK */
    mf_signature_status head;      /* out: status of the record */
    mf_signature_status above;     /* out: the first status above it that does not run; else active */
    mf_key              blocker;   /* out: the record itself or the first above it that does not run; unset: all run */
} mf_claim;

/** An entry taken from the store's own ready queue, with its claim. Entries of framework tasks are claimed too: their
 * token settles the message, not the unit. */
typedef struct mf_taken {
    mf_entry entry;
    mf_claim claim;
} mf_taken;

/* ---- the batch ------------------------------------------------------------------------------------------------- */

typedef struct mf_put {
    const mf_spec  *spec;      /* with key */
    const mf_state *state;
} mf_put;

/** One more existing record that a batch writes. */
typedef struct mf_write {
    mf_key          key;
    uint64_t        version;    /* guard: the version there */
    const mf_state *state;      /* replaces what is there; its version becomes version + 1 */
} mf_write;

/** A record to take away, with everything that stands in it: steps and items, each with its callbacks, the callbacks of the
 * task that a swarm draws for, and what stands in those; its own callbacks as told. Messages and claims of what is gone stay
 * until they are delivered or settled, and then find nothing. `ended` is not told. */
typedef struct mf_removal {
    mf_key key;                 /* one that is not there is passed over */
    bool   on_success, on_error;
} mf_removal;

/** A small value under a name in a space, beside the records: task definitions, unique runs, who waits for an event, dead
 * letters. Texts are 1 to 255 bytes; names of one space are in the order of their bytes. */
typedef struct mf_note {
    mf_str      space, name;
    mf_message *value;          /* in a batch NULL takes the note away */
    int64_t     expires_ms;     /* store clock: from then on it is not there; 0: never */
    bool        fresh;          /* in a batch, guard: there is none of that name when its turn comes */
} mf_note;

/** A line of a signature's log. Lines are numbered from 0 in the order in which they were written; the oldest go. */
typedef struct mf_line {
    uint64_t number;
    char    *text;      /* len bytes and a NUL; from the allocator that the call was given, size len + 1 */
    size_t   len;
} mf_line;

struct mf_delivery;     /* mageflow/adapter.h */

/** Everything one step changes, committed together or not at all. Zero-initialise and fill what is needed.
 *
 * Guards look at what was there before the batch, but for a second one of the same batch. Then states, items and outcomes
 * are written, claims end, what is resumed is due, records are taken away; entries are added last, so that one of them is
 * parked or not by what is true then. */
typedef struct mf_batch {
    /* New records; none of the keys may exist. */
    const mf_put *puts;
    size_t        put_count;
    /* At most one existing record is written: state replaces what is there if the version there is still `version`;
     * the store sets state's version to version + 1. state NULL: no record is touched. */
    mf_key          key;
    uint64_t        version;
    const mf_state *state;
    /* Items appended to the record `key` (or to the one put, whose key is `key`), the first at index items_from, which
     * must be how many there are. */
    const mf_item *items;
    size_t         item_count;
    uint64_t       items_from;
    /* More existing records, none of them `key`, and none twice. */
    const mf_write *writes;
    size_t          write_count;
    /* Records that are taken away. */
    const mf_removal *removals;
    size_t            removal_count;
    /* Outcomes of items of the record `key`; none of the indices may have one. */
    const mf_outcome *outcomes;
    size_t            outcome_count;
    /* Claims that end here, with the messages they stand for; each token must still be the current one. */
    const uint64_t *settles;
    size_t          settle_count;
    /* The manager's deliveries that end with this batch. A store that lies where the manager's queues do may have them
     * acknowledged in the same step; every other passes over them. The manager is told of their ends in any case. */
    const struct mf_delivery *const *deliveries;
    size_t                           delivery_count;
    /* Claims that must still be current, and stay. */
    const uint64_t *holds;
    size_t          hold_count;
    /* Messages to send. */
    const mf_entry *entries;
    size_t          entry_count;
    /* Set: what was parked on this key is due now. */
    mf_key          resume;
    /* Notes to set or take away, in order. */
    const mf_note  *notes;
    size_t          note_count;
    /* Outbox rows that were handed to the manager and may be forgotten; unknown ids are passed over. */
    const uint64_t *published;
    size_t          published_count;
} mf_batch;

/** Which guard refused a batch. */
typedef enum mf_guard {
    MF_GUARD_NONE,
    MF_GUARD_PUT,
    MF_GUARD_VERSION,
    MF_GUARD_ITEMS,
    MF_GUARD_OUTCOME,
    MF_GUARD_SETTLE,
    MF_GUARD_WRITE,
    MF_GUARD_HOLD,
    MF_GUARD_NOTE
} mf_guard;

typedef struct mf_refusal {
    mf_guard guard;
    size_t   index;     /* which of the puts, outcomes, settles, writes, holds or notes */
} mf_refusal;

/** What a list of records is asked for; zero in a field: any. */
typedef struct mf_filter {
    mf_kind  kind;
    unsigned statuses;      /* bits, 1u << status */
    bool     roots;         /* only what stands in nothing and is nobody's callback */
} mf_filter;

/* ---- the protocol ---------------------------------------------------------------------------------------------- */

typedef struct mf_store mf_store;

/** What a store calls upward, from any thread, with no lock held and never from inside the call that registered it. */
typedef struct mf_store_watch {
    /* n entries are due that were not: a commit added or resumed them, or their claims were given back. Optional. */
    void (*ready)(void *user, size_t n);
    /* A commit added entries that are not due yet, or a deadline, or take put one off; the first of them is at due_ms. A store keeps no timer:
     * whoever watches looks again then, at the entries and with `expired`. Optional. */
    void (*delayed)(void *user, int64_t due_ms);
    /* The record ended. Optional. */
    void (*ended)(void *user, const mf_key *key);
    /* Somebody committed through another handle of the same store, perhaps in another process: what is waited for by key
     * may have changed, entries may be ready. Comes within the store's poll bound. Optional. */
    void (*elsewhere)(void *user);
    void *user;
} mf_store_watch;

/** How the link of a store or of an adapter to its server stands. */
typedef struct mf_link_health {
    bool     connected;         /* at this moment; true where there is no server that could be lost */
    int64_t  since_ns;          /* since when it is so, CLOCK_MONOTONIC; 0: since the beginning */
    char     server[128];       /* "redis at 127.0.0.1:6379"; empty: there is none */
    char     last_error[256];   /* why it was lost, or could not be made, the last time; empty: never */
    uint64_t connects;          /* connections that came up, */
    uint64_t drops;             /* and that were lost again */
    uint64_t requests;          /* questions that were answered: round trips, many of them under way at once */
    uint64_t bytes_out, bytes_in;
} mf_link_health;

/** How grave something is that was looked at before it hurts (mageflow/doctor.h). */
typedef enum mf_finding_level {
    MF_FINDING_OK,          /* as it should be, or no harm */
    MF_FINDING_WARN,        /* works, and will hurt some day */
    MF_FINDING_ERROR        /* does not work, or loses work */
} mf_finding_level;

/** One thing that was looked at. Every text is NUL-terminated, borrowed for the call, never NULL and never a secret. */
typedef struct mf_finding {
    mf_finding_level level;
    const char      *where;         /* "redis at 127.0.0.1:6379", "queue taskiq", "jobs.db" */
    const char      *what;          /* a short name of what was looked at, the same each time: "eviction" */
    const char      *expected;      /* how it should be, */
    const char      *found;         /* and how it is */
    const char      *advice;        /* what to do about it; empty where it is as it should be */
} mf_finding;
/** Receives one finding after the other, on the thread that asked, with no lock held. */
typedef void mf_finding_fn(void *user, const mf_finding *finding);

typedef struct mf_store_ops {
    size_t      struct_size;
    const char *name;                   /* "memory": lower case, unique */
    bool        durable;                /* what was committed survives the end of the process */
    bool        shared;                 /* several processes may use it at once */

    /* Required. Frees everything. Nobody else uses the store any more. */
    void (*destroy)(mf_store *self);

    /* Required. Watch what happens; several watchers are allowed. The watch is copied. unwatch returns after the last
     * call to that user has returned. */
    mf_status (*watch)(mf_store *self, const mf_store_watch *watch);
    void (*unwatch)(mf_store *self, void *user);

    /* Required. The store's clock in milliseconds: the only one that due times are compared with. */
    int64_t (*now_ms)(mf_store *self);

    /* Required. Read n records; a key that is not there gives spec NULL. */
    mf_status (*load)(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err);

    /* Required. Up to n items from index `from`; *got may be less at the end. Each item is the caller's to release. */
    mf_status (*items)(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got, mf_error *err);

    /* Required. Up to n outcomes from index `from` in order, also those not there yet (pending); *got is 0 past the
     * last index that has one. Each value is the caller's to unref. */
    mf_status (*outcomes)(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                          mf_error *err);

    /* Required. MF_E_CONFLICT: a guard refused; *refusal tells which, nothing was changed. MF_E_NOMEM, MF_E_IO: nothing
     * was changed. Entries get ids in order. */
    mf_status (*commit)(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err);

    /* Required. Claims for messages that came from elsewhere, n at once: see mf_claim.status for each. The first claim of
     * a pending task record makes it active, here and in take, and counts as no version. */
    mf_status (*claim)(mf_store *self, mf_claim *claims, size_t n, mf_error *err);

    /* Required. Up to `max` entries that are due, those of greater priority first, then in the order of their due time and
     * id, with their claims. An entry whose claim is not MF_OK is settled by whoever took it. *next_due_ms: when the next one
     * is due, INT64_MAX: none; what is parked is never due. */
    mf_status (*take)(mf_store *self, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);

    /* Required. How long a claim is good for without renewal, in milliseconds of the store's clock; 0: as long as its
     * process lives. After that the message of the claim is due again, with one more death, and the token void. */
    int64_t (*lease_ms)(mf_store *self);
    /* Required. Begin the lease of n claims anew. A token that is not current any more becomes 0. */
    mf_status (*renew)(mf_store *self, uint64_t *tokens, size_t n, mf_error *err);
    /* Required. End n claims without a settlement: their messages are due again, in their old place, as if they had never been
     * taken. Tokens that are not current are passed over. */
    mf_status (*give_back)(mf_store *self, const uint64_t *tokens, size_t n, mf_error *err);

    /* Required. Up to `max` rows of the outbox that are due and in nobody's hands yet, for handing to a manager with a queue
     * of its own: no claim is made, and a row stays until a batch names its id in `published`; one that is not named within
     * seconds is handed out again. Each entry is the caller's to release. *next_due_ms as in take. */
    mf_status (*outbox)(mf_store *self, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);

    /* Required. Up to `max` records that are alive past their deadline_ms, the longest overdue first: the caller ends them.
     * The store forgets ended records past theirs meanwhile, as a removal without callbacks does, some at each call.
     * *next_ms: when to ask again, for others than those listed now; INT64_MAX: no other has a deadline. */
    mf_status (*expired)(mf_store *self, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err);

    /* Required. The keys of records, the newest first, that come after `after` (NULL: from the newest on), up to max.
     * MF_E_NOT_FOUND: `after` is gone, begin anew. An empty page is the end. */
    mf_status (*list)(mf_store *self, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                      mf_error *err);

    /* Required. The notes of a space whose names come after `after` (empty: from the first), up to max; texts and values are
     * the caller's, mf_note_release gives them back. An empty page is the end. */
    mf_status (*notes)(mf_store *self, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err);
    /* Required. The value of one note (unref it). MF_E_NOT_FOUND. */
    mf_status (*read_note)(mf_store *self, mf_str space, mf_str name, mf_message **out, mf_error *err);

    /* Required. How many entries wait (due, delayed or parked) and how many are claimed. */
    void (*load_counts)(mf_store *self, size_t *waiting, size_t *claimed);

    /* Required. One line of a signature's log; line n of those kept, the oldest first (MF_E_NOT_FOUND past the end; *text
     * is the caller's to release with the allocator, size *len + 1). */
    mf_status (*log)(mf_store *self, const mf_key *key, mf_str line);
    mf_status (*read_log)(mf_store *self, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                          size_t *len);

    /* Required. Up to n lines from number `from` on, in order; the first of them is of a greater number where lines have gone.
     * *got 0: there are none yet. Each text is the caller's to release. MF_E_NOT_FOUND: no such record. */
    mf_status (*read_lines)(mf_store *self, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                            mf_line *out, size_t *got, mf_error *err);

    /* Required. The last progress a signature's task reported; *out NULL: none yet. */
    mf_status (*progress)(mf_store *self, const mf_key *key, const mf_message *progress);
    mf_status (*read_progress)(mf_store *self, const mf_key *key, mf_message **out);

    /* Optional. How the link to its server stands; *out is zeroed, but for a link that is connected. Neither blocks nor asks the
     * server. NULL: it has none. */
    void (*health)(mf_store *self, mf_link_health *out);

    /* Optional. Look at what it stands on (server, file, disk) and tell each finding; what cannot be looked at is a finding, too.
     * Changes nothing that was committed; asks the server and may block. NULL: there is nothing to look at. */
    void (*doctor)(mf_store *self, mf_finding_fn *tell, void *user);
} mf_store_ops;

struct mf_store {
    const mf_store_ops *ops;        /* first member of every implementation */
    const mf_allocator *allocator;  /* what the texts of its notes come from, NUL-terminated; NULL: the default one */
};

/** The memory store: the reference of the protocol. Everything ends with the process; the clock is monotonic. */
MF_NODISCARD mf_status mf_memory_store_create(const mf_allocator *allocator, const mf_clock *clock, mf_store **out,
                                              mf_error *err);

/* The only callers of the table. */
void      mf_store_destroy(mf_store *s);
mf_status mf_store_watch_start(mf_store *s, const mf_store_watch *watch);
void      mf_store_watch_stop(mf_store *s, void *user);
int64_t   mf_store_now_ms(mf_store *s);
mf_status mf_store_load(mf_store *s, const mf_key *keys, size_t n, mf_record *out, mf_error *err);
mf_status mf_store_items(mf_store *s, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got, mf_error *err);
mf_status mf_store_outcomes(mf_store *s, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                            mf_error *err);
mf_status mf_store_commit(mf_store *s, const mf_batch *batch, mf_refusal *refusal, mf_error *err);
mf_status mf_store_claim(mf_store *s, mf_claim *claims, size_t n, mf_error *err);
mf_status mf_store_take(mf_store *s, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err);
mf_status mf_store_outbox(mf_store *s, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err);
int64_t   mf_store_lease_ms(mf_store *s);
mf_status mf_store_renew(mf_store *s, uint64_t *tokens, size_t n, mf_error *err);
mf_status mf_store_give_back(mf_store *s, const uint64_t *tokens, size_t n, mf_error *err);
mf_status mf_store_expired(mf_store *s, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err);
/** filter NULL: every record. */
mf_status mf_store_list(mf_store *s, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                        mf_error *err);
mf_status mf_store_notes(mf_store *s, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err);
mf_status mf_store_read_note(mf_store *s, mf_str space, mf_str name, mf_message **out, mf_error *err);
/** Release what a note from mf_store_notes holds. */
void      mf_note_release(mf_store *s, mf_note *note);
void      mf_store_load_counts(mf_store *s, size_t *waiting, size_t *claimed);
mf_status mf_store_log(mf_store *s, const mf_key *key, mf_str line);
mf_status mf_store_read_log(mf_store *s, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                            size_t *len);
mf_status mf_store_read_lines(mf_store *s, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                              mf_line *out, size_t *got, mf_error *err);
mf_status mf_store_progress(mf_store *s, const mf_key *key, const mf_message *progress);
mf_status mf_store_read_progress(mf_store *s, const mf_key *key, mf_message **out);
void      mf_store_read_health(mf_store *s, mf_link_health *out);
void      mf_store_doctor(mf_store *s, mf_finding_fn *tell, void *user);

#ifdef __cplusplus
}
#endif
#endif
