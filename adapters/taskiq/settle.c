/* From an outcome back to Redis.
 *
 * A call leaves its outcome in the list `settling` and pokes the I/O thread, or leaves that to the next call where this thread
 * comes to it in microseconds. The I/O thread's next turn takes the whole list: what ended meanwhile is told in one script,
 * results, acknowledgements and all. An outcome that cannot be told (no connection, no memory on the server) stays and is told
 * again; its entry stays ours meanwhile. So a task is acknowledged only together with its result, and never without. */
#include "taskiq.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "memory.h"

#define TELL_MAX 128                        /* outcomes in one script */
#define TELL_EARLY 64                       /* so many do not wait for the answer to the ones before */
#define TELL_BYTES ((size_t)4 << 20)        /* and about so many bytes */
#define TRY_AGAIN mf_milliseconds(500)
#define TRIES_MAX 20                        /* of an outcome that the server refuses */
#define TRIES_TOGETHER 3                    /* after so many it is told by itself, so that it does not hold up others */
#define BACKOFF_FIRST mf_milliseconds(100)
#define BACKOFF_MAX   mf_minutes(1)

/* ---- on the call's thread ---------------------------------------------------------------------------------------- */

static void hand_over(taskiq_job *job)
{
    taskiq *t = job->owner;
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
    job->next = NULL;
    pthread_mutex_lock(&t->lock);
    *t->settling_end = job;
    t->settling_end = &job->next;
    size_t count = ++t->settling_count;
    if (count == 1 && atomic_load(&t->tells) == 0)      /* else the answer under way takes them along */
        t->owed = true;
    bool poke = count == TELL_EARLY || (t->owed && !taskiq_ready_goes_on(t));
    t->owed = t->owed && !poke;
    pthread_mutex_unlock(&t->lock);
    if (poke)
        mfi_redis_poke(t->redis);
}

void taskiq_settle_job(taskiq_job *job)
{
    atomic_store(&job->settled, true);
    hand_over(job);
}

/* The one result that can always be written: it holds nothing of the user's. */
static void write_plain_error(taskiq_job *job, const char *type, const char *text)
{
    taskiq *t = job->owner;
    if (t->options.no_results)
        return;
    mf_message *map = mf_msg("{s:s, s:T}", "type", type, "text", mf_cstr(text));
    taskiq_result r = {.failed = true, .value = mf_message_value(map)};
    bool readable = job->message.whole != NULL;
    if (taskiq_result_write(&r, readable ? &job->message : NULL, (taskiq_format)t->options.result_serializer, t->allocator,
                            &job->result, NULL) != MF_OK)
        taskiq_log(t, MF_LOG_ERROR, "no memory to tell an error");
    mf_message_unref(map);
}

void taskiq_fail_job(taskiq_job *job, const char *type, const char *text)
{
    if (job->result_key != NULL && !job->flow)
        write_plain_error(job, type, text);
    taskiq_settle_job(job);
}

static void write_result(taskiq_job *job, const mf_settlement *s)
{
    taskiq *t = job->owner;
    if (t->options.no_results)
        return;
    mf_error err = {0};
    double seconds = (double)(mfi_now_ns(t->clock) - job->started_ns) / 1e9;
    taskiq_result r = {.failed = s->status == MF_STATUS_FAILED, .value = mf_message_value(s->value), .seconds = seconds};
    mf_status st = taskiq_result_write(&r, &job->message, (taskiq_format)t->options.result_serializer, t->allocator,
                                       &job->result, &err);
    if (st != MF_OK)    /* Python logs this and acknowledges, and whoever waits waits for ever */
        write_plain_error(job, "InvalidResult", err.text);
}

/* Whether a failed call is tried again, and then `again` is its message with one more retry, to be sent after extra ms.
 * Python's middleware counts runs in all (max_retries=3: three), a declared task counts retries (retries=3: four runs). */
