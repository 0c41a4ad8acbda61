/* Tasks for the tests against real taskiq: a module for `mageflow worker --load`. */
#include <mageflow/mageflow.h>
#include <mageflow/taskiq.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct add_in { int64_t a, b; };
MF_FIELDS(add_in, struct add_in, MF_INT(a, MF_REQUIRED), MF_INT(b, .fallback = 10));

struct path_in { mf_str path; int64_t ms; };
MF_FIELDS(path_in, struct path_in, MF_STR(path, MF_REQUIRED), MF_INT(ms));

static mf_status add(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct add_in v;
    (void)ctx, (void)user;
    mf_status st = mf_fields_decode(&add_in, in, &v, NULL);
    if (st == MF_OK)
        *out = mf_msg("I", v.a + v.b);
    return st;
}

static mf_status echo(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)user;
    *out = mf_message_ref(in);
    return MF_OK;
}

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

/* A line in a file outside: what ran, in which process, for which attempt. */
static void note(mf_context *ctx, mf_str path, const char *what)
{
    char name[512];
    const mf_execution_info *info = mf_context_execution_info(ctx);
    snprintf(name, sizeof name, "%.*s", (int)path.len, path.at);
    FILE *file = fopen(name, "a");
    if (file == NULL)
        return;
    fprintf(file, "%s %.*s %u %ld\n", what, (int)info->workflow_id.len, info->workflow_id.at, info->attempt_number, (long)getpid());
    fclose(file);
}

/* Note the begin, take its time, note the end. */
static mf_status slow(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct path_in v;
    (void)user;
    mf_status st = mf_fields_decode(&path_in, in, &v, NULL);
    if (st != MF_OK)
        return st;
    note(ctx, v.path, "begin");
    st = mf_context_sleep(ctx, mf_milliseconds(v.ms));
    note(ctx, v.path, st == MF_OK ? "end" : "stopped");
    *out = mf_msg("s", "slept");
    return st;
}

/* The same, but deaf to every wish to stop. */
static mf_status deaf(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct path_in v;
    (void)user;
    mf_status st = mf_fields_decode(&path_in, in, &v, NULL);
    if (st != MF_OK)
        return st;
    note(ctx, v.path, "begin");
    usleep((useconds_t)v.ms * 1000);
    note(ctx, v.path, "end");
    *out = mf_msg("s", "slept");
    return MF_OK;
}

static int begins_in(mf_str path)
{
    char name[512], line[512];
    int count = 0;
    snprintf(name, sizeof name, "%.*s", (int)path.len, path.at);
    FILE *file = fopen(name, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strncmp(line, "begin", 5) == 0;
    if (file != NULL)
        fclose(file);
    return count;
}

/* Note the begin, and wait for another one's. */
static mf_status meet(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct path_in v;
    (void)user;
    mf_status st = mf_fields_decode(&path_in, in, &v, NULL);
    if (st == MF_OK)
        note(ctx, v.path, "begin");
    while (st == MF_OK && begins_in(v.path) < 2)
        st = mf_context_sleep(ctx, mf_milliseconds(2));
    *out = mf_msg("s", "met");
    return st;
}

static mf_status die(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct path_in v;
    (void)out, (void)user;
    if (mf_fields_decode(&path_in, in, &v, NULL) == MF_OK)
        note(ctx, v.path, "begin");
    _exit(9);
}

/* Fails until its third attempt. */
static mf_status third_time(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)user;
    unsigned attempt = mf_context_execution_info(ctx)->attempt_number;
    if (attempt < 3)
        return mf_task_fail(ctx, MF_RETRY, "ValueError", "attempt %u", attempt);
    *out = mf_msg("i", (int)attempt);
    return MF_OK;
}

static mf_status fail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_str type = MF_STR_LIT("ValueError"), text = MF_STR_LIT("as asked");
    char name[64];
    (void)out, (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:S, s?:S}", "type", &type, "text", &text);
    snprintf(name, sizeof name, "%.*s", (int)type.len, type.at);
    return mf_task_fail(ctx, MF_RETRY, name, "%.*s", (int)text.len, text.at);
}

static mf_status progress(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_message *done = mf_msg("{s:i}", "done", 5);
    (void)in, (void)user;
    mf_status st = mf_context_progress(ctx, done);
    mf_message_unref(done);
    *out = mf_msg("n");
    return st;
}

/* What TaskIQ gave. */
static mf_status raw(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const mf_taskiq_message *m = mf_context_execution_info(ctx)->raw_context;
    mf_builder b;
    (void)in, (void)user;
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 8);
    mf_build_key(&b, "id");
    mf_build_str(&b, m->task_id);
    mf_build_key(&b, "name");
    mf_build_str(&b, m->task_name);
    mf_build_key(&b, "queue");
    mf_build_str(&b, m->queue);
    mf_build_key(&b, "in_stream");
    mf_build_bool(&b, m->entry.len > 0);
    mf_build_key(&b, "payload");
    mf_build_str(&b, m->payload);
    mf_build_key(&b, "labels");
    mf_build_value(&b, m->labels);
    mf_build_key(&b, "args");
    mf_build_value(&b, m->args);
    mf_build_key(&b, "kwargs");
    mf_build_value(&b, m->kwargs);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

/* What no Python has a form for. */
static mf_status odd(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_builder b;
    (void)ctx, (void)in, (void)user;
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 1);
    mf_build_int(&b, 1);
    mf_build_int(&b, 2);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "add", .run = add, .in = &add_in},
        {.name = "echo", .run = echo},
        {.name = "noop", .run = noop},
        {.name = "slow", .run = slow, .in = &path_in},
        {.name = "deaf", .run = deaf, .in = &path_in},
        {.name = "meet", .run = meet, .in = &path_in},
        {.name = "die", .run = die, .in = &path_in},
        {.name = "fail", .run = fail},
        {.name = "third", .run = third_time, .retries = 2, .backoff = mf_milliseconds(20)},
        {.name = "third_by_label", .run = third_time},
        {.name = "progress", .run = progress},
        {.name = "odd", .run = odd},
        {.name = "raw", .run = raw},
    };
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < sizeof tasks / sizeof *tasks; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, err);
    }
    if (st == MF_OK)        /* where a test has a Python worker for it */
        st = mf_task_foreign(client, MF_TASK_DEF(.name = "py_abroad", .timeout = mf_minutes(5)), err);
    return st;
}
