/* mageflow/stats.h: what a process that serves tasks has done so far, and whether it can go on.
 *
 * Threads   every function may be called from any thread, also while tasks run.
 * Cost      a call adds to two numbers; they are always counted. Durations cost two looks at the clock a call more, and are
 *           measured from mf_stats_measure on.
 */
#ifndef MAGEFLOW_STATS_H
#define MAGEFLOW_STATS_H

#include <mageflow/adapter.h>
#include <mageflow/base.h>
#include <mageflow/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what was done ------------------------------------------------------------------------------------------------ */

#define MF_STATS_BOUNDS 16

/** The i-th bound of the durations, ascending from 100 us to 30 minutes; i is below MF_STATS_BOUNDS, else MF_FOREVER. */
mf_duration mf_stats_bound(unsigned i);

/** What this process's calls of one task came to, since the task was declared. No number ever falls; two of them may be some
 * calls apart while tasks run. */
typedef struct mf_task_stats {
    mf_str   task;          /* its name; borrowed from the client */
    uint64_t started;       /* calls of its function */
    uint64_t succeeded;     /* ended well, for good */
    uint64_t failed;        /* failed for good: also before its function was called, for a message that does not fit it */
    uint64_t retried;       /* failed, and are tried again */
    uint64_t canceled;      /* canceled, by the task itself or from outside */
    uint64_t put_back;      /* ended without an outcome: durable waits, interrupted, given back while the worker closed */
    uint64_t spent_ns;      /* time inside the function, of the calls that were measured */
    uint64_t within[MF_STATS_BOUNDS + 1];   /* how many of those took up to bound i and more than the one before; the last: more */
} mf_task_stats;

/** Fill out with up to max of the tasks that are declared here, in the order of their declaration, behind the one of that name
 * (empty: from the first). Returns how many; 0 after the last, and after a fork. */
size_t mf_stats_tasks(mf_client *client, mf_str after, mf_task_stats *out, size_t max);

/** Measure how long calls take, from now on, or not any more. Off at first. */
void mf_stats_measure(mf_client *client, bool on);

/** What the whole client did. */
typedef struct mf_stats {
    size_t   struct_size;   /* set by the caller: sizeof(mf_stats) */
    uint64_t commits;       /* batches that the store took */
    uint64_t conflicts;     /* … and that it refused, since somebody else was first; they are made anew */
    uint64_t refusals;      /* … and that it could not do: unreachable, full, read-only; most are tried again */
    uint64_t unknown;       /* messages for tasks that nobody declared here */
} mf_stats;
/** MF_OK; MF_E_INVALID: struct_size is 0; MF_E_FORKED. */
mf_status mf_stats_read(mf_client *client, mf_stats *out);

/* ---- whether it can go on ------------------------------------------------------------------------------------------ */

/** Why a client takes no work at this moment; the first of them that holds. */
typedef enum mf_trouble {
    MF_TROUBLE_NONE,
    MF_TROUBLE_NOT_SERVING,     /* it does not serve, or not any more */
    MF_TROUBLE_MANAGER,         /* the task manager is not connected, or nothing can be read from it */
    MF_TROUBLE_STORE,           /* the store is not connected, or refuses what is to be kept */
    MF_TROUBLE_STUCK,           /* every thread is in a call that ignores its timeout: a restart would help */
    MF_TROUBLE_BUSY             /* every thread is in a call, and none of them began within the last minute (only known while
                                 * durations are measured) */
} mf_trouble;

typedef struct mf_health {
    size_t            struct_size;  /* set by the caller: sizeof(mf_health) */
    mf_trouble        trouble;
    char              text[320];    /* for people; empty for MF_TROUBLE_NONE. Never a secret */
    mf_adapter_health manager;
    mf_link_health    store;
    unsigned          running;      /* calls of tasks at this moment */
    unsigned          stuck;        /* … of which so many are past their timeout and were given up */
} mf_health;

/** How the client does. Takes the client's own locks for moments and asks no server: it answers while one is away.
 * MF_OK, whatever the trouble; MF_E_INVALID: struct_size is 0; MF_E_FORKED. */
mf_status mf_health_read(mf_client *client, mf_health *out);

/** The task manager's queues: the first `room` of them in out; *count: how many there are, none where the manager has no queues
 * of its own. Asks the manager, and waits for a second at most: not from a callback of the library's.
 * MF_OK; MF_E_INVALID; MF_E_FORKED; MF_E_TIMEOUT or what else kept the manager from answering, told in err. */
MF_NODISCARD mf_status mf_queues_read(mf_client *client, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
