#include "codec_support.h"

#include <mageflow/fields.h>

#include <math.h>

struct box { double top; uint8_t shade; };
MF_FIELDS_STRICT(box, struct box, MF_FLOAT(top, .min = 0, .max = 1, .fallback = 0.5), MF_INT(shade, MF_REQUIRED));

struct resize_in {
    mf_str   path, raw, format;
    int      width;
    bool     fast;
    struct box box;
    mf_value any, tags, labels;
};
MF_FIELDS(resize_in, struct resize_in,
          MF_STR(path, MF_REQUIRED, .max_len = 8), MF_BIN(raw), MF_STR(format, .text_fallback = "png"),
          MF_INT(width, .min = 1, .max = 65535, .fallback = 640), MF_BOOL(fast, .fallback = 1), MF_NESTED(box, box),
          MF_VALUE(any, MF_RETURN, .name = "result"), MF_ARRAY(tags, .max = 2), MF_MAP(labels));

struct widths {
    int8_t i8; int16_t i16; int32_t i32; int64_t i64; uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64;
    long l; unsigned long long ull;
};
MF_FIELDS(widths, struct widths, MF_INT(i8), MF_INT(i16), MF_INT(i32), MF_INT(i64), MF_INT(u8), MF_INT(u16), MF_INT(u32),
          MF_INT(u64), MF_INT(l), MF_INT(ull));

static mf_error err;

static struct resize_in decoded(mf_message *m)
{
    struct resize_in in;
    mf_status st = mf_fields_decode(&resize_in, m, &in, &err);
    cr_assert(eq(int, st, MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_fields_validate(&resize_in, m, &err), MF_OK));
    return in;
}

Test(codec_fields, missing_and_nil_fields_take_their_fallback)
{
    mf_message *m = mf_msg("{s:s, s:n, s:n, s:n, s:n}", "path", "a.png", "width", "box", "tags", "result");
    struct resize_in in = decoded(m);
    cr_assert(mf_str_eq(in.path, MF_STR_LIT("a.png")));
    cr_assert(mf_str_eq(in.format, MF_STR_LIT("png")));
    cr_assert(in.raw.at == NULL && in.width == 640 && in.fast && in.box.top == 0.5 && in.box.shade == 0);
    cr_assert(eq(int, mf_value_type(in.any), MF_TYPE_NIL));
    cr_assert(in.tags.at == NULL && in.labels.at == NULL);
    mf_message_unref(m);
}

Test(codec_fields, every_kind_is_filled)
{
    mf_message *m = mf_msg("{s:s, s:B, s:s, s:i, s:b, s:{s:i, s:i}, s:[i], s:[s,s], s:{s:s}, s:i}", "path", "a.png", "raw",
                           mf_str_of("\x01\x02", 2), "format", "", "width", 65535, "fast", 0, "box", "top", 1, "shade", 255,
                           "result", 7, "tags", "a", "b", "labels", "k", "v", "unknown", 1);
    struct resize_in in = decoded(m);
    cr_assert(in.raw.len == 2 && in.format.len == 0 && in.format.at != NULL && in.width == 65535 && !in.fast);
    cr_assert(in.box.top == 1.0 && in.box.shade == 255);
    cr_assert(eq(sz, mf_value_count(in.any), 1));
    cr_assert(eq(sz, mf_value_count(in.tags), 2));
    cr_assert(eq(sz, mf_value_count(in.labels), 1));
    mf_message_unref(m);
}

static void assert_refused(mf_message *m, const char *text)
{
    struct resize_in in, zero;
    memset(&zero, 0, sizeof zero);
    memset(&in, 1, sizeof in);
    cr_assert(eq(int, mf_fields_decode(&resize_in, m, &in, &err), MF_E_INVALID), "%s", text);
    cr_assert(eq(str, err.text, (char *)text));
    cr_assert(eq(int, memcmp(&in, &zero, sizeof in), 0), "%s", text);
    cr_assert(eq(int, mf_fields_decode(&resize_in, m, &in, NULL), MF_E_INVALID));
    cr_assert(eq(int, mf_fields_validate(&resize_in, m, &err), MF_E_INVALID));
    cr_assert(eq(str, err.text, (char *)text));
    mf_message_unref(m);
}

