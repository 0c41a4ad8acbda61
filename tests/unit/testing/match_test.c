#include "kit_support.h"

#include "match.h"

static mf_message *json(const char *text)
{
    mf_message *message = NULL;
    cr_assert(eq(int, mf_message_from_json(mf_cstr(text), NULL, NULL, &message, &err), MF_OK), "%s", err.text);
    return message;
}

static bool same(const char *a, const char *b)
{
    mf_message *left = json(a), *right = json(b);
    bool eq = mfi_value_eq(mf_message_value(left), mf_message_value(right));
    mf_message_unref(left);
    mf_message_unref(right);
    return eq;
}

Test(testing_match, values_are_the_same_by_what_they_mean)
{
    cr_assert(same("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}"));
    cr_assert(same("1.0", "1"));
    cr_assert(same("18446744073709551615", "18446744073709551615"));
    cr_assert(same("\"x\"", "\"x\""));
    cr_assert(same("null", "null"));
    cr_assert(same("[]", "[]"));
}

Test(testing_match, values_that_differ_are_not)
{
    static const char *const pairs[][2] = {
        {"1", "2"}, {"1", "\"1\""}, {"[1]", "[1,2]"}, {"[1,2]", "[2,1]"}, {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1}", "{\"b\":1}"}, {"{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}"}, {"true", "false"}, {"null", "false"},
        {"18446744073709551615", "-1"}, {"\"x\"", "\"xy\""}, {"0.5", "0.25"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cr_assert(not(same(pairs[i][0], pairs[i][1])), "%s and %s", pairs[i][0], pairs[i][1]);
        cr_assert(not(same(pairs[i][1], pairs[i][0])), "%s and %s", pairs[i][1], pairs[i][0]);
    }
}

Test(testing_match, a_long_difference_is_cut)
{
    char text[40];
    mf_message *is = json("{\"field\":\"a text that is longer than the room there is\"}"), *should = json("{\"field\":1}");
    mfi_fields_differ(is, should, true, text, sizeof text);
    is_text(text, "field \"field\": expected 1, got \"a text ");
    mf_message_unref(is);
    mf_message_unref(should);
}
