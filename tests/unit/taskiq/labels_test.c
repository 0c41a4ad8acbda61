#include "wire_support.h"

/* One label "x" of a value and a type (0: none), decoded; NULL: the message is bad. */
static const char *decoded(const char *value, int type)
{
    char json[512];
    taskiq_message m;
    mf_builder b;
    mf_message *labels;
    snprintf(json, sizeof json, "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"x\":%s},\"labels_types\":{%s%.*d},"
             "\"args\":[],\"kwargs\":{}}", value, type != 0 ? "\"x\":" : "", type != 0, type);
    if (taskiq_message_read(mf_cstr(json), NULL, NULL, &m, NULL) != MF_OK)
        return NULL;
    mf_builder_init(&b, NULL, NULL);
    taskiq_labels_decode(&m, &b);
    cr_assert(eq(int, mf_builder_finish(&b, &labels, NULL), MF_OK));
    mf_builder_fini(&b);
    mf_value x;
    cr_assert(mf_value_get(mf_message_value(labels), MF_STR_LIT("x"), &x));
    const char *out = json_of(x);
    mf_message_unref(labels);
    taskiq_message_release(&m);
    return out;
}

Test(taskiq_labels, mean_what_pythons_parse_label_makes_of_them)
{
    static const struct { const char *value; int type; const char *want; } rows[] = {
        {"\"5\"", 0, "\"5\""}, {"5", 0, "5"}, {"\"[1, 2]\"", 1, "\"[1, 2]\""},
        {"\"5\"", 2, "5"}, {"\" -12 \"", 2, "-12"}, {"\"+1_000\"", 2, "1000"}, {"5", 2, "5"}, {"true", 2, "1"}, {"2.9", 2, "2"},
        {"\"-9223372036854775808\"", 2, "-9223372036854775808"},
        {"\"1180591620717411303424\"", 2, "\"1180591620717411303424\""},
        {"\"5\"", 3, "\"5\""}, {"5", 3, "\"5\""}, {"true", 3, "\"True\""}, {"1.5", 3, "\"1.5\""}, {"null", 3, "\"None\""},
        {"\"1.5\"", 4, "1.5"}, {"\"5\"", 4, "5.0"}, {"\" .5 \"", 4, "0.5"}, {"\"5.\"", 4, "5.0"}, {"\"-1e3\"", 4, "-1000.0"},
        {"\"007.25\"", 4, "7.25"}, {"\"inf\"", 4, "null"}, {"\"-Infinity\"", 4, "null"}, {"\"NaN\"", 4, "null"}, {"2", 4, "2.0"},
        {"\"True\"", 5, "true"}, {"\"tRUE\"", 5, "true"}, {"\"1\"", 5, "false"}, {"true", 5, "true"}, {"1", 5, "false"},
        {"\"YWI=\"", 6, "\"ab\""}, {"\"/wA=\"", 6, "\"/wA=\""}, {"\"aGVsbG8gd29ybGQ=\"", 6, "\"hello world\""},
        {"\"YW\\nI=\"", 6, "\"ab\""}, {"\"\"", 6, "\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = decoded(rows[i].value, rows[i].type);
        cr_assert(got != NULL, "%s of type %d", rows[i].value, rows[i].type);
        cr_assert(eq(str, (char *)got, (char *)rows[i].want), "%s of type %d", rows[i].value, rows[i].type);
    }
}

Test(taskiq_labels, a_text_that_is_none_of_its_type_makes_the_message_bad)
{
    static const struct { const char *value; int type; } rows[] = {
        {"\"zz\"", 2}, {"\"\"", 2}, {"\"1.5\"", 2}, {"\"_1\"", 2}, {"\"1_\"", 2}, {"\"1__0\"", 2}, {"null", 2}, {"[]", 2},
        {"\"--1\"", 2}, {"\"zz\"", 4}, {"\".\"", 4}, {"\"1e\"", 4}, {"\"+-1\"", 4}, {"null", 4}, {"\"\"", 4}, {"5", 6},
        {"\"5\"", 7}, {"\"5\"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert(decoded(rows[i].value, rows[i].type) == NULL, "%s of type %d", rows[i].value, rows[i].type);
}

Test(taskiq_labels, are_read_as_numbers_and_truth_from_text_and_from_real_values)
{
    taskiq_message m = read_message(
        "{\"task_id\":\"t\",\"task_name\":\"n\",\"labels\":{\"a\":\"3\",\"b\":4,\"c\":true,\"d\":\"2.5\",\"e\":2.5,\"f\":\"True\","
        "\"g\":0,\"h\":\"x\",\"i\":null},\"args\":[],\"kwargs\":{}}");
    int64_t n = 0;
    double d = 0;
    bool b = false;
    mf_str s;
    cr_assert(taskiq_label_int(&m, MF_STR_LIT("a"), &n) && n == 3);
    cr_assert(taskiq_label_int(&m, MF_STR_LIT("b"), &n) && n == 4);
    cr_assert(taskiq_label_int(&m, MF_STR_LIT("c"), &n) && n == 1);
    cr_assert(taskiq_label_int(&m, MF_STR_LIT("e"), &n) && n == 2);
    cr_assert(not(taskiq_label_int(&m, MF_STR_LIT("h"), &n)));
    cr_assert(not(taskiq_label_int(&m, MF_STR_LIT("none"), &n)));
    cr_assert(taskiq_label_float(&m, MF_STR_LIT("d"), &d) && d == 2.5);
    cr_assert(taskiq_label_float(&m, MF_STR_LIT("b"), &d) && d == 4);
    cr_assert(not(taskiq_label_float(&m, MF_STR_LIT("h"), &d)));
    cr_assert(taskiq_label_bool(&m, MF_STR_LIT("f"), &b) && b);
    cr_assert(taskiq_label_bool(&m, MF_STR_LIT("g"), &b) && !b);
    cr_assert(taskiq_label_bool(&m, MF_STR_LIT("h"), &b) && !b);
    cr_assert(not(taskiq_label_bool(&m, MF_STR_LIT("i"), &b)));
    cr_assert(taskiq_label_text(&m, MF_STR_LIT("h"), &s) && mf_str_eq(s, MF_STR_LIT("x")));
    cr_assert(not(taskiq_label_text(&m, MF_STR_LIT("b"), &s)));
    taskiq_message_release(&m);
}
