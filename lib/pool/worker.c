/* The loop of a worker: take a job, run it; find none, search a moment, sleep by the doorbell. */
#include "fork_join.h"
#include "pool_impl.h"

#include <sched.h>
#include <stdio.h>

enum { PAUSES_PER_LOOK = 32 };

static _Thread_local mf_pool_worker *current;

mf_pool_worker *mfi_worker_current(void)
{
    return current;
}

mf_pool_worker *mfi_worker_of(const mf_pool *pool)
{
    mf_pool_worker *self = current;
    return self != NULL && self->pool == pool ? self : NULL;
}

void mfi_worker_forget(const mf_pool *pool)
{
    if (mfi_worker_of(pool) != NULL)
        current = NULL;
}

bool mf_pool_on_worker(const mf_pool *pool)
{
    return mfi_worker_of(pool) != NULL && !mfi_pool_forked(pool);
}

mf_pool_worker *mf_pool_current_worker(void)
{
    return current != NULL && !mfi_pool_forked(current->pool) ? current : NULL;
}

static inline void run_job(const mfi_item *job)
{
    mf_job_fn *fn = (mf_job_fn *)job->word[0];
    fn((void *)job->word[1]);
    if (job->word[2] != 0)
        mfi_group_done((mf_group *)job->word[2], 1);
}

void mfi_worker_run(mf_pool_worker *worker, const mfi_item *job)
{
    /* Relaxed: written by this thread alone, read for statistics. */
    uint32_t depth = atomic_load_explicit(&worker->depth, memory_order_relaxed);
    atomic_store_explicit(&worker->depth, depth + 1, memory_order_relaxed);
    run_job(job);
    atomic_store_explicit(&worker->depth, depth, memory_order_relaxed);
}

bool mfi_worker_take(mf_pool_worker *worker, mfi_item *job)
{
    return mfi_rank_take(worker, MFI_RANK_HIGH, job) || mfi_pool_take(worker, job) || mfi_fork_take(worker, job) ||
           mfi_rank_take(worker, MFI_RANK_LOW, job);
}

bool mfi_worker_finds_nothing(mf_pool_worker *worker)
{
    return mfi_pool_nothing_queued(worker->pool) && !mfi_fork_stealable(worker);
}

void mfi_worker_found(mf_pool_worker *worker)
{
    mf_pool *pool = worker->pool;
    bool last = mfi_doorbell_found(&pool->bell);
    if (pool->crowded && mfi_pool_jobs_for_all(pool))
        /* One that wakes one would be a chain of all of them, each link of it a CPU that has to wake up. */
        mfi_doorbell_wake(&pool->bell, 2);
    else if (last && !mfi_worker_finds_nothing(worker))
        mfi_doorbell_ring(&pool->bell);
}

/* Look for a job a few more times: the next one is often on its way, and a sleep and a wake cost 500 times as much as it.
 *
 * Not at once, though, and not all the time: a worker that has caught up and takes each job as it comes makes every
 * submit, and every take, wait for the other's cache lines. After a pause of some 0.8 µs there is a run of them. */
static bool search(mf_pool_worker *worker, mfi_item *job)
{
    mf_pool *pool = worker->pool;
    for (unsigned i = 0; i < pool->spinning; i++) {
        for (unsigned pauses = 0; pauses < PAUSES_PER_LOOK; pauses++)
            mfi_pause();
        if (mfi_worker_take(worker, job))
            return true;
    }
    return false;
}

static bool must_leave(mf_pool_worker *worker)
{
    return mfi_pool_exiting(worker->pool) || mfi_spare_leaving(worker);
}

/* Sleep until there is something to do. True: the worker is searching. */
static bool sleep_idle(mf_pool_worker *worker, bool searching)
{
    mf_pool *pool = worker->pool;
    mfi_doorbell_lie_down(&pool->bell, &worker->sleeper, searching, false);
    /* W2, and the looks at what mfi_doorbell_call is used for. */
    if (!mfi_worker_finds_nothing(worker) || must_leave(worker)) {
        mfi_doorbell_get_up(&pool->bell, &worker->sleeper);
        return true;
    }
    mfi_pool_busy_leave(pool);
    mfi_wake why = mfi_doorbell_sleep(&pool->bell, &worker->sleeper, INT64_MAX);
    mfi_pool_busy_enter(pool);
    return why == MFI_WAKE_RUNG;
}

/* The next job. False: the worker must leave. */
static bool next_job(mf_pool_worker *worker, mfi_item *job)
{
    mf_pool *pool = worker->pool;
    if (mfi_worker_take(worker, job))
        return true;
    bool searching = mfi_doorbell_search(&pool->bell, pool->searchers);
    bool got = searching && search(worker, job);
    while (!got && !must_leave(worker)) {
        searching = sleep_idle(worker, searching);
        got = mfi_worker_take(worker, job) || (searching && search(worker, job));
    }
    if (searching)
        mfi_worker_found(worker);
    return got;
}

/* What this worker has taken together, as long as there is nothing else to look at: the way of most jobs. */
__attribute__((noinline)) static void run_own(mf_pool_worker *worker)
{
    mf_pool *pool = worker->pool;
    const mfi_run_slot *slot;
    atomic_store_explicit(&worker->depth, 1, memory_order_relaxed);
    /* HIGH jobs, once there was one, go ahead of each. */
    while (atomic_load_explicit(&pool->ranks, memory_order_seq_cst) == NULL && (slot = mfi_run_take(&worker->run)) != NULL) {
        mfi_item job = mfi_run_item(slot);
        run_job(&job);
    }
    atomic_store_explicit(&worker->depth, 0, memory_order_relaxed);
}

static void name_thread(const mf_pool_worker *worker)
{
    char name[16];
    snprintf(name, sizeof name, "%.10s-%u", worker->pool->name, worker->index % 10000);
    pthread_setname_np(pthread_self(), name);
}

/* The CPUs are those that the worker inherited. Where the system refuses, it runs where it likes. */
static void pin_thread(const mf_pool_worker *worker)
{
    cpu_set_t may, one;
    if (worker->index >= worker->pool->workers || pthread_getaffinity_np(pthread_self(), sizeof may, &may) != 0)
        return;
    int left = (int)worker->index % CPU_COUNT(&may), cpu = 0;
    while (!CPU_ISSET(cpu, &may) || left-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)!pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

void *mfi_worker_main(void *arg)
{
    mf_pool_worker *worker = arg;
    mf_pool *pool = worker->pool;
    current = worker;
    name_thread(worker);
    if (pool->pin_workers)
        pin_thread(worker);
    if (pool->on_worker_start != NULL)
        pool->on_worker_start(pool->user, worker->index);

    mfi_item job;
    for (;;) {
        if (mfi_spare_leaving(worker) && mfi_run_size(&worker->run) == 0)
            mfi_spare_rest(worker);
        if (next_job(worker, &job)) {
            mfi_worker_run(worker, &job);
            run_own(worker);
        } else if (mfi_pool_exiting(pool)) {
            break;
        }
    }
    if (pool->on_worker_stop != NULL)
        pool->on_worker_stop(pool->user, worker->index);
    current = NULL;
    return NULL;
}
