/* Durable tasks for the tests against a real engine: a module for `mageflow worker --load`. */
#include <mageflow/hatchet.h>
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mf_client *mine;

/* A line in a file outside: what ran, and in which invocation. */
static void note(mf_context *ctx, const mf_message *in, const char *what)
{
    char path[512];
    mf_str text = {"", 0};
    const mf_hatchet_action *a = mf_context_execution_info(ctx)->raw_context;
    (void)!mf_message_scan(in, NULL, "{s?:S}", "path", &text);
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return;
    fprintf(file, "%s %d\n", what, a->invocation);
    fclose(file);
}

struct step {
    const mf_message *in;
    const char       *what;
    int               value;
};

static mf_status step(mf_context *ctx, mf_message **out, void *user)
{
    const struct step *s = user;
    note(ctx, s->in, s->what);
    *out = mf_msg("i", s->value);
    return MF_OK;
}

static mf_status do_step(mf_context *ctx, const mf_message *in, const char *what, int value, int *result)
{
    struct step s = {in, what, value};
    mf_message *out = NULL;
    int64_t got = 0;
    mf_status st = mf_step(ctx, what, step, &s, &out);
    if (st == MF_OK)
        st = mf_value_int(mf_message_value(out), &got);
    *result = (int)got;
    mf_message_unref(out);
    return st;
}

/* A step, a sleep of so many ms, a step. */
static mf_status d_nap(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int64_t ms = 10;
    int first, second;
    (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:I}", "ms", &ms);
    note(ctx, in, "begin");
    mf_status st = do_step(ctx, in, "first", 1, &first);
    if (st == MF_OK)
        st = mf_sleep(ctx, mf_milliseconds(ms));
    if (st == MF_OK)
        st = do_step(ctx, in, "second", first + 1, &second);
    if (st == MF_OK)
        *out = mf_msg("{s:i}", "sum", first + second);
    return st;
}

static mf_status d_event(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int64_t ms = 0;
    mf_str name = {"", 0};
    char event[201];
    mf_message *came = NULL;
    (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:I, s?:S}", "ms", &ms, "event", &name);
    snprintf(event, sizeof event, "%.*s", (int)name.len, name.at);
    note(ctx, in, "begin");
    mf_status st = mf_wait_event(ctx, event, ms > 0 ? mf_milliseconds(ms) : MF_FOREVER, &came);
    if (st == MF_OK)
        *out = mf_msg("{s:m}", "came", came);
    else if (st == MF_E_TIMEOUT) {
        *out = mf_msg("{s:n}", "came");
        st = MF_OK;
    }
    mf_message_unref(came);
    return st;
}

static mf_status d_child(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_value value;
    (void)user;
    note(ctx, in, "child");
    *out = mf_msg("{s:v}", "got", mf_value_get(mf_message_value(in), MF_STR_LIT("a"), &value) ? value : (mf_value){NULL, 0});
    return MF_OK;
}

/* It takes as long as a file outside is there. */
static mf_status d_slow_child(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    char path[512];
    mf_str until = {"", 0};
    mf_status st = MF_OK;
    (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:S}", "until", &until);
    snprintf(path, sizeof path, "%.*s", (int)until.len, until.at);
    note(ctx, in, "child");
    while (st == MF_OK && access(path, F_OK) == 0)
        st = mf_context_sleep(ctx, mf_milliseconds(20));
    if (st != MF_OK)
        note(ctx, in, "stopped");
    *out = mf_msg("{s:s}", "slow", "but sure");
    return st;
}

/* A child, a wait without a thread, and the child again, whose result is there by then. */
static mf_status d_parent(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_hatchet_id child;
    mf_message *result = NULL;
    mf_error err = {0};
    (void)user;
    note(ctx, in, "begin");
    mf_status st = mf_hatchet_run(mine, "d_child", in, MF_HATCHET_RUN(.parent = ctx), &child, &err);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Child", "%s", err.text);
    note(ctx, in, child.text);
    st = mf_sleep(ctx, mf_seconds(1));
    if (st != MF_OK)
        return st;
    st = mf_hatchet_wait(mine, "d_child", &child, mf_seconds(60), &result, &err);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Child", "%s", err.text);
    *out = mf_msg("{s:m}", "child", result);
    mf_message_unref(result);
    return MF_OK;
}

/* Children of several tasks at once, then their results, in order: {tasks: [name…], inputs: [map…]} → {results: [text…]}. What fails is
 * a text, too. */
