/* Messages that were kept aside: entries of each queue's stream of dead letters, <queue>:mageflow:dead, {data, reason, queue}.
 *
 * A letter's key is QUEUE@ID, the queue it came from and the entry's id there. To send one again is one script: it goes back into
 * its queue and out of the stream, if it is still there, so that of any number who ask one sends it. */
#include <mageflow/dead.h>

#include "taskiq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

#define PAGE 64

static const mf_limits whole = {.struct_size = sizeof whole, .bytes = SIZE_MAX, .depth = MF_DEPTH_MAX, .elements = SIZE_MAX};

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

struct place {
    taskiq_queue *queue;
    char          id[TASKIQ_ENTRY_MAX];
};

/* "1700000000000-0". */
static bool is_id(mf_str text)
{
    size_t digits = 0, dash = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '-' && dash == 0 && digits > 0)
            dash = i;
        else if (text.at[i] >= '0' && text.at[i] <= '9')
            digits++;
        else
            return false;
    }
    return dash > 0 && dash + 1 < text.len && text.len < TASKIQ_ENTRY_MAX;
}

static void name_queues(taskiq *t, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < t->queue_count && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%.60s", i == 0 ? "" : ", ", t->queues[i].name);
}

static mf_status find_place(taskiq *t, mf_str key, struct place *out, mf_error *err)
{
    size_t at = key.len;
    char known[256];
    while (at > 0 && key.at[at - 1] != '@')
        at--;
    mf_str id = mf_str_of(key.at + at, key.len - at);
    if (at == 0 || !is_id(id))
        return mf_fail(err, MF_E_INVALID, "dead letter: expected the key of a signature, as in task-…, or of a message, as in "
                       "%s@1700000000000-0, got \"%.*s\"", t->queues[0].name, (int)(key.len < 80 ? key.len : 80), key.at);
    out->queue = taskiq_queue_find(t, mf_str_of(key.at, at - 1));
    name_queues(t, known, sizeof known);
    if (out->queue == NULL)
        return mf_fail(err, MF_E_INVALID, "dead letter \"%.*s\": expected one of the queues of the URL, which are %s; name another "
                       "with ?queue=", (int)(key.len < 80 ? key.len : 80), key.at, known);
    snprintf(out->id, sizeof out->id, "%.*s", (int)id.len, id.at);
    return MF_OK;
}

/* ---- letters ------------------------------------------------------------------------------------------------------- */

static mf_str field_of(const mfi_redis_reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->count; i += 2)
        if (mf_str_eq(fields->items[i].text, mf_cstr(name)))
            return fields->items[i + 1].text;
    return mf_str_of(NULL, 0);
}

static mf_status bytes_message(taskiq *t, mf_str bytes, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, t->allocator, &whole);
    mf_build_bin(&b, bytes);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

/* One entry of XRANGE: [id, [field, value, …]]. */
static mf_status read_entry(taskiq *t, const taskiq_queue *q, const mfi_redis_reply *entry, mf_dead_letter *out, mf_error *err)
{
    *out = (mf_dead_letter){.at_ms = 0};
    if (entry->type != MFI_REDIS_ARRAY || entry->count != 2 || entry->items[1].type != MFI_REDIS_ARRAY)
        return mf_fail(err, MF_E_MALFORMED, "%s: expected entries of a stream from %s, got something else", t->server, q->dead);
    mf_str id = entry->items[0].text, data = field_of(&entry->items[1], "data"), reason = field_of(&entry->items[1], "reason");
    snprintf(out->key, sizeof out->key, "%s@%.*s", q->name, (int)id.len, id.at);
    snprintf(out->name, sizeof out->name, "%s", q->name);
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)reason.len, reason.at == NULL ? "" : reason.at);
    if (data.len == 0)
        snprintf(out->hindrance, sizeof out->hindrance, "it holds no message: there is nothing to send");
    out->at_ms = strtoll(id.at, NULL, 10);
    return bytes_message(t, data, &out->payload, err);
}

static mf_status read_entries(taskiq *t, const taskiq_queue *q, const mfi_redis_reply *answer, size_t max, mf_dead_letter *out,
                              size_t *got, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; i < answer->count && *got < max && st == MF_OK; i++) {
        st = read_entry(t, q, &answer->items[i], &out[*got], err);
        *got += st == MF_OK;
    }
    return st;
}

