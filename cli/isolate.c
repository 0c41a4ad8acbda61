/* isolate.c: the worker's side of --isolation process.
 *
 * A thread of the worker that is to call a task takes an idle child, or makes one, hands it the call, and waits in poll for three
 * things: words of the child, its death (a pidfd: a socket may stay open in what a task forked), and the call's stop request.
 * So there are never more children than calls at once. The child is kept for the next call, but where it was asked to stop:
 * then it cannot be told from one that is still busy with that, and ends.
 *
 * A child ends by itself as soon as its socket does, so that none outlives the worker, however that ends. */
#include "isolate.h"

#include "command.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_MS    2000     /* from a stop request to SIGKILL: less than the 3 s after which the library gives a call up */
#define READY_MS   60000    /* for a child to load its modules */
#define HELP_MS    10       /* how long a thread whose task waits in its child serves others without a look at that */
#define DYING_MS   1000     /* from the end of its socket to its own */
#define SEND_S     10       /* for a child to read what it is sent; one that is halted does not */

extern char **environ;

struct child {
    pid_t         pid;
    int           fd, pidfd;
    struct frames frames;
    struct child *next;     /* idle */
};

struct isolation {
    const struct options *options;
    pthread_mutex_t       lock;
    struct child         *idle;     /* L  the one used last first */
};

static int64_t now_ms(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user) / 1000000;
}

/* ---- a child's death ---------------------------------------------------------------------------------------------- */

/* Whether it is dead, or will be within so many milliseconds. */
static bool is_dead(const struct child *child, int within_ms)
{
    struct pollfd death = {.fd = child->pidfd, .events = POLLIN};
    int got;
    while ((got = poll(&death, 1, within_ms)) < 0 && errno == EINTR)
        continue;
    return got > 0;
}

/* Its end, which is at hand, and what wait tells of it. child is freed. */
static int reap(struct child *child)
{
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(child->fd);
    close(child->pidfd);
    frames_fini(&child->frames);
    free(child);
    return status;
}

static void end_child(struct child *child)
{
    kill(child->pid, SIGKILL);      /* it is not reaped yet, so the number is still its own */
    (void)reap(child);
}

/* ---- making one --------------------------------------------------------------------------------------------------- */

