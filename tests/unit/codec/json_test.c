#include "codec_support.h"

#include "json.h"

#include <locale.h>
#include <math.h>

#define TEXT(s) mf_str_of(s, sizeof(s) - 1)

static mf_error err;

static mf_status read_json(mf_str json, const mf_limits *limits)
{
    counting_allocator c;
    counting_init(&c);
    mf_message *m = NULL;
    /* On the heap without a NUL, so that a read beyond the end is seen. */
    char *exact = malloc(json.len + 1);
    memcpy(exact, json.at, json.len);
    exact = realloc(exact, json.len == 0 ? 1 : json.len);
    mf_status st = mf_message_from_json(mf_str_of(exact, json.len), limits, &c.allocator, &m, &err);
    free(exact);
    mf_message_unref(m);
    assert_nothing_out(&c);
    return st;
}

Test(codec_json, what_is_read_is_written_again)
{
    static const char *const same[] = {
        "null", "true", "false", "0", "-1", "9223372036854775807", "18446744073709551615", "-9223372036854775808", "0.1",
        "1.0", "-0.0", "1e+22", "1.5e-07", "123456789.125", "4.94065645841247e-324", "1.7976931348623157e+308", "NaN", "Infinity",
        "-Infinity", "\"\"", "\"a\"", "[]", "{}", "[1,[2,{\"a\":[]}],\"b\"]", "{\"a\":1,\"b\":{\"c\":null}}",
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "{\"a\\u0000b\":\"c\\u0000d\"}", "0.30000000000000004", "2.2250738585072014e-308",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        mf_message *m = from_json(same[i]);
        cr_assert(eq(str, json_of(m), (char *)same[i]));
        mf_message_unref(m);
    }
}

