/* mageflow/pool.h: worker threads that drain one logical queue of jobs. Usable alone; needs pthreads and nothing else.
 *
 * Threads   every function may be called from any thread, inside and outside of jobs, unless it says otherwise.
 * Lifetime  mf_pool_create, any number of submits, mf_pool_destroy (which drains, joins, frees). No call on a pool may
 *           overlap with its destruction.
 * Fork      a pool does not cross a fork: in the child every call on it answers MF_E_FORKED and does nothing, except
 *           mf_pool_destroy, which frees the memory without waiting for threads that are not there. A child forked
 *           inside a job must end by exec or _exit, not by returning from the job.
 * Order     what one thread submits is taken in that order; with several workers that says little about the order in which
 *           jobs begin and end. Between threads there is none with GROW, and the order of queueing else. mf_pool_line is for
 *           several threads whose jobs are one line.
 */
#ifndef MAGEFLOW_POOL_H
#define MAGEFLOW_POOL_H

#include <mageflow/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_pool mf_pool;
typedef struct mf_pool_line mf_pool_line;          /* jobs in a line, whoever submits them; valid as long as its pool */
typedef struct mf_pool_worker mf_pool_worker;      /* one worker thread; valid as long as its pool */
typedef void mf_job_fn(void *arg);
typedef bool mf_done_fn(void *arg);
typedef void mf_worker_hook_fn(void *user, unsigned index);

/** What a submit does when the queue holds `capacity` jobs. */
typedef enum mf_pool_full {
    MF_POOL_FULL_FAIL = 0,      /* answer MF_E_FULL at once */
    MF_POOL_FULL_WAIT,          /* wait for room; a worker runs queued jobs meanwhile */
    MF_POOL_FULL_GROW           /* take more memory; MF_E_NOMEM when there is none. Memory is given back as jobs run */
} mf_pool_full;

#define MF_POOL_NO_SPARES ((unsigned)-1)

typedef struct mf_pool_options {
    size_t              struct_size;       /* set by the macro below; fields are only ever added at the end */
    const mf_allocator *allocator;         /* NULL: malloc and friends. Borrowed until the pool is destroyed */
    unsigned            workers;           /* 0: one per online CPU. At most 1024 */
    size_t              capacity;          /* queued jobs, rounded up to a power of two; 0: 65 536. Unused by GROW */
    mf_pool_full        when_full;
    unsigned            max_spares;        /* threads that may replace blocked workers; 0: 16. MF_POOL_NO_SPARES */
    const char         *thread_name;       /* prefix of the threads' names, at most 10 bytes count; NULL: "mf-pool" */
    mf_worker_hook_fn  *on_worker_start;   /* called on each new thread before its first job, and */
    mf_worker_hook_fn  *on_worker_stop;    /* after its last one; spares too, with indices from `workers` on */
    void               *user;              /* handed to both */
    bool                pin_workers;       /* worker i stays on the i-th of the CPUs that this process may use, by turns; spares do
                                            * not. For a machine of one's own: beside other work a pinned worker waits for its CPU.
                                            * Other wishes: pthread_setaffinity_np in on_worker_start */
} mf_pool_options;
#define MF_POOL_OPTIONS(...) (&(const mf_pool_options){ .struct_size = sizeof(mf_pool_options), __VA_ARGS__ })

/** Start a pool. options is borrowed for the call; NULL means every default. *out is written on success only and is the
 * caller's, for mf_pool_destroy.
 * MF_OK; MF_E_INVALID: struct_size is 0 or a field out of range; MF_E_UNSUPPORTED: the caller's header is newer and
 * asks for more; MF_E_NOMEM; MF_E_IO: no thread could be started. */
MF_NODISCARD mf_status mf_pool_create(const mf_pool_options *options, mf_pool **out, mf_error *err);

/** Close the pool, run everything that was queued, end the threads and free the memory. NULL is allowed. Blocks.
 * MF_OK; MF_E_STATE: called inside one of the pool's own jobs, which cannot outlive it: nothing was done. */
mf_status mf_pool_destroy(mf_pool *pool);

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

typedef struct mf_job {
    mf_job_fn *fn;
    void      *arg;
} mf_job;

/** Queue fn(arg) to run once, on some worker.
 *
 * arg is borrowed until fn returns. Allocates nothing, except with GROW when the queue has to become longer, and for a
 * thread's first job; blocks only with WAIT.
 * MF_OK; MF_E_FULL, MF_E_CLOSED, MF_E_NOMEM, MF_E_FORKED: nothing was queued and fn will not run; MF_E_INVALID: fn is
 * NULL. */
