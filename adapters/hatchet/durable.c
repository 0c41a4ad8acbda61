/* Durable tasks that were sent without a flow: the engine keeps what their bodies did, over one DurableTask stream.
 *
 * A verb is a question: the call's thread leaves it in `asks` and waits, the I/O thread sends it and brings the answer. The engine
 * knows answers by (task's run, invocation), so each call has one question at a time.
 *
 *      step    memo {key} → known, or: done, complete_memo {value}, which nobody acknowledges
 *      wait    wait_for {a sleep, or an event with or without one} → ack, then at any time its completion
 *
 * What does not come within HOLD is waited for without a thread: evict_invocation → ack, the body returns MF_E_WAIT, and the engine
 * starts the task again once it is there, with the next invocation, which is answered from the log. A completion that nobody waits
 * for any more crossed the eviction on its way: the task is then restored by hand. The same is done where the stream was lost with
 * a question on it: to ask again could leave two entries in the log, a new invocation begins at its start.
 *
 * A flow's durable task is kept by the store, as on every manager, and asks nothing here. */
#include "hatchet.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "memory.h"

#define HOLD mf_milliseconds(500)
#define WITHIN mf_seconds(20)           /* for an answer; a connection that is dead is known by then */
#define RESTORE_WITHIN mf_seconds(10)

typedef enum ask_state { ASK_NEW, ASK_SENT, ASK_ACKED, ASK_DONE, ASK_FAILED, ASK_STALE, ASK_LOST } ask_state;

/* Of the call's thread, while it is among the asks. */
struct hatchet_ask {
    struct hatchet_ask          *next;
    hatchet_job                 *job;
    HatchetPb__DurableRequest    request;
    ask_state                    state;             /* L */
    int64_t                      branch, node;      /* L  with ASK_ACKED */
    bool                         known;             /* L  a memo was there */
    char                        *payload;           /* L  of `allocator`; NULL: none */
    size_t                       len;
    char                         why[512];          /* L  with ASK_FAILED */
};

/* ---- the stream: I/O thread ------------------------------------------------------------------------------------------- */

static struct hatchet_ask *find(hatchet *h, const char *run, int32_t invocation)
{
    struct hatchet_ask *ask = h->asks;
    while (ask != NULL && (run == NULL || ask->job->action->durable_task_invocation_count != invocation ||
                           strcmp(ask->job->action->task_run_external_id, run) != 0))
        ask = ask->next;
    return ask;
}

static void keep_payload(hatchet *h, struct hatchet_ask *ask, ProtobufCBinaryData bytes)
{
    if (ask->payload != NULL || bytes.len == 0)
        return;
    ask->payload = mfi_copy_text(h->allocator, mf_str_of((const char *)bytes.data, bytes.len));
    ask->len = bytes.len;
    if (ask->payload == NULL) {
        ask->state = ASK_FAILED;
        snprintf(ask->why, sizeof ask->why, "no memory");
    }
}

static void on_ack(hatchet *h, const HatchetPb__EntryRef *ref, const HatchetPb__MemoAck *memo)
{
    struct hatchet_ask *ask = ref != NULL ? find(h, ref->durable_task_external_id, ref->invocation_count) : NULL;
    if (ask == NULL || ask->state != ASK_SENT)
        return;
    ask->state = ASK_ACKED;
    ask->branch = ref->branch_id;
    ask->node = ref->node_id;
    if (memo != NULL) {
        ask->known = memo->memo_already_existed && memo->has_memo_result_payload;
        if (ask->known)
            keep_payload(h, ask, memo->memo_result_payload);
    }
}

static hatchet_evicted *find_evicted(hatchet *h, const HatchetPb__EntryRef *ref)
{
    for (size_t i = 0; i < HATCHET_EVICTED; i++) {
        hatchet_evicted *e = &h->evicted[i];
        if (e->invocation == ref->invocation_count && e->branch == ref->branch_id && e->node == ref->node_id &&
            strcmp(e->run, ref->durable_task_external_id) == 0)
            return e;
    }
    return NULL;
}

