/* How long the queues are, as Redis tells it: for /metrics. */
#include "taskiq.h"

#include <stdio.h>

#include "memory.h"

#define WITHIN mf_seconds(1)

static int64_t number(const mfi_redis_reply *reply)
{
    return reply->type == MFI_REDIS_INTEGER ? reply->integer : -1;
}

/* The value under a name, in names and values in turn; NULL: not there. */
static const mfi_redis_reply *field(const mfi_redis_reply *all, const char *name)
{
    for (size_t i = 0; i + 1 < all->count; i += 2)
        if (mf_str_eq(all->items[i].text, mf_cstr(name)))
            return &all->items[i + 1];
    return NULL;
}

/* Of a stream's groups ours; NULL: there is none. */
static const mfi_redis_reply *group_of(const taskiq *t, const mfi_redis_reply *groups)
{
    for (size_t i = 0; groups->type == MFI_REDIS_ARRAY && i < groups->count; i++) {
        const mfi_redis_reply *name = field(&groups->items[i], "name");
        if (name != NULL && mf_str_eq(name->text, mf_cstr(t->options.group)))
            return &groups->items[i];
    }
    return NULL;
}

/* Redis 7 knows a group's lag, but for some cases after deletions; else what lies there and is nobody's: ours deletes what is
 * acknowledged, if it is the only group. */
static void stream_numbers(const taskiq *t, const taskiq_queue *q, const mfi_redis_reply *r, mf_queue_numbers *out)
{
    const mfi_redis_reply *group = group_of(t, &r[0]), *lag = NULL, *pending = NULL;
    int64_t length = number(&r[1]);
    if (group != NULL) {
        lag = field(group, "lag");
        pending = field(group, "pending");
    }
    out->held = pending != NULL ? number(pending) : length >= 0 ? 0 : -1;
    if (lag != NULL && lag->type == MFI_REDIS_INTEGER)
        out->waiting = lag->integer;
    else if (group == NULL || atomic_load(&q->alone))
        out->waiting = length > out->held ? length - out->held : length >= 0 ? 0 : -1;
}

/* What this worker holds of a list: others' are not counted by Redis under one name. */
static void list_numbers(const mfi_redis_reply *r, mf_queue_numbers *out)
{
    out->waiting = number(&r[0]);
    out->held = number(&r[1]);
}

#define ANSWERS 4       /* for each queue */

static void ask(taskiq *t, mfi_redis_request *rq, const taskiq_queue *q)
{
    (void)t;
    if (q->list) {
        mfi_redis_add(rq, MF_STR_LIT("LLEN"), mf_cstr(q->name));
        mfi_redis_add(rq, MF_STR_LIT("LLEN"), mf_cstr(q->inflight));
    } else {
        mfi_redis_add(rq, MF_STR_LIT("XINFO"), MF_STR_LIT("GROUPS"), mf_cstr(q->name));
        mfi_redis_add(rq, MF_STR_LIT("XLEN"), mf_cstr(q->name));
    }
    mfi_redis_add(rq, MF_STR_LIT("ZCARD"), mf_cstr(q->delayed));
    mfi_redis_add(rq, MF_STR_LIT("XLEN"), mf_cstr(q->dead));
}

mf_status taskiq_queues(mf_adapter *base, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    size_t n = room < t->queue_count ? room : t->queue_count;
    *count = t->queue_count;
    if (n == 0)
        return MF_OK;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_replies *replies = NULL;
    for (size_t i = 0; i < n; i++)
        ask(t, rq, &t->queues[i]);
    mf_status st = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = WITHIN), &replies, err);
    for (size_t i = 0; replies != NULL && i < n; i++) {     /* a stream that is not there yet is an error among them */
        const mfi_redis_reply *r = &replies->at[ANSWERS * i];
        out[i] = (mf_queue_numbers){.waiting = -1, .held = -1, .delayed = number(&r[2]), .dead = number(&r[3])};
        snprintf(out[i].name, sizeof out[i].name, "%s", t->queues[i].name);
        if (t->queues[i].list)
            list_numbers(r, &out[i]);
        else
            stream_numbers(t, &t->queues[i], r, &out[i]);
    }
    st = replies != NULL ? MF_OK : st;
    mfi_redis_replies_destroy(replies);
    return st;
}
