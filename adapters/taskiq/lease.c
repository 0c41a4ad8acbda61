/* What we hold stays ours; what the dead held becomes somebody's; what was put off becomes due.
 *
 * Three timers on the I/O thread: every third of a lease the entries we hold are renewed, by a script that takes nothing
 * back that is not ours any more (what it names is asked to stop); every half of it we look for entries whose holder has not
 * renewed them; and when something that was put off is due, we hand it out. When that is the look itself answers; a worker that
 * puts off a call knows it, and a client that does sends a note along, which one of the workers reads (an entry with the field
 * "due" in our own stream). For those whose worker died there is a look every DUE_EVERY, with the read that came back empty.
 *
 * Whose entries are taken over: a consumer whose name begins with "mageflow-" renews, so an idle lease means that it is
 * dead. Anybody else is a Python worker, which never renews: its entries wait for the fleet's own idle_timeout. */
#include "taskiq.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

#define RENEW_MAX 256
#define DUE_EVERY mf_seconds(5)
#define GROUPS_EVERY mf_seconds(60)
#define DEAD_NAMES_MS "86400000"        /* a consumer of ours that has been gone for a day leaves no name */

static mf_str ms_text(char out[24], mf_duration span)
{
    return mf_str_of(out, (size_t)snprintf(out, 24, "%lld", (long long)(span / 1000000)));
}

typedef struct asking {
    taskiq       *owner;
    taskiq_queue *queue;
} asking;

static asking *asking_of(taskiq *t, taskiq_queue *q)
{
    asking *a = mf_new(t->allocator, asking);
    if (a != NULL)
        *a = (asking){t, q};
    return a;
}

static void ask(taskiq *t, taskiq_queue *q, mfi_redis_request *rq, bool idempotent, mfi_redis_done_fn *done, bool *busy)
{
    asking *a = asking_of(t, q);
    if (a == NULL) {
        mfi_redis_request_destroy(rq);
        return;
    }
    *busy = true;
    if (taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = idempotent, .within = mf_seconds(10)), done, a) != MF_OK) {
        *busy = false;
        mf_delete(t->allocator, a);
    }
}

/* ---- renewing ----------------------------------------------------------------------------------------------------- */

