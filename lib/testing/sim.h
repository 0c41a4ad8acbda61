/* testing/sim.h: the whole engine on one thread: several processes over one store, a clock that nobody waits for, faults,
 * and one seed that decides everything.
 *
 *   sim.c          the world: strands, clock, who goes on next
 *   process.c      processes: they boot, crash and are followed by others
 *   faults.c       which fault meets which operation, and what it met: the matrix
 *   claims.c       who holds which claim; what a crash or an expired lease leaves behind
 *   sim_store.c    what a process sees of the common store
 *   sim_adapter.c  a task manager on strands, in two kinds: one takes from the store, one has a queue (sim_broker.c)
 *   audit.c        what must hold at every step, and at the end
 *   why.c          what does not hold, in words for whoever wrote the flow
 *
 * A strand is a thread of one of the processes. Another one goes on wherever a strand waits or calls the store or the
 * manager: no lock of the runtime is held there. A crash forgets all strands of a process at such a place. Memory comes from
 * one arena a schedule, so that what a crashed process held is no leak.
 */
#ifndef MFI_SIM_H
#define MFI_SIM_H

#include <mageflow/client.h>

#include "arena.h"
#include "fiber.h"
#include "here.h"
#include "mailbox.h"
#include "prng.h"
#include "world.h"

typedef enum mfi_fault {
    MFI_FAULT_CRASH_BEFORE,     /* the process ends before the operation took effect */
    MFI_FAULT_CRASH_AFTER,      /* … after it did, and before it learns of it */
    MFI_FAULT_CONFLICT,         /* another process writes the record in between: the commit is refused */
    MFI_FAULT_ERROR,            /* the store answers MF_E_IO or MF_E_NOMEM; nothing was changed */
    MFI_FAULT_LOST_CLAIM,       /* the claim is taken away and the message given to somebody else, as by an expired lease */
    MFI_FAULT_REFUSED,          /* the manager refuses a publish */
    MFI_FAULT_LOST_PUBLISH,     /* the process ends between a publish and noting it */
    MFI_FAULT_TWICE,            /* the manager delivers a message twice */
    MFI_FAULT_LATE,             /* … seconds late */
    MFI_FAULT_ORDER,            /* … before one that was sent earlier */
    MFI_FAULT_PAUSE,            /* the process stands still, perhaps beyond its leases, and goes on */
    MFI_FAULTS
} mfi_fault;
#define MFI_FAULT_BIT(fault) (1u << (fault))
#define MFI_FAULTS_ALL       (MFI_FAULT_BIT(MFI_FAULTS) - 1)
const char *mfi_fault_name(mfi_fault fault);

/* What a fault can meet: the kinds of flow events first, by their own numbers; then what is no transition. */
#define MFI_ROW_EVENTS 24
enum { MFI_ROW_START = MFI_ROW_EVENTS, MFI_ROW_PLAIN, MFI_ROW_TICK, MFI_ROW_TAKE, MFI_ROW_PUBLISH, MFI_ROW_PEER, MFI_ROW_DEAD, MFI_ROWS };
/** NULL: no such event. */
const char *mfi_row_name(unsigned row);
typedef uint64_t mfi_cells[MFI_ROWS][MFI_FAULTS];

typedef struct mfi_sim mfi_sim;
typedef struct mfi_process mfi_process;

/* What a worker that knows nothing of mageflow makes of a foreign task's message. */
typedef struct mfi_peer_answer {
    mf_signature_status status;
    mf_message         *value;      /* its result or error map; the simulator's from then on */
    unsigned            times;      /* it is seen so often; 0: never */
    int64_t             after_ns;
} mfi_peer_answer;

typedef struct mfi_sim_config {
    uint64_t   seed;
    unsigned   processes;       /* 1 to 8 */
    unsigned   workers;         /* of each process */
    bool       queue;           /* the manager has a queue of its own; else it takes from the store */
    bool       no_fast_path;
    unsigned   faults;          /* at most */
    unsigned   odds;            /* one operation in so many meets one */
    unsigned   kinds;           /* MFI_FAULT_BIT, or-ed */
    int64_t    lease_ms;        /* how long a claim is good for unless it is renewed; 0: as long as its process lives */
    uint64_t   step_limit;      /* 0: 200 000 */
    bool       in_order;        /* no chance at all: the oldest strand and the oldest message first, and time stands still */
    bool       records;         /* nothing is served: the manager is somewhere else */
    int64_t    wall_ms;         /* what the wall clock shows at first; 0: some day */
    const mf_allocator *allocator;      /* NULL: the schedule's arena */
    mf_log_fn *log;             /* NULL: into the trace */
    void      *log_user;
    /* Called in each process when it begins, with the client not serving yet. */
    mf_status (*declare)(mf_client *client, void *user, mf_error *err);
    void      *user;
    /* Serves foreign tasks, where the manager has a queue. NULL: nobody does. */
    void     (*peer)(void *user, const mf_message *message, mfi_peer_answer *out);
    /* A message whose process died more often than this while it ran is a dead letter of the queue's, and its flow is told
     * that it failed; mageflow's own go on for ever. 0: all do. */
    unsigned   deaths_max;
    void     (*line)(void *user, const char *text);     /* NULL: no trace */
    void      *line_user;
    mfi_cells *cells;           /* NULL: not counted */
    /* A commit of some process went through; NULL: nobody looks. */
    void     (*committed)(void *user, mfi_process *process, const mf_batch *batch);
    void      *committed_user;
} mfi_sim_config;

