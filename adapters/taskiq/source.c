/* Reading queues.
 *
 * A read asks for as many payloads as there are free slots, and there is at most one under way for each source. It is begun
 * again by whoever frees a slot, by whoever begins the last call that waited, by its own answer, and by the timer after one
 * that failed. While calls wait for a thread a read is in no hurry, and is put off until half of the slots are free: a read
 * costs here and in the server as much as several tasks do.
 *
 * Streams are read together with one XREADGROUP, whose COUNT is for each of them: so each gets its share of the free slots, since
 * what was read beyond them would wait here while others are idle. Where one of them alone had more than its share, the next few
 * reads ask that one, for all there is room for, and do not wait in the server. (A script could share out one COUNT, but it cannot
 * wait, and costs the server more than the one read that is saved at the beginning of a burst.) Where there are fewer free slots
 * than streams, those are asked in turn, and all together only when none had anything. A list is taken from with a script that moves
 * payloads to our in-flight list; when it has none, BLMOVE waits for the next one. */
#include "taskiq.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

#define BLOCK_S 5                       /* how long a read waits in the server */
#define DUE_SOON mf_seconds(1)
#define READ_MAX 256
#define READS_ALONE 3                   /* of one stream, before all are read again */
#define PAUSE mf_milliseconds(250)      /* after a read that failed */

/* ---- groups ------------------------------------------------------------------------------------------------------- */

struct grouping {
    taskiq       *owner;
    taskiq_queue *queue;
};

static void grouped(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct grouping *g = user;
    taskiq *t = g->owner;
    (void)replies;
    if (st == MF_OK || st == MF_E_EXISTS)
        atomic_store(&g->queue->grouped, true);
    else if (st != MF_E_CLOSED)
        taskiq_log(t, MF_LOG_WARN, "queue %s: no group: %s", g->queue->name, err->text);
    mf_delete(t->allocator, g);
    taskiq_answered(t);
}

/* From its beginning: what was sent before the group existed is delivered, too (Python's begins at "$" and loses it). */
void taskiq_group_create(taskiq *t, taskiq_queue *q)
{
    struct grouping *g = mf_new(t->allocator, struct grouping);
    if (g == NULL)
        return;
    g->owner = t;
    g->queue = q;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("XGROUP"), MF_STR_LIT("CREATE"), mf_cstr(q->name), mf_cstr(t->options.group), MF_STR_LIT("0"),
                  MF_STR_LIT("MKSTREAM"));
    if (taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true), grouped, g) != MF_OK)
        mf_delete(t->allocator, g);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

/* "milliseconds-number" */
static void note_entry(taskiq_job *job, mf_str id)
{
    uint64_t part[2] = {0, 0};
    for (size_t i = 0, k = 0; i < id.len; i++)
        if (id.at[i] == '-' && k == 0)
            k = 1;
        else
            part[k] = part[k] * 10 + (uint64_t)(id.at[i] - '0');
    memcpy(job->entry, id.at, id.len + 1);
    job->entry_ms = part[0];
    job->entry_seq = part[1];
}

static bool entry_of(const mfi_redis_reply *reply, taskiq_job *job)
{
    if (reply->type != MFI_REDIS_ARRAY || reply->count < 2 || reply->items[0].type != MFI_REDIS_STRING ||
        reply->items[0].text.len >= sizeof job->entry)
        return false;
    note_entry(job, reply->items[0].text);
    const mfi_redis_reply *fields = &reply->items[1];
    for (size_t i = 0; fields->type == MFI_REDIS_ARRAY && i + 1 < fields->count; i += 2)
        if (fields->items[i].type != MFI_REDIS_STRING || fields->items[i + 1].type != MFI_REDIS_STRING) {
            continue;
        } else if (mf_str_eq(fields->items[i].text, MF_STR_LIT("data"))) {
            job->payload = fields->items[i + 1].text;
            job->has_data = true;
        } else if (job->queue->own && mf_str_eq(fields->items[i].text, MF_STR_LIT("due"))) {
            job->is_note = true;
        }
    if (reply->count > 2 && reply->items[2].type == MFI_REDIS_INTEGER)      /* from a claim: deliveries so far */
        job->deliveries = (uint32_t)reply->items[2].integer;
    return true;
}