/* Memos that are known are completed, too, and nobody waits for that. True: a task that was evicted has to be restored. */
static bool on_completed(hatchet *h, const HatchetPb__EntryCompleted *e)
{
    const HatchetPb__EntryRef *ref = e->ref;
    if (ref == NULL || ref->durable_task_external_id == NULL)
        return false;
    struct hatchet_ask *ask = find(h, ref->durable_task_external_id, ref->invocation_count);
    if (ask == NULL || ask->request.wait_for == NULL) {
        hatchet_evicted *gone = find_evicted(h, ref);
        if (gone != NULL)
            gone->came = true;
        return gone != NULL && gone->acked;
    }
    if (ask->state != ASK_ACKED || ask->branch != ref->branch_id || ask->node != ref->node_id)
        return false;
    ask->state = e->is_failure ? ASK_FAILED : ASK_DONE;
    if (e->is_failure)
        snprintf(ask->why, sizeof ask->why, "%s", e->error_message != NULL ? e->error_message : "it failed");
    else if (e->has_payload)
        keep_payload(h, ask, e->payload);
    return false;
}

static void on_error(hatchet *h, const HatchetPb__DurableError *e)
{
    struct hatchet_ask *ask = e->ref != NULL ? find(h, e->ref->durable_task_external_id, e->ref->invocation_count) : NULL;
    if (ask == NULL)
        return;
    ask->state = ASK_FAILED;
    snprintf(ask->why, sizeof ask->why, "%s", e->error_message != NULL ? e->error_message : "the engine refused it");
}

static void restore_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    if (end->status != MF_OK && end->status != MF_E_CLOSED)
        hatchet_log(h, MF_LOG_WARN, "a durable task could not be restored: %s", end->err->text);
}

/* Of one that is not evicted nothing comes. Any thread. */
static void restore(hatchet *h, const char *run)
{
    HatchetPb__TaskRun r = HATCHET_PB__TASK_RUN__INIT;
    r.task_run_external_id = (char *)(uintptr_t)run;
    (void)!hatchet_begin(h, "/Dispatcher/RestoreEvictedTask", &r.base, RESTORE_WITHIN, NULL, restore_ended, h, NULL, NULL);
}

static void on_answer(void *user, mf_str message)
{
    hatchet *h = user;
    HatchetPb__DurableResponse *r = hatchet_pb__durable_response__unpack(NULL, message.len, (const uint8_t *)message.at);
    if (r == NULL) {
        hatchet_log(h, MF_LOG_ERROR, "an answer to a durable task that cannot be read");
        return;
    }
    bool orphan = false;
    pthread_mutex_lock(&h->lock);
    if (r->memo_ack != NULL)
        on_ack(h, r->memo_ack->ref, r->memo_ack);
    if (r->wait_for_ack != NULL)
        on_ack(h, r->wait_for_ack->ref, NULL);
    if (r->entry_completed != NULL)
        orphan = on_completed(h, r->entry_completed);
    if (r->error != NULL)
        on_error(h, r->error);
    if (r->eviction_ack != NULL) {
        struct hatchet_ask *ask = find(h, r->eviction_ack->durable_task_external_id, r->eviction_ack->invocation_count);
        if (ask != NULL && ask->request.evict_invocation != NULL)
            ask->state = ASK_DONE;
    }
    if (r->server_evict != NULL) {
        struct hatchet_ask *ask = find(h, r->server_evict->durable_task_external_id, r->server_evict->invocation_count);
        if (ask != NULL)
            ask->state = ASK_STALE;
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (orphan)
        restore(h, r->entry_completed->ref->durable_task_external_id);
    hatchet_pb__durable_response__free_unpacked(r, NULL);
}

static void durable_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    mfi_rpc_call_unref(h->durable);
    h->durable = NULL;
    pthread_mutex_lock(&h->lock);
    for (struct hatchet_ask *ask = h->asks; ask != NULL; ask = ask->next) {
        bool again = ask->state == ASK_SENT && ask->request.evict_invocation != NULL;      /* as often as one likes */
        if (again)
            ask->state = ASK_NEW;
        else if (ask->state == ASK_SENT || ask->state == ASK_ACKED)
            ask->state = ASK_LOST;
    }
    bool wanted = h->attached;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (wanted && end->status != MF_OK && end->status != MF_E_CLOSED)
        hatchet_log(h, MF_LOG_WARN, "the stream of durable tasks ended, it is opened again: %s", end->err->text);
    h->durable_ns = mfi_now_ns(h->clock) + mfi_retry_next(&h->durable_retry, NULL);
    mfi_rpc_poke(h->rpc);
}

static mf_status send(hatchet *h, const HatchetPb__DurableRequest *request)
{
    hatchet_bytes bytes;
    mf_status st = hatchet_pack(h, &request->base, &bytes, NULL);
    if (st == MF_OK)
        st = mfi_rpc_send(h->durable, hatchet_str(&bytes));
    hatchet_bytes_free(&bytes);
    return st;
}

