/* runtime/runtime.h: the client from the inside. One struct a part; each part's functions are in the file of its name.
 *
 *   startup.c          bind adapter and store, register mageflow's own tasks, bring up a worker
 *   task_wrapper.c     the one path from a delivery to user code and its outcome
 *   framework_tasks.c  mageflow's own tasks: messages that are events
 *   run_flow.c         the one of them that others may call
 *   dispatcher.c       gathers the events of one record; step.c makes one commit of them; draw.c feeds swarms meanwhile;
 *                      later.c keeps outcomes back for a moment, so that several are committed together
 *   outbox.c           hands committed messages to managers with a queue of their own
 *   running.c          the calls that run here; control.c: their stop requests and timeouts; leases.c renews their claims
 *   keeper.c           one thread that sleeps until something is due
 *   observers.c        who waits for an end
 *   sign.c, signature.c, draft.c signatures being made
 *   start.c, unique.c, run.c     starting one, once under a name, and waiting for its end
 *   stored.c, duplicate.c        signatures that are stored: saved, loaded, copied
 *   dead.c, doctor.c             dead letters; a look at what the client stands on
 *   definitions.c                what other processes on the store declared
 *   stats.c                      what is counted, and how the client does; log.c: what it says of itself
 *   inspect.c, inspect_parts.c   looking at what is stored; workers.c: at who serves
 *   verbs.c, edit.c, durable.c   what is done to them by key, and what durable tasks do
 *
 * Locks      each part has one mutex of its own. None is held while user code, the store, the adapter or another part is
 *            called, but where a comment says so.
 */
#ifndef MFI_RUNTIME_H
#define MFI_RUNTIME_H

#include <mageflow/client.h>

#include <pthread.h>
#include <stdatomic.h>

#include "call.h"
#include "durable.h"
#include "framework.h"
#include "mutex.h"
#include "parker.h"
#include "registry.h"
#include "thread.h"
#include "transition.h"

/* ---- dispatcher ------------------------------------------------------------------------------------------------ */

typedef struct mfi_mailbox mfi_mailbox;

#define MFI_LATER_MAX 64    /* outcomes that wait for others at once */

/* The result of a swarm's item, which waits to be committed together with others. */
typedef struct mfi_later {
    mfi_mailbox *box;
    uint64_t     index, token;
    mf_message  *value;         /* a reference */
} mfi_later;

typedef struct mfi_dispatcher {
    mfi_mutex       lock;
    mfi_mailbox    *boxes;      /* L  by key */
    mfi_mailbox    *recent;     /* L  the one looked up last: mostly the next one, too; NULL: none */
    unsigned        count;      /* L */
    struct mfi_desk *desks;     /* L  free ones */
    unsigned        held;       /* L  events that wait for the end of a lock */
    mfi_later       later[MFI_LATER_MAX];   /* L */
    _Atomic uint32_t later_count;           /* A  changes under the lock */
    _Atomic uint32_t later_rounds;          /* A  how often the first one came */
} mfi_dispatcher;

/** Where the end of an event's commit is told to somebody who waits for it. */
typedef struct mfi_ticket {
    _Atomic uint32_t done;      /* A  the futex word */
    mf_status        status;    /* MF_OK: committed; MF_E_NOT_FOUND: no such record; MF_E_STATE: it had ended before */
    mf_error        *err;       /* receives why the store refused it; NULL: nobody asks */
} mfi_ticket;

/** Post an event (consumed) to a record, and process the record's events unless somebody does so already. may_draw: this
 * thread may call sources, that is, it is a worker's. ticket NULL: nobody waits. */
void mfi_dispatch(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw, mfi_ticket *ticket);
/** Post and wait until it is committed. A verb that the store has refused for some seconds is given up: MF_E_IO, MF_E_NOMEM. */
mf_status mfi_dispatch_wait(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw);
/** The same, with the store's reason for that in err. */
mf_status mfi_dispatch_ask(mf_client *client, const mf_key *key, mfi_flow_event *event, bool may_draw, mf_error *err);
/** Keep the result of a swarm's item (value is consumed) until mfi_dispatch_flush, another event of the record, or for some
 * 10 ms. False: there is no room; nothing was done, and value is
 * the caller's still. */
