/* Sending: calls by name, for whoever serves them, and what the runtime publishes.
 *
 * What a Python fleet is to serve goes into its queue in its own form. The messages of a flow that our own workers serve go
 * into mageflow's queue beside it: a Python worker of the same group would take them, find no such task, and drop them. */
#include "taskiq.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "random.h"
#include "taskiq_text.h"

#define GROUP_AGAIN mf_seconds(5)
#define IDS_LEN 32
#define WITHIN mf_seconds(3)        /* for what the runtime publishes: it tries again by itself */

typedef struct trigger {
    mf_workflow base;
    taskiq     *owner;
    char       *name;
} trigger;

static trigger *trigger_of(mf_workflow *workflow)
{
    return (trigger *)(void *)workflow;
}

/* As Python's uuid4().hex looks: 32 small hexadecimal digits. */
static mf_status make_id(char out[IDS_LEN + 1], mf_error *err)
{
    unsigned char bytes[IDS_LEN / 2];
    mf_status st = mfi_random_fill(NULL, bytes, sizeof bytes);
    if (st != MF_OK)
        return mf_fail(err, st, "no random bytes for an id");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return MF_OK;
}

char *taskiq_unit_id(taskiq *t, const mf_unit *unit)
{
    return taskiq_key(t, "%s.%llu.%u", unit->key.text, (unsigned long long)unit->index, unit->epoch);
}

bool taskiq_unit_of_id(mf_str id, mf_unit *out)
{
    int64_t index = 0, epoch = 0;
    size_t dots[2] = {0, 0};
    for (size_t i = 0; i < id.len; i++)
        if (id.at[i] == '.') {
            dots[0] = dots[1];
            dots[1] = i;
        }
    *out = (mf_unit){.index = 0};
    if (dots[0] == 0 || taskiq_text_int(mf_str_of(id.at + dots[0] + 1, dots[1] - dots[0] - 1), &index) != TASKIQ_NUMBER_OK ||
        taskiq_text_int(mf_str_of(id.at + dots[1] + 1, id.len - dots[1] - 1), &epoch) != TASKIQ_NUMBER_OK || index < 0 ||
        epoch < 0 || epoch > UINT32_MAX || mf_key_parse(mf_str_of(id.at, dots[0]), &out->key, NULL) != MF_OK)
        return false;
    out->index = (uint64_t)index;
    out->epoch = (uint32_t)epoch;
    return true;
}

/* A stream without its group swallows what is sent: Python makes it at "$". So whoever sends makes it, too, and looks again
 * now and then, since the server may have come back empty. */
static mf_status ensure_group(taskiq *t, taskiq_queue *q, mf_error *err)
{
    int64_t now_ns = mfi_now_ns(t->clock);
    if (q->list || (atomic_load(&q->grouped) && now_ns < atomic_load(&q->grouped_ns) + GROUP_AGAIN))
        return MF_OK;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("XGROUP"), MF_STR_LIT("CREATE"), mf_cstr(q->name), mf_cstr(t->options.group), MF_STR_LIT("0"),
                  MF_STR_LIT("MKSTREAM"));
    mf_error why = {0};
    mf_status st = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = WITHIN), NULL, &why);
    if (st != MF_OK && st != MF_E_EXISTS)
        return mf_fail(err, st, "queue %s: %s", q->name, why.text);
    atomic_store(&q->grouped_ns, now_ns);
    atomic_store(&q->grouped, true);
    return MF_OK;
}

static void add_send(mfi_redis_request *rq, const taskiq_queue *q, mf_str payload)
{
    if (q->list)
        mfi_redis_add(rq, MF_STR_LIT("LPUSH"), mf_cstr(q->name), payload);
    else
        mfi_redis_add(rq, MF_STR_LIT("XADD"), mf_cstr(q->name), MF_STR_LIT("*"), MF_STR_LIT("data"), payload);
}