static bool try_again(taskiq_job *job, const mf_message *error)
{
    taskiq *t = job->owner;
    bool final = false, on_error = false;
    int64_t done = 0, runs = 3;
    mf_duration backoff = BACKOFF_FIRST;
    (void)!mf_message_scan(error, NULL, "{s?:b}", "final", &final);
    if (final)
        return false;
    (void)taskiq_label_int(&job->message, MF_STR_LIT("_retries"), &done);
    if (taskiq_label_bool(&job->message, MF_STR_LIT("retry_on_error"), &on_error) && on_error) {
        (void)taskiq_label_int(&job->message, MF_STR_LIT("max_retries"), &runs);
        backoff = 0;
    } else if (job->task != NULL) {
        runs = (int64_t)job->task->retries + 1;
        backoff = job->task->backoff > 0 ? job->task->backoff : BACKOFF_FIRST;
    } else {
        return false;
    }
    if (done < 0 || done + 1 >= runs)
        return false;
    for (int64_t i = 0; i < done && backoff < BACKOFF_MAX; i++)
        backoff *= 2;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)done + 1);
    taskiq_label label = {MF_STR_LIT("_retries"), mf_cstr(text), TASKIQ_LABEL_INT};
    taskiq_call call = {.id = job->message.id, .name = job->message.name, .labels = &label, .label_count = 1, .from = &job->message};
    if (taskiq_message_write(&call, job->message.format, t->allocator, &job->again, NULL) != MF_OK)
        return false;
    job->action = backoff > 0 ? TASKIQ_LATER : TASKIQ_NOW;
    snprintf(job->extra, sizeof job->extra, "%lld", (long long)((backoff < BACKOFF_MAX ? backoff : BACKOFF_MAX) / 1000000));
    return true;
}

/* What the settlement of one call asks of Redis. */
static void decide(taskiq_job *job, const mf_settlement *s)
{
    static const char canceled[] = "the task was canceled";
    job->action = TASKIQ_ACK;
    if (s->status == MF_STATUS_SUSPENDED) {
        job->action = TASKIQ_WAIT;      /* somebody has its claim still, who may be dead */
    } else if (s->status == MF_STATUS_ACTIVE) {
        job->action = TASKIQ_NOW;       /* nothing is known of it: it is handed out again */
    } else if (job->given_up) {
        job->action = TASKIQ_DEAD;
    } else if (job->flow) {
        return;                         /* its outcome is in the store; a message of a flow has no result of TaskIQ's */
    } else if (s->status == MF_STATUS_PENDING) {
        job->action = TASKIQ_NOW;       /* given up because the worker closes */
    } else if (s->status == MF_STATUS_CANCELED) {
        write_plain_error(job, "TaskCanceled", canceled);
    } else if (s->status != MF_STATUS_FAILED || !try_again(job, s->value)) {
        write_result(job, s);
    }
}

mf_status taskiq_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    (void)base, (void)err;
    for (size_t i = 0; i < n; i++) {
        taskiq_job *job = settlements[i].delivery->native;
        if (atomic_exchange(&job->settled, true))       /* a timeout was told, and the call ended after all */
            continue;
        decide(job, &settlements[i]);
        hand_over(job);
    }
    return MF_OK;
}

/* ---- on the I/O thread ------------------------------------------------------------------------------------------- */

/* The outcomes that one request tells. */
typedef struct told {
    taskiq     *owner;
    size_t      count;
    taskiq_job *jobs[TELL_MAX];
} told;

static void tell_again(taskiq *t, taskiq_job *job)
{
    job->next = NULL;
    *t->settling_end = job;
    t->settling_end = &job->next;
    t->settling_count++;
}

/* An answer came: what was settled meanwhile goes out, all of it together. */
static void tell_next(taskiq *t)
{
    atomic_fetch_sub(&t->tells, 1);
    mfi_redis_poke(t->redis);
}

/* Somebody else has it: the outcome is dropped. */
static void note_lost(taskiq_job *job)
{
    taskiq_log(job->owner, MF_LOG_WARN, "queue %s: a task of %s ended after it had been given to another worker", job->queue->name,
               job->owner->consumer);
}

static void all_told(taskiq *t, taskiq_job **jobs, size_t n)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n; i++)
        jobs[i]->told = true;
    t->telling -= n;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    taskiq_jobs_unref(t, jobs, n);
}