bool mfi_dispatch_later(mf_client *client, const mf_key *key, uint64_t index, uint64_t token, mf_message *value);
/** Process what was kept. */
void mfi_dispatch_flush(mf_client *client);
/** Commit a batch that touches no record, trying until it is done. d: the delivery that ends with it; NULL: none.
 * MF_E_STALE: the settled token was no longer current; nothing was done. */
mf_status mfi_commit_plain(mf_client *client, const mf_delivery *d, const uint64_t *settle, const mf_entry *entry);

/** A record that a flow's fate hangs on: asked for until the store answers, since to guess would cancel what nobody canceled,
 * or run on. spec NULL: it is gone. */
mf_record mfi_load_record(mf_client *client, const mf_key *key);

/** What cannot be done for want of memory or of a store that answers, and must not be lost, is tried again after this.
 * *tries counts from 0; the first one is logged. */
void mfi_pause_before_retry(mf_client *client, mf_status st, const mf_error *err, unsigned *tries);

/** Look at the records whose lock may be over. Returns when to do so again, on the store's clock; INT64_MAX: none waits. */
int64_t mfi_dispatcher_tick(mf_client *client, int64_t now_ms);

void mfi_dispatcher_init(mfi_dispatcher *d);
/** A desk, before the first event asks for one. */
void mfi_dispatcher_prepare(mf_client *client);
void mfi_dispatcher_fini(mf_client *client);

/* ---- draw ------------------------------------------------------------------------------------------------------ */

#define MFI_DRAW_PAGE 64    /* items read at a time; one commit takes as many pages as there is room for */

/** Publish as many items of a swarm as there is room for. */
void mfi_draw(mf_client *client, const mf_spec *spec, mf_state *state, bool may_draw, mfi_plan *plan);
/** Whether the event tells of an item that is another one's: an addition that was cut short left a record that says it stands
 * where another item stands by now. A failure is the plan's. */
bool mfi_is_of_another_item(mf_client *client, const mf_spec *spec, const mf_state *state, const mfi_flow_event *event,
                            mfi_plan *plan);
/** A complete swarm's end: {mageflow.swarm_end, results}; with_results: read them, as far as they fit the payload bound. */
mf_status mfi_gather_end(mf_client *client, const mf_spec *spec, const mf_state *state, bool with_results,
                         const mfi_plan *plan, mf_message **out, mf_error *err);
/** The list of a swarm's results in item order. MF_E_TOO_BIG: above the payload bound. */
mf_status mfi_gather_results(mf_client *client, const mf_key *key, mf_message **out, mf_error *err);

/* ---- control --------------------------------------------------------------------------------------------------- */

/* Who tells the outcome of a call: whoever moves it away from RUNNING, once. */
enum { MFI_CALL_RUNNING, MFI_CALL_RETURNED, MFI_CALL_VOIDED };

typedef struct mfi_seat mfi_seat;

/** A call that runs here; lies on the stack of the thread that runs it. */
typedef struct mfi_running {
    mfi_call            call;
    const mfi_task     *task;
    uint64_t            token;          /* of its claim; 0: none */
    uint64_t            mark;           /* the stops there had been before its claim */
    uint32_t            owner;          /* L  one of the above */
    _Atomic uint32_t    released;       /* A  1: the keeper is through with a voided call; a futex word */
    int64_t             deadline_ns;    /* L  INT64_MAX: none */
    bool                out_of_time;    /* L  asked to stop by its timeout; deadline_ns is then the end of the grace */
    bool                replaced;       /* keeper: its thread was replaced */
    bool                begun;          /* O  its function was called */
    unsigned            share;          /* O  where its thread counts */
    _Atomic int64_t     began_ns;       /* A  when, the client's clock; 0: not yet, or not measured */
    void               *thread_mark;
    struct mfi_running *below;          /* O  the call that this one runs on top of, where its thread helps */
    mfi_seat           *seat;           /* O  its thread's, */
    struct mfi_running *under;          /* O  and the call of this client below it there */
    mfi_durable         durable;        /* O  last: its last field is long, and is not zeroed for each call */
} mfi_running;

