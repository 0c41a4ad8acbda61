/* The one worker of this process: a pool, and slots. */
#include "local.h"

#include <sched.h>

#include "clock.h"
#include "memory.h"

#define SLOTS_PER_THREAD 4

/* While the store has more than there are slots, several are taken at a time: slots beyond the threads are there to be a
 * stock, and half of it may run down first. So no thread waits for a take, and a take serves more than one message. */
static unsigned low_mark(unsigned slots, unsigned threads)
{
    return slots > threads ? threads + (slots - threads) / 2 : slots - 1;
}

#define STOCK_NS  10000000  /* of work that is taken ahead, */
#define STOCK_MAX 32        /* or that many deliveries */

/* Where nobody chose a number, small jobs get more slots than four a thread: as many as end within 10 ms, so that a take
 * and a commit serve many of them. Long jobs do not: what this process holds, another one on the same store cannot take, and what is
 * urgent waits behind it. */
void local_restock(local *l)
{
    if (!l->stocks)
        return;
    int64_t now = mfi_now_ns(NULL), passed = now - l->stocked_ns;
    if (l->ended < l->slots && passed < STOCK_NS)
        return;
    uint64_t fits = passed > 0 ? (uint64_t)l->ended * STOCK_NS / (uint64_t)passed : STOCK_MAX;
    unsigned slots = fits < STOCK_MAX ? (unsigned)fits : STOCK_MAX;
    l->slots = slots > l->least ? slots : l->least;
    l->low = low_mark(l->slots, l->threads);
    l->ended = 0;
    l->stocked_ns = now;
}

static local *local_of_worker(mf_worker *worker)
{
    return (local *)(void *)((char *)worker - offsetof(local, worker));
}

#define WARM_HEAP  (60 << 10)   /* of bytes; malloc keeps that much for the thread when it is freed */
#define WARM_STACK (24 << 10)
#define PAGE       4096

/* The system makes a thread's pages one by one, when they are first touched, and malloc its heap at its first call: 35 us, which
 * the first jobs would wait for. */
static void thread_begins(void *user, unsigned index)
{
    local *l = user;
    volatile char stack[WARM_STACK];
    volatile char *heap = mfi_alloc(l->allocator, WARM_HEAP);
    (void)index;
    for (size_t at = 0; at < sizeof stack; at += PAGE)
        stack[at] = 0;
    for (size_t at = 0; heap != NULL && at < WARM_HEAP; at += PAGE)
        heap[at] = 0;
    mfi_release(l->allocator, (void *)(uintptr_t)heap, WARM_HEAP);
    atomic_fetch_add_explicit(&l->begun, 1, memory_order_seq_cst);
    mfi_event_notify(&l->changed, UINT32_MAX);
}

/* Who serves is ready to: what is sent next meets threads that wait for it. */
static void await_threads(local *l, unsigned n)
{
    for (bool all = false; !all;) {
        uint32_t prepared = mfi_event_prepare(&l->changed);
        all = atomic_load_explicit(&l->begun, memory_order_seq_cst) >= n;
        if (!all)
            mfi_event_wait(&l->changed, prepared, INT64_MAX);
        mfi_event_finish(&l->changed);
    }
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    local *l = local_of_worker(worker);
    mf_pool *pool;
    atomic_store_explicit(&l->begun, 0, memory_order_relaxed);
    mf_status st = mf_pool_create(MF_POOL_OPTIONS(.allocator = l->allocator, .workers = l->options.threads,
                                                  .when_full = MF_POOL_FULL_GROW, .thread_name = "mageflow",
                                                  .on_worker_start = thread_begins, .user = l),
                                  &pool, err);
    if (st != MF_OK)
        return st;
    if ((st = mf_pool_line_open(pool, &l->line)) != MF_OK) {
        (void)mf_pool_destroy(pool);
        return mf_fail(err, st, "local: no memory for the worker");
    }
    mf_pool_counts counts;
    (void)mf_pool_stats(pool, &counts);
    await_threads(l, counts.workers);
    atomic_store(&l->pool, pool);
    mfi_mutex_lock(&l->lock);
    l->threads = counts.workers;
    l->stocks = l->options.slots == 0;
    l->slots = l->least = l->stocks ? counts.workers * SLOTS_PER_THREAD : l->options.slots;
    l->low = low_mark(l->slots, counts.workers);
    l->ended = 0;
    l->stocked_ns = mfi_now_ns(NULL);
    bool reserves = l->stocks && l->free_jobs == NULL;     /* the first worker does, for all that come */
    mfi_mutex_unlock(&l->lock);
    if (reserves)
        local_jobs_reserve(l, STOCK_MAX);
    if (l->options.on_start != NULL)
        l->options.on_start(l->options.user);
    mfi_mutex_lock(&l->lock);
    l->serving = true;
    mfi_mutex_unlock(&l->lock);
    local_pump(l);      /* what was sent before */
    return MF_OK;
}

static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    local *l = local_of_worker(worker);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    mf_status st = MF_OK;
    for (;;) {
        local_pump(l);      /* takes everything that is due, as far as slots go */
        mfi_mutex_lock(&l->lock);
        bool runs = l->in_flight > 0 || l->helping > 0;
        if (!runs && !l->pumping && (!l->again || !l->serving)) {
            mfi_mutex_unlock(&l->lock);
            return MF_OK;
        }
        if ((runs || l->pumping) && !local_wait(l, deadline))
            st = MF_E_TIMEOUT;
        mfi_mutex_unlock(&l->lock);
        if (st != MF_OK)
            return st;
    }
}

/* The pool is there until its jobs have ended, for they wake each other; and until nobody looks at it. */
static void pool_end(local *l)
{
    mf_pool *pool = atomic_load(&l->pool);
    mf_pool_wake_helpers(pool);
    bool forked = mf_pool_stop(pool) == MF_E_FORKED;
    (void)mf_pool_drain(pool);      /* runs what is queued: each job sees that nothing is served any more */
    atomic_store(&l->pool, NULL);
    while (!forked && atomic_load(&l->visitors) > 0)
        sched_yield();              /* a visit is a few instructions; after a fork nobody would end it */
    (void)mf_pool_destroy(pool);
}

static void worker_stop(mf_worker *worker)
{
    local *l = local_of_worker(worker);
    mfi_mutex_lock(&l->lock);
    bool was_serving = l->serving;
    l->serving = false;
    while (l->pumping || l->handing > 0)
        (void)local_wait(l, INT64_MAX);
    mfi_mutex_unlock(&l->lock);
    pool_end(l);
    if (was_serving && l->options.on_stop != NULL)
        l->options.on_stop(l->options.user);
}

static void worker_destroy(mf_worker *worker)
{
    local *l = local_of_worker(worker);
    mfi_mutex_lock(&l->lock);
    l->has_worker = false;
    mfi_mutex_unlock(&l->lock);
}

static const mf_worker_ops worker_ops = {
    .struct_size = sizeof(mf_worker_ops),
    .start = worker_start,
    .drain = worker_drain,
    .stop = worker_stop,
    .destroy = worker_destroy,
};

mf_status local_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                       mf_worker **out, mf_error *err)
{
    local *l = local_of(base);
    (void)n;
    if (names != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "local threads serve all declared tasks, not a choice of them");
    mfi_mutex_lock(&l->lock);
    bool taken = l->has_worker;
    l->has_worker = true;
    mfi_mutex_unlock(&l->lock);
    if (taken)
        return mf_fail(err, MF_E_STATE, "this process has its worker already");
    l->worker.ops = &worker_ops;
    l->options = *options;
    *out = &l->worker;
    return MF_OK;
}
