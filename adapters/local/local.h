/* adapters/local/local.h: the task manager that is this process. */
#ifndef MFI_LOCAL_H
#define MFI_LOCAL_H

#include <mageflow/adapter.h>
#include <mageflow/pool.h>

#include <stdatomic.h>

#include "event.h"
#include "mutex.h"

typedef struct local local;

/* A task that declared how many calls of it may run at once. */
typedef struct local_gate {
    struct local_gate *next;
    char               name[256];
    unsigned           limit;
    unsigned           running;         /* L */
    struct local_job  *first, *last;    /* L  taken and waiting; they hold no slot */
} local_gate;

/* A message that was taken, from then until its call ended. */
typedef struct local_job {
    local            *owner;
    local_gate       *gate;             /* the task's, or NULL */
    mf_taken          taken;
    mf_delivery       delivery;
    char              id[24];
    bool              timed;            /* what its call takes is measured, */
    int64_t           call_ns;          /* and was this */
    struct local_job *next;             /* free, kept for the runner, or waiting at its gate */
} local_job;

/* Somebody waits for the result of a call without a signature. */
typedef struct local_waiter {
    struct local_waiter *next;
    uint64_t             id;            /* travels as the unit's index */
    bool                 ended;         /* L */
    mf_signature_status  status;
    mf_message          *value;
} local_waiter;

/* alone.c. All under the lock, but `on`, which changes under it. */
struct local_alone {
    atomic_bool  on;                    /* small jobs are run by one worker alone, */
    uintptr_t    runner;                /* which is this thread; 0: nobody at the moment. It comes back for */
    local_job   *first, *last;          /* what is kept for it, */
    unsigned     kept;                  /* so many */
    bool         owed;                  /* another worker left a look at the store to it */
    unsigned     left;                  /* jobs that it may run before it looks at the pool */
    bool         looked_at;             /* the host looks soon */
    uint64_t     steps, seen;           /* jobs the runners ended; at the host's last look */
    unsigned     ended;                 /* jobs of this window, */
    int64_t      since_ns;              /* which began then; CLOCK_MONOTONIC, as all here */
    unsigned     windows;               /* since it is done this way, */
    int64_t      each_ns[2];            /* in which a job took that: shared, and alone; 0: not known */
    int64_t      call_ns;               /* what a call takes, of one in each that is taken; 0: not known */
    int64_t      try_ns;                /* when the other way is tried */
    int64_t      wait_ns;
};

struct local {
    mf_adapter          base;
    const mf_allocator *allocator;
    mf_host            *host;
    mf_store           *store;
    mf_worker           worker;         /* the one there is */
    mf_worker_options   options;        /* of that worker */
    mfi_mutex           lock;
    mfi_event           changed;        /* in_flight or handing fell to 0, a pump ended, a waiter's call ended: told under the lock; a thread began */
    _Atomic(mf_pool *)  pool;           /* A  set by start, before `serving`, as is */
    atomic_uint         visitors;       /* A  threads between local_pool_enter and leave */
    mf_pool_line       *line;           /* what the pump submits */
    bool                has_worker;     /* L */
    atomic_bool         serving;        /* A  changes under the lock */
    bool                pumping, again; /* L  somebody takes; and should look once more */
    unsigned            handing;        /* L  threads that hand that on to a worker */
    atomic_uint         queued;         /* A  jobs in the pool that have not begun; told to the host when there is none */
    atomic_bool         starved;        /* A  the last look ended for want of slots; changes under the lock */
    unsigned            slots;          /* L */
    unsigned            least;          /* L  of them: as many there are at least */
    bool                stocks;         /* L  there may be more, see local_restock */
    unsigned            threads;        /* L  of the pool */
    atomic_uint         begun;          /* A  threads of it that run */
    unsigned            ended;          /* L  jobs since the number of slots was last thought about, */
    int64_t             stocked_ns;     /* L  which was then; CLOCK_MONOTONIC */
    unsigned            low;            /* L  slots in use at which it is looked again after that; see worker.c */
    struct local_alone  alone;
    unsigned            in_flight;      /* L  taken, and neither ended nor gated */
    unsigned            helping;        /* L  calls that wait inside, without a slot */
    unsigned            replaced;       /* L  threads that stand in for stuck ones */
    local_gate         *gates;          /* L  additions only */
    local_job          *free_jobs;      /* L */
    local_waiter       *waiters;        /* L */
    uint64_t            next_waiter;    /* L */
};

