/* From a payload to a call: parsed and run on the pool, one job a payload.
 *
 * Suspects: what was in flight when a worker died is handed out again, and one of them may be what killed it. Such a job
 * runs alone in its process, so that a payload that kills takes nobody along twice, and its deaths are counted: after
 * TASKIQ_DEATHS_MAX of them it is a dead letter. */
#include "taskiq.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"

/* How often a message is left to others (unknown=leave) before it is answered here: the first five at once, then a pause before
 * each. In mageflow's own queue all are workers of ours, and somebody waits for the flow. */
#define HOPS 1000
#define FLOW_HOPS 20

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

void taskiq_batch_unref(taskiq_batch *b)
{
    if (b == NULL || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    mfi_redis_replies_destroy(b->replies);
    mf_delete(b->owner->allocator, b);
}

taskiq_job *taskiq_job_create(taskiq *t, taskiq_queue *queue, taskiq_batch *batch)
{
    pthread_mutex_lock(&t->lock);
    taskiq_job *job = t->free_jobs;
    if (job != NULL)
        t->free_jobs = job->next;
    pthread_mutex_unlock(&t->lock);
    if (job == NULL)
        job = mf_new(t->allocator, taskiq_job);
    if (job == NULL)
        return NULL;
    job->owner = t;
    job->queue = queue;
    job->batch = batch;
    atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
    return job;
}

static void hold(taskiq *t, taskiq_job *job)
{
    job->left = NULL;
    job->right = t->held;
    if (t->held != NULL)
        t->held->left = job;
    t->held = job;
    t->held_count++;
}

static void unhold(taskiq *t, taskiq_job *job)
{
    if (job->left != NULL)
        job->left->right = job->right;
    else
        t->held = job->right;
    if (job->right != NULL)
        job->right->left = job->left;
    t->held_count--;
}

static void job_clear(taskiq_job *job)
{
    taskiq *t = job->owner;
    taskiq_batch_unref(job->batch);
    taskiq_bytes_free(t->allocator, &job->result);
    taskiq_bytes_free(t->allocator, &job->again);
    taskiq_text_free(t, job->result_key);
    taskiq_message_release(&job->message);
    mf_message_unref(job->bound);
    mf_message_unref(job->meta.error);
    memset(job, 0, sizeof *job);
}

void taskiq_jobs_unref(taskiq *t, taskiq_job **jobs, size_t n)
{
    taskiq_job *over = NULL;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n; i++)
        if (atomic_fetch_sub_explicit(&jobs[i]->refs, 1, memory_order_acq_rel) == 1) {
            unhold(t, jobs[i]);
            jobs[i]->next = over;
            over = jobs[i];
        }
    pthread_mutex_unlock(&t->lock);
    if (over == NULL)
        return;
    taskiq_job *first = over, **end = &over;
    for (taskiq_job *next; first != NULL; first = next) {
        next = first->next;
        job_clear(first);
        *end = first;
        end = &first->next;
    }
    pthread_mutex_lock(&t->lock);
    *end = t->free_jobs;
    t->free_jobs = over;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void taskiq_job_unref(taskiq_job *job)
{
    /* Most often the telling of its outcome is still to come, and nothing is locked. */
    unsigned refs = atomic_load_explicit(&job->refs, memory_order_relaxed);
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(&job->refs, &refs, refs - 1, memory_order_acq_rel, memory_order_relaxed))
            return;
    taskiq_jobs_unref(job->owner, &job, 1);
}

void taskiq_jobs_drop(taskiq *t, taskiq_job *job)
{
    job_clear(job);
    pthread_mutex_lock(&t->lock);
    job->next = t->free_jobs;
    t->free_jobs = job;
    pthread_mutex_unlock(&t->lock);
}

