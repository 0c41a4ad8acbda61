/* Jobs in. A job travels as three words: function, argument, group. */
#include "pool_impl.h"

#include "backoff.h"
#include "memory.h"

#include <sched.h>

enum { CHUNK = MFI_RUN_MAX };      /* jobs of a batch that are queued, and rung for, at a time */

static bool grows(const mf_pool *pool)
{
    return pool->when_full == MF_POOL_FULL_GROW;
}

/* ---- the queue, whichever it is ------------------------------------------------------------------------------- */

/* Into the ring. */
static size_t put(mf_pool *pool, const mfi_item *items, size_t count)
{
    size_t done = mfi_ring_push(&pool->ring, items, count);
    /* Rung also when nothing went in: the attempt may have used up tickets that somebody awake has to pass. */
    mfi_doorbell_ring(&pool->bell);
    return done;
}

/* Of what other workers have taken and not come to. */
static size_t steal(mf_pool_worker *self, mfi_item *jobs)
{
    mf_pool *pool = self->pool;
    unsigned n = mfi_pool_started(pool);
    size_t got = 0;
    for (unsigned i = 1; i < n && got == 0; i++)
        got = mfi_run_steal(&pool->threads[(self->index + i) % n].run, jobs);
    return got;
}

/* What is taken together goes into the worker's own run, where it is there for whoever comes first, this worker or another. */
static bool fill_run(mf_pool_worker *self)
{
    mf_pool *pool = self->pool;
    /* Half of its share: where there are few jobs each is taken alone, and they begin in their order. All is the share of one worker. */
    size_t shares = pool->workers == 1 ? 1 : 2 * (size_t)pool->workers;
    size_t n = mfi_lanes_pop_run(&pool->lanes, &self->popper, &self->run, shares);
    if (n == 0) {
        mfi_item jobs[MFI_RUN_MAX];
        n = steal(self, jobs);
        if (n == 0)
            return false;
        mfi_run_fill(&self->run, jobs, n);
    }
    /* For a moment they were neither in the lane nor in the run, and who looked then (W2) sleeps now. */
    if (n > 1)
        mfi_doorbell_ring(&pool->bell);
    return true;
}

static bool take_run(mf_pool_worker *self, mfi_item *job)
{
    const mfi_run_slot *slot;
    while ((slot = mfi_run_take(&self->run)) == NULL)
        if (!fill_run(self))
            return false;
    *job = mfi_run_item(slot);
    return true;
}

bool mfi_pool_take(mf_pool_worker *self, mfi_item *job)
{
    mf_pool *pool = self->pool;
    if (grows(pool))
        return take_run(self, job);
    bool got = mfi_ring_pop(&pool->ring, job);
    /* Also when nothing came out: passing late pushers makes room, too. C2; C1 is the ring's head. */
    if (pool->when_full == MF_POOL_FULL_WAIT)
        mfi_event_notify(&pool->room, 1);
    return got;
}

/* Jobs that workers have taken together and not come to. */
static size_t in_runs(mf_pool *pool)
{
    size_t sum = 0;
    for (unsigned i = 0, n = mfi_pool_started(pool); i < n; i++)
        sum += mfi_run_size(&pool->threads[i].run);
    return sum;
}

bool mfi_pool_nothing_queued(mf_pool *pool)
{
    if (!mfi_ranks_empty(pool))
        return false;
    return grows(pool) ? mfi_lanes_empty(&pool->lanes) && in_runs(pool) == 0 : mfi_ring_empty(&pool->ring);
}

bool mfi_pool_jobs_for_all(mf_pool *pool)
{
    return (grows(pool) ? mfi_lanes_size(&pool->lanes) : mfi_ring_size(&pool->ring)) >= pool->workers;
}

size_t mfi_pool_queued(mf_pool *pool)
{
    return mfi_ranks_size(pool) + (grows(pool) ? mfi_lanes_size(&pool->lanes) + in_runs(pool) : mfi_ring_size(&pool->ring));
}

/* ---- when it is full ------------------------------------------------------------------------------------------ */

static bool closed(mf_pool *pool)
{
    return atomic_load_explicit(&pool->closed, memory_order_seq_cst) != 0;
}

/* A worker must not sleep for room that only workers make: it runs a job in between. */
static size_t make_room(mf_pool *pool, mf_pool_worker *self, const mfi_item *items, size_t count)
{
    mfi_item job;
    if (mfi_pool_take(self, &job))
        mfi_worker_run(self, &job);
    else
        sched_yield();      /* full of what others are just pushing or taking */
    return closed(pool) ? 0 : put(pool, items, count);
}

static size_t await_room(mf_pool *pool, const mfi_item *items, size_t count)
{
    size_t done = 0;
    mfi_backoff wait = MFI_BACKOFF;
    /* Workers that are at it make room sooner than a sleep and a wake would take. */
    while (pool->spinning > 0 && done == 0 && mfi_backoff_once(&wait))
        done = mfi_ring_push(&pool->ring, items, count);
    if (done > 0)
        mfi_doorbell_ring(&pool->bell);
    while (done == 0) {
        uint32_t prepared = mfi_event_prepare(&pool->room);
        /* W2: both looks, at the queue and at the end of the pool. */
        bool over = closed(pool);
        if (!over)
            done = put(pool, items, count);
        if (!over && done == 0)
            mfi_event_wait(&pool->room, prepared, INT64_MAX);
        mfi_event_finish(&pool->room);
        if (over)
            break;
    }
    return done;
}

/* ---- submit --------------------------------------------------------------------------------------------------- */

