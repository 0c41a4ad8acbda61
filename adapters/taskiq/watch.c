/* The ends of foreign tasks: somebody looks for them as long as any process of ours lives.
 *
 * A Python worker tells nobody that a task of a flow has ended; its result key is looked for, and the outcome goes to the
 * flow. Whoever sent the task does that. So that it does not end with that process, the task is marked in a sorted set
 * beside the queue, together with its sending, in one step: member "KEY.INDEX.EPOCH UNTIL", score 0. Whoever looks for it puts
 * the end of a lease (on the server's clock) there, and puts it on every third of one; what is past its lease is taken over by
 * the next process that looks at the set, as a worker does every half of a lease. When the outcome is in the store the mark
 * goes. One that is past UNTIL (its flow has ended it by then, by the task's timeout) goes, too.
 *
 * Two may look for the same task for a while: an outcome counts once, the second is refused by the flow. A store that cannot
 * take the outcome leaves the mark, and after the lease it is told again. */
#include "taskiq.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "memory.h"

#define MARKS_MAX 256           /* renewed with one call */
#define CLAIM_MAX 64            /* taken over with one look */
#define SLACK_MS 60000          /* clocks differ, and the end of a timeout may be late */

/* ---- marks -------------------------------------------------------------------------------------------------------- */

char *taskiq_watch_mark(taskiq *t, const mf_entry *entry)
{
    char *id = taskiq_unit_id(t, &entry->unit);
    char *mark = id == NULL ? NULL : taskiq_key(t, "%s %lld", id, (long long)mfi_wall_ms(t->clock) + entry->spec->timeout_ms + SLACK_MS);
    taskiq_text_free(t, id);
    return mark;
}

/* "KEY.INDEX.EPOCH UNTIL". False: it is no mark of ours. */
static bool read_mark(mf_str mark, mf_unit *unit, int64_t *until_ms)
{
    char text[sizeof(mf_key) + 64], *end;
    if (mark.len >= sizeof text)
        return false;
    memcpy(text, mark.at, mark.len);
    text[mark.len] = '\0';
    char *blank = strrchr(text, ' ');
    char *epoch = blank == NULL ? NULL : (*blank = '\0', strrchr(text, '.'));
    char *index = epoch == NULL ? NULL : (*epoch = '\0', strrchr(text, '.'));
    if (index == NULL)
        return false;
    *index = '\0';
    *unit = (mf_unit){.index = strtoull(index + 1, &end, 10)};
    bool good = *end == '\0' && end > index + 1;
    unsigned long long number = strtoull(epoch + 1, &end, 10);
    good = good && *end == '\0' && end > epoch + 1 && number <= UINT32_MAX;
    unit->epoch = (uint32_t)number;
    *until_ms = strtoll(blank + 1, &end, 10);
    return good && *end == '\0' && mf_key_parse(mf_cstr(text), &unit->key, NULL) == MF_OK;
}

/* ---- who is looked for -------------------------------------------------------------------------------------------- */

static void free_waiter(taskiq *t, taskiq_waiter *w)
{
    taskiq_bytes_free(t->allocator, &w->value);
    taskiq_text_free(t, w->key);
    taskiq_text_free(t, w->mark);
    mf_delete(t->allocator, w);
}

/* Outcomes are told on a thread of their own: telling may wait for the store. */
static mf_status observers_start(taskiq *t, mf_error *err)
{
    pthread_mutex_lock(&t->lock);
    mf_status st = t->observers != NULL ? MF_OK
                   : mf_pool_create(MF_POOL_OPTIONS(.allocator = t->allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW,
                                                    .thread_name = "mf-observe"), &t->observers, err);
    pthread_mutex_unlock(&t->lock);
    return st;
}

/* The lock is held. */
static taskiq_waiter *find(taskiq *t, const char *key)
{
    taskiq_waiter *w = t->waiters;
    while (w != NULL && !(w->observed && strcmp(w->key, key) == 0))
        w = w->next;
    return w;
}