static bool open_stream(hatchet *h, const char *worker)
{
    HatchetPb__DurableWorker w = HATCHET_PB__DURABLE_WORKER__INIT;
    HatchetPb__DurableRequest hello = HATCHET_PB__DURABLE_REQUEST__INIT;
    if (mfi_rpc_begin(h->rpc, &(mfi_rpc_spec){.method = "/v1.V1Dispatcher/DurableTask", .open = true, .bare = true,
                      .within = MF_FOREVER, .message = on_answer, .ended = durable_ended, .user = h}, &h->durable, NULL) != MF_OK)
        return false;
    w.worker_id = (char *)(uintptr_t)worker;
    hello.register_worker = &w;
    if (send(h, &hello) != MF_OK)
        mfi_rpc_cancel(h->durable);
    return true;
}

int64_t io_durable_tick(hatchet *h, int64_t now)
{
    char worker[HATCHET_ID_MAX];
    pthread_mutex_lock(&h->lock);
    bool wanted = h->attached && h->asks != NULL;
    memcpy(worker, h->worker_id, sizeof worker);
    pthread_mutex_unlock(&h->lock);
    if (!wanted)
        return INT64_MAX;
    if (h->durable == NULL) {
        if (now < h->durable_ns)
            return h->durable_ns;
        if (!open_stream(h, worker))
            return h->durable_ns = now + mfi_retry_next(&h->durable_retry, NULL);
    }
    pthread_mutex_lock(&h->lock);
    for (struct hatchet_ask *ask = h->asks; ask != NULL; ask = ask->next)
        if (ask->state == ASK_NEW && send(h, &ask->request) == MF_OK)
            ask->state = ASK_SENT;
    pthread_cond_broadcast(&h->changed);        /* whoever waits for no answer */
    pthread_mutex_unlock(&h->lock);
    return INT64_MAX;
}

/* ---- asking: the call's thread ---------------------------------------------------------------------------------------- */

static void ask_begin(hatchet *h, struct hatchet_ask *ask)
{
    pthread_mutex_lock(&h->lock);
    ask->next = h->asks;
    h->asks = ask;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
}

/* The lock is held. Until its state is another one than those up to `while_up_to`, or the time is over. */
static ask_state ask_wait(hatchet *h, const struct hatchet_ask *ask, ask_state while_up_to, mf_duration span)
{
    int64_t end = mfi_deadline_ns(mfi_now_ns(NULL), span);
    struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
    bool late = false;
    while (ask->state <= while_up_to && !late)
        late = pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0;
    return ask->state;
}

static void ask_end(hatchet *h, struct hatchet_ask *ask)
{
    struct hatchet_ask **at = &h->asks;
    pthread_mutex_lock(&h->lock);
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    pthread_mutex_unlock(&h->lock);
}

static void ask_fini(hatchet *h, struct hatchet_ask *ask)
{
    if (ask->payload != NULL)
        mfi_release(h->allocator, ask->payload, ask->len + 1);
}

/* Until it is beyond `up_to`; and once it is acknowledged, `hold` longer for its completion. */
static ask_state ask_for(hatchet *h, struct hatchet_ask *ask, ask_state up_to, mf_duration hold)
{
    (void)mf_pool_block_begin();        /* on a thread of a pool another one takes its place */
    ask_begin(h, ask);
    pthread_mutex_lock(&h->lock);
    ask_state state = ask_wait(h, ask, up_to, WITHIN);
    if (state == ASK_ACKED && hold > 0)
        state = ask_wait(h, ask, ASK_ACKED, hold);
    pthread_mutex_unlock(&h->lock);
    ask_end(h, ask);
    mf_pool_block_end();
    return state;
}

/* Nothing more is told of this invocation: the engine begins another one. */
static void give_up(hatchet *h, hatchet_job *job)
{
    pthread_mutex_lock(&h->lock);
    job->canceled = true;
    pthread_mutex_unlock(&h->lock);
}

static void fill_evict(hatchet_job *job, HatchetPb__Evict *e, struct hatchet_ask *ask, char *reason)
{
    *ask = (struct hatchet_ask){.job = job};
    hatchet_pb__durable_request__init(&ask->request);
    hatchet_pb__evict__init(e);
    e->has_invocation_count = true;
    e->invocation_count = job->action->durable_task_invocation_count;
    e->durable_task_external_id = job->action->task_run_external_id;
    e->reason = reason;
    ask->request.evict_invocation = e;
}

