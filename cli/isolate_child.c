/* isolate_child.c: a child of `mageflow worker --isolation process`.
 *
 * It is a client like any other, with an adapter of its own around the one that the URL names: what tasks send goes to that one,
 * what they say of themselves goes over the socket to the worker, and the only deliveries are the calls that come from there.
 * They are delivered without a record: claims, retries, timeouts and outcomes are the worker's, so the runtime here calls the
 * function, checks what it gives, and that is settled with this adapter, which hands it to the worker. What a durable task did the
 * worker remembers, as a manager may for calls without a record.
 *
 *   main thread     reads the socket: calls go to the other one, answers to whoever waits for them, "stop" to the client. The
 *                   end of the socket is the end of the process, whatever the task does at that moment
 *   "mf-task"       calls the tasks, one after the other
 *
 * After "stop" the client stays as it is, so the worker ends this process when the call has ended. */
#include "isolate.h"

#include "command.h"
#include "launch.h"
#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOOK_UP_NS INT64_C(50000000)
#define OOM_SCORE "500\n"       /* where memory is short, this process goes and not the worker */

struct child {
    mf_adapter          base;
    mf_adapter_ops      ops;        /* ours over what the inner one can */
    mf_adapter         *inner;
    mf_host            *host;
    mf_client          *client;
    pthread_mutex_t     lock;
    pthread_cond_t      changed;    /* by CLOCK_MONOTONIC */
    pthread_t           thread;     /* that runs calls */
    mf_message         *call;       /* L  comes from the worker and was not begun yet */
    bool                answered;   /* L  … what somebody waits for, with */
    mf_status           answer;     /* L */
    mf_message         *given;      /* L  and a message, or NULL */
    pthread_mutex_t     ask_lock;   /* one asks, or tells the end, at a time */
    mf_execution_info   info;       /* of the call that runs */
};

/* One a process, and never freed: the process ends without a word. */
static struct child the_child;

/* ---- to the worker ------------------------------------------------------------------------------------------------ */

/* given: the message of the answer, to unref, or NULL where there is none; NULL: none is expected. */
static mf_status ask_for(mf_builder *b, mf_message **given)
{
    struct child *c = &the_child;
    pthread_mutex_lock(&c->ask_lock);
    pthread_mutex_lock(&c->lock);
    c->answered = false;
    pthread_mutex_unlock(&c->lock);
    mf_status st = frame_send(b, TASK_PROCESS_FD);
    pthread_mutex_lock(&c->lock);
    while (st == MF_OK && !c->answered)
        pthread_cond_wait(&c->changed, &c->lock);
    if (st == MF_OK)
        st = c->answer;
    mf_message *message = c->given;
    c->given = NULL;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_unlock(&c->ask_lock);
    if (given != NULL)
        *given = message;
    else
        mf_message_unref(message);
    return st;
}

static mf_status ask(mf_builder *b)
{
    return ask_for(b, NULL);
}

static mf_status context_log(mf_context *ctx, mf_str line)
{
    mf_builder b;
    (void)ctx;
    frame_begin(&b, "log", 1);
    mf_build_bin(&b, line);
    return ask(&b);
}

static mf_status context_progress(mf_context *ctx, const mf_message *progress)
{
    mf_builder b;
    (void)ctx;
    frame_begin(&b, "progress", 1);
    frame_message(&b, progress);
    return ask(&b);
}

static mf_status context_cancel(mf_context *ctx)
{
    mf_builder b;
    (void)ctx;
    frame_begin(&b, "cancel", 0);
    return ask(&b);
}

static mf_status context_refresh_timeout(mf_context *ctx, mf_duration more)
{
    mf_builder b;
    (void)ctx;
    frame_begin(&b, "refresh", 1);
    mf_build_int(&b, more);
    return ask(&b);
}

/* ---- the verbs of durable tasks ------------------------------------------------------------------------------------ */

static mf_message *or_nil(mf_message *message)
{
    return message != NULL ? message : mf_message_nil();
}

