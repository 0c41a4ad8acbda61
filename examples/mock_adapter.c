/* mock_adapter.c: adding a task manager, from outside, with the installed headers alone.
 *
 * The manager of this example is as simple as one can be: a queue in memory, and one thread that runs what is in it. All
 * the rest, signatures, chains, swarms, retries, delays, comes from mageflow. An adapter is one table of functions:
 *
 *   downward   the runtime calls publish with messages to send, and settle when one of them has ended
 *   upward     the adapter calls host->deliver with one message at a time, on threads of its own
 * A manager over a network differs in what stands behind the queue, and lacks MF_CAP_IN_PROCESS. */
#include <mageflow/adapter.h>
#include <mageflow/client.h>

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What was published at once: messages as a broker would keep them. */
struct parcel {
    struct parcel *next;
    size_t         count, taken;
    mf_entry       entries[];
};

/* Somebody in run_and_wait. On their stack, and on the list below. */
struct waiter {
    struct waiter *next;
    uint64_t       number;      /* travels as unit.index, which is free in a call without a flow; retries keep it */
    mf_status      status;      /* MF_E_TIMEOUT: no answer yet */
    mf_message    *value;
};

struct mock {
    mf_adapter        base;     /* first, so that the one can be cast to the other */
    struct mock_worker { mf_worker base; struct mock *mock; } worker;
    mf_host          *host;
    mf_store         *store;
    pthread_t         thread;
    pthread_mutex_t   lock;     /* everything below; never held while the host is called */
    pthread_cond_t    changed;
    struct parcel    *first, **last;
    struct waiter    *waiters;
    uint64_t          numbers;
    bool              stopping, running;
};

static const mf_adapter_ops mock_ops;      /* the table, filled in below the functions it names */
static struct mock *mock_of(mf_adapter *base)
{
    assert(base->ops == &mock_ops);
    return (struct mock *)base;
}

/* The time that pthread_cond_timedwait wants. */
static struct timespec from_now(mf_duration span)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ns = now.tv_nsec + span % 1000000000;
    return (struct timespec){now.tv_sec + (time_t)(span / 1000000000 + ns / 1000000000), (long)(ns % 1000000000)};
}

/* Take n messages, one or more: all or none. */
static mf_status publish(mf_adapter *self, const mf_entry *entries, size_t n, mf_error *err)
{
    struct mock *mock = mock_of(self);
    struct parcel *parcel = calloc(1, sizeof *parcel + n * sizeof *entries);
    if (parcel == NULL)
        return mf_fail(err, MF_E_NOMEM, "mock: no memory for %zu messages", n);
    parcel->count = n;
    for (size_t i = 0; i < n; i++) {
        parcel->entries[i] = entries[i];
        mf_spec_ref(entries[i].spec);
        mf_message_ref(entries[i].message);
        mf_message_ref(entries[i].error);
    }
    pthread_mutex_lock(&mock->lock);
    *mock->last = parcel;
    mock->last = &parcel->next;
    pthread_cond_broadcast(&mock->changed);
    pthread_mutex_unlock(&mock->lock);
    return MF_OK;
}

static bool take_locked(struct mock *mock, mf_entry *out)
{
    struct parcel *parcel = mock->first;
    if (parcel == NULL)
        return false;
    *out = parcel->entries[parcel->taken++];
    if (parcel->taken == parcel->count) {
        mock->first = parcel->next;
        mock->last = mock->first == NULL ? &mock->first : mock->last;
        free(parcel);
    }
    return true;
}

static void deliver(struct mock *mock, const mf_entry *e, uint64_t number)
{
    char id[24];
    snprintf(id, sizeof id, "mock-%" PRIu64, number);
    mf_delivery delivery = {.id = mf_cstr(id), .task = e->spec->name, .message = e->message, .error = e->error,
                            .unit = e->unit, .attempt = e->attempt, .spec = e->spec};
    mock->host->ops->deliver(mock->host, &delivery);      /* runs the task, records its outcome, calls settle */
}

