#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "parker.h"
#include "redis_impl.h"
#include "refcount.h"

/* ---- create and destroy ----------------------------------------------------------------------------------------- */

static mf_duration or_else(mf_duration given, mf_duration fallback)
{
    return given > 0 ? given : fallback;
}

static void redis_free(mfi_redis *redis)
{
    mfi_conn_fini(&redis->main);
    mfi_conn_fini(&redis->block);
    if (redis->spare != NULL)
        mfi_redis_replies_destroy(&redis->spare->public);
    if (redis->trash != NULL)
        mfi_redis_replies_destroy(&redis->trash->public);
    for (mfi_redis_script *s = atomic_load_explicit(&redis->scripts, memory_order_relaxed), *next; s != NULL; s = next) {
        next = s->next;
        mfi_release(redis->allocator, s, sizeof *s + s->len + 1);
    }
    if (redis->address != NULL) {
        mfi_redis_address_wipe(redis->address);
        mf_delete(redis->allocator, redis->address);
    }
    mfi_release(redis->allocator, redis->in, MFI_REDIS_OUT);
    if (redis->wake_fd >= 0)
        close(redis->wake_fd);
    pthread_cond_destroy(&redis->changed);
    pthread_mutex_destroy(&redis->lock);
    mf_delete(redis->allocator, redis);
}

static bool init_waiting(mfi_redis *redis)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bool ok = pthread_cond_init(&redis->changed, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (ok && pthread_mutex_init(&redis->lock, NULL) != 0) {
        pthread_cond_destroy(&redis->changed);
        ok = false;
    }
    return ok;
}

/* The program's signals are its own threads'. */
static int start_thread(mfi_redis *redis)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&redis->thread, NULL, mfi_redis_io, redis);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static mf_status take_options(mfi_redis *redis, const mfi_redis_options *o, mf_error *err)
{
    const char *name = o->name != NULL ? o->name : "mageflow";
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (name[i] < '!' || name[i] > '~')
            return mf_fail(err, MF_E_INVALID, "redis: the connection's name holds a blank, or what is no ASCII");
    if (len >= sizeof redis->name)
        return mf_fail(err, MF_E_INVALID, "redis: the connection's name has at most %zu bytes", sizeof redis->name - 1);
    memcpy(redis->name, name, len + 1);
    redis->connect_timeout = or_else(o->connect_timeout, mf_seconds(5));
    redis->answer_timeout = or_else(o->answer_timeout, mf_seconds(5));
    redis->request_timeout = or_else(o->request_timeout, mf_seconds(10));
    redis->outstanding_max = o->outstanding != 0 ? o->outstanding : 65536;
    redis->reply_max = o->reply_max != 0 ? o->reply_max : (size_t)512 << 20;
    redis->observe = o->observe;
    redis->tick = o->tick;
    redis->user = o->user;
    redis->tick_at = 0;
    return MF_OK;
}

mf_status mfi_redis_create(const mfi_redis_options *options, mfi_redis **out, mf_error *err)
{
    const mf_allocator *a = options->allocator;
    mf_status st = mfi_redis_address_check(options->address, err);
    if (st != MF_OK)
        return st;
    mfi_redis *redis = mf_new(a, mfi_redis);
    if (redis == NULL)
        return mf_fail(err, MF_E_NOMEM, "redis: out of memory");
    redis->allocator = a;
    redis->clock = options->clock;
    redis->random = options->random;
    redis->wake_fd = -1;
    if (!init_waiting(redis)) {
        mf_delete(a, redis);
        return mf_fail(err, MF_E_NOMEM, "redis: out of memory");
    }
    redis->address = mf_new(a, mfi_redis_address);
    redis->in = mfi_alloc(a, MFI_REDIS_OUT);
    redis->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (redis->address == NULL || redis->in == NULL || redis->wake_fd < 0) {
        st = mf_fail(err, redis->address == NULL || redis->in == NULL ? MF_E_NOMEM : MF_E_IO, "redis: no memory or no eventfd");
        goto fail;
    }
    *redis->address = *options->address;
    mfi_redis_address_text(redis->address, redis->text, sizeof redis->text);
    mf_fail(&redis->why, MF_E_AGAIN, "%s: still connecting", redis->text);
    st = take_options(redis, options, err);
    if (st == MF_OK)
        st = mfi_conn_init(&redis->main, redis, false, err);
    if (st == MF_OK)
        st = mfi_conn_init(&redis->block, redis, true, err);
    int rc = st == MF_OK ? start_thread(redis) : 0;
    if (rc != 0)
        st = mf_fail(err, MF_E_NOMEM, "redis: no thread to be had");
    if (st != MF_OK)
        goto fail;
    *out = redis;
    return MF_OK;

fail:
    redis_free(redis);
    return st;
}

