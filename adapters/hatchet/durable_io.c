/* The DurableTask stream: the I/O thread's side of durable.c.
 *
 * An ask goes NEW → SENT → ACKED → DONE, and from any of them to FAILED (the engine refuses it), STALE (the engine has begun the
 * task again) or LOST (the stream ended while it was open). The ends of children come at any time. */
#include "asks.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

#define RESTORE_WITHIN mf_seconds(10)

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

/* One entry of the log for each run that was asked for, in the order of the questions. */
static void on_started(hatchet *h, const HatchetPb__TriggerRunsAck *ack)
{
    struct hatchet_ask *ask = find(h, ack->durable_task_external_id, ack->invocation_count);
    if (ask == NULL || ask->state != ASK_SENT || ask->request.trigger_runs == NULL)
        return;
    ask->state = ASK_ACKED;
    const HatchetPb__RunEntry *e = ack->n_run_entries == 1 ? ack->run_entries[0] : NULL;
    size_t len = e != NULL && e->workflow_run_external_id != NULL ? strlen(e->workflow_run_external_id) : 0;
    struct hatchet_child *child = len > 0 && len < sizeof(mf_hatchet_id) ? mf_new(h->allocator, struct hatchet_child) : NULL;
    if (child == NULL) {
        ask->state = ASK_FAILED;
        snprintf(ask->why, sizeof ask->why, len > 0 ? "no memory" : "the engine's answer to the start of a child has no run in it");
        return;
    }
    memcpy(child->run, e->workflow_run_external_id, len + 1);
    child->branch = e->branch_id;
    child->node = e->node_id;
    child->stream = h->durable_streams;
    child->next = ask->job->started;
    ask->job->started = child;
}

static hatchet_job *find_job(hatchet *h, const char *run, int32_t invocation)
{
    hatchet_job *job = hatchet_job_newest(h, run);
    while (job != NULL && job->action->durable_task_invocation_count != invocation)
        job = hatchet_job_older(job);
    return job;
}

static void on_child_ended(hatchet *h, struct hatchet_child *child, const HatchetPb__EntryCompleted *e)
{
    if (child->done)
        return;
    mf_str text = e->is_failure ? mf_cstr(e->error_message != NULL ? e->error_message : "it failed")
                                : mf_str_of((const char *)e->payload.data, e->has_payload ? e->payload.len : 0);
    child->text = text.len > 0 ? mfi_copy_text(h->allocator, text) : NULL;
    child->len = child->text != NULL ? text.len : 0;
    child->failed = e->is_failure;
    child->done = text.len == 0 || child->text != NULL;     /* else it counts as lost: the body begins anew */
}

/* True: the task has to be restored, since it waits for this without a thread and the engine believes that it was told in time.
 * Of a task that is not evicted nothing comes of that. Memos that are known are completed, too, and nobody waits for that. */
static bool on_completed(hatchet *h, const HatchetPb__EntryCompleted *e)
{
    const HatchetPb__EntryRef *ref = e->ref;
    if (ref == NULL || ref->durable_task_external_id == NULL)
        return false;
    hatchet_job *job = find_job(h, ref->durable_task_external_id, ref->invocation_count);
    if (job == NULL)
        return true;
    for (struct hatchet_child *child = job->started; child != NULL; child = child->next)
        if (child->branch == ref->branch_id && child->node == ref->node_id)
            on_child_ended(h, child, e);
    struct hatchet_ask *ask = find(h, ref->durable_task_external_id, ref->invocation_count);
    if (ask == NULL || ask->request.wait_for == NULL) {
        bool waits = job->evicting && job->evict_branch == ref->branch_id && job->evict_node == ref->node_id;
        job->came = job->came || waits;
        return waits && job->evicted;
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

void hatchet_durable_restore(hatchet *h, const char *run)
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
    if (r->trigger_runs_ack != NULL)
        on_started(h, r->trigger_runs_ack);
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
        hatchet_durable_restore(h, r->entry_completed->ref->durable_task_external_id);
    hatchet_pb__durable_response__free_unpacked(r, NULL);
}

static void durable_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    mfi_rpc_call_unref(h->durable);
    h->durable = NULL;
    pthread_mutex_lock(&h->lock);
    h->durable_streams++;
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
    if (wanted && end->status != MF_OK && end->status != MF_E_CLOSED && !io_token_refused(h, end))
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
