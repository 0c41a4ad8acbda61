/* From the store's ready queue to the pool: take as many entries as there are free slots, run each as a job.
 *
 * One thread at a time takes. Whoever finds somebody taking leaves a note (`again`), so that an entry which became ready
 * between the last look and the end of the pump is not left lying. A pump that stopped for want of slots (`starved`) is
 * started again by the job that ends when half of the stock is used up, and by nobody before.
 *
 * A thread that is no worker of the pool looks a few times and then hands the pump on, still pumping, to a worker. Where it
 * shares a CPU with the worker it wakes, the worker runs first: it empties the queue, leaves its note and lies down, and the
 * two would go on in turns, with two switches for every few jobs (three times the processor time of a swarm of a thousand).
 * Waiting behind the jobs of a pool whose workers are all busy is no loss, since nobody could run what it takes. */
#include "local.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

#define TAKE_MAX 32
#define OUTSIDE_LOOKS 2      /* by a thread that is no worker: what it brought, and whether there is more */
#define BACKLOG_LOOK_MS 20   /* between looks at delayed entries while slots are short */

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

void local_jobs_free(local *l)
{
    for (local_gate *gate = l->gates; gate != NULL; gate = gate->next)
        while (gate->first != NULL) {
            local_job *job = gate->first;
            gate->first = job->next;
            mf_store_give_back(l->store, &job->taken.claim.token, 1, NULL);
            mf_entry_release(&job->taken.entry);
            mf_delete(l->allocator, job);
        }
    while (l->free_jobs != NULL) {
        local_job *next = l->free_jobs->next;
        mf_delete(l->allocator, l->free_jobs);
        l->free_jobs = next;
    }
}

void local_jobs_reserve(local *l, size_t n)
{
    for (local_job *job; n > 0 && (job = mf_new(l->allocator, local_job)) != NULL; n--) {
        mfi_mutex_lock(&l->lock);
        job->next = l->free_jobs;
        l->free_jobs = job;
        mfi_mutex_unlock(&l->lock);
    }
}

/* The entry's number as text, in place: a run's id, made for every delivery and read by few. */
static mf_str number_text(char *text, size_t size, uint64_t number)
{
    char *at = text + size;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return mf_str_of(at, (size_t)(text + size - at));
}

static void job_fill(local_job *job, uint64_t mark)
{
    const mf_entry *e = &job->taken.entry;
    job->delivery = (mf_delivery){
        .id = number_text(job->id, sizeof job->id, e->id), .task = e->spec->name, .message = e->message, .error = e->error,
        .unit = e->unit, .attempt = e->attempt, .spec = e->spec, .claim = &job->taken.claim, .mark = mark,
        .priority = e->priority, .gather = true,
        .native = job,
    };
}

static void job_run(void *arg);
static void pump(local *l);

/* With GROW only memory can be missing; then the thread that brought the job runs it. It is counted as queued already. */
static void job_queue(local_job *job)
{
    if (mf_pool_submit(job->owner->pool, job_run, job) != MF_OK)
        job_run(job);
}

/* Outcomes gather while jobs are queued, and are flushed when the last of those begins, or else by the job that ends after it:
 *
 *    a job that ends                a job that begins
 *    E1  its outcome waits          B1  queued -= 1
 *    E2  read queued: 0? flush      B2  it was the last one? flush, which reads what waits
 *
 * E2 sees B1, or B2 sees E1: all are seq_cst. So nothing waits once no job is queued. */
static void job_call(local *l, local_job *job)
{
    if (atomic_fetch_sub_explicit(&l->queued, 1, memory_order_seq_cst) == 1) {
        local_alone_begin(l);       /* what this flush brings is ready is the runner's */
        l->host->ops->flush(l->host);
    }
    int64_t began_ns = job->timed ? mfi_now_ns(NULL) : 0;
    if (l->serving)
        l->host->ops->deliver(l->host, &job->delivery);
    else            /* the worker stops: what has not begun goes back, for whoever uses the store next */
        mf_store_give_back(l->store, &job->taken.claim.token, 1, NULL);
    if (job->timed)
        job->call_ns = mfi_now_ns(NULL) - began_ns;
    if (atomic_load_explicit(&l->queued, memory_order_seq_cst) == 0)
        l->host->ops->flush(l->host);
    mf_entry_release(&job->taken.entry);
}

/* The lock is held at both ends, and not in between. */
static void gate_leave(local *l, local_job *job)
{
    local_job *waiting = job->gate == NULL ? NULL : local_gate_leave(l, job);
    if (waiting == NULL)
        return;
    atomic_fetch_add_explicit(&l->queued, 1, memory_order_seq_cst);
    if (local_alone_here(l)) {
        local_alone_keep(l, waiting);
        return;
    }
    mfi_mutex_unlock(&l->lock);
    job_queue(waiting);
    mfi_mutex_lock(&l->lock);
}