void taskiq_jobs_free(taskiq *t)
{
    while (t->held != NULL) {
        taskiq_job *job = t->held;
        unhold(t, job);
        job_clear(job);
        job->next = t->free_jobs;
        t->free_jobs = job;
    }
    while (t->free_jobs != NULL) {
        taskiq_job *next = t->free_jobs->next;
        mf_delete(t->allocator, t->free_jobs);
        t->free_jobs = next;
    }
    for (taskiq_task *task = atomic_load(&t->tasks), *next; task != NULL; task = next) {
        next = task->next;
        mf_delete(t->allocator, task);
    }
}

/* ---- what the message says --------------------------------------------------------------------------------------- */

/* How often it was tried before, by whomever: retries count in their label, redeliveries in the stream. */
static uint32_t attempt_of(const taskiq_job *job)
{
    int64_t retries = 0;
    if (job->flow)
        return job->meta.attempt;
    if (!taskiq_label_int(&job->message, MF_STR_LIT("_retries"), &retries) || retries < 0 || retries > 1000000)
        retries = 0;
    return (uint32_t)retries + 1 + job->deliveries;
}

static void set_delivery(taskiq_job *job)
{
    job->delivery = (mf_delivery){.id = job->message.id, .task = job->message.name, .message = job->bound,
                                  .error = job->meta.error, .attempt = attempt_of(job), .priority = job->meta.priority,
                                  .again = job->deliveries > 0, .native = job};
    if (job->flow)
        job->delivery.unit = job->meta.unit;
}

/* What a flow's message was for ends as failed; where the store is on the same server, in one step with the message's own end. Else
 * the flow is told first, and what is handed out again because its worker died then finds that it was. */
static void fail_in_flow(taskiq_job *job, const char *type, const char *reason)
{
    taskiq *t = job->owner;
    t->host->ops->give_up(t->host, &job->delivery, type, reason);
    if (atomic_load(&job->settled))
        return;
    job->action = job->given_up ? TASKIQ_DEAD : TASKIQ_ACK;
    taskiq_settle_job(job);
}

/* A message that nobody can run: kept where a person finds it, and whoever waits is told. */
static void dead_letter(taskiq_job *job, const char *type, const char *reason)
{
    taskiq *t = job->owner;
    taskiq_log(t, MF_LOG_WARN, "queue %s: a message is a dead letter: %s", job->queue->name, reason);
    snprintf(job->extra, sizeof job->extra, "%.*s", (int)sizeof job->extra - 1, reason);
    job->given_up = true;
    if (job->flow) {
        fail_in_flow(job, type, reason);
        return;
    }
    job->action = TASKIQ_DEAD;
    taskiq_fail_job(job, type, reason);
}

/* Whom the answer to an unreadable message goes to, if that can be seen; in our own stream its id says where it stands in which
 * flow. */
static void refuse_unreadable(taskiq_job *job, const char *reason)
{
    char name[256];
    size_t len = 0, name_len = 0;
    bool has_id = taskiq_message_find_id(job->payload, job->id, sizeof job->id, &len);
    mf_str id = mf_str_of(job->id, len);
    if (has_id && job->queue->own && taskiq_unit_of_id(id, &job->meta.unit) &&
        taskiq_message_find_name(job->payload, name, sizeof name, &name_len)) {
        job->flow = true;
        job->meta.attempt = 1;
        set_delivery(job);
        job->delivery.id = id;
        job->delivery.task = mf_str_of(name, name_len);
    } else if (has_id) {
        job->result_key = taskiq_result_key(job->owner, id);
    }
    dead_letter(job, "MalformedMessage", reason);
    job->delivery.task = mf_str_of(NULL, 0);
}

static bool refuse_by_labels(taskiq_job *job)
{
    static const char *const ack_types[] = {"when_received", "when_executed", "when_saved"};
    mf_str word;
    mf_value label = taskiq_label_value(&job->message, MF_STR_LIT("ack_type"));
    if (label.at == NULL || mf_value_type(label) == MF_TYPE_NIL)
        return false;
    if (mf_value_str(label, &word) == MF_OK)
        for (size_t i = 0; i < sizeof ack_types / sizeof *ack_types; i++)
            if (mf_str_eq(word, mf_cstr(ack_types[i]))) {
                if (i == 0)
                    taskiq_acknowledge_now(job);
                return false;
            }
    if (mf_value_str(label, &word) == MF_OK && mf_str_eq(word, MF_STR_LIT("manual")))
        taskiq_fail_job(job, "ValueError", "the label ack_type is manual, and a task in C cannot acknowledge by hand: when_saved "
                        "does it with the result, or leave this task to Python's workers");
    else
        taskiq_fail_job(job, "ValueError", "the label ack_type is none of when_received, when_executed, when_saved");
    return true;
}