static void told_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    told *batch = user;
    taskiq *t = batch->owner;
    if (st == MF_OK) {
        const mfi_redis_reply *reply = &replies->at[0];
        for (size_t i = 0; i < batch->count; i++) {
            const mfi_redis_reply *one = reply->type == MFI_REDIS_ARRAY && i < reply->count ? &reply->items[i] : reply;
            if (one->type == MFI_REDIS_INTEGER && one->integer == 0 && !atomic_load(&batch->jobs[i]->acknowledged))
                note_lost(batch->jobs[i]);
            else if (batch->jobs[i]->action == TASKIQ_LATER)
                taskiq_due_at(t, mfi_now_ns(t->clock) + mf_milliseconds(strtoll(batch->jobs[i]->extra, NULL, 10) + 1));
            else if (batch->jobs[i]->action == TASKIQ_WAIT)
                taskiq_claim_at(t, mfi_now_ns(t->clock) + t->options.lease / 3 + mf_milliseconds(1));
        }
        all_told(t, batch->jobs, batch->count);
    } else if (st == MF_E_CLOSED) {
        all_told(t, batch->jobs, batch->count);
    } else {
        taskiq_log(t, MF_LOG_WARN, "%zu outcomes could not be told, trying again: %s", batch->count, err->text);
        bool for_good = st == MF_E_INVALID || st == MF_E_TYPE || st == MF_E_UNSUPPORTED;
        for (size_t i = 0; i < batch->count; i++) {
            taskiq_job *job = batch->jobs[i];
            if (for_good && ++job->tries > TRIES_MAX) {     /* its lease ends, and somebody else may do better */
                all_told(t, &job, 1);
                continue;
            }
            pthread_mutex_lock(&t->lock);
            tell_again(t, job);
            t->telling--;
            pthread_mutex_unlock(&t->lock);
        }
        atomic_store(&t->retry_ns, mfi_deadline_ns(mfi_now_ns(t->clock), TRY_AGAIN));
    }
    mf_delete(t->allocator, batch);
    tell_next(t);
    taskiq_answered(t);
}

static mf_str text_of(const taskiq_bytes *bytes)
{
    return mf_str_of(bytes->at != NULL ? bytes->at : "", bytes->len);
}

static mf_str ttl_of(const taskiq *t, char out[24])
{
    return mf_str_of(out, (size_t)snprintf(out, 24, "%lld", (long long)((t->options.result_ttl + 999999) / 1000000)));
}

/* The least entry first. They are almost in order, which is what this way of sorting likes. */
static void sort_by_entry(told *batch)
{
    for (size_t i = 1; i < batch->count; i++) {
        taskiq_job *job = batch->jobs[i];
        size_t k = i;
        for (; k > 0 && (batch->jobs[k - 1]->entry_ms > job->entry_ms ||
                         (batch->jobs[k - 1]->entry_ms == job->entry_ms && batch->jobs[k - 1]->entry_seq > job->entry_seq)); k--)
            batch->jobs[k] = batch->jobs[k - 1];
        batch->jobs[k] = job;
    }
}

/* The script's arguments for a batch of plain outcomes: all of one queue. */
static void add_acks(taskiq *t, mfi_redis_request *rq, told *batch)
{
    taskiq_queue *q = batch->jobs[0]->queue;
    mf_str argv[6 + 3 * TELL_MAX];
    size_t n = 0, count = batch->count;
    bool results = false;
    char ttl[24], how_many[24];
    if (!q->list)
        sort_by_entry(batch);
    for (size_t i = 0; i < count; i++)
        results = results || (batch->jobs[i]->result.at != NULL && batch->jobs[i]->result_key != NULL);
    argv[n++] = mf_cstr(q->list ? q->inflight : q->name);
    for (size_t i = 0; results && i < count; i++) {
        taskiq_job *job = batch->jobs[i];
        argv[n++] = job->result.at != NULL && job->result_key != NULL ? mf_cstr(job->result_key) : argv[0];
    }
    size_t keys = n;
    if (!q->list) {
        argv[n++] = mf_cstr(t->options.group);
        argv[n++] = mf_cstr(t->consumer);
    }
    argv[n++] = ttl_of(t, ttl);
    if (!q->list)
        argv[n++] = atomic_load(&q->alone) ? MF_STR_LIT("1") : MF_STR_LIT("0");
    argv[n++] = mf_str_of(how_many, (size_t)snprintf(how_many, sizeof how_many, "%zu", count));
    for (size_t i = 0; i < count; i++)
        argv[n++] = q->list ? batch->jobs[i]->payload : mf_cstr(batch->jobs[i]->entry);
    for (size_t i = 0; results && i < count; i++)
        argv[n++] = batch->jobs[i]->result_key != NULL ? text_of(&batch->jobs[i]->result) : MF_STR_LIT("");
    mfi_redis_add_script(rq, t->scripts[q->list ? TASKIQ_ACK_LIST : TASKIQ_ACK_STREAM], keys, n, argv);
}

