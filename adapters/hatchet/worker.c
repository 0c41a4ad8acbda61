/* Serving: define, register, listen; say good-bye. */
#include "hatchet.h"

#include <time.h>

#include "clock.h"
#include "memory.h"
#include "stack.h"

#define TELL_WITHIN HATCHET_CLOSE_WITHIN        /* at the end: outcomes that cannot be told any more */

static hatchet *hatchet_of_worker(mf_worker *worker)
{
    return (hatchet *)(void *)((char *)worker - offsetof(hatchet, worker));
}

static void tell_tasks(hatchet *h, bool told)
{
    pthread_mutex_lock(&h->lock);
    h->told_tasks = told;
    pthread_mutex_unlock(&h->lock);
}

static mf_status serve(hatchet *h, mf_error *err)
{
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

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    hatchet *h = hatchet_of_worker(worker);
    tell_tasks(h, true);
    mf_status st = serve(h, err);
    if (st != MF_OK)
        tell_tasks(h, false);
    return st;
}

/* The lock is held. */
static bool has_to_tell(const hatchet *h)
{
    return h->returning > 0 || h->telling.first != NULL || h->under_way > 0 || h->streaming > 0;
}

static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    return hatchet_drain(hatchet_of_worker(worker), timeout);
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

/* See leave.c for what it takes to be assigned nothing more, and for how long heartbeats go on. Outcomes are told before we are gone. */
static void worker_stop(mf_worker *worker)
{
    hatchet *h = hatchet_of_worker(worker);
    pthread_mutex_lock(&h->lock);
    bool was_serving = h->serving && !h->leaving;
    h->leaving = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
    if (was_serving)
        hatchet_leave(h);
    if (h->pool != NULL) {
        mf_pool_wake_helpers(h->pool);
        (void)mf_pool_drain(h->pool);       /* jobs that had not begun see that nothing is served any more */
    }
    if (was_serving)
        wait_until_told(h);
    pthread_mutex_lock(&h->lock);
    h->attached = h->told_tasks = false;        /* what is declared from now on is for sending */
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
    if (mfi_stack_is_short())
        return MF_E_FULL;
    return mf_pool_help_until(h->pool, done, arg, deadline_ns);
}
