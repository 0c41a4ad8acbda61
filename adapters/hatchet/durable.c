/* Durable tasks that were sent without a flow: the engine keeps what their bodies did, over one DurableTask stream.
 *
 * A verb is a question: the call's thread leaves it in `asks` and waits, the I/O thread sends it and brings the answer. The engine
 * knows answers by (task's run, invocation), so each call has one question at a time.
 *
 *      step    memo {key} → known, or: done, complete_memo {value}, which nobody acknowledges
 *      wait    wait_for {a sleep, or an event with or without one} → ack, then at any time its completion
 *      child   trigger_runs → ack with its run, then at any time its end; see durable_children.c
 *
 * What does not come within HATCHET_HOLD is waited for without a thread: evict_invocation → ack, the body returns MF_E_WAIT, and the engine
 * starts the task again once it is there, with the next invocation, which is answered from the log. A completion that nobody waits
 * for any more crossed the eviction on its way: the task is then restored by hand. The same is done where the stream was lost with
 * a question on it: to ask again could leave two entries in the log, a new invocation begins at its start.
 *
 * A flow's durable task is kept by the store, as on every manager, and asks nothing here. */
#include "asks.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "memory.h"

#define EVICTIONS 4
#define WITHIN mf_seconds(20)           /* for an answer; a connection that is dead is known by then */

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

static void ask_begin(hatchet *h, struct hatchet_ask *ask)
{
    pthread_mutex_lock(&h->lock);
    ask->next = h->asks;
    h->asks = ask;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
}

bool hatchet_ask_sleep(hatchet *h, int64_t end_ns)
{
    struct timespec until = {.tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000};
    return pthread_cond_timedwait(&h->changed, &h->lock, &until) == 0;
}

/* The lock is held. Until its state is another one than those up to `while_up_to`, or the time is over. */
static ask_state ask_wait(hatchet *h, const struct hatchet_ask *ask, ask_state while_up_to, mf_duration span)
{
    int64_t end = mfi_deadline_ns(mfi_now_ns(NULL), span);
    while (ask->state <= while_up_to && hatchet_ask_sleep(h, end)) {
    }
    return ask->state;
}

/* The lock is held. */
static void ask_end(hatchet *h, struct hatchet_ask *ask)
{
    struct hatchet_ask **at = &h->asks;
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
}

void hatchet_ask_fini(hatchet *h, struct hatchet_ask *ask)
{
    if (ask->payload != NULL)
        mfi_release(h->allocator, ask->payload, ask->len + 1);
}

ask_state hatchet_ask_for(hatchet *h, struct hatchet_ask *ask, ask_state up_to)
{
    (void)mf_pool_block_begin();        /* on a thread of a pool another one takes its place */
    ask_begin(h, ask);
    pthread_mutex_lock(&h->lock);
    ask_state state = ask_wait(h, ask, up_to, WITHIN);
    ask_end(h, ask);
    pthread_mutex_unlock(&h->lock);
    mf_pool_block_end();
    return state;
}

/* The same for a wait, whose completion is held out for once it is acknowledged. What it then waits for without a thread is noted
 * under the same lock: a completion finds the ask or the job's note of it, and is never lost between them. */
static ask_state ask_for_wait(hatchet *h, struct hatchet_ask *ask)
{
    (void)mf_pool_block_begin();
    ask_begin(h, ask);
    pthread_mutex_lock(&h->lock);
    ask_state state = ask_wait(h, ask, ASK_SENT, WITHIN);
    if (state == ASK_ACKED)
        state = ask_wait(h, ask, ASK_ACKED, HATCHET_HOLD);
    if (state == ASK_ACKED)
        hatchet_evict_prepare(ask->job, ask->branch, ask->node);
    ask_end(h, ask);
    pthread_mutex_unlock(&h->lock);
    mf_pool_block_end();
    return state;
}

/* ---- eviction --------------------------------------------------------------------------------------------------------- */

