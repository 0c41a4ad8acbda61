/* The parameters of a taskiq+redis: URL. */
#include "taskiq_adapter.h"

#include <stdio.h>

#include "taskiq_wire.h"

typedef mf_status set_fn(mfi_taskiq_options *o, const char *value, mf_error *err);

static mf_status name_of(char out[MFI_TASKIQ_NAME_MAX], const char *what, const char *value, mf_error *err)
{
    size_t len = strlen(value);
    if (len == 0 || len >= MFI_TASKIQ_NAME_MAX)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"%s\": expected 1 to %d bytes, got %zu", what,
                       MFI_TASKIQ_NAME_MAX - 1, len);
    memcpy(out, value, len + 1);
    return MF_OK;
}

static mf_status span_of(mf_duration *out, const char *what, const char *value, mf_duration least, mf_error *err)
{
    mf_error why;
    mf_status st = mf_duration_parse(mf_cstr(value), out, &why);
    if (st != MF_OK)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"%s\": %s", what, why.text);
    if (*out < least)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"%s\": expected %lld ms or more", what, (long long)(least / 1000000));
    return MF_OK;
}

static mf_status set_broker(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    o->lists = strcmp(value, "list") == 0;
    if (!o->lists && strcmp(value, "stream") != 0)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"broker\": expected stream or list, got \"%.40s\"", value);
    return MF_OK;
}

static mf_status set_queue(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    if (o->queue_count == MFI_TASKIQ_QUEUES)
        return mf_fail(err, MF_E_INVALID, "url: more than %d queues", MFI_TASKIQ_QUEUES);
    for (size_t i = 0; i < o->queue_count; i++)
        if (strcmp(o->queues[i], value) == 0)
            return mf_fail(err, MF_E_INVALID, "url: parameter \"queue\": \"%.40s\" is named twice", value);
    mf_status st = name_of(o->queues[o->queue_count], "queue", value, err);
    o->queue_count += st == MF_OK;
    return st;
}

static mf_status set_group(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return name_of(o->group, "group", value, err);
}

static mf_status set_prefix(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return name_of(o->prefix, "result_prefix", value, err);
}

static mf_status format_of(int *out, const char *what, const char *value, mf_error *err)
{
    taskiq_format format = TASKIQ_JSON;
    mf_error why;
    if (taskiq_format_parse(mf_cstr(value), &format, &why) != MF_OK)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"%s\": %s", what, why.text);
    *out = format;
    return MF_OK;
}

static mf_status set_serializer(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return format_of(&o->serializer, "serializer", value, err);
}

static mf_status set_result_serializer(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return format_of(&o->result_serializer, "result_serializer", value, err);
}

static mf_status set_results(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    o->no_results = strcmp(value, "none") == 0;
    if (!o->no_results && strcmp(value, "keep") != 0)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"results\": expected keep or none, got \"%.40s\"", value);
    return MF_OK;
}

static mf_status set_result_url(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    mf_error why = {.text = ""};
    o->has_results = true;
    mf_status st = mfi_redis_address_from_url(value, &o->results, &why);
    return st == MF_OK ? MF_OK : mf_fail(err, st, "url: parameter \"result_url\": %s", why.text);
}

static mf_status set_result_ttl(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    if (strcmp(value, "never") == 0) {
        o->result_ttl = 0;
        return MF_OK;
    }
    return span_of(&o->result_ttl, "result_ttl", value, mf_milliseconds(1), err);
}

static mf_status set_lease(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return span_of(&o->lease, "lease", value, mf_milliseconds(300), err);
}

static mf_status set_idle_timeout(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    return span_of(&o->idle_timeout, "idle_timeout", value, mf_milliseconds(100), err);
}

static mf_status set_unknown(mfi_taskiq_options *o, const char *value, mf_error *err)
{
    o->leave_unknown = strcmp(value, "leave") == 0;
    if (!o->leave_unknown && strcmp(value, "error") != 0)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"unknown\": expected error or leave, got \"%.40s\"", value);
    return MF_OK;
}

static const struct {
    const char *name, *help;
    set_fn     *set;
} parameters[] = {
    {"broker", "stream (the default) or list, as the fleet's broker is", set_broker},
    {"queue", "a queue to serve and, the first, to send to; may repeat (taskiq)", set_queue},
    {"group", "consumer group (taskiq)", set_group},
    {"serializer", "of messages sent: json (the default), msgpack or pickle", set_serializer},
    {"result_serializer", "as the clients read results: pickle (the default), json or msgpack", set_result_serializer},
    {"results", "keep (the default), or none: the fleet's broker has no result backend", set_results},
    {"result_url", "redis://… where results are, if not beside the queues", set_result_url},
    {"result_prefix", "the result backend's prefix_str", set_prefix},
    {"result_ttl", "how long a result stays (24h); never", set_result_ttl},
    {"lease", "a dead worker's tasks are taken over after so long (30s)", set_lease},
    {"idle_timeout", "and a Python worker's after so long, as its broker says (10m)", set_idle_timeout},
    {"unknown", "a task nobody declared here: error (the default), or leave it to others", set_unknown},
};

void mfi_taskiq_options_init(mfi_taskiq_options *o)
{
    memset(o, 0, sizeof *o);
    strcpy(o->group, "taskiq");
    o->serializer = TASKIQ_JSON;
    o->result_serializer = TASKIQ_PICKLE;
    o->lease = mf_seconds(30);
    o->idle_timeout = mf_minutes(10);
    o->result_ttl = mf_minutes(24 * 60);
}

mf_status mfi_taskiq_options_set(mfi_taskiq_options *o, const char *name, const char *value, mf_error *err)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return parameters[i].set(o, value, err);
    return MF_E_NOT_FOUND;
}

const char *mfi_taskiq_parameter(size_t n, const char **help)
{
    if (n >= sizeof parameters / sizeof *parameters)
        return NULL;
    *help = parameters[n].help;
    return parameters[n].name;
}
