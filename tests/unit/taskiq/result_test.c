#include "wire_support.h"

static const taskiq_format formats[] = {TASKIQ_JSON, TASKIQ_MSGPACK, TASKIQ_PICKLE};

Test(taskiq_result, comes_back_as_it_was_written_in_every_form)
{
    taskiq_message m = read_message("{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"prio\":\"5\"},\"labels_types\":{\"prio\":2},"
                                    "\"args\":[],\"kwargs\":{}}");
    mf_message *value = from_json("{\"a\":[1,null,2.5]}");
    for (size_t i = 0; i < 3; i++) {
        taskiq_result written = {.value = mf_message_value(value), .seconds = 0.0126}, back;
        taskiq_bytes out;
        mf_message *whole;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_result_write(&written, &m, formats[i], NULL, &out, &err), MF_OK), "%s", err.text);
        cr_assert(eq(int, taskiq_result_read(mf_str_of(out.at, out.len), NULL, NULL, &whole, &back, &err), MF_OK), "%s", err.text);
        cr_assert(not(back.failed));
        cr_assert(eq(str, json_of(back.value), "{\"a\":[1,null,2.5]}"));
        cr_assert(eq(str, json_of(back.labels), "{\"prio\":5}"), "labels are the decoded ones");
        cr_assert(back.seconds > 0.0129 && back.seconds < 0.0131);
        mf_message_unref(whole);
        taskiq_bytes_free(NULL, &out);
    }
    mf_message_unref(value);
    taskiq_message_release(&m);
}

static const char *written_error(const char *json)
{
    static char buffer[4096];
    mf_message *map = from_json(json);
    taskiq_result r = {.failed = true, .value = mf_message_value(map)};
    taskiq_bytes out;
    cr_assert(eq(int, taskiq_result_write(&r, NULL, TASKIQ_JSON, NULL, &out, NULL), MF_OK));
    char *error = strstr(out.at, "\"error\":");
    cr_assert(error != NULL);
    snprintf(buffer, sizeof buffer, "%s", error + strlen("\"error\":"));
    taskiq_bytes_free(NULL, &out);
    mf_message_unref(map);
    return buffer;
}

