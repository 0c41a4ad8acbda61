/* Serving: a pool, the reads, the leases. */
#include "taskiq.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "memory.h"
#include "stack.h"

#define SLOTS_PER_THREAD 4
#define TELL_WITHIN mf_seconds(5)       /* at the end: outcomes that cannot be told any more */
#define SOON_MS 10000

static taskiq *taskiq_of_worker(mf_worker *worker)
{
    return (taskiq *)(void *)((char *)worker - offsetof(taskiq, worker));
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    taskiq *t = taskiq_of_worker(worker);
    mf_status st = mfi_redis_wait_up(t->redis, mf_seconds(10), err);
    if (st == MF_OK)
        st = taskiq_lease_first(t, err);
    if (st == MF_OK)
        st = taskiq_sources_make(t, err);
    if (st == MF_OK)
        st = mf_pool_create(MF_POOL_OPTIONS(.allocator = t->allocator, .workers = t->serving_options.threads,
                                            .when_full = MF_POOL_FULL_GROW, .thread_name = "mageflow"), &t->pool, err);
    if (st != MF_OK)
        return st;
    mf_pool_counts counts;
    (void)mf_pool_stats(t->pool, &counts);
    if (t->serving_options.on_start != NULL)
        t->serving_options.on_start(t->serving_options.user);
    pthread_mutex_lock(&t->lock);
    t->slots = t->serving_options.slots != 0 ? t->serving_options.slots : counts.workers * SLOTS_PER_THREAD;
    t->serving = t->attached = true;
    pthread_mutex_unlock(&t->lock);
    atomic_store(&t->watch_soon, true);
    mfi_redis_poke(t->redis);
    taskiq_read_all(t);
    return MF_OK;
}

/* ---- draining ----------------------------------------------------------------------------------------------------- */

/* The lock is held. */
static bool is_busy(const taskiq *t)
{
    return t->in_flight > 0 || t->helping > 0 || t->suspects != NULL || t->settling != NULL || t->telling > 0;
}

/* The lock is held: every queue was seen empty since. */
static bool all_empty(const taskiq *t, const uint64_t *seen)
{
    for (size_t i = 0; i < t->source_count; i++)
        if (t->sources[i].empties == seen[i])
            return false;
    return true;
}

/* What is put off until soon is waited for, in the store and in Redis. */
static bool nothing_soon(taskiq *t)
{
    size_t waiting = 0, held = 0, got = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    if (t->store != NULL) {
        mf_store_load_counts(t->store, &waiting, &held);
        if (waiting > 0 && (mf_store_take(t->store, 0, &nothing, &got, &next_due, NULL) != MF_OK ||
                            next_due <= mf_store_now_ms(t->store) + SOON_MS))
            return false;
    }
    char until[24];
    mf_str most = {until, (size_t)snprintf(until, sizeof until, "%lld", (long long)mfi_wall_ms(t->clock) + SOON_MS)};
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_replies *replies = NULL;
    for (size_t i = 0; i < t->queue_count; i++)
        mfi_redis_add(rq, MF_STR_LIT("ZCOUNT"), mf_cstr(t->queues[i].delayed), MF_STR_LIT("-inf"), most);
    bool none = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true), &replies, NULL) == MF_OK;
    for (size_t i = 0; none && i < replies->count; i++)
        none = replies->at[i].integer == 0;
    mfi_redis_replies_destroy(replies);
    return none;
}

static void interrupt_reads(taskiq *t)
{
    mfi_redis_interrupt(t->redis);
    for (size_t i = 0; i < t->extra_count; i++)
        mfi_redis_interrupt(t->extra_links[i]);
}

/* The lock is held, and given up meanwhile. False: the time is over. */
static bool wait_idle(taskiq *t, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    while (t->serving && is_busy(t))
        if (pthread_cond_timedwait(&t->changed, &t->lock, &until) != 0)
            return !is_busy(t);
    return true;
}

/* Ask every queue once more; true: each was empty, and nothing began meanwhile. */
static bool look_once_more(taskiq *t, int64_t deadline)
{
    uint64_t seen[MFI_TASKIQ_QUEUES + 1];
    pthread_mutex_lock(&t->lock);
    uint64_t started = t->started;
    for (size_t i = 0; i < t->source_count; i++)
        seen[i] = t->sources[i].empties;
    while (t->serving && t->started == started && !is_busy(t) && !all_empty(t, seen) && mfi_now_ns(NULL) < deadline) {
        int64_t wake = mfi_now_ns(NULL) + 50000000;     /* a read may begin just after the interrupt */
        struct timespec until = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        pthread_mutex_unlock(&t->lock);
        interrupt_reads(t);
        pthread_mutex_lock(&t->lock);
        if (!all_empty(t, seen))
            pthread_cond_timedwait(&t->changed, &t->lock, &until);
    }
    bool nothing = t->started == started && !is_busy(t) && (all_empty(t, seen) || !t->serving);
    pthread_mutex_unlock(&t->lock);
    return nothing;
}