Test(codec_fields, an_error_names_the_field_what_was_expected_and_what_came)
{
    assert_refused(mf_msg("{}"), "field \"path\": required, but missing");
    assert_refused(NULL, "field \"path\": required, but missing");
    assert_refused(mf_message_nil(), "field \"path\": required, but missing");
    assert_refused(mf_msg("[i]", 1), "resize_in: expected a map, got an array of 1");
    assert_refused(mf_msg("{s:n}", "path"), "field \"path\": expected a string, got nil");
    assert_refused(mf_msg("{s:i}", "path", 5), "field \"path\": expected a string, got the integer 5");
    assert_refused(mf_msg("{s:s}", "path", "123456789"), "field \"path\": expected a string of at most 8 bytes, got the string "
                                                         "\"123456789\"");
    assert_refused(mf_msg("{s:s, s:s}", "path", "", "raw", "x"), "field \"raw\": expected binary, got the string \"x\"");
    assert_refused(mf_msg("{s:s, s:s}", "path", "", "width", "wide"),
                   "field \"width\": expected an integer from 1 to 65535, got the string \"wide\"");
    assert_refused(mf_msg("{s:s, s:i}", "path", "", "width", 0),
                   "field \"width\": expected an integer from 1 to 65535, got the integer 0");
    assert_refused(mf_msg("{s:s, s:f}", "path", "", "width", 1.0),
                   "field \"width\": expected an integer from 1 to 65535, got the number 1");
    assert_refused(mf_msg("{s:s, s:i}", "path", "", "fast", 1), "field \"fast\": expected true or false, got the integer 1");
    assert_refused(mf_msg("{s:s, s:[]}", "path", "", "box"), "field \"box\": expected a map, got an array of 0");
    assert_refused(mf_msg("{s:s, s:{}}", "path", "", "box"), "field \"box.shade\": required, but missing");
    assert_refused(mf_msg("{s:s, s:{s:i}}", "path", "", "box", "shade", 256),
                   "field \"box.shade\": expected an integer from 0 to 255, got the integer 256");
    assert_refused(mf_msg("{s:s, s:{s:f}}", "path", "", "box", "top", 1.5),
                   "field \"box.top\": expected a number from 0 to 1, got the number 1.5");
    assert_refused(mf_msg("{s:s, s:{s:f}}", "path", "", "box", "top", (double)NAN),
                   "field \"box.top\": expected a number from 0 to 1, got the number nan");
    assert_refused(mf_msg("{s:s, s:{s:i, s:i}}", "path", "", "box", "shade", 1, "colour", 2),
                   "field \"colour\": unknown to box");
    assert_refused(mf_msg("{s:s, s:[i,i,i]}", "path", "", "tags", 1, 2, 3),
                   "field \"tags\": expected an array of 2 or less, got an array of 3");
    assert_refused(mf_msg("{s:s, s:b}", "path", "", "labels", 1), "field \"labels\": expected a map, got true");
    assert_refused(mf_msg("{s:B}", "path", mf_str_of("abc", 3)), "field \"path\": expected a string, got 3 bytes of binary");
}