MF_NODISCARD mf_status mf_pool_submit(mf_pool *pool, mf_job_fn *fn, void *arg);

/** Queue count jobs in order, cheaper than one by one. jobs is borrowed for the call, each arg until its fn returns.
 * Other submitters' jobs may come in between. *queued (NULL allowed) tells how many of them, the first ones, were queued
 * and will run: all with MF_OK, fewer with any other status, which are those of mf_pool_submit. */
MF_NODISCARD mf_status mf_pool_submit_batch(mf_pool *pool, const mf_job *jobs, size_t count, size_t *queued);

typedef enum mf_pool_priority {
    MF_POOL_NORMAL = 0,
    MF_POOL_HIGH,           /* before everything that is queued and not HIGH */
    MF_POOL_LOW             /* when nothing else is queued, and for as long as other jobs keep coming: never */
} mf_pool_priority;

/** As mf_pool_submit, with a priority. What runs is not interrupted. HIGH and LOW jobs are queued as with GROW whatever the pool does
 * when it is full: they neither count in `capacity` nor wait for room. Those of one thread and priority begin in their order.
 * MF_OK; MF_E_CLOSED, MF_E_NOMEM, MF_E_FORKED, and for NORMAL MF_E_FULL: nothing was queued; MF_E_INVALID: fn is NULL, or no such
 * priority. */
MF_NODISCARD mf_status mf_pool_submit_priority(mf_pool *pool, mf_pool_priority priority, mf_job_fn *fn, void *arg);

/** A timer lies wherever the caller likes and owns nothing. Its memory must stay until its job has begun, it was canceled, or its
 * pool is gone. */
typedef struct mf_pool_timer {
    uint64_t word[8];      /* private */
} mf_pool_timer;

/** Queue fn(arg) as a HIGH job when delay has passed (0: as soon as possible). timer is written, whatever was in it, so it must not be
 * waiting: one that ran or was canceled may be started again, in its own job, too. arg is borrowed until fn returns. The first timer
 * of a pool starts a thread, which sleeps until one is due. mf_pool_drain does not wait for timers; from mf_pool_stop on none is
 * queued any more.
 * MF_OK; MF_E_INVALID: fn is NULL or delay negative; MF_E_CLOSED, MF_E_NOMEM, MF_E_FORKED; MF_E_IO: no thread could be started. */
MF_NODISCARD mf_status mf_pool_timer_start(mf_pool_timer *timer, mf_pool *pool, mf_duration delay, mf_job_fn *fn, void *arg);
/** Take back a timer that was started; from any thread, its own job included. True: its job will not run. False: it is queued, runs or
 * has run, the pool was closed before it was due, or this is a child of fork. After either the pool knows nothing of the timer. */
bool mf_pool_timer_cancel(mf_pool_timer *timer);

/** A line: what is submitted to it is taken in that order, whichever threads submit, as one thread's own jobs are. *out is the
 * pool's, and ends with it.
 * MF_OK; MF_E_NOMEM; MF_E_FORKED. */
MF_NODISCARD mf_status mf_pool_line_open(mf_pool *pool, mf_pool_line **out);
/** As mf_pool_submit_batch, at the end of the line. One thread at a time, under a lock of the caller's or by turns. */
MF_NODISCARD mf_status mf_pool_line_submit(mf_pool_line *line, const mf_job *jobs, size_t count, size_t *queued);

/* ---- groups: jobs to wait for together ------------------------------------------------------------------------ */

/** Lies wherever the caller likes, a stack frame included; owns nothing, so nothing has to be released. Its memory must
 * stay while jobs of it are queued or running: wait for it first. */
typedef struct mf_group {
    mf_pool *pool;
    uint32_t word[2];      /* private */
} mf_group;

/** Make group an empty group of pool's jobs. Not to be called while it is in use. */
void mf_group_init(mf_group *group, mf_pool *pool);
/** As mf_pool_submit, counted in the group. Jobs of the group may add further ones. */
MF_NODISCARD mf_status mf_group_submit(mf_group *group, mf_job_fn *fn, void *arg);
/** As mf_pool_submit_batch, counted in the group. */
MF_NODISCARD mf_status mf_group_submit_batch(mf_group *group, const mf_job *jobs, size_t count, size_t *queued);
/** Wait until no job of the group is queued or running. Everything they wrote is visible afterwards, the group may be
 * used again or go away. Any number of threads may wait. A worker of the pool runs other jobs meanwhile, on its own
 * stack; another thread sleeps. A job must not wait for its own group.
 * MF_OK; MF_E_FORKED. */
