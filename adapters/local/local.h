/* adapters/local/local.h: the task manager that is this process. */
#ifndef MFI_LOCAL_H
#define MFI_LOCAL_H

#include <mageflow/adapter.h>
#include <mageflow/pool.h>

#include <stdatomic.h>

#include "event.h"
#include "mutex.h"

typedef struct local_job local_job;

/* A task that declared how many calls of it may run at once. */
typedef struct local_gate {
    struct local_gate *next;
    char               name[256];
    unsigned           limit;
    unsigned           running;         /* L */
    local_job         *first, *last;    /* L  taken and waiting; they hold no slot */
} local_gate;

/* Somebody waits for the result of a call without a signature. */
typedef struct local_waiter {
    struct local_waiter *next;
    uint64_t             id;            /* travels as the unit's index */
    bool                 ended;         /* L */
    mf_signature_status  status;
    mf_message          *value;
} local_waiter;

typedef struct local {
    mf_adapter          base;
    const mf_allocator *allocator;
    mf_host            *host;
    mf_store           *store;
    mf_worker           worker;         /* the one there is */
    mf_worker_options   options;        /* of that worker */
    mfi_mutex           lock;
    mfi_event           changed;        /* in_flight or handing fell to 0, a pump ended, a waiter's call ended; told under the lock */
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
    unsigned            ended;          /* L  jobs since the number of slots was last thought about, */
    int64_t             stocked_ns;     /* L  which was then; CLOCK_MONOTONIC */
    unsigned            low;            /* L  slots in use at which it is looked again after that; see worker.c */
    unsigned            in_flight;      /* L  taken, and neither ended nor gated */
    unsigned            helping;        /* L  calls that wait inside, without a slot */
    unsigned            replaced;       /* L  threads that stand in for stuck ones */
    local_gate         *gates;          /* L  additions only */
    local_job          *free_jobs;      /* L */
    local_waiter       *waiters;        /* L */
    uint64_t            next_waiter;    /* L */
} local;

local    *local_of(mf_adapter *base);
/* The pool, or NULL, for any thread at any time: worker_stop waits until it is left. A pool's own workers, and who pumps, need not ask. */
mf_pool  *local_pool_enter(local *l);
void      local_pool_leave(local *l);

/* invoker.c: from the store's ready queue to the pool. */
void      local_pump(local *l);
int64_t   local_due(mf_adapter *base);
mf_status local_gate_add(local *l, const mf_task_def *def, mf_error *err);
void      local_gate_free(local *l);
/* Make jobs ahead, up to n, as far as there is memory: what is not there is made when it is needed. */
void      local_jobs_reserve(local *l, size_t n);
void      local_jobs_free(local *l);
/* While a call waits and helps, its slot is somebody else's. */
void      local_slot_release(local *l);
void      local_slot_take(local *l);

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