/* Entries as XREADGROUP and our claims give them. Without memory for one it stays pending, and its lease ends. */
static size_t take_entries(taskiq *t, taskiq_queue *queue, taskiq_batch *batch, const mfi_redis_reply *entries)
{
    taskiq_job *jobs[64];
    size_t n = 0, taken = 0;
    for (size_t i = 0; entries->type == MFI_REDIS_ARRAY && i < entries->count; i++) {
        taskiq_job *job = taskiq_job_create(t, queue, batch);
        if (job == NULL)
            break;
        if (!entry_of(&entries->items[i], job)) {
            job->refs = 1;
            taskiq_jobs_drop(t, job);
            continue;
        }
        jobs[n++] = job;
        taken++;
        if (n == sizeof jobs / sizeof *jobs) {
            taskiq_jobs_start(t, jobs, n);
            n = 0;
        }
    }
    if (n > 0)
        taskiq_jobs_start(t, jobs, n);
    return taken;
}

static taskiq_batch *batch_of(taskiq *t, mfi_redis_replies *replies)
{
    taskiq_batch *batch = mf_new(t->allocator, taskiq_batch);
    if (batch == NULL)
        return NULL;
    mfi_redis_replies_keep(replies);
    batch->owner = t;
    batch->replies = replies;
    atomic_init(&batch->refs, 1);
    return batch;
}

size_t taskiq_take_claimed(taskiq *t, taskiq_queue *queue, mfi_redis_replies *replies, const mfi_redis_reply *entries)
{
    taskiq_batch *batch = entries->count > 0 ? batch_of(t, replies) : NULL;
    if (batch == NULL)
        return 0;
    size_t n = take_entries(t, queue, batch, entries);
    taskiq_batch_unref(batch);
    return n;
}

/* Which stream is to be read next, after an answer: one that alone had all that it was asked for. */
static void note_busy(taskiq_source *s, taskiq_queue *alone, size_t got)
{
    if (got > 0)
        s->looked = 0;
    if (s->count == 1 || alone == NULL || got < s->asked) {
        s->busy = NULL;
    } else if (s->busy == NULL) {
        s->busy = alone;
        s->busy_left = READS_ALONE;
    } else if (--s->busy_left == 0) {
        s->busy = NULL;
    }
}

static size_t take_streams(taskiq_source *s, mfi_redis_replies *replies)
{
    const mfi_redis_reply *all = &replies->at[0];
    taskiq_queue *only = NULL;
    size_t n = 0;
    if (all->type != MFI_REDIS_ARRAY) {
        note_busy(s, NULL, 0);
        return 0;
    }
    taskiq_batch *batch = batch_of(s->owner, replies);
    if (batch == NULL)
        return 0;
    for (size_t i = 0; i < all->count; i++) {
        const mfi_redis_reply *one = &all->items[i];
        if (one->type != MFI_REDIS_ARRAY || one->count < 2)
            continue;
        taskiq_queue *queue = taskiq_queue_find(s->owner, one->items[0].text);
        if (queue != NULL)
            n += take_entries(s->owner, queue, batch, &one->items[1]);
        only = all->count == 1 ? queue : NULL;
    }
    taskiq_batch_unref(batch);
    note_busy(s, only, n);
    return n;
}

static taskiq_job *job_of_list(taskiq_source *s, taskiq_batch *batch, const mfi_redis_reply *payload, int64_t deaths)
{
    taskiq_job *job = taskiq_job_create(s->owner, s->queues[0], batch);
    if (job == NULL)
        return NULL;
    job->payload = payload->text;
    job->has_data = true;
    job->deliveries = deaths > 0 ? (uint32_t)deaths : 0;
    return job;
}

/* The script's array: payloads and deaths in turn. */
static size_t take_list(taskiq_source *s, mfi_redis_replies *replies)
{
    const mfi_redis_reply *reply = &replies->at[0];
    size_t n = 0;
    if (reply->type != MFI_REDIS_ARRAY || reply->count < 2)
        return 0;
    taskiq_batch *batch = batch_of(s->owner, replies);
    if (batch == NULL)
        return 0;
    for (size_t i = 0; i + 1 < reply->count; i += 2) {
        taskiq_job *job = reply->items[i].type == MFI_REDIS_STRING ? job_of_list(s, batch, &reply->items[i], reply->items[i + 1].integer)
                                                                   : NULL;
        if (job != NULL) {
            taskiq_jobs_start(s->owner, &job, 1);
            n++;
        }
    }
    taskiq_batch_unref(batch);
    return n;
}