/* The call that holds this entry is not needed any more: somebody else has it. */
static void lose(taskiq *t, taskiq_queue *q, mf_str entry)
{
    char id[256];
    size_t len = 0;
    pthread_mutex_lock(&t->lock);
    taskiq_job *job = t->held;
    while (job != NULL && (job->queue != q || !mf_str_eq(entry, mf_cstr(job->entry))))
        job = job->right;
    if (job != NULL && !job->told && !atomic_load(&job->ending)) {
        job->told = true;
        if (job->running && job->delivery.id.len < sizeof id) {
            len = job->delivery.id.len;
            memcpy(id, job->delivery.id.at, len);
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (len == 0)
        return;
    taskiq_log(t, MF_LOG_WARN, "queue %s: task %.*s was given to another worker; it is asked to stop here", q->name, (int)len, id);
    t->host->ops->stop(t->host, mf_str_of(id, len));
}

/* For a list there is nothing to lose here: whether a payload is still in our in-flight list shows when it is settled. What is
 * there beside what we hold has never arrived. */
static void renewed(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    asking *a = user;
    taskiq *t = a->owner;
    (void)err;
    a->queue->renewing = false;
    if (st == MF_OK && a->queue->list && replies->count == 2)
        taskiq_list_length(t, a->queue, replies->at[1].integer);
    for (size_t i = 0; st == MF_OK && !a->queue->list && i < replies->count; i++)
        for (size_t k = 0; replies->at[i].type == MFI_REDIS_ARRAY && k < replies->at[i].count; k++)
            lose(t, a->queue, replies->at[i].items[k].text);
    mf_delete(t->allocator, a);
    taskiq_answered(t);
}

/* Entries of one stream that are held, RENEW_MAX of them to a call of the script. */
static void renew_stream(taskiq *t, taskiq_queue *q)
{
    static const size_t fixed = 3;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mf_str argv[3 + RENEW_MAX];
    char (*ids)[TASKIQ_ENTRY_MAX] = NULL;
    size_t count = 0, room = 0;
    pthread_mutex_lock(&t->lock);
    if (t->held_count > 0 && mfi_array_reserve(t->allocator, (void **)&ids, &room, t->held_count, sizeof *ids))
        for (taskiq_job *job = t->held; job != NULL; job = job->right)
            if (job->queue == q && !job->told && !atomic_load(&job->acknowledged))
                memcpy(ids[count++], job->entry, sizeof *ids);
    pthread_mutex_unlock(&t->lock);
    argv[0] = mf_cstr(q->name);
    argv[1] = mf_cstr(t->options.group);
    argv[2] = mf_cstr(t->consumer);
    for (size_t done = 0; done < count;) {
        size_t n = count - done < RENEW_MAX ? count - done : RENEW_MAX;
        for (size_t i = 0; i < n; i++)
            argv[fixed + i] = mf_cstr(ids[done + i]);
        mfi_redis_add_script(rq, t->scripts[TASKIQ_RENEW_STREAM], 1, fixed + n, argv);
        done += n;
    }
    mfi_release(t->allocator, ids, room * sizeof *ids);
    if (count > 0)
        ask(t, q, rq, true, renewed, &q->renewing);
    else
        mfi_redis_request_destroy(rq);
}

static void add_renew_list(taskiq *t, taskiq_queue *q, mfi_redis_request *rq)
{
    char lease[24];
    mf_str argv[] = {mf_cstr(q->alive), mf_cstr(q->workers), mf_cstr(t->consumer), ms_text(lease, t->options.lease)};
    mfi_redis_add_script(rq, t->scripts[TASKIQ_RENEW_LIST], 2, 4, argv);
}

static void renew(taskiq *t, taskiq_queue *q)
{
    if (q->renewing)
        return;
    if (!q->list) {
        renew_stream(t, q);
        return;
    }
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    add_renew_list(t, q, rq);
    mfi_redis_add(rq, MF_STR_LIT("LLEN"), mf_cstr(q->inflight));
    ask(t, q, rq, true, renewed, &q->renewing);
}

/* ---- what the dead held ------------------------------------------------------------------------------------------- */

static void claimed(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    asking *a = user;
    taskiq *t = a->owner;
    taskiq_queue *q = a->queue;
    (void)err;
    q->claiming = false;
    if (st == MF_OK && q->list && replies->at[0].integer > 0) {
        taskiq_log(t, MF_LOG_WARN, "queue %s: %lld tasks of a dead worker are back in it", q->name, (long long)replies->at[0].integer);
    } else if (st == MF_OK && !q->list && replies->at[0].type == MFI_REDIS_ARRAY && replies->at[0].count == 2) {
        const mfi_redis_reply *next = &replies->at[0].items[0], *entries = &replies->at[0].items[1];
        if (next->text.len < sizeof q->claim_from)
            memcpy(q->claim_from, next->text.at, next->text.len + 1);
        if (taskiq_take_claimed(t, q, replies, entries) > 0)
            taskiq_log(t, MF_LOG_WARN, "queue %s: took over a task of a dead worker", q->name);
    }
    mf_delete(t->allocator, a);
    taskiq_answered(t);
}

void taskiq_claim_at(taskiq *t, int64_t when_ns)
{
    t->claim_ns = when_ns < t->claim_ns ? when_ns : t->claim_ns;
}

/* One at a time: it runs alone, and what is claimed beside it would share its next death. The next one follows when it has
 * ended. */
static void claim(taskiq *t, taskiq_queue *q)
{
    char lease[24], idle[24];
    pthread_mutex_lock(&t->lock);
    bool busy = q->claiming || !t->serving || t->suspects != NULL || t->alone;
    pthread_mutex_unlock(&t->lock);
    if (busy)
        return;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    if (q->list) {
        char *begin = taskiq_key(t, "%s:mageflow:", q->name);
        mf_str argv[] = {mf_cstr(q->name), mf_cstr(q->workers), mf_cstr(q->deaths), mf_cstr(begin), mf_cstr(t->consumer)};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_CLAIM_LIST], 3, 5, argv);
        taskiq_text_free(t, begin);
    } else {
        mf_str argv[] = {mf_cstr(q->name), mf_cstr(t->options.group), mf_cstr(t->consumer), MF_STR_LIT(TASKIQ_CONSUMER_PREFIX),
                         ms_text(lease, t->options.lease), ms_text(idle, t->options.idle_timeout),
                         MF_STR_LIT("1"),
                         q->claim_from[0] != '\0' ? mf_cstr(q->claim_from) : MF_STR_LIT("-")};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_CLAIM_STREAM], 1, 8, argv);
    }
    ask(t, q, rq, false, claimed, &q->claiming);
}

/* ---- what was put off --------------------------------------------------------------------------------------------- */

void taskiq_due_at(taskiq *t, int64_t when_ns)
{
    int64_t known = atomic_load(&t->due_ns);
    while (when_ns < known)
        if (atomic_compare_exchange_weak(&t->due_ns, &known, when_ns)) {
            mfi_redis_poke(t->redis);
            return;
        }
}

static void due_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq *t = user;
    mf_duration wait = DUE_EVERY;
    (void)err;
    t->dueing = false;
    for (size_t i = 0; st == MF_OK && i < replies->count; i++)
        if (replies->at[i].type == MFI_REDIS_ARRAY && replies->at[i].count == 2) {
            int64_t next_ms = replies->at[i].items[1].integer;
            if (next_ms >= 0 && next_ms < wait / 1000000)
                wait = mf_milliseconds(next_ms + 1);
        }
    taskiq_due_at(t, mfi_now_ns(t->clock) + wait);
    taskiq_answered(t);
}