static mf_status spawn(pid_t *pid, int end)
{
    static char name[] = "mageflow", word[] = "task-process";
    char *argv[] = {name, word, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    int failed = posix_spawn_file_actions_adddup2(&actions, end, TASK_PROCESS_FD);
    if (failed == 0)        /* with SIGTERM blocked, as it is here, until the child knows what to do with it */
        failed = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = failed;
    return failed == 0 ? MF_OK : MF_E_IO;
}

static void build_texts(mf_builder *b, char *const *texts)
{
    size_t n = 0;
    while (texts != NULL && texts[n] != NULL)
        n++;
    mf_build_array(b, n);
    for (size_t i = 0; i < n; i++)
        mf_build_bin(b, mf_cstr(texts[i]));
}

/* The URL goes this way since arguments are for everybody to read. */
static mf_status send_init(const struct child *child, const struct options *o)
{
    mf_builder b;
    frame_begin(&b, "init", 4);
    if (o->url != NULL)
        mf_build_bin(&b, mf_cstr(o->url));
    else
        mf_build_nil(&b);
    build_texts(&b, o->modules);
    mf_build_bool(&b, log_is_json());
    build_texts(&b, o->foreign);
    return frame_send(&b, child->fd);
}

static mf_status wait_ready(struct child *child, mf_error *err)
{
    int64_t until = now_ms() + READY_MS;
    mf_message *frame = NULL;
    mf_str word = {NULL, 0}, why = {NULL, 0};
    mf_status st;
    while ((st = frames_next(&child->frames, &frame, &word)) == MF_E_AGAIN) {
        struct pollfd fds = {.fd = child->fd, .events = POLLIN};
        int64_t left = until - now_ms();
        int got = poll(&fds, 1, left > 0 ? (int)left : 0);
        if (got == 0)
            return mf_fail(err, MF_E_TIMEOUT, "a task's process was not ready within %d s", READY_MS / 1000);
        if (got > 0 && frames_fill(&child->frames, child->fd) != MF_OK)
            return mf_fail(err, MF_E_IO, "a task's process ended while it loaded the modules");
    }
    if (st != MF_OK)
        return mf_fail(err, MF_E_IO, "a task's process speaks another language: %s", mf_status_text(st));
    if (mf_str_eq(word, MF_STR_LIT("refused"))) {
        (void)!mf_value_str(frame_value(frame, 0), &why);
        st = mf_fail(err, MF_E_UNSUPPORTED, "--isolation process: %.*s", (int)why.len, why.at == NULL ? "" : why.at);
    }
    mf_message_unref(frame);
    return st;
}

static mf_status make_child(const struct isolation *isolation, struct child **out, mf_error *err)
{
    int pair[2] = {-1, -1};
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for a task's process");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || spawn(&child->pid, pair[1]) != MF_OK) {
        mf_status st = mf_fail(err, MF_E_IO, "no process for a task can be made: %s", strerror(errno));
        if (pair[0] >= 0) {
            close(pair[0]);
            close(pair[1]);
        }
        free(child);
        return st;
    }
    close(pair[1]);
    child->fd = pair[0];
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    struct timeval most = {.tv_sec = SEND_S};
    mf_status st = MF_OK;
    if (child->pidfd < 0)
        st = mf_fail(err, MF_E_UNSUPPORTED, "--isolation process: pidfd_open: %s (Linux 5.3 has it)", strerror(errno));
    else if (setsockopt(child->fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) != 0 || send_init(child, isolation->options) != MF_OK)
        st = mf_fail(err, MF_E_IO, "a task's process does not listen");
    if (st == MF_OK)
        st = wait_ready(child, err);
    if (st != MF_OK)
        end_child(child);
    else
        *out = child;
    return st;
}

/* ---- the idle ones ------------------------------------------------------------------------------------------------ */

static struct child *take_idle(struct isolation *isolation)
{
    pthread_mutex_lock(&isolation->lock);
    struct child *child = isolation->idle;
    if (child != NULL)
        isolation->idle = child->next;
    pthread_mutex_unlock(&isolation->lock);
    return child;
}

static void keep(struct isolation *isolation, struct child *child)
{
    pthread_mutex_lock(&isolation->lock);
    child->next = isolation->idle;
    isolation->idle = child;
    pthread_mutex_unlock(&isolation->lock);
}

/* One that died while nobody looked is no news. */
static mf_status take_child(struct isolation *isolation, struct child **out, mf_error *err)
{
    struct child *child;
    while ((child = take_idle(isolation)) != NULL) {
        if (!is_dead(child, 0)) {
            *out = child;
            return MF_OK;
        }
        (void)reap(child);
    }
    return make_child(isolation, out, err);
}

struct isolation *isolation_create(const struct options *options)
{
    struct isolation *isolation = calloc(1, sizeof *isolation);
    if (isolation != NULL) {
        isolation->options = options;
        pthread_mutex_init(&isolation->lock, NULL);
    }
    return isolation;
}

mf_status isolation_try(struct isolation *isolation, mf_error *err)
{
    struct child *child;
    mf_status st = make_child(isolation, &child, err);
    if (st == MF_OK)
        keep(isolation, child);
    return st;
}

void isolation_destroy(struct isolation *isolation)
{
    if (isolation == NULL)
        return;
    for (struct child *child; (child = take_idle(isolation)) != NULL;)
        end_child(child);
    pthread_mutex_destroy(&isolation->lock);
    free(isolation);
}

/* ---- one call ----------------------------------------------------------------------------------------------------- */

static void build_key(mf_builder *b, const char *name, const mf_key *key)
{
    mf_build_key(b, name);
    mf_build_str(b, mf_cstr(key->text));
}