void mfi_redis_destroy(mfi_redis *redis, mf_duration drain)
{
    if (redis == NULL)
        return;
    assert(!mfi_redis_here(redis));
    redis->drain = drain;
    atomic_store_explicit(&redis->closing, 1, memory_order_seq_cst);
    mfi_redis_ring(redis);
    pthread_join(redis->thread, NULL);
    /* What came between the thread's last look and its end, and what callbacks tried since. */
    mf_error err;
    mf_fail(&err, MF_E_CLOSED, "%s: closed", redis->text);
    mfi_redis_request *rq = atomic_exchange_explicit(&redis->inbox, NULL, memory_order_acquire);
    while (rq != NULL) {
        mfi_redis_request *next = rq->next;
        mfi_redis_finish(redis, rq, MF_E_CLOSED, &err);
        rq = next;
    }
    redis_free(redis);
}

/* ---- submitting ------------------------------------------------------------------------------------------------- */

mf_status mfi_redis_submit(mfi_redis *redis, mfi_redis_request *rq, const mfi_redis_how *how, mfi_redis_done_fn *done,
                           void *user)
{
    static const mfi_redis_how usual = {0};
    mf_status st = MF_OK;
    if (rq == NULL || rq->failed)
        st = MF_E_NOMEM;
    else if (rq->commands == 0)
        st = MF_E_INVALID;
    else if (atomic_load_explicit(&redis->closing, memory_order_acquire) != 0)
        st = MF_E_CLOSED;
    else if (atomic_fetch_add_explicit(&redis->outstanding, 1, memory_order_relaxed) >= redis->outstanding_max) {
        atomic_fetch_sub_explicit(&redis->outstanding, 1, memory_order_relaxed);
        st = MF_E_FULL;
    }
    if (st != MF_OK) {
        mfi_redis_request_destroy(rq);
        return st;
    }
    if (how == NULL)
        how = &usual;
    rq->done = done;
    rq->user = user;
    rq->idempotent = how->idempotent;
    rq->blocking = how->blocking;
    rq->blocks = how->blocking ? how->blocks : 0;
    rq->deadline = how->within == MF_FOREVER ? INT64_MAX :
                   mfi_deadline_ns(mfi_now_ns(redis->clock), or_else(how->within, redis->request_timeout));
    mfi_request_rewind(rq);
    mfi_redis_request *top = atomic_load_explicit(&redis->inbox, memory_order_relaxed);
    do
        rq->next = top;
    while (!atomic_compare_exchange_weak_explicit(&redis->inbox, &top, rq, memory_order_seq_cst, memory_order_relaxed));  /* S1 */
    mfi_redis_ring(redis);
    return MF_OK;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

/* Shared by who waits and who answers: the one may go when its time is over, while the other still has it. */
struct waiter {
    mfi_refcount        holders;     /* the caller; the request */
    const mf_allocator *allocator;
    mfi_parker          parker;
    _Atomic bool        over;
    mf_status           st;          /* from here on: written before over */
    mf_error            err;
    mfi_redis_replies  *replies;
};

static void let_go(struct waiter *w)
{
    if (!mfi_refcount_unref(&w->holders))
        return;
    mfi_redis_replies_destroy(w->replies);
    mf_delete(w->allocator, w);
}

static void wake(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct waiter *w = user;
    w->st = st;
    if (err != NULL)
        w->err = *err;
    if (replies != NULL)
        mfi_redis_replies_keep(replies);
    w->replies = replies;
    atomic_store_explicit(&w->over, true, memory_order_release);
    mfi_parker_unpark(&w->parker);
    let_go(w);
}

mf_status mfi_redis_call(mfi_redis *redis, mfi_redis_request *rq, const mfi_redis_how *how, mfi_redis_replies **out,
                         mf_error *err)
{
    if (out != NULL)
        *out = NULL;
    struct waiter *w = mfi_redis_here(redis) ? NULL : mf_new(redis->allocator, struct waiter);
    if (w == NULL) {
        mfi_redis_request_destroy(rq);
        return mfi_redis_here(redis) ? mf_fail(err, MF_E_STATE, "%s: a callback cannot wait", redis->text) :
               mf_fail(err, MF_E_NOMEM, "%s: out of memory", redis->text);
    }
    mfi_refcount_init(&w->holders);
    mfi_refcount_ref(&w->holders);
    w->allocator = redis->allocator;
    mfi_parker_init(&w->parker);
    mf_duration within = how != NULL && how->within != 0 ? how->within : redis->request_timeout;
    /* The I/O thread keeps the deadline, and knows more to say; it is late only while it resolves a name. */
    int64_t until = mfi_deadline_ns(mfi_deadline_ns(mfi_now_ns(redis->clock), within), mf_milliseconds(200));

    mf_status st = mfi_redis_submit(redis, rq, how, wake, w);
    if (st != MF_OK) {
        mfi_refcount_unref(&w->holders);
        let_go(w);
        return mf_fail(err, st, "%s: %s", redis->text, st == MF_E_FULL ? "too many requests are waiting for an answer" :
                       mf_status_text(st));
    }
    bool over;
    while (!(over = atomic_load_explicit(&w->over, memory_order_acquire)))
        if (!mfi_parker_park(&w->parker, until))
            break;
    if (!over && !atomic_load_explicit(&w->over, memory_order_acquire)) {
        st = mf_fail(err, MF_E_TIMEOUT, "%s: no answer in time; not known whether it was done", redis->text);
    } else {
        st = w->st;
        if (st != MF_OK && err != NULL)
            *err = w->err;
        if (out != NULL) {
            *out = w->replies;
            w->replies = NULL;
        }
    }
    let_go(w);
    return st;
}

mf_status mfi_redis_wait_up(mfi_redis *redis, mf_duration timeout, mf_error *err)
{
    if (mfi_redis_here(redis))
        return mf_fail(err, MF_E_STATE, "%s: a callback cannot wait", redis->text);
    int64_t until = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    struct timespec at = {until / 1000000000, until % 1000000000};
    mf_status st = MF_OK;
    pthread_mutex_lock(&redis->lock);
    while (!redis->up && !redis->refused && st == MF_OK) {
        int rc = timeout == MF_FOREVER ? pthread_cond_wait(&redis->changed, &redis->lock) :
                 pthread_cond_timedwait(&redis->changed, &redis->lock, &at);
        if (rc == ETIMEDOUT)
            st = MF_E_TIMEOUT;
    }
    if (redis->up)
        st = MF_OK;
    else
        st = mf_fail(err, redis->refused ? redis->why.status : MF_E_TIMEOUT, "%s", redis->why.text);
    pthread_mutex_unlock(&redis->lock);
    return st;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

bool mfi_redis_up(const mfi_redis *redis)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&redis->lock;
    pthread_mutex_lock(lock);
    bool up = redis->up;
    pthread_mutex_unlock(lock);
    return up;
}

void mfi_redis_interrupt(mfi_redis *redis)
{
    atomic_store_explicit(&redis->interrupted, 1, memory_order_seq_cst);
    mfi_redis_ring(redis);
}

void mfi_redis_poke(mfi_redis *redis)
{
    atomic_store_explicit(&redis->poked, 1, memory_order_seq_cst);
    mfi_redis_ring(redis);
}

const char *mfi_redis_text(const mfi_redis *redis)
{
    return redis->text;
}

void mfi_redis_stats_read(const mfi_redis *redis, mfi_redis_stats *out)
{
#define READ(what) out->what = atomic_load_explicit(&redis->stats.what, memory_order_relaxed)
    READ(connects);
    READ(drops);
    READ(requests);
    READ(commands);
    READ(writes);
    READ(reads);
    READ(bytes_out);
    READ(bytes_in);
    READ(resent);
#undef READ
}

void mfi_redis_health_read(const mfi_redis *redis, mf_link_health *out)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&redis->lock;
    mfi_redis_stats stats;
    mfi_redis_stats_read(redis, &stats);
    *out = (mf_link_health){.connects = stats.connects, .drops = stats.drops, .requests = stats.requests,
                            .bytes_out = stats.bytes_out, .bytes_in = stats.bytes_in};
    snprintf(out->server, sizeof out->server, "%.*s", (int)sizeof out->server - 1, redis->text);
    pthread_mutex_lock(lock);
    out->connected = redis->up;
    out->since_ns = redis->since_ns;
    snprintf(out->last_error, sizeof out->last_error, "%.*s", (int)sizeof out->last_error - 1, redis->why.text);
    pthread_mutex_unlock(lock);
}