/* Nobody declared the task here. True: what became of it is settled; a flow's own is failed by the flow. */
static bool refuse_unknown(taskiq_job *job)
{
    taskiq *t = job->owner;
    int64_t hops = 0;
    char text[320];
    (void)taskiq_label_int(&job->message, MF_STR_LIT("X-Mageflow-left"), &hops);
    if (!t->options.leave_unknown || hops >= (job->flow ? FLOW_HOPS : HOPS)) {
        if (job->flow)
            return false;
        snprintf(text, sizeof text, "no worker knows the task \"%.*s\"",
                 job->message.name.len < 255 ? (int)job->message.name.len : 255, job->message.name.at);
        taskiq_fail_job(job, "UnknownTaskError", text);
        return true;
    }
    /* Back into the queue, for the others there; the longer nobody wants it, the rarer. */
    snprintf(text, sizeof text, "%lld", (long long)hops + 1);
    taskiq_label label = {MF_STR_LIT("X-Mageflow-left"), mf_cstr(text), TASKIQ_LABEL_INT};
    taskiq_call call = {.id = job->message.id, .name = job->message.name, .labels = &label, .label_count = 1, .from = &job->message};
    if (taskiq_message_write(&call, job->message.format, t->allocator, &job->again, NULL) != MF_OK)
        job->again = (taskiq_bytes){NULL, 0, 0};
    job->action = hops < 5 ? TASKIQ_NOW : TASKIQ_LATER;
    snprintf(job->extra, sizeof job->extra, "%d", hops < 50 ? 100 : 1000);
    taskiq_settle_job(job);
    return true;
}

/* The label `timeout`, in seconds, is this message's own. */
static void set_timeout(taskiq_job *job)
{
    double seconds;
    if (taskiq_label_float(&job->message, MF_STR_LIT("timeout"), &seconds) && seconds > 0 && seconds < 1e9)
        job->delivery.timeout = (mf_duration)(seconds * 1e9);
}

static bool prepare(taskiq_job *job)
{
    taskiq *t = job->owner;
    mf_error err = {0};
    if (job->is_note && !job->has_data) {
        taskiq_due_at(t, 0);
        job->action = TASKIQ_ACK;
        taskiq_settle_job(job);
        return false;
    }
    if (!job->has_data) {
        dead_letter(job, "MalformedMessage", "an entry without the field \"data\"");
        return false;
    }
    mf_status st = taskiq_message_read(job->payload, t->options.limits, t->allocator, &job->message, &err);
    if (st != MF_OK) {
        refuse_unreadable(job, err.text);
        return false;
    }
    job->result_key = taskiq_result_key(t, job->message.id);
    st = taskiq_meta_read(&job->message, t->options.limits, t->allocator, &job->meta, &err);
    if (st == MF_E_MALFORMED) {
        refuse_unreadable(job, err.text);
        return false;
    }
    job->flow = st == MF_OK;
    if (job->deliveries > TASKIQ_DEATHS_MAX) {
        (void)!taskiq_arguments_bind(&job->message, NULL, t->allocator, &job->bound, &err);
        set_delivery(job);
        dead_letter(job, "TooManyDeliveries", "its worker died each time it ran");
        return false;
    }
    job->task = taskiq_task_find(t, job->message.name);
    bool framework = job->message.name.len > 9 && memcmp(job->message.name.at, "mageflow.", 9) == 0;
    if (framework && !job->flow && !mf_str_eq(job->message.name, MF_STR_LIT("mageflow.run_flow"))) {
        taskiq_fail_job(job, "NotForCalling", "mageflow's own tasks take messages of flows only");
        return false;
    }
    if (job->task == NULL && !framework && refuse_unknown(job))
        return false;
    if (refuse_by_labels(job))
        return false;
    st = taskiq_arguments_bind(&job->message, job->task != NULL && !job->flow ? job->task->in : NULL, t->allocator,
                               &job->bound, &err);
    set_delivery(job);
    if (st != MF_OK && job->flow) {
        fail_in_flow(job, "TypeError", err.text);
        return false;
    }
    if (st != MF_OK) {
        taskiq_fail_job(job, "TypeError", err.text);
        return false;
    }
    job->raw = (mf_taskiq_message){.struct_size = sizeof job->raw, .task_id = job->message.id, .task_name = job->message.name,
                                   .queue = mf_cstr(job->queue->name), .entry = mf_cstr(job->entry), .payload = job->payload,
                                   .deliveries = job->deliveries, .labels = job->message.labels,
                                   .labels_types = job->message.types, .args = job->message.args, .kwargs = job->message.kwargs};
    set_timeout(job);
    return true;
}