/* The next one of those that are kept for this thread, or NULL. */
static local_job *job_end(local *l, local_job *job)
{
    mfi_mutex_lock(&l->lock);
    gate_leave(l, job);
    job->next = l->free_jobs;
    l->free_jobs = job;
    l->ended++;
    if (job->timed)
        local_alone_called(l, job->call_ns);
    local_alone_ended(l);
    if (--l->in_flight == 0)
        mfi_event_notify(&l->changed, UINT32_MAX);
    do {
        if ((l->starved && l->in_flight <= l->low) || local_alone_owes(l))
            pump(l);
        job = local_alone_next(l);
    } while (job == NULL && local_alone_owes(l));
    mfi_mutex_unlock(&l->lock);
    return job;
}

static void job_run(void *arg)
{
    local_job *job = arg;
    local *l = job->owner;
    for (; job != NULL; job = job_end(l, job))
        job_call(l, job);
}

/* ---- the pump ---------------------------------------------------------------------------------------------------- */

/* Free jobs, as many as there are. The lock is held. */
static size_t reuse_jobs(local *l, local_job **jobs, size_t want)
{
    size_t n = 0;
    for (; n < want && l->free_jobs != NULL; n++) {
        jobs[n] = l->free_jobs;
        l->free_jobs = jobs[n]->next;
    }
    return n;
}

/* The rest, new ones. The lock is not held. */
static size_t make_jobs(local *l, local_job **jobs, size_t n, size_t want)
{
    while (n < want && (jobs[n] = mf_new(l->allocator, local_job)) != NULL)
        n++;
    return n;
}

static void give_back_jobs(local *l, local_job **jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        jobs[i]->next = l->free_jobs;
        l->free_jobs = jobs[i];
    }
}

/* Jobs for what was taken; those that may run come to pool_jobs, and their number back. The lock is held. */
static size_t fill_jobs(local *l, local_job **jobs, const mf_taken *taken, size_t got, uint64_t mark, mf_job *pool_jobs)
{
    size_t ready = 0;
    if (l->in_flight == 0)
        local_alone_window(l);
    l->in_flight += (unsigned)got;
    for (size_t i = 0; i < got; i++) {
        jobs[i]->owner = l;
        jobs[i]->timed = i == 0;
        jobs[i]->taken = taken[i];
        jobs[i]->gate = l->gates == NULL ? NULL : local_gate_of(l, taken[i].entry.spec->name);
        job_fill(jobs[i], mark);
        if (jobs[i]->gate == NULL || local_gate_pass(l, jobs[i]))
            pool_jobs[ready++] = (mf_job){job_run, jobs[i]};
    }
    return ready;
}

/* By the thread that pumps, one at a time: so items begin in their order whoever that is. The lock is held at both ends, and not in
 * between. */
static void submit_jobs(local *l, const mf_job *jobs, size_t n)
{
    size_t queued = 0;
    mfi_mutex_unlock(&l->lock);
    if (mf_pool_line_submit(l->line, jobs, n, &queued) != MF_OK)
        for (size_t i = queued; i < n; i++)
            job_queue(jobs[i].arg);
    mfi_mutex_lock(&l->lock);
}

/* Gives how many were taken. The lock is held at both ends, and not in between. Without memory for a job its entry would stay
 * claimed, and the commit that ends it never come: so memory is asked for before anything is taken. */
static size_t take_and_submit(local *l, size_t want)
{
    local_job *jobs[TAKE_MAX];
    mf_taken taken[TAKE_MAX];
    mf_job pool_jobs[TAKE_MAX];
    size_t got = 0, limit = want < TAKE_MAX ? want : TAKE_MAX;
    int64_t next_due;
    size_t have = reuse_jobs(l, jobs, limit);
    mfi_mutex_unlock(&l->lock);
    have = make_jobs(l, jobs, have, limit);
    uint64_t mark = l->host->ops->mark(l->host);
    if (have > 0 && mf_store_take(l->store, have, taken, &got, &next_due, NULL) != MF_OK)
        got = 0;
    mfi_mutex_lock(&l->lock);
    give_back_jobs(l, jobs + got, have - got);
    size_t ready = fill_jobs(l, jobs, taken, got, mark, pool_jobs);
    if (ready == 0)
        return got;
    bool keeps = local_alone_may_keep(l);
    atomic_fetch_add_explicit(&l->queued, (unsigned)ready, memory_order_seq_cst);
    if (!keeps)
        submit_jobs(l, pool_jobs, ready);
    else
        for (size_t i = 0; i < ready; i++)
            local_alone_keep(l, pool_jobs[i].arg);
    return got;
}

