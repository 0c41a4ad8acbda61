/* TaskIQ on Redis as a task manager: the table of operations, and the I/O thread's timer. */
#include "taskiq.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "random.h"

#define MAX_REPLACED 4      /* threads put in the place of calls that ignore their timeout */

static mf_status taskiq_task_declare(mf_adapter *base, const mf_task_def *def, mf_error *err);

taskiq *taskiq_of(mf_adapter *base)
{
    assert(base->ops->task == taskiq_task_declare);
    return (taskiq *)(void *)base;
}

/* ---- what the files share ----------------------------------------------------------------------------------------- */

void taskiq_log(taskiq *t, mf_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;
    if (t->options.log == NULL)
        return;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (len > 0)
        t->options.log(t->options.log_user, level, mf_str_of(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1));
}

char *taskiq_key(taskiq *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *text = len < 0 ? NULL : mfi_alloc(t->allocator, (size_t)len + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

void taskiq_text_free(taskiq *t, char *text)
{
    if (text != NULL)
        mfi_release(t->allocator, text, strlen(text) + 1);
}

/* An id may be any text, but a NUL in it would end our copy of it: such a result is told to nobody. */
char *taskiq_result_key(taskiq *t, mf_str id)
{
    if (id.len == 0 || memchr(id.at, '\0', id.len) != NULL)
        return NULL;
    size_t prefix = strlen(t->options.prefix), before = prefix > 0 ? prefix + 1 : 0;
    char *key = mfi_alloc(t->allocator, before + id.len + 1);
    if (key == NULL)
        return NULL;
    if (prefix > 0) {
        memcpy(key, t->options.prefix, prefix);
        key[prefix] = ':';
    }
    memcpy(key + before, id.at, id.len);
    key[before + id.len] = '\0';
    return key;
}

taskiq_queue *taskiq_queue_find(taskiq *t, mf_str name)
{
    for (size_t i = 0; i < t->queue_count; i++)
        if (mf_str_eq(name, mf_cstr(t->queues[i].name)))
            return &t->queues[i];
    return NULL;
}

taskiq_queue *taskiq_own_queue(taskiq *t)
{
    return &t->queues[t->queue_count - 1];
}

taskiq_task *taskiq_task_find(taskiq *t, mf_str name)
{
    taskiq_task *task = atomic_load_explicit(&t->tasks, memory_order_acquire);      /* pairs with its declaration */
    while (task != NULL && !mf_str_eq(name, mf_cstr(task->name)))
        task = task->next;
    return task;
}

mf_status taskiq_submit(taskiq *t, mfi_redis *link, mfi_redis_request *rq, const mfi_redis_how *how, mfi_redis_done_fn *done,
                        void *user)
{
    atomic_fetch_add(&t->submitted, 1);
    mf_status st = mfi_redis_submit(link, rq, how, done, user);
    if (st != MF_OK)
        atomic_fetch_sub(&t->submitted, 1);
    return st;
}

void taskiq_answered(taskiq *t)
{
    atomic_fetch_sub(&t->submitted, 1);
}

/* ---- the timer ---------------------------------------------------------------------------------------------------- */

static int64_t tick(void *user, int64_t now_ns)
{
    taskiq *t = user;
    int64_t retry_ns = atomic_load(&t->retry_ns);
    if (retry_ns == INT64_MAX || now_ns >= retry_ns) {
        atomic_store(&t->retry_ns, INT64_MAX);
        taskiq_tell(t);
    }
    int64_t next = atomic_load(&t->retry_ns), when = taskiq_lease_tick(t, now_ns);
    next = when < next ? when : next;
    when = taskiq_waiters_tick(t, now_ns);
    next = when < next ? when : next;
    when = taskiq_watch_tick(t, now_ns);
    next = when < next ? when : next;
    when = taskiq_ready_tick(t, now_ns);
    next = when < next ? when : next;
    when = taskiq_reads_tick(t, now_ns);
    return when < next ? when : next;
}

static void observe_link(void *user, bool up, const mf_error *why)
{
    taskiq *t = user;
    if (up)     /* perhaps before its creation has returned: t->redis is not looked at */
        taskiq_log(t, MF_LOG_INFO, "connected to %s", t->server);
    else if (why != NULL)
        taskiq_log(t, MF_LOG_WARN, "not connected: %s", why->text);
}

/* ---- the operations ----------------------------------------------------------------------------------------------- */

static mf_status taskiq_task_declare(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    taskiq_task *task = mf_new(t->allocator, taskiq_task);
    if (task == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    snprintf(task->name, sizeof task->name, "%s", def->name);
    task->in = def->in;
    task->retries = def->retries;
    task->backoff = def->backoff;
    task->limit = def->max_concurrency;
    pthread_mutex_lock(&t->lock);
    task->next = atomic_load_explicit(&t->tasks, memory_order_relaxed);
    atomic_store_explicit(&t->tasks, task, memory_order_release);
    pthread_mutex_unlock(&t->lock);
    return MF_OK;
}

static mf_status taskiq_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    taskiq *t = taskiq_of(base);
    (void)err;
    t->host = host;
    t->store = store;
    return MF_OK;
}

void mfi_taskiq_shares(mf_adapter *base, mf_store *store)
{
    taskiq_join(taskiq_of(base), store);
}

static void taskiq_wake_helpers(mf_adapter *base)
{
    taskiq *t = taskiq_of(base);
    pthread_mutex_lock(&t->lock);
    bool serving = t->serving;
    pthread_mutex_unlock(&t->lock);
    if (serving)
        mf_pool_wake_helpers(t->pool);
}

static void *taskiq_thread_mark(mf_adapter *base)
{
    (void)base;
    return mf_pool_current_worker();
}

static mf_status taskiq_replace_thread(mf_adapter *base, void *thread_mark, bool replace)
{
    taskiq *t = taskiq_of(base);
    if (thread_mark == NULL)
        return MF_E_FULL;
    if (!replace)
        mf_pool_restore(thread_mark);
    pthread_mutex_lock(&t->lock);
    bool room = !replace || t->replaced < MAX_REPLACED;
    if (room) {     /* the stuck call keeps its slot; its stand-in brings another */
        t->replaced += replace ? 1u : -1u;
        t->slots += replace ? 1u : -1u;
    }
    pthread_mutex_unlock(&t->lock);
    if (!room)
        return MF_E_FULL;
    if (replace) {
        (void)mf_pool_compensate(thread_mark);  /* without a spare the pool goes on with one thread less until restore */
        taskiq_read_all(t);
    }
    return MF_OK;
}

static void taskiq_health(mf_adapter *base, mf_adapter_health *out)
{
    taskiq *t = taskiq_of(base);
    mf_pool_counts counts = {0};
    mfi_redis_health_read(t->redis, &out->link);
    pthread_mutex_lock(&t->lock);
    out->deaf = t->serving && t->deaf && out->link.connected;
    if (out->deaf)
        snprintf(out->link.last_error, sizeof out->link.last_error, "%.*s", (int)sizeof out->link.last_error - 1,
                 t->deaf_why.text);
    if (t->serving) {       /* worker_stop says that it ends before the pool goes */
        (void)mf_pool_stats(t->pool, &counts);
        out->slots = t->slots;
    }
    out->threads = counts.workers;
    out->held = t->in_flight;
    out->replaced = t->replaced;
    pthread_mutex_unlock(&t->lock);
}

/* ---- making and freeing ------------------------------------------------------------------------------------------- */

static bool queue_init(taskiq *t, taskiq_queue *q, const char *name, bool list, bool own)
{
    size_t len = strlen(name);
    if (len >= sizeof q->name)
        return false;
    memcpy(q->name, name, len + 1);
    q->list = list;
    q->own = own;
    q->delayed = taskiq_key(t, "%s:mageflow:delayed", name);
    q->dead = taskiq_key(t, "%s:mageflow:dead", name);
    if (q->delayed == NULL || q->dead == NULL)
        return false;
    if (!list)
        return true;
    q->inflight = taskiq_key(t, "%s:mageflow:%s", name, t->consumer);
    q->alive = taskiq_key(t, "%s:mageflow:%s:alive", name, t->consumer);
    q->workers = taskiq_key(t, "%s:mageflow:workers", name);
    q->deaths = taskiq_key(t, "%s:mageflow:deaths", name);
    return q->inflight != NULL && q->alive != NULL && q->workers != NULL && q->deaths != NULL;
}

static void queue_fini(taskiq *t, taskiq_queue *q)
{
    char *const keys[] = {q->delayed, q->dead, q->inflight, q->alive, q->workers, q->deaths};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        taskiq_text_free(t, keys[i]);
}

/* mageflow-<host>-<pid>-<random>: whose it is, and never anybody else's. */
static mf_status name_consumer(taskiq *t, mf_error *err)
{
    char host[24] = "";
    unsigned char random[4];
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        strcpy(host, "host");
    for (char *c = host; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
            *c = '_';
    mf_status st = mfi_random_fill(NULL, random, sizeof random);
    if (st != MF_OK)
        return mf_fail(err, st, "taskiq: no random bytes for a name");
    snprintf(t->consumer, sizeof t->consumer, TASKIQ_CONSUMER_PREFIX "%s-%ld-%02x%02x%02x%02x", host, (long)getpid(), random[0],
             random[1], random[2], random[3]);
    return MF_OK;
}

static mf_status make_queues(taskiq *t, mf_error *err)
{
    const mfi_taskiq_options *o = &t->options;
    const char *first = o->queue_count > 0 ? o->queues[0] : "taskiq";
    bool good = true;
    for (size_t i = 0; i < (o->queue_count > 0 ? o->queue_count : 1); i++)
        good = good && queue_init(t, &t->queues[t->queue_count++], i == 0 ? first : o->queues[i], o->lists, false);
    char *own = taskiq_key(t, "%s:mageflow", first);
    good = good && own != NULL && queue_init(t, &t->queues[t->queue_count++], own, false, true);
    taskiq_text_free(t, own);
    t->watched = taskiq_key(t, "%s:mageflow:watched", first);
    good = good && t->watched != NULL;
    return good ? MF_OK : mf_fail(err, MF_E_NOMEM, "taskiq: no memory for the queues, or a name too long");
}

static mf_status make_links(taskiq *t, const mfi_taskiq_options *o, mf_error *err)
{
    mfi_redis_options redis = {.allocator = t->allocator, .clock = t->clock, .address = &o->address, .name = t->consumer,
                               .observe = observe_link, .tick = tick, .user = t};
    mf_status st = mfi_redis_create(&redis, &t->redis, err);
    t->results = t->redis;
    if (st != MF_OK || !o->has_results)
        return st;
    redis.address = &o->results;
    redis.tick = NULL;
    redis.observe = NULL;
    return mfi_redis_create(&redis, &t->results, err);
}

static void taskiq_destroy(mf_adapter *base)
{
    taskiq *t = taskiq_of(base);
    if (t->redis != NULL)
        taskiq_watch_close(t);
    for (size_t i = 0; i < t->extra_count; i++)
        mfi_redis_destroy(t->extra_links[i], 0);
    if (t->results != t->redis)
        mfi_redis_destroy(t->results, mf_milliseconds(500));
    mfi_redis_destroy(t->redis, mf_milliseconds(500));
    taskiq_watch_free(t);
    taskiq_jobs_free(t);
    for (size_t i = 0; i < t->queue_count; i++)
        queue_fini(t, &t->queues[i]);
    if (t->address != NULL)
        mfi_redis_address_wipe(t->address);
    mf_delete(t->allocator, t->address);
    taskiq_text_free(t, t->watched);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    mf_delete(t->allocator, t);
}

static const mf_adapter_ops taskiq_ops = {
    .struct_size = sizeof(mf_adapter_ops),
    .name = "taskiq",
    .capabilities = MF_CAP_CONCURRENCY | MF_CAP_OBSERVES | MF_CAP_RETRIES_CALLS | MF_CAP_HOLDS,
    .task = taskiq_task_declare,
    .durable_task = taskiq_task_declare,
    .worker = taskiq_worker,
    .workflow = taskiq_workflow,
    .extract_execution_info = taskiq_extract_execution_info,
    .create_task_context = taskiq_create_task_context,
    .create_framework_tasks = taskiq_create_framework_tasks,
    .publish = taskiq_publish,
    .settle = taskiq_settle,
    .observe = taskiq_observe,
    .bind = taskiq_bind,
    .help = taskiq_help,
    .wake_helpers = taskiq_wake_helpers,
    .replace_thread = taskiq_replace_thread,
    .thread_mark = taskiq_thread_mark,
    .health = taskiq_health,
    .dead_page = taskiq_dead_page,
    .dead_read = taskiq_dead_read,
    .dead_requeue = taskiq_dead_requeue,
    .dead_drop = taskiq_dead_drop,
    .doctor = taskiq_doctor,
    .destroy = taskiq_destroy,
    .queues = taskiq_queues,
};

static void sync_init(taskiq *t)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attr);
    pthread_condattr_destroy(&attr);
}

mf_status mfi_taskiq_create(const mfi_taskiq_options *options, mf_adapter **out, mf_error *err)
{
    taskiq *t = mf_new(options->allocator, taskiq);
    if (t == NULL)
        return mf_fail(err, MF_E_NOMEM, "taskiq: no memory");
    t->base.ops = &taskiq_ops;
    t->allocator = options->allocator;
    t->clock = options->clock;
    t->options = *options;
    mfi_redis_address_wipe(&t->options.address);
    mfi_redis_address_wipe(&t->options.results);
    t->suspects_end = &t->suspects;
    t->settling_end = &t->settling;
    taskiq_ready_init(t);
    atomic_init(&t->retry_ns, INT64_MAX);
    sync_init(t);
    t->address = mf_new(t->allocator, mfi_redis_address);
    mf_status st = t->address == NULL ? mf_fail(err, MF_E_NOMEM, "taskiq: no memory") : MF_OK;
    if (st == MF_OK) {
        *t->address = options->address;
        mfi_redis_address_text(&options->address, t->server, sizeof t->server);
        st = name_consumer(t, err);
    }
    if (st == MF_OK)
        st = make_queues(t, err);
    if (st == MF_OK)
        st = make_links(t, options, err);
    for (int i = 0; st == MF_OK && i < TASKIQ_SCRIPTS; i++) {
        t->scripts[i] = mfi_redis_script_add(t->redis, mf_cstr(taskiq_script_sources[i]));
        if (t->scripts[i] == NULL)
            st = mf_fail(err, MF_E_NOMEM, "taskiq: no memory for the scripts");
    }
    if (st != MF_OK) {
        taskiq_destroy(&t->base);
        return st;
    }
    *out = &t->base;
    return MF_OK;
}