/* A broker would acknowledge its message here. Ours is gone already, but somebody may wait for a result. */
static mf_status settle(mf_adapter *self, const mf_settlement *settlements, size_t n, mf_error *err)
{
    (void)err;
    struct mock *mock = mock_of(self);
    pthread_mutex_lock(&mock->lock);
    for (const mf_settlement *s = settlements; s < settlements + n; s++) {
        struct waiter *w = mock->waiters;
        while (w != NULL && (mf_key_is_set(&s->delivery->unit.key) || s->delivery->unit.index != w->number))
            w = w->next;
        if (w == NULL || s->status == MF_STATUS_PENDING)      /* nobody waits, or it is published again */
            continue;
        w->value = mf_message_ref(s->value);
        w->status = s->status == MF_STATUS_DONE ? MF_OK : s->status == MF_STATUS_FAILED ? MF_E_TASK_FAILED : MF_E_CANCELED;
    }
    pthread_cond_broadcast(&mock->changed);
    pthread_mutex_unlock(&mock->lock);
    return MF_OK;
}

static void *serve(void *arg)
{
    struct mock *mock = arg;
    mf_entry entry;
    pthread_mutex_lock(&mock->lock);
    while (!mock->stopping) {
        mock->running = take_locked(mock, &entry);
        if (!mock->running) {
            pthread_cond_broadcast(&mock->changed);      /* worker_drain waits for this */
            pthread_cond_wait(&mock->changed, &mock->lock);
            continue;
        }
        uint64_t number = ++mock->numbers;
        pthread_mutex_unlock(&mock->lock);
        deliver(mock, &entry, number);
        mf_entry_release(&entry);
        pthread_mutex_lock(&mock->lock);
    }
    pthread_mutex_unlock(&mock->lock);
    return NULL;
}

/* Operations 1 and 2. The runtime keeps the definition and calls the function. A manager that has to know its tasks, or cannot honour an option
 * of theirs, says so here. */
static mf_status declare(mf_adapter *self, const mf_task_def *def, mf_error *err)
{
    (void)self, (void)def, (void)err;
    return MF_OK;
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    struct mock *mock = ((struct mock_worker *)worker)->mock;
    return pthread_create(&mock->thread, NULL, serve, mock) == 0 ? MF_OK : mf_fail(err, MF_E_IO, "mock: no thread");
}

static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    struct mock *mock = ((struct mock_worker *)worker)->mock;
    struct timespec until = from_now(timeout);
    int waited = 0;
    pthread_mutex_lock(&mock->lock);
    while (waited == 0 && (mock->running || mock->first != NULL))
        waited = pthread_cond_timedwait(&mock->changed, &mock->lock, &until);
    pthread_mutex_unlock(&mock->lock);
    return waited == 0 ? MF_OK : MF_E_TIMEOUT;
}

static void worker_stop(mf_worker *worker)
{
    struct mock *mock = ((struct mock_worker *)worker)->mock;
    pthread_mutex_lock(&mock->lock);
    mock->stopping = true;
    pthread_cond_broadcast(&mock->changed);
    pthread_mutex_unlock(&mock->lock);
    pthread_join(mock->thread, NULL);
}

static void worker_destroy(mf_worker *worker)
{
    (void)worker;      /* a part of the adapter */
}

/* Operation 3. */
static mf_status make_worker(mf_adapter *self, const char *const *names, size_t n, const mf_worker_options *options,
                             mf_worker **out, mf_error *err)
{
    static const mf_worker_ops ops = {sizeof ops, worker_start, worker_drain, worker_stop, worker_destroy};
    if (names != NULL || options->on_start != NULL || options->on_stop != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "mock: a worker serves all tasks, not a choice of %zu, and has no hooks", n);
    mock_of(self)->worker = (struct mock_worker){{&ops}, mock_of(self)};
    *out = &mock_of(self)->worker.base;
    return MF_OK;
}

/* Operation 4: a call by name, without a flow. */
struct workflow {
    mf_workflow  base;
    struct mock *mock;
    mf_spec     *spec;
};