static void pump_on_worker(void *arg);

/* True: a worker goes on, and `pumping` is its. The pool stays until whoever hands on is out of it, though the worker may be done
 * before. The lock is held at both ends, and not in between. */
static bool hand_on(local *l)
{
    l->handing++;
    mfi_mutex_unlock(&l->lock);
    bool handed = mf_pool_submit(l->pool, pump_on_worker, l) == MF_OK;
    mfi_mutex_lock(&l->lock);
    if (--l->handing == 0)
        mfi_event_notify(&l->changed, UINT32_MAX);
    return handed;
}

/* By whoever set `pumping`, or was handed it. The lock is held at both ends, and not in between. */
static void keep_pumping(local *l)
{
    for (unsigned looks = 0; l->again && l->serving; looks++) {
        if (looks == OUTSIDE_LOOKS && !mf_pool_on_worker(l->pool) && hand_on(l))
            return;
        l->again = false;
        unsigned room = l->in_flight < l->slots ? l->slots - l->in_flight : 0;
        if (room == 0) {
            l->starved = true;
            break;
        }
        if (take_and_submit(l, room) > 0)
            l->again = true;
    }
    l->pumping = false;
    mfi_event_notify(&l->changed, UINT32_MAX);
}

/* Whoever pumps is the only one to submit in the line, and a pump that does so meanwhile took its entries before these: only of
 * tasks with gates, whose calls have no order. */
void local_submit_list(local *l, local_job *jobs)
{
    mf_job some[TAKE_MAX];
    bool pumps = !l->pumping;
    if (pumps)
        l->pumping = true;
    while (jobs != NULL) {
        size_t n = 0;
        for (; jobs != NULL && n < (pumps ? TAKE_MAX : 1); jobs = jobs->next)
            some[n++] = (mf_job){job_run, jobs};
        if (pumps) {
            submit_jobs(l, some, n);
        } else {
            mfi_mutex_unlock(&l->lock);
            job_queue(some[0].arg);
            mfi_mutex_lock(&l->lock);
        }
    }
    if (pumps)
        keep_pumping(l);
}

static void pump_on_worker(void *arg)
{
    local *l = arg;
    mfi_mutex_lock(&l->lock);
    keep_pumping(l);
    mfi_mutex_unlock(&l->lock);
}

/* Take while there are slots, unless somebody does so already, or will. The lock is held at both ends, and not in between. */
static void pump(local *l)
{
    if (local_alone_leaves_it(l))
        return;
    l->again = true;
    if (!l->serving || l->pumping)
        return;
    l->pumping = true;
    l->starved = false;
    local_restock(l);
    keep_pumping(l);
}

void local_pump(local *l)
{
    mfi_mutex_lock(&l->lock);
    pump(l);
    mfi_mutex_unlock(&l->lock);
}

/* Who waits has looked, and prepares, under the lock under which it is told: no change is missed. */
bool local_wait(local *l, int64_t deadline_ns)
{
    uint32_t prepared = mfi_event_prepare(&l->changed);
    mfi_mutex_unlock(&l->lock);
    bool in_time = mfi_event_wait(&l->changed, prepared, deadline_ns);
    mfi_event_finish(&l->changed);
    mfi_mutex_lock(&l->lock);
    return in_time;
}

int64_t local_due(mf_adapter *base)
{
    local *l = local_of(base);
    mfi_mutex_lock(&l->lock);
    bool alone = local_alone_look(l);
    pump(l);
    mfi_mutex_unlock(&l->lock);
    size_t none = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    (void)mf_store_take(l->store, 0, &nothing, &none, &next_due, NULL);
    /* What is due and still there waits for a slot, and whoever gives one back takes it: no reason to look at once. */
    int64_t now = mf_store_now_ms(l->store), soon = now + (alone ? LOCAL_LOOK_MS : BACKLOG_LOOK_MS);
    return next_due > now && !(alone && next_due > soon) ? next_due : soon;
}

void local_slot_release(local *l)
{
    mfi_mutex_lock(&l->lock);
    l->in_flight--;
    l->helping++;
    if (local_alone_here(l))
        local_alone_leave(l);
    pump(l);
    mfi_mutex_unlock(&l->lock);
}

void local_slot_take(local *l)
{
    mfi_mutex_lock(&l->lock);
    l->in_flight++;
    l->helping--;
    mfi_mutex_unlock(&l->lock);
}
