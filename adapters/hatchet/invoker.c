/* From an action to a call on the pool.
 *
 * The identity of a running attempt is the run's id and its retry count. The same run may come again with a higher count while
 * an old attempt is still running here: then the old one is asked to stop, and nothing is told of it. */
#include "hatchet.h"

#include <stdio.h>

#include "memory.h"

/* ---- jobs ------------------------------------------------------------------------------------------------------------- */

static void job_free(hatchet_job *job)
{
    mf_message_unref(job->payload);
    mf_message_unref(job->input);
    mf_message_unref(job->error);
    hatchet_children_free(job);
    hatchet_stream_leave(job);
    hatchet_pb__action__free_unpacked(job->action, NULL);
    mf_delete(job->owner->allocator, job);
}

static void end_job(hatchet_job *job)
{
    hatchet *h = job->owner;
    pthread_mutex_lock(&h->lock);
    hatchet_job_unlink(h, job);
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    job_free(job);
}

/* ---- the call --------------------------------------------------------------------------------------------------------- */

/* The engine gives a run up, and tells nobody, after ten attempts that came to no end; and one worker's death may be five of them, since
 * it goes on sending to who is gone for 5 s. So a flow's message goes out as a new run in time. Where that does not help, it is what its
 * workers die of: it is told as lost, instead of taking the next one with it. */
#define ATTEMPTS_MAX 3
#define RETURNS_MAX 8

static mf_status read_input(hatchet_job *job, const hatchet_meta *meta, mf_error *err)
{
    hatchet *h = job->owner;
    mf_value input;
    mf_status st = hatchet_payload_read(h, job->action->action_payload, job->flow, &job->payload, err);
    if (st == MF_OK && !mf_value_get(mf_message_value(job->payload), MF_STR_LIT("input"), &input))
        st = mf_fail(err, MF_E_MALFORMED, "the engine sent a payload without \"input\"");
    if (st != MF_OK)
        return st;
    return job->flow ? hatchet_input_read(h, input, meta->form, &job->input, err) : hatchet_message_of(h, input, &job->input, err);
}

/* A flow is where its store is: who keeps another can neither claim nor end anything of it. */
static bool is_of_our_store(hatchet_job *job, const hatchet_meta *meta)
{
    hatchet *h = job->owner;
    char text[256];
    pthread_mutex_lock(&h->lock);
    bool ours = strcmp(meta->store, h->store_id) == 0;
    snprintf(text, sizeof text, "a message of the flow %s, which is kept in the store %s; this worker's is %s (see store= of its URL)",
             meta->unit.key.text, meta->store, h->store_id);
    pthread_mutex_unlock(&h->lock);
    if (!ours) {
        hatchet_log(h, MF_LOG_ERROR, "%s", text);
        hatchet_fail(job, true, "OtherStore", text);
    }
    return ours;
}

static bool is_framework(mf_str task)
{
    return task.len > 9 && memcmp(task.at, "mageflow.", 9) == 0 && !mf_str_eq(task, MF_STR_LIT("mageflow.run_flow"));
}

static bool prepare(hatchet_job *job)
{
    hatchet *h = job->owner;
    const HatchetPb__Action *a = job->action;
    hatchet_meta meta = {.attempt = (uint32_t)(a->retry_count > 0 ? a->retry_count : 0) + 1, .priority = a->priority};
    mf_error err = {0};
    mf_status st = hatchet_meta_read(h, a->additional_metadata, &meta, &err);
    bool flow = st == MF_OK;
    if (flow) {
        pthread_mutex_lock(&h->lock);
        job->flow = true;
        pthread_mutex_unlock(&h->lock);
        job->unit = meta.unit;
        job->error = meta.error;
        job->returns = meta.returns;
    }
    if (st == MF_OK || st == MF_E_NOT_FOUND)
        st = read_input(job, &meta, &err);
    if (st != MF_OK) {
        hatchet_fail(job, true, "MalformedMessage", err.text);
        return false;
    }
    if (flow && !is_of_our_store(job, &meta))
        return false;
    if (!flow && is_framework(mf_cstr(job->task->name))) {
        hatchet_fail(job, true, "NotForCalling", "mageflow's own tasks take messages of flows only");
        return false;
    }
    job->raw = (mf_hatchet_action){
        .struct_size = sizeof job->raw, .run = a->workflow_run_id, .task_run = a->task_run_external_id, .worker = job->worker,
        .metadata = a->additional_metadata != NULL ? a->additional_metadata : "", .payload = mf_message_value(job->payload),
        .retry_count = a->retry_count, .priority = a->priority, .invocation = a->durable_task_invocation_count,
    };
    job->delivery = (mf_delivery){.id = mf_cstr(a->task_run_external_id), .task = mf_cstr(job->task->name), .message = job->input,
                                  .error = job->error, .attempt = meta.attempt, .priority = meta.priority, .again = a->retry_count > 0,
                                  .native = job};
    if (flow)
        job->delivery.unit = job->unit;
    return true;
}

static bool may_run(hatchet_job *job)
{
    hatchet *h = job->owner;
    pthread_mutex_lock(&h->lock);
    bool may = (h->serving || job->late) && !job->canceled;
    job->running = may;
    pthread_mutex_unlock(&h->lock);
    return may;
}