/** Where the threads have their calls (running.c). */
typedef struct mfi_seats {
    uint64_t         number;        /* I  of the client among all of the process: a thread knows by it whose seat it has */
    mfi_seat        *first;         /* L  additions only */
    _Atomic uint32_t looking;       /* A  changes under the lock: somebody looks, and who leaves waits for that */
} mfi_seats;

typedef struct mfi_control {
    mfi_mutex       lock;
    mfi_seats       seats;
    atomic_bool     closing;    /* A  set before it is looked through */
    _Atomic uint64_t stops;     /* A  stops so far: the mark of claims */
    atomic_uint     stopping;   /* A  commits under way that end something early */
    int64_t         next_ns;    /* L  when the keeper looks at deadlines next; INT64_MAX: not */
    int64_t         renew_ns;   /* L  when claims are renewed next; 0: no call has run yet */
} mfi_control;

void mfi_control_init(mfi_control *c);
void mfi_seats_init(mfi_seats *s);
void mfi_seats_fini(mf_client *client);
/** Around a look at the calls that run here: none of them ends meanwhile. The control's lock is held, so that neither user code nor
 * another part is called. */
void mfi_running_look(mf_client *client);
void mfi_running_looked(mf_client *client);
mfi_running *mfi_running_first(mf_client *client);
mfi_running *mfi_running_next(const mfi_running *running);
#define MFI_EACH_RUNNING(client, r) for (mfi_running *r = mfi_running_first(client); (r) != NULL; (r) = mfi_running_next(r))
/** Begin and end of a call; a thread's calls end in the reverse order of their beginnings. leave returns true where the outcome is the caller's to tell; false: the keeper told it. */
void mfi_control_enter(mf_client *client, mfi_running *running);
bool mfi_control_leave(mf_client *client, mfi_running *running);
/** The call that the calling thread is in; NULL: none. */
mfi_running *mfi_control_current(void);
/** Around the commit that ends `key` early, or interrupts it. end: ask everything below it that runs here to stop, if it was
 * committed; bits: of mfi_call.stop. */
void mfi_control_stop_begin(mf_client *client, unsigned bits);
void mfi_control_stop_end(mf_client *client, const mf_key *key, bool committed);
/** Whether a call that has entered must not run after all, since something above it was stopped after its claim: the bits of
 * its stop, or 0. */
unsigned mfi_control_overtaken(mf_client *client, const mfi_running *running);
/** From a record (or from what it stands in) upward: the first status that does not run, with the key it belongs to; active and
 * no key: all run. What is gone counts as canceled. */
mf_signature_status mfi_control_standing(mf_client *client, const mf_key *key, mf_key *blocker);
mf_signature_status mfi_control_standing_above(mf_client *client, const mf_key *key, mf_key *blocker);
/** Somebody elsewhere may have stopped what runs here: look. */
void mfi_control_look(mf_client *client);
/** Inside that commit: the store tells the end. What runs below is asked to stop before any callback hears of it. */
void mfi_control_ended(mf_client *client, const mf_key *key);
/** Whether anything was stopped, or is being stopped, since the host's mark was `mark`: what a claim then said may be old. */
bool mfi_control_stopped_since(mf_client *client, uint64_t mark);
void mfi_control_stop_id(mf_client *client, mf_str id);
/** Ask everything to stop, also what begins later. */
void mfi_control_close(mf_client *client);
mf_status mfi_control_refresh(mf_client *client, mfi_call *call, mf_duration more);
/** Act on deadlines; returns when to look again, in ns of the client's clock. */
int64_t mfi_control_tick(mf_client *client, int64_t now_ns);

/** Renew what is due for it; returns when to look again, in ns of the client's clock. */
int64_t mfi_leases_tick(mf_client *client, int64_t now_ns);

/* ---- keeper ---------------------------------------------------------------------------------------------------- */

