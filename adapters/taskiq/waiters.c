/* Results that somebody here waits for: one look at Redis for all of them at a time.
 *
 * Python's workers tell nobody that a result is there, so it has to be looked for. A look is one MGET over the keys whose turn
 * it is. The turns of a waiter are a tenth of the time it has waited so far apart, within bounds: a quick task is seen
 * within a tenth of a millisecond (a worker that is idle takes two or three), a long one costs ten looks a second at most, and
 * one of a flow, which nobody sits and waits for, one (watch.c tells who looks for those). */
#include "taskiq.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "compose.h"
#include "memory.h"

#define LOOK_MAX 128
#define LEAST_NS 100000
#define MOST_NS 100000000
#define OBSERVED_LEAST_NS 20000000
#define OBSERVED_MOST_NS 1000000000

static void set_next(taskiq_waiter *w, int64_t now_ns)
{
    int64_t least = w->observed ? OBSERVED_LEAST_NS : LEAST_NS, most = w->observed ? OBSERVED_MOST_NS : MOST_NS;
    int64_t step = (now_ns - w->begun_ns) / 10;
    w->look_ns = now_ns + (step < least ? least : step > most ? most : step);
}

void taskiq_waiter_add(taskiq *t, taskiq_waiter *w)
{
    w->begun_ns = mfi_now_ns(t->clock);
    set_next(w, w->begun_ns);
    w->next = t->waiters;
    t->waiters = w;
}

void taskiq_waiter_take_out(taskiq *t, taskiq_waiter *w)
{
    taskiq_waiter **at = &t->waiters;
    while (*at != NULL && *at != w)
        at = &(*at)->next;
    if (*at == w)
        *at = w->next;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

typedef struct look {
    taskiq        *owner;
    size_t         count;
    taskiq_waiter *waiters[LOOK_MAX];
} look;

/* The lock is held. True: it is an observed one, for the observers' thread. */
static bool end_waiter(taskiq *t, taskiq_waiter *w, mf_str value)
{
    char *copy = mfi_alloc(t->allocator, value.len + 1);
    if (copy == NULL)
        return false;       /* the next look finds it again */
    memcpy(copy, value.at, value.len);
    w->value = (taskiq_bytes){copy, value.len, value.len + 1};
    w->ended = true;
    if (w->observed)
        taskiq_waiter_take_out(t, w);
    return w->observed;
}

static void looked(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    look *l = user;
    taskiq *t = l->owner;
    bool any = false, told[LOOK_MAX] = {false};
    const mfi_redis_reply *all = st == MF_OK ? &replies->at[0] : NULL;
    pthread_mutex_lock(&t->lock);
    int64_t now_ns = mfi_now_ns(t->clock);
    for (size_t i = 0; i < l->count; i++) {
        taskiq_waiter *w = l->waiters[i];
        w->looking = false;
        if (all != NULL && all->type == MFI_REDIS_ARRAY && i < all->count && all->items[i].type == MFI_REDIS_STRING)
            told[i] = end_waiter(t, w, all->items[i].text);
        any = any || w->ended;
        set_next(w, now_ns);
    }
    (void)err;      /* no answer is no end: the next look may have one */
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < l->count; i++)
        if (told[i])
            taskiq_watched_end(l->waiters[i]);
    if (any)
        mf_adapter_wake_helpers(&t->base);
    mf_delete(t->allocator, l);
    mfi_redis_poke(t->redis);
    taskiq_answered(t);
}

static void send_look(taskiq *t, look *l)
{
    mf_str argv[1 + LOOK_MAX];
    argv[0] = MF_STR_LIT("MGET");
    for (size_t i = 0; i < l->count; i++)
        argv[1 + i] = mf_cstr(l->waiters[i]->key);
    mfi_redis_request *rq = mfi_redis_request_create(t->results);
    mfi_redis_add_argv(rq, 1 + l->count, argv);
    mf_status st = taskiq_submit(t, t->results, rq, MFI_REDIS_HOW(.idempotent = true, .within = mf_seconds(5)), looked, l);
    if (st == MF_OK)
        return;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < l->count; i++)
        l->waiters[i]->looking = false;
    pthread_mutex_unlock(&t->lock);
    mf_delete(t->allocator, l);
}