/* The server's clock, in ms: the one that due times are compared with. */
static mf_status server_ms(taskiq *t, int64_t *out, mf_error *err)
{
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_replies *replies = NULL;
    mfi_redis_add(rq, MF_STR_LIT("TIME"));
    mf_status st = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true), &replies, err);
    if (st == MF_OK) {
        int64_t s = 0, us = 0;
        if (replies->at[0].type == MFI_REDIS_ARRAY && replies->at[0].count == 2 &&
            taskiq_text_int(replies->at[0].items[0].text, &s) == TASKIQ_NUMBER_OK &&
            taskiq_text_int(replies->at[0].items[1].text, &us) == TASKIQ_NUMBER_OK)
            *out = s * 1000 + us / 1000;
        else
            st = mf_fail(err, MF_E_MALFORMED, "%s: no time in the answer to TIME", mfi_redis_text(t->redis));
    }
    mfi_redis_replies_destroy(replies);
    return st;
}

/* ---- by name ------------------------------------------------------------------------------------------------------ */

static mf_status write_call(trigger *w, const mf_message *message, const char *id, taskiq_bytes *out, mf_error *err)
{
    taskiq *t = w->owner;
    mf_status st = message != NULL ? mf_message_status(message) : MF_OK;
    if (st != MF_OK)
        return mf_fail(err, st, "task \"%s\": the message failed to build", w->name);
    taskiq_call call = {.id = mf_cstr(id), .name = mf_cstr(w->name), .message = message};
    return taskiq_message_write(&call, (taskiq_format)t->options.serializer, t->allocator, out, err);
}

/* All or none: together in MULTI … EXEC. ids NULL: nobody asks for them. */
static mf_status send_many(trigger *w, const mf_message *const *messages, size_t n, mf_duration delay, char *id, mf_error *err)
{
    taskiq *t = w->owner;
    taskiq_queue *q = &t->queues[0];
    int64_t due_ms = 0;
    mf_status st = delay > 0 ? server_ms(t, &due_ms, err) : MF_OK;
    if (st == MF_OK)
        st = ensure_group(t, q, err);
    if (st == MF_OK && delay > 0)
        st = ensure_group(t, taskiq_own_queue(t), err);
    if (st != MF_OK)
        return st;
    due_ms += (delay + 999999) / 1000000;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    bool together = n > 1 || delay > 0;
    if (together)
        mfi_redis_add(rq, MF_STR_LIT("MULTI"));
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        char made[IDS_LEN + 1], score[24];
        taskiq_bytes bytes = {NULL, 0, 0};
        st = make_id(made, err);
        if (st == MF_OK)
            st = write_call(w, messages[i], made, &bytes, err);
        if (st != MF_OK)
            break;
        mf_str payload = mf_str_of(bytes.at, bytes.len);
        if (delay > 0)
            mfi_redis_add(rq, MF_STR_LIT("ZADD"), mf_cstr(q->delayed),
                          mf_str_of(score, (size_t)snprintf(score, sizeof score, "%lld", (long long)due_ms)), payload);
        else
            add_send(rq, q, payload);
        taskiq_bytes_free(t->allocator, &bytes);
        if (id != NULL)
            memcpy(id, made, sizeof made);
    }
    if (st != MF_OK) {
        mfi_redis_request_destroy(rq);
        return st;
    }
    if (delay > 0)      /* one of the workers looks then; see lease.c */
        mfi_redis_add(rq, MF_STR_LIT("XADD"), mf_cstr(taskiq_own_queue(t)->name), MF_STR_LIT("*"), MF_STR_LIT("due"), MF_STR_LIT(""));
    if (together)
        mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    return mfi_redis_call(t->redis, rq, NULL, NULL, err);
}

static mf_status trigger_run_many(mf_workflow *workflow, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    return n == 0 ? MF_OK : send_many(trigger_of(workflow), messages, n, delay, NULL, err);
}

static mf_status trigger_run_and_wait(mf_workflow *workflow, const mf_message *message, mf_duration timeout, mf_message **result,
                                      mf_error *err)
{
    trigger *w = trigger_of(workflow);
    char id[IDS_LEN + 1];
    if (w->owner->options.no_results)
        return mf_fail(err, MF_E_UNSUPPORTED, "task \"%s\": nobody writes results here (results=none), so none can be waited for",
                       w->name);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(w->owner->clock), timeout);
    mf_status st = send_many(w, &message, 1, 0, id, err);
    return st != MF_OK ? st : taskiq_wait(w->owner, mf_cstr(id), deadline, result, err);
}