static mf_status put_all(mf_pool *pool, mf_pool_worker *self, const mfi_item *items, size_t count, size_t *done)
{
    *done = 0;
    for (bool first = true; ; first = false) {
        if (closed(pool))
            return MF_E_CLOSED;
        size_t rest = count - *done;
        if (first)
            *done += put(pool, items, rest);
        else if (self != NULL)
            *done += make_room(pool, self, items + *done, rest);
        else
            *done += await_room(pool, items + *done, rest);
        if (*done == count)
            return MF_OK;
        if (pool->when_full == MF_POOL_FULL_FAIL)
            return MF_E_FULL;
    }
}

/* One job into a queue that grows: the way of most, and nothing of the others' to look at. */
static inline mf_status put_one(mf_pool *pool, mf_group *group, mf_job_fn *fn, void *arg)
{
    if (closed(pool))
        return MF_E_CLOSED;
    if (!mfi_lanes_push_one(&pool->lanes, (uintptr_t)fn, (uintptr_t)arg, (uintptr_t)group))
        return MF_E_NOMEM;
    mfi_doorbell_ring(&pool->bell);
    return MF_OK;
}

static void write_items(mfi_item *items, mf_group *group, const mf_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (mfi_item){{(uintptr_t)jobs[i].fn, (uintptr_t)jobs[i].arg, (uintptr_t)group}};
}

/* Those from the first on that fit: one word each, while they have the function of the first one. */
static size_t write_room(mfi_room room, mf_group *group, const mf_job *jobs, size_t n)
{
    uintptr_t *cell = room.cells;
    size_t done = 0;
    if (room.words == 1)
        for (mf_job_fn *fn = jobs->fn; done < n && jobs[done].fn == fn; done++)
            cell[done] = (uintptr_t)jobs[done].arg;
    for (; room.words > 1 && done < n; done++, cell += room.words) {
        cell[0] = (uintptr_t)jobs[done].arg;
        cell[1] = (uintptr_t)jobs[done].fn;
        if (room.words > 2)
            cell[2] = (uintptr_t)group;
    }
    return done;
}

/* Many of them, written where workers will read them. */
static mf_status put_many(mf_pool *pool, mfi_lane *lane, mf_group *group, const mf_job *jobs, size_t count, size_t *queued)
{
    while (*queued < count) {
        if (closed(pool))
            return MF_E_CLOSED;
        size_t n = count - *queued < CHUNK ? count - *queued : CHUNK;
        mfi_room room;
        if (!mfi_lanes_room(&pool->lanes, &lane, (uintptr_t)jobs[*queued].fn, (uintptr_t)group, &room))
            return MF_E_NOMEM;
        n = write_room(room, group, jobs + *queued, n < room.items ? n : room.items);
        mfi_lanes_show(lane, n);
        mfi_doorbell_ring(&pool->bell);
        *queued += n;
    }
    return MF_OK;
}

mf_status mfi_pool_enqueue(mf_pool *pool, mfi_lane *lane, mf_group *group, const mf_job *jobs, size_t count, size_t *queued)
{
    mf_status st = MF_OK;
    *queued = 0;
    if (count == 1 && lane == NULL && grows(pool)) {
        st = put_one(pool, group, jobs->fn, jobs->arg);
        *queued = st == MF_OK;
        return st;
    }
    if (grows(pool))
        return put_many(pool, lane, group, jobs, count, queued);
    mf_pool_worker *self = mfi_worker_of(pool);
    while (st == MF_OK && *queued < count) {
        mfi_item items[CHUNK];
        size_t n = count - *queued < CHUNK ? count - *queued : CHUNK, done;
        write_items(items, group, jobs + *queued, n);
        st = put_all(pool, self, items, n, &done);
        *queued += done;
    }
    return st;
}

mf_status mf_pool_submit(mf_pool *pool, mf_job_fn *fn, void *arg)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    if (fn == NULL)
        return MF_E_INVALID;
    if (grows(pool))
        return put_one(pool, NULL, fn, arg);
    size_t queued;
    return mfi_pool_enqueue(pool, NULL, NULL, &(mf_job){fn, arg}, 1, &queued);
}

static mf_status submit_batch(mf_pool *pool, mfi_lane *lane, const mf_job *jobs, size_t count, size_t *queued)
{
    size_t ignored;
    if (queued == NULL)
        queued = &ignored;
    *queued = 0;
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].fn == NULL)
            return MF_E_INVALID;
    return mfi_pool_enqueue(pool, lane, NULL, jobs, count, queued);
}

mf_status mf_pool_submit_batch(mf_pool *pool, const mf_job *jobs, size_t count, size_t *queued)
{
    return submit_batch(pool, NULL, jobs, count, queued);
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

mf_status mf_pool_line_open(mf_pool *pool, mf_pool_line **out)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    mf_pool_line *line = mf_new(pool->allocator, mf_pool_line);
    if (line == NULL)
        return MF_E_NOMEM;
    line->pool = pool;
    if (grows(pool) && (line->lane = mfi_lanes_open(&pool->lanes)) == NULL) {
        mf_delete(pool->allocator, line);
        return MF_E_NOMEM;
    }
    line->next = atomic_load_explicit(&pool->lines, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&pool->lines, &line->next, line, memory_order_release,
                                                  memory_order_relaxed))
        ;
    *out = line;
    return MF_OK;
}

mf_status mf_pool_line_submit(mf_pool_line *line, const mf_job *jobs, size_t count, size_t *queued)
{
    return submit_batch(line->pool, line->lane, jobs, count, queued);
}