typedef struct mfi_keeper {
    mfi_thread       thread;
    pthread_mutex_t  lock;
    int64_t          delayed_ms;    /* L  store clock: when delayed entries may be due; INT64_MAX: none */
    bool             started;       /* L */
    bool             retry;         /* L  publishing failed: try again */
    bool             elsewhere;     /* L  somebody committed elsewhere: look at what is waited for and what runs */
    _Atomic int64_t  left_ms;       /* A  store clock: when to look for what cut starts left; see storing.c */
    bool             left_known;    /* keeper: there is something to look for then */
    int64_t          looked_ns;     /* keeper: when it looked last */
    bool             stop;          /* L */
    atomic_bool      gathers;       /* A  outcomes have waited for others lately */
    uint32_t         rounds;        /* keeper: how often they had, at the last look */
    int64_t          gather_ns;     /* keeper: when to look next */
    mfi_parker       bed;           /* A  has a token when there is something new to look at */
} mfi_keeper;

void mfi_keeper_init(mfi_keeper *k);
/** The thread is started when there is first something to wait for, so that an idle client has none. */
void mfi_keeper_delayed(mf_client *client, int64_t due_ms);
void mfi_keeper_retry(mf_client *client);
void mfi_keeper_elsewhere(mf_client *client);
void mfi_keeper_look(mf_client *client);
/** Take away what starts left that were cut short. When there is more to look at; INT64_MAX: nothing is known of. */
int64_t mfi_storing_tick(mf_client *client, int64_t now_ms);
/** Have its thread now, so that the first to wait for something does not wait for that. */
void mfi_keeper_begin(mf_client *client);
/** Outcomes wait: see to it that they do not for long. Costs a look while it is known. */
void mfi_keeper_gathers(mf_client *client);
void mfi_keeper_stop(mf_client *client);
/** Whether the calling thread is a keeper, on which no source runs. */
bool mfi_keeper_is_here(void);

/* ---- outbox ---------------------------------------------------------------------------------------------------- */

typedef struct mfi_outbox {
    pthread_mutex_t lock;
    bool            busy, again;    /* L */
    mf_entry       *pending;        /* the busy one's: read from the store and not published yet */
    size_t          pending_count;
} mfi_outbox;

void mfi_outbox_init(mfi_outbox *o);
void mfi_outbox_fini(mf_client *client);
/** Hand what is due to the manager. Nothing happens where the adapter takes from the store itself. */
void mfi_outbox_publish(mf_client *client);

/* ---- observers ------------------------------------------------------------------------------------------------- */

typedef struct mfi_watch mfi_watch;

typedef struct mfi_observers {
    pthread_mutex_t lock;
    _Atomic uint32_t called;    /* A  callbacks that have returned; a futex word */
    mfi_watch      *watches;    /* L  the runs of this process, by key */
} mfi_observers;

void mfi_observers_init(mfi_observers *o);
void mfi_observers_fini(mfi_observers *o);
void mfi_observers_ended(mf_client *client, const mf_key *key);
/** Any of the runs that somebody waits for may have ended elsewhere: look. */
void mfi_observers_look(mf_client *client);

/* ---- the wrapper ----------------------------------------------------------------------------------------------- */

extern const mf_host_ops mfi_host_ops;
/** mf_host_ops.outcome (told.c). */
mf_status mfi_told_outcome(mf_host *host, const mf_unit *unit, mf_signature_status status, const mf_message *value,
                           const mf_message *sent);

/** One attempt failed: try again later, or tell the record. failure->final and the attempts left decide. */
void mfi_attempt_failed(mf_client *client, const mf_delivery *delivery, uint64_t token, const mfi_task *task,
                        const char *type, const char *text, bool final);
/** The map of an error, in memory that is there in the end: what a flow is told is not lost for want of it. */
mf_message *mfi_failure_map(mf_client *client, const mf_unit *unit, uint32_t attempt, const char *type, const char *text, bool final);

/* ---- unique runs ------------------------------------------------------------------------------------------------- */

/** Notes for one batch; their texts are borrowed. Zeroed: none. */
typedef struct mfi_unique {
    mf_note     notes[2];
    size_t      count;
    mf_message *held;
} mfi_unique;

#define MFI_CALLED "run_flow:"      /* and the id of a call: the unique name of what that started */

/** The run that was started under a unique name. MF_E_NOT_FOUND: none was, it was removed, or its window is over. */
mf_status mfi_find_unique(mf_client *client, const char *name, mf_key *out, mf_error *err);
/** The notes by which the run takes the name: name and key are borrowed until the commit, which is refused (MF_GUARD_NOTE) where
 * somebody else took it. */