static bool is_given_up(hatchet_job *job)
{
    pthread_mutex_lock(&job->owner->lock);
    bool canceled = job->canceled;
    pthread_mutex_unlock(&job->owner->lock);
    return canceled;
}

static void job_run(void *arg)
{
    hatchet_job *job = arg;
    hatchet *h = job->owner;
    if (!may_run(job)) {
        if (!is_given_up(job) && prepare(job) && job->flow)     /* we stop: others have it at once, and not in 30 s */
            hatchet_hand_back(job, false);
    } else if (prepare(job)) {
        bool often = job->flow && job->action->retry_count >= ATTEMPTS_MAX;
        if (often && job->returns >= RETURNS_MAX)
            h->host->ops->lost(h->host, &job->delivery, "the worker that ran it was gone each time");
        else if (often)
            hatchet_hand_back(job, true);
        else
            h->host->ops->deliver(h->host, &job->delivery);
    }
    end_job(job);
}

/* ---- on the I/O thread ------------------------------------------------------------------------------------------------ */

/* The lock is held. The task that was declared here with this action. */
static const hatchet_task *task_of(const hatchet *h, const char *action)
{
    const hatchet_task *task = h->tasks;
    while (task != NULL && (action == NULL || strcmp(task->action, action) != 0))
        task = task->next;
    return task;
}

/* The lock is held. Older attempts of the same run are void, but for a flow's. True: this very one is here already. *stop: one of those
 * that are void runs. */
static bool displace(hatchet *h, const HatchetPb__Action *a, bool *stop)
{
    bool here = false, running = false;
    for (hatchet_job *job = hatchet_job_newest(h, a->task_run_external_id); job != NULL; job = hatchet_job_older(job)) {
        bool newer = job->retry_count < a->retry_count || (job->retry_count == a->retry_count &&
            job->action->durable_task_invocation_count < a->durable_task_invocation_count);
        if (!newer && !job->canceled) {
            here = true;
        } else if (job->flow && job->running && !job->canceled) {
            job->retry_count = a->retry_count;      /* the claim is this one's: it goes on, and its end is told for the newest */
            here = true;
        } else {
            job->canceled = true;
            running = running || job->running;
        }
    }
    *stop = running && !here;
    return here;
}

void io_start(hatchet *h, HatchetPb__Action *action)
{
    hatchet_job *job = mf_new(h->allocator, hatchet_job);
    if (job == NULL) {
        hatchet_pb__action__free_unpacked(action, NULL);
        return;
    }
    job->owner = h;
    job->action = action;
    job->retry_count = action->retry_count;
    bool stop;
    pthread_mutex_lock(&h->lock);
    hatchet_arrived(h, action->workflow_run_id);
    bool here = displace(h, action, &stop);
    const hatchet_task *task = job->task = task_of(h, action->action_id);
    /* Else it has not begun here: the engine gives it to another once we are gone. */
    bool begins = !here && task != NULL && (h->serving || (h->leaving && !h->gone));
    job->late = h->leaving;
    memcpy(job->worker, h->worker_id, sizeof job->worker);
    if (begins)
        hatchet_job_link(h, job);
    pthread_mutex_unlock(&h->lock);
    if (stop)
        h->host->ops->stop(h->host, mf_cstr(action->task_run_external_id));
    if (!begins) {
        if (!here && task == NULL)
            hatchet_fail(job, true, "UnknownTask", "no task of this worker has this action");
        job_free(job);
        return;
    }
    if (h->options.started)
        hatchet_tell(job, HATCHET_STARTED, false, mf_str_of("", 0));
    if (h->fresh_count == 0)
        mfi_rpc_poke(h->rpc);
    h->fresh[h->fresh_count++] = (mf_job){job_run, job};
    if (h->fresh_count == HATCHET_FRESH_MAX)
        io_begin_fresh(h);
}

void io_begin_fresh(hatchet *h)
{
    size_t count = h->fresh_count, queued = 0;
    if (count == 0)
        return;
    h->fresh_count = 0;
    if (mf_pool_submit_batch(h->pool, h->fresh, count, &queued) != MF_OK)
        for (size_t i = queued; i < count; i++)
            end_job(h->fresh[i].arg);
}

void io_cancel(hatchet *h, HatchetPb__Action *action)
{
    bool running = false;
    pthread_mutex_lock(&h->lock);
    for (hatchet_job *job = hatchet_job_newest(h, action->task_run_external_id); job != NULL; job = hatchet_job_older(job))
        if (job->retry_count == action->retry_count) {
            job->canceled = true;
            running = running || job->running;
        }
    pthread_mutex_unlock(&h->lock);
    if (running)
        h->host->ops->stop(h->host, mf_cstr(action->task_run_external_id));
    hatchet_pb__action__free_unpacked(action, NULL);
}

void hatchet_jobs_drop(hatchet *h)
{
    while (h->jobs != NULL) {
        hatchet_job *job = h->jobs;
        hatchet_job_unlink(h, job);
        job_free(job);
    }
    mfi_release(h->allocator, h->chains, h->chain_count * sizeof(hatchet_job *));
    h->chains = NULL;
    h->chain_count = 0;
}