static mf_status d_family(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_value tasks, inputs, one;
    mf_hatchet_id runs[16];
    char names[16][64];
    mf_error err = {0};
    mf_status st = MF_OK;
    (void)user;
    note(ctx, in, "begin");
    if (!mf_value_get(mf_message_value(in), MF_STR_LIT("tasks"), &tasks) || !mf_value_get(mf_message_value(in), MF_STR_LIT("inputs"), &inputs))
        return MF_E_INVALID;
    size_t count = mf_value_count(tasks) < 16 ? mf_value_count(tasks) : 16;
    for (size_t i = 0; st == MF_OK && i < count; i++) {
        mf_str name;
        mf_message *input = NULL;
        if (!mf_value_at(tasks, i, &one) || mf_value_str(one, &name) != MF_OK || !mf_value_at(inputs, i, &one))
            return MF_E_INVALID;
        snprintf(names[i], sizeof names[i], "%.*s", (int)name.len, name.at);
        st = mf_message_of_value(one, NULL, &input, &err);
        if (st == MF_OK)
            st = mf_hatchet_run(mine, names[i], input, MF_HATCHET_RUN(.parent = ctx), &runs[i], &err);
        mf_message_unref(input);
        if (st == MF_OK)
            note(ctx, in, runs[i].text);
    }
    mf_builder b;
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 1);
    mf_build_key(&b, "results");
    mf_build_array(&b, (uint32_t)count);
    for (size_t i = 0; st == MF_OK && i < count; i++) {
        mf_message *result = NULL;
        st = mf_hatchet_wait_child(ctx, names[i], &runs[i], &result, &err);
        if (st == MF_OK) {
            mf_build_message(&b, result);
        } else if (st == MF_E_TASK_FAILED || st == MF_E_CANCELED) {
            mf_build_str(&b, mf_cstr(st == MF_E_CANCELED ? "canceled" : err.text));
            st = MF_OK;
        }
        mf_message_unref(result);
    }
    if (st == MF_OK)
        st = mf_builder_finish(&b, out, &err);
    mf_builder_fini(&b);
    return st;
}

/* A flow of the store's, started in each invocation, and waited for in the last. */
static mf_status d_signs(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_error err = {0};
    mf_message *result = NULL;
    (void)user;
    note(ctx, in, "begin");
    mf_signature *sig = mf_sign(mine, "d_child", NULL, &err);
    mf_run *run = mf_start(sig, mf_message_ref(in), &err);
    mf_signature_destroy(sig);
    if (run == NULL)
        return mf_task_fail(ctx, MF_FINAL, "Flow", "%s", err.text);
    note(ctx, in, mf_run_key(run).text);
    mf_status st = mf_sleep(ctx, mf_seconds(1));
    if (st == MF_OK)
        st = mf_run_wait(run, mf_seconds(60), &result, &err);
    mf_run_destroy(run);
    if (st == MF_OK)
        *out = mf_msg("{s:m}", "flow", result);
    mf_message_unref(result);
    return st;
}

/* Another child in each invocation. */
static mf_status d_moody(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const mf_hatchet_action *a = mf_context_execution_info(ctx)->raw_context;
    const char *task = a->invocation == 1 ? "d_child" : "d_other_child";
    mf_hatchet_id run;
    (void)out, (void)user;
    note(ctx, in, "begin");
    mf_status st = mf_hatchet_run(mine, task, in, MF_HATCHET_RUN(.parent = ctx), &run, NULL);
    return st == MF_OK ? mf_sleep(ctx, mf_seconds(3)) : st;
}

/* Another way in each invocation: what a durable body must not do. */
static mf_status d_wanders(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const mf_hatchet_action *a = mf_context_execution_info(ctx)->raw_context;
    int value;
    (void)out, (void)user;
    note(ctx, in, "begin");
    mf_status st = do_step(ctx, in, a->invocation == 1 ? "left" : "right", 1, &value);
    return st == MF_OK ? mf_sleep(ctx, mf_seconds(3)) : st;
}

/* The worker dies between two steps, once. */
static mf_status d_dies(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const mf_hatchet_action *a = mf_context_execution_info(ctx)->raw_context;
    int first, second;
    (void)user;
    note(ctx, in, "begin");
    mf_status st = do_step(ctx, in, "first", 1, &first);
    if (st == MF_OK)
        st = do_step(ctx, in, "second", 2, &second);
    if (st == MF_OK && a->invocation == 1)
        return mf_context_sleep(ctx, mf_minutes(10));       /* until somebody kills it */
    if (st == MF_OK)
        *out = mf_msg("{s:i}", "sum", first + second);
    return st;
}

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "d_nap", .run = d_nap},         {.name = "d_event", .run = d_event}, {.name = "d_parent", .run = d_parent},
        {.name = "d_wanders", .run = d_wanders}, {.name = "d_family", .run = d_family}, {.name = "d_moody", .run = d_moody},
        {.name = "d_signs", .run = d_signs}, {.name = "d_dies", .run = d_dies},
    };
    mf_status st = MF_OK;
    mine = client;
    st = mf_task(client, MF_TASK_DEF(.name = "d_child", .run = d_child), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "d_other_child", .run = d_child), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "d_slow_child", .run = d_slow_child), err);
    for (size_t i = 0; st == MF_OK && i < sizeof tasks / sizeof *tasks; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_durable_task(client, &def, err);
    }
    return st;
}