/* Once is enough; a mark is added to one that has none. mark: borrowed, or NULL. */
static mf_status look_for(taskiq *t, const mf_unit *unit, int64_t until_ns, const char *mark, mf_error *err)
{
    mf_status st = observers_start(t, err);
    if (st != MF_OK)
        return st;
    char *id = taskiq_unit_id(t, unit), *key = id != NULL ? taskiq_result_key(t, mf_cstr(id)) : NULL;
    char *copy = mark != NULL ? taskiq_key(t, "%s", mark) : NULL;
    taskiq_waiter *w = mf_new(t->allocator, taskiq_waiter);
    taskiq_text_free(t, id);
    if (w == NULL || key == NULL || (mark != NULL && copy == NULL)) {
        mf_delete(t->allocator, w);
        taskiq_text_free(t, key);
        taskiq_text_free(t, copy);
        return mf_fail(err, MF_E_NOMEM, "no memory to observe a task");
    }
    *w = (taskiq_waiter){.owner = t, .key = key, .observed = true, .unit = *unit, .until_ns = until_ns, .mark = copy};
    pthread_mutex_lock(&t->lock);
    taskiq_waiter *known = find(t, key);
    if (known == NULL) {
        taskiq_waiter_add(t, w);
    } else if (known->mark == NULL) {
        known->mark = w->mark;
        w->mark = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    if (known != NULL)
        free_waiter(t, w);
    return MF_OK;
}

mf_status taskiq_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    mf_status st = look_for(t, unit, INT64_MAX, NULL, err);
    mfi_redis_poke(t->redis);
    return st;
}

mf_status taskiq_watch(taskiq *t, const mf_entry *entry, mf_error *err)
{
    int64_t until_ns = mfi_deadline_ns(mfi_now_ns(t->clock), mf_milliseconds(entry->spec->timeout_ms + SLACK_MS));
    mf_status st = look_for(t, &entry->unit, until_ns, NULL, err);
    atomic_store(&t->watch_soon, true);
    mfi_redis_poke(t->redis);
    return st;
}

/* ---- the set ------------------------------------------------------------------------------------------------------ */

/* One that is not in the set any more: somebody told its end, or the server came back empty. It is looked for all the same. */
static void unmark(taskiq *t, mf_str mark)
{
    pthread_mutex_lock(&t->lock);
    for (taskiq_waiter *w = t->waiters; w != NULL; w = w->next)
        if (w->mark != NULL && mf_str_eq(mark, mf_cstr(w->mark))) {
            taskiq_text_free(t, w->mark);
            w->mark = NULL;
        }
    pthread_mutex_unlock(&t->lock);
}

static void take_over(taskiq *t, mf_str mark)
{
    mf_unit unit;
    int64_t until_ms;
    mf_error err;
    if (!read_mark(mark, &unit, &until_ms))
        return;
    int64_t left = until_ms - mfi_wall_ms(t->clock);
    int64_t until_ns = mfi_deadline_ns(mfi_now_ns(t->clock), mf_milliseconds(left > 0 ? left : 0));
    if (look_for(t, &unit, until_ns, mark.at, &err) != MF_OK)      /* another process does, after the lease */
        taskiq_log(t, MF_LOG_ERROR, "the end of a foreign task is not watched for: %s", err.text);
}

static void looked_at(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq *t = user;
    (void)err;      /* the next look comes long before the end of the lease */
    t->watching = false;
    for (size_t r = 0; st == MF_OK && r < replies->count; r++) {
        const mfi_redis_reply *one = &replies->at[r];
        if (one->type != MFI_REDIS_ARRAY || one->count != 2)
            continue;
        for (size_t i = 0; i < one->items[0].count; i++)
            unmark(t, one->items[0].items[i].text);
        for (size_t i = 0; i < one->items[1].count; i++)
            take_over(t, one->items[1].items[i].text);
        if (one->items[1].count == CLAIM_MAX)
            atomic_store(&t->watch_soon, true);
    }
    mfi_redis_poke(t->redis);
    taskiq_answered(t);
}

/* Our marks, renewed, MARKS_MAX with each call of the script; the last one also takes over. */
static void look(taskiq *t)
{
    char lease[24], most[8];
    mf_str argv[3 + MARKS_MAX];
    size_t n = 3;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    argv[0] = mf_cstr(t->watched);
    argv[1] = mf_str_of(lease, (size_t)snprintf(lease, sizeof lease, "%lld", (long long)(t->options.lease / 1000000)));
    argv[2] = MF_STR_LIT("0");
    pthread_mutex_lock(&t->lock);
    for (taskiq_waiter *w = t->waiters; w != NULL; w = w->next) {
        if (!w->observed || w->ended || w->mark == NULL)
            continue;
        argv[n++] = mf_cstr(w->mark);
        if (n == 3 + MARKS_MAX) {
            mfi_redis_add_script(rq, t->scripts[TASKIQ_WATCH], 1, n, argv);
            n = 3;
        }
    }
    argv[2] = mf_str_of(most, (size_t)snprintf(most, sizeof most, "%d", CLAIM_MAX));
    mfi_redis_add_script(rq, t->scripts[TASKIQ_WATCH], 1, n, argv);     /* copied: the marks stand under the lock */
    pthread_mutex_unlock(&t->lock);
    t->watching = true;
    if (taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = mf_seconds(10)), looked_at, t) != MF_OK)
        t->watching = false;
}

