/* From an outcome to the engine.
 *
 * A call leaves its event in `telling` and pokes the I/O thread. While nothing is under way it goes out at once; else what ends
 * meanwhile gathers and goes out together when the answer is there, or when 256 of a kind are: the fuller the worker, the
 * fewer requests a task costs, without a timer. An event stays ours until the engine has it: what may be told again later is
 * (no connection, too many requests), a batch that is refused is told one by one, so that a bad item harms only itself. */
#include "hatchet.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

#define BATCH_MAX 256
#define BATCH_BYTES ((size_t)3 << 20)
#define PAYLOAD_MAX (((size_t)4 << 20) - 4096)      /* the engine takes 4 MiB, with what stands around it */
#define TRIES_MAX 20
#define WITHIN mf_seconds(10)

/* ---- on the call's thread --------------------------------------------------------------------------------------------- */

static void push(hatchet_list *l, hatchet_news *n)
{
    n->next = NULL;
    if (l->last != NULL)
        l->last->next = n;
    else
        l->first = n;
    l->last = n;
    l->count++;
}

static hatchet_news *pop(hatchet_list *l)
{
    hatchet_news *n = l->first;
    if (n == NULL)
        return NULL;
    l->first = n->next;
    if (l->first == NULL)
        l->last = NULL;
    l->count--;
    return n;
}

static void news_free(hatchet *h, hatchet_news *n)
{
    mfi_release(h->allocator, n, sizeof *n + n->len + 1);
}

void hatchet_news_free(hatchet *h)
{
    for (hatchet_news *n; (n = pop(&h->telling)) != NULL;)
        news_free(h, n);
}

static hatchet_news *news_make(hatchet *h, const char *run, hatchet_event event, bool final, mf_str payload)
{
    hatchet_news *n = mfi_alloc(h->allocator, sizeof *n + payload.len + 1);
    if (n == NULL) {
        hatchet_log(h, MF_LOG_ERROR, "no memory to tell an outcome: the task runs again after its worker is gone");
        return NULL;
    }
    *n = (hatchet_news){.event = event, .final = final, .len = payload.len};
    snprintf(n->run, sizeof n->run, "%s", run);
    if (payload.len > 0)
        memcpy(n->payload, payload.at, payload.len);
    n->payload[payload.len] = '\0';
    return n;
}

bool hatchet_news_push(hatchet *h, hatchet_news *n)
{
    push(&h->telling, n);
    return h->telling.count == 1 || h->telling.count == BATCH_MAX;
}

