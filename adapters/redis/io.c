/* The I/O thread: one loop over an inbox, two connections and a timer.
 *
 * Waking it without losing a request, and without a system call while it is awake:
 *
 *    submitter                          the thread, with nothing left to do
 *    S1  push onto the inbox            T1  asleep = 1
 *    S2  read asleep; 1: take it to     T2  look at the inbox and the flags once more
 *        0 and write the eventfd        T3  poll, the eventfd among others
 *
 * Invariant  S2 sees asleep, or T2 sees the request, or both; never neither.
 * Why        each side writes one word, then reads the other's: all four are seq_cst, for under acquire and release both reads
 *            may return the old value and the request waits with the thread. Between T1 and T3 the eventfd keeps the wake.
 * Inbox      pushed by compare-and-swap, the newest first, and taken as a whole by an exchange: nothing is ever popped by one
 *            while another looks at it, so that there is no ABA and nothing to reclaim. Pushing is lock-free; a submitter
 *            that is halted before its push holds nobody up.
 * Checked    tests/stress/redis, tests/unit/redis */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "redis_impl.h"

static _Thread_local const mfi_redis *here;

bool mfi_redis_here(const mfi_redis *redis)
{
    return here == redis;
}

void mfi_redis_ring(mfi_redis *redis)
{
    /* S2. Only one of many writes. */
    if (atomic_load_explicit(&redis->asleep, memory_order_seq_cst) == 0 ||
        atomic_exchange_explicit(&redis->asleep, 0, memory_order_seq_cst) == 0)
        return;
    uint64_t one = 1;
    while (write(redis->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void mfi_redis_finish(mfi_redis *redis, mfi_redis_request *rq, mf_status st, const mf_error *err)
{
    mfi_replies *replies = rq->replies;
    bool told = rq->ghost;      /* when its time was over */
    if (!told && !rq->internal) {
        atomic_fetch_sub_explicit(&redis->outstanding, 1, memory_order_relaxed);
        MFI_COUNT(redis, requests, 1);
    }
    /* All answered, or none for the user. */
    bool whole = replies != NULL && (rq->wire != rq->bytes ? rq->answered == rq->expected : rq->answered == rq->commands);
    rq->replies = NULL;
    if (replies != NULL)
        replies->home = &replies;
    if (!told && rq->done != NULL)
        rq->done(rq->user, st, whole ? &replies->public : NULL, err);
    if (replies != NULL) {
        mfi_replies **spare = told ? &redis->trash : &redis->spare;
        if (*spare == NULL)
            *spare = replies;
        else
            mfi_redis_replies_destroy(&replies->public);
    }
    mfi_redis_request_destroy(rq);
}

/* The blocking connection counts while somebody wants it and it cannot be had. */
static const mf_error *what_fails(const mfi_redis *redis)
{
    if (redis->main.state != CONN_UP)
        return &redis->main.why;
    if (redis->block.state != CONN_UP && redis->block.state != CONN_IDLE && redis->block.why.status != MF_OK)
        return &redis->block.why;
    return NULL;
}

void mfi_redis_changed(mfi_redis *redis)
{
    const mf_error *why = what_fails(redis);
    bool up = why == NULL;
    bool news = redis->up != up || (!up && strcmp(redis->why.text, why->text) != 0);
    mf_status st = redis->main.state == CONN_UP ? MF_OK : redis->main.why.status;
    pthread_mutex_lock(&redis->lock);
    if (redis->up != up)
        redis->since_ns = mfi_now_ns(NULL);
    redis->up = up;
    redis->refused = st == MF_E_INVALID || st == MF_E_UNSUPPORTED;
    if (!up)
        redis->why = *why;
    pthread_cond_broadcast(&redis->changed);
    pthread_mutex_unlock(&redis->lock);
    if (news && redis->observe != NULL)
        redis->observe(redis->user, up, up ? NULL : &redis->why);
}

/* ---- the inbox -------------------------------------------------------------------------------------------------- */

static void sort_in(mfi_redis *redis, mfi_redis_request *rq)
{
    if (redis->refused) {
        mf_error why = redis->why;
        mfi_redis_finish(redis, rq, why.status, &why);
    } else {
        mfi_conn_add(rq->blocking ? &redis->block : &redis->main, rq);
    }
}

static bool take_inbox(mfi_redis *redis)
{
    /* Acquire: what the submitters wrote into their requests. */
    mfi_redis_request *newest = atomic_exchange_explicit(&redis->inbox, NULL, memory_order_acquire), *oldest = NULL;
    if (newest == NULL)
        return false;
    while (newest != NULL) {
        mfi_redis_request *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        mfi_redis_request *next = oldest->next;
        sort_in(redis, oldest);
        oldest = next;
    }
    return true;
}

static bool has_news(mfi_redis *redis)
{
    return atomic_load_explicit(&redis->inbox, memory_order_seq_cst) != NULL ||
           atomic_load_explicit(&redis->poked, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&redis->interrupted, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&redis->closing, memory_order_seq_cst) == 1;      /* 2: known */
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static void run_tick(mfi_redis *redis, int64_t now)
{
    bool poked = atomic_load_explicit(&redis->poked, memory_order_relaxed) != 0 &&
                 atomic_exchange_explicit(&redis->poked, 0, memory_order_acquire) != 0;
    if (redis->tick != NULL && (poked || now >= redis->tick_at))
        redis->tick_at = redis->tick(redis->user, now);
}

static int64_t earliest(const mfi_redis *redis, int64_t drain_until)
{
    int64_t due = redis->tick != NULL ? redis->tick_at : INT64_MAX;
    int64_t others[] = {mfi_conn_due(&redis->main), mfi_conn_due(&redis->block), drain_until};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        due = others[i] < due ? others[i] : due;
    return due;
}

static void wait_and_read(mfi_redis *redis, int64_t drain_until)
{
    struct pollfd fds[3] = {{.fd = redis->wake_fd, .events = POLLIN}};
    mfi_conn *conns[3] = {NULL};
    nfds_t n = 1;
    mfi_conn *all[] = {&redis->main, &redis->block};
    for (size_t i = 0; i < 2; i++)
        if (mfi_conn_wants(all[i], &fds[n].fd, &fds[n].events))
            conns[n++] = all[i];

    struct timespec span = {0}, *timeout = &span;
    int64_t due = earliest(redis, drain_until);
    atomic_store_explicit(&redis->asleep, 1, memory_order_seq_cst);      /* T1 */
    if (has_news(redis)) {                                               /* T2 */
        atomic_store_explicit(&redis->asleep, 0, memory_order_relaxed);
    } else if (due == INT64_MAX) {
        timeout = NULL;
    } else {
        int64_t left = due - mfi_now_ns(redis->clock);
        if (left > 0)
            span = (struct timespec){left / 1000000000, left % 1000000000};
    }
    int ready = ppoll(fds, n, timeout, NULL);                            /* T3 */
    atomic_store_explicit(&redis->asleep, 0, memory_order_relaxed);
    if (ready <= 0)
        return;
    if (fds[0].revents != 0) {
        uint64_t rings;
        ssize_t got = read(redis->wake_fd, &rings, sizeof rings);
        (void)got;
    }
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents != 0)
            mfi_conn_ready(conns[i], mfi_now_ns(redis->clock));
}

static bool closed(mfi_redis *redis, int64_t now, int64_t *drain_until)
{
    if (atomic_load_explicit(&redis->closing, memory_order_acquire) == 0)
        return false;
    if (*drain_until == INT64_MAX) {
        atomic_store_explicit(&redis->closing, 2, memory_order_relaxed);
        int64_t until = mfi_deadline_ns(now, redis->drain);
        *drain_until = until < INT64_MAX ? until : INT64_MAX - 1;
        if (redis->block.state != CONN_IDLE)
            mfi_conn_interrupt(&redis->block, now);
    }
    return now >= *drain_until || (!mfi_conn_busy(&redis->main) && !mfi_conn_busy(&redis->block));
}

void *mfi_redis_io(void *arg)
{
    mfi_redis *redis = arg;
    int64_t drain_until = INT64_MAX;
    here = redis;
    for (;;) {
        take_inbox(redis);
        int64_t now = mfi_now_ns(redis->clock);
        if (atomic_load_explicit(&redis->interrupted, memory_order_relaxed) != 0 &&
            atomic_exchange_explicit(&redis->interrupted, 0, memory_order_acquire) != 0)
            mfi_conn_interrupt(&redis->block, now);
        if (closed(redis, now, &drain_until))
            break;
        run_tick(redis, now);
        take_inbox(redis);              /* what the tick, and the answers before it, submitted goes out with this write */
        mfi_conn_drive(&redis->block, now);
        mfi_conn_drive(&redis->main, now);
        wait_and_read(redis, drain_until);
    }
    mf_error err;
    mf_fail(&err, MF_E_CLOSED, "%s: closed", redis->text);
    mfi_conn_end_all(&redis->block, MF_E_CLOSED, &err);
    mfi_conn_end_all(&redis->main, MF_E_CLOSED, &err);
    return NULL;
}