/* One that goes elsewhere. */
static void add_move(taskiq *t, mfi_redis_request *rq, taskiq_job *job)
{
    static const char *const words[] = {[TASKIQ_NOW] = "now", [TASKIQ_LATER] = "later", [TASKIQ_DEAD] = "dead"};
    taskiq_queue *q = job->queue;
    bool value = job->result.at != NULL && job->result_key != NULL;
    mf_str name = mf_cstr(q->name), again = job->again.at != NULL ? text_of(&job->again) : job->payload;
    mf_str result_key = value ? mf_cstr(job->result_key) : name;
    char ttl[24];
    if (q->list) {
        mf_str argv[] = {mf_cstr(q->inflight), name, mf_cstr(q->delayed), mf_cstr(q->dead), result_key,
                         job->payload, mf_cstr(words[job->action]), again, mf_cstr(job->extra), text_of(&job->result), ttl_of(t, ttl)};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_MOVE_LIST], 5, sizeof argv / sizeof *argv, argv);
    } else {
        mf_str argv[] = {name, name, mf_cstr(q->delayed), mf_cstr(q->dead), result_key, mf_cstr(t->options.group),
                         mf_cstr(t->consumer), mf_cstr(job->entry), atomic_load(&q->alone) ? MF_STR_LIT("1") : MF_STR_LIT("0"),
                         mf_cstr(words[job->action]), again, mf_cstr(job->extra), text_of(&job->result), ttl_of(t, ttl)};
        mfi_redis_add_script(rq, t->scripts[TASKIQ_MOVE_STREAM], 5, sizeof argv / sizeof *argv, argv);
    }
}

/* As if it had been idle for so long, and handed out so often. */
void taskiq_add_count(mfi_redis_request *rq, const taskiq_job *job, mf_duration idle, unsigned deliveries)
{
    const taskiq *t = job->owner;
    char ms[24], count[16];
    int len = snprintf(ms, sizeof ms, "%lld", (long long)(idle / 1000000)), digits = snprintf(count, sizeof count, "%u", deliveries);
    mf_str argv[] = {mf_cstr(job->queue->name), mf_cstr(t->options.group), mf_cstr(t->consumer), mf_cstr(job->entry),
                     mf_str_of(ms, (size_t)len), mf_str_of(count, (size_t)digits)};
    mfi_redis_add_script(rq, t->scripts[TASKIQ_COUNT_STREAM], 1, sizeof argv / sizeof *argv, argv);
}

/* One that was acknowledged before it ran: nothing is ours any more, what is left is to tell its result, or to send it again. */
static void add_unheld(taskiq *t, mfi_redis_request *rq, taskiq_job *job)
{
    char ttl[24];
    mf_str again = job->again.at != NULL ? text_of(&job->again) : job->payload;
    if (job->action == TASKIQ_NOW || job->action == TASKIQ_LATER) {
        if (job->queue->list)
            mfi_redis_add(rq, MF_STR_LIT("LPUSH"), mf_cstr(job->queue->name), again);
        else
            mfi_redis_add(rq, MF_STR_LIT("XADD"), mf_cstr(job->queue->name), MF_STR_LIT("*"), MF_STR_LIT("data"), again);
    } else if (job->result.at != NULL && job->result_key != NULL && t->options.result_ttl > 0) {
        mfi_redis_add(rq, MF_STR_LIT("SET"), mf_cstr(job->result_key), text_of(&job->result), MF_STR_LIT("PX"), ttl_of(t, ttl));
    } else if (job->result.at != NULL && job->result_key != NULL) {
        mfi_redis_add(rq, MF_STR_LIT("SET"), mf_cstr(job->result_key), text_of(&job->result));
    } else {
        mfi_redis_add(rq, MF_STR_LIT("PING"));
    }
}

static void send(taskiq *t, told *batch, mfi_redis *link, mfi_redis_request *rq, bool idempotent, mfi_redis_done_fn *done)
{
    pthread_mutex_lock(&t->lock);
    t->telling += batch->count;
    pthread_mutex_unlock(&t->lock);
    atomic_fetch_add(&t->tells, 1);
    mf_status st = taskiq_submit(t, link, rq, MFI_REDIS_HOW(.idempotent = idempotent, .within = mf_seconds(30)), done, batch);
    if (st != MF_OK) {
        mf_error err;
        mf_fail(&err, st, "%s", mf_status_text(st));
        atomic_fetch_add(&t->submitted, 1);     /* done takes it away again */
        done(batch, st, NULL, &err);
    }
}