void hatchet_tell(hatchet_job *job, hatchet_event event, bool final, mf_str payload)
{
    hatchet *h = job->owner;
    hatchet_news *n = news_make(h, job->action->task_run_external_id, event, final, payload);
    if (n == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    n->retry_count = job->retry_count;
    bool held = event != HATCHET_STARTED && hatchet_stream_holds(job, n);
    bool first = !held && hatchet_news_push(h, n);
    pthread_mutex_unlock(&h->lock);
    if (first)
        mfi_rpc_poke(h->rpc);
}

void hatchet_tell_run(hatchet *h, const char *run, int32_t retry_count, hatchet_event event, bool final, mf_str payload)
{
    hatchet_news *n = news_make(h, run, event, final, payload);
    if (n == NULL)
        return;
    n->retry_count = retry_count;
    pthread_mutex_lock(&h->lock);
    bool first = hatchet_news_push(h, n);
    pthread_mutex_unlock(&h->lock);
    if (first)
        mfi_rpc_poke(h->rpc);
}

/* As Python's SDK reads it: "<Kind>: <message>", then lines of detail. */
void hatchet_fail(hatchet_job *job, bool final, const char *type, const char *text)
{
    char line[4096 + 256];      /* what does not fit is cut */
    snprintf(line, sizeof line, "%s: %s\n", type, text);
    hatchet_make_utf8(line);
    hatchet_tell(job, HATCHET_FAILED, final, mf_cstr(line));
}

static void tell_failure(hatchet_job *job, const mf_message *error)
{
    mf_str type = MF_STR_LIT("Error"), text = MF_STR_LIT("");
    bool final = false;
    char kind[128], story[4096];
    mf_value value;
    if (mf_value_get(mf_message_value(error), MF_STR_LIT("type"), &value))
        (void)!mf_value_str(value, &type);
    if (mf_value_get(mf_message_value(error), MF_STR_LIT("text"), &value))
        (void)!mf_value_str(value, &text);
    if (mf_value_get(mf_message_value(error), MF_STR_LIT("final"), &value))
        (void)!mf_value_bool(value, &final);
    final = final || job->flow;         /* the runtime has tried it again as often as it may */
    snprintf(kind, sizeof kind, "%.*s", (int)type.len, type.at);
    snprintf(story, sizeof story, "%.*s", (int)text.len, text.at);
    hatchet_fail(job, final, kind, story);
}

/* Of a flow's message the store has the result: here it is for people to read, where it can be. */
static void tell_result(hatchet_job *job, const mf_message *result)
{
    hatchet *h = job->owner;
    char *json = NULL;
    size_t len = 0;
    mf_error err = {0};
    mf_status st = hatchet_object(h, mf_message_value(result != NULL ? result : mf_message_nil()), &json, &len, &err);
    if (job->flow && (st != MF_OK || len > PAYLOAD_MAX)) {
        hatchet_tell(job, HATCHET_COMPLETED, false, MF_STR_LIT("{\"mageflow\":\"the result is in the store\"}"));
        if (st == MF_OK)
            mf_json_free(h->allocator, json, len);
        return;
    }
    if (st != MF_OK) {
        hatchet_fail(job, true, "InvalidResult", err.text);
        return;
    }
    if (len > PAYLOAD_MAX) {
        snprintf(err.text, sizeof err.text, "the result takes %zu bytes as JSON, more than the %zu that go in one message", len, PAYLOAD_MAX);
        hatchet_fail(job, true, "InvalidResult", err.text);
    } else {
        hatchet_tell(job, HATCHET_COMPLETED, false, mf_str_of(json, len));
    }
    mf_json_free(h->allocator, json, len);
}

mf_status hatchet_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    hatchet *h = hatchet_of(base);
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const mf_settlement *s = &settlements[i];
        hatchet_job *job = s->delivery->native;
        if (atomic_exchange(&job->settled, true))       /* a timeout was told, and the call ended after all */
            continue;
        pthread_mutex_lock(&h->lock);
        bool canceled = job->canceled;
        pthread_mutex_unlock(&h->lock);
        if (canceled)
            continue;               /* the engine knows */
        if (s->status == MF_STATUS_DONE)
            tell_result(job, s->value);
        else if (s->status == MF_STATUS_FAILED)
            tell_failure(job, s->value);
        else if (s->status == MF_STATUS_CANCELED)
            hatchet_fail(job, true, "TaskCanceled", "the task was canceled");
        else if (job->flow && s->status == MF_STATUS_PENDING)
            hatchet_tell(job, HATCHET_COMPLETED, false, MF_STR_LIT("{\"mageflow\":\"runs again later\"}"));
        else if (job->flow)
            hatchet_hand_back(job, false);
        /* Else nothing came of it because we close. The engine gives it to another once our heartbeat ends. */
    }
    return MF_OK;
}

/* ---- on the I/O thread ------------------------------------------------------------------------------------------------ */

typedef struct batch {
    hatchet     *owner;
    hatchet_list list;
    bool         single;        /* as SendStepActionEvent */
} batch;

static bool comes_later(mfi_rpc_code code)
{
    switch (code) {
    case MFI_RPC_UNIMPLEMENTED: case MFI_RPC_INVALID_ARGUMENT: case MFI_RPC_ALREADY_EXISTS: case MFI_RPC_PERMISSION_DENIED:
    case MFI_RPC_NOT_FOUND:
        return false;
    default:
        return true;
    }
}

/* The lock is held. What is told again goes behind what came meanwhile: events of a run are told apart by their attempt. */
static void keep_or_drop(hatchet *h, hatchet_news *n, const mfi_rpc_end *end, bool together)
{
    n->tries += end->code != MFI_RPC_UNAUTHENTICATED;       /* it waits for a new token */
    if (end->status == MF_E_CLOSED || n->event == HATCHET_STARTED || (!comes_later(end->code) && !together) || n->tries > TRIES_MAX) {
        news_free(h, n);
        return;
    }
    n->alone = n->alone || (together && (end->code == MFI_RPC_INVALID_ARGUMENT || end->code == MFI_RPC_INTERNAL));
    push(&h->telling, n);
}

