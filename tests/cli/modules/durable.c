/* durable.c: durable tasks, and what they need. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A line in a file outside: what was done, and in which process. */
static void note(const mf_message *in, const char *what)
{
    char path[512];
    mf_str text = {"", 0};
    (void)!mf_message_scan(in, NULL, "{s?:S}", "path", &text);
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return;
    fprintf(file, "%s %ld\n", what, (long)getpid());
    fclose(file);
}

static mf_status charge(mf_context *ctx, mf_message **out, void *user)
{
    note(user, "charge");
    *out = mf_msg("s", "receipt 1");
    return mf_context_log(ctx, "charged");
}

/* Takes its process along, in the first attempt. */
static mf_status crash_once(mf_context *ctx, mf_message **out, void *user)
{
    (void)out;
    note(user, "crash");
    if (mf_context_execution_info(ctx)->attempt_number == 1)
        abort();
    return MF_OK;
}

/* A call of its own, as a flow. */
static mf_status call_pid(mf_client *client, mf_message **result)
{
    mf_error err = {.text = ""};
    mf_signature *sig = mf_sign(client, "pid", NULL, &err);
    mf_run *run = mf_start(sig, NULL, &err);
    mf_signature_destroy(sig);
    mf_status st = run == NULL ? err.status : mf_run_wait(run, mf_minutes(1), result, &err);
    mf_run_destroy(run);
    return st;
}

/* Every verb, and a death among them. */
static mf_status order(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_message *step = NULL, *came = NULL, *none = NULL, *pid = NULL;
    note(in, "begin");
    mf_status st = mf_step(ctx, "charge", charge, (void *)(uintptr_t)in, &step);
    if (st == MF_OK)
        st = mf_sleep(ctx, mf_milliseconds(1));
    if (st == MF_OK)
        st = call_pid(user, &pid);
    if (st == MF_OK)
        st = mf_step(ctx, "crash", crash_once, (void *)(uintptr_t)in, &none);
    if (st == MF_OK && (st = mf_wait_event(ctx, "never", mf_milliseconds(1), NULL)) == MF_E_TIMEOUT)
        st = mf_wait_event(ctx, "paid", mf_minutes(1), &came);
    if (st == MF_OK)
        *out = mf_msg("{s:m, s:m, s:m, s:m}", "step", step, "came", came, "none", none, "pid", pid);
    mf_message_unref(step);
    mf_message_unref(came);
    mf_message_unref(none);
    mf_message_unref(pid);
    return st;
}

/* The event, to whoever waits for it: how many that were. */
static mf_status pay(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    size_t woken = 0;
    (void)ctx;
    mf_status st = mf_event_send(user, "paid", in, &woken, NULL);
    if (st == MF_OK)
        *out = mf_msg("i", (int)woken);
    return st;
}

static mf_status fail(mf_context *ctx, mf_message **out, void *user)
{
    (void)out, (void)user;
    return mf_task_fail(ctx, MF_FINAL, "NoPaper", "the tray is empty");
}

/* A step that fails, and what it said. */
static mf_status fails(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_step(ctx, "fail", fail, NULL, NULL);
}

/* Another way in the second attempt. */
static mf_status strays(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    bool first = mf_context_execution_info(ctx)->attempt_number == 1;
    mf_status st = mf_step(ctx, first ? "left" : "right", charge, (void *)(uintptr_t)in, NULL);
    return st == MF_OK ? mf_task_fail(ctx, MF_RETRY, "Again", "once more") : st;
}

static mf_status spin(mf_context *ctx, mf_message **out, void *user)
{
    volatile bool always = true;
    (void)ctx, (void)out, (void)user;
    while (always)
        continue;
    return MF_OK;
}

/* A step that does not listen. */
static mf_status sticks(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_step(ctx, "spin", spin, NULL, NULL);
}

static mf_status deeper(mf_context *ctx, mf_message **out, void *user)
{
    return mf_step(ctx, "deeper", charge, user, out);
}

/* A step within a step. */
static mf_status digs(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    return mf_step(ctx, "deep", deeper, (void *)(uintptr_t)in, NULL);
}

/* The verbs, where they are not meant to be. */
static mf_status plain(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    *out = mf_msg("[s, s, s]", mf_status_name(mf_step(ctx, "charge", charge, (void *)(uintptr_t)in, NULL)),
                  mf_status_name(mf_sleep(ctx, 1)), mf_status_name(mf_wait_event(ctx, "never", 1, NULL)));
    return MF_OK;
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    mf_status st = mf_durable_task(client, MF_TASK_DEF(.name = "order", .run = order, .user = client, .retries = 1,
                                                       .backoff = mf_milliseconds(1)), err);
    if (st == MF_OK)
        st = mf_durable_task(client, MF_TASK_DEF(.name = "fails", .run = fails, .retries = 3), err);
    if (st == MF_OK)
        st = mf_durable_task(client, MF_TASK_DEF(.name = "strays", .run = strays, .retries = 3, .backoff = mf_milliseconds(1)), err);
    if (st == MF_OK)
        st = mf_durable_task(client, MF_TASK_DEF(.name = "sticks", .run = sticks, .timeout = mf_milliseconds(100)), err);
    if (st == MF_OK)
        st = mf_durable_task(client, MF_TASK_DEF(.name = "digs", .run = digs), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "pay", .run = pay, .user = client), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "plain", .run = plain), err);
    return st;
}
