#include "codec_support.h"

#include <math.h>

#define BYTES(s) mf_str_of(s, sizeof(s) - 1)

static mf_status read_bytes(mf_str bytes, const mf_limits *limits, mf_error *err)
{
    mf_message *m = NULL;
    counting_allocator c;
    counting_init(&c);
    mf_status st = mf_message_from_bytes(bytes, limits, &c.allocator, &m, err);
    if (st != MF_OK)
        cr_assert(eq(long, atomic_load(&c.calls), 0));    /* refused before anything is allocated */
    mf_message_unref(m);
    assert_nothing_out(&c);
    return st;
}

/* Every head there is, with a body where it wants one. */
static const struct { const char *at; size_t len; mf_type type; } corpus[] = {
#define ROW(s, type) {s, sizeof(s) - 1, type}
    ROW("\xc0", MF_TYPE_NIL), ROW("\xc2", MF_TYPE_BOOL), ROW("\xc3", MF_TYPE_BOOL), ROW("\x07", MF_TYPE_INT),
    ROW("\xff", MF_TYPE_INT), ROW("\xcc\x80", MF_TYPE_INT), ROW("\xcd\x80\x01", MF_TYPE_INT),
    ROW("\xce\x80\x01\x02\x03", MF_TYPE_INT), ROW("\xcf\x80\x01\x02\x03\x04\x05\x06\x07", MF_TYPE_INT),
    ROW("\xd0\x80", MF_TYPE_INT), ROW("\xd1\x80\x01", MF_TYPE_INT), ROW("\xd2\x80\x01\x02\x03", MF_TYPE_INT),
    ROW("\xd3\x80\x01\x02\x03\x04\x05\x06\x07", MF_TYPE_INT), ROW("\xca\x3f\x80\x00\x00", MF_TYPE_FLOAT),
    ROW("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", MF_TYPE_FLOAT), ROW("\xa3""abc", MF_TYPE_STR),
    ROW("\xd9\x03""abc", MF_TYPE_STR), ROW("\xda\x00\x03""abc", MF_TYPE_STR), ROW("\xdb\x00\x00\x00\x03""abc", MF_TYPE_STR),
    ROW("\xc4\x03""abc", MF_TYPE_BIN), ROW("\xc5\x00\x03""abc", MF_TYPE_BIN), ROW("\xc6\x00\x00\x00\x03""abc", MF_TYPE_BIN),
    ROW("\xd4\x05""a", MF_TYPE_EXT), ROW("\xd5\x05""ab", MF_TYPE_EXT), ROW("\xd6\xff""abcd", MF_TYPE_EXT),
    ROW("\xd7\x05""abcdefgh", MF_TYPE_EXT), ROW("\xd8\x05""abcdefghabcdefgh", MF_TYPE_EXT),
    ROW("\xc7\x03\x05""abc", MF_TYPE_EXT), ROW("\xc8\x00\x03\x05""abc", MF_TYPE_EXT),
    ROW("\xc9\x00\x00\x00\x03\x05""abc", MF_TYPE_EXT), ROW("\x92\x01\x02", MF_TYPE_ARRAY),
    ROW("\xdc\x00\x02\x01\x02", MF_TYPE_ARRAY), ROW("\xdd\x00\x00\x00\x02\x01\x02", MF_TYPE_ARRAY),
    ROW("\x82\xa1""a\x01\xa1""b\x90", MF_TYPE_MAP), ROW("\xde\x00\x01\xa1""a\x01", MF_TYPE_MAP),
    ROW("\xdf\x00\x00\x00\x01\xa1""a\x81\x05\xc0", MF_TYPE_MAP),
};

Test(codec_reader, every_head_is_read)
{
    for (size_t i = 0; i < sizeof corpus / sizeof corpus[0]; i++) {
        mf_message *m;
        mf_error err = {0};
        mf_str bytes = mf_str_of(corpus[i].at, corpus[i].len);
        cr_assert(eq(int, mf_message_from_bytes(bytes, NULL, NULL, &m, &err), MF_OK), "%s: %s", hex(bytes), err.text);
        cr_assert(eq(int, mf_value_type(mf_message_value(m)), corpus[i].type), "%s", hex(bytes));
        cr_assert(mf_str_eq(mf_message_bytes(m), bytes));
        mf_message_unref(m);
    }
}