static void told(void *user, const mfi_rpc_end *end)
{
    batch *b = user;
    hatchet *h = b->owner;
    bool together = !b->single && (b->list.count > 1 || end->code == MFI_RPC_UNIMPLEMENTED);
    if (end->code == MFI_RPC_UNIMPLEMENTED && !b->single)
        h->no_batches = true;
    if (end->status != MF_OK && end->status != MF_E_CLOSED) {
        if (!io_token_refused(h, end))
            hatchet_log(h, MF_LOG_WARN, "%zu events were not accepted: %s", b->list.count, end->err->text);
        if (comes_later(end->code)) {
            mfi_retry pause = {mf_milliseconds(500), mf_milliseconds(500), 0};
            atomic_store(&h->tell_ns, mfi_now_ns(h->clock) + mfi_retry_next(&pause, NULL));
        }
    }
    pthread_mutex_lock(&h->lock);
    h->under_way -= b->list.count;
    h->batches--;
    for (hatchet_news *n; (n = pop(&b->list)) != NULL;) {
        if (end->status == MF_OK)
            news_free(h, n);
        else
            keep_or_drop(h, n, end, together);
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    mf_delete(h->allocator, b);
    mfi_rpc_poke(h->rpc);
}

static mf_status send_single(batch *b, const char *worker)
{
    hatchet *h = b->owner;
    const hatchet_news *n = b->list.first;
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__Event e = HATCHET_PB__EVENT__INIT;
    e.worker_id = (char *)(uintptr_t)worker;
    e.task_run_external_id = (char *)(uintptr_t)n->run;
    e.event_timestamp = &now;
    e.has_event_type = e.has_retry_count = e.has_should_not_retry = true;
    e.event_type = n->event;
    e.event_payload = (char *)(uintptr_t)n->payload;
    e.retry_count = n->retry_count;
    e.should_not_retry = n->final;
    return hatchet_begin(h, "/Dispatcher/SendStepActionEvent", &e.base, WITHIN, NULL, told, b, NULL, NULL);
}

static mf_status send_batch(batch *b, const char *worker)
{
    hatchet *h = b->owner;
    HatchetPb__EventItem items[BATCH_MAX], *list[BATCH_MAX];
    size_t count = 0;
    for (hatchet_news *n = b->list.first; n != NULL; n = n->next, count++) {
        HatchetPb__EventItem *item = &items[count];
        hatchet_pb__event_item__init(item);
        item->task_run_external_id = n->run;
        item->event_payload = n->payload;
        item->has_retry_count = item->has_should_not_retry = true;
        item->retry_count = n->retry_count;
        item->should_not_retry = n->final;
        list[count] = item;
    }
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__EventBatch e = HATCHET_PB__EVENT_BATCH__INIT;
    e.worker_id = (char *)(uintptr_t)worker;
    e.event_timestamp = &now;
    e.has_event_type = true;
    e.event_type = b->list.first->event;
    e.n_items = count;
    e.items = list;
    return hatchet_begin(h, "/Dispatcher/SendBatchActionEvent", &e.base, WITHIN, NULL, told, b, NULL, NULL);
}

/* The lock is held. As many as go together with the first, taken out of the list. */
static void gather(hatchet *h, batch *b)
{
    hatchet_list rest = {NULL, NULL, 0};
    size_t bytes = 0;
    hatchet_event event = h->telling.first->event;
    bool alone = h->no_batches || h->telling.first->alone;
    while (h->telling.first != NULL && b->list.count < (alone ? 1 : BATCH_MAX)) {
        hatchet_news *n = pop(&h->telling);
        bool fits = n->event == event && !(n->alone && b->list.count > 0) && (b->list.count == 0 || bytes + n->len < BATCH_BYTES);
        bytes += fits ? n->len + 96 : 0;
        push(fits ? &b->list : &rest, n);
    }
    if (rest.first != NULL) {       /* in front of those that were not looked at */
        rest.last->next = h->telling.first;
        rest.last = h->telling.last != NULL ? h->telling.last : rest.last;
        rest.count += h->telling.count;
        h->telling = rest;
    }
    b->single = alone;
    h->under_way += b->list.count;
    h->batches++;
}

int64_t io_tell_tick(hatchet *h, int64_t now)
{
    char worker[HATCHET_ID_MAX];
    int64_t not_before = atomic_load(&h->tell_ns);
    for (;;) {
        pthread_mutex_lock(&h->lock);
        /* Of what is there: the started ones, and beside them one batch of outcomes; more only where it is a full one. */
        bool any = h->telling.first != NULL;
        bool due = any && now >= not_before && (h->batches < 2 || (h->telling.count >= BATCH_MAX && h->batches < 8));
        batch *b = due ? mf_new(h->allocator, batch) : NULL;
        if (b != NULL) {
            b->owner = h;
            gather(h, b);
        }
        memcpy(worker, h->worker_id, sizeof worker);
        pthread_mutex_unlock(&h->lock);
        if (b == NULL)
            return any && now < not_before ? not_before : INT64_MAX;
        mf_status st = b->single ? send_single(b, worker) : send_batch(b, worker);
        if (st != MF_OK) {
            mf_error err = {0};
            mf_fail(&err, st, "not sent");
            told(b, &(mfi_rpc_end){.code = st == MF_E_TOO_BIG ? MFI_RPC_INVALID_ARGUMENT : MFI_RPC_UNAVAILABLE, .status = st, .unseen = true,
                                   .err = &err});
            return mfi_now_ns(h->clock) + mf_milliseconds(500);
        }
    }
}