Test(codec_json, text_goes_straight_to_the_same_bytes_as_the_builder)
{
    static const struct { const char *json, *bytes; } rows[] = {
        {" [ 1 , -1 , 1.0 ] ", "9301ffcb3ff0000000000000"}, {"\t{\"a\"\r\n:{ } , \"b\":[ ]}", "82a16180a16290"},
        {"-0", "00"}, {"-0.0", "cb8000000000000000"}, {"1E2", "cb4059000000000000"}, {"[NaN]", "91cb7ff8000000000000"},
        {"\"\\u00e9\\ud83d\\uDE00\\/\"", "a7c3a9f09f98802f"}, {"{\"a\":1,\"a\":2}", "82a16101a16102"},
        {"1e-999", "cb0000000000000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mf_message *m = from_json(rows[i].json);
        cr_assert(eq(str, hex_of(m), (char *)rows[i].bytes), "%s", rows[i].json);
        mf_message_unref(m);
    }
}

Test(codec_json, what_the_grammar_forbids_is_refused_with_its_place)
{
    static const struct { const char *json, *text; } rows[] = {
        {"", "JSON: line 1, column 1: expected a value, got the end"},
        {"[1,]", "JSON: line 1, column 4: expected a value, got ']'"},
        {"[1 2]", "JSON: line 1, column 4: expected ',' or ']', got '2]'"},
        {"{\"a\":1,}", "JSON: line 1, column 8: expected a key in '\"', got '}'"},
        {"{\"a\" 1}", "JSON: line 1, column 6: expected ':', got '1}'"},
        {"{\"\xc3\xa9\":\n  tru}", "JSON: line 2, column 3: expected a value, got 'tru}'"},
        {"[1} ", "JSON: line 1, column 3: expected ',' or ']', got '} '"},
        {"1 2", "JSON: line 1, column 3: expected the end, got '2'"},
        {"\"abc", "JSON: line 1, column 5: expected the end of the text, '\"', got the end"},
        {"\"a\nb\"", "JSON: line 1, column 3: a control character stands in a text: expected an escape, got the end"},
        {"\"\\x\"", "JSON: line 1, column 2: expected an escape, got '\\x\"'"},
        {"01", "JSON: line 1, column 1: expected no digit after a leading 0, got '01'"},
        {"1.", "JSON: line 1, column 1: expected a digit after the point, got '1.'"},
        {"\"\\ud83d\"", "JSON: line 1, column 2: half a surrogate pair is no character: expected the other half, got "
                        "'\\ud83d\"'"},
        {"\"ab\xff\"", "JSON: line 1, column 4: text that is not UTF-8"},
        {"\xef\xbb\xbf[]", "JSON: line 1, column 1: expected a value, got a byte order mark: JSON has none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert(eq(int, read_json(mf_cstr(rows[i].json), NULL), MF_E_MALFORMED), "%s", rows[i].json);
        if (strchr(rows[i].json, '\n') == NULL || i == 5)
            cr_assert(eq(str, err.text, (char *)rows[i].text));
    }
}

/* Texts are looked at eight characters at a time: whatever ends a run may stand at any place of them. */
Test(codec_json, what_is_not_plain_is_seen_at_every_place_of_a_text)
{
    static const struct { const char *part; mf_status st; } rows[] = {
        {"\\n", MF_OK}, {"\\\\", MF_OK}, {"\\\"", MF_OK}, {"\xc3\xa9", MF_OK}, {"\x7f", MF_OK}, {" ", MF_OK}, {"!", MF_OK}, {"#", MF_OK},
        {"[", MF_OK}, {"]", MF_OK}, {"\x01", MF_E_MALFORMED}, {"\x1f", MF_E_MALFORMED}, {"\xff", MF_E_MALFORMED}, {"\x80", MF_E_MALFORMED},
        {"\xc3", MF_E_MALFORMED}, {"\"", MF_E_MALFORMED}, {"\\x", MF_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int before = 0; before < 20; before++)
            for (int after = 0; after < 20; after++) {
                char text[64];
                snprintf(text, sizeof text, "\"%.*s%s%.*s\"", before, "aZ09~aZ09~aZ09~aZ09~", rows[i].part, after,
                         "zA!#[]zA!#[]zA!#[]zA");
                cr_assert(eq(int, read_json(mf_cstr(text), NULL), rows[i].st), "%s", text);
                if (rows[i].st != MF_OK)
                    continue;
                mf_message *m = from_json(text);
                cr_assert(eq(str, json_of(m), text));
                mf_message_unref(m);
            }
}

Test(codec_json, near_misses_of_json_are_refused)
{
    static const char *const bad[] = {
        "+1", ".5", "-", "1e", "1e+", "--1", "1..2", "0x10", "1_000", "-.5", "00", "-01", "1.e3", "'a'", "{a:1}", "{1:2}",
        "[1/*x*/]", "//\n1", "True", "nan", "NAN", "-NaN", "+Infinity", "infinity", "-infinity", "Inf", "undefined",
        "nullx", "[", "{", "[[]", "{\"a\"", "{\"a\":", "]", "}", ",", ":", "[,1]", "{,}", "\"\\u12\"", "\"\\u123g\"",
        "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"", "\"\\ud83d\\\"", "\"\\", "\"\\u", "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"", "\"a\tb\"", "{\"a\tb\":1}", "[\f1]", "[1]\f", "\xc2\xa0""1", "tru", "nul", "fals", "Na", "-Inf",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(eq(int, read_json(mf_cstr(bad[i]), NULL), MF_E_MALFORMED), "%s", bad[i]);
    cr_assert(eq(int, read_json(TEXT("[1\0]"), NULL), MF_E_MALFORMED));
    cr_assert(eq(int, read_json(TEXT("1\0"), NULL), MF_E_MALFORMED));
    cr_assert(eq(int, read_json(TEXT("\"\\\0\""), NULL), MF_E_MALFORMED));
}

Test(codec_json, every_proper_prefix_is_refused)
{
    static const char whole[] = "{\"a\\u00e9\\ud83d\\ude00\":[1.5e3,-12,true,null,NaN,-Infinity],\"b\":{\"c\":\"\xc3\xa9\"}}";
    cr_assert(eq(int, read_json(TEXT(whole), NULL), MF_OK), "%s", err.text);
    for (size_t len = 0; len < sizeof whole - 1; len++)
        cr_assert(eq(int, read_json(mf_str_of(whole, len), NULL), MF_E_MALFORMED), "%zu", len);
}

Test(codec_json, a_number_that_does_not_fit_is_too_big_and_named)
{
    static const char *const big[] = {"18446744073709551616", "-9223372036854775809", "1e309", "-1e309",
                                      "123456789012345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof big / sizeof big[0]; i++) {
        cr_assert(eq(int, read_json(mf_cstr(big[i]), NULL), MF_E_TOO_BIG), "%s", big[i]);
        cr_assert(ne(ptr, strstr(err.text, i < 4 ? big[i] : "1234567890123456789012345678901234567890..."), NULL), "%s", err.text);
    }
    char digits[1100];
    memset(digits, '3', sizeof digits);
    memcpy(digits, "0.", 2);
    cr_assert(eq(int, read_json(mf_str_of(digits, 1000), NULL), MF_OK), "%s", err.text);
    cr_assert(eq(int, read_json(mf_str_of(digits, 1001), NULL), MF_E_TOO_BIG));
}

Test(codec_json, limits_hold)
{
    char deep[200];
    memset(deep, '[', sizeof deep);
    cr_assert(eq(int, read_json(mf_str_of(deep, sizeof deep), NULL), MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "JSON: line 1, column 33: deeper than the limit of 32 maps and lists within each other"));
    memset(deep, '[', 32);
    memset(deep + 32, ']', 32);
    cr_assert(eq(int, read_json(mf_str_of(deep, 64), NULL), MF_OK), "%s", err.text);
    for (int i = 0; i < 40; i++)
        memcpy(deep + 5 * i, "{\"\":", 5);
    cr_assert(eq(int, read_json(mf_str_of("{\"\":{\"\":{\"\":1}}}", 16), MF_LIMITS(.depth = 2)), MF_E_TOO_BIG));
    cr_assert(eq(int, read_json(TEXT("[1,2,3,{\"a\":1}]"), MF_LIMITS(.elements = 4)), MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "JSON: line 1, column 12: more elements than the limit of 4 list items and map entries"));
    cr_assert(eq(int, read_json(TEXT("[1,2,3,{\"a\":1}]"), MF_LIMITS(.elements = 5)), MF_OK));
    cr_assert(eq(int, read_json(TEXT("[1,2]"), MF_LIMITS(.bytes = 4)), MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "JSON: 5 bytes, the limit is 4"));
    /* Msgpack may be longer than its JSON: the limit is on both. */
    cr_assert(eq(int, read_json(TEXT("[1.5,1.5]"), MF_LIMITS(.bytes = 9)), MF_E_TOO_BIG));
}

Test(codec_json, what_json_lacks_is_base64_or_refused)
{
    static const struct { const char *bytes; size_t len; const char *base64; } rows[] = {
        {"", 0, "\"\""}, {"f", 1, "\"Zg==\""}, {"fo", 2, "\"Zm8=\""}, {"foo", 3, "\"Zm9v\""}, {"foob", 4, "\"Zm9vYg==\""},
        {"\xff\xfe\xfb", 3, "\"//77\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mf_message *m = mf_msg("B", mf_str_of(rows[i].bytes, rows[i].len));
        cr_assert(eq(str, json_of(m), (char *)rows[i].base64));
        mf_message_unref(m);
    }
    mf_message *m;
    char *text;
    size_t len;
    cr_assert(eq(int, mf_message_from_bytes(TEXT("\x91\xd4\x05\x01"), NULL, NULL, &m, NULL), MF_OK));
    cr_assert(eq(int, mf_message_to_json(m, NULL, &text, &len, &err), MF_E_UNSUPPORTED));
    cr_assert(eq(str, err.text, "JSON: an extension value has no form in JSON"));
    mf_message_unref(m);
    cr_assert(eq(int, mf_message_from_bytes(TEXT("\x81\x05\x01"), NULL, NULL, &m, NULL), MF_OK));
    cr_assert(eq(int, mf_message_to_json(m, NULL, &text, &len, &err), MF_E_UNSUPPORTED));
    mf_message_unref(m);
    cr_assert(eq(int, mf_message_to_json(mf_msg("?"), NULL, &text, &len, &err), MF_E_INVALID));
    cr_assert(eq(str, json_of(NULL), "null"));
}

Test(codec_json, the_exact_style_refuses_what_would_not_read_back)
{
    static const struct { const char *json, *text; } rows[] = {
        {"{\"a\":{\"b\":[1,NaN]}}", "JSON: field \"b\": NaN and Infinity have no form in JSON"},
        {"[-Infinity]", "JSON: NaN and Infinity have no form in JSON"},
    };
    char *text;
    size_t len;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mf_message *m = from_json(rows[i].json);
        mf_value v = mf_message_value(m);
        cr_assert(eq(int, mfi_value_to_json(v, MFI_JSON_EXACT, NULL, &text, &len, &err), MF_E_UNSUPPORTED));
        cr_assert(eq(str, err.text, (char *)rows[i].text));
        mf_message_unref(m);
    }
    mf_message *m = mf_msg("{s:B}", "raw", mf_str_of("a", 1));
    mf_value v = mf_message_value(m);
    cr_assert(eq(int, mfi_value_to_json(v, MFI_JSON_EXACT, NULL, &text, &len, &err), MF_E_UNSUPPORTED));
    cr_assert(eq(str, err.text, "JSON: field \"raw\": binary has no form in JSON"));
    mf_message_unref(m);
    m = from_json("{\"a\":[1,2.5,null,true,\"x\"]}");
    cr_assert(eq(int, mfi_value_to_json(mf_message_value(m), MFI_JSON_EXACT, NULL, &text, &len, &err), MF_OK));
    cr_assert(eq(str, text, "{\"a\":[1,2.5,null,true,\"x\"]}"));
    mf_json_free(NULL, text, len);
    mf_message_unref(m);
}

Test(codec_json, the_locale_does_not_matter)
{
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    for (size_t i = 0; i < sizeof commas / sizeof commas[0]; i++)
        if (setlocale(LC_ALL, commas[i]) != NULL)
            break;
    mf_message *m = from_json("[1.25e1,0.1234567890123456789]");
    cr_assert(eq(str, json_of(m), "[12.5,0.12345678901234568]"));
    mf_message_unref(m);
}

Test(codec_json, every_double_reads_back_as_itself)
{
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double number, back;
        memcpy(&number, &seed, sizeof number);
        if (i % 2 == 0)
            number = (double)(int64_t)(seed >> 20) / 1000.0;
        mf_message *m = mf_msg("f", number), *again = from_json(json_of(m));
        cr_assert(eq(int, mf_value_float(mf_message_value(again), &back), MF_OK));
        bool same = (isnan(number) && isnan(back)) || memcmp(&back, &number, sizeof back) == 0;
        cr_assert(same, "%a, round %d", number, i);
        mf_message_unref(m);
        mf_message_unref(again);
    }
}

/* Few places have a way of their own, past printf: they must be what printf finds. */
Test(codec_json, a_number_of_few_places_is_written_as_printf_writes_it)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t seed = 2463534242;
    for (int i = 0; i < 40000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint64_t whole = seed >> (seed % 64);
        double number = (double)whole / (double)powers[i % 9] * (i % 2 == 0 ? 1 : -1);
        char want[40];
        int precision = 15;
        do
            snprintf(want, sizeof want - 2, "%.*g", precision, number);
        while (strtod(want, NULL) != number && precision++ < 17);
        if (strpbrk(want, ".e") == NULL)
            strcat(want, ".0");
        mf_message *m = mf_msg("f", number);
        cr_assert(eq(str, json_of(m), want), "%a, round %d", number, i);
        mf_message_unref(m);
    }
    static const struct { double number; const char *text; } edges[] = {
        {0.0, "0.0"}, {-0.0, "-0.0"}, {-1, "-1.0"}, {0.0001, "0.0001"}, {0.00001, "1e-05"}, {0.000123, "0.000123"}, {1e15, "1e+15"},
        {999999999999999.0, "999999999999999.0"}, {0.000001, "1e-06"}, {100.05, "100.05"}, {1.0000001, "1.0000001"}};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        mf_message *m = mf_msg("f", edges[i].number);
        cr_assert(eq(str, json_of(m), (char *)(uintptr_t)edges[i].text));
        mf_message_unref(m);
    }
}

Test(codec_json, integers_of_every_length_are_written)
{
    uint64_t n = 1;
    for (int digits = 1; digits <= 20; digits++, n *= 10) {
        char want[64];
        snprintf(want, sizeof want, "[%llu,%llu]", (unsigned long long)n, (unsigned long long)(n - 1));
        mf_message *m = mf_msg("[U,U]", n, n - 1);
        cr_assert(eq(str, json_of(m), want));
        mf_message_unref(m);
    }
    mf_message *m = mf_msg("[I,I,i,U]", INT64_MIN, INT64_MAX, -1, UINT64_MAX);
    cr_assert(eq(str, json_of(m), "[-9223372036854775808,9223372036854775807,-1,18446744073709551615]"));
    mf_message_unref(m);
}

/* Plain characters are looked for eight at a time. */
Test(codec_json, what_needs_an_escape_is_escaped_at_every_place_of_a_text)
{
    static const struct { const char *raw, *escaped; } cases[] = {
        {"\"", "\\\""}, {"\\", "\\\\"}, {"\x01", "\\u0001"}, {"\x1f", "\\u001f"}, {"\n", "\\n"}, {" ", " "}, {"!", "!"}, {"#", "#"}, {"[", "["},
        {"]", "]"}, {"\x7f", "\x7f"}, {"\xc3\xa9", "\xc3\xa9"}, {"\xc2\xa2\"", "\xc2\xa2\\\""}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int before = 0; before < 20; before++)
            for (int after = 0; after < 12; after++) {
                char text[64], want[64];
                snprintf(text, sizeof text, "%.*s%s%.*s", before, "xxxxxxxxxxxxxxxxxxxx", cases[c].raw, after, "yyyyyyyyyyyy");
                snprintf(want, sizeof want, "\"%.*s%s%.*s\"", before, "xxxxxxxxxxxxxxxxxxxx", cases[c].escaped, after, "yyyyyyyyyyyy");
                mf_message *m = mf_msg("s", text);
                cr_assert(eq(str, json_of(m), want));
                mf_message_unref(m);
            }
}

Test(codec_json, a_long_text_is_written_whole)
{
    counting_allocator c;
    counting_init(&c);
    char *long_text = malloc(100000), *json;
    size_t len;
    memset(long_text, '"', 100000);
    mf_message *m = mf_msg("[S]", mf_str_of(long_text, 100000));
    cr_assert(eq(int, mf_message_to_json(m, &c.allocator, &json, &len, &err), MF_OK));
    cr_assert(eq(sz, len, 200004));
    cr_assert(eq(chr, json[len], '\0'));
    mf_json_free(&c.allocator, json, len);
    mf_json_free(&c.allocator, NULL, 0);
    assert_nothing_out(&c);
    mf_message_unref(m);
    free(long_text);
}
