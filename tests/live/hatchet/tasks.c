/* Tasks for the tests against a real engine: a module for `mageflow worker --load`. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct add_in { int64_t a, b; };
MF_FIELDS(add_in, struct add_in, MF_INT(a, MF_REQUIRED), MF_INT(b, .fallback = 10));
struct add_out { int64_t sum; };
MF_FIELDS(add_out, struct add_out, MF_INT(sum));

static mf_status c_add(mf_context *ctx, const struct add_in *in, struct add_out *out, void *user)
{
    (void)ctx, (void)user;
    out->sum = in->a + in->b;
    return MF_OK;
}
MF_TASK(c_add, add_in, add_out)

static mf_status c_echo(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)user;
    *out = mf_message_ref(in);
    return MF_OK;
}

static mf_status c_text(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)user;
    *out = mf_msg("s", "plain");
    return MF_OK;
}

static mf_status c_fail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_RETRY, "ValueError", "bad, %d", 42);
}

/* More than fits, of characters of two bytes each, at an odd place. */
static mf_status c_verbose(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    char text[4001];
    (void)in, (void)out, (void)user;
    text[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    text[3999] = '\0';
    mf_context_log(ctx, "no UTF-8: \xff");
    return mf_task_fail(ctx, MF_FINAL, "Verbose", "%s%s", text, text);
}

static void note(mf_context *ctx, const mf_message *in, const char *what)
{
    char path[512];
    mf_str text;
    mf_value value;
    if (!mf_value_get(mf_message_value(in), MF_STR_LIT("path"), &value) || mf_value_str(value, &text) != MF_OK)
        return;
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return;
    fprintf(file, "%s %u\n", what, mf_context_execution_info(ctx)->attempt_number);
    fclose(file);
}

static mf_status c_third(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    unsigned attempt = mf_context_execution_info(ctx)->attempt_number;
    (void)in, (void)user;
    if (attempt < 3)
        return mf_task_fail(ctx, MF_RETRY, "Early", "attempt %u", attempt);
    *out = mf_msg("{s:I}", "attempt", (int64_t)attempt);
    return MF_OK;
}

static mf_status c_patient(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    unsigned attempt = mf_context_execution_info(ctx)->attempt_number;
    (void)user;
    note(ctx, in, "begin");
    if (attempt < 2)
        return mf_task_fail(ctx, MF_RETRY, "Early", "attempt %u", attempt);
    *out = mf_msg("{s:s}", "came", "later");
    return MF_OK;
}

static mf_status c_final(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    note(ctx, in, "attempt");
    return mf_task_fail(ctx, MF_FINAL, "Final", "no more");
}

static mf_status c_slow(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    double seconds = 0;
    mf_value value;
    (void)user;
    if (mf_value_get(mf_message_value(in), MF_STR_LIT("seconds"), &value))
        (void)!mf_value_float(value, &seconds);
    note(ctx, in, "begin");
    mf_context_log(ctx, "it sleeps");
    mf_status st = mf_context_sleep(ctx, (mf_duration)(seconds * 1e9));
    note(ctx, in, st == MF_OK ? "end" : "stopped");
    *out = mf_msg("{s:s}", "slept", "well");
    return st;
}

static mf_status c_timeout(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_context_sleep(ctx, mf_seconds(60));
}

/* It goes on while a file is there, and asks for the time that this takes, or does not. */
static mf_status c_refreshes(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    bool ask = true;
    mf_str until = {"", 0};
    char path[512];
    mf_status st = MF_OK;
    (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:b, s?:S}", "ask", &ask, "until", &until);
    snprintf(path, sizeof path, "%.*s", (int)until.len, until.at);
    if (ask)
        st = mf_context_refresh_timeout(ctx, mf_minutes(2));
    note(ctx, in, "begin");
    while (st == MF_OK && access(path, F_OK) == 0)
        st = mf_context_sleep(ctx, mf_milliseconds(20));
    note(ctx, in, st == MF_OK ? "end" : "stopped");
    *out = mf_msg("{s:s}", "ended", "well");
    return st;
}

/* The first attempt never ends by itself, another one does at once. */
static mf_status c_first_hangs(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    note(ctx, in, "begin");
    if (mf_context_execution_info(ctx)->attempt_number == 1)
        return mf_context_sleep(ctx, mf_minutes(10));
    note(ctx, in, "end");
    *out = mf_msg("{s:s}", "ended", "well");
    return MF_OK;
}

/* A result of so many bytes, each of which JSON needs six for when it is 1. */
static mf_status c_big(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int64_t bytes = 0, byte = 'x';
    (void)ctx, (void)user;
    (void)!mf_message_scan(in, NULL, "{s?:I, s?:I}", "bytes", &bytes, "byte", &byte);
    char *text = malloc((size_t)bytes);
    if (text == NULL)
        return MF_E_NOMEM;
    memset(text, (int)byte, (size_t)bytes);
    *out = mf_msg("{s:S}", "text", mf_str_of(text, (size_t)bytes));
    free(text);
    return MF_OK;
}

/* Takes its process along, at the first attempt. */
static mf_status c_dies_once(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    unsigned attempt = mf_context_execution_info(ctx)->attempt_number;
    (void)in, (void)user;
    if (attempt == 1)
        _exit(9);
    *out = mf_msg("{s:i}", "attempt", (int)attempt);
    return MF_OK;
}

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "c_add", .run = c_add_task, .in = &add_in, .out = &add_out},
        {.name = "c_echo", .run = c_echo},
        {.name = "c_Camel", .run = c_echo},
        {.name = "c_first_hangs", .run = c_first_hangs},
        {.name = "c_big", .run = c_big},
        {.name = "c_text", .run = c_text},
        {.name = "c_fail", .run = c_fail},
        {.name = "c_verbose", .run = c_verbose},
        {.name = "c_third", .run = c_third, .retries = 2},
        {.name = "c_patient", .run = c_patient, .retries = 3, .backoff = mf_seconds(2)},
        {.name = "c_dies_once", .run = c_dies_once, .retries = 1},
        {.name = "c_final", .run = c_final, .retries = 5},
        {.name = "c_slow", .run = c_slow},
        {.name = "c_timeout", .run = c_timeout, .timeout = mf_milliseconds(200)},
        {.name = "c_refreshes", .run = c_refreshes, .timeout = mf_seconds(3)},
        {.name = "c_refreshes_too", .run = c_refreshes},
    };
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < sizeof tasks / sizeof *tasks; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, err);
    }
    return st;
}