/* Those whose flow has ended them. Whether any is left. */
static bool forget_late(taskiq *t, int64_t now_ns)
{
    bool any = false;
    pthread_mutex_lock(&t->lock);
    for (taskiq_waiter *w = t->waiters, *next; w != NULL; w = next) {
        next = w->next;
        if (!w->observed || w->ended)
            continue;
        if (w->until_ns <= now_ns && !w->looking) {
            taskiq_waiter_take_out(t, w);
            free_waiter(t, w);
        } else {
            any = true;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return any;
}

int64_t taskiq_watch_tick(taskiq *t, int64_t now_ns)
{
    bool soon = !t->watching && atomic_exchange(&t->watch_soon, false);
    if (!soon && now_ns < t->watch_ns)
        return t->watch_ns;
    bool any = forget_late(t, now_ns);
    pthread_mutex_lock(&t->lock);
    bool serving = t->serving;
    pthread_mutex_unlock(&t->lock);
    if ((any || serving) && !t->watching)
        look(t);
    /* A worker's timer for what the dead held is the same one, so that both wake it at once. */
    t->watch_ns = any ? now_ns + t->options.lease / 3 : serving ? now_ns + t->options.lease / 2 : INT64_MAX;
    return t->watch_ns;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static void forgotten(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    (void)st, (void)replies, (void)err;     /* one that stays is taken over, and its outcome refused */
    taskiq_answered(user);
}

static void forget_mark(taskiq *t, const char *mark)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("ZREM"), mf_cstr(t->watched), mf_cstr(mark));
    (void)!taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true), forgotten, t);
}

/* What the store could not take now is told again: by whoever takes over the mark. */
static bool not_now(mf_status st)
{
    return st == MF_E_IO || st == MF_E_TIMEOUT || st == MF_E_AGAIN || st == MF_E_NOMEM || st == MF_E_CLOSED || st == MF_E_FULL;
}

static void tell_end(void *arg)
{
    taskiq_waiter *w = arg;
    taskiq *t = w->owner;
    mf_message *whole = NULL, *value = NULL;
    taskiq_result r;
    mf_error err = {0};
    mf_status st = taskiq_result_read(mf_str_of(w->value.at, w->value.len), t->options.limits, t->allocator, &whole, &r, &err);
    mf_signature_status status = MF_STATUS_FAILED;
    if (st == MF_OK && mf_message_of_value(r.value, t->allocator, &value, NULL) == MF_OK)
        status = r.failed ? MF_STATUS_FAILED : MF_STATUS_DONE;
    else
        value = mf_msg("{s:s, s:T}", "type", "UnreadableResult", "text", mf_cstr(err.text));
    st = t->host->ops->outcome(t->host, &w->unit, status, value, NULL);
    if (w->mark != NULL && !not_now(st))
        forget_mark(t, w->mark);
    mf_message_unref(whole);
    mf_message_unref(value);
    free_waiter(t, w);
}

void taskiq_watched_end(taskiq_waiter *w)
{
    taskiq *t = w->owner;
    pthread_mutex_lock(&t->lock);
    bool handed = t->observers != NULL && mf_pool_submit(t->observers, tell_end, w) == MF_OK;
    pthread_mutex_unlock(&t->lock);
    if (!handed)        /* we are closing, or there is no memory: its mark stays */
        free_waiter(t, w);
}

/* Whoever looks next need not wait for our lease to end. */
static void leave(taskiq *t)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    size_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (taskiq_waiter *w = t->waiters; w != NULL; w = w->next)
        if (w->observed && w->mark != NULL && !w->ended) {
            mfi_redis_add(rq, MF_STR_LIT("ZADD"), mf_cstr(t->watched), MF_STR_LIT("XX"), MF_STR_LIT("0"), mf_cstr(w->mark));
            n++;
        }
    pthread_mutex_unlock(&t->lock);
    if (n == 0)
        mfi_redis_request_destroy(rq);
    else
        (void)!mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = mf_milliseconds(500)), NULL, NULL);
}

/* What was seen to end is told before the links go. */
void taskiq_watch_close(taskiq *t)
{
    pthread_mutex_lock(&t->lock);
    mf_pool *observers = t->observers;
    t->observers = NULL;
    pthread_mutex_unlock(&t->lock);
    (void)mf_pool_destroy(observers);
    leave(t);
}

/* The links are gone: nobody looks any more. */
void taskiq_watch_free(taskiq *t)
{
    for (taskiq_waiter *next; t->waiters != NULL; t->waiters = next) {
        next = t->waiters->next;
        if (t->waiters->observed)
            free_waiter(t, t->waiters);
    }
}