Test(codec_fields, an_error_echoes_at_most_forty_bytes)
{
    char text[200] = {0}, accents[200] = {0};
    memset(text, 'x', 199);
    text[3] = '\n';
    assert_refused(mf_msg("{s:s}", "path", text), "field \"path\": expected a string of at most 8 bytes, got the string "
                   "\"xxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"");
    accents[0] = 'x';
    for (int i = 1; i < 199; i += 2)
        memcpy(accents + i, "\xc3\xa9", 2);
    mf_message *m = mf_msg("{s:s}", "path", accents);
    cr_assert(eq(int, mf_fields_validate(&resize_in, m, &err), MF_E_INVALID));
    mf_message *echoed = mf_msg("s", err.text);
    cr_assert(eq(int, mf_message_status(echoed), MF_OK), "cut inside a character");
    mf_message_unref(echoed);
    mf_message_unref(m);
}

Test(codec_fields, the_last_of_a_repeated_field_counts)
{
    mf_message *m = mf_msg("{s:s, s:i, s:i, s:{s:i,s:f}, s:{s:i}}", "path", "a", "width", 5, "width", 6, "box", "shade", 1,
                           "top", 1.0, "box", "shade", 2);
    struct resize_in in = decoded(m);
    cr_assert(in.width == 6 && in.box.shade == 2 && in.box.top == 0.5);
    mf_message_unref(m);
    m = mf_msg("{s:s, s:i, s:n}", "path", "a", "width", 5, "width");
    cr_assert(eq(int, decoded(m).width, 640));
    mf_message_unref(m);
}

Test(codec_fields, integers_of_every_width_keep_their_range)
{
    mf_message *m = mf_msg("{s:i,s:i,s:i,s:I,s:i,s:i,s:U,s:U,s:I,s:U}", "i8", -128, "i16", -32768, "i32", INT32_MIN, "i64",
                           INT64_MIN, "u8", 255, "u16", 65535, "u32", (uint64_t)UINT32_MAX, "u64", UINT64_MAX, "l", INT64_MAX,
                           "ull", (uint64_t)1 << 63);
    struct widths w;
    mf_message *again;
    cr_assert(eq(int, mf_fields_decode(&widths, m, &w, &err), MF_OK), "%s", err.text);
    cr_assert(w.i8 == -128 && w.i16 == -32768 && w.i32 == INT32_MIN && w.i64 == INT64_MIN && w.u8 == 255 && w.u16 == 65535);
    cr_assert(w.u32 == UINT32_MAX && w.u64 == UINT64_MAX && w.l == INT64_MAX && w.ull == (uint64_t)1 << 63);
    cr_assert(eq(int, mf_fields_encode(&widths, &w, NULL, &again, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, hex_of(again), hex_of(m)));
    mf_message_unref(again);
    mf_message_unref(m);

    static const struct { const char *name; int64_t low; uint64_t high; } beyond[] = {
        {"i8", -129, 128}, {"i16", -32769, 32768}, {"i32", -2147483649, 2147483648u}, {"i64", 0, 9223372036854775808u},
        {"u8", -1, 256}, {"u16", -1, 65536}, {"u32", -1, 4294967296u}, {"u64", -1, 0},
    };
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        if (beyond[i].low != 0) {
            m = mf_msg("{s:I}", beyond[i].name, beyond[i].low);
            cr_assert(eq(int, mf_fields_decode(&widths, m, &w, &err), MF_E_INVALID), "%s", beyond[i].name);
            mf_message_unref(m);
        }
        if (beyond[i].high != 0) {
            m = mf_msg("{s:U}", beyond[i].name, beyond[i].high);
            cr_assert(eq(int, mf_fields_decode(&widths, m, &w, &err), MF_E_INVALID), "%s", beyond[i].name);
            mf_message_unref(m);
        }
    }
}

Test(codec_fields, a_struct_is_encoded_under_the_same_rules)
{
    struct resize_in in = {.path = MF_STR_LIT("a.png"), .width = 640};
    mf_message *m;
    cr_assert(eq(int, mf_fields_encode(&resize_in, &in, NULL, &m, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, json_of(m), "{\"path\":\"a.png\",\"width\":640,\"fast\":false,\"box\":{\"top\":0.0,\"shade\":0}}"));
    mf_message_unref(m);
    in.width = 0;
    cr_assert(eq(int, mf_fields_encode(&resize_in, &in, NULL, &m, &err), MF_E_INVALID));
    cr_assert(eq(str, err.text, "field \"width\": expected an integer from 1 to 65535, got the integer 0"));
    in.width = 1;
    in.path = MF_STR_LIT("\xff");
    cr_assert(eq(int, mf_fields_encode(&resize_in, &in, NULL, &m, &err), MF_E_INVALID));
    cr_assert(eq(str, err.text, "field \"path\": text that is not UTF-8"));
    in.path = mf_str_of(NULL, 0);
    in.any = mf_message_value(mf_message_nil());
    cr_assert(eq(int, mf_fields_encode(&resize_in, &in, NULL, &m, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, json_of(m), "{\"path\":\"\",\"width\":1,\"fast\":false,\"box\":{\"top\":0.0,\"shade\":0},\"result\":null}"));
    mf_message_unref(m);
}

Test(codec_fields, the_return_field_has_its_name_on_the_wire)
{
    cr_assert(eq(int, mf_fields_return_index(&resize_in), 6));
    cr_assert(mf_str_eq(mf_fields_return_name(&resize_in), MF_STR_LIT("result")));
    cr_assert(eq(int, mf_fields_return_index(&widths), -1));
    cr_assert(mf_str_eq(mf_fields_return_name(&widths), MF_STR_LIT("mageflow_results")));
    cr_assert(mf_str_eq(mf_fields_return_name(NULL), MF_STR_LIT("mageflow_results")));
    cr_assert(eq(str, (char *)resize_in.name, "resize_in"));
    cr_assert(eq(sz, resize_in.size, sizeof(struct resize_in)));
    cr_assert(resize_in.count == 9 && !resize_in.strict && box.strict);
}

Test(codec_fields, the_schema_says_what_decoding_checks)
{
    mf_message *m;
    cr_assert(eq(int, mf_fields_schema(&resize_in, NULL, &m, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, json_of(m),
        "{\"type\":\"object\",\"title\":\"resize_in\",\"properties\":{"
        "\"path\":{\"type\":\"string\",\"maxLength\":8},"
        "\"raw\":{\"type\":\"string\",\"contentEncoding\":\"base64\"},"
        "\"format\":{\"type\":\"string\",\"default\":\"png\"},"
        "\"width\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,\"default\":640},"
        "\"fast\":{\"type\":\"boolean\",\"default\":true},"
        "\"box\":{\"type\":\"object\",\"title\":\"box\",\"properties\":{"
        "\"top\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"default\":0.5},"
        "\"shade\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":255}},"
        "\"required\":[\"shade\"],\"additionalProperties\":false},"
        "\"result\":{},"
        "\"tags\":{\"type\":\"array\",\"maxItems\":2},"
        "\"labels\":{\"type\":\"object\"}},"
        "\"required\":[\"path\"]}"));
    mf_message_unref(m);
}

Test(codec_fields, a_failed_message_answers_its_own_status)
{
    struct resize_in in;
    cr_assert(eq(int, mf_fields_decode(&resize_in, mf_msg("?"), &in, &err), MF_E_INVALID));
    cr_assert(eq(str, err.text, "resize_in: the message failed to build"));
    cr_assert(eq(int, mf_fields_validate(&resize_in, mf_msg("?"), NULL), MF_E_INVALID));
}

Test(codec_fields, a_table_of_too_many_rows_is_refused)
{
    mf_fields wide = widths;
    struct widths w;
    wide.count = MF_FIELDS_MAX + 1;
    cr_assert(eq(int, mf_fields_decode(&wide, NULL, &w, &err), MF_E_INVALID));
    cr_assert(eq(str, err.text, "table widths: 65 fields, at most 64 are possible"));
}
