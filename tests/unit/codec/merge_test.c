#include "codec_support.h"

#include "merge.h"

static mf_error err;

static char *merged(const char *under, const char *over)
{
    mf_message *u = from_json(under), *o = from_json(over), *out = NULL;
    mf_status st = mfi_message_merge(u, o, NULL, NULL, &out, &err);
    char *text = st == MF_OK ? json_of(out) : err.text;
    mf_message_unref(u);
    mf_message_unref(o);
    mf_message_unref(out);
    return text;
}

Test(codec_merge, over_wins_and_nested_maps_merge)
{
    static const struct { const char *under, *over, *want; } rows[] = {
        {"{}", "{}", "{}"},
        {"{\"a\":1}", "{}", "{\"a\":1}"},
        {"{}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"c\":4,\"b\":3}", "{\"a\":1,\"b\":3,\"c\":4}"},
        {"{\"a\":{\"x\":1,\"y\":{\"p\":1}}}", "{\"a\":{\"y\":{\"q\":2},\"z\":3}}",
         "{\"a\":{\"x\":1,\"y\":{\"p\":1,\"q\":2},\"z\":3}}"},
        {"{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
        {"{\"a\":{\"x\":1}}", "{\"a\":5}", "{\"a\":5}"},
        {"{\"a\":5}", "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1}}"},
        {"{\"a\":{\"x\":1}}", "{\"a\":null}", "{\"a\":null}"},
        {"null", "null", "null"},
        {"null", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1}", "null", "{\"a\":1}"},
        {"[1]", "{}", "merge: expected a map, got an array of 1"},
        {"{}", "\"text\"", "merge: expected a map, got the string \"text\""},
        {"null", "5", "merge: expected a map, got the integer 5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert(eq(str, merged(rows[i].under, rows[i].over), (char *)rows[i].want), "%s + %s", rows[i].under, rows[i].over);
}

Test(codec_merge, of_a_repeated_key_the_last_counts)
{
    mf_message *u = mf_msg("{s:i}", "a", 1), *o = mf_msg("{s:i,s:i}", "a", 2, "a", 3), *out;
    cr_assert(eq(int, mfi_message_merge(u, o, NULL, NULL, &out, &err), MF_OK));
    cr_assert(eq(str, json_of(out), "{\"a\":3}"));
    mf_message_unref(u);
    mf_message_unref(o);
    mf_message_unref(out);
}

Test(codec_merge, nothing_on_one_side_references_the_other)
{
    mf_message *m = mf_msg("{s:i}", "a", 1), *out;
    cr_assert(eq(int, mfi_message_merge(NULL, m, NULL, NULL, &out, &err), MF_OK));
    cr_assert(eq(ptr, out, m));
    mf_message_unref(out);
    cr_assert(eq(int, mfi_message_merge(m, mf_message_nil(), NULL, NULL, &out, &err), MF_OK));
    cr_assert(eq(ptr, out, m));
    mf_message_unref(out);
    mf_message_unref(m);
    cr_assert(eq(int, mfi_message_merge(mf_msg("?"), NULL, NULL, NULL, &out, &err), MF_E_INVALID));
}

Test(codec_merge, long_maps_merge_the_same_way)
{
    mf_builder b;
    mf_message *maps[2], *out;
    for (int side = 0; side < 2; side++) {
        mf_builder_init(&b, NULL, NULL);
        mf_build_map(&b, 300);
        for (int i = 0; i < 300; i++) {
            char key[16];
            snprintf(key, sizeof key, "k%d", (i * 7) % 300 + 150 * side);
            mf_build_key(&b, key);
            mf_build_int(&b, side);
        }
        cr_assert(eq(int, mf_builder_finish(&b, &maps[side], NULL), MF_OK));
    }
    cr_assert(eq(int, mfi_message_merge(maps[0], maps[1], NULL, NULL, &out, &err), MF_OK));
    cr_assert(eq(sz, mf_value_count(mf_message_value(out)), 450));
    for (int i = 0; i < 450; i++) {
        char key[16];
        mf_value v;
        int64_t side = -1;
        snprintf(key, sizeof key, "k%d", i);
        cr_assert(mf_value_get(mf_message_value(out), mf_cstr(key), &v), "%s", key);
        cr_assert(eq(int, mf_value_int(v, &side), MF_OK));
        cr_assert(eq(i64, side, i >= 150), "%s", key);
    }
    mf_message_unref(maps[0]);
    mf_message_unref(maps[1]);
    mf_message_unref(out);
}

Test(codec_merge, limits_hold)
{
    mf_message *u = mf_msg("{s:i}", "a", 1), *o = mf_msg("{s:i}", "b", 1), *out;
    cr_assert(eq(int, mfi_message_merge(u, o, NULL, MF_LIMITS(.elements = 1), &out, &err), MF_E_TOO_BIG));
    mf_message_unref(u);
    mf_message_unref(o);
}

static char *with(const char *map, const char *field, const char *value)
{
    mf_message *m = from_json(map), *v = from_json(value), *out = NULL;
    mf_status st = mfi_message_with(m, mf_cstr(field), mf_message_value(v), NULL, NULL, &out, &err);
    char *text = st == MF_OK ? json_of(out) : err.text;
    mf_message_unref(m);
    mf_message_unref(v);
    mf_message_unref(out);
    return text;
}

Test(codec_merge, one_field_is_set)
{
    cr_assert(eq(str, with("null", "a", "1"), "{\"a\":1}"));
    cr_assert(eq(str, with("{\"a\":1,\"b\":2}", "a", "[3]"), "{\"a\":[3],\"b\":2}"));
    cr_assert(eq(str, with("{\"a\":{\"x\":1}}", "b", "{}"), "{\"a\":{\"x\":1},\"b\":{}}"));
    cr_assert(eq(str, with("[1]", "a", "1"), "message: expected a map, got an array of 1"));
    mf_message *out;
    cr_assert(eq(int, mfi_message_with(NULL, MF_STR_LIT("a"), (mf_value){NULL, 0}, NULL, NULL, &out, &err), MF_OK));
    cr_assert(eq(str, json_of(out), "{\"a\":null}"));
    mf_message_unref(out);
}