/* Nothing runs; then nothing waits in the store for its way here; then nothing is in the queues; and all the while nothing has
 * begun. In this order a message cannot slip from one place to another behind the look. */
static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    taskiq *t = taskiq_of_worker(worker);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    for (;;) {
        pthread_mutex_lock(&t->lock);
        bool idle = wait_idle(t, deadline), serving = t->serving;
        pthread_mutex_unlock(&t->lock);
        if (!idle)
            return MF_E_TIMEOUT;
        /* Redis is asked even where no time was given: it answers within moments. */
        int64_t least = mfi_now_ns(NULL) + 1000000000;
        if (!serving || (nothing_soon(t) && look_once_more(t, least > deadline ? least : deadline)))
            return MF_OK;
        if (mfi_now_ns(NULL) >= deadline)
            return MF_E_TIMEOUT;
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
}

/* ---- stopping ----------------------------------------------------------------------------------------------------- */

/* Nothing is read any more, and nothing that was read is being handed to the pool. */
static void wait_for_reads(taskiq *t)
{
    pthread_mutex_lock(&t->lock);
    for (;;) {
        bool reading = t->starting > 0;
        for (size_t i = 0; i < t->source_count; i++)
            reading = reading || t->sources[i].reading;
        if (!reading)
            break;
        int64_t wake = mfi_now_ns(NULL) + 50000000;
        struct timespec until = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        if (pthread_cond_timedwait(&t->changed, &t->lock, &until) != 0) {   /* one that began beside the interrupt */
            pthread_mutex_unlock(&t->lock);
            interrupt_reads(t);
            pthread_mutex_lock(&t->lock);
        }
    }
    pthread_mutex_unlock(&t->lock);
}

static void wait_until_told(taskiq *t)
{
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), TELL_WITHIN);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    pthread_mutex_lock(&t->lock);
    bool late = false;
    while (!late && (t->settling != NULL || t->telling > 0))
        late = pthread_cond_timedwait(&t->changed, &t->lock, &until) != 0;
    size_t left = t->held_count;
    pthread_mutex_unlock(&t->lock);
    if (late)
        taskiq_log(t, MF_LOG_ERROR, "%zu outcomes could not be told; their tasks run again elsewhere", left);
}

static void worker_stop(mf_worker *worker)
{
    taskiq *t = taskiq_of_worker(worker);
    pthread_mutex_lock(&t->lock);
    bool was_serving = t->serving;
    t->serving = false;
    taskiq_job *suspects = t->suspects;
    t->suspects = NULL;
    t->suspects_end = &t->suspects;
    pthread_mutex_unlock(&t->lock);
    while (suspects != NULL) {
        taskiq_job *next = suspects->next;
        suspects->action = TASKIQ_NOW;
        taskiq_settle_job(suspects);
        taskiq_job_unref(suspects);
        suspects = next;
    }
    interrupt_reads(t);
    wait_for_reads(t);
    if (t->pool != NULL) {
        taskiq_ready_end(t);
        mf_pool_wake_helpers(t->pool);
        (void)mf_pool_destroy(t->pool);     /* runs what is queued: each job sees that nothing is served any more */
    }
    t->pool = NULL;
    if (was_serving) {
        wait_until_told(t);
        taskiq_lease_leave(t);
    }
    pthread_mutex_lock(&t->lock);
    t->attached = false;
    pthread_mutex_unlock(&t->lock);
    if (was_serving && t->serving_options.on_stop != NULL)
        t->serving_options.on_stop(t->serving_options.user);
}

static void worker_destroy(mf_worker *worker)
{
    taskiq *t = taskiq_of_worker(worker);
    pthread_mutex_lock(&t->lock);
    t->has_worker = false;
    pthread_mutex_unlock(&t->lock);
}

static const mf_worker_ops worker_ops = {
    .struct_size = sizeof(mf_worker_ops),
    .start = worker_start,
    .drain = worker_drain,
    .stop = worker_stop,
    .destroy = worker_destroy,
};

mf_status taskiq_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options, mf_worker **out,
                        mf_error *err)
{
    taskiq *t = taskiq_of(base);
    (void)n;
    if (names != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "a worker serves all declared tasks, not a choice of them");
    pthread_mutex_lock(&t->lock);
    bool taken = t->has_worker || t->source_count > 0;
    t->has_worker = true;
    pthread_mutex_unlock(&t->lock);
    if (taken)
        return mf_fail(err, MF_E_STATE, "this client has, or had, its worker already");
    t->worker.ops = &worker_ops;
    t->serving_options = *options;
    *out = &t->worker;
    return MF_OK;
}

/* ---- waiting inside a call ---------------------------------------------------------------------------------------- */

mf_status taskiq_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    taskiq *t = taskiq_of(base);
    if (t->pool == NULL || !mf_pool_on_worker(t->pool))
        return MF_E_UNSUPPORTED;
    if (mfi_stack_is_short())
        return MF_E_FULL;
    taskiq_slot_release(t);
    mf_status st = mf_pool_help_until(t->pool, done, arg, deadline_ns);
    taskiq_slot_take(t);
    return st;
}