/* The call goes the way of all messages: into the outbox of the store, all or none, and when it is due to publish. */
static mf_status send(struct workflow *w, const mf_message *const *messages, size_t n, mf_duration delay, uint64_t number,
                      mf_error *err)
{
    mf_refusal refusal;
    mf_entry *entries = calloc(n + 1, sizeof *entries);
    if (entries == NULL)
        return mf_fail(err, MF_E_NOMEM, "mock: no memory for %zu messages", n);
    for (size_t i = 0; i < n; i++)      /* the store takes references of its own */
        entries[i] = (mf_entry){.spec = w->spec, .unit.index = number, .attempt = 1, .message = (mf_message *)(uintptr_t)messages[i],
                                .due_ms = delay == 0 ? 0 : mf_store_now_ms(w->mock->store) + delay / 1000000};
    mf_status st = mf_store_commit(w->mock->store, &(mf_batch){.entries = entries, .entry_count = n}, &refusal, err);
    free(entries);
    return st;
}

static mf_status run_many(mf_workflow *base, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    return send((struct workflow *)base, messages, n, delay, 0, err);      /* no waiter has the number 0 */
}

static void wait_for_answer(struct mock *mock, struct waiter *waiter, mf_duration timeout)
{
    struct timespec until = from_now(timeout);
    struct waiter **at = &mock->waiters;
    pthread_mutex_lock(&mock->lock);
    for (int waited = 0; waited == 0 && waiter->status == MF_E_TIMEOUT;)
        waited = pthread_cond_timedwait(&mock->changed, &mock->lock, &until);
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    pthread_mutex_unlock(&mock->lock);
}

static mf_status run_and_wait(mf_workflow *base, const mf_message *message, mf_duration timeout, mf_message **result,
                              mf_error *err)
{
    struct workflow *w = (struct workflow *)base;
    struct waiter waiter = {.status = MF_E_TIMEOUT};
    pthread_mutex_lock(&w->mock->lock);
    waiter.number = ++w->mock->numbers;
    waiter.next = w->mock->waiters;
    w->mock->waiters = &waiter;
    pthread_mutex_unlock(&w->mock->lock);

    mf_status st = send(w, &message, 1, 0, waiter.number, err);
    wait_for_answer(w->mock, &waiter, st == MF_OK ? timeout : 0);
    if (st == MF_OK && waiter.status == MF_OK) {
        *result = waiter.value != NULL ? waiter.value : mf_message_nil();
        return MF_OK;
    }
    mf_str text = mf_cstr(mf_status_text(waiter.status));      /* or what the error map says */
    (void)!mf_message_scan(waiter.value, NULL, "{s?:s}", "text", &text);
    mf_message_unref(waiter.value);
    return st != MF_OK ? st : mf_fail(err, waiter.status, "%.*s", (int)text.len, text.at);
}

static void workflow_destroy(mf_workflow *base)
{
    mf_spec_unref(((struct workflow *)base)->spec);
    free(base);
}

static mf_status make_workflow(mf_adapter *self, mf_str name, mf_workflow **out, mf_error *err)
{
    static const mf_workflow_ops ops = {sizeof ops, run_many, run_and_wait, workflow_destroy};
    struct workflow *w = calloc(1, sizeof *w);
    if (w != NULL)
        *w = (struct workflow){{&ops}, mock_of(self), mf_spec_create(NULL, MF_KIND_TASK, name)};
    if (w == NULL || w->spec == NULL) {
        free(w);
        return mf_fail(err, MF_E_NOMEM, "mock: no memory");
    }
    *out = &w->base;
    return MF_OK;
}

/* Operations 5 and 6: what a running call sees. */
static void extract_execution_info(mf_adapter *self, const mf_delivery *d, mf_execution_info *out)
{
    (void)self;
    *out = (mf_execution_info){.workflow_id = d->id, .task_name = d->task, .attempt_number = d->attempt,
                               .task_data = {d->unit.key, d->spec->container, d->unit.index, d->unit.epoch}};
}

static mf_status keep_log(mf_context *ctx, mf_str line)
{
    return mf_store_log(mock_of(ctx->adapter)->store, &ctx->info.task_data.signature, line);
}

