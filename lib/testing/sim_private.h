/* testing/sim_private.h: the simulator from the inside. Everything is one thread's. */
#ifndef MFI_SIM_PRIVATE_H
#define MFI_SIM_PRIVATE_H

#include "sim.h"

#define MFI_PROCESSES_MAX 8

typedef struct mfi_strand mfi_strand;
typedef struct mfi_parcel mfi_parcel;
typedef struct mfi_audit mfi_audit;

struct mfi_strand {
    mfi_strand             *next;
    mfi_sim                *sim;
    mfi_process            *process;
    mfi_fiber              *fiber;
    const char             *name;
    unsigned                number;
    uint64_t                turn;           /* the step of its last one */
    void                 *(*run)(void *arg);
    void                   *arg;
    struct mfi_here         here;           /* the runtime's, while another strand runs */
    const _Atomic uint32_t *word;           /* waits for it to change from `seen`; NULL: can go on */
    uint32_t                seen;
    int64_t                 deadline_ns;
    bool                    in_time;        /* how the wait ended */
    _Atomic uint32_t        ended;
    bool                    gone;           /* never to be entered again */
    unsigned                met;            /* faults that the delivery it works on has met */
    unsigned                row;            /* what it tells is no delivery: MFI_ROW_PEER, MFI_ROW_DEAD; 0 else */
    mfi_parcel             *parcel;         /* the one it delivers, where the manager has a queue */
    unsigned                helps;          /* deliveries on top of each other */
    const struct mfi_running *began;        /* the call whose beginning was looked at */
};

/* ---- processes --------------------------------------------------------------------------------------------------- */

typedef struct mfi_news {
    struct mfi_news *next;
    size_t           ready;
    int64_t          delayed_ms;
    mf_key           ended;
} mfi_news_item;

typedef struct mfi_watcher_of {
    struct mfi_watcher_of *next;
    mf_store_watch         watch;
    _Atomic uint32_t       inside;      /* strands that are in a call to it */
} mfi_watcher_of;

struct mfi_process {
    mfi_sim          *sim;
    unsigned          slot, life;       /* the life-th process in its place */
    bool              dead;
    bool              leaving;          /* it closes: no program begins another call */
    unsigned          inside;           /* programs that are in one, or between two */
    int64_t           paused_until_ns;  /* none of its strands goes on before */
    mf_client        *client;           /* NULL: it boots */
    mf_store         *store;            /* its own view */
    mfi_watcher_of   *watchers;
    mfi_news_item    *news;             /* from other processes, the oldest first */
    _Atomic uint32_t  heard;            /* grows with each */
    bool              listens;
};

typedef struct mfi_program {
    struct mfi_program *next;
    unsigned            slot;
    const char         *name;
    mfi_program_fn     *fn;
    void               *arg;
    bool                running, finished;
} mfi_program;

/* ---- the world --------------------------------------------------------------------------------------------------- */

typedef struct mfi_claim_kept mfi_claim_kept;

struct mfi_sim {
    mfi_world       world;              /* first, see sim_of_world */
    mfi_sim_config  config;
    mfi_arena       arena;
    mf_clock        clock;
    mfi_random      random;
    mfi_prng        order, chance, bytes;       /* who goes on; faults; keys */
    mfi_prng        gather;                     /* when outcomes that wait for others are flushed */
    bool            gathers;                    /* … in this schedule */
    int64_t         now_ns;
    uint64_t        steps;
    mfi_strand     *strands;
    unsigned        strand_count, strand_number;
    mfi_strand     *current;            /* NULL: the loop itself */
    mf_store       *store;
    mfi_process    *processes[MFI_PROCESSES_MAX];
    mfi_program    *programs;
    mfi_claim_kept *claims;
    mfi_parcel     *parcels, **parcels_end;
    uint64_t        parcel_number;
    _Atomic uint32_t posted;            /* grows with each parcel */
    struct { size_t ready; int64_t delayed_ms; mf_key ended; bool any; } told;    /* by the store, inside its commit */
    mfi_audit      *audit;
    struct mfi_marked *marked;
    bool            calm, closing;
    unsigned        faults_left, faults_met, crashes, restarts, lapsed;
    unsigned        answers, dead_letters;
    struct mfi_attempts *attempts;      /* of calls that were tried again */
    struct mfi_foreign_call *foreign;   /* calls that peers serve */
    unsigned        overtaken;          /* messages of earlier ones that came after a later one was sent */
    struct mfi_dead *dead;              /* which */
    bool            lost_claims;
    bool            broken;
    mf_error        why;
};

/** Start a strand. NULL: no memory. */
mfi_strand *mfi_strand_start(mfi_sim *sim, mfi_process *process, const char *name, void *(*run)(void *arg), void *arg);
/** Wait as lib/sync does. */
bool mfi_strand_wait(mfi_sim *sim, const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns);

/* process.c */
void mfi_process_boot(mfi_sim *sim, unsigned slot);
/** The process ends here: does not return on one of its own strands. */
void mfi_process_crash(mfi_process *process);
/** The process stands still for a while: called on one of its own strands. */
void mfi_process_pause(mfi_process *process);
/** What the store told: to the watchers of this process at once (NULL: of none), to those of others when they get to it. */
void mfi_process_tell(mfi_sim *sim, mfi_process *process);
mf_status mfi_process_close(mfi_process *process);