/** Part of a program: runs in the process `slot`, and again from its start in the next one after a crash, until it returned
 * true. false: again after a while. */
typedef bool mfi_program_fn(mf_client *client, void *arg);

mf_status mfi_sim_create(const mfi_sim_config *config, mfi_sim **out, mf_error *err);
void      mfi_sim_destroy(mfi_sim *sim);
void      mfi_sim_program(mfi_sim *sim, unsigned slot, const char *name, mfi_program_fn *fn, void *arg);
/** Go on until nothing is left to do. MF_OK; what broke otherwise. */
mf_status mfi_sim_settle(mfi_sim *sim, mf_error *err);
/** The same, as long as time is not beyond until_ns and done (NULL: never) is false. */
mf_status mfi_sim_settle_until(mfi_sim *sim, bool (*done)(void *arg), void *arg, int64_t until_ns, mf_error *err);
/** The calling thread is the world's own from here on, without a strand; its waits let the strands go on. */
void      mfi_sim_enter(mfi_sim *sim);
void      mfi_sim_leave(mfi_sim *sim);
/** The processes close as they do when all is well; then memory is counted, unless one of them had crashed. */
mf_status mfi_sim_close(mfi_sim *sim, mf_error *err);
/** The process in that place closes as soon as its programs are between two calls, as one does whose worker is asked to
 * end, and another one takes its place. */
void      mfi_sim_restart(mfi_sim *sim, unsigned slot);
/** No more faults from here on. */
void      mfi_sim_calm(mfi_sim *sim);

/* Inside a schedule. */
void      mfi_sim_break(mfi_sim *sim, const char *fmt, ...) MF_PRINTF(2, 3);     /* a promise was broken; the first one counts */
bool      mfi_sim_is_broken(const mfi_sim *sim);
void      mfi_sim_trace(mfi_sim *sim, const char *fmt, ...) MF_PRINTF(2, 3);
bool      mfi_sim_traces(const mfi_sim *sim);
mf_store *mfi_sim_store(mfi_sim *sim);          /* the common one, without faults */
mf_client *mfi_sim_client(mfi_sim *sim, unsigned slot);     /* NULL: it boots */
const mf_allocator *mfi_sim_allocator(mfi_sim *sim);
/** Memory that goes with the schedule; zeroed. Never NULL: without memory the program ends. */
void     *mfi_sim_new(mfi_sim *sim, size_t size);
unsigned  mfi_sim_crashes(const mfi_sim *sim);
unsigned  mfi_sim_restarts(const mfi_sim *sim);
unsigned  mfi_sim_lapsed(const mfi_sim *sim);   /* claims whose lease ended while their process lived */
/** The process of the running strand ends here, as by what the call does: does not return. */
void      mfi_sim_die(mfi_sim *sim);
unsigned  mfi_sim_dead_letters(const mfi_sim *sim);     /* of the queue */
bool      mfi_sim_is_dead_letter(const mfi_sim *sim, const mf_key *key, uint64_t index);
unsigned  mfi_sim_overtaken(const mfi_sim *sim);        /* messages of attempts after a later one was sent */
unsigned  mfi_sim_answers(const mfi_sim *sim);  /* of peers, that came to a process */
unsigned  mfi_sim_faults(const mfi_sim *sim);   /* so many happened */
bool      mfi_sim_lost_claims(const mfi_sim *sim);
uint64_t  mfi_sim_steps(const mfi_sim *sim);
int64_t   mfi_sim_now_ns(const mfi_sim *sim);
void      mfi_sim_set_now(mfi_sim *sim, int64_t ns);     /* later only */
mfi_sim  *mfi_sim_here(void);                   /* of the running strand */
mfi_process *mfi_sim_process_here(void);
const char *mfi_sim_strand_name(void);           /* what the running strand was called; NULL: none runs */
/** A place where others may go on. */
void      mfi_sim_yield(mfi_sim *sim);
/** At the end: everything that must hold then. What does not breaks the schedule. */
void      mfi_audit_end(mfi_sim *sim);
/** True while the running call of this strand holds its claim. */
bool      mfi_sim_claim_is_held(mfi_sim *sim, uint64_t token);

#endif