/* Nothing more is told of this invocation: the engine begins another one. */
static void give_up(hatchet *h, hatchet_job *job)
{
    pthread_mutex_lock(&h->lock);
    job->canceled = true;
    pthread_mutex_unlock(&h->lock);
}

static ask_state evict_once(hatchet *h, hatchet_job *job, char *reason)
{
    struct hatchet_ask ask = {.job = job};
    HatchetPb__Evict e = HATCHET_PB__EVICT__INIT;
    hatchet_pb__durable_request__init(&ask.request);
    e.has_invocation_count = true;
    e.invocation_count = job->action->durable_task_invocation_count;
    e.durable_task_external_id = job->action->task_run_external_id;
    e.reason = reason;
    ask.request.evict_invocation = &e;
    ask_state state = hatchet_ask_for(h, &ask, ASK_ACKED);
    if (state != ASK_DONE && state != ASK_STALE)
        hatchet_log(h, MF_LOG_WARN, "a durable task could not be evicted: %s", state == ASK_FAILED ? ask.why : "no answer");
    return state;
}

/* The engine goes on with the task by itself when what it waits for is there. Its database may be in the way of an eviction, which
 * is asked for as often as one likes. */
static mf_status evict(hatchet *h, hatchet_job *job, char *reason)
{
    ask_state state = ASK_FAILED;
    for (int i = 0; i < EVICTIONS && state != ASK_DONE && state != ASK_STALE; i++)
        state = evict_once(h, job, reason);
    if (state != ASK_DONE && state != ASK_STALE)        /* it is tried again as a call that failed */
        return MF_E_IO;
    give_up(h, job);
    return state == ASK_STALE ? MF_E_STALE : MF_E_WAIT;
}

mf_status hatchet_evict_lost(hatchet *h, hatchet_job *job)
{
    static char lost[] = "something of it was lost with its connection";
    mf_status st = evict(h, job, lost);
    if (st == MF_E_WAIT)
        hatchet_durable_restore(h, job->action->task_run_external_id);
    return st;
}

void hatchet_evict_prepare(hatchet_job *job, int64_t branch, int64_t node)
{
    job->evicting = true;
    job->evict_branch = branch;
    job->evict_node = node;
}

/* Where the completion crossed the eviction, the engine does not start the task by itself. */
mf_status hatchet_evict_waiting(hatchet *h, hatchet_job *job)
{
    static char waits[] = "it waits";
    mf_status st = evict(h, job, waits);
    pthread_mutex_lock(&h->lock);
    job->evicted = true;
    bool came = job->came;
    pthread_mutex_unlock(&h->lock);
    if (came && st == MF_E_WAIT)
        hatchet_durable_restore(h, job->action->task_run_external_id);
    return st;
}