/* All queues at once. What is said to be due while the answer is under way is looked for after it. */
static void look_at_due(taskiq *t, int64_t now_ns)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    for (size_t i = 0; i < t->queue_count; i++) {
        const taskiq_queue *q = &t->queues[i];
        mf_str argv[] = {mf_cstr(q->delayed), mf_cstr(q->name), q->list ? MF_STR_LIT("list") : MF_STR_LIT("stream")};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_DUE], 2, 3, argv);
    }
    atomic_store(&t->due_ns, INT64_MAX);
    t->dueing = taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.within = mf_seconds(10)), due_done, t) == MF_OK;
    if (!t->dueing)
        atomic_store(&t->due_ns, now_ns + DUE_EVERY);
}

/* ---- other groups ------------------------------------------------------------------------------------------------- */

/* Whether ours is the only group of the stream; else what we acknowledge is somebody else's to read still. */
static void groups_counted(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    asking *a = user;
    (void)err;
    if (st == MF_OK && replies->at[0].type == MFI_REDIS_ARRAY)
        atomic_store(&a->queue->alone, replies->at[0].count <= 1);
    taskiq *t = a->owner;
    mf_delete(t->allocator, a);
    taskiq_answered(t);
}

static void count_groups(taskiq *t, taskiq_queue *q)
{
    bool unused = false;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("XINFO"), MF_STR_LIT("GROUPS"), mf_cstr(q->name));
    ask(t, q, rq, true, groups_counted, &unused);
}

/* ---- the timer ---------------------------------------------------------------------------------------------------- */

int64_t taskiq_lease_tick(taskiq *t, int64_t now_ns)
{
    int64_t next = INT64_MAX;
    pthread_mutex_lock(&t->lock);
    bool attached = t->attached, serving = t->serving;
    pthread_mutex_unlock(&t->lock);
    if (!attached)
        return next;
    bool renew_now = now_ns >= t->renew_ns;
    bool claim_now = serving && (atomic_exchange(&t->claim_soon, false) || now_ns >= t->claim_ns);
    bool groups_now = serving && now_ns >= t->groups_ns;
    for (size_t i = 0; i < t->queue_count; i++) {
        taskiq_queue *q = &t->queues[i];
        if (renew_now)
            renew(t, q);
        if (claim_now)
            claim(t, q);
        if (groups_now && !q->list)
            count_groups(t, q);
    }
    if (serving && !t->dueing && now_ns >= atomic_load(&t->due_ns))
        look_at_due(t, now_ns);
    if (serving && !t->dueing)
        next = atomic_load(&t->due_ns);
    if (renew_now)
        t->renew_ns = now_ns + t->options.lease / 3;
    if (claim_now)
        t->claim_ns = now_ns + t->options.lease / 2;
    if (groups_now)
        t->groups_ns = now_ns + GROUPS_EVERY;
    next = t->renew_ns < next ? t->renew_ns : next;
    if (serving) {
        next = t->claim_ns < next ? t->claim_ns : next;
        next = t->groups_ns < next ? t->groups_ns : next;
    }
    return next;
}

/* ---- coming and going --------------------------------------------------------------------------------------------- */

mf_status taskiq_lease_first(taskiq *t, mf_error *err)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_replies *replies = NULL;
    mf_error why = {0};
    for (size_t i = 0; i < t->queue_count; i++) {
        taskiq_queue *q = &t->queues[i];
        if (q->list)
            add_renew_list(t, q, rq);
        else
            mfi_redis_add(rq, MF_STR_LIT("XGROUP"), MF_STR_LIT("CREATE"), mf_cstr(q->name), mf_cstr(t->options.group),
                          MF_STR_LIT("0"), MF_STR_LIT("MKSTREAM"));
    }
    mf_status st = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = mf_seconds(10)), &replies, &why);
    for (size_t i = 0; replies != NULL && i < replies->count; i++) {
        st = mfi_redis_error_status(&replies->at[i], &why);
        if (st != MF_OK && st != MF_E_EXISTS) {     /* BUSYGROUP: it is there already */
            mf_fail(err, st, "queue %s: %s%s", t->queues[i].name, why.text,
                    st == MF_E_TYPE ? "; is it a list (broker=list)?" : "");
            break;
        }
        st = MF_OK;
    }
    if (replies == NULL && st != MF_OK)
        mf_fail(err, st, "worker: %s", why.text);
    mfi_redis_replies_destroy(replies);
    return st;
}

void taskiq_lease_leave(taskiq *t)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    for (size_t i = 0; i < t->queue_count; i++) {
        taskiq_queue *q = &t->queues[i];
        if (q->list) {
            mfi_redis_add(rq, MF_STR_LIT("DEL"), mf_cstr(q->alive));
            continue;
        }
        mf_str argv[] = {mf_cstr(q->name), mf_cstr(t->options.group), mf_cstr(t->consumer), MF_STR_LIT(TASKIQ_CONSUMER_PREFIX),
                         MF_STR_LIT(DEAD_NAMES_MS)};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_LEAVE_STREAM], 1, 5, argv);
    }
    (void)!mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = mf_seconds(2)), NULL, NULL);
}