mf_status mf_group_wait(mf_group *group);
/** The same, no longer than until deadline_ns of CLOCK_MONOTONIC: MF_E_TIMEOUT. A job begun meanwhile is finished. */
MF_NODISCARD mf_status mf_group_wait_until(mf_group *group, int64_t deadline_ns);

/* ---- the pool as a whole -------------------------------------------------------------------------------------- */

/** Wait until nothing is queued and nothing is running, jobs submitted by jobs included. There was such a moment between
 * call and return; somebody who goes on submitting may have ended it since. Blocks.
 * MF_OK; MF_E_STATE: called inside one of the pool's own jobs; MF_E_FORKED. */
mf_status mf_pool_drain(mf_pool *pool);

/** Close the pool: from now on submits answer MF_E_CLOSED, those that wait for room included. What is queued still runs;
 * mf_pool_drain waits for it. Does not block. Allowed inside a job, and more than once.
 * MF_OK; MF_E_FORKED. */
mf_status mf_pool_stop(mf_pool *pool);

typedef struct mf_pool_counts {
    size_t   queued;       /* jobs waiting for a worker */
    unsigned workers;      /* threads asked for at creation */
    unsigned running;      /* threads inside a job now, helping and blocked ones included */
    unsigned spares;       /* spare threads there are */
    unsigned replacing;    /* spare threads that stand in for a blocked worker now */
} mf_pool_counts;

/** Fill *out with a snapshot; each number is right by itself, together they may be some moments apart.
 * MF_OK; MF_E_FORKED. */
mf_status mf_pool_stats(mf_pool *pool, mf_pool_counts *out);

/* ---- waiting and blocking inside jobs ------------------------------------------------------------------------- */

/** Whether the calling thread is a worker (or spare) of this pool. */
bool mf_pool_on_worker(const mf_pool *pool);
/** The calling thread as a worker of whatever pool it belongs to; NULL outside of pools. The handle stays valid until
 * that pool is destroyed. */
mf_pool_worker *mf_pool_current_worker(void);

/** On a worker: run other jobs until done(arg) is true or CLOCK_MONOTONIC reaches deadline_ns (MF_FOREVER: never). When
 * there is no job the worker sleeps, without polling: it looks at done again after each job, and whenever
 * mf_pool_wake_helpers is called. done is called on this thread, often, with no lock held; it should be quick.
 *
 * The other jobs run on top of this one, on the same stack: this call returns only after them. So a condition must not be
 * brought about by a job that itself waits like this for the caller to go on; such jobs tell of themselves with
 * mf_pool_block_begin and wait by other means. The same holds for mf_group_wait.
 *
 * MF_OK: done was true; MF_E_TIMEOUT: deadline first (a job begun before is finished first); MF_E_STATE: not on a worker
 * of this pool; MF_E_FORKED. */
MF_NODISCARD mf_status mf_pool_help_until(mf_pool *pool, mf_done_fn *done, void *arg, int64_t deadline_ns);

/** Say that a condition somebody may wait for in mf_pool_help_until has changed. Call it after the change. Never lost:
 * a helper either sees what was written before this call, whatever memory order wrote it, or is woken by it. Costs one
 * atomic operation while nobody helps. Does nothing after a fork. */
void mf_pool_wake_helpers(mf_pool *pool);

/** On a worker, before something that blocks: another thread takes the worker's place until mf_pool_block_end. Calls
 * may nest, and must be paired whatever the answer. Outside of workers both do nothing.
 * MF_OK; MF_E_FULL: every spare is in use; MF_E_NOMEM, MF_E_IO: no thread could be started. Then the worker blocks without a stand-in. */
mf_status mf_pool_block_begin(void);
void mf_pool_block_end(void);

/** mf_pool_block_begin and _end on behalf of a worker, from any thread: for a watchdog that finds a worker stuck. Counted
 * together with the worker's own calls; the stand-in leaves when all of them were taken back. */
mf_status mf_pool_compensate(mf_pool_worker *worker);
void mf_pool_restore(mf_pool_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
