/* What was moved to our in-flight list, and never arrived.
 *
 * A connection that is lost may take the answer to a move along, and a blocking move that the server has not given up yet may
 * even come later. Such a payload lies in the list of a worker that lives, so nobody would ever run it. It is found by
 * comparing the list with what is held here: after each read that failed, and when a renewal finds the list too long. No read
 * is under way meanwhile, so what is there and not held is stranded. */
#include "taskiq.h"

#include "memory.h"

/* Jobs held with this very payload. The lock is held. */
static size_t held_with(const taskiq *t, const taskiq_queue *q, mf_str payload)
{
    size_t n = 0;
    for (const taskiq_job *job = t->held; job != NULL; job = job->right)
        n += job->queue == q && mf_str_eq(job->payload, payload);
    return n;
}

/* Whether the i-th of the list is one more than are held. */
static bool is_stranded(const taskiq *t, const taskiq_queue *q, const mfi_redis_reply *list, size_t i)
{
    size_t so_far = 1;
    for (size_t k = i + 1; k < list->count; k++)
        so_far += mf_str_eq(list->items[k].text, list->items[i].text);
    return so_far > held_with(t, q, list->items[i].text);
}

static void listed(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    taskiq_source *s = user;
    taskiq *t = s->owner;
    const mfi_redis_reply *found[64];
    size_t n = 0;
    (void)err;
    if (st == MF_OK && replies->at[0].type == MFI_REDIS_ARRAY) {
        const mfi_redis_reply *list = &replies->at[0];
        pthread_mutex_lock(&t->lock);
        size_t room = t->slots > t->in_flight ? t->slots - t->in_flight : 0, i = list->count;
        for (; i > 0 && n < room && n < sizeof found / sizeof *found; i--)     /* the oldest stands last */
            if (is_stranded(t, s->queues[0], list, i - 1))
                found[n++] = &list->items[i - 1];
        s->doubtful = i > 0;
        pthread_mutex_unlock(&t->lock);
    }
    if (n > 0) {
        taskiq_log(t, MF_LOG_WARN, "queue %s: %zu tasks had not arrived over a lost connection", s->queues[0]->name, n);
        taskiq_take_stranded(s, replies, found, n);
    }
    pthread_mutex_lock(&t->lock);
    s->reading = false;
    s->more = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (st == MF_OK)
        taskiq_read_all(t);
    taskiq_answered(t);
}

mf_status taskiq_recover(taskiq_source *s)
{
    taskiq *t = s->owner;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("LRANGE"), mf_cstr(s->queues[0]->inflight), MF_STR_LIT("0"), MF_STR_LIT("-1"));
    return taskiq_submit(t, t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = MF_FOREVER), listed, s);
}

void taskiq_list_length(taskiq *t, taskiq_queue *q, int64_t length)
{
    int64_t held = 0;
    pthread_mutex_lock(&t->lock);
    for (const taskiq_job *job = t->held; job != NULL; job = job->right)
        held += job->queue == q;
    if (q->source != NULL && length > held)
        q->source->doubtful = true;
    pthread_mutex_unlock(&t->lock);
}
