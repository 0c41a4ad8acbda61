/* testing/sim_adapter.h: the simulated manager from the inside. */
#ifndef MFI_SIM_ADAPTER_H
#define MFI_SIM_ADAPTER_H

#include "sim_private.h"

/* What was taken from the store and did not begin yet. */
typedef struct sim_job {
    struct sim_job *next;
    mf_taken        taken;
    uint64_t        mark;
} sim_job;

/* A task that declared how many calls of it may run at once. */
typedef struct sim_gate {
    struct sim_gate *next;
    mf_str           task;
    unsigned         limit, running;
} sim_gate;

/* Somebody waits for the result of a call without a signature. */
typedef struct sim_waiter {
    struct sim_waiter  *next;
    uint64_t            number;     /* travels as the unit's index */
    mf_signature_status status;
    mf_message         *value;
    bool                ended;
} sim_waiter;

typedef struct sim_adapter {
    mf_adapter        base;
    mf_adapter_ops    ops;
    mf_worker         worker;
    mfi_process      *process;
    mfi_sim          *sim;
    mf_host          *host;
    mf_store         *store;
    mf_worker_options options;
    sim_job          *jobs;         /* the first taken first */
    unsigned          job_count;
    sim_gate         *gates;
    sim_waiter       *waiters;
    unsigned          workers;      /* strands that live */
    unsigned          surplus;      /* so many of them are to end: they stood in for others */
    unsigned          busy;         /* deliveries under way */
    bool              serving;
    int64_t           look_ns;      /* a look failed: the next one */
    int64_t           due_ns;       /* what the last look said is due next */
    _Atomic uint32_t  changed;      /* grows with everything a worker or a helper may wait for */
} sim_adapter;

sim_adapter *sim_adapter_of(mf_adapter *base);
void         sim_adapter_changed(sim_adapter *a);

/* sim_worker.c */
mf_status sim_adapter_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                             mf_worker **out, mf_error *err);
mf_status sim_adapter_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns);
mf_status sim_adapter_replace(mf_adapter *base, void *mark, bool replace);

/* sim_workflow.c */
mf_status sim_adapter_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err);
mf_status sim_adapter_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err);

#endif
