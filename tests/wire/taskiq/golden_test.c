/* Bytes that the real taskiq wrote, read; and what we write of the same values. golden.py makes golden.h. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>

#include "taskiq_wire.h"

#include "golden.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static mf_str bytes_of(const char *hex)
{
    size_t len = strlen(hex) / 2;
    char *bytes = malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (char)byte;
    }
    return mf_str_of(bytes, len);
}

static mf_message *json(const char *text)
{
    mf_message *message;
    mf_error err = {0};
    cr_assert(eq(int, mf_message_from_json(mf_cstr(text), NULL, NULL, &message, &err), MF_OK), "%s: %s", text, err.text);
    return message;
}

static char *text_of(const mf_message *message)
{
    char *text;
    size_t len;
    cr_assert(eq(int, mf_message_to_json(message, NULL, &text, &len, NULL), MF_OK));
    return text;
}

static taskiq_format format_of(const char *name)
{
    return strstr(name, "msgpack") != NULL ? TASKIQ_MSGPACK : strstr(name, "pickle") != NULL ? TASKIQ_PICKLE : TASKIQ_JSON;
}

/* What was read, in the shape in which golden.py wrote what it means. */
static mf_message *meaning_of(const taskiq_message *m)
{
    mf_builder b;
    mf_message *out;
    mf_error err = {0};
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 5);
    mf_build_key(&b, "id");
    mf_build_str(&b, m->id);
    mf_build_key(&b, "name");
    mf_build_str(&b, m->name);
    mf_build_key(&b, "labels");
    taskiq_labels_decode(m, &b);
    mf_build_key(&b, "args");
    mf_build_value(&b, m->args);
    mf_build_key(&b, "kwargs");
    mf_build_value(&b, m->kwargs);
    cr_assert(eq(int, mf_builder_finish(&b, &out, &err), MF_OK), "%s", err.text);
    mf_builder_fini(&b);
    return out;
}

Test(taskiq_golden, every_message_of_pythons_is_read_as_python_means_it)
{
    for (size_t i = 0; i < COUNT(golden_messages); i++) {
        const struct golden *g = &golden_messages[i];
        mf_str bytes = bytes_of(g->hex);
        taskiq_message m;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_message_read(bytes, NULL, NULL, &m, &err), MF_OK), "%s: %s", g->name, err.text);
        cr_assert(eq(int, m.format, format_of(g->name)), "%s", g->name);
        if (strcmp(g->json, "null") != 0) {
            mf_message *got = meaning_of(&m), *want = json(g->json);
            char *got_text = text_of(got), *want_text = text_of(want);
            cr_assert(eq(str, got_text, want_text), "%s", g->name);
            mf_json_free(NULL, got_text, strlen(got_text));
            mf_json_free(NULL, want_text, strlen(want_text));
            mf_message_unref(got);
            mf_message_unref(want);
        }
        char id[64];
        size_t len;
        cr_assert(taskiq_message_find_id(bytes, id, sizeof id, &len) || m.format == TASKIQ_PICKLE, "%s", g->name);
        if (m.format != TASKIQ_PICKLE)
            cr_assert(mf_str_eq(mf_str_of(id, len), m.id), "%s", g->name);
        taskiq_message_release(&m);
        free((char *)(uintptr_t)bytes.at);
    }
}

Test(taskiq_golden, every_result_of_pythons_is_read)
{
    for (size_t i = 0; i < COUNT(golden_results); i++) {
        const struct golden *g = &golden_results[i];
        mf_str bytes = bytes_of(g->hex);
        mf_message *got, *want = json(g->json), *whole;
        taskiq_format format;
        taskiq_result result;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_decode(bytes, NULL, NULL, &got, &format, &err), MF_OK), "%s: %s", g->name, err.text);
        cr_assert(eq(int, format, format_of(g->name)), "%s", g->name);
        char *got_text = text_of(got), *want_text = text_of(want);
        cr_assert(eq(str, got_text, want_text), "%s", g->name);
        mf_json_free(NULL, got_text, strlen(got_text));
        mf_json_free(NULL, want_text, strlen(want_text));

        bool failed = false;
        cr_assert(eq(int, taskiq_result_read(bytes, NULL, NULL, &whole, &result, &err), MF_OK), "%s: %s", g->name, err.text);
        cr_assert(eq(int, mf_message_scan(want, NULL, "{s:b}", "is_err", &failed), MF_OK));
        cr_assert(eq(int, result.failed, failed), "%s", g->name);
        cr_assert(eq(int, mf_value_type(result.labels), MF_TYPE_MAP), "%s", g->name);
        mf_message_unref(whole);
        mf_message_unref(got);
        mf_message_unref(want);
        free((char *)(uintptr_t)bytes.at);
    }
}