mf_status hatchet_no_answer(mf_context *ctx, hatchet *h, struct hatchet_ask *ask, ask_state state)
{
    switch (state) {
    case ASK_STALE:
        give_up(h, ask->job);
        return MF_E_STALE;
    case ASK_FAILED:
        return mf_task_fail(ctx, MF_FINAL, "ReplayDiffers", "%s", ask->why);
    default:
        return hatchet_evict_lost(h, ask->job);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

/* What a memo's value looks like: {"step": its key, "value": what it gave}. The engine would tell two steps apart by the memo's key,
 * and say that a memo is no memo; as it is, memos are numbered, and the difference is told here, in the steps' names. */
static mf_status read_memo(mf_context *ctx, hatchet *h, const struct hatchet_ask *ask, const char *key, mf_message **known)
{
    mf_message *whole = NULL;
    mf_value step, value;
    mf_str was;
    mf_status st = mf_message_from_json(mf_str_of(ask->payload, ask->len), h->options.limits, h->allocator, &whole, NULL);
    if (st == MF_OK && (!mf_value_get(mf_message_value(whole), MF_STR_LIT("step"), &step) || mf_value_str(step, &was) != MF_OK ||
                        !mf_value_get(mf_message_value(whole), MF_STR_LIT("value"), &value)))
        st = MF_E_MALFORMED;
    if (st == MF_OK && !mf_str_eq(was, mf_cstr(key)))
        st = mf_task_fail(ctx, MF_FINAL, "ReplayDiffers", "step %u was \"%.*s\" and is \"%s\" now: a durable task must come to the "
                          "same verbs in the same order", ask->job->steps, (int)was.len, was.at, key);
    if (st == MF_OK)
        st = hatchet_message_of(h, value, known, NULL);
    mf_message_unref(whole);
    return st;
}

static mf_status write_memo(hatchet *h, const char *key, const mf_message *value, char **json, size_t *len, mf_error *err)
{
    mf_message *whole = NULL;
    mf_builder b;
    mf_builder_init(&b, h->allocator, NULL);
    mf_build_map(&b, 2);
    mf_build_key(&b, "step");
    mf_build_str(&b, mf_cstr(key));
    mf_build_key(&b, "value");
    mf_build_message(&b, value);
    mf_status st = mf_builder_finish(&b, &whole, err);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = hatchet_object(h, mf_message_value(whole), json, len, err);
    mf_message_unref(whole);
    return st;
}

mf_status hatchet_recall(mf_context *ctx, const char *key, mf_message **known)
{
    hatchet *h = hatchet_of(ctx->adapter);
    hatchet_job *job = hatchet_job_of(ctx);
    char number[16];
    HatchetPb__Memo m = HATCHET_PB__MEMO__INIT;
    struct hatchet_ask ask = {.job = job};
    int len = snprintf(number, sizeof number, "step %u", ++job->steps);
    hatchet_pb__durable_request__init(&ask.request);
    m.has_invocation_count = m.has_key = true;
    m.invocation_count = job->action->durable_task_invocation_count;
    m.durable_task_external_id = job->action->task_run_external_id;
    m.key.data = (uint8_t *)number;
    m.key.len = (size_t)len;
    ask.request.memo = &m;
    mf_status st = MF_OK;
    ask_state state = hatchet_ask_for(h, &ask, ASK_SENT);
    if (state == ASK_FAILED)
        st = mf_task_fail(ctx, MF_FINAL, "ReplayDiffers", "%s (step \"%s\")", ask.why, key);
    else if (state != ASK_ACKED)
        st = hatchet_no_answer(ctx, h, &ask, state);
    else if (ask.known)
        st = read_memo(ctx, h, &ask, key, known);
    else
        st = MF_E_NOT_FOUND;
    job->memo_branch = ask.branch;
    job->memo_node = ask.node;
    job->in_step = st == MF_E_NOT_FOUND;
    hatchet_ask_fini(h, &ask);
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
    char *json = NULL, number[16];
    size_t len = 0;
    mf_error err = {0};
    job->in_step = false;
    if (write_memo(h, key, value, &json, &len, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidResult", "step \"%s\": %s", key, err.text);
    int number_len = snprintf(number, sizeof number, "step %u", job->steps);
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
    c.memo_key.data = (uint8_t *)number;
    c.memo_key.len = (size_t)number_len;
    ask.request.complete_memo = &c;
    ask_state state = hatchet_ask_for(h, &ask, ASK_NEW);
    mf_json_free(h->allocator, json, len);
    return state == ASK_SENT ? MF_OK : hatchet_no_answer(ctx, h, &ask, state);
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
    ask_state state = ask_for_wait(h, &ask);
    if (state == ASK_ACKED)
        st = hatchet_evict_waiting(h, job);
    else if (state != ASK_DONE)
        st = hatchet_no_answer(ctx, h, &ask, state);
    else if (name != NULL)
        st = wait_result(h, &ask, out);
    hatchet_ask_fini(h, &ask);
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