Test(codec_reader, every_proper_prefix_and_every_extension_is_refused)
{
    for (size_t i = 0; i < sizeof corpus / sizeof corpus[0]; i++) {
        char longer[32];
        mf_error err = {0};
        for (size_t len = 0; len < corpus[i].len; len++) {
            /* On the heap at its very end, so that a read beyond it is seen. */
            char *torn = malloc(len + 1);
            memcpy(torn, corpus[i].at, len);
            torn = realloc(torn, len == 0 ? 1 : len);
            cr_assert(eq(int, read_bytes(mf_str_of(torn, len), NULL, &err), MF_E_MALFORMED), "row %zu, %zu bytes", i, len);
            free(torn);
        }
        memcpy(longer, corpus[i].at, corpus[i].len);
        longer[corpus[i].len] = '\x01';
        cr_assert(eq(int, read_bytes(mf_str_of(longer, corpus[i].len + 1), NULL, &err), MF_E_MALFORMED));
        cr_assert(ne(ptr, strstr(err.text, "after the value"), NULL));
    }
}

Test(codec_reader, a_count_is_believed_only_up_to_the_bytes_that_follow)
{
    static const char *const bombs[] = {"\xdb\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
                                        "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff\x01", "\xdd\x10\x00\x00\x00",
                                        "\xdf\x80\x00\x00\x00"};
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        mf_error err = {0};
        size_t len = bombs[i][0] == '\xc9' ? 6 : 5;
        cr_assert(eq(int, read_bytes(mf_str_of(bombs[i], len), NULL, &err), MF_E_MALFORMED), "bomb %zu", i);
        cr_assert(ne(ptr, strstr(err.text, "with 0 bytes left"), NULL), "%s", err.text);
    }
}

Test(codec_reader, depth_is_limited)
{
    char deep[1000];
    mf_error err = {0};
    memset(deep, '\x91', sizeof deep);
    deep[32] = '\x01';
    cr_assert(eq(int, read_bytes(mf_str_of(deep, 33), NULL, &err), MF_OK), "%s", err.text);
    memset(deep, '\x91', sizeof deep);
    deep[33] = '\x01';
    cr_assert(eq(int, read_bytes(mf_str_of(deep, 34), NULL, &err), MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "msgpack: deeper than 32 at offset 32"));
    cr_assert(eq(int, read_bytes(mf_str_of(deep, 34), MF_LIMITS(.depth = 33), &err), MF_OK));
    memset(deep, '\x91', sizeof deep);
    cr_assert(eq(int, read_bytes(mf_str_of(deep, sizeof deep), MF_LIMITS(.depth = MF_DEPTH_MAX), &err), MF_E_TOO_BIG));
    cr_assert(eq(int, read_bytes(mf_str_of(deep, 1), MF_LIMITS(.depth = MF_DEPTH_MAX + 1), &err), MF_E_INVALID));
}

Test(codec_reader, bytes_and_elements_are_limited)
{
    mf_error err = {0};
    cr_assert(eq(int, read_bytes(BYTES("\xa3""abc"), MF_LIMITS(.bytes = 3), &err), MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "msgpack: 4 bytes, the limit is 3"));
    cr_assert(eq(int, read_bytes(BYTES("\x92\x92\x01\x02\x81\x01\x02"), MF_LIMITS(.elements = 4), &err), MF_E_TOO_BIG));
    cr_assert(eq(int, read_bytes(BYTES("\x92\x92\x01\x02\x81\x01\x02"), MF_LIMITS(.elements = 5), &err), MF_OK));
    char *many = calloc(1, 70000);
    memcpy(many, "\xdd\x00\x01\x00\x01", 5);
    cr_assert(eq(int, read_bytes(mf_str_of(many, 5 + 65537), NULL, &err), MF_E_TOO_BIG));
    memcpy(many, "\xdd\x00\x01\x00\x00", 5);
    cr_assert(eq(int, read_bytes(mf_str_of(many, 5 + 65536), NULL, &err), MF_OK));
    free(many);
}

