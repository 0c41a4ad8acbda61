/* From the store's ready queue to the pool: take as many entries as there are free slots, run each as a job.
 *
 * One thread at a time takes. Whoever finds somebody taking leaves a note (`again`), so that an entry which became ready
 * between the last look and the end of the pump is not left lying. A pump that stopped for want of slots is started again
 * by the job that frees one. */
#include "local.h"

#include <stdio.h>

#include "memory.h"

#define TAKE_MAX 32
#define BACKLOG_LOOK_MS 20   /* between looks at delayed entries while slots are short */

struct local_job {
    local      *owner;
    local_gate *gate;       /* the task's, or NULL */
    mf_taken    taken;
    mf_delivery delivery;
    char        id[24];
    local_job  *next;       /* free, or waiting at its gate */
};

/* ---- gates ------------------------------------------------------------------------------------------------------- */

mf_status local_gate_add(local *l, const mf_task_def *def, mf_error *err)
{
    local_gate *gate = mf_new(l->allocator, local_gate);
    if (gate == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    snprintf(gate->name, sizeof gate->name, "%s", def->name);
    gate->limit = def->max_concurrency;
    pthread_mutex_lock(&l->lock);
    gate->next = l->gates;
    l->gates = gate;
    pthread_mutex_unlock(&l->lock);
    return MF_OK;
}

void local_gate_free(local *l)
{
    while (l->gates != NULL) {
        local_gate *next = l->gates->next;
        mf_delete(l->allocator, l->gates);
        l->gates = next;
    }
}

static local_gate *gate_of(local *l, mf_str task)
{
    local_gate *gate = l->gates;
    while (gate != NULL && !mf_str_eq(task, mf_cstr(gate->name)))
        gate = gate->next;
    return gate;
}

/* True: it may run. Else it waits at its gate and gives its slot back. The lock is held. */
static bool pass_gate(local *l, local_job *job)
{
    local_gate *gate = job->gate;
    if (gate == NULL || gate->running < gate->limit) {
        if (gate != NULL)
            gate->running++;
        return true;
    }
    job->next = NULL;
    if (gate->last != NULL)
        gate->last->next = job;
    else
        gate->first = job;
    gate->last = job;
    l->in_flight--;
    return false;
}

/* The next one that waits where `job` was, with a slot again. The lock is held. */
static local_job *leave_gate(local *l, const local_job *job)
{
    local_gate *gate = job->gate;
    if (gate == NULL)
        return NULL;
    local_job *next = gate->first;
    if (next == NULL) {
        gate->running--;
        return NULL;
    }
    gate->first = next->next;
    if (gate->first == NULL)
        gate->last = NULL;
    l->in_flight++;
    return next;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static local_job *job_create(local *l)
{
    pthread_mutex_lock(&l->lock);
    local_job *job = l->free_jobs;
    if (job != NULL)
        l->free_jobs = job->next;
    pthread_mutex_unlock(&l->lock);
    if (job == NULL)
        job = mf_new(l->allocator, local_job);
    return job;
}

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
        .priority = e->priority,
        .native = job,
    };
}

static void job_run(void *arg);

/* With GROW only memory can be missing; then the thread that brought the job runs it. */
static void job_submit(local_job *job)
{
    if (mf_pool_submit(job->owner->pool, job_run, job) != MF_OK)
        job_run(job);
}

static void job_run(void *arg)
{
    local_job *job = arg;
    local *l = job->owner;
    pthread_mutex_lock(&l->lock);
    bool serving = l->serving;
    pthread_mutex_unlock(&l->lock);
    if (serving)
        l->host->ops->deliver(l->host, &job->delivery);
    else            /* the worker stops: what has not begun goes back, for whoever uses the store next */
        mf_store_give_back(l->store, &job->taken.claim.token, 1, NULL);
    mf_entry_release(&job->taken.entry);

    pthread_mutex_lock(&l->lock);
    local_job *waiting = leave_gate(l, job);
    job->next = l->free_jobs;
    l->free_jobs = job;
    bool look = l->starved;
    if (--l->in_flight == 0)
        pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (waiting != NULL)
        job_submit(waiting);
    if (look)
        local_pump(l);
}