static mf_status send_call(const struct isolated *call, const mf_message *in)
{
    const mf_execution_info *info = mf_context_execution_info(call->ctx);
    mf_builder b;
    frame_begin(&b, "call", 1);
    mf_build_map_begin(&b);
    mf_build_key(&b, "task");
    mf_build_str(&b, info->task_name);
    mf_build_key(&b, "id");
    mf_build_bin(&b, info->workflow_id);
    mf_build_key(&b, "attempt");
    mf_build_uint(&b, info->attempt_number);
    build_key(&b, "key", &info->task_data.signature);
    build_key(&b, "container", &info->task_data.container);
    mf_build_key(&b, "index");
    mf_build_uint(&b, info->task_data.index);
    mf_build_key(&b, "epoch");
    mf_build_uint(&b, info->task_data.epoch);
    mf_build_key(&b, "message");
    frame_message(&b, in);
    mf_build_key(&b, "error");
    frame_message(&b, mf_context_error(call->ctx));
    mf_build_end(&b);
    return frame_send(&b, call->fd);
}

/* How the task failed, in its own words; if it has none, but returns what a verb answered, in those of the verb. */
static mf_status pass_failure(const struct isolated *call, const mf_message *error)
{
    mf_str type, text;
    bool final = false;
    char word[64];
    if (mf_message_scan(error, NULL, "{s:S, s:S, s?:b}", "type", &type, "text", &text, "final", &final) != MF_OK)
        return MF_E_MALFORMED;
    if (call->verb != MF_OK && mf_str_eq(type, mf_cstr(mf_status_name(call->verb))))
        return call->verb;
    snprintf(word, sizeof word, "%.*s", (int)type.len, type.at);
    return mf_task_fail(call->ctx, final ? MF_FINAL : MF_RETRY, word, "%.*s", (int)text.len, text.at);
}

static mf_status take_end(struct isolated *call, const mf_message *frame)
{
    mf_str word;
    mf_message *value = NULL;
    mf_status st = mf_value_str(frame_value(frame, 0), &word);
    if (st == MF_OK)
        st = frame_read_message(frame_value(frame, 1), &value);
    if (st != MF_OK)
        return MF_E_MALFORMED;
    call->ended = true;
    /* Canceled, or stopped: what the call was asked says which, or the verb that has the task called again. */
    call->status = call->verb == MF_E_WAIT || call->verb == MF_E_STALE ? call->verb : MF_E_CANCELED;
    if (mf_str_eq(word, MF_STR_LIT("done"))) {
        call->status = MF_OK;
        call->result = value;
        return MF_OK;
    }
    if (mf_str_eq(word, MF_STR_LIT("failed")))
        call->status = pass_failure(call, value);
    mf_message_unref(value);
    return MF_OK;
}

static bool is_over(const struct isolated *call)
{
    return call->ended || call->stepped;
}

static mf_status take_frames(struct isolated *call)
{
    mf_message *frame;
    mf_str word;
    mf_status st = MF_OK;
    while (!is_over(call) && st == MF_OK && (st = frames_next(&call->child->frames, &frame, &word)) == MF_OK) {
        st = mf_str_eq(word, MF_STR_LIT("end")) ? take_end(call, frame) : isolated_serve(call, word, frame);
        mf_message_unref(frame);
    }
    return st == MF_E_AGAIN ? MF_OK : st;
}

static void ask_to_stop(struct isolated *call)
{
    call->stopped = true;
    call->kill_ms = now_ms() + STOP_MS;
    (void)frame_send_word(call->fd, "stop");     /* if it is dead, poll tells so */
}

static bool is_news(void *arg)
{
    return poll(arg, 3, 0) > 0;
}

/* While the task waits, what it waits for may wait for this thread, or for its slot: so other calls run here, on top of this
 * one, as they would beneath a task that waits in this process. Nothing wakes a thread that helps when a socket has news, so it
 * looks up. False: it cannot help, and nobody else's turn depends on it. */
