/* basic_tasks.c: a module of small tasks to try things with:
 *
 *     mageflow send --load basic_tasks.so add '{"a": 1, "b": 2}'
 *
 * What a task takes is a struct and a table of its fields: a message of another shape is refused before the function is
 * called. hash_file declares its result the same way (MF_TASK); the others give a bare number or text. */
#include "file_hash.h"

#include <mageflow/mageflow.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Decode `in` by the table of the same name as its struct. A message that came from elsewhere is checked here too. */
static mf_status read_input(mf_context *ctx, const mf_fields *table, const mf_message *in, void *out)
{
    mf_error err;
    if (mf_fields_decode(table, in, out, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    return MF_OK;
}

/* A built message as the result. */
static mf_status give(mf_message *result, mf_message **out)
{
    *out = result;
    return mf_message_status(result);
}

/* ---- add: the sum of two integers ----------------------------------------------------------------------------------- */

struct add_in { int64_t a, b; };
MF_FIELDS(add_in, struct add_in, MF_INT(a, MF_REQUIRED), MF_INT(b, MF_REQUIRED));

static mf_status add(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    struct add_in numbers;
    int64_t sum;
    mf_status st = read_input(ctx, &add_in, in, &numbers);
    if (st != MF_OK)
        return st;
    if (__builtin_add_overflow(numbers.a, numbers.b, &sum))
        return mf_task_fail(ctx, MF_FINAL, "Overflow", "%" PRId64 " + %" PRId64 " does not fit 64 bits", numbers.a, numbers.b);
    return give(mf_msg("I", sum), out);
}

/* ---- echo: gives back what it got ----------------------------------------------------------------------------------- */

struct echo_in { mf_value value; };
MF_FIELDS(echo_in, struct echo_in, MF_VALUE(value, MF_RETURN));

static mf_status echo(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    struct echo_in echoed;
    mf_status st = read_input(ctx, &echo_in, in, &echoed);
    return st == MF_OK ? give(mf_msg("v", echoed.value), out) : st;
}

/* ---- fail: fails for good, with the text it is told ----------------------------------------------------------------- */

struct fail_in { mf_str message; };
MF_FIELDS(fail_in, struct fail_in, MF_STR(message, .text_fallback = "failed as asked"));

static mf_status fail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    (void)user;
    struct fail_in asked;
    mf_status st = read_input(ctx, &fail_in, in, &asked);
    return st == MF_OK ? mf_task_fail(ctx, MF_FINAL, "Failed", "%.*s", (int)asked.message.len, asked.message.at) : st;
}

/* ---- flaky: fails a number of times, then gives the number of the attempt that went well ---------------------------- */

#define FLAKY_RETRIES 10

struct flaky_in { unsigned failures; };
MF_FIELDS(flaky_in, struct flaky_in, MF_INT(failures, MF_REQUIRED));

static mf_status flaky(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    struct flaky_in asked;
    mf_status st = read_input(ctx, &flaky_in, in, &asked);
    if (st != MF_OK)
        return st;
    unsigned attempt = mf_context_execution_info(ctx)->attempt_number;
    if (attempt <= asked.failures)
        return mf_task_fail(ctx, MF_RETRY, "Flaky", "attempt %u of the %u that fail", attempt, asked.failures);
    return give(mf_msg("U", (uint64_t)attempt), out);
}

/* ---- sleep: takes its time, and listens while it does --------------------------------------------------------------- */

struct sleep_in { int64_t ms; };
MF_FIELDS(sleep_in, struct sleep_in, MF_INT(ms, MF_REQUIRED, .min = 0, .max = 86400000));

static mf_status sleep_ms(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    struct sleep_in asked;
    mf_status st = read_input(ctx, &sleep_in, in, &asked);
    if (st == MF_OK)
        st = mf_context_sleep(ctx, mf_milliseconds(asked.ms));
    return st == MF_OK ? give(mf_msg("I", asked.ms), out) : st;
}

/* ---- count: counts, tells how far it is, and leaves a line in its log ----------------------------------------------- */

#define COUNT_REPORTS 100    /* how often progress is told along the way, at most */

struct count_in { uint64_t n; };
MF_FIELDS(count_in, struct count_in, MF_INT(n, MF_REQUIRED, .max = 1000000000));

static mf_status report_count(mf_context *ctx, uint64_t done, uint64_t total)
{
    mf_message *progress = mf_msg("{s:U, s:U}", "done", done, "total", total);
    mf_status st = mf_context_progress(ctx, progress);
    mf_message_unref(progress);
    return st;
}

static mf_status count(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    struct count_in asked;
    mf_status st = read_input(ctx, &count_in, in, &asked);
    uint64_t step = asked.n / COUNT_REPORTS + 1;
    for (uint64_t done = 0; st == MF_OK && done < asked.n;) {
        if (mf_context_stop_requested(ctx))
            return MF_E_CANCELED;
        done = asked.n - done < step ? asked.n : done + step;
        st = report_count(ctx, done, asked.n);
    }
    if (st == MF_OK)
        st = mf_context_log(ctx, "counted to %" PRIu64, asked.n);
    return st == MF_OK ? give(mf_msg("U", asked.n), out) : st;
}

/* ---- hash_file: the typed form: MF_TASK makes the raw function from this one ---------------------------------------- */

struct hash_file_in { mf_str path; };
MF_FIELDS(hash_file_in, struct hash_file_in, MF_STR(path, MF_REQUIRED, .max_len = 4095));

struct hash_file_out {
    mf_str   path;
    uint64_t bytes;
    mf_str   sha256;
    char     hex[2 * FILE_HASH_SIZE + 1];    /* what sha256 points to; no field of the message */
};
MF_FIELDS(hash_file_out, struct hash_file_out, MF_STR(path), MF_INT(bytes), MF_STR(sha256));

static mf_status hash_file(mf_context *ctx, const struct hash_file_in *in, struct hash_file_out *out, void *user)
{
    (void)user;
    char path[4096], before[sizeof path + 2];
    if (memchr(in->path.at, '\0', in->path.len) != NULL)
        return mf_task_fail(ctx, MF_FINAL, "FileNotFound", "a path cannot hold a NUL byte");
    snprintf(path, sizeof path, "%.*s", (int)in->path.len, in->path.at);
    snprintf(before, sizeof before, "%s: ", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);    /* a FIFO must not hold us up */
    if (fd < 0)
        return file_fail(ctx, before, errno);
    struct file_hash hash;
    int problem = file_hash(ctx, fd, &hash);
    close(fd);
    if (problem != 0)
        return file_fail(ctx, before, problem);
    for (size_t i = 0; i < FILE_HASH_SIZE; i++)
        snprintf(out->hex + 2 * i, 3, "%02x", hash.sha256[i]);
    out->path = in->path;
    out->bytes = hash.bytes;
    out->sha256 = mf_str_of(out->hex, 2 * FILE_HASH_SIZE);
    return MF_OK;
}
MF_TASK(hash_file, hash_file_in, hash_file_out)

/* ---- items: a source for maps: the elements of a list, one after the other ------------------------------------------- */

/* The list is the field `items`, or what the step before gave. */
static mf_value list_of(const mf_message *message)
{
    mf_value list = {NULL, 0};
    if (!mf_value_get(mf_message_value(message), MF_STR_LIT("items"), &list))
        (void)mf_value_get(mf_message_value(message), MF_STR_LIT("mageflow_results"), &list);
    return list;
}

static uint64_t expected_items(const mf_message *message, void *user)
{
    (void)user;
    return mf_value_count(list_of(message));
}

/* A map is a message as it is; anything else is given as the field `value`. The cursor is the index of the next one. */
static mf_status next_item(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)user;
    uint32_t index = 0;
    mf_value list = list_of(message), element;
    memcpy(&index, cursor->bytes, cursor->len);
    if (mf_value_type(list) != MF_TYPE_ARRAY)
        return mf_fail(err, MF_E_TYPE, "items: expected a list in the field \"items\", or from the step before, got %s",
                       mf_type_name(mf_value_type(list)));
    if (!mf_value_at(list, index, &element))
        return MF_OK;
    *item = mf_value_type(element) == MF_TYPE_MAP ? mf_msg("v", element) : mf_msg("{s:v}", "value", element);
    index++;
    memcpy(cursor->bytes, &index, sizeof index);
    cursor->len = sizeof index;
    mf_status st = mf_message_status(*item);
    return st == MF_OK ? MF_OK : mf_fail(err, st, "items: no message of item %u", index - 1);
}

/* ---- the module ------------------------------------------------------------------------------------------------------ */

mf_status mf_module_init(mf_client *client, mf_error *err);      /* for compilers that ask for a prototype */

MF_MODULE
{
    const mf_task_def tasks[] = {
        {.name = "add", .run = add, .in = &add_in},
        {.name = "echo", .run = echo, .in = &echo_in},
        {.name = "fail", .run = fail, .in = &fail_in},
        {.name = "flaky", .run = flaky, .in = &flaky_in, .retries = FLAKY_RETRIES, .backoff = mf_milliseconds(1)},
        {.name = "sleep", .run = sleep_ms, .in = &sleep_in},
        {.name = "count", .run = count, .in = &count_in},
        {.name = "hash_file", .run = hash_file_task, .in = &hash_file_in, .out = &hash_file_out},
    };
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        mf_status st = mf_task(client, &def, err);
        if (st != MF_OK)
            return st;
    }
    return mf_source(client, MF_SOURCE_DEF(.name = "items", .next = next_item, .expected = expected_items), err);
}