size_t taskiq_take_stranded(taskiq_source *s, mfi_redis_replies *replies, const mfi_redis_reply *const *payloads, size_t n)
{
    taskiq_batch *batch = batch_of(s->owner, replies);
    size_t taken = 0;
    for (size_t i = 0; batch != NULL && i < n; i++) {
        taskiq_job *job = job_of_list(s, batch, payloads[i], 0);
        if (job == NULL)
            break;
        taskiq_jobs_start(s->owner, &job, 1);
        taken++;
    }
    taskiq_batch_unref(batch);
    return taken;
}

/* BLMOVE brings one payload and no more: whether its worker died before is asked for, and then it starts. Nothing else is
 * read meanwhile, since a suspect runs alone. */
static void deaths_known(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq_job *job = user;
    taskiq *t = job->owner;
    taskiq_source *s = job->queue->source;
    (void)err;
    if (st == MF_OK && replies->at[0].integer > 0)
        job->deliveries = (uint32_t)replies->at[0].integer;
    taskiq_jobs_start(t, &job, 1);
    pthread_mutex_lock(&t->lock);
    s->reading = false;
    s->more = true;         /* where there was one there may be others: the script is asked first */
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    taskiq_read_all(t);
    taskiq_answered(t);
}

/* True: a payload came, and the read is not over before it has started. */
static bool take_one(taskiq_source *s, mfi_redis_replies *replies)
{
    taskiq *t = s->owner;
    const mfi_redis_reply *payload = &replies->at[0];
    taskiq_batch *batch = payload->type == MFI_REDIS_STRING ? batch_of(t, replies) : NULL;
    if (batch == NULL)
        return false;
    taskiq_job *job = job_of_list(s, batch, payload, 0);
    taskiq_batch_unref(batch);
    if (job == NULL)
        return false;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mf_str argv[] = {mf_cstr(job->queue->deaths), job->payload};
    mfi_redis_add_script(rq, t->scripts[TASKIQ_DEATHS], 1, 2, argv);
    if (taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true), deaths_known, job) != MF_OK) {
        mf_error none = {0};
        atomic_fetch_add(&t->submitted, 1);
        deaths_known(job, MF_E_FULL, NULL, &none);
    }
    return true;
}

/* ---- reads -------------------------------------------------------------------------------------------------------- */

/* A group is gone, and with it everything that was pending there: nobody holds what runs here, and nobody else will run it.
 * Its outcome is told all the same. */
static void forget_holds(taskiq *t, const taskiq_queue *q)
{
    size_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (taskiq_job *job = t->held; job != NULL; job = job->right)
        if (job->queue == q && !atomic_exchange(&job->acknowledged, true))
            n++;
    pthread_mutex_unlock(&t->lock);
    if (n > 0)
        taskiq_log(t, MF_LOG_WARN, "queue %s: it is gone with %zu tasks that run here; what else was in it is lost", q->name, n);
}

static void group_gone(taskiq_source *s, const mf_error *err)
{
    taskiq *t = s->owner;
    char quoted[MFI_TASKIQ_NAME_MAX + 2];
    bool named = false;
    taskiq_log(t, MF_LOG_WARN, "a queue or its group is gone, and what waited there is lost; making it anew");
    for (size_t i = 0; i < s->count; i++) {
        snprintf(quoted, sizeof quoted, "'%s'", s->queues[i]->name);
        named = named || strstr(err->text, quoted) != NULL;
    }
    for (size_t i = 0; i < s->count; i++) {
        taskiq_queue *q = s->queues[i];
        snprintf(quoted, sizeof quoted, "'%s'", q->name);
        if (!named || strstr(err->text, quoted) != NULL)
            forget_holds(t, q);
        atomic_store(&q->grouped, false);
        taskiq_group_create(t, q);
    }
}

static void read_failed(taskiq_source *s, mf_status st, const mf_error *err)
{
    taskiq *t = s->owner;
    int64_t pause = PAUSE;
    bool refused = false;
    if (st == MF_E_NOT_FOUND && !s->queues[0]->list) {      /* NOGROUP: the server came back empty */
        group_gone(s, err);
        pause = mf_milliseconds(20);
    } else if (st == MF_E_CANCELED) {   /* interrupted, or unblocked since a stream went away */
        pause = mf_milliseconds(20);
    } else if (st != MF_E_CLOSED && st != MF_E_TIMEOUT && st != MF_E_IO) {
        taskiq_log(t, MF_LOG_WARN, "cannot read: %s", err->text);
        refused = true;
    }
    pthread_mutex_lock(&t->lock);
    s->doubtful = s->queues[0]->list;
    t->deaf = refused;
    if (refused)
        t->deaf_why = *err;
    s->not_before_ns = mfi_now_ns(t->clock) + pause;
    pthread_mutex_unlock(&t->lock);
}

