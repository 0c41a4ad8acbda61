#include "wire_support.h"

#define WHOLE(labels, args, kwargs)                                                                                   \
    "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":" labels ",\"args\":" args ",\"kwargs\":" kwargs "}"

Test(taskiq_message, keys_may_come_in_any_order_and_others_beside_them)
{
    taskiq_message m = read_message("{\"kwargs\":{\"a\":1},\"new\":[{}],\"args\":[2],\"labels\":{},\"task_name\":\"n\","
                                    "\"task_id\":\"t\",\"labels_types\":null}");
    cr_assert(mf_str_eq(m.id, MF_STR_LIT("t")));
    cr_assert(mf_str_eq(m.name, MF_STR_LIT("n")));
    cr_assert(eq(str, json_of(m.args), "[2]"));
    cr_assert(eq(str, json_of(m.kwargs), "{\"a\":1}"));
    taskiq_message_release(&m);
}

Test(taskiq_message, what_is_no_message_is_malformed_and_says_why)
{
    static const struct { const char *json, *says; } bad[] = {
        {"{}", "task_id"}, {"{\"task_id\":1}", "task_id"}, {"{\"task_id\":\"t\"}", "task_name"},
        {"{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":[]}", "labels"},
        {WHOLE("{}", "{}", "{}"), "args"}, {WHOLE("{}", "[]", "[]"), "kwargs"}, {"{\"task_id\":\"t\"", "JSON"},
        {"{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{},\"args\":[],\"kwargs\":{},\"labels_types\":[]}", "labels_types"},
        {"{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"x\":\"zz\"},\"args\":[],\"kwargs\":{},\"labels_types\":{\"x\":2}}",
         "\"x\""},
        {"{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"x\":\"1\"},\"args\":[],\"kwargs\":{},\"labels_types\":{\"x\":9}}",
         "\"x\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        taskiq_message m;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_message_read(mf_cstr(bad[i].json), NULL, NULL, &m, &err), MF_E_MALFORMED), "%s", bad[i].json);
        cr_assert(strstr(err.text, bad[i].says) != NULL, "%s: %s", bad[i].json, err.text);
    }
}

Test(taskiq_message, bytes_of_no_serialiser_are_refused)
{
    static const struct { mf_str bytes; mf_status st; } bad[] = {
        {{"", 0}, MF_E_MALFORMED}, {{"hello", 5}, MF_E_MALFORMED}, {{"\xff", 1}, MF_E_MALFORMED},
        {{"\xd9\x01\x00\xa6", 4}, MF_E_UNSUPPORTED}, {{"\xa6gtask_id", 9}, MF_E_UNSUPPORTED}, {{"\x80", 1}, MF_E_MALFORMED},
        {{"\x80\x04\x8c\x02os\x8c\x06system\x93.", 16}, MF_E_UNSUPPORTED}, {{"\xdf\xff\xff\xff\xff", 5}, MF_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        taskiq_message m;
        mf_error err = {0};
        cr_assert(eq(int, taskiq_message_read(bad[i].bytes, NULL, NULL, &m, &err), bad[i].st), "%zu: %s", i, err.text);
        cr_assert(err.text[0] != '\0');
    }
}

Test(taskiq_message, the_id_is_found_where_the_rest_cannot_be_read)
{
    static const struct { const char *json, *id; } found[] = {
        {"{\"task_id\": \"abc\", \"kwargs\": {\"n\": 1180591620717411303424}}", "abc"},
        {"{\"kwargs\": {\"task_id\": \"inner\", \"s\": \"\\\"task_id\\\"\"}, \"task_id\" : \"outer\", [[[[", "outer"},
        {"{\"x\":\"\\\\\",\"task_id\":\"e\"}", "e"},
        {"{\"task_id\": 5}", NULL}, {"{\"args\": [\"task_id\", \"x\"]}", NULL}, {"{\"task_id\": \"cut", NULL}, {"{", NULL},
        {"{\"task_id\":\"a\\u0041\"}", NULL}, {"{\"task_id\":\"\"}", NULL}, {"", NULL},
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        char id[16];
        size_t len = 0;
        bool got = taskiq_message_find_id(mf_cstr(found[i].json), id, sizeof id, &len);
        cr_assert(eq(int, got, found[i].id != NULL), "%s", found[i].json);
        if (got)
            cr_assert(mf_str_eq(mf_str_of(id, len), mf_cstr(found[i].id)), "%s", found[i].json);
    }
    char id[16];
    size_t len = 0;
    cr_assert(taskiq_message_find_id(BYTES("\x82\xa1x\x91\x01\xa7task_id\xa2id"), id, sizeof id, &len));
    cr_assert(mf_str_eq(mf_str_of(id, len), MF_STR_LIT("id")));
    cr_assert(taskiq_message_find_name(BYTES("\x82\xa1x\x91\x01\xa9task_name\xa2me"), id, sizeof id, &len));
    cr_assert(mf_str_eq(mf_str_of(id, len), MF_STR_LIT("me")));
    cr_assert(taskiq_message_find_name(mf_cstr("{\"task_id\":\"a\",\"task_name\":\"b\",[["), id, sizeof id, &len));
    cr_assert(mf_str_eq(mf_str_of(id, len), MF_STR_LIT("b")));
    cr_assert(not(taskiq_message_find_id(BYTES("\x82\xa1x\x91\x01\xa7task_id\xa9id"), id, sizeof id, &len)));
    cr_assert(not(taskiq_message_find_id(mf_cstr("{\"task_id\":\"longer than sixteen bytes\"}"), id, sizeof id, &len)));
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

struct pair { int a; int b; };
MF_FIELDS(pair, struct pair, MF_INT(a), MF_INT(b));

static void assert_binds(const char *args, const char *kwargs, const mf_fields *in, const char *want)
{
    char json[512];
    snprintf(json, sizeof json, "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{},\"args\":%s,\"kwargs\":%s}", args, kwargs);
    taskiq_message m = read_message(json);
    mf_message *bound = NULL;
    mf_error err = {0};
    mf_status st = taskiq_arguments_bind(&m, in, NULL, &bound, &err);
    if (want == NULL) {
        cr_assert(eq(int, st, MF_E_INVALID), "%s", json);
        cr_assert(err.text[0] != '\0');
    } else {
        cr_assert(eq(int, st, MF_OK), "%s: %s", json, err.text);
        cr_assert(eq(str, json_of(mf_message_value(bound)), (char *)want), "%s", json);
        mf_message_unref(bound);
    }
    taskiq_message_release(&m);
}

Test(taskiq_message, arguments_become_the_message)
{
    assert_binds("[]", "{}", &pair, "null");
    assert_binds("[]", "{\"a\":1,\"b\":2}", &pair, "{\"a\":1,\"b\":2}");
    assert_binds("[1,2]", "{}", &pair, "{\"a\":1,\"b\":2}");
    assert_binds("[1]", "{\"b\":2}", &pair, "{\"a\":1,\"b\":2}");
    assert_binds("[1]", "{}", &pair, "{\"a\":1}");
    assert_binds("[{\"a\":5}]", "{}", &pair, "{\"a\":5}");
    assert_binds("[{\"a\":5}]", "{}", NULL, "{\"a\":5}");
    assert_binds("[7]", "{}", NULL, "7");
    assert_binds("[]", "{\"x\":1}", NULL, "{\"x\":1}");
    assert_binds("[]", "{\"x\":1,\"_mageflow_task_data\":{\"k\":1}}", NULL, "{\"x\":1}");
    assert_binds("[1]", "{\"_mageflow_task_data\":{}}", &pair, "{\"a\":1}");
    assert_binds("[1,2,3]", "{}", &pair, NULL);
    assert_binds("[1]", "{\"a\":2}", &pair, NULL);
    assert_binds("[1,2]", "{}", NULL, NULL);
}

Test(taskiq_message, a_message_that_is_sent_reads_back)
{
    static const char *const values[] = {"{\"a\":1,\"b\":{\"c\":[1.5]}}", "null", "[1,2]", "\"text\"", "5", "{}"};
    for (int format = TASKIQ_JSON; format <= TASKIQ_PICKLE; format++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            mf_message *value = from_json(values[i]), *bound;
            taskiq_label label = {MF_STR_LIT("prio"), MF_STR_LIT("5"), TASKIQ_LABEL_INT};
            taskiq_call call = {.id = MF_STR_LIT("id"), .name = MF_STR_LIT("name"), .labels = &label, .label_count = 1,
                                .message = value, .exact = strcmp(values[i], "{}") == 0};
            taskiq_bytes out;
            taskiq_message m;
            int64_t prio = 0;
            mf_error err = {0};
            cr_assert(eq(int, taskiq_message_write(&call, (taskiq_format)format, NULL, &out, &err), MF_OK), "%s", err.text);
            cr_assert(eq(int, taskiq_message_read(mf_str_of(out.at, out.len), NULL, NULL, &m, &err), MF_OK), "%s", err.text);
            cr_assert(eq(int, m.format, format));
            cr_assert(taskiq_label_int(&m, MF_STR_LIT("prio"), &prio));
            cr_assert(eq(long, (long)prio, 5));
            cr_assert(eq(int, taskiq_arguments_bind(&m, NULL, NULL, &bound, &err), MF_OK), "%s: %s", values[i], err.text);
            cr_assert(eq(str, json_of(mf_message_value(bound)), (char *)values[i]));
            mf_message_unref(bound);
            mf_message_unref(value);
            taskiq_message_release(&m);
            taskiq_bytes_free(NULL, &out);
        }
}

Test(taskiq_message, json_that_is_sent_is_compact)
{
    mf_message *value = mf_msg("{s:i}", "b", 41);
    taskiq_label label = {MF_STR_LIT("mageflow"), MF_STR_LIT("meta"), TASKIQ_LABEL_STR};
    taskiq_call call = {.id = MF_STR_LIT("tid-1"), .name = MF_STR_LIT("add"), .labels = &label, .label_count = 1, .message = value};
    taskiq_bytes out;
    cr_assert(eq(int, taskiq_message_write(&call, TASKIQ_JSON, NULL, &out, NULL), MF_OK));
    cr_assert(eq(str, out.at, "{\"task_id\":\"tid-1\",\"task_name\":\"add\",\"labels\":{\"mageflow\":\"meta\"},"
                              "\"labels_types\":{\"mageflow\":3},\"args\":[],\"kwargs\":{\"b\":41}}"));
    taskiq_bytes_free(NULL, &out);
    mf_message_unref(value);
}

Test(taskiq_message, what_is_sent_again_keeps_its_labels_but_for_those_set)
{
    taskiq_message m = read_message("{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"mf\":\"keep\",\"_retries\":\"1\",\"n\":5},"
                                    "\"labels_types\":{\"mf\":3,\"_retries\":2,\"n\":2},\"args\":[1],\"kwargs\":{\"k\":null}}");
    taskiq_label label = {MF_STR_LIT("_retries"), MF_STR_LIT("2"), TASKIQ_LABEL_INT};
    taskiq_call call = {.id = m.id, .name = m.name, .labels = &label, .label_count = 1, .from = &m};
    taskiq_bytes out;
    cr_assert(eq(int, taskiq_message_write(&call, TASKIQ_JSON, NULL, &out, NULL), MF_OK));
    cr_assert(eq(str, out.at, "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"mf\":\"keep\",\"n\":5,\"_retries\":\"2\"},"
                              "\"labels_types\":{\"mf\":3,\"n\":2,\"_retries\":2},\"args\":[1],\"kwargs\":{\"k\":null}}"));
    taskiq_bytes_free(NULL, &out);
    taskiq_message_release(&m);
}

Test(taskiq_message, what_python_has_no_form_for_is_not_sent)
{
    mf_message *value = mf_msg("{i:i}", 1, 2), *odd;
    mf_builder b;
    mf_message_unref(value);
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 1);
    mf_build_int(&b, 1);
    mf_build_int(&b, 2);
    cr_assert(eq(int, mf_builder_finish(&b, &odd, NULL), MF_OK));
    taskiq_call call = {.id = MF_STR_LIT("t"), .name = MF_STR_LIT("n"), .message = odd};
    for (int format = TASKIQ_JSON; format <= TASKIQ_PICKLE; format++) {
        taskiq_bytes out;
        cr_assert(eq(int, taskiq_message_write(&call, (taskiq_format)format, NULL, &out, NULL), MF_E_UNSUPPORTED));
    }
    mf_message_unref(odd);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

Test(taskiq_message, metadata_travels_in_one_label_of_text)
{
    mf_message *error = mf_msg("{s:s, s:s}", "type", "E", "text", "t\"x"), *value = mf_msg("{s:i}", "a", 1);
    taskiq_meta meta = {.unit = {.index = 7, .epoch = 2}, .attempt = 3, .priority = -4, .error = error}, back;
    cr_assert(eq(int, mf_key_parse(MF_STR_LIT("swarm-abcdefghijklmnopqrstuvwxy"), &meta.unit.key, NULL), MF_OK));
    cr_assert(eq(int, mf_key_parse(MF_STR_LIT("chain-abcdefghijklmnopqrstuvwxy"), &meta.container, NULL), MF_OK));
    taskiq_bytes text, out;
    taskiq_message m;
    mf_error err = {0};
    cr_assert(eq(int, taskiq_meta_write(&meta, NULL, &text, &err), MF_OK), "%s", err.text);
    taskiq_label label = {MF_STR_LIT("mageflow"), mf_str_of(text.at, text.len), TASKIQ_LABEL_STR};
    taskiq_call call = {.id = MF_STR_LIT("t"), .name = MF_STR_LIT("n"), .labels = &label, .label_count = 1, .message = value};
    cr_assert(eq(int, taskiq_message_write(&call, TASKIQ_JSON, NULL, &out, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, taskiq_message_read(mf_str_of(out.at, out.len), NULL, NULL, &m, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, json_of(m.kwargs), "{\"a\":1}"), "the user's arguments are the user's");
    cr_assert(eq(int, taskiq_meta_read(&m, NULL, NULL, &back, &err), MF_OK), "%s", err.text);
    cr_assert(mf_key_eq(&back.unit.key, &meta.unit.key));
    cr_assert(mf_key_eq(&back.container, &meta.container));
    cr_assert(eq(long, (long)back.unit.index, 7));
    cr_assert(eq(int, (int)back.unit.epoch, 2));
    cr_assert(eq(int, (int)back.attempt, 3));
    cr_assert(eq(int, back.priority, -4));
    cr_assert(mf_str_eq(mf_message_bytes(back.error), mf_message_bytes(error)));
    mf_message_unref(back.error);
    mf_message_unref(error);
    mf_message_unref(value);
    taskiq_message_release(&m);
    taskiq_bytes_free(NULL, &text);
    taskiq_bytes_free(NULL, &out);
}

Test(taskiq_message, metadata_that_is_missing_or_torn_is_told_apart)
{
    static const struct { const char *labels; mf_status st; } cases[] = {
        {"{}", MF_E_NOT_FOUND}, {"{\"mageflow\":5}", MF_E_MALFORMED}, {"{\"mageflow\":\"\"}", MF_E_MALFORMED},
        {"{\"mageflow\":\"{}\"}", MF_E_MALFORMED}, {"{\"mageflow\":\"{\\\"key\\\":\\\"nonsense\\\"}\"}", MF_E_MALFORMED},
        {"{\"mageflow\":\"{\\\"key\\\":\\\"task-abcdefghijklmnopqrstuvwxy\\\",\\\"attempt\\\":0}\"}", MF_E_MALFORMED},
        {"{\"mageflow\":\"{\\\"key\\\":\\\"task-abcdefghijklmnopqrstuvwxy\\\",\\\"priority\\\":4294967296}\"}", MF_E_MALFORMED},
        {"{\"mageflow\":\"{\\\"key\\\":\\\"task-abcdefghijklmnopqrstuvwxy\\\"}\"}", MF_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512];
        taskiq_meta meta;
        snprintf(json, sizeof json, "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":%s,\"args\":[],\"kwargs\":{}}", cases[i].labels);
        taskiq_message m = read_message(json);
        cr_assert(eq(int, taskiq_meta_read(&m, NULL, NULL, &meta, NULL), cases[i].st), "%s", cases[i].labels);
        taskiq_message_release(&m);
    }
}