local    *local_of(mf_adapter *base);
/* The pool, or NULL, for any thread at any time: worker_stop waits until it is left. A pool's own workers, and who pumps, need not ask. */
mf_pool  *local_pool_enter(local *l);
void      local_pool_leave(local *l);

/* invoker.c: from the store's ready queue to the pool. */
void      local_pump(local *l);
int64_t   local_due(mf_adapter *base);
/* Make jobs ahead, up to n, as far as there is memory: what is not there is made when it is needed. */
void      local_jobs_reserve(local *l, size_t n);
void      local_jobs_free(local *l);
/* While a call waits and helps, its slot is somebody else's. */
void      local_slot_release(local *l);
void      local_slot_take(local *l);

/* To the pool, in their order and before what is taken later; `queued` counts them already. The lock is held at both ends, and not
 * in between. */
void      local_submit_list(local *l, local_job *jobs);

#define LOCAL_WINDOW  32    /* jobs between looks at the clock */
#define LOCAL_LOOK_MS 5     /* between looks at a runner, which may be in a long call */

/* alone.c: small jobs, run by one worker alone. But for local_alone_begin, the lock is held. */
/* The last job that was queued begins: its thread may be the runner from now on. */
void       local_alone_begin(local *l);
/* Whether the calling thread is the runner. */
bool       local_alone_here(const local *l);
/* Whether the calling thread, which pumps, may keep what it took. */
bool       local_alone_may_keep(const local *l);
/* Keep a job for the runner, which the calling thread is; `queued` counts it from the next step on, under the same lock. */
void       local_alone_keep(local *l, local_job *job);
/* Whether a pump is the runner's to do; it will. */
bool       local_alone_leaves_it(local *l);
/* Whether the calling thread has to pump on behalf of others. */
static inline bool local_alone_owes(const local *l)
{
    return l->alone.owed && (l->alone.runner == 0 || local_alone_here(l));
}
/* A job ended; and what the call of a timed one took. */
void local_alone_compare(local *l);
static inline void local_alone_ended(local *l)
{
    if (++l->alone.ended == LOCAL_WINDOW)
        local_alone_compare(l);
}
void       local_alone_called(local *l, int64_t ns);
/* After that, the runner's next job. NULL: none is kept, or this thread is not the runner any more. */
local_job *local_alone_runs_next(local *l);
static inline local_job *local_alone_next(local *l)
{
    return l->alone.runner == 0 ? NULL : local_alone_runs_next(l);
}
/* What is kept goes to the pool, and there is no runner. The lock is not held in between. */
void       local_alone_leave(local *l);
/* By the host: whether there is a runner, and so is to be looked again. One that does not come back loses what is kept for it. */
bool       local_alone_look(local *l);
/* There was nothing to do, and is from now on. */
void       local_alone_window(local *l);

/* gate.c */
mf_status   local_gate_add(local *l, const mf_task_def *def, mf_error *err);
void        local_gate_free(local *l);
/* NULL: the task has none. */
local_gate *local_gate_of(local *l, mf_str task);
/* For jobs with a gate. True: it may run. Else it waits at its gate and gives its slot back. The lock is held. */
bool        local_gate_pass(local *l, local_job *job);
/* The next one that waits where `job` was, with a slot again. The lock is held. */
local_job  *local_gate_leave(local *l, const local_job *job);

/* Sleep until something `changed`, with the lock held at both ends and not in between. False: deadline_ns is over. */
bool      local_wait(local *l, int64_t deadline_ns);

/* worker.c */
mf_status local_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                       mf_worker **out, mf_error *err);

/* How many slots there are from now on. The lock is held. */
void      local_restock(local *l);

/* workflow.c */
mf_status local_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err);
mf_status local_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err);

/* context.c */
void      local_extract_execution_info(mf_adapter *base, const mf_delivery *delivery, mf_execution_info *out);
mf_status local_create_task_context(mf_adapter *base, const mf_delivery *delivery, mf_context *ctx);

/* framework_tasks.c */
mf_status local_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err);

#endif
