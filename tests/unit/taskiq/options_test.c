#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "taskiq_adapter.h"
#include "taskiq_wire.h"

static mf_status set(mfi_taskiq_options *o, const char *name, const char *value, mf_error *err)
{
    memset(err, 0, sizeof *err);
    return mfi_taskiq_options_set(o, name, value, err);
}

Test(taskiq_options, defaults_are_those_of_an_unconfigured_fleet)
{
    mfi_taskiq_options o;
    mfi_taskiq_options_init(&o);
    cr_assert(not(o.lists));
    cr_assert(eq(sz, o.queue_count, 0));
    cr_assert(eq(str, o.group, "taskiq"));
    cr_assert(eq(int, o.serializer, TASKIQ_JSON));
    cr_assert(eq(int, o.result_serializer, TASKIQ_PICKLE));
    cr_assert(eq(i64, o.lease, mf_seconds(30)));
    cr_assert(eq(i64, o.idle_timeout, mf_minutes(10)));
    cr_assert(eq(i64, o.result_ttl, mf_minutes(1440)));
}

Test(taskiq_options, each_parameter_is_taken)
{
    mfi_taskiq_options o;
    mf_error err;
    mfi_taskiq_options_init(&o);
    static const char *const given[][2] = {
        {"broker", "list"}, {"queue", "a"}, {"queue", "b"}, {"group", "g"}, {"serializer", "msgpack"}, {"result_serializer", "json"},
        {"result_url", "redis://other:1/2"}, {"results", "none"}, {"result_prefix", "p"}, {"result_ttl", "5m"},
        {"lease", "3s"}, {"idle_timeout", "1m"}, {"unknown", "leave"},
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        cr_assert(eq(int, set(&o, given[i][0], given[i][1], &err), MF_OK), "%s: %s", given[i][0], err.text);
    cr_assert(o.lists && o.leave_unknown && o.has_results && o.no_results);
    cr_assert(eq(sz, o.queue_count, 2));
    cr_assert(eq(str, o.queues[1], "b"));
    cr_assert(eq(str, o.prefix, "p"));
    cr_assert(eq(int, o.serializer, TASKIQ_MSGPACK));
    cr_assert(eq(int, o.result_serializer, TASKIQ_JSON));
    cr_assert(eq(str, o.results.host, "other"));
    cr_assert(eq(i64, o.result_ttl, mf_minutes(5)));
    cr_assert(eq(int, set(&o, "result_ttl", "never", &err), MF_OK));
    cr_assert(eq(i64, o.result_ttl, 0));
}

Test(taskiq_options, what_does_not_fit_is_refused_in_words)
{
    static const char *const bad[][2] = {
        {"broker", "pubsub"}, {"queue", ""}, {"serializer", "cbor"}, {"result_serializer", "yaml"}, {"lease", "1"}, {"lease", "1ms"},
        {"idle_timeout", "soon"}, {"unknown", "drop"}, {"results", "some"}, {"result_url", "nonsense"}, {"result_ttl", "-1s"},
        {"group", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mfi_taskiq_options o;
        mf_error err;
        mfi_taskiq_options_init(&o);
        cr_assert(eq(int, set(&o, bad[i][0], bad[i][1], &err), MF_E_INVALID), "%s=%s", bad[i][0], bad[i][1]);
        cr_assert(ne(ptr, strstr(err.text, bad[i][0]), NULL), "it names the parameter: %s", err.text);
    }
    mfi_taskiq_options o;
    mf_error err;
    mfi_taskiq_options_init(&o);
    cr_assert(eq(int, set(&o, "queue", "a", &err), MF_OK));
    cr_assert(eq(int, set(&o, "queue", "a", &err), MF_E_INVALID), "twice the same");
    cr_assert(eq(int, set(&o, "frob", "1", &err), MF_E_NOT_FOUND));
}

Test(taskiq_options, each_is_listed_for_the_help)
{
    const char *help;
    size_t n = 0;
    while (mfi_taskiq_parameter(n, &help) != NULL) {
        cr_assert(help[0] != '\0');
        n++;
    }
    cr_assert(eq(sz, n, 12));
}