static mf_status context_recall(mf_context *ctx, const char *key, mf_message **known)
{
    mf_builder b;
    mf_message *given;
    (void)ctx;
    frame_begin(&b, "recall", 1);
    mf_build_str(&b, mf_cstr(key));
    mf_status st = ask_for(&b, &given);
    if (st == MF_OK)
        *known = or_nil(given);
    return st;
}

static mf_status context_remember(mf_context *ctx, const char *key, const mf_message *value)
{
    mf_builder b;
    (void)ctx, (void)key;       /* the worker knows what it waits for */
    frame_begin(&b, "remember", 1);
    frame_message(&b, value);
    return ask(&b);
}

static mf_status context_durable_sleep(mf_context *ctx, mf_duration span)
{
    mf_builder b;
    (void)ctx;
    frame_begin(&b, "sleep", 1);
    mf_build_int(&b, span);
    return ask(&b);
}

static mf_status context_wait_event(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out)
{
    mf_builder b;
    mf_message *given;
    (void)ctx;
    frame_begin(&b, "event", 2);
    mf_build_str(&b, mf_cstr(name));
    mf_build_int(&b, timeout);
    mf_status st = ask_for(&b, &given);
    if (st == MF_OK)
        *out = or_nil(given);
    return st;
}

/* ---- the adapter -------------------------------------------------------------------------------------------------- */

static mf_adapter *inner_of(mf_adapter *base)
{
    (void)base;
    return the_child.inner;
}

static mf_status child_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    return mf_adapter_task(inner_of(base), def, err);
}

static mf_status child_durable_task(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    return mf_adapter_durable_task(inner_of(base), def, err);
}

/* Reached by whoever starts a flow while the store is a process's own. */
static mf_status child_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                              mf_worker **out, mf_error *err)
{
    (void)base, (void)names, (void)n, (void)options, (void)out;
    return mf_fail(err, MF_E_UNSUPPORTED, "this task runs in a process of its own, and its worker keeps flows in memory: choose a "
                   "store that processes share to start one from here, ?store=sqlite:FILE");
}

static mf_status child_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    return mf_adapter_workflow(inner_of(base), name, out, err);
}

static void child_extract_execution_info(mf_adapter *base, const mf_delivery *delivery, mf_execution_info *out)
{
    (void)base, (void)delivery;
    *out = the_child.info;
}

static mf_status child_create_task_context(mf_adapter *base, const mf_delivery *delivery, mf_context *ctx)
{
    static const mf_context_ops ops = {.struct_size = sizeof ops, .log = context_log, .cancel = context_cancel,
                                       .refresh_timeout = context_refresh_timeout, .progress = context_progress,
                                       .recall = context_recall, .remember = context_remember, .sleep = context_durable_sleep,
                                       .wait_event = context_wait_event};
    ctx->ops = &ops;
    ctx->adapter = base;
    child_extract_execution_info(base, delivery, &ctx->info);
    return MF_OK;
}

static mf_status child_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    return mf_adapter_create_framework_tasks(inner_of(base), defs, n, err);
}

static mf_status child_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    return mf_adapter_publish(inner_of(base), entries, n, err);
}

/* The end of the call, on its thread. If the worker does not hear it, it is gone. */
static mf_status child_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    static const char *const words[] = {[MF_STATUS_DONE] = "done", [MF_STATUS_FAILED] = "failed",
                                        [MF_STATUS_CANCELED] = "canceled"};
    mf_builder b;
    (void)base, (void)n, (void)err;
    const char *word = words[settlements[0].status];
    fflush(stdout);     /* this process may be ended before it ends */
    frame_begin(&b, "end", 2);
    mf_build_str(&b, mf_cstr(word != NULL ? word : "stopped"));
    frame_message(&b, settlements[0].value);
    pthread_mutex_lock(&the_child.ask_lock);
    mf_status st = frame_send(&b, TASK_PROCESS_FD);
    pthread_mutex_unlock(&the_child.ask_lock);
    return st;
}