static bool help_others(struct isolated *call, struct pollfd fds[3])
{
    const mf_clock *clock = mf_clock_default();
    int64_t until = clock->monotonic_ns(clock->user) + HELP_MS * INT64_C(1000000);
    mf_status st = mf_adapter_help(call->ctx->adapter, is_news, fds, until);
    return st == MF_OK || st == MF_E_TIMEOUT;
}

mf_status isolated_wait(struct isolated *call)
{
    mf_status st = MF_OK;
    struct pollfd fds[] = {{.fd = call->fd, .events = POLLIN}, {.fd = call->child->pidfd, .events = POLLIN},
                           {.fd = mf_context_stop_fd(call->ctx), .events = POLLIN}};
    while (!is_over(call) && st == MF_OK) {
        int64_t left = call->stopped ? call->kill_ms - now_ms() : -1;
        if (call->stopped && left <= 0)
            return MF_E_TIMEOUT;
        if (call->stopped)
            fds[2].fd = -1;     /* here, or while a step was waited for */
        if (call->waits && !call->stopped && help_others(call, fds))
            left = 0;
        if (poll(fds, 3, (int)left) < 0)
            continue;       /* a signal */
        if (!call->stopped && fds[2].revents != 0)
            ask_to_stop(call);
        if (fds[0].revents != 0)        /* before its death: it may have told the end */
            st = frames_fill(&call->child->frames, fds[0].fd);
        else if (fds[1].revents != 0)
            st = MF_E_CLOSED;
        if (st == MF_OK)
            st = take_frames(call);
    }
    return st;
}

static mf_status fail_dead(const struct isolated *call, int status)
{
    if (!WIFSIGNALED(status))
        return mf_task_fail(call->ctx, MF_RETRY, "Exited", "the task ended its process with exit code %d", WEXITSTATUS(status));
    int number = WTERMSIG(status);
    const char *name = sigabbrev_np(number), *words = sigdescr_np(number);
    return mf_task_fail(call->ctx, MF_RETRY, "Crashed", "the task's process was ended by signal %d, SIG%s (%s)%s", number,
                        name != NULL ? name : "?", words != NULL ? words : "unknown",
                        number == SIGKILL ? ": somebody killed it, or the system for want of memory" : "");
}

/* The child is no more, or soon is. */
static mf_status bury(struct isolated *call, mf_status st)
{
    long pid = call->child->pid;
    const mf_execution_info *info = mf_context_execution_info(call->ctx);
    if (st == MF_E_TIMEOUT) {
        end_child(call->child);
        tell(MF_LOG_WARN, "task \"%.*s\" did not end within %d ms of being asked to stop; its process %ld is killed",
             (int)info->task_name.len, info->task_name.at, STOP_MS, pid);
        return mf_task_fail(call->ctx, MF_RETRY, "Killed", "the task did not end within %d ms of being asked to stop, and its "
                            "process was killed", STOP_MS);
    }
    if (!is_dead(call->child, DYING_MS)) {
        end_child(call->child);
        return mf_task_fail(call->ctx, MF_RETRY, "Broken", "the task's process does not speak with its worker any more, and "
                            "was killed: %s", mf_status_text(st));
    }
    int status = reap(call->child);
    return fail_dead(call, status);
}

mf_status isolation_call(mf_context *ctx, const mf_task_def *def, const mf_message *in, mf_message **out, void *user)
{
    struct isolation *isolation = user;
    struct isolated call = {.ctx = ctx};
    mf_error err;
    (void)def;
    if (take_child(isolation, &call.child, &err) != MF_OK)
        return mf_task_fail(ctx, MF_RETRY, "NoProcess", "%s", err.text);
    call.fd = call.child->fd;
    mf_status st = send_call(&call, in);
    if (st == MF_OK)
        st = isolated_wait(&call);
    if (!call.ended)
        return bury(&call, st);
    if (call.stopped)
        end_child(call.child);
    else
        keep(isolation, call.child);
    *out = call.result;
    return call.status;
}
