/* Results: one map with six keys, under the task's id. Python demands is_err, return_value and execution_time. */
#include "taskiq_wire.h"

#include "taskiq_text.h"

#include <math.h>

/* ---- out ---------------------------------------------------------------------------------------------------------- */

static mf_status encode(mf_builder *b, taskiq_format format, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    mf_message *whole;
    mf_status st = mf_builder_finish(b, &whole, err);
    mf_builder_fini(b);
    if (st != MF_OK)
        return st;
    st = taskiq_encode(mf_message_value(whole), format, allocator, out, err);
    mf_message_unref(whole);
    return st;
}

mf_status taskiq_result_write(const taskiq_result *result, const taskiq_message *message, taskiq_format format,
                              const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map(&b, 6);
    mf_build_key(&b, "is_err");
    mf_build_bool(&b, result->failed);
    mf_build_key(&b, "log");
    mf_build_nil(&b);
    mf_build_key(&b, "return_value");
    if (result->failed)
        mf_build_nil(&b);
    else
        mf_build_value(&b, result->value);
    mf_build_key(&b, "execution_time");
    mf_build_float(&b, round(result->seconds * 1000) / 1000);
    mf_build_key(&b, "labels");
    if (message != NULL)
        taskiq_labels_decode(message, &b);
    else
        mf_build_map(&b, 0);
    mf_build_key(&b, "error");
    if (result->failed)
        taskiq_error_write(&b, result->value);
    else
        mf_build_nil(&b);
    return encode(&b, format, allocator, out, err);
}

mf_status taskiq_progress_write(const char *state, const mf_message *meta, taskiq_format format,
                                const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map(&b, 2);
    mf_build_key(&b, "state");
    mf_build_key(&b, state);
    mf_build_key(&b, "meta");
    mf_build_message(&b, meta);
    return encode(&b, format, allocator, out, err);
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

/* With an error: {value: …, labels: …}, the error turned round; without one the whole result as it came. */
static mf_status turn_error(mf_value error, mf_value labels, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map(&b, 2);
    mf_build_key(&b, "value");
    taskiq_error_read(&b, error);
    mf_build_key(&b, "labels");
    mf_build_value(&b, labels);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

static mf_status read_failed(mf_message **whole, taskiq_result *out, const mf_allocator *allocator, mf_error *err)
{
    mf_value error = {NULL, 0};
    mf_message *turned;
    (void)mf_value_get(mf_message_value(*whole), MF_STR_LIT("error"), &error);
    mf_status st = turn_error(error, out->labels, allocator, &turned, err);
    if (st != MF_OK)
        return st;
    mf_message_unref(*whole);
    *whole = turned;
    (void)mf_value_get(mf_message_value(turned), MF_STR_LIT("value"), &out->value);
    (void)mf_value_get(mf_message_value(turned), MF_STR_LIT("labels"), &out->labels);
    return MF_OK;
}

mf_status taskiq_result_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, mf_message **whole,
                             taskiq_result *out, mf_error *err)
{
    taskiq_format format;
    mf_message *message;
    taskiq_result r = {.failed = false};
    mf_status st = taskiq_decode(bytes, limits, allocator, &message, &format, err);
    if (st != MF_OK)
        return st;
    mf_value value = mf_message_value(message), field;
    st = mf_value_scan(value, err, "{s:b, s?:f}", "is_err", &r.failed, "execution_time", &r.seconds);
    if (st == MF_OK && !mf_value_get(value, MF_STR_LIT("return_value"), &r.value))
        st = mf_fail(err, MF_E_MALFORMED, "result: field \"return_value\" is missing");
    if (st == MF_OK && mf_value_get(value, MF_STR_LIT("labels"), &field) && mf_value_type(field) == MF_TYPE_MAP)
        r.labels = field;
    if (st == MF_OK && r.failed)
        st = read_failed(&message, &r, allocator, err);
    if (st != MF_OK) {
        mf_message_unref(message);
        return st == MF_E_TYPE || st == MF_E_NOT_FOUND ? MF_E_MALFORMED : st;
    }
    *whole = message;
    *out = r;
    return MF_OK;
}