/* What has not begun goes back to the others, at once. */
static void give_back(taskiq_job *job)
{
    job->action = TASKIQ_NOW;
    taskiq_settle_job(job);
    taskiq_job_unref(job);
}

/* ---- gates and turns --------------------------------------------------------------------------------------------- */

/* True: it may run. Else it waits for a call of the same task to end; its slot stays its own. */
static bool pass_gate(taskiq *t, taskiq_job *job)
{
    taskiq_task *task = job->task;
    if (task == NULL || task->limit == 0)
        return true;
    pthread_mutex_lock(&t->lock);
    bool pass = task->running < task->limit;
    if (pass) {
        task->running++;
    } else {
        job->next = NULL;
        if (task->last != NULL)
            task->last->next = job;
        else
            task->first = job;
        task->last = job;
    }
    pthread_mutex_unlock(&t->lock);
    return pass;
}

/* The lock is held. */
static taskiq_job *next_at_gate(taskiq_task *task)
{
    if (task == NULL || task->limit == 0)
        return NULL;
    taskiq_job *job = task->first;
    if (job == NULL) {
        task->running--;
        return NULL;
    }
    task->first = job->next;
    if (task->first == NULL)
        task->last = NULL;
    return job;
}

/* The next suspect's turn: when nothing else is in flight. The lock is held. True: it is ready. */
static bool next_alone(taskiq *t)
{
    taskiq_job *job = t->suspects;
    if (job == NULL || t->alone || t->in_flight > 0)
        return false;
    t->suspects = job->next;
    if (t->suspects == NULL)
        t->suspects_end = &t->suspects;
    t->alone = true;
    job->alone = true;
    t->in_flight++;
    taskiq_ready_add(t, job);
    return true;
}

/* Those that a suspect kept waiting may be claimed now. */
static void claim_again(taskiq *t)
{
    atomic_store(&t->claim_soon, true);
    mfi_redis_poke(t->redis);
}

/* This job's slot is free, and the job no longer ours. gate: the call was inside it. */
static void slot_ended(taskiq_job *job, taskiq_task *gate)
{
    taskiq *t = job->owner;
    pthread_mutex_lock(&t->lock);
    bool was_alone = job->alone;
    job->running = false;
    taskiq_job *next = next_at_gate(gate);
    if (next != NULL)
        taskiq_ready_add(t, next);      /* this thread comes to it, or somebody before */
    t->alone = t->alone && !was_alone;
    t->in_flight--;
    bool suspect = next_alone(t);
    if (t->in_flight == 0)
        pthread_cond_broadcast(&t->changed);
    bool read = taskiq_reads_due(t);
    pthread_mutex_unlock(&t->lock);
    taskiq_job_unref(job);
    if (was_alone && !suspect)
        claim_again(t);
    if (read)
        taskiq_read_all(t);
}

