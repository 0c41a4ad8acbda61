#include "queue_private.h"

#include <time.h>
#include <unistd.h>

#include "clock.h"

static _Thread_local queue_manager *serving_here;

static struct timespec at_ns(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* Somebody else's worker: it knows the message alone, and its end is seen from outside. */
static void serve_foreign(queue_manager *q, const parcel *p)
{
    int64_t n = 0;
    mf_message *value = NULL;
    mf_signature_status status = MF_STATUS_DONE;
    if (strcmp(p->task, "double") == 0 && mf_message_scan(p->message, NULL, "{s:I}", "n", &n) == MF_OK) {
        value = mf_msg("I", 2 * n);
    } else if (strcmp(p->task, "broken") == 0) {
        value = mf_msg("{s:s, s:s}", "type", "ForeignError", "text", "it is broken there");
        status = MF_STATUS_FAILED;
    } else {
        return;
    }
    q->host->ops->outcome(q->host, &p->unit, status, value, NULL);
    mf_message_unref(value);
}

/* The lock is held, and given up around the delivery. */
static void deliver(queue_manager *q, parcel *p)
{
    pthread_mutex_unlock(&q->lock);
    if (p->foreign) {
        serve_foreign(q, p);
        parcel_done(q, p);
        pthread_mutex_lock(&q->lock);
        return;
    }
    mf_delivery delivery = {.id = mf_cstr(p->id), .task = mf_cstr(p->task), .message = p->message, .error = p->error,
                            .unit = p->unit, .attempt = p->attempt, .priority = p->priority, .native = p};
    q->host->ops->deliver(q->host, &delivery);
    parcel_done(q, p);
    pthread_mutex_lock(&q->lock);
}

static void *serve(void *arg)
{
    queue_manager *q = arg;
    serving_here = q;
    pthread_mutex_lock(&q->lock);
    while (!q->stopping) {
        parcel *p = parcel_take(q);
        if (p != NULL)
            deliver(q, p);
        else
            pthread_cond_wait(&q->changed, &q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* What done asks for may change between the look and the wait: wake_helpers counts, so that it is not missed. */
mf_status queue_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    queue_manager *q = queue_of(base);
    if (serving_here != q)
        return MF_E_UNSUPPORTED;
    struct timespec until = at_ns(deadline_ns);
    pthread_mutex_lock(&q->lock);
    for (;;) {
        unsigned long wakes = q->wakes;
        pthread_mutex_unlock(&q->lock);
        bool enough = done(arg) || mfi_now_ns(NULL) >= deadline_ns;
        pthread_mutex_lock(&q->lock);
        if (enough)
            break;
        parcel *p = parcel_take(q);
        if (p != NULL)
            deliver(q, p);
        else if (q->wakes == wakes)
            pthread_cond_timedwait(&q->changed, &q->lock, &until);
    }
    pthread_mutex_unlock(&q->lock);
    return MF_OK;
}

static queue_manager *queue_of_worker(mf_worker *worker)
{
    return (queue_manager *)(void *)((char *)worker - offsetof(queue_manager, worker));
}

static void worker_stop(mf_worker *worker)
{
    queue_manager *q = queue_of_worker(worker);
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    bool served = q->thread_count > 0;
    while (q->thread_count > 0)
        pthread_join(q->threads[--q->thread_count], NULL);
    if (served && q->serving.on_stop != NULL)
        q->serving.on_stop(q->serving.user);
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    queue_manager *q = queue_of_worker(worker);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = q->serving.threads != 0 ? q->serving.threads : (unsigned)(cpus > 0 ? cpus : 1);
    if (q->serving.on_start != NULL)
        q->serving.on_start(q->serving.user);
    for (unsigned i = 0; i < n && i < THREADS_MAX; i++) {
        if (pthread_create(&q->threads[i], NULL, serve, q) != 0) {
            worker_stop(worker);
            return mf_fail(err, MF_E_IO, "queue: no thread");
        }
        q->thread_count++;
    }
    return MF_OK;
}

/* Longer than the store keeps rows for whoever publishes them. */
#define SOON_MS 10000

/* What is due and not published yet is on its way here. In the store a row in its publisher's hands looks like one that is
 * due soon, so what is due soon is waited for too. */
static bool is_idle(queue_manager *q)
{
    if (q->first != NULL || q->running > 0)
        return false;
    size_t waiting = 0, claimed = 0, got = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    mf_store_load_counts(q->store, &waiting, &claimed);
    if (mf_store_take(q->store, 0, &nothing, &got, &next_due, NULL) != MF_OK)
        return false;
    return waiting == 0 || next_due > mf_store_now_ms(q->store) + SOON_MS;
}

static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    queue_manager *q = queue_of_worker(worker);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    mf_status st = MF_OK;
    pthread_mutex_lock(&q->lock);
    while (!is_idle(q) && st == MF_OK) {
        int64_t now = mfi_now_ns(NULL);
        struct timespec until = at_ns(now + 1000000 < deadline ? now + 1000000 : deadline);
        pthread_cond_timedwait(&q->changed, &q->lock, &until);     /* the outbox tells nobody when it is through */
        if (mfi_now_ns(NULL) >= deadline)
            st = MF_E_TIMEOUT;
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

static void worker_destroy(mf_worker *worker)
{
    (void)worker;       /* a part of the adapter */
}

mf_status queue_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                       mf_worker **out, mf_error *err)
{
    static const mf_worker_ops ops = {.struct_size = sizeof ops, .start = worker_start, .drain = worker_drain,
                                      .stop = worker_stop, .destroy = worker_destroy};
    queue_manager *q = queue_of(base);
    if (names != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "queue: a worker serves all tasks, not a choice of %zu", n);
    q->serving = *options;
    q->worker.ops = &ops;
    *out = &q->worker;
    return MF_OK;
}
