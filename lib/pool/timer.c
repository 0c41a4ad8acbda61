/* Jobs for later: a heap of timers, which lie with their callers, and one thread that sleeps until the first is due. There is
 * neither before somebody starts a timer.
 *
 * A timer that is due is queued as a HIGH job: it is late already, and that queue is never full. All this under one lock, so
 * that a cancel finds a timer either in the heap or queued for good.
 *
 * Rejected  a worker that sleeps until the first timer: all may be busy when it is due. A timerfd: a descriptor and a thread, or
 *           a poll loop, where the thread alone does.
 */
#include "pool_impl.h"

#include "clock.h"
#include "heap.h"
#include "memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define AGAIN mf_milliseconds(10)       /* when there was no memory to queue what is due */

/* What mf_pool_timer holds. */
typedef struct timer {
    struct mfi_node node;       /* due in ns. First: the heap hands out its address */
    mf_pool        *pool;
    mf_job_fn      *fn;
    void           *arg;
    uint64_t        waits;      /* T  1: in the heap */
} timer;
_Static_assert(sizeof(timer) <= sizeof(mf_pool_timer) && _Alignof(timer) <= _Alignof(mf_pool_timer), "it fits");

/* T under the lock */
struct mfi_timers {
    mf_pool        *pool;       /* I */
    pthread_mutex_t lock;
    pthread_t       thread;     /* I */
    mfi_parker      bed;        /* A */
    struct mfi_heap heap;       /* T */
    uint64_t        last_id;    /* T */
    bool            ending;     /* T */
};

/* The lock is held. */
static void queue_due(struct mfi_timers *t, int64_t now_ns)
{
    struct mfi_node *top;
    while ((top = mfi_heap_top(&t->heap)) != NULL && top->due <= now_ns) {
        timer *due = (timer *)(void *)top;
        mfi_heap_remove(&t->heap, top);
        mf_status st = mf_pool_submit_priority(t->pool, MF_POOL_HIGH, due->fn, due->arg);
        if (st == MF_E_NOMEM) {
            top->due = now_ns + AGAIN;
            mfi_heap_push(&t->heap, top);
        } else {
            due->waits = 0;     /* queued, and from here on the caller's; or the pool is closed */
        }
    }
}

static void *timers_main(void *arg)
{
    struct mfi_timers *t = arg;
    char name[16];
    snprintf(name, sizeof name, "%.10s-time", t->pool->name);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&t->lock);
    while (!t->ending) {
        queue_due(t, mfi_now_ns(NULL));
        const struct mfi_node *top = mfi_heap_top(&t->heap);
        int64_t until = top != NULL ? top->due : INT64_MAX;
        pthread_mutex_unlock(&t->lock);
        mfi_parker_park(&t->bed, until);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static mf_status timers_make(mf_pool *pool, struct mfi_timers **out)
{
    struct mfi_timers *t = mf_new(pool->allocator, struct mfi_timers);
    if (t == NULL)
        return MF_E_NOMEM;
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        mf_delete(pool->allocator, t);
        return MF_E_NOMEM;
    }
    t->pool = pool;
    mfi_parker_init(&t->bed);
    /* A program's signal handlers are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, timers_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        pthread_mutex_destroy(&t->lock);
        mf_delete(pool->allocator, t);
        return rc == ENOMEM ? MF_E_NOMEM : MF_E_IO;
    }
    *out = t;
    return MF_OK;
}

static mf_status timers_of(mf_pool *pool, struct mfi_timers **out)
{
    mf_status st = MF_OK;
    /* Acquire: pairs with the release below. */
    *out = atomic_load_explicit(&pool->timers, memory_order_acquire);
    if (*out != NULL)
        return MF_OK;
    pthread_mutex_lock(&pool->spares_lock);
    *out = atomic_load_explicit(&pool->timers, memory_order_relaxed);
    if (*out == NULL && (st = timers_make(pool, out)) == MF_OK)
        atomic_store_explicit(&pool->timers, *out, memory_order_release);
    pthread_mutex_unlock(&pool->spares_lock);
    return st;
}

mf_status mf_pool_timer_start(mf_pool_timer *at, mf_pool *pool, mf_duration delay, mf_job_fn *fn, void *arg)
{
    struct mfi_timers *t;
    timer *mine = (timer *)(void *)at;
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    if (fn == NULL || delay < 0)
        return MF_E_INVALID;
    if (atomic_load_explicit(&pool->closed, memory_order_seq_cst) != 0)
        return MF_E_CLOSED;
    mf_status st = timers_of(pool, &t);
    if (st != MF_OK)
        return st;
    *mine = (timer){.node.due = mfi_deadline_ns(mfi_now_ns(NULL), delay), .pool = pool, .fn = fn, .arg = arg};
    pthread_mutex_lock(&t->lock);
    mine->node.id = ++t->last_id;
    if (mfi_heap_reserve(&t->heap, pool->allocator, t->heap.count + 1)) {
        mfi_heap_push(&t->heap, &mine->node);
        mine->waits = 1;
    } else {
        st = MF_E_NOMEM;
    }
    bool first = mfi_heap_top(&t->heap) == &mine->node;
    pthread_mutex_unlock(&t->lock);
    if (first)
        mfi_parker_unpark(&t->bed);
    return st;
}

bool mf_pool_timer_cancel(mf_pool_timer *at)
{
    timer *mine = (timer *)(void *)at;
    if (mfi_pool_forked(mine->pool))
        return false;
    struct mfi_timers *t = atomic_load_explicit(&mine->pool->timers, memory_order_acquire);
    pthread_mutex_lock(&t->lock);
    bool waits = mine->waits != 0;
    if (waits) {
        mfi_heap_remove(&t->heap, &mine->node);
        mine->waits = 0;
    }
    pthread_mutex_unlock(&t->lock);
    return waits;
}

void mfi_timers_end(mf_pool *pool)
{
    struct mfi_timers *t = atomic_load_explicit(&pool->timers, memory_order_acquire);
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_mutex_unlock(&t->lock);
    mfi_parker_unpark(&t->bed);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
}

void mfi_timers_free(mf_pool *pool)
{
    struct mfi_timers *t = atomic_load_explicit(&pool->timers, memory_order_relaxed);
    if (t == NULL)
        return;
    mfi_heap_fini(&t->heap, pool->allocator);
    mf_delete(pool->allocator, t);
}