Test(taskiq_result, an_error_goes_out_as_a_builtin_where_there_is_one_to_call)
{
    static const char shape[] = "{\"exc_type\":\"%s\",\"exc_message\":[\"no\"],\"exc_module\":\"%s\",\"exc_cause\":null,"
                                "\"exc_context\":null,\"exc_suppress_context\":false}}";
    static const struct { const char *type, *goes, *module; } rows[] = {
        {"ValueError", "ValueError", "builtins"}, {"FileNotFound", "FileNotFound", "mageflow"}, {"Timeout", "TimeoutError", "builtins"},
        {"SystemExit", "SystemExit", "mageflow"}, {"eval", "eval", "mageflow"}, {"UnicodeDecodeError", "UnicodeDecodeError", "mageflow"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char map[256], want[512];
        snprintf(map, sizeof map, "{\"type\":\"%s\",\"text\":\"no\",\"attempt\":1,\"final\":true}", rows[i].type);
        snprintf(want, sizeof want, shape, rows[i].goes, rows[i].module);
        cr_assert(eq(str, (char *)written_error(map), want));
    }
}

Test(taskiq_result, causes_travel_both_ways)
{
    const char *text = written_error("{\"type\":\"ValueError\",\"text\":\"bad\",\"cause\":{\"type\":\"Mine\",\"text\":\"deep\"}}");
    cr_assert(strstr(text, "\"exc_cause\":{\"exc_type\":\"Mine\"") != NULL, "%s", text);
    cr_assert(strstr(text, "\"exc_suppress_context\":true}") != NULL, "%s", text);

    mf_message *whole;
    taskiq_result r;
    mf_error err = {0};
    mf_str json = mf_cstr("{\"is_err\":true,\"return_value\":null,\"execution_time\":1,\"error\":{\"exc_type\":\"A\",\"exc_message\":"
                          "[\"x\",1,null],\"exc_module\":\"m\",\"exc_context\":{\"exc_type\":\"B\",\"exc_message\":[],\"exc_module\":null}}}");
    cr_assert(eq(int, taskiq_result_read(json, NULL, NULL, &whole, &r, &err), MF_OK), "%s", err.text);
    cr_assert(r.failed);
    cr_assert(eq(str, json_of(r.value), "{\"type\":\"A\",\"text\":\"x, 1, null\",\"module\":\"m\",\"cause\":{\"type\":\"B\",\"text\":\"\"}}"));
    mf_message_unref(whole);
}

Test(taskiq_result, a_chain_of_causes_without_end_is_cut)
{
    char json[4096] = "{\"type\":\"T\",\"text\":\"x\"}", next[4096];
    for (int i = 0; i < 20; i++) {
        snprintf(next, sizeof next, "{\"type\":\"T\",\"text\":\"x\",\"cause\":%.3900s}", json);
        snprintf(json, sizeof json, "%s", next);
    }
    const char *text = written_error(json);
    int causes = 0;
    for (const char *at = text; (at = strstr(at, "\"exc_cause\":{")) != NULL; at++)
        causes++;
    cr_assert(eq(int, causes, 8));
}

Test(taskiq_result, what_is_no_result_is_refused)
{
    static const struct { const char *json; mf_status st; } bad[] = {
        {"{}", MF_E_MALFORMED}, {"{\"is_err\":false}", MF_E_MALFORMED}, {"{\"is_err\":\"no\",\"return_value\":1}", MF_E_MALFORMED},
        {"[1]", MF_E_MALFORMED}, {"{\"is_err\":false,\"return_value\":1180591620717411303424}", MF_E_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mf_message *whole;
        taskiq_result r;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_result_read(mf_cstr(bad[i].json), NULL, NULL, &whole, &r, &err), bad[i].st), "%s", bad[i].json);
        cr_assert(err.text[0] != '\0');
    }
}

Test(taskiq_result, least_and_unknown_keys_are_fine)
{
    mf_message *whole;
    taskiq_result r;
    cr_assert(eq(int, taskiq_result_read(mf_cstr("{\"is_err\":false,\"return_value\":[1],\"new\":{}}"), NULL, NULL, &whole, &r, NULL), MF_OK));
    cr_assert(eq(str, json_of(r.value), "[1]"));
    mf_message_unref(whole);
    cr_assert(eq(int, taskiq_result_read(mf_cstr("{\"is_err\":true,\"return_value\":null,\"error\":null}"), NULL, NULL, &whole, &r, NULL), MF_OK));
    cr_assert(eq(str, json_of(r.value), "{\"type\":\"Error\",\"text\":\"\"}"));
    mf_message_unref(whole);
}

Test(taskiq_result, each_failing_allocation_is_no_memory_and_loses_nothing)
{
    static const char message[] = "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"b\":\"YWI=\"},\"labels_types\":{\"b\":6},\"args\":[],\"kwargs\":{}}";
    for (size_t f = 0; f < 3; f++)
        for (long fail = 1;; fail++) {
            counting_allocator c;
            taskiq_message m;
            taskiq_bytes out;
            counting_init(&c);
            atomic_store(&c.fail_at, fail);
            mf_status st = taskiq_message_read(mf_cstr(message), NULL, &c.allocator, &m, NULL);
            if (st == MF_OK) {
                taskiq_result r = {.value = mf_message_value(m.whole)};
                st = taskiq_result_write(&r, &m, formats[f], &c.allocator, &out, NULL);
                if (st == MF_OK)
                    taskiq_bytes_free(&c.allocator, &out);
                taskiq_message_release(&m);
            }
            cr_assert(eq(long, atomic_load(&c.live), 0), "fail %ld", fail);
            cr_assert(eq(long, atomic_load(&c.wrong_size), 0), "fail %ld", fail);
            if (st == MF_OK && fail > atomic_load(&c.calls))
                break;
            cr_assert(st == MF_OK || st == MF_E_NOMEM, "fail %ld: %s", fail, mf_status_name(st));
        }
}