/* faults.c */
/** Whether one of the allowed faults happens now. */
bool mfi_fault_draw(mfi_sim *sim, unsigned allowed, mfi_fault *out);
/** Count it for what the running strand works on: its events, or else the row. */
void mfi_fault_count(mfi_sim *sim, mfi_fault fault, unsigned row);
/** A row of the outbox has met one: whoever delivers it is to know. */
void mfi_fault_mark(mfi_sim *sim, uint64_t entry, mfi_fault fault);
unsigned mfi_fault_marks(const mfi_sim *sim, uint64_t entry);
/** A commit went through (or an outcome was known: row MFI_EV_SETTLE): what its delivery had met is counted for its events,
 * or else for the row. */
void mfi_fault_count_met(mfi_sim *sim, unsigned row);

/* claims.c */
void mfi_claims_note(mfi_process *process, const mf_taken *taken);
void mfi_claims_note_elsewhere(mfi_process *process, const mf_claim *claim);
void mfi_claims_settled(mfi_sim *sim, uint64_t token);
void mfi_claims_renewed(mfi_sim *sim, uint64_t token);
/** Take a claim away and give its message to whoever comes next. */
bool mfi_claims_lose(mfi_sim *sim, uint64_t token);
/** The same with everything that a dead process holds. */
void mfi_claims_lose_all(mfi_process *process);
const mf_claim *mfi_claims_of(mfi_sim *sim, uint64_t token);    /* as it was given; NULL: unknown */
uint64_t mfi_claims_step(mfi_sim *sim, uint64_t token);     /* when it was given; 0: unknown */

/* sim_store.c, sim_adapter.c, sim_broker.c */
mf_status mfi_sim_store_create(mfi_process *process, mf_store **out, mf_error *err);
mf_status mfi_sim_adapter_create(mfi_process *process, mf_adapter **out, mf_error *err);

struct mfi_parcel {
    mfi_parcel  *next;
    uint64_t     number;
    mf_str       task;
    mf_unit      unit;
    mf_key       container;
    uint32_t     attempt;
    mf_message  *message, *error;
    int64_t      due_ns;
    mfi_process *holder;        /* NULL: nobody's */
    unsigned     met;
    unsigned     deaths;        /* processes that died while they had it */
    bool         foreign;       /* a peer serves it … */
    bool         answer;        /* … and this is what it answered: */
    mf_signature_status status; /* with `message` its value */
};
/** Keep a copy of an entry. NULL: no memory. */
mfi_parcel *mfi_parcel_post(mfi_sim *sim, const mf_entry *entry, int64_t due_ns, unsigned met);
/** One that is due and nobody's, chosen by the seed; *early: an older one waits. *next_ns: when to look again. */
mfi_parcel *mfi_parcel_pick(mfi_sim *sim, bool (*fits)(void *arg, mf_str task), void *arg, bool *early, int64_t *next_ns);
void mfi_parcel_done(mfi_sim *sim, mfi_parcel *parcel);
/** What a peer answered comes back, as often as it did. */
void mfi_parcel_answer(mfi_sim *sim, const mfi_parcel *asked, const mfi_peer_answer *answer);
/** It is a dead letter from here on. */
void mfi_parcel_is_dead(mfi_sim *sim, const mfi_parcel *parcel);
struct mfi_dead {
    struct mfi_dead *next;
    mf_unit          unit;
};
void mfi_parcel_again(mfi_sim *sim, const mfi_parcel *parcel, int64_t due_ns);     /* one more of it; 0: at once */
/** What the process had is delivered again, once no claim on it can be current any more. */
void mfi_parcels_of_dead(mfi_process *process);
void mfi_parcels_of_paused(mfi_process *process);
void mfi_parcels_fini(mfi_sim *sim);

/* attempts.c */
void mfi_attempts_committed(mfi_sim *sim, const mf_batch *batch);
void mfi_attempts_claimed(mfi_sim *sim, const mf_claim *claim);

/* ends.c */
void mfi_ends_committed(mfi_sim *sim, const mf_batch *batch);
void mfi_ends_answered(mfi_sim *sim, const mf_unit *unit);      /* a peer's answer was told and taken */

/* audit.c */
mfi_audit *mfi_audit_create(mfi_sim *sim);
void mfi_audit_fini(mfi_audit *audit);
void mfi_audit_commit(mfi_process *process, const mf_batch *batch);
void mfi_audit_told(mfi_process *process, const mf_batch *batch);
void mfi_audit_claimed(mfi_process *process, const mf_claim *claim);
/** The call has ended, or what it stands in; else the schedule breaks. */
void mfi_audit_has_end(mfi_sim *sim, const mf_unit *unit, const char *why);
/** Look at all calls that run now. */
void mfi_audit_step(mfi_sim *sim);

/* why.c: what breaks a schedule, in words for whoever wrote the flow. */
/** It was started, has not ended, and nothing that runs would bring it to its end: somebody must close or resume it. */
bool mfi_why_is_held(const mf_spec *spec, const mf_state *state);
/** Break: this one has no end. */
void mfi_why_open(mfi_sim *sim, const mf_spec *spec, const mf_state *state);
/** Break: there is always one more step. */
void mfi_why_endless(mfi_sim *sim);

#endif