/* The engine goes on with the task by itself when what it waits for is there; at once, where restored says so. */
static mf_status evict(hatchet *h, hatchet_job *job, bool restored)
{
    static char waits[] = "it waits", lost[] = "a question of it was lost with its connection";
    struct hatchet_ask ask;
    HatchetPb__Evict e;
    fill_evict(job, &e, &ask, restored ? lost : waits);
    ask_state state = ask_for(h, &ask, ASK_ACKED, 0);
    if (state != ASK_DONE && state != ASK_STALE)        /* it is tried again as a call that failed */
        return MF_E_IO;
    give_up(h, job);
    if (restored && state == ASK_DONE)
        restore(h, job->action->task_run_external_id);
    return state == ASK_STALE ? MF_E_STALE : MF_E_WAIT;
}

/* It waits for this entry no more; where the completion crossed the eviction, the engine does not start the task by itself. */
static mf_status evict_from(hatchet *h, const struct hatchet_ask *waited)
{
    hatchet_job *job = waited->job;
    pthread_mutex_lock(&h->lock);
    size_t slot = h->evicted_next++ % HATCHET_EVICTED;
    hatchet_evicted *e = &h->evicted[slot];
    *e = (hatchet_evicted){.invocation = job->action->durable_task_invocation_count, .branch = waited->branch, .node = waited->node};
    snprintf(e->run, sizeof e->run, "%s", job->action->task_run_external_id);
    hatchet_evicted mine = *e;
    pthread_mutex_unlock(&h->lock);
    mf_status st = evict(h, job, false);
    pthread_mutex_lock(&h->lock);
    bool still = e->invocation == mine.invocation && e->node == mine.node && strcmp(e->run, mine.run) == 0;
    e->acked = e->acked || still;
    bool came = still && e->came;
    pthread_mutex_unlock(&h->lock);
    if (came && st == MF_E_WAIT)
        restore(h, mine.run);
    return st;
}