Test(codec_reader, text_must_be_utf8_and_keys_scalars)
{
    static const char *const bad[] = {"\x80", "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "a\xffz"};
    mf_error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char bytes[40];
        for (size_t shift = 0; shift < 20; shift++) {    /* at every place of the eight-byte stride */
            size_t len = shift + strlen(bad[i]);
            bytes[0] = (char)(0xa0 + len);
            memset(bytes + 1, 'x', shift);
            memcpy(bytes + 1 + shift, bad[i], strlen(bad[i]));
            cr_assert(eq(int, read_bytes(mf_str_of(bytes, len + 1), NULL, &err), MF_E_MALFORMED), "%zu at %zu", i, shift);
        }
    }
    cr_assert(eq(int, read_bytes(BYTES("\xaf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdxyz"), NULL, &err), MF_OK));
    cr_assert(eq(int, read_bytes(BYTES("\x81\x90\x01"), NULL, &err), MF_E_MALFORMED));
    cr_assert(eq(str, err.text, "msgpack: an array as a key at offset 1"));
    cr_assert(eq(int, read_bytes(BYTES("\xc1"), NULL, &err), MF_E_MALFORMED));
    cr_assert(eq(str, err.text, "msgpack: byte 0xc1 at offset 0 begins no value"));
}

Test(codec_reader, numbers_are_never_converted_with_loss)
{
    static const struct { const char *at; size_t len; int i, u, f; } rows[] = {
        {"\x05", 1, 1, 1, 1}, {"\xff", 1, 1, 0, 1}, {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0, 1, 0},
        {"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9, 0, 1, 1}, {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, 1, 0, 1},
        {"\xcf\x00\x20\x00\x00\x00\x00\x00\x01", 9, 1, 1, 0}, {"\xcf\x00\x20\x00\x00\x00\x00\x00\x00", 9, 1, 1, 1},
        {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, 0, 0, 1}, {"\xa1""1", 2, 0, 0, 0}, {"\xc0", 1, 0, 0, 0},
        {"\xc3", 1, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mf_value v = {(const unsigned char *)rows[i].at, rows[i].len};
        int64_t n = 77;
        uint64_t u = 77;
        double f = 77;
        cr_assert(eq(int, mf_value_int(v, &n) == MF_OK, rows[i].i), "row %zu", i);
        cr_assert(eq(int, mf_value_uint(v, &u) == MF_OK, rows[i].u), "row %zu", i);
        cr_assert(eq(int, mf_value_float(v, &f) == MF_OK, rows[i].f), "row %zu", i);
        bool untouched = (rows[i].i || n == 77) && (rows[i].u || u == 77) && (rows[i].f || f == 77);
        cr_assert(untouched, "row %zu", i);
    }
    double f;
    cr_assert(eq(int, mf_value_float((mf_value){(const unsigned char *)"\xca\x3f\xc0\x00\x00", 5}, &f), MF_OK));
    cr_assert(eq(dbl, f, 1.5));
}

Test(codec_reader, a_map_is_read_by_key_and_the_last_of_two_counts)
{
    mf_message *m = mf_msg("{s:i, s:{s:i}, s:i}", "a", 1, "b", "c", 2, "a", 3);
    mf_value map = mf_message_value(m), v;
    int64_t n = 0;
    cr_assert(eq(sz, mf_value_count(map), 3));
    cr_assert(mf_value_get(map, MF_STR_LIT("a"), &v));
    cr_assert(eq(int, mf_value_int(v, &n), MF_OK));
    cr_assert(eq(i64, n, 3));
    cr_assert(not(mf_value_get(map, MF_STR_LIT("c"), &v)));
    cr_assert(eq(int, mf_value_type(v), MF_TYPE_NONE));
    cr_assert(not(mf_value_at(map, 0, &v)));
    mf_message_unref(m);
}

Test(codec_reader, a_key_is_found_in_whatever_form_it_was_written_and_behind_whatever_value)
{
    static const char *const values[] = {"\x01", "\xff", "\xc0", "\x90", "\x80", "\x92\x81\xa1k\x90\xc3", "\xdc\x00\x01\xd9\x01z",
                                         "\xcd\x01\x02", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", "\xc4\x01k", "\xd4\x05k", "\xa3kkk"};
    static const size_t lens[] = {1, 1, 1, 1, 1, 6, 6, 3, 9, 3, 3, 4};
    const mf_str keys[] = {BYTES("\xa1k"), BYTES("\xd9\x01k"), BYTES("\xda\x00\x01k"), BYTES("\xdb\x00\x00\x00\x01k")};
    for (size_t v = 0; v < sizeof lens / sizeof lens[0]; v++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            char map[64] = "\x83\xa1j";
            size_t len = 3;
            memcpy(map + len, values[v], lens[v]);
            len += lens[v];
            memcpy(map + len, keys[k].at, keys[k].len);
            len += keys[k].len;
            map[len++] = 7;
            map[len++] = 5;     /* a key that is no text */
            memcpy(map + len, values[v], lens[v]);
            len += lens[v];
            mf_message *m;
            mf_value value;
            int64_t n = 0;
            cr_assert(eq(int, mf_message_from_bytes(mf_str_of(map, len), NULL, NULL, &m, NULL), MF_OK), "%zu, %zu", v, k);
            cr_assert(mf_value_get(mf_message_value(m), MF_STR_LIT("k"), &value), "%zu, %zu", v, k);
            cr_assert(eq(int, mf_value_int(value, &n), MF_OK));
            cr_assert(eq(i64, n, 7), "%zu, %zu", v, k);
            cr_assert(not(mf_value_get(mf_message_value(m), MF_STR_LIT("kk"), &value)));
            cr_assert(not(mf_value_get(mf_message_value(m), MF_STR_LIT(""), &value)));
            mf_message_unref(m);
        }
}

Test(codec_reader, an_array_is_read_by_index_and_in_order)
{
    mf_message *m = mf_msg("[i,[i,i],s]", 1, 2, 3, "x");
    mf_value array = mf_message_value(m), v, key;
    cr_assert(mf_value_at(array, 2, &v));
    cr_assert(eq(int, mf_value_type(v), MF_TYPE_STR));
    cr_assert(not(mf_value_at(array, 3, &v)));
    cr_assert(not(mf_value_get(array, MF_STR_LIT("x"), &v)));
    mf_iter items = mf_value_iter(array);
    static const mf_type want[] = {MF_TYPE_INT, MF_TYPE_ARRAY, MF_TYPE_STR};
    for (int i = 0; i < 3; i++) {
        cr_assert(mf_iter_next(&items, &key, &v));
        cr_assert(eq(int, mf_value_type(key), MF_TYPE_NONE));
        cr_assert(eq(int, mf_value_type(v), want[i]));
    }
    cr_assert(not(mf_iter_next(&items, &key, &v)));
    mf_message_unref(m);
}

Test(codec_reader, the_absent_value_answers_everything)
{
    mf_value none = mf_message_value(NULL), v;
    mf_str s;
    int8_t type;
    bool yes;
    mf_iter items = mf_value_iter(none);
    cr_assert(eq(int, mf_value_type(none), MF_TYPE_NONE));
    cr_assert(eq(int, mf_value_str(none, &s), MF_E_TYPE));
    cr_assert(eq(int, mf_value_bin(none, &s), MF_E_TYPE));
    cr_assert(eq(int, mf_value_ext(none, &type, &s), MF_E_TYPE));
    cr_assert(eq(int, mf_value_bool(none, &yes), MF_E_TYPE));
    cr_assert(eq(sz, mf_value_count(none), 0));
    cr_assert(not(mf_iter_next(&items, NULL, &v)));
    for (int type_ = MF_TYPE_NONE; type_ <= MF_TYPE_EXT; type_++)
        cr_assert(mf_type_name((mf_type)type_) != NULL);
}