void taskiq_jobs_start(taskiq *t, taskiq_job **jobs, size_t n)
{
    pthread_mutex_lock(&t->lock);
    bool serving = t->serving;
    t->starting++;
    t->started += n;
    for (size_t i = 0; i < n; i++) {
        taskiq_job *job = jobs[i];
        job->refs = 1;
        hold(t, job);
        if (!serving)
            continue;
        if (job->deliveries > 0 || t->suspects != NULL || t->alone) {
            job->next = NULL;
            *t->suspects_end = job;
            t->suspects_end = &job->next;
        } else {
            t->in_flight++;
            taskiq_ready_add(t, job);
        }
    }
    if (serving)
        (void)next_alone(t);
    bool call = serving && taskiq_ready_calls(t);
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; !serving && i < n; i++)
        give_back(jobs[i]);
    if (call)
        taskiq_ready_call(t);
    pthread_mutex_lock(&t->lock);
    t->starting--;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

/* The call that this thread is in; the one below it where it helps. */
static _Thread_local taskiq_job *current;

static void call(taskiq *t, taskiq_job *job)
{
    pthread_mutex_lock(&t->lock);
    bool lost = job->told;
    job->running = !lost;
    pthread_mutex_unlock(&t->lock);
    if (lost)
        return;
    job->started_ns = mfi_now_ns(t->clock);
    taskiq_job *below = current;
    current = job;
    t->host->ops->deliver(t->host, &job->delivery);
    current = below;
}

void taskiq_job_run(taskiq_job *job, bool serving)
{
    taskiq *t = job->owner;
    taskiq_task *gate = NULL;
    if (!serving) {
        job->action = TASKIQ_NOW;
        taskiq_settle_job(job);
        slot_ended(job, job->prepared ? job->task : NULL);
        return;
    }
    if (job->prepared || prepare(job)) {
        if (!job->prepared) {
            job->prepared = true;
            if (!pass_gate(t, job))
                return;
        }
        gate = job->task;
        call(t, job);
        if (!atomic_load(&job->settled)) {    /* nothing to tell: it is somebody else's, or its outcome was told already */
            job->action = TASKIQ_ACK;
            taskiq_settle_job(job);
        }
    }
    slot_ended(job, gate);
}

static void counted(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    (void)st, (void)replies, (void)err;
    taskiq_answered(user);
}

/* Who waits kills nobody: a suspect that does has not died where its worker does so meanwhile. */
static void count_deaths(taskiq_job *job, bool waits)
{
    taskiq *t = job->owner;
    if (job->deliveries == 0 || atomic_load(&job->acknowledged))
        return;
    mfi_redis_request *rq = mfi_redis_request_create(t->redis);
    mf_str argv[] = {mf_cstr(job->queue->list ? job->queue->deaths : ""), job->payload, waits ? MF_STR_LIT("-1") : MF_STR_LIT("1")};
    if (job->queue->list)
        mfi_redis_add_script(rq, t->scripts[TASKIQ_COUNT_LIST], 1, sizeof argv / sizeof *argv, argv);
    else
        taskiq_add_count(rq, job, 0, job->deliveries + !waits);
    (void)taskiq_submit(t, t->redis, rq, NULL, counted, t);
}

/* A suspect that waits is alone no longer: what it waits for may be a suspect too. */
void taskiq_slot_release(taskiq *t)
{
    if (current != NULL)
        count_deaths(current, true);
    pthread_mutex_lock(&t->lock);
    bool was_alone = current != NULL && current->alone;
    if (was_alone)
        current->alone = t->alone = false;
    t->in_flight--;
    t->helping++;
    bool suspect = next_alone(t);
    taskiq_ready_wait(t);
    bool call = taskiq_ready_calls(t);
    pthread_mutex_unlock(&t->lock);
    if (call)
        taskiq_ready_call(t);
    if (was_alone && !suspect)
        claim_again(t);
    taskiq_read_all(t);
}

void taskiq_slot_take(taskiq *t)
{
    if (current != NULL)
        count_deaths(current, false);
    pthread_mutex_lock(&t->lock);
    t->in_flight++;
    t->helping--;
    pthread_mutex_unlock(&t->lock);
}