/* What a question without an answer comes to. */
static mf_status no_answer(mf_context *ctx, hatchet *h, struct hatchet_ask *ask, ask_state state)
{
    switch (state) {
    case ASK_STALE:
        give_up(h, ask->job);
        return MF_E_STALE;
    case ASK_FAILED:
        return mf_task_fail(ctx, MF_FINAL, "ReplayDiffers", "%s", ask->why);
    default:
        return evict(h, ask->job, true);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

mf_status hatchet_recall(mf_context *ctx, const char *key, mf_message **known)
{
    hatchet *h = hatchet_of(ctx->adapter);
    hatchet_job *job = hatchet_job_of(ctx);
    HatchetPb__Memo m = HATCHET_PB__MEMO__INIT;
    struct hatchet_ask ask = {.job = job};
    hatchet_pb__durable_request__init(&ask.request);
    m.has_invocation_count = m.has_key = true;
    m.invocation_count = job->action->durable_task_invocation_count;
    m.durable_task_external_id = job->action->task_run_external_id;
    m.key.data = (uint8_t *)(uintptr_t)key;
    m.key.len = strlen(key);
    ask.request.memo = &m;
    mf_status st = MF_OK;
    ask_state state = ask_for(h, &ask, ASK_SENT, 0);
    if (state != ASK_ACKED)
        st = no_answer(ctx, h, &ask, state);
    else if (ask.known)
        st = hatchet_unwrap(h, mf_str_of(ask.payload, ask.len), known, NULL);
    else
        st = MF_E_NOT_FOUND;
    job->memo_branch = ask.branch;
    job->memo_node = ask.node;
    ask_fini(h, &ask);
    return st;
}

/* As JSON, which is all that the engine keeps. Nobody says whether it arrived; what is asked next on the stream comes after it. */
mf_status hatchet_remember(mf_context *ctx, const char *key, const mf_message *value)
{
    hatchet *h = hatchet_of(ctx->adapter);
    hatchet_job *job = hatchet_job_of(ctx);
    HatchetPb__EntryRef ref = HATCHET_PB__ENTRY_REF__INIT;
    HatchetPb__CompleteMemo c = HATCHET_PB__COMPLETE_MEMO__INIT;
    struct hatchet_ask ask = {.job = job};
    char *json = NULL;
    size_t len = 0;
    mf_error err = {0};
    if (hatchet_object(h, mf_message_value(value), &json, &len, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidResult", "step \"%s\": %s", key, err.text);
    hatchet_pb__durable_request__init(&ask.request);
    ref.durable_task_external_id = job->action->task_run_external_id;
    ref.has_invocation_count = ref.has_branch_id = ref.has_node_id = true;
    ref.invocation_count = job->action->durable_task_invocation_count;
    ref.branch_id = job->memo_branch;
    ref.node_id = job->memo_node;
    c.ref = &ref;
    c.has_payload = c.has_memo_key = true;
    c.payload.data = (uint8_t *)json;
    c.payload.len = len;
    c.memo_key.data = (uint8_t *)(uintptr_t)key;
    c.memo_key.len = strlen(key);
    ask.request.complete_memo = &c;
    ask_state state = ask_for(h, &ask, ASK_NEW, 0);
    mf_json_free(h->allocator, json, len);
    return state == ASK_SENT ? MF_OK : no_answer(ctx, h, &ask, state);
}

/* ---- waits ------------------------------------------------------------------------------------------------------------ */

/* {"CREATE": {"event": [payload]}}, or "time" in its place. */
static mf_status wait_result(hatchet *h, const struct hatchet_ask *ask, mf_message **out)
{
    mf_message *whole = NULL;
    mf_value create, list, first;
    mf_status st = ask->payload == NULL ? MF_E_MALFORMED
                                        : mf_message_from_json(mf_str_of(ask->payload, ask->len), h->options.limits, h->allocator, &whole, NULL);
    if (st == MF_OK && !mf_value_get(mf_message_value(whole), MF_STR_LIT("CREATE"), &create))
        st = MF_E_MALFORMED;
    else if (st == MF_OK && mf_value_get(create, MF_STR_LIT("event"), &list) && mf_value_at(list, 0, &first))
        st = hatchet_message_of(h, first, out, NULL);
    else if (st == MF_OK)
        st = MF_E_TIMEOUT;
    mf_message_unref(whole);
    return st;
}

/* The reply to a wait with an event, or (name NULL) to a plain sleep. */
static mf_status wait_on(mf_context *ctx, const char *name, mf_duration span, mf_message **out)
{
    /* One group for both: the first of them ends it. What it is called matters to nobody. */
    static char group[] = "6d616765-666c-4f77-8000-000000000001", event[] = "event", time_over[] = "time";
    hatchet *h = hatchet_of(ctx->adapter);
    hatchet_job *job = hatchet_job_of(ctx);
    HatchetPb__Base event_base = HATCHET_PB__BASE__INIT, time_base = HATCHET_PB__BASE__INIT;
    HatchetPb__EventCondition on_event = HATCHET_PB__EVENT_CONDITION__INIT, *events[] = {&on_event};
    HatchetPb__SleepCondition on_time = HATCHET_PB__SLEEP_CONDITION__INIT, *sleeps[] = {&on_time};
    HatchetPb__Conditions conditions = HATCHET_PB__CONDITIONS__INIT;
    HatchetPb__WaitFor w = HATCHET_PB__WAIT_FOR__INIT;
    struct hatchet_ask ask = {.job = job};
    char text[32], *key = NULL;
    event_base.readable_data_key = event;
    time_base.readable_data_key = time_over;
    event_base.or_group_id = time_base.or_group_id = group;
    event_base.has_action = time_base.has_action = true;
    on_event.common = &event_base;
    on_time.common = &time_base;
    on_time.sleep_for = text;
    if (span != MF_FOREVER) {
        hatchet_span_text(text, span);
        conditions.n_sleep_conditions = 1;
        conditions.sleep_conditions = sleeps;
    }
    if (name != NULL) {
        key = hatchet_workflow_name(h, mf_cstr(name));
        if (key == NULL)
            return MF_E_NOMEM;
        on_event.user_event_key = key;
        conditions.n_user_event_conditions = 1;
        conditions.user_event_conditions = events;
    }
    w.has_invocation_count = true;
    w.invocation_count = job->action->durable_task_invocation_count;
    w.durable_task_external_id = job->action->task_run_external_id;
    w.wait_for_conditions = &conditions;
    hatchet_pb__durable_request__init(&ask.request);
    ask.request.wait_for = &w;
    mf_status st = MF_OK;
    ask_state state = ask_for(h, &ask, ASK_SENT, HOLD);
    if (state == ASK_ACKED)
        st = evict_from(h, &ask);
    else if (state != ASK_DONE)
        st = no_answer(ctx, h, &ask, state);
    else if (name != NULL)
        st = wait_result(h, &ask, out);
    ask_fini(h, &ask);
    hatchet_text_free(h, key);
    return st;
}

mf_status hatchet_durable_sleep(mf_context *ctx, mf_duration span)
{
    return wait_on(ctx, NULL, span, NULL);
}

mf_status hatchet_durable_event(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out)
{
    return wait_on(ctx, name, timeout, out);
}