static mf_status keep_progress(mf_context *ctx, const mf_message *progress)
{
    return mf_store_progress(mock_of(ctx->adapter)->store, &ctx->info.task_data.signature, progress);
}

static mf_status create_task_context(mf_adapter *self, const mf_delivery *delivery, mf_context *ctx)
{
    static const mf_context_ops ops = {.struct_size = sizeof ops, .log = keep_log, .progress = keep_progress};
    ctx->ops = &ops;
    ctx->adapter = self;
    extract_execution_info(self, delivery, &ctx->info);
    return MF_OK;
}

/* Operation 7. No tool of ours lists tasks. */
static mf_status create_framework_tasks(mf_adapter *self, const mf_task_def *defs, size_t n, mf_error *err)
{
    (void)self, (void)defs, (void)n, (void)err;
    return MF_OK;
}

static mf_status bind_host(mf_adapter *self, mf_host *host, mf_store *store, mf_error *err)
{
    (void)err;
    mock_of(self)->host = host;
    mock_of(self)->store = store;
    return MF_OK;
}

static void destroy(mf_adapter *self)
{
    for (mf_entry entry; take_locked(mock_of(self), &entry);)
        mf_entry_release(&entry);
    free(mock_of(self));
}

static const mf_adapter_ops mock_ops = {
    .struct_size = sizeof(mf_adapter_ops), .name = "mock", .capabilities = MF_CAP_IN_PROCESS,
    .task = declare, .durable_task = declare, .worker = make_worker, .workflow = make_workflow,
    .extract_execution_info = extract_execution_info, .create_task_context = create_task_context,
    .create_framework_tasks = create_framework_tasks,
    .publish = publish, .settle = settle, .bind = bind_host, .destroy = destroy,
};

static mf_adapter *mock_create(void)
{
    struct mock *mock = calloc(1, sizeof *mock);
    if (mock != NULL)
        *mock = (struct mock){.base.ops = &mock_ops, .last = &mock->first, .lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    return mock == NULL ? NULL : &mock->base;
}

/* ---- a program that uses it ------------------------------------------------------------------------------------------- */

static mf_status square(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    mf_error err;
    int64_t n;
    if (mf_message_scan(in, &err, "{s:I}", "mageflow_results", &n) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    return mf_message_status(*out = mf_msg("I", n * n));
}

static int run_and_print(mf_signature *sig, const char *what, mf_message *message, mf_error err)
{
    mf_message *result = NULL;
    char *text = NULL;
    size_t len = 0;
    mf_run *run = mf_start(sig, message, &err);
    bool good = run != NULL && mf_run_wait(run, mf_seconds(10), &result, &err) == MF_OK &&
                mf_message_to_json(result, NULL, &text, &len, &err) == MF_OK;
    printf("%s: %s\n", what, good ? text : err.text);
    mf_json_free(NULL, text, len);
    mf_message_unref(result);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
    return good ? 0 : 1;
}

int main(void)
{
    mf_error err;
    mf_client *mage;
    mf_store *store;
    if (mf_memory_store_create(NULL, NULL, &store, &err) != MF_OK ||
        mf_open(NULL, MF_OPTIONS(.adapter = mock_create(), .store = store), &mage, &err) != MF_OK ||
        mf_task(mage, MF_TASK_DEF(.name = "square", .run = square), &err) != MF_OK)
        return fprintf(stderr, "mock_adapter: %s\n", err.text), 1;
    mf_signature *chain = mf_chain(mage, "power", NULL, &err), *swarm = mf_swarm(mage, "squares", NULL, &err);
    for (int i = 0; i < 3; i++)
        chain = mf_chain_add(chain, mf_sign(mage, "square", NULL, &err), &err);
    for (int i = 1; i <= 5; i++)
        swarm = mf_swarm_add(swarm, mf_sign(mage, "square", mf_msg("{s:i}", "mageflow_results", i), &err), &err);
    int code = run_and_print(chain, "2 squared three times", mf_msg("{s:i}", "mageflow_results", 2), err);
    code |= run_and_print(mf_swarm_close(swarm, &err), "squares of 1 to 5", NULL, err);
    mf_client_destroy(mage);
    return code;
}
