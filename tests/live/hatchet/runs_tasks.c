/* Tasks with attributes of Hatchet's, and tasks that use mageflow/hatchet.h, for the tests against a real engine: a module for
 * `mageflow worker --load`. */
#include <mageflow/hatchet.h>
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static mf_client *mine;

static mf_str text_in(const mf_message *in, const char *field)
{
    mf_value value;
    mf_str text = {NULL, 0};
    if (mf_value_get(mf_message_value(in), mf_cstr(field), &value) && mf_value_str(value, &text) != MF_OK)
        text = mf_str_of("", 0);
    return text;
}

static void note(const mf_message *in, const char *what, const char *more)
{
    char path[512];
    mf_str text = text_in(in, "path");
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return;
    fprintf(file, "%s %s\n", what, more);
    fclose(file);
}

/* What the engine gave: everything that raw_context shows. */
static mf_status r_raw(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const mf_hatchet_action *a = mf_context_execution_info(ctx)->raw_context;
    mf_value by = {NULL, 0};
    (void)user;
    (void)mf_value_get(a->payload, MF_STR_LIT("triggered_by"), &by);
    note(in, "raw", a->run);
    *out = mf_msg("{s:s, s:s, s:s, s:s, s:I, s:I, s:v, s:m, s:I}", "run", a->run, "task_run", a->task_run, "worker", a->worker, "metadata",
                  a->metadata, "retry_count", (int64_t)a->retry_count, "priority", (int64_t)a->priority, "by", by, "input", in, "pid",
                  (int64_t)getpid());
    return MF_OK;
}

/* Until somebody who listens says that it is enough: chunks are kept for nobody. */
static mf_status r_stream(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    char path[512], chunk[32];
    mf_str text = text_in(in, "path");
    (void)out, (void)user;
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    if (mf_hatchet_release_slot(ctx) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Slot", "not sent");
    for (int i = 0; access(path, F_OK) == 0; i++) {
        snprintf(chunk, sizeof chunk, "%d", i);
        if (mf_hatchet_stream(ctx, mf_cstr(chunk)) != MF_OK)
            return mf_task_fail(ctx, MF_FINAL, "Stream", "not sent");
        if (mf_context_sleep(ctx, mf_milliseconds(20)) != MF_OK)
            break;
    }
    return MF_OK;
}

static bool has_noted(const mf_message *in)
{
    char path[512];
    struct stat file;
    mf_str text = text_in(in, "path");
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    return stat(path, &file) == 0 && file.st_size > 0;
}

/* Two children by their order, one by its key; then it fails once. So the next attempt must find the same three. Which number the
 * first one has is the engine's affair: it may have given the run to a worker that had left before. */
static mf_status r_parent(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_hatchet_id child[3];
    mf_message *message = mf_msg("{s:S}", "path", text_in(in, "path"));
    mf_error err = {0};
    mf_status st = MF_OK;
    bool first = !has_noted(in);
    (void)user;
    for (int i = 0; i < 3 && st == MF_OK; i++)
        st = mf_hatchet_run(mine, "r_raw", message, MF_HATCHET_RUN(.parent = ctx, .child_key = i == 2 ? "the last" : NULL), &child[i], &err);
    mf_message_unref(message);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Child", "%s", err.text);
    if (first) {
        for (int i = 0; i < 3; i++)
            note(in, "first", child[i].text);
        return mf_task_fail(ctx, MF_RETRY, "Once", "and again");
    }
    for (int i = 0; i < 3; i++) {
        mf_message *result = NULL;
        note(in, "second", child[i].text);
        st = mf_hatchet_wait(mine, "r_raw", &child[i], mf_seconds(60), &result, &err);
        mf_message_unref(result);
        if (st != MF_OK)
            return mf_task_fail(ctx, MF_FINAL, "Child", "%s", err.text);
    }
    *out = mf_msg("{s:s}", "last", child[2].text);
    return MF_OK;
}

/* How many of it run at once, as a file tells. */
static mf_status r_narrow(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    note(in, "begin", "");
    mf_status st = mf_context_sleep(ctx, mf_milliseconds(200));
    note(in, "end", "");
    return st;
}

static mf_status attributes(mf_client *client, mf_error *err)
{
    static const char *const events[] = {"r-event"}, *const crons[] = {"0 4 * * *"};
    static const mf_hatchet_concurrency one[] = {{.expression = "input.group", .max_runs = 1}};
    static const mf_hatchet_rate_limit limit[] = {{.key = "r-limit", .units = 1}};
    static const mf_hatchet_filter filter[] = {{.expression = "input.amount > 10", .scope = "large"}};
    static const mf_hatchet_label wanted[] = {{.key = "place", .text = "here", .required = true}};
    mf_message *metadata = mf_msg("{s:s, s:s}", "team", "blue", "kind", "plain"), *at_four = mf_msg("{s:s}", "by", "cron");
    mf_status st = mf_hatchet_task_set(client, "r_raw", MF_HATCHET_TASK(.description = "what the engine gave", .version = "7",
                                       .sticky = MF_HATCHET_STICKY_SOFT, .schedule_timeout = mf_minutes(10), .priority = 2,
                                       .metadata = metadata, .crons = crons, .cron_count = 1, .cron_input = at_four), err);
    mf_message_unref(metadata);
    mf_message_unref(at_four);
    if (st == MF_OK)
        st = mf_hatchet_task_set(client, "r_event", MF_HATCHET_TASK(.events = events, .event_count = 1, .filters = filter, .filter_count = 1),
                                 err);
    if (st == MF_OK)
        st = mf_hatchet_task_set(client, "r_narrow", MF_HATCHET_TASK(.concurrency = one, .concurrency_count = 1), err);
    if (st == MF_OK)
        st = mf_hatchet_task_set(client, "r_limited", MF_HATCHET_TASK(.rate_limits = limit, .rate_limit_count = 1), err);
    if (st == MF_OK)
        st = mf_hatchet_task_set(client, "r_placed", MF_HATCHET_TASK(.labels = wanted, .label_count = 1), err);
    return st;
}

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "r_raw", .run = r_raw}, {.name = "r_stream", .run = r_stream}, {.name = "r_parent", .run = r_parent, .retries = 2},
        {.name = "r_event", .run = r_raw}, {.name = "r_narrow", .run = r_narrow}, {.name = "r_limited", .run = r_raw},
        {.name = "r_placed", .run = r_raw},
    };
    const char *place = getenv("R_PLACE");
    mf_status st = MF_OK;
    mine = client;
    for (size_t i = 0; st == MF_OK && i < sizeof tasks / sizeof *tasks; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, err);
    }
    if (st == MF_OK)
        st = mf_hatchet_rate_limit_put(client, "r-limit", 2, MF_HATCHET_DAY, err);
    if (st == MF_OK)
        st = attributes(client, err);
    if (st == MF_OK && place != NULL)
        st = mf_hatchet_worker_labels(client, &(const mf_hatchet_label){.key = "place", .text = place}, 1, err);
    return st;
}