int64_t taskiq_waiters_tick(taskiq *t, int64_t now_ns)
{
    int64_t next = INT64_MAX;
    look *l = NULL;
    pthread_mutex_lock(&t->lock);
    for (taskiq_waiter *w = t->waiters; w != NULL; w = w->next) {
        if (w->looking || w->ended)
            continue;
        bool due = w->look_ns <= now_ns + LEAST_NS / 2;
        if (due && l == NULL) {
            l = mf_new(t->allocator, look);
            if (l != NULL)
                l->owner = t;
        }
        if (due && l != NULL && l->count < LOOK_MAX) {
            w->looking = true;
            l->waiters[l->count++] = w;
        } else {
            int64_t when = w->look_ns > now_ns ? w->look_ns : now_ns + LEAST_NS;
            next = when < next ? when : next;
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (l != NULL)
        send_look(t, l);
    return next;
}

/* ---- who waits ---------------------------------------------------------------------------------------------------- */

struct waiting {
    taskiq        *owner;
    taskiq_waiter *waiter;
};

static bool has_ended(void *arg)
{
    struct waiting *w = arg;
    pthread_mutex_lock(&w->owner->lock);
    bool ended = w->waiter->ended || (w->owner->has_worker && !w->owner->serving);
    pthread_mutex_unlock(&w->owner->lock);
    return ended;
}

static mf_status answer_of(taskiq *t, taskiq_waiter *w, mf_message **out, mf_error *err)
{
    mf_message *whole;
    taskiq_result r;
    mf_error why = {0};
    mf_status st = taskiq_result_read(mf_str_of(w->value.at, w->value.len), t->options.limits, t->allocator, &whole, &r, &why);
    if (st != MF_OK)
        return mf_fail(err, st, "the result under %s cannot be read: %s; do serializer and result backend agree?", w->key, why.text);
    mf_message *value = NULL;
    st = mf_message_of_value(r.value, t->allocator, &value, err);
    mf_message_unref(whole);
    if (st == MF_OK && r.failed) {
        st = mfi_compose_failed(value, err);
        mf_message_unref(value);
    } else if (st == MF_OK) {
        *out = value;
    }
    return st;
}

mf_status taskiq_wait(taskiq *t, mf_str id, int64_t deadline_ns, mf_message **out, mf_error *err)
{
    taskiq_waiter waiter = {.key = taskiq_result_key(t, id)};
    struct waiting w = {t, &waiter};
    if (waiter.key == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory to wait for a result");
    pthread_mutex_lock(&t->lock);
    taskiq_waiter_add(t, &waiter);
    pthread_mutex_unlock(&t->lock);
    mfi_redis_poke(t->redis);
    mf_status helped = mf_adapter_help(&t->base, has_ended, &w, deadline_ns);
    struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    pthread_mutex_lock(&t->lock);
    while (helped == MF_E_UNSUPPORTED && !waiter.ended)
        if (pthread_cond_timedwait(&t->changed, &t->lock, &until) != 0 && !waiter.ended)
            break;
    while (waiter.looking)      /* the answer that is under way writes into it */
        pthread_cond_wait(&t->changed, &t->lock);
    taskiq_waiter_take_out(t, &waiter);
    bool stopped = helped == MF_OK && !t->serving;
    pthread_mutex_unlock(&t->lock);
    mf_status st;
    if (waiter.ended)
        st = answer_of(t, &waiter, out, err);
    else if (stopped)
        st = mf_fail(err, MF_E_CLOSED, "task %.*s did not end before the worker stopped", (int)id.len, id.at);
    else
        st = mf_fail(err, MF_E_TIMEOUT, "no result of task %.*s within the time; is there a worker for its queue, and does it write "
                     "results to %s?", (int)id.len, id.at, mfi_redis_text(t->results));
    taskiq_bytes_free(t->allocator, &waiter.value);
    taskiq_text_free(t, waiter.key);
    return st;
}
