/* pool/pool_impl.h: what the files of the pool share. Nobody else includes it.
 *
 * One queue, bounded (a ring) or growing (a lane for each thread that submits), feeds all workers. Of the growing one a worker
 * takes a run of jobs at once, from which others take when they have none. A worker that finds nothing searches a moment, then sleeps by the
 * doorbell (sync/doorbell.h has the protocol). Three more things sleep: threads that wait for room, for a drained pool
 * (sync/event.h), or for a group (group.c).
 *
 * Files   pool.c    made and destroyed            submit.c  jobs in
 *         worker.c  the loop of a worker          idle.c    who is busy: drain and stop
 *         group.c   waiting for some jobs         help.c    a worker that waits runs other jobs
 *         spare.c   a stand-in for a blocked one  fork.c    a pool does not cross a fork
 *         rank.c    jobs ahead of others and behind them
 *         timer.c   jobs for later
 *         fork_join.c  recursive calls: each worker has its own, others take some
 *
 * Rejected: a deque for what a worker's jobs submit, and a slot for the next one. A worker has a lane as everybody has, so that its
 * jobs start in the order of their submission, and there is nothing left to win: a job that a job submits takes 0.02 operations on
 * shared words, both ends together (script/bench rmw), where a deque's owner has a fence for each it takes. Worst is a chain, each job
 * submitting the next: one such operation and 20 ns a job; a slot would spare half, and let a chain keep all other lanes
 * waiting. Recursive work has fork_join.c.
 */
#ifndef MFI_POOL_IMPL_H
#define MFI_POOL_IMPL_H

#include <mageflow/pool.h>

#include "atomics.h"
#include "doorbell.h"
#include "event.h"
#include "fork.h"
#include "lanes.h"
#include "open_run.h"
#include "ring.h"

#include <pthread.h>

/* What a spare does. Written under spares_lock; read by the spare alone without it. */
enum mfi_spare_state {
    MFI_SPARE_NONE,         /* no spare: an ordinary worker */
    MFI_SPARE_RESTING,      /* parked, to be used again */
    MFI_SPARE_ACTIVE,       /* stands in for somebody */
    MFI_SPARE_LEAVING       /* no longer needed; rests when its job is over */
};

/* The queues of rank.c. */
typedef enum mfi_rank { MFI_RANK_HIGH, MFI_RANK_LOW, MFI_RANKS } mfi_rank;

/* I set at init · O the thread itself only · A atomic · S under pool->spares_lock */
struct mf_pool_worker {
    mf_pool         *pool;           /* I */
    unsigned         index;          /* I  0 … workers - 1, spares from there on */
    pthread_t        thread;         /* I  once started */
    mfi_popper       popper;         /* O  growing queue only, as is run */
    mfi_popper       ranks[MFI_RANKS];     /* O  the same for those queues; made when first needed */
    mfi_sleeper      sleeper;        /* A */
    mfi_parker       rest;           /* A  where a resting spare sleeps */
    _Atomic uint32_t spare;          /* A  enum mfi_spare_state */
    _Atomic uint32_t depth;          /* A  jobs on the stack, written by O; more than one when it helps */
    unsigned         blocked;        /* S  how often it was said to block and not yet taken back */
    mf_pool_worker  *replacement;    /* S  the spare that stands in for it */
    mfi_run          run;            /* A  jobs that it took together and has not come to; others may take them */

    _Atomic(struct mfi_fork_stack *) forks;        /* A  its spawns, written by O; NULL: it has run none yet */
    mfi_parker                       fork_bed;     /* A  where it sleeps for a spawn that another took */
    struct mfi_fork_stack           *fork_room;    /* O  for the job that mfi_fork_take gave: where it runs, */
    struct mfi_fork_stack           *fork_victim;  /* O  and whose it was */
    MFI_APART(apart);
};

struct mf_pool_line {
    mf_pool      *pool;
    mfi_lane     *lane;      /* NULL: the queue is a ring, which is one line for all */
    mf_pool_line *next;      /* in pool->lines */
};

struct mf_pool {
    const mf_allocator *allocator;        /* I */
    unsigned            workers;          /* I */
    unsigned            max_spares;       /* I */
    mf_pool_full        when_full;        /* I */
    char                name[12];         /* I */
    mf_worker_hook_fn  *on_worker_start;  /* I */
    mf_worker_hook_fn  *on_worker_stop;   /* I */
    void               *user;             /* I */
    bool                pin_workers;      /* I */
    uint32_t            fork_generation;  /* I */
    unsigned            spinning;         /* I  looks of a searching worker before it sleeps */
    unsigned            searchers;        /* I  workers that there are CPUs for */
    bool                crowded;          /* I  many more workers than CPUs */
    mf_pool_worker     *threads;          /* I  workers + max_spares of them */
    _Atomic uint32_t    forking;          /* A  1, for good: somebody has called a spawnable function */
    _Atomic(struct mfi_ranks *) ranks;    /* A  rank.c; NULL: no such job has come yet. Read before each job, written once */