mf_status mfi_unique_take(mf_client *client, const char *name, const mf_key *key, mf_duration window, mfi_unique *out, mf_error *err);
/** The notes by which the name that the run has, if any, is free again. */
mf_status mfi_unique_free(mf_client *client, const mf_key *key, mfi_unique *out, mf_error *err);
void mfi_unique_release(mfi_unique *unique);

/* ------------------------------------------------------------------------------------------------------------------- */


/** `mageflow.run_flow` called from outside, without mageflow's metadata; user is the client. */
mf_status mfi_run_flow(mf_context *ctx, const mf_message *in, mf_message **out, void *user);

/** A message for one of mageflow's own tasks. */
void mfi_framework_deliver(mf_client *client, mfi_framework_task task, const mf_delivery *delivery);
/** One that its manager gave up: what it would have told is not known, and ends as failed. */
void mfi_framework_give_up(mf_client *client, mfi_framework_task task, const mf_delivery *delivery, const char *type, const char *text);

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

/** The note of a dead letter: what the record is, what it was started with, and why it will not be done. state is the one that it
 * ends with; the record and what stands below it are still in the store as they were. note->value is the caller's to unref, its
 * texts are borrowed from the spec. Answers only what may pass: what cannot be kept is left out of the letter, which says so. */
mf_status mfi_dead_note(mf_client *client, const mf_spec *spec, const mf_state *state, const char *reason, mf_note *note,
                        mf_error *err);

/* ---- stats ------------------------------------------------------------------------------------------------------ */

enum { MFI_STATS_COMMITS, MFI_STATS_CONFLICTS, MFI_STATS_REFUSALS, MFI_STATS_UNKNOWN };     /* of the client's tally */

typedef struct mfi_stats {
    mfi_tally        tally;         /* the numbers above */
    atomic_bool      measures;      /* A */
    _Atomic int64_t  refused_ns;    /* A  when the store last refused what it should keep, the system's clock; 0: it has
                                       taken something since */
    mfi_mutex        lock;
    char             why[256];      /* L  why it did */
} mfi_stats;

void mfi_stats_init(mfi_stats *s);
/** Where the calling thread counts, for the first time; here.share afterwards. */
unsigned mfi_stats_share(void);
/** Count one of MFI_TALLY_*. task NULL: counted nowhere. */
void mfi_stats_count(const mfi_task *task, unsigned which);
/** The same for a call that runs here: a few instructions, since its thread is known. */
static inline void mfi_stats_count_call(const mfi_running *running, unsigned which)
{
    /* What is counted is no part of the declaration, which nobody changes. */
    mfi_tally_add((mfi_tally *)(uintptr_t)&running->task->tally, running->share, which, 1);
}
void mfi_stats_unknown(mf_client *client);
void mfi_stats_duration(const mfi_task *task, int64_t spent_ns);
/** mf_store_commit, counted; every commit of the runtime goes through here. */
static inline mf_status mfi_commit(mf_client *client, const mf_batch *batch, mf_refusal *refusal, mf_error *err);
/** Of the calls that run here: how many, how many are given up, and when the last of them began (the client's clock; INT64_MAX:
 * not known of each). */
void mfi_control_counts(mf_client *client, unsigned *running, unsigned *stuck, int64_t *newest_ns);

/** One of them, as others are told. */
typedef struct mfi_call_seen {
    mf_str   task;          /* the registry's */
    mf_unit  unit;
    uint32_t attempt;
} mfi_call_seen;
/** Up to max of the calls that run here; *all: how many there are. */
size_t mfi_control_calls(mf_client *client, mfi_call_seen *out, size_t max, size_t *all);

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/** Tell the store what this process serves, where others may ask it. */
mf_status mfi_definitions_publish(mf_client *client, mf_error *err);
/** The task of that name: declared here, or by another process on the same store. NULL: nobody declared it. */
mfi_task *mfi_find_task(mf_client *client, mf_str name);
/** What is known of it, as mf_inspect_task tells; the store's word comes first. MF_E_UNKNOWN_TASK. */
mf_status mfi_definition_read(mf_client *client, mf_str name, mf_message **out, mf_error *err);
/** Whether some process on the same store declared it. */
bool mfi_definition_is_known(mf_client *client, mf_str name);