static void trigger_destroy(mf_workflow *workflow)
{
    trigger *w = trigger_of(workflow);
    taskiq_text_free(w->owner, w->name);
    mf_delete(w->owner->allocator, w);
}

static const mf_workflow_ops trigger_ops = {
    .struct_size = sizeof(mf_workflow_ops),
    .run_many = trigger_run_many,
    .run_and_wait = trigger_run_and_wait,
    .destroy = trigger_destroy,
};

mf_status taskiq_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    trigger *w = mf_new(t->allocator, trigger);
    char *copy = taskiq_key(t, "%.*s", (int)name.len, name.at);
    if (w == NULL || copy == NULL) {
        mf_delete(t->allocator, w);
        taskiq_text_free(t, copy);
        return mf_fail(err, MF_E_NOMEM, "workflow: no memory");
    }
    w->base.ops = &trigger_ops;
    w->owner = t;
    w->name = copy;
    *out = &w->base;
    return MF_OK;
}

/* ---- what the runtime publishes ------------------------------------------------------------------------------------ */

/* An entry in TaskIQ's form. */
typedef struct written {
    taskiq_queue *queue;
    taskiq_bytes  payload;
    char         *forget;       /* a foreign task's result's key, and */
    char         *mark;         /* what says that its end is looked for; NULL: it is none */
} written;

static void written_fini(taskiq *t, written *w)
{
    taskiq_bytes_free(t->allocator, &w->payload);
    taskiq_text_free(t, w->forget);
    taskiq_text_free(t, w->mark);
}

/* A foreign task carries no metadata: whoever serves it runs it as any other, and its result is what is waited for. */
static mf_status write_entry(taskiq *t, const mf_entry *e, written *out, mf_error *err)
{
    bool foreign = e->spec->foreign, flow = mf_key_is_set(&e->unit.key);
    taskiq_queue *q = foreign || !flow ? &t->queues[0] : taskiq_own_queue(t);
    taskiq_format format = q->own ? TASKIQ_MSGPACK : (taskiq_format)t->options.serializer;
    taskiq_meta meta = {.unit = e->unit, .container = e->spec->container, .attempt = e->attempt, .priority = e->priority, .error = e->error};
    taskiq_bytes text = {NULL, 0, 0};
    *out = (written){.queue = q};
    char made[IDS_LEN + 1];
    char *id = flow ? taskiq_unit_id(t, &e->unit) : NULL;
    mf_status st = !flow ? make_id(made, err) : foreign ? MF_OK : taskiq_meta_write(&meta, t->allocator, &text, err);
    if (st == MF_OK && flow && id == NULL)
        st = mf_fail(err, MF_E_NOMEM, "no memory to send a message");
    if (st == MF_OK) {
        taskiq_label label = {MF_STR_LIT(TASKIQ_META_LABEL), mf_str_of(text.at, text.len), TASKIQ_LABEL_STR};
        taskiq_call call = {.id = mf_cstr(flow ? id : made), .name = e->spec->name, .labels = &label, .label_count = flow && !foreign,
                            .message = e->message, .exact = q->own};
        st = taskiq_message_write(&call, format, t->allocator, &out->payload, err);
    }
    if (st == MF_OK && foreign && flow) {       /* the result of an earlier attempt is not this one's */
        out->forget = taskiq_result_key(t, mf_cstr(id));
        out->mark = taskiq_watch_mark(t, e);
        if (out->forget == NULL || out->mark == NULL)
            st = mf_fail(err, MF_E_NOMEM, "no memory to send a message");
    }
    taskiq_bytes_free(t->allocator, &text);
    taskiq_text_free(t, id);
    return st;
}

static bool is_watched(const mf_entry *e)
{
    return e->spec->foreign && mf_key_is_set(&e->unit.key);
}

