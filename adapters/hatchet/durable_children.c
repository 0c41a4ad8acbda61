/* The children of durable tasks that the engine keeps.
 *
 * A child is started over the DurableTask stream, so that the engine notes it in the task's log: a body that is called again finds
 * the child that it had, whatever became of it, and one that starts another in its place is told both names. Its end comes on the
 * same stream, once, at any time: it is kept with the job until the body waits for it. A body that waits longer than HATCHET_HOLD
 * is evicted, as for a sleep.
 *
 * In a step, where the log has one entry for all that is done, a child is a plain run; so is one of any other task. */
#include "asks.h"

#include <mageflow/mageflow.h>

#include <stdio.h>

#include "call.h"
#include "clock.h"
#include "durable.h"
#include "memory.h"

#define LOOK mf_seconds(20)

bool hatchet_keeps_log(const hatchet_job *job)
{
    return job->action->durable_task_invocation_count > 0 && !job->flow && !job->in_step;
}

void hatchet_children_free(hatchet_job *job)
{
    while (job->started != NULL) {
        struct hatchet_child *child = job->started;
        job->started = child->next;
        if (child->text != NULL)
            mfi_release(job->owner->allocator, child->text, child->len + 1);
        mf_delete(job->owner->allocator, child);
    }
}

/* The engine answers a question that it cannot carry out with nothing at all. Asked again it would do the same. */
static mf_status no_child(mf_context *ctx, const char *name)
{
    return mf_task_fail(ctx, MF_RETRY, "NoAnswer", "the engine did not answer to the start of a child, \"%s\": is there a workflow of "
                        "this name?", name);
}

mf_status hatchet_start_child(mf_context *ctx, HatchetPb__Trigger *trigger, mf_hatchet_id *run, mf_error *err)
{
    hatchet *h = hatchet_of(ctx->adapter);
    hatchet_job *job = hatchet_job_of(ctx);
    HatchetPb__TriggerRuns t = HATCHET_PB__TRIGGER_RUNS__INIT;
    struct hatchet_ask ask = {.job = job};
    hatchet_pb__durable_request__init(&ask.request);
    t.has_invocation_count = true;
    t.invocation_count = job->action->durable_task_invocation_count;
    t.durable_task_external_id = job->action->task_run_external_id;
    t.n_trigger_opts = 1;
    t.trigger_opts = &trigger;
    ask.request.trigger_runs = &t;
    mf_status st = MF_OK;
    ask_state state = hatchet_ask_for(h, &ask, ASK_SENT);
    if (state == ASK_ACKED) {
        pthread_mutex_lock(&h->lock);
        if (run != NULL)
            memcpy(run->text, job->started->run, sizeof run->text);
        pthread_mutex_unlock(&h->lock);
    } else if (state == ASK_SENT) {
        st = no_child(ctx, trigger->name);
    } else {
        st = mfi_durable_told(ctx, hatchet_no_answer(ctx, h, &ask, state));
    }
    hatchet_ask_fini(h, &ask);
    if (st == MF_E_WAIT || st == MF_E_STALE)
        return mf_fail(err, st, "child \"%s\": the task is called again: return", trigger->name);
    return st == MF_OK ? MF_OK : mf_fail(err, st, "child \"%s\": %s", trigger->name,
                                         ctx->call->error_text != NULL ? ctx->call->error_text : mf_status_text(st));
}

/* ---- waiting ---------------------------------------------------------------------------------------------------------- */

/* The lock is held. */
static struct hatchet_child *find_child(hatchet_job *job, const char *run)
{
    struct hatchet_child *child = job->started;
    while (child != NULL && strcmp(child->run, run) != 0)
        child = child->next;
    return child;
}

/* Ended, without a result: that may be a task that gives nothing, or a run that was canceled. */
static mf_status look(hatchet *h, const char *task, const mf_hatchet_id *run, mf_message **result, mf_error *err)
{
    return hatchet_wait(h, run->text, task, mfi_deadline_ns(mfi_now_ns(NULL), LOOK), result, err);
}

static mf_status give(hatchet *h, const struct hatchet_child *child, const char *task, const mf_hatchet_id *run, mf_message **result,
                      mf_error *err)
{
    if (child->failed)
        return mf_fail(err, MF_E_TASK_FAILED, "task \"%s\": %s", task, child->text != NULL ? child->text : "it failed");
    return child->text != NULL ? hatchet_unwrap(h, mf_str_of(child->text, child->len), result, err) : look(h, task, run, result, err);
}

/* The child, once it has ended; NULL: the status says what the body comes to. */
static const struct hatchet_child *wait_for_child(mf_context *ctx, hatchet *h, struct hatchet_child *child, mf_status *st)
{
    hatchet_job *job = hatchet_job_of(ctx);
    int64_t end = mfi_deadline_ns(mfi_now_ns(NULL), HATCHET_HOLD);
    (void)mf_pool_block_begin();
    pthread_mutex_lock(&h->lock);
    while (!child->done && child->stream == h->durable_streams && hatchet_ask_sleep(h, end)) {
    }
    bool done = child->done, lost = child->stream != h->durable_streams;
    if (!done && !lost)
        hatchet_evict_prepare(job, child->branch, child->node);
    pthread_mutex_unlock(&h->lock);
    mf_pool_block_end();
    if (done)
        return child;
    *st = mfi_durable_told(ctx, lost ? hatchet_evict_lost(h, job) : hatchet_evict_waiting(h, job));
    return NULL;
}

mf_status mf_hatchet_wait_child(mf_context *ctx, const char *task, const mf_hatchet_id *run, mf_message **result, mf_error *err)
{
    hatchet *h = NULL;
    mf_status st = ctx != NULL && run != NULL ? hatchet_of_adapter(ctx->adapter, &h) : MF_E_INVALID;
    if (st != MF_OK)
        return mf_fail(err, st, st == MF_E_INVALID ? "ctx, run: NULL" : "this task's manager is not Hatchet");
    hatchet_job *job = hatchet_job_of(ctx);
    pthread_mutex_lock(&h->lock);
    struct hatchet_child *child = find_child(job, run->text);
    pthread_mutex_unlock(&h->lock);
    if (child == NULL)
        return mf_hatchet_wait(ctx->call->client, task, run, MF_FOREVER, result, err);
    if ((st = hatchet_check_text("a task's name", task, err)) != MF_OK)
        return st;
    const struct hatchet_child *ended = wait_for_child(ctx, h, child, &st);
    if (ended != NULL)
        return give(h, ended, task, run, result, err);
    return mf_fail(err, st, "child \"%s\": %s", task, st == MF_E_WAIT || st == MF_E_STALE ? "the task is called again: return"
                                                                                       : mf_status_text(st));
}