/* ---- the client ------------------------------------------------------------------------------------------------ */

#define MFI_STORING_MS (3600 * INT64_C(1000))

struct mf_client {
    mf_host             host;           /* what the adapter calls; first, see client_of_host */
    const mf_allocator *allocator;
    const mf_clock     *clock;
    mf_log_fn          *log;
    void               *log_user;
    mf_log_event_fn    *log_event;
    mf_call_fn         *call;           /* NULL: def.run is called */
    void               *call_user;
    mf_limits           limits;
    unsigned            threads;
    bool                fast_path;
    int64_t             storing_ms;     /* I  within which a signature is stored, see storing.c */
    int64_t             ttl_ms[MF_KIND_SWARM + 1], keep_ms[MF_KIND_SWARM + 1];    /* by kind */
    _Atomic(mf_signature *) spare;      /* A  an ended one, for the next; NULL: none */
    _Atomic uint64_t    random;         /* A  counts up from a seed; see mfi_client_random */
    unsigned            fork_generation;
    mf_adapter         *adapter;
    mf_store           *store;
    mfi_registry        registry;
    mfi_framework       framework;
    mfi_dispatcher      dispatcher;
    mfi_control         control;
    mfi_keeper          keeper;
    mfi_outbox          outbox;
    mfi_observers       observers;
    mfi_stats           stats;
    pthread_mutex_t     serve_lock;
    mf_worker          *worker;         /* L  serve_lock */
    atomic_bool         serves;         /* A  there is one */
    uint64_t            announced_as;   /* L  serve_lock; 0: not yet. Then it and the next do not change */
    int64_t             announced_since_ms;
    atomic_bool         closing;
    atomic_bool         up;             /* A  the adapter is bound: what the store tells may reach it */
    void              **modules;        /* L  serve_lock: dlopen handles */
    size_t              module_count, module_capacity;
};

/** What a commit answered that was no plain success, or the first success after a refusal. */
void mfi_stats_commit(mf_client *client, mf_status st, const mf_error *err);

static inline mf_status mfi_commit(mf_client *client, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    mf_status st = mf_store_commit(client->store, batch, refusal, err);
    /* Where a thread's stack is tells threads apart, without a look at what they keep. */
    if (st == MF_OK)
        mfi_tally_add(&client->stats.tally, (unsigned)((uintptr_t)&st >> 12), MFI_STATS_COMMITS, 1);
    if (st != MF_OK || atomic_load_explicit(&client->stats.refused_ns, memory_order_relaxed) != 0)
        mfi_stats_commit(client, st, err);
    return st;
}

static inline mf_client *mfi_client_of_host(mf_host *host)
{
    return (mf_client *)(void *)host;
}

/** Release the handle that is kept for the next one. */
void mfi_signature_spare_fini(mf_client *client);

/** Serve if the manager is this process and nobody does so yet; what mf_start calls. */
mf_status mfi_serve_here(mf_client *client, mf_error *err);
/** Bind, and register mageflow's own tasks. */
mf_status mfi_startup(mf_client *client, mf_error *err);

/** A span that a person may leave out, in the milliseconds that records keep: 0 is the fallback, MF_FOREVER is 0. Rounded up. */
static inline int64_t mfi_span_ms(mf_duration span, int64_t fallback_ms)
{
    if (span == 0)
        return fallback_ms;
    return span == MF_FOREVER ? 0 : span / 1000000 + (span % 1000000 > 0);
}

/** A number that spreads: for staggered starts and lock tokens, not for keys. */
uint64_t mfi_client_random(mf_client *client);

/** MF_E_FORKED in a child of the process that made the client. */
mf_status mfi_client_check(const mf_client *client, mf_error *err);

void mfi_log(mf_client *client, mf_log_level level, const char *fmt, ...) MF_PRINTF(3, 4);
/** The same with why (err's text) and which call it is about; either may be NULL. */
void mfi_log_about(mf_client *client, mf_log_level level, const mf_delivery *about, const char *why, const char *fmt, ...)
    MF_PRINTF(5, 6);

/** One ticket's wait. */
void mfi_ticket_done(mfi_ticket *ticket, mf_status status);

#endif