static void read_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq_source *s = user;
    taskiq *t = s->owner;
    size_t got = 0;
    bool list = s->queues[0]->list, all = s->busy == NULL;
    if (st == MF_OK && list && take_one(s, replies)) {
        taskiq_answered(t);
        return;
    }
    if (st == MF_OK && !list)
        got = take_streams(s, replies);
    if (st != MF_OK) {
        s->busy = NULL;
        read_failed(s, st, err);
    }
    pthread_mutex_lock(&t->lock);
    s->reading = false;
    if (st == MF_OK)
        t->deaf = false;
    if (got == 0 && all && (st == MF_OK || st == MF_E_CANCELED))
        s->empties++;
    bool idle = got == 0 && st == MF_OK;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    int64_t now_ns = mfi_now_ns(t->clock);
    if (idle && atomic_load(&t->due_ns) < now_ns + DUE_SOON)        /* nobody is woken twice */
        taskiq_due_at(t, now_ns);
    if (st == MF_OK)
        taskiq_read_all(t);
    else
        mfi_redis_poke(t->redis);
    taskiq_answered(t);
}

/* What a script took: nothing there means to wait for the next one. */
static void take_done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq_source *s = user;
    taskiq *t = s->owner;
    size_t got = 0;
    if (st == MF_OK)
        got = take_list(s, replies);
    else
        read_failed(s, st, err);
    pthread_mutex_lock(&t->lock);
    s->reading = false;
    s->more = got > 0;
    if (st == MF_OK)
        t->deaf = false;
    if (st == MF_OK && got == 0)
        s->empties++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (st == MF_OK)
        taskiq_read_all(t);
    else
        mfi_redis_poke(t->redis);
    taskiq_answered(t);
}

/* With fewer free slots than streams: the one whose turn it is, unless each of them had nothing since anything came. */
static void take_turns(taskiq_source *s, unsigned most)
{
    if (s->busy != NULL || most >= s->count || s->looked == s->count)
        return;
    s->busy = s->queues[s->turn++ % s->count];
    s->busy_left = 1;
    s->looked++;
}

static mf_status read_streams(taskiq_source *s, unsigned most)
{
    taskiq *t = s->owner;
    char count[16], block[16];
    take_turns(s, most);
    mf_str argv[9 + 2 * (MFI_TASKIQ_QUEUES + 1)];
    taskiq_queue *const *queues = s->busy != NULL ? &s->busy : s->queues;
    size_t n = 0, streams = s->busy != NULL ? 1 : s->count;
    s->asked = most / (unsigned)streams;
    s->asked = s->asked == 0 ? 1 : s->asked < READ_MAX ? s->asked : READ_MAX;
    argv[n++] = MF_STR_LIT("XREADGROUP");
    argv[n++] = MF_STR_LIT("GROUP");
    argv[n++] = mf_cstr(t->options.group);
    argv[n++] = mf_cstr(t->consumer);
    argv[n++] = MF_STR_LIT("COUNT");
    argv[n++] = mf_str_of(count, (size_t)snprintf(count, sizeof count, "%u", s->asked));
    if (s->busy == NULL) {
        argv[n++] = MF_STR_LIT("BLOCK");
        argv[n++] = mf_str_of(block, (size_t)snprintf(block, sizeof block, "%d", BLOCK_S * 1000));
    }
    argv[n++] = MF_STR_LIT("STREAMS");
    for (size_t i = 0; i < streams; i++)
        argv[n++] = mf_cstr(queues[i]->name);
    for (size_t i = 0; i < streams; i++)
        argv[n++] = MF_STR_LIT(">");
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_add_argv(rq, n, argv);
    return taskiq_submit(t, s->link, rq, MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = mf_seconds(BLOCK_S)),
                         read_done, s);
}

