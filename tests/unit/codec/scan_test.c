#include "codec_support.h"

static mf_error err;

Test(codec_scan, several_fields_are_read_at_once)
{
    mf_message *m = mf_msg("{s:s, s:i, s:{s:f, s:[b,n]}, s:B, s:I, s:U, s:s}", "path", "a.png", "width", 640, "box", "top",
                           0.5, "more", 1, "raw", mf_str_of("\x01", 1), "low", INT64_MIN, "high", UINT64_MAX, "x", "y");
    mf_str path, raw;
    int width;
    double top;
    bool yes;
    int64_t low;
    uint64_t high;
    mf_value box;
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:s, s:i, s:{s:f, s:[b,n]}, s:B, S:I, s:U, s:v}", "path", &path, "width",
                                      &width, "box", "top", &top, "more", &yes, "raw", &raw, MF_STR_LIT("low"), &low,
                                      "high", &high, "box", &box), MF_OK), "%s", err.text);
    cr_assert(mf_str_eq(path, MF_STR_LIT("a.png")));
    cr_assert(eq(int, width, 640));
    cr_assert(eq(dbl, top, 0.5));
    cr_assert(yes && raw.len == 1 && low == INT64_MIN && high == UINT64_MAX);
    cr_assert(eq(sz, mf_value_count(box), 2));
    mf_message_unref(m);
}

Test(codec_scan, an_optional_field_that_is_missing_or_nil_is_left_alone)
{
    mf_message *m = mf_msg("{s:n, s:i}", "a", "z", 9);
    int a = 1, b = 2, c = 3, d = 4, z = 0;
    cr_assert(eq(int, mf_message_scan(m, &err, "{s?:i, s?:i, s?:{s:i, s:[i]}, s:i}", "a", &a, "b", &b, "c", "in", &c, "in2",
                                      &d, "z", &z), MF_OK), "%s", err.text);
    cr_assert(a == 1 && b == 2 && c == 3 && d == 4 && z == 9);
    mf_message_unref(m);
}

Test(codec_scan, an_error_names_the_field_what_was_expected_and_what_came)
{
    mf_message *m = mf_msg("{s:s, s:I, s:[i,i]}", "width", "wide", "big", (int64_t)1 << 40, "two", 1, 2);
    int n;
    mf_str s;
    uint64_t u;
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:i}", "width", &n), MF_E_TYPE));
    cr_assert(eq(str, err.text, "field \"width\": expected an integer of 32 bits, got the string \"wide\""));
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:i}", "big", &n), MF_E_TYPE));
    cr_assert(eq(str, err.text, "field \"big\": expected an integer of 32 bits, got the integer 1099511627776"));
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:s}", "none", &s), MF_E_NOT_FOUND));
    cr_assert(eq(str, err.text, "field \"none\": required, but missing"));
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:[i]}", "two", &n), MF_E_TYPE));
    cr_assert(eq(str, err.text, "field \"two\": expected an array of another length, got an array of 2"));
    cr_assert(eq(int, mf_message_scan(m, &err, "{s:{s:U}}", "two", "x", &u), MF_E_TYPE));
    cr_assert(eq(str, err.text, "field \"two\": expected a map, got an array of 2"));
    cr_assert(eq(int, mf_message_scan(m, &err, "[i]", &n), MF_E_TYPE));
    cr_assert(eq(str, err.text, "expected an array, got a map of 3"));
    cr_assert(eq(int, mf_message_scan(NULL, &err, "{}"), MF_E_TYPE));
    cr_assert(eq(int, mf_message_scan(mf_msg("?"), &err, "{}"), MF_E_INVALID));
    mf_message_unref(m);
}

Test(codec_scan, a_malformed_format_is_invalid)
{
    static const char *const bad[] = {"", "{", "{s", "{s:", "{s:q}", "{i:i}", "{s:i", "{s:i,}", "{s:i}x", "{s?i}"};
    mf_message *m = mf_msg("{s:i}", "a", 1);
    int n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(eq(int, mf_message_scan(m, &err, bad[i], "a", &n, &n), MF_E_INVALID), "%s", bad[i]);
    mf_message_unref(m);
}