/* ---- the pump ---------------------------------------------------------------------------------------------------- */

/* Jobs for what was taken; without memory for one, its entry stays claimed, and the commit that ends it never comes: so
 * memory is asked for before anything is taken. */
static size_t reserve_jobs(local *l, local_job **jobs, size_t want)
{
    size_t n = 0;
    while (n < want && (jobs[n] = job_create(l)) != NULL)
        n++;
    return n;
}

static void give_back_jobs(local *l, local_job **jobs, size_t n)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < n; i++) {
        jobs[i]->next = l->free_jobs;
        l->free_jobs = jobs[i];
    }
    pthread_mutex_unlock(&l->lock);
}

static size_t take_and_submit(local *l, size_t want)
{
    local_job *jobs[TAKE_MAX];
    mf_taken taken[TAKE_MAX];
    mf_job pool_jobs[TAKE_MAX];
    size_t got = 0, ready = 0;
    int64_t next_due;
    uint64_t mark = l->host->ops->mark(l->host);
    want = reserve_jobs(l, jobs, want < TAKE_MAX ? want : TAKE_MAX);
    if (want > 0 && mf_store_take(l->store, want, taken, &got, &next_due, NULL) != MF_OK)
        got = 0;
    give_back_jobs(l, jobs + got, want - got);
    if (got == 0)
        return 0;

    pthread_mutex_lock(&l->lock);
    l->in_flight += (unsigned)got;
    for (size_t i = 0; i < got; i++) {
        jobs[i]->owner = l;
        jobs[i]->taken = taken[i];
        jobs[i]->gate = gate_of(l, taken[i].entry.spec->name);
        job_fill(jobs[i], mark);
        if (pass_gate(l, jobs[i]))
            pool_jobs[ready++] = (mf_job){job_run, jobs[i]};
    }
    pthread_mutex_unlock(&l->lock);
    size_t queued = 0;
    if (mf_pool_submit_batch(l->pool, pool_jobs, ready, &queued) != MF_OK)
        for (size_t i = queued; i < ready; i++)
            job_submit(pool_jobs[i].arg);
    return got;
}

void local_pump(local *l)
{
    pthread_mutex_lock(&l->lock);
    l->again = true;
    if (!l->serving || l->pumping) {
        pthread_mutex_unlock(&l->lock);
        return;
    }
    l->pumping = true;
    l->starved = false;
    while (l->again && l->serving) {
        l->again = false;
        unsigned room = l->in_flight < l->slots ? l->slots - l->in_flight : 0;
        if (room == 0) {
            l->starved = true;
            break;
        }
        pthread_mutex_unlock(&l->lock);
        size_t got = take_and_submit(l, room);
        pthread_mutex_lock(&l->lock);
        l->again = l->again || got > 0;
    }
    l->pumping = false;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

int64_t local_due(mf_adapter *base)
{
    local *l = local_of(base);
    local_pump(l);
    size_t none = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    (void)mf_store_take(l->store, 0, &nothing, &none, &next_due, NULL);
    /* What is due and still there waits for a slot, and whoever gives one back takes it: no reason to look at once. */
    int64_t now = mf_store_now_ms(l->store);
    return next_due > now ? next_due : now + BACKLOG_LOOK_MS;
}

void local_slot_release(local *l)
{
    pthread_mutex_lock(&l->lock);
    l->in_flight--;
    l->helping++;
    pthread_mutex_unlock(&l->lock);
    local_pump(l);
}

void local_slot_take(local *l)
{
    pthread_mutex_lock(&l->lock);
    l->in_flight++;
    l->helping--;
    pthread_mutex_unlock(&l->lock);
}