static mf_status read_list(taskiq_source *s, unsigned most, bool wait)
{
    taskiq *t = s->owner;
    taskiq_queue *q = s->queues[0];
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    if (wait) {
        char block[16];
        mfi_redis_add(rq, MF_STR_LIT("BLMOVE"), mf_cstr(q->name), mf_cstr(q->inflight), MF_STR_LIT("RIGHT"), MF_STR_LIT("LEFT"),
                      mf_str_of(block, (size_t)snprintf(block, sizeof block, "%d", BLOCK_S)));
        return taskiq_submit(t, s->link, rq, MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = mf_seconds(BLOCK_S)),
                             read_done, s);
    }
    char count[16];
    most = most < READ_MAX ? most : READ_MAX;
    mf_str argv[] = {mf_cstr(q->name), mf_cstr(q->inflight), mf_cstr(q->deaths),
                     mf_str_of(count, (size_t)snprintf(count, sizeof count, "%u", most))};
    mfi_redis_add_script(rq, t->scripts[TASKIQ_TAKE_LIST], 3, 4, argv);
    return taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.within = MF_FOREVER), take_done, s);
}

/* Room for more, or 0: not now. The lock is held. */
static unsigned room(const taskiq *t)
{
    if (!t->serving || t->suspects != NULL || t->alone || t->in_flight >= t->slots)
        return 0;
    unsigned left = t->slots - t->in_flight;
    return t->queued == 0 || left >= t->slots / 2 ? left : 0;
}

bool taskiq_reads_due(const taskiq *t)
{
    bool idle = false;
    for (size_t i = 0; i < t->source_count; i++)
        idle = idle || !t->sources[i].reading;
    return idle && room(t) > 0;
}

static unsigned room_of(const taskiq *t, const taskiq_source *s, int64_t now_ns)
{
    return s->reading || now_ns < s->not_before_ns ? 0 : room(t);
}

void taskiq_read_all(taskiq *t)
{
    int64_t now_ns = INT64_MAX;
    for (size_t i = 0; i < t->source_count; i++) {
        taskiq_source *s = &t->sources[i];
        bool list = s->queues[0]->list;
        pthread_mutex_lock(&t->lock);
        if (t->serving && !s->reading && s->not_before_ns != 0 && now_ns == INT64_MAX)
            now_ns = mfi_now_ns(t->clock);
        unsigned left = room_of(t, s, now_ns);
        bool wait = !list || !s->more, recover = s->doubtful;
        if (left > 0) {
            s->reading = true;
            s->not_before_ns = 0;
        }
        pthread_mutex_unlock(&t->lock);
        if (left == 0)
            continue;
        mf_status st = recover ? taskiq_recover(s) : list ? read_list(s, left, wait) : read_streams(s, left);
        if (st != MF_OK) {
            pthread_mutex_lock(&t->lock);
            s->reading = false;
            s->not_before_ns = mfi_now_ns(t->clock) + PAUSE;
            pthread_mutex_unlock(&t->lock);
        }
    }
}

int64_t taskiq_reads_tick(taskiq *t, int64_t now_ns)
{
    int64_t next = INT64_MAX;
    taskiq_read_all(t);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; t->serving && i < t->source_count; i++) {
        const taskiq_source *s = &t->sources[i];
        if (!s->reading && s->not_before_ns > now_ns && s->not_before_ns < next)
            next = s->not_before_ns;
    }
    pthread_mutex_unlock(&t->lock);
    return next;
}

/* ---- making them -------------------------------------------------------------------------------------------------- */

/* One loop for all streams, one for each list: on the broker's own link for the first of them, on a link of its own for
 * every further one, since a link has one connection that may wait. */
mf_status taskiq_sources_make(taskiq *t, mf_error *err)
{
    taskiq_source *streams = NULL;
    for (size_t i = 0; i < t->queue_count; i++) {
        taskiq_queue *q = &t->queues[i];
        if (!q->list && streams != NULL) {
            streams->queues[streams->count++] = q;
            continue;
        }
        taskiq_source *s = &t->sources[t->source_count];
        s->owner = t;
        s->queues[s->count++] = q;
        s->more = true;
        q->source = s;
        s->link = t->redis;
        if (t->source_count > 0) {
            mf_status st = mfi_redis_create(&(mfi_redis_options){.allocator = t->allocator, .clock = t->clock, .address = t->address,
                                                                  .name = t->consumer}, &s->link, err);
            if (st != MF_OK)
                return st;
            t->extra_links[t->extra_count++] = s->link;
        }
        t->source_count++;
        if (!q->list)
            streams = s;
    }
    return MF_OK;
}