static mf_status child_request_stop(mf_adapter *base, const mf_unit *unit)
{
    return mf_adapter_request_stop(inner_of(base), unit);
}

static mf_status child_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    return mf_adapter_observe(inner_of(base), unit, err);
}

static mf_status child_bind(mf_adapter *base, mf_host *host, mf_store *store, mf_error *err)
{
    the_child.host = host;
    return mf_adapter_bind(inner_of(base), host, store, err);
}

static mf_status ask_word(const char *word)
{
    mf_builder b;
    frame_begin(&b, word, 0);
    return ask(&b);
}

/* What the call waits for may need the thread and the slot that its worker has for it. Stops of the call wake nobody here. */
static mf_status child_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    struct child *c = &the_child;
    const mf_clock *clock = mf_clock_default();
    int64_t now_ns;
    (void)base;
    if (!pthread_equal(pthread_self(), c->thread))
        return MF_E_UNSUPPORTED;
    (void)ask_word("waits");
    pthread_mutex_lock(&c->lock);
    bool over;
    while (!(over = done(arg)) && (now_ns = clock->monotonic_ns(clock->user)) < deadline_ns) {
        int64_t until = deadline_ns - now_ns < LOOK_UP_NS ? deadline_ns : now_ns + LOOK_UP_NS;
        struct timespec at = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
        pthread_cond_timedwait(&c->changed, &c->lock, &at);
    }
    pthread_mutex_unlock(&c->lock);
    (void)ask_word("goes_on");
    return over ? MF_OK : MF_E_TIMEOUT;
}

static void child_wake_helpers(mf_adapter *base)
{
    (void)base;
    pthread_mutex_lock(&the_child.lock);
    pthread_cond_broadcast(&the_child.changed);
    pthread_mutex_unlock(&the_child.lock);
}

static int64_t child_due(mf_adapter *base)
{
    return mf_adapter_due(inner_of(base));
}

static void child_health(mf_adapter *base, mf_adapter_health *out)
{
    mf_adapter_read_health(inner_of(base), out);
}

static void child_destroy(mf_adapter *base)
{
    mf_adapter_destroy(inner_of(base));
}

/* Retries, timeouts and the number of calls at once are the worker's business. Where the store is nobody else's, the first
 * start would make a worker here, which is refused. */