/* With a result backend of its own the result is written there first, and only then the task acknowledged. */
static void result_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    told *batch = user;
    taskiq *t = batch->owner;
    taskiq_job *job = batch->jobs[0];
    if (st == MF_OK) {
        taskiq_bytes_free(t->allocator, &job->result);
        pthread_mutex_lock(&t->lock);
        t->telling -= 1;
        tell_again(t, job);
        pthread_mutex_unlock(&t->lock);
        mf_delete(t->allocator, batch);
        tell_next(t);
        taskiq_answered(t);
        return;
    }
    told_done(user, st, replies, err);
}

static told *batch_of(taskiq *t, taskiq_job *job)
{
    told *batch = mfi_alloc(t->allocator, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->owner = t;
    batch->count = 1;
    batch->jobs[0] = job;
    return batch;
}

static bool tells_alone(const taskiq *t, const taskiq_job *job)
{
    bool elsewhere = job->result.at != NULL && t->results != t->redis;
    return job->action != TASKIQ_ACK || atomic_load(&job->acknowledged) || elsewhere || job->tries >= TRIES_TOGETHER;
}

/* Jobs of one queue that can share a script, taken out of the list; the others stay in their order. */
static told *gather(taskiq *t, taskiq_job **list)
{
    taskiq_job *first = *list;
    told *batch = batch_of(t, first);
    if (batch == NULL)
        return NULL;
    *list = first->next;
    if (tells_alone(t, first))
        return batch;
    size_t bytes = first->result.len;
    while (*list != NULL && batch->count < TELL_MAX && bytes < TELL_BYTES) {
        taskiq_job *job = *list;
        if (job->queue != first->queue || tells_alone(t, job)) {
            list = &job->next;
            continue;
        }
        bytes += job->result.len;
        batch->jobs[batch->count++] = job;
        *list = job->next;
    }
    return batch;
}

static void tell_batch(taskiq *t, told *batch)
{
    taskiq_job *job = batch->jobs[0];
    bool unheld = atomic_load(&job->acknowledged), idempotent = true;
    bool elsewhere = job->result.at != NULL && job->result_key != NULL && t->results != t->redis;
    mfi_redis *link = elsewhere ? t->results : t->redis;
    mfi_redis_request *rq = mfi_redis_request_create(link);
    if (elsewhere || unheld) {
        taskiq_action action = job->action;
        if (elsewhere)
            job->action = TASKIQ_ACK;
        add_unheld(t, rq, job);
        job->action = action;
        idempotent = action == TASKIQ_ACK || elsewhere;
    } else if (job->action == TASKIQ_ACK) {
        add_acks(t, rq, batch);
    } else if (job->action == TASKIQ_WAIT) {    /* claims and leases are renewed apart from each other, by as much at most */
        taskiq_add_count(rq, job, t->options.lease - t->options.lease / 3, job->deliveries);
    } else {
        add_move(t, rq, job);
    }
    send(t, batch, link, rq, idempotent, elsewhere && !(unheld && job->action == TASKIQ_ACK) ? result_done : told_done);
}

/* One request at a time, while there are few: what ends before its answer comes is told with the next, together. */
void taskiq_tell(taskiq *t)
{
    pthread_mutex_lock(&t->lock);
    t->owed = false;
    if (atomic_load(&t->tells) > 0 && t->settling_count < TELL_EARLY) {
        pthread_mutex_unlock(&t->lock);
        return;
    }
    taskiq_job *list = t->settling;
    t->settling = NULL;
    t->settling_count = 0;
    t->settling_end = &t->settling;
    pthread_mutex_unlock(&t->lock);
    while (list != NULL) {
        taskiq_job *first = list;
        told *batch = gather(t, &list);
        if (batch == NULL) {        /* no memory: all of it later */
            pthread_mutex_lock(&t->lock);
            *t->settling_end = first;
            for (; *t->settling_end != NULL; t->settling_end = &(*t->settling_end)->next)
                t->settling_count++;
            pthread_mutex_unlock(&t->lock);
            atomic_store(&t->retry_ns, mfi_deadline_ns(mfi_now_ns(t->clock), TRY_AGAIN));
            return;
        }
        tell_batch(t, batch);
    }
}

static void acknowledged(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq *t = user;
    (void)replies;
    if (st != MF_OK && st != MF_E_CLOSED)
        taskiq_log(t, MF_LOG_WARN, "a task could not be acknowledged before it ran: %s", err->text);
    taskiq_answered(t);
}

void taskiq_acknowledge_now(taskiq_job *job)
{
    taskiq *t = job->owner;
    told batch = {.owner = t, .count = 1, .jobs = {job}};
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    add_acks(t, rq, &batch);
    atomic_store(&job->acknowledged, true);
    (void)taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true), acknowledged, t);
}