    mfi_ring            ring;             /* A  FAIL and WAIT; else without a block */
    mfi_lanes           lanes;            /* A  GROW */
    _Atomic(struct mfi_timers *) timers;  /* A  timer.c; NULL: no timer was started yet */
    mfi_event           room;             /* A  submitters that wait for room; WAIT only */
    mfi_event           drained;          /* A  threads in mf_pool_drain */
    mfi_doorbell        bell;             /* A */
    _Atomic uint64_t    helpers;          /* A  help.c: calls << 16 | workers that wait inside a job */
    MFI_APART(apart_busy);
    _Atomic uint64_t    busy;             /* A  idle.c: changes << 16 | threads that may hold a job */
    _Atomic uint32_t    closed;           /* A  1: no more submits */
    _Atomic uint32_t    exiting;          /* A  1: nothing is left, threads end */

    _Atomic(mf_pool_line *) lines;        /* A  all that were opened */

    pthread_mutex_t     spares_lock;
    _Atomic unsigned    started;          /* A  threads there are, from the front of `threads`; written under the lock */
    bool                bell_made, lock_made, lanes_made;
};

/* submit.c ---------------------------------------------------------------------------------------------------------- */
/** Queue jobs of group (NULL: of none) in lane (NULL: this thread's); *queued tells how many. The caller has checked for a fork. */
mf_status mfi_pool_enqueue(mf_pool *pool, mfi_lane *lane, mf_group *group, const mf_job *jobs, size_t count, size_t *queued);
bool mfi_pool_nothing_queued(mf_pool *pool);
/** Whether there is at least a job for each worker, beside what others have taken. */
bool mfi_pool_jobs_for_all(mf_pool *pool);
size_t mfi_pool_queued(mf_pool *pool);
/** Take a job. */
bool mfi_pool_take(mf_pool_worker *self, mfi_item *job);

/* rank.c ------------------------------------------------------------------------------------------------------------ */
bool mfi_rank_take_from(struct mfi_ranks *ranks, mf_pool_worker *self, mfi_rank rank, mfi_item *job);
static inline bool mfi_rank_take(mf_pool_worker *self, mfi_rank rank, mfi_item *job)
{
    struct mfi_ranks *ranks = atomic_load_explicit(&self->pool->ranks, memory_order_seq_cst);
    return ranks != NULL && mfi_rank_take_from(ranks, self, rank, job);
}
bool mfi_ranks_empty(mf_pool *pool);
size_t mfi_ranks_size(mf_pool *pool);
/** When no thread is left. */
void mfi_ranks_free(mf_pool *pool);

/* timer.c ----------------------------------------------------------------------------------------------------------- */
/** No timer is queued any more. Not in a forked child. */
void mfi_timers_end(mf_pool *pool);
/** After that, or in a forked child. */
void mfi_timers_free(mf_pool *pool);

/* worker.c ---------------------------------------------------------------------------------------------------------- */
mf_pool_worker *mfi_worker_current(void);
/** The calling thread as worker of this very pool, or NULL. */
mf_pool_worker *mfi_worker_of(const mf_pool *pool);
/** In a forked child: the calling thread is a worker of this pool no more. */
void mfi_worker_forget(const mf_pool *pool);
void *mfi_worker_main(void *worker);
void mfi_worker_run(mf_pool_worker *worker, const mfi_item *job);
/** Take something to run, from the queue or from another worker. */
bool mfi_worker_take(mf_pool_worker *worker, mfi_item *job);
/** Whether there is nothing to take. */
bool mfi_worker_finds_nothing(mf_pool_worker *worker);
/** A searching worker stops to search: F1 and F2 of the doorbell. */
void mfi_worker_found(mf_pool_worker *worker);

/* idle.c ------------------------------------------------------------------------------------------------------------ */
void mfi_pool_busy_enter(mf_pool *pool);
void mfi_pool_busy_leave(mf_pool *pool);

/* group.c ----------------------------------------------------------------------------------------------------------- */
mf_status mfi_group_add(mf_group *group, size_t jobs);
void mfi_group_done(mf_group *group, size_t jobs);

/* spare.c ----------------------------------------------------------------------------------------------------------- */
/** Start the thread of the next slot. Under spares_lock, or while the pool is being made. */
mf_status mfi_pool_start_thread(mf_pool *pool, uint32_t spare, mf_error *err);
/** A spare that may be leaving. False: go on working. True: rested, and was called again or the pool is exiting. */
bool mfi_spare_rest(mf_pool_worker *worker);
static inline bool mfi_spare_leaving(mf_pool_worker *worker)
{
    return atomic_load_explicit(&worker->spare, memory_order_relaxed) == MFI_SPARE_LEAVING;
}

/* How many of `threads` may have anything. seq_cst: who looks before it sleeps has to see a spare that began before. */
static inline unsigned mfi_pool_started(mf_pool *pool)
{
    return atomic_load_explicit(&pool->started, memory_order_seq_cst);
}

static inline bool mfi_pool_exiting(mf_pool *pool)
{
    return atomic_load_explicit(&pool->exiting, memory_order_acquire) != 0;
}
static inline bool mfi_pool_forked(const mf_pool *pool)
{
    return pool->fork_generation != mfi_fork_generation();
}

#endif
