/* rough.c: tasks of the kind that nobody wants in his process, and tasks that tell which process they are in. */
#include <mageflow/mageflow.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Fails with bytes that no line of a log should hold. */
static mf_status garble(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_FINAL, "Bad", "one\ntwo \xff\xfe \x1b[31m \"three\"");
}

/* ---- ends of the process --------------------------------------------------------------------------------------- */

/* {"signal": N} or {"code": N} or {}, which is abort. */
static mf_status die(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int64_t number = 0, code = -1;
    (void)ctx, (void)out, (void)user;
    if (mf_message_scan(in, NULL, "{s?:I, s?:I}", "signal", &number, "code", &code) != MF_OK)
        return MF_E_FINAL;
    if (number > 0)
        raise((int)number);     /* of this thread, which goes no further */
    if (code >= 0)
        exit((int)code);
    abort();
}

/* The same, but for the second attempt. */
static mf_status die_once(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    if (mf_context_execution_info(ctx)->attempt_number == 1)
        return die(ctx, in, out, user);
    *out = mf_msg("i", (int)mf_context_execution_info(ctx)->attempt_number);
    return MF_OK;
}

/* Does not listen. */
static mf_status spin(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    volatile bool always = true;
    (void)ctx, (void)in, (void)out, (void)user;
    while (always)
        continue;
    return MF_OK;
}

/* ---- what a process can do ------------------------------------------------------------------------------------- */

static mf_status pid(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)user;
    *out = mf_msg("i", (int)getpid());
    return MF_OK;
}

/* Logs, reports progress, calls pid as a flow of its own, and gives what it knows of itself. */
static mf_status say(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_client *client = user;
    mf_message *progress = mf_msg("{s:i, s:i}", "done", 3, "total", 4), *result = NULL;
    mf_error err = {.text = ""};
    (void)in;
    mf_signature *pid_call = mf_sign(client, "pid", NULL, &err);
    mf_status st = mf_context_log(ctx, "a line of %d", 1);
    if (st == MF_OK)
        st = mf_context_progress(ctx, progress);
    mf_message_unref(progress);
    if (st == MF_OK)
        st = mf_call(pid_call, NULL, mf_minutes(1), &result, &err);
    mf_signature_destroy(pid_call);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, mf_status_name(st), "%s", err.text);
    mf_key key = mf_context_signature(ctx);
    *out = mf_msg("{s:s, s:i, s:m, s:S, s:i}", "key", key.text, "pid", (int)getpid(), "other", result, "name",
                  mf_context_execution_info(ctx)->task_name, "attempt", (int)mf_context_execution_info(ctx)->attempt_number);
    mf_message_unref(result);
    return MF_OK;
}

/* {"key": …}: what that one logged and reported. */
static mf_status heard(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_client *client = user;
    mf_str text;
    mf_key key;
    char *line = NULL;
    mf_message *progress = NULL;
    (void)ctx;
    mf_status st = mf_message_scan(in, NULL, "{s:S}", "key", &text);
    if (st == MF_OK)
        st = mf_key_parse(text, &key, NULL);
    if (st == MF_OK)
        st = mf_log_line(client, &key, 0, &line);
    if (st == MF_OK)
        st = mf_progress(client, &key, &progress);
    if (st == MF_OK)
        *out = mf_msg("{s:s, s:m}", "log", line, "progress", progress);
    mf_text_free(client, line);
    mf_message_unref(progress);
    return st;
}

/* Cancels itself. */
static mf_status give_up(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_context_cancel(ctx);
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "garble", .run = garble},
        {.name = "die", .run = die},
        {.name = "die_once", .run = die_once, .retries = 1, .backoff = mf_milliseconds(1)},
        {.name = "spin", .run = spin, .timeout = mf_milliseconds(100)},
        {.name = "spin_on", .run = spin},
        {.name = "pid", .run = pid},
        {.name = "say", .run = say, .user = client},
        {.name = "heard", .run = heard, .user = client},
        {.name = "give_up", .run = give_up},
    };
    mf_status st = MF_OK;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks && st == MF_OK; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, err);
    }
    return st;
}