Test(taskiq_golden, what_we_write_is_the_same_bytes_in_msgpack_and_the_same_value_in_the_others)
{
    for (size_t i = 0; i < COUNT(golden_results); i++) {
        const struct golden *g = &golden_results[i];
        mf_str bytes = bytes_of(g->hex);
        mf_message *value, *again;
        taskiq_format format;
        taskiq_bytes written;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_decode(bytes, NULL, NULL, &value, &format, &err), MF_OK), "%s: %s", g->name, err.text);
        cr_assert(eq(int, taskiq_encode(mf_message_value(value), format, NULL, &written, &err), MF_OK), "%s", g->name);
        if (format == TASKIQ_MSGPACK)
            cr_assert(mf_str_eq(mf_str_of(written.at, written.len), bytes), "%s", g->name);
        cr_assert(eq(int, taskiq_decode(mf_str_of(written.at, written.len), NULL, NULL, &again, &format, &err), MF_OK),
                  "%s: %s", g->name, err.text);
        cr_assert(mf_str_eq(mf_message_bytes(value), mf_message_bytes(again)), "%s", g->name);
        taskiq_bytes_free(NULL, &written);
        mf_message_unref(value);
        mf_message_unref(again);
        free((char *)(uintptr_t)bytes.at);
    }
}

static const struct golden *find(const struct golden *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    cr_fatal("no golden bytes under %s", name);
    return NULL;
}

static void assert_written(const taskiq_bytes *written, const char *name)
{
    mf_str want = bytes_of(find(golden_results, COUNT(golden_results), name)->hex);
    cr_assert(mf_str_eq(mf_str_of(written->at, written->len), want), "%s: %.*s", name, (int)written->len, written->at);
    free((char *)(uintptr_t)want.at);
}

Test(taskiq_golden, a_result_of_ours_is_pythons_byte_for_byte)
{
    taskiq_bytes out;
    mf_error err = {0};
    taskiq_result nothing = {.failed = false, .seconds = 0.0};
    cr_assert(eq(int, taskiq_result_write(&nothing, NULL, TASKIQ_MSGPACK, NULL, &out, &err), MF_OK));
    assert_written(&out, "none_msgpack");
    taskiq_bytes_free(NULL, &out);
    cr_assert(eq(int, taskiq_result_write(&nothing, NULL, TASKIQ_JSON, NULL, &out, &err), MF_OK));
    assert_written(&out, "none_orjson");
    taskiq_bytes_free(NULL, &out);
}

/* The 99 bytes that wait_result of an unconfigured client was seen to read. */
Test(taskiq_golden, a_pickled_result_is_the_one_that_was_seen_to_be_read)
{
    static const char want[] =
        "\x80\x02}(X\x06\0\0\0is_err\x89X\x03\0\0\0logNX\x0c\0\0\0return_valueK*X\x0e\0\0\0execution_timeG?\x84z\xe1G\xae\x14{"
        "X\x06\0\0\0labels}X\x05\0\0\0errorNu.";
    mf_message *value = mf_msg("i", 42);
    taskiq_result result = {.value = mf_message_value(value), .seconds = 0.01};
    taskiq_bytes out;
    cr_assert(eq(int, taskiq_result_write(&result, NULL, TASKIQ_PICKLE, NULL, &out, NULL), MF_OK));
    cr_assert(mf_str_eq(mf_str_of(out.at, out.len), mf_str_of(want, sizeof want - 1)));
    taskiq_bytes_free(NULL, &out);
    mf_message_unref(value);
}

Test(taskiq_golden, an_error_of_pythons_has_its_type_text_and_causes)
{
    static const char *const names[] = {"raised_json", "raised_msgpack", "raised_pickle", "raised_pickle2"};
    for (size_t i = 0; i < COUNT(names); i++) {
        mf_str bytes = bytes_of(find(golden_results, COUNT(golden_results), names[i])->hex), type, text, module, cause;
        mf_message *whole;
        taskiq_result result;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_result_read(bytes, NULL, NULL, &whole, &result, &err), MF_OK), "%s", err.text);
        cr_assert(eq(int, mf_value_scan(result.value, &err, "{s:S, s:S, s:S, s:{s:S}}", "type", &type, "text", &text,
                                        "module", &module, "cause", "type", &cause), MF_OK), "%s", err.text);
        cr_assert(mf_str_eq(type, MF_STR_LIT("ValueError")));
        cr_assert(mf_str_eq(text, MF_STR_LIT("bad, 42")));
        cr_assert(mf_str_eq(module, MF_STR_LIT("builtins")));
        cr_assert(mf_str_eq(cause, MF_STR_LIT("ZeroDivisionError")));
        mf_message_unref(whole);
        free((char *)(uintptr_t)bytes.at);
    }
}