static mf_status add_entry(taskiq *t, mfi_redis_request *rq, const mf_entry *e, mf_error *err)
{
    written w;
    mf_status st = write_entry(t, e, &w, err);
    if (st == MF_OK && w.forget != NULL)
        mfi_redis_add(rq, MF_STR_LIT("DEL"), mf_cstr(w.forget));
    if (st == MF_OK && w.mark != NULL)
        mfi_redis_add(rq, MF_STR_LIT("ZADD"), mf_cstr(t->watched), MF_STR_LIT("0"), mf_cstr(w.mark));
    if (st == MF_OK)
        add_send(rq, w.queue, mf_str_of(w.payload.at, w.payload.len));
    written_fini(t, &w);
    return st;
}

/* A repeated message of a flow meets a guard that makes it harmless, so it may be sent again after a drop. */
mf_status taskiq_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    mf_status st = ensure_group(t, taskiq_own_queue(t), err);
    if (st == MF_OK)
        st = ensure_group(t, &t->queues[0], err);
    if (st != MF_OK || n == 0)
        return st;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mfi_redis_add(rq, MF_STR_LIT("MULTI"));
    for (size_t i = 0; st == MF_OK && i < n; i++)
        st = add_entry(t, rq, &entries[i], err);
    if (st != MF_OK) {
        mfi_redis_request_destroy(rq);
        return st;
    }
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    st = mfi_redis_call(t->redis, rq, MFI_REDIS_HOW(.idempotent = true, .within = WITHIN), NULL, err);
    for (size_t i = 0; st == MF_OK && i < n; i++)
        if (is_watched(&entries[i]))
            st = taskiq_watch(t, &entries[i], err);
    return st;
}

/* ---- with the store on the same server ------------------------------------------------------------------------------
 * What a commit of the store sends goes out with its script, and what it settles is acknowledged there. */

static mf_status pack(void *user, const mf_entry *entry, mfi_redis_parcel *out, mf_error *err)
{
    taskiq *t = user;
    written *w = mf_new(t->allocator, written);
    if (w == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory to send a message");
    mf_status st = write_entry(t, entry, w, err);
    if (st == MF_OK)
        st = ensure_group(t, w->queue, err);
    if (st != MF_OK) {
        written_fini(t, w);
        mf_delete(t->allocator, w);
        return st;
    }
    *out = (mfi_redis_parcel){.list = w->queue->list, .queue = mf_cstr(w->queue->name),
                              .payload = mf_str_of(w->payload.at, w->payload.len),
                              .forget = mf_cstr(w->forget != NULL ? w->forget : ""),
                              .set = mf_cstr(w->mark != NULL ? t->watched : ""), .mark = mf_cstr(w->mark != NULL ? w->mark : ""),
                              .own = w};
    return MF_OK;
}

static void unpack(void *user, mfi_redis_parcel *parcel)
{
    taskiq *t = user;
    written *w = parcel->own;
    written_fini(t, w);
    mf_delete(t->allocator, w);
}

static void sent(void *user, const mf_entry *entry)
{
    mf_error err = {0};
    if (is_watched(entry) && taskiq_watch(user, entry, &err) != MF_OK)
        taskiq_log(user, MF_LOG_ERROR, "the end of a foreign task is not watched for: %s", err.text);
}

/* From here on it is no loss if somebody else holds the entry: the call has ended. */
static bool receipt(void *user, const mf_delivery *delivery, mfi_redis_receipt *out)
{
    taskiq *t = user;
    taskiq_job *job = delivery->native;
    if (job == NULL || job->queue->list || atomic_load(&job->acknowledged))
        return false;
    atomic_store(&job->ending, true);
    *out = (mfi_redis_receipt){mf_cstr(job->queue->name), mf_cstr(t->options.group), mf_cstr(job->entry),
                               atomic_load(&job->queue->alone), mf_cstr(job->given_up ? job->queue->dead : ""),
                               mf_cstr(job->given_up ? job->extra : "")};
    return true;
}

static void received(void *user, const mf_delivery *delivery)
{
    taskiq *t = user;
    taskiq_job *job = delivery->native;
    pthread_mutex_lock(&t->lock);
    job->told = true;
    pthread_mutex_unlock(&t->lock);
    atomic_store(&job->settled, true);
}

void taskiq_join(taskiq *t, mf_store *store)
{
    mfi_redis_store_carry(store, &(mfi_redis_courier){.pack = pack, .unpack = unpack, .sent = sent, .receipt = receipt,
                                                         .received = received, .user = t});
}