/* XRANGE from one id on, both bounds as Redis takes them. */
static mf_status ask_range(taskiq *t, const taskiq_queue *q, const char *from, const char *to, size_t max, mfi_redis_replies **out,
                           mf_error *err)
{
    char count[24];
    int len = snprintf(count, sizeof count, "%zu", max);
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("XRANGE"), mf_cstr(q->dead), mf_cstr(from), mf_cstr(to), MF_STR_LIT("COUNT"),
                  mf_str_of(count, (size_t)len));
    return mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true), out, err);
}

mf_status taskiq_dead_page(mf_adapter *base, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    struct place place = {.queue = &t->queues[0]};
    char from[TASKIQ_ENTRY_MAX + 1] = "-";
    mf_status st = after.len == 0 ? MF_OK : find_place(t, after, &place, err);
    if (st == MF_OK && after.len > 0)
        snprintf(from, sizeof from, "(%s", place.id);
    for (; st == MF_OK && *got == 0 && place.queue < t->queues + t->queue_count; place.queue++) {
        mfi_redis_replies *r = NULL;
        st = ask_range(t, place.queue, from, "+", max < PAGE ? max : PAGE, &r, err);
        if (st == MF_OK)
            st = read_entries(t, place.queue, &r->at[0], max, out, got, err);
        mfi_redis_replies_destroy(r);
        snprintf(from, sizeof from, "-");
    }
    while (st != MF_OK && *got > 0)
        mf_dead_letter_release(&out[--*got]);
    return st;
}

static mf_status gone(mf_str key, mf_error *err)
{
    return mf_fail(err, MF_E_NOT_FOUND, "there is no dead letter %.*s, or not any more: it was requeued or dropped", (int)key.len,
                   key.at);
}

mf_status taskiq_dead_read(mf_adapter *base, mf_str key, mf_dead_letter *out, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    struct place place;
    size_t got = 0;
    mf_dead_letter letter;
    mfi_redis_replies *r = NULL;
    mf_status st = find_place(t, key, &place, err);
    if (st == MF_OK)
        st = ask_range(t, place.queue, place.id, place.id, 1, &r, err);
    if (st == MF_OK)
        st = read_entries(t, place.queue, &r->at[0], 1, &letter, &got, err);
    mfi_redis_replies_destroy(r);
    if (st == MF_OK && got == 0)
        return gone(key, err);
    if (st == MF_OK)
        *out = letter;
    return st;
}

/* ---- requeue and drop ---------------------------------------------------------------------------------------------- */

mf_status taskiq_dead_requeue(mf_adapter *base, mf_str key, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    struct place place;
    mfi_redis_replies *r = NULL;
    mf_status st = find_place(t, key, &place, err);
    if (st != MF_OK)
        return st;
    const taskiq_queue *q = place.queue;
    const mf_str args[] = {mf_cstr(q->dead), mf_cstr(q->name), mf_cstr(q->list ? q->deaths : q->name), mf_cstr(place.id),
                           q->list ? MF_STR_LIT("list") : MF_STR_LIT("stream")};
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add_script(rq, t->scripts[TASKIQ_REQUEUE], 3, sizeof args / sizeof *args, args);
    st = mfi_redis_call(t->redis, rq, NULL, &r, err);
    int64_t sent = st == MF_OK ? r->at[0].integer : 0;
    mfi_redis_replies_destroy(r);
    if (st == MF_OK && sent == 0)
        return gone(key, err);
    if (st == MF_OK && sent < 0)
        return mf_fail(err, MF_E_STATE, "dead letter %.*s holds no message: there is nothing to send; drop it", (int)key.len, key.at);
    return st;
}

mf_status taskiq_dead_drop(mf_adapter *base, mf_str key, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    struct place place;
    mfi_redis_replies *r = NULL;
    mf_status st = find_place(t, key, &place, err);
    if (st != MF_OK)
        return st;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("XDEL"), mf_cstr(place.queue->dead), mf_cstr(place.id));
    st = mfi_redis_call(t->redis, rq, NULL, &r, err);
    if (st == MF_OK && r->at[0].integer == 0)
        st = gone(key, err);
    mfi_redis_replies_destroy(r);
    return st;
}
