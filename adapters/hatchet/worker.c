/* Serving: define, register, listen; drain; say good-bye. */
#include "hatchet.h"

#include <time.h>

#include "clock.h"
#include "memory.h"

#define TELL_WITHIN mf_seconds(5)       /* at the end: outcomes that cannot be told any more */

static hatchet *hatchet_of_worker(mf_worker *worker)
{
    return (hatchet *)(void *)((char *)worker - offsetof(hatchet, worker));
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    hatchet *h = hatchet_of_worker(worker);
    mf_status st = mfi_rpc_wait_up(h->rpc, mf_seconds(10), err);
    if (st == MF_OK)
        st = hatchet_store_known(h, err);
    if (st == MF_OK)
        st = hatchet_define_all(h, err);
    if (st == MF_OK)
        st = mf_pool_create(MF_POOL_OPTIONS(.allocator = h->allocator, .workers = h->serving_options.threads,
                                            .when_full = MF_POOL_FULL_GROW, .thread_name = "mageflow"), &h->pool, err);
    if (st != MF_OK)
        return st;
    if (h->serving_options.on_start != NULL)
        h->serving_options.on_start(h->serving_options.user);
    st = hatchet_register(h, err);
    if (st != MF_OK) {
        if (h->serving_options.on_stop != NULL)
            h->serving_options.on_stop(h->serving_options.user);
        (void)mf_pool_destroy(h->pool);
        h->pool = NULL;
        return st;
    }
    pthread_mutex_lock(&h->lock);
    h->serving = h->attached = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
    return MF_OK;
}

/* The lock is held. */
static bool has_to_tell(const hatchet *h)
{
    return h->returning > 0 || h->telling.first != NULL || h->under_way > 0 || h->streaming > 0;
}

/* The lock is held. */
static bool is_busy(const hatchet *h)
{
    return h->job_count > 0 || has_to_tell(h);
}

/* What was taken has ended, and the engine has it. What still waits in the engine cannot be seen from here. */
static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    hatchet *h = hatchet_of_worker(worker);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    mf_status st = MF_OK;
    pthread_mutex_lock(&h->lock);
    while (h->serving && is_busy(h) && st == MF_OK)
        if (pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0)
            st = is_busy(h) ? MF_E_TIMEOUT : MF_OK;
    pthread_mutex_unlock(&h->lock);
    return st;
}

static void wait_until_told(hatchet *h)
{
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), TELL_WITHIN);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    bool late = false;
    pthread_mutex_lock(&h->lock);
    while (!late && has_to_tell(h))
        late = pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0;
    size_t left = h->returning + h->telling.count + h->under_way + h->streaming;
    pthread_mutex_unlock(&h->lock);
    if (late && left > 0)
        hatchet_log(h, MF_LOG_ERROR, "%zu outcomes could not be told; their tasks run again elsewhere", left);
}

/* ---- out of the engine's sight ---------------------------------------------------------------------------------------- *
 * An engine that still takes us for listening gives us tasks for 5 s more, and nobody else gets them for 30 s. Canceling the
 * stream is meant to end that, and about every other time it does not: 0.99.1 compares the time at which the stream began, in
 * nanoseconds, with what its database has rounded to milliseconds, and passes over the end of a stream that began "later" than
 * it did. A heartbeat tells (FAILED_PRECONDITION: no stream); where it is accepted, a new stream is opened and canceled. */

#define ROUNDS 24
#define ROUND mf_milliseconds(50)

static bool is_unseen(hatchet *h, const char *id)
{
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    mfi_rpc_code code = MFI_RPC_OK;
    w.worker_id = (char *)(uintptr_t)id;
    w.heartbeat_at = &now;
    return hatchet_call(h, "/Dispatcher/Heartbeat", &w.base, mf_seconds(2), NULL, NULL, &code, NULL) != MF_OK &&
           (code == MFI_RPC_FAILED_PRECONDITION || code == MFI_RPC_NOT_FOUND);
}

static void pause_for(mf_duration span)
{
    struct timespec t = {span / 1000000000, span % 1000000000};
    nanosleep(&t, NULL);
}

