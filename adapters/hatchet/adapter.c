#include "hatchet.h"

#include <assert.h>
#include <stdio.h>

#include "memory.h"
#include "runtime.h"

static const mf_adapter_ops hatchet_ops;

hatchet *hatchet_of(mf_adapter *base)
{
    assert(base->ops == &hatchet_ops);
    return (hatchet *)base;
}

mf_status hatchet_of_adapter(mf_adapter *base, hatchet **out)
{
    if (base->ops != &hatchet_ops)
        return MF_E_UNSUPPORTED;
    *out = (hatchet *)base;
    return MF_OK;
}

mf_status hatchet_of_client(mf_client *client, hatchet **out, mf_error *err)
{
    mf_status st = client != NULL ? mfi_client_check(client, err) : mf_fail(err, MF_E_INVALID, "client: NULL");
    if (st != MF_OK)
        return st;
    if (hatchet_of_adapter(client->adapter, out) != MF_OK)
        return mf_fail(err, MF_E_UNSUPPORTED, "this client's task manager is %s, and this is of Hatchet alone", client->adapter->ops->name);
    return MF_OK;
}

void hatchet_log(hatchet *h, mf_log_level level, const char *fmt, ...)
{
    char line[700];
    va_list args;
    if (h->options.log == NULL)
        return;
    int begin = snprintf(line, sizeof line, "hatchet: ");
    va_start(args, fmt);
    int len = vsnprintf(line + begin, sizeof line - (size_t)begin, fmt, args);
    va_end(args);
    size_t whole = len < 0 ? (size_t)begin : (size_t)begin + (size_t)len;
    h->options.log(h->options.log_user, level, mf_str_of(line, whole < sizeof line ? whole : sizeof line - 1));
}

/* ---- the timer -------------------------------------------------------------------------------------------------------- */

static int64_t tick(void *user, int64_t now_ns)
{
    hatchet *h = user;
    io_begin_fresh(h);                              /* nothing else is waited for */
    int64_t next = io_token_tick(h, now_ns);        /* before the others, which go at once with a new one */
    int64_t when = io_listen_tick(h, now_ns);
    next = when < next ? when : next;
    when = io_tell_tick(h, now_ns);
    next = when < next ? when : next;
    when = io_results_tick(h, now_ns);
    next = when < next ? when : next;
    when = io_observe_tick(h, now_ns);
    next = when < next ? when : next;
    when = io_durable_tick(h, now_ns);
    return when < next ? when : next;
}

static void observe_link(void *user, bool up, const mf_error *why)
{
    hatchet *h = user;
    hatchet_health_link(h, up, why);
    if (up)
        hatchet_log(h, MF_LOG_INFO, "connected to %s", h->what);
    else if (why != NULL)       /* at first whoever waits for it is told, in an error */
        hatchet_log(h, h->was_up ? MF_LOG_WARN : MF_LOG_DEBUG, "not connected: %s", why->text);
    h->was_up = h->was_up || up;
}

/* ---- the operations --------------------------------------------------------------------------------------------------- */

static mf_status hatchet_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    hatchet *h = hatchet_of(base);
    (void)err;
    pthread_mutex_lock(&h->lock);       /* the I/O thread is there already, and looks for a store */
    h->host = host;
    h->store = store;
    pthread_mutex_unlock(&h->lock);
    return MF_OK;
}

/* A client that closes asks its helpers to look, too. What it still waits for may be an engine that is away: not for long, then. */
static void wake_helpers(mf_adapter *base)
{
    hatchet *h = hatchet_of(base);
    if (atomic_load(&mfi_client_of_host(h->host)->closing) && !atomic_exchange(&h->hurries, true))
        mfi_rpc_hurry(h->rpc, HATCHET_CLOSE_WITHIN);
    pthread_mutex_lock(&h->lock);
    bool serving = h->serving;
    pthread_mutex_unlock(&h->lock);
    if (serving)
        mf_pool_wake_helpers(h->pool);
}

static void *thread_mark(mf_adapter *base)
{
    (void)base;
    return mf_pool_current_worker();
}

static mf_status replace_thread(mf_adapter *base, void *mark, bool replace)
{
    if (mark == NULL)
        return MF_E_FULL;
    if (!replace)
        mf_pool_restore(mark);
    mf_status st = replace ? mf_pool_compensate(mark) : MF_OK;
    if (st == MF_OK)
        hatchet_health_replaced(hatchet_of(base), replace);
    return st;
}

static void hatchet_destroy(mf_adapter *base)
{
    hatchet *h = hatchet_of(base);
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_destroy(h->rpc, mf_milliseconds(500));
    if (h->pool != NULL)
        (void)mf_pool_destroy(h->pool);
    hatchet_observers_free(h);
    hatchet_jobs_drop(h);
    hatchet_sent_free(h);
    hatchet_news_free(h);
    hatchet_tasks_free(h);
    hatchet_bytes_free(&h->labels);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    mf_delete(h->allocator, h);
}

static const mf_adapter_ops hatchet_ops = {
    .struct_size = sizeof(mf_adapter_ops),
    .name = "hatchet",
    .capabilities = MF_CAP_RETRIES_CALLS | MF_CAP_OBSERVES,
    .task = hatchet_task_declare,
    .durable_task = hatchet_durable_declare,
    .worker = hatchet_worker,
    .workflow = hatchet_workflow,
    .extract_execution_info = hatchet_extract_execution_info,
    .create_task_context = hatchet_create_task_context,
    .create_framework_tasks = hatchet_create_framework_tasks,
    .publish = hatchet_publish,
    .settle = hatchet_settle,
    .request_stop = hatchet_request_stop,
    .observe = hatchet_observe,
    .bind = hatchet_bind,
    .help = hatchet_help,
    .wake_helpers = wake_helpers,
    .replace_thread = replace_thread,
    .thread_mark = thread_mark,
    .health = hatchet_health,
    .doctor = hatchet_doctor,
    .destroy = hatchet_destroy,
};

/* ---- making ----------------------------------------------------------------------------------------------------------- */

static void sync_init(hatchet *h)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attr);
    pthread_condattr_destroy(&attr);
}

mf_status mfi_hatchet_create(const mfi_hatchet_options *o, mf_adapter **out, mf_error *err)
{
    hatchet *h = mf_new(o->allocator, hatchet);
    if (h == NULL)
        return mf_fail(err, MF_E_NOMEM, "hatchet: no memory");
    h->base.ops = &hatchet_ops;
    h->allocator = o->allocator;
    h->clock = o->clock;
    h->options = *o;
    mfi_hatchet_options_wipe(&h->options);
    snprintf(h->what, sizeof h->what, "hatchet at %s:%u", o->host, o->port);
    sync_init(h);
    h->listen_retry = (mfi_retry){mf_milliseconds(100), mf_seconds(5), 0};
    h->results_retry = h->durable_retry = h->listen_retry;
    mf_status st = mfi_rpc_create(&(mfi_rpc_options){
        .allocator = o->allocator, .clock = o->clock, .what = h->what, .host = o->host, .port = (uint16_t)o->port,
        .tls = o->tls != MFI_HATCHET_PLAIN, .ca = o->ca, .cert = o->cert, .key = o->key, .token = o->token,
        .observe = observe_link, .tick = tick, .user = h,
    }, &h->rpc, err);
    if (st != MF_OK) {
        hatchet_destroy(&h->base);
        return st;
    }
    *out = &h->base;
    return MF_OK;
}