static void make_adapter(struct child *c, bool shared)
{
    const mf_adapter_ops *inner = c->inner->ops;
    c->ops = (mf_adapter_ops){
        .struct_size = sizeof c->ops,
        .name = inner->name,
        .capabilities = (inner->capabilities & (MF_CAP_TAKES | MF_CAP_DELAYS | MF_CAP_OBSERVES)) | MF_CAP_RETRIES |
                        MF_CAP_RETRIES_CALLS | MF_CAP_TIMEOUTS | MF_CAP_CONCURRENCY | (shared ? 0 : MF_CAP_IN_PROCESS),
        .task = child_task,
        .durable_task = child_durable_task,
        .worker = child_worker,
        .workflow = child_workflow,
        .extract_execution_info = child_extract_execution_info,
        .create_task_context = child_create_task_context,
        .create_framework_tasks = child_create_framework_tasks,
        .publish = child_publish,
        .settle = child_settle,
        .request_stop = child_request_stop,
        .observe = child_observe,
        .bind = child_bind,
        .due = child_due,
        .help = child_help,
        .wake_helpers = child_wake_helpers,
        .health = child_health,
        .destroy = child_destroy,
    };
    c->base.ops = &c->ops;
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

static mf_status read_key(mf_str text, mf_key *out)
{
    return text.len == 0 ? MF_OK : mf_key_parse(text, out, NULL);
}

/* What the worker sent, as send_call wrote it. */
static mf_status read_call(const mf_message *frame, mf_delivery *d, mf_execution_info *info)
{
    mf_str key, container;
    mf_value message, error;
    mf_message *in = NULL, *why = NULL;
    uint64_t attempt = 0, epoch = 0;
    mf_status st = mf_value_scan(frame_value(frame, 0), NULL, "{s:S, s:B, s:U, s:S, s:S, s:U, s:U, s:v, s:v}", "task", &d->task,
                                 "id", &d->id, "attempt", &attempt, "key", &key, "container", &container, "index",
                                 &info->task_data.index, "epoch", &epoch, "message", &message, "error", &error);
    if (st == MF_OK)
        st = read_key(key, &info->task_data.signature);
    if (st == MF_OK)
        st = read_key(container, &info->task_data.container);
    if (st == MF_OK)
        st = frame_read_message(message, &in);
    if (st == MF_OK)
        st = frame_read_message(error, &why);
    d->message = in;
    d->error = why;
    d->attempt = info->attempt_number = (uint32_t)attempt;
    info->task_data.epoch = (uint32_t)epoch;
    info->task_name = d->task;
    info->workflow_id = d->id;
    /* Signatures that a durable task makes are to have the same keys, wherever it is called: they come from its own, or from the
     * id of a call that has none. */
    if (mf_key_is_set(&info->task_data.signature))
        d->id = mf_str_of(info->task_data.signature.text, sizeof info->task_data.signature.text);
    return st;
}

static void *run_calls(void *arg)
{
    struct child *c = arg;
    (void)prctl(PR_SET_NAME, "mf-task");
    for (;;) {
        pthread_mutex_lock(&c->lock);
        while (c->call == NULL)
            pthread_cond_wait(&c->changed, &c->lock);
        mf_message *frame = c->call;
        c->call = NULL;
        pthread_mutex_unlock(&c->lock);
        mf_delivery d = {.attempt = 0};
        c->info = (mf_execution_info){.attempt_number = 0};
        if (read_call(frame, &d, &c->info) != MF_OK)
            _exit(EXIT_FAILED);
        c->host->ops->deliver(c->host, &d);
        mf_message_unref(d.message);
        mf_message_unref(d.error);
        mf_message_unref(frame);
    }
    return NULL;
}

/* ---- from the worker ---------------------------------------------------------------------------------------------- */

static void hand_over(struct child *c, mf_message *call)
{
    pthread_mutex_lock(&c->lock);
    c->call = mf_message_ref(call);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void take_answer(struct child *c, const mf_message *frame)
{
    int64_t number = MF_E_MALFORMED;
    mf_message *given = NULL;
    (void)!mf_value_int(frame_value(frame, 0), &number);
    if (frame_read_message(frame_value(frame, 1), &given) != MF_OK)
        number = MF_E_MALFORMED;
    pthread_mutex_lock(&c->lock);
    c->answered = true;
    c->answer = (mf_status)number;
    c->given = given;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* The next frame; the end of the socket ends the process. */
static mf_message *next_frame(struct frames *frames, mf_str *word)
{
    mf_message *frame = NULL;
    mf_status st;
    while ((st = frames_next(frames, &frame, word)) == MF_E_AGAIN)
        if ((st = frames_fill(frames, TASK_PROCESS_FD)) != MF_OK)
            break;
    if (st != MF_OK)
        _exit(st == MF_E_CLOSED ? EXIT_DONE : EXIT_FAILED);
    return frame;
}

static void read_worker(struct child *c, struct frames *frames)
{
    for (;;) {
        mf_str word;
        mf_message *frame = next_frame(frames, &word);
        if (mf_str_eq(word, MF_STR_LIT("call")))
            hand_over(c, frame);
        else if (mf_str_eq(word, MF_STR_LIT("stop")))
            mf_stop_calls(c->client);
        else if (mf_str_eq(word, MF_STR_LIT("answer")))
            take_answer(c, frame);
        mf_message_unref(frame);
    }
}

/* ---- the beginning ------------------------------------------------------------------------------------------------ */

static mf_status load_module(mf_client *client, mf_str file, mf_error *err)
{
    char path[4096];
    mf_status st = module_path(file, path, sizeof path, err);
    return st == MF_OK ? mf_load(client, path, err) : st;
}

static mf_status each_text(struct child *c, mf_value texts, mf_status (*declare)(mf_client *client, mf_str text, mf_error *err),
                           mf_error *err)
{
    mf_iter iter = mf_value_iter(texts);
    mf_value one;
    mf_str text;
    mf_status st = MF_OK;
    while (st == MF_OK && mf_iter_next(&iter, NULL, &one)) {
        st = mf_value_bin(one, &text);
        if (st == MF_OK)
            st = declare(c->client, text, err);
    }
    return st;
}

static mf_status open_client(struct child *c, const mf_message *init, mf_error *err)
{
    char url[4096] = "";
    mf_str text = {NULL, 0};
    bool json = false;
    mf_options options = {.struct_size = sizeof options};
    (void)!mf_value_bin(frame_value(init, 0), &text);
    (void)!mf_value_bool(frame_value(init, 2), &json);
    if (text.len >= sizeof url)
        return mf_fail(err, MF_E_TOO_BIG, "the URL is too long");
    if (text.len > 0)
        memcpy(url, text.at, text.len);
    if (json)
        log_as_json(NULL);
    log_of_client(&options);
    mf_status st = mf_options_from_url(text.len > 0 ? url : NULL, &options, err);
    explicit_bzero(url, sizeof url);
    if (st != MF_OK)
        return st;
    c->inner = options.adapter;
    make_adapter(c, options.store->ops->shared);
    st = mf_client_create(&c->base, options.store, &options, &c->client, err);
    if (st == MF_OK)
        st = each_text(c, frame_value(init, 1), load_module, err);
    if (st == MF_OK)
        st = each_text(c, frame_value(init, 3), foreign_declare, err);
    return st;
}

static void refuse(const mf_error *err)
{
    mf_builder b;
    frame_begin(&b, "refused", 1);
    mf_build_str_lossy(&b, mf_cstr(err->text));
    (void)frame_send(&b, TASK_PROCESS_FD);
}

/* A service manager's SIGTERM, or Ctrl-C, reaches the children too: it is the worker that leaves in order. A handler, since what
 * is ignored or blocked would be so in the programs that a task starts. */
static void pass_over(int number)
{
    (void)number;
}

static void prepare_process(void)
{
    struct sigaction action = {.sa_handler = pass_over, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)fcntl(TASK_PROCESS_FD, F_SETFD, FD_CLOEXEC);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t written = write(fd, OOM_SCORE, sizeof OOM_SCORE - 1);
        (void)written;      /* where it is not allowed, whoever has most goes */
        close(fd);
    }
}

static int task_process_run(int argc, const char **argv)
{
    struct child *c = &the_child;
    struct frames frames = {0};
    mf_str word;
    mf_error err = {.text = ""};
    (void)argv;
    if (argc > 1 || fcntl(TASK_PROCESS_FD, F_GETFD) < 0) {
        complain("task-process is what a worker with --isolation process starts");
        return EXIT_USAGE;
    }
    prepare_process();
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->ask_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mf_message *init = next_frame(&frames, &word);
    mf_status st = mf_str_eq(word, MF_STR_LIT("init")) ? open_client(c, init, &err) : MF_E_MALFORMED;
    mf_message_unref(init);
    if (st == MF_OK && pthread_create(&c->thread, NULL, run_calls, c) != 0)
        st = mf_fail(&err, MF_E_NOMEM, "no thread");
    if (st != MF_OK) {
        refuse(&err);
        _exit(EXIT_FAILED);
    }
    (void)frame_send_word(TASK_PROCESS_FD, "ready");
    read_worker(c, &frames);
    return EXIT_DONE;
}

const verb task_process_verb = {"task-process", NULL, task_process_run};