/* A stream that is there for a moment only, so that its end is told from a new beginning. */
static void blink(hatchet *h, const char *id)
{
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    mfi_rpc_call *call = NULL;
    w.worker_id = (char *)(uintptr_t)id;
    if (hatchet_begin(h, "/Dispatcher/ListenV2", &w.base, mf_seconds(2), NULL, NULL, NULL, &call, NULL) != MF_OK)
        return;
    pause_for(ROUND);
    mfi_rpc_cancel(call);
    mfi_rpc_call_unref(call);
}

static void leave_sight(hatchet *h)
{
    char id[HATCHET_ID_MAX];
    pthread_mutex_lock(&h->lock);
    memcpy(id, h->worker_id, sizeof id);
    pthread_mutex_unlock(&h->lock);
    unsigned unseen = 0, enough = 1;
    for (int i = 0; i < ROUNDS && unseen < enough; i++) {
        pause_for(ROUND);       /* its end is told to the database */
        unseen = is_unseen(h, id) ? unseen + 1 : 0;
        if (unseen == 0 && i % 4 == 1) {
            blink(h, id);
            enough = 3;         /* a busy engine may hear of its beginning late */
        }
    }
    if (unseen >= enough)
        return;
    hatchet_log(h, MF_LOG_WARN, "the engine does not see that the stream of actions has ended: what it sends here in the next seconds "
                "runs 30 s later");
}

static void unsubscribe(hatchet *h)
{
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    char id[HATCHET_ID_MAX];
    mf_error err = {0};
    pthread_mutex_lock(&h->lock);
    memcpy(id, h->worker_id, sizeof id);
    pthread_mutex_unlock(&h->lock);
    w.worker_id = id;
    if (hatchet_call(h, "/Dispatcher/Unsubscribe", &w.base, mf_seconds(2), NULL, NULL, NULL, &err) != MF_OK)
        hatchet_log(h, MF_LOG_WARN, "no good-bye: %s", err.text);
}

/* Nothing more is taken (the stream is canceled: the engine then assigns nothing to us), what runs ends while heartbeats go on,
 * its outcomes are told, and only then are we gone. */
static void worker_stop(mf_worker *worker)
{
    hatchet *h = hatchet_of_worker(worker);
    pthread_mutex_lock(&h->lock);
    bool was_serving = h->serving;
    h->serving = false;
    h->leaving = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
    if (was_serving)
        leave_sight(h);
    if (h->pool != NULL) {
        mf_pool_wake_helpers(h->pool);
        (void)mf_pool_drain(h->pool);       /* jobs that had not begun see that nothing is served any more */
    }
    if (was_serving) {
        wait_until_told(h);
        unsubscribe(h);
    }
    pthread_mutex_lock(&h->lock);
    h->attached = false;
    pthread_mutex_unlock(&h->lock);
    if (was_serving && h->serving_options.on_stop != NULL)
        h->serving_options.on_stop(h->serving_options.user);
}

static void worker_destroy(mf_worker *worker)
{
    hatchet *h = hatchet_of_worker(worker);
    pthread_mutex_lock(&h->lock);
    h->has_worker = false;
    pthread_mutex_unlock(&h->lock);
}

static const mf_worker_ops worker_ops = {
    .struct_size = sizeof(mf_worker_ops),
    .start = worker_start,
    .drain = worker_drain,
    .stop = worker_stop,
    .destroy = worker_destroy,
};

mf_status hatchet_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options, mf_worker **out,
                         mf_error *err)
{
    hatchet *h = hatchet_of(base);
    (void)n;
    if (names != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "a worker serves all declared tasks, not a choice of them");
    pthread_mutex_lock(&h->lock);
    bool taken = h->has_worker || h->pool != NULL;
    h->has_worker = true;
    pthread_mutex_unlock(&h->lock);
    if (taken)
        return mf_fail(err, MF_E_STATE, "this client has, or had, its worker already");
    h->worker.ops = &worker_ops;
    h->serving_options = *options;
    *out = &h->worker;
    return MF_OK;
}

mf_status hatchet_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    hatchet *h = hatchet_of(base);
    if (h->pool == NULL || !mf_pool_on_worker(h->pool))
        return MF_E_UNSUPPORTED;
    return mf_pool_help_until(h->pool, done, arg, deadline_ns);
}
