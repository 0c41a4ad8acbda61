#include "codec_support.h"

#include <math.h>

/* Text with its length, for what holds NUL. */
#define TEXT(s) mf_str_of(s, sizeof(s) - 1)

static void assert_bytes(mf_message *message, const char *want)
{
    cr_assert(eq(int, mf_message_status(message), MF_OK), "%s", want);
    cr_assert(eq(str, hex_of(message), (char *)want));
    mf_message_unref(message);
}

Test(codec_message, each_letter_writes_its_shortest_form)
{
    assert_bytes(mf_msg("n"), "c0");
    assert_bytes(mf_msg("b", 0), "c2");
    assert_bytes(mf_msg("b", 7), "c3");
    assert_bytes(mf_msg("i", 0), "00");
    assert_bytes(mf_msg("i", 127), "7f");
    assert_bytes(mf_msg("i", 128), "cc80");
    assert_bytes(mf_msg("i", 256), "cd0100");
    assert_bytes(mf_msg("i", 65536), "ce00010000");
    assert_bytes(mf_msg("i", -1), "ff");
    assert_bytes(mf_msg("i", -32), "e0");
    assert_bytes(mf_msg("i", -33), "d0df");
    assert_bytes(mf_msg("i", -129), "d1ff7f");
    assert_bytes(mf_msg("i", -32769), "d2ffff7fff");
    assert_bytes(mf_msg("I", INT64_MIN), "d38000000000000000");
    assert_bytes(mf_msg("I", INT64_MAX), "cf7fffffffffffffff");
    assert_bytes(mf_msg("U", UINT64_MAX), "cfffffffffffffffff");
    assert_bytes(mf_msg("f", 1.0), "cb3ff0000000000000");
    assert_bytes(mf_msg("f", -0.0), "cb8000000000000000");
    assert_bytes(mf_msg("s", "a"), "a161");
    assert_bytes(mf_msg("s", (const char *)NULL), "c0");
    assert_bytes(mf_msg("S", TEXT("a\0b")), "a3610062");
    assert_bytes(mf_msg("S", mf_str_of(NULL, 0)), "a0");
    assert_bytes(mf_msg("B", TEXT("\xff\x00")), "c402ff00");
    assert_bytes(mf_msg("T", TEXT("a\xff\xc3\xa9\xc3")), "a961efbfbdc3a9efbfbd");
    assert_bytes(mf_msg("v", (mf_value){NULL, 0}), "c0");
    assert_bytes(mf_msg("m", (const mf_message *)NULL), "c0");
    assert_bytes(mf_msg("m", (const mf_message *)mf_message_nil()), "c0");
}

Test(codec_message, maps_and_arrays_nest)
{
    assert_bytes(mf_msg("{}"), "80");
    assert_bytes(mf_msg("[]"), "90");
    assert_bytes(mf_msg(" { s : s , s:[ i, f ],\n\tS:{} } ", "p", "x", "at", 1, 0.5, TEXT("e")),
                 "83a170a178a261749201cb3fe0000000000000a16580");
    mf_message *inner = mf_msg("{s:i}", "n", 1);
    assert_bytes(mf_msg("[m,v,m]", inner, mf_message_value(inner), inner), "9381a16e0181a16e0181a16e01");
    mf_message_unref(inner);
}

/* The format keeps the shape by itself: what it says of it must be what a reading of the bytes says. */
Test(codec_message, a_format_of_many_values_has_the_elements_and_the_depth_of_its_bytes)
{
    mf_message *inner = mf_msg("{s:[i,i]}", "n", 1, 2), *read;
    mf_message *m = mf_msg("[i,[],{},m,{s:m,s:v,s:[[i],i],s:{s:i}},T,B,v,n,n,n,n,n,n,n,[n,m],i]", 1, inner, "a", inner, "b",
                           mf_message_value(inner), "c", 2, 3, "d", "e", 4, TEXT("t"), TEXT("b"), mf_message_value(inner), inner, 5);
    cr_assert(eq(int, mf_message_status(m), MF_OK));
    cr_assert(eq(int, mf_message_from_bytes(mf_message_bytes(m), NULL, NULL, &read, NULL), MF_OK));
    cr_assert(eq(str, hex(mf_str_of(mf_message_bytes(m).at, 3)), "dc0011"));
    enum { ELEMENTS = 17 + 3 * 5 + 4 + 2 + 1 + 1 + 2, DEPTH = 4 };
    mf_message *const both[] = {m, read};
    for (size_t i = 0; i < 2; i++) {
        mf_builder b;
        mf_message *copy;
        for (size_t less = 0; less < 2; less++) {
            mf_builder_init(&b, NULL, MF_LIMITS(.elements = ELEMENTS - less));
            mf_build_message(&b, both[i]);
            cr_assert(eq(int, mf_builder_finish(&b, &copy, NULL), less ? MF_E_TOO_BIG : MF_OK), "%zu, %zu less", i, less);
            if (!less)
                mf_message_unref(copy);
            mf_builder_init(&b, NULL, MF_LIMITS(.depth = (unsigned)(DEPTH - less)));
            mf_build_message(&b, both[i]);
            cr_assert(eq(int, mf_builder_finish(&b, &copy, NULL), less ? MF_E_TOO_BIG : MF_OK), "%zu, %zu less", i, less);
            if (!less)
                mf_message_unref(copy);
        }
    }
    mf_message_unref(read);
    mf_message_unref(m);
    mf_message_unref(inner);
}

Test(codec_message, a_malformed_format_gives_a_failed_message_and_never_null)
{
    static const char *const bad[] = {"", " ", "x", "{", "[", "{s", "{s:", "{i:i}", "{s:i", "{s:i,}", "[i,]", "[,]", "ii",
                                      "{}}", "[i i]", "{s?:i}", "}", "{s:}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_message *m = mf_msg(bad[i], "a", 1, 2, 3, 4);
        cr_assert(m != NULL);
        cr_assert(eq(int, mf_message_status(m), MF_E_INVALID), "%s", bad[i]);
        cr_assert(eq(sz, mf_message_bytes(m).len, 0));
        cr_assert(eq(int, mf_value_type(mf_message_value(m)), MF_TYPE_NONE));
        mf_message_unref(m);
        mf_message_unref(m);
    }
}

Test(codec_message, a_failed_message_passes_its_failure_on)
{
    mf_message *bad = mf_msg("s", "\xff");
    cr_assert(eq(int, mf_message_status(bad), MF_E_INVALID));
    cr_assert(eq(ptr, mf_message_ref(bad), bad));
    char *big = calloc(1, 2 << 20);
    mf_message *too_big = mf_msg("B", mf_str_of(big, 2 << 20));
    cr_assert(eq(int, mf_message_status(too_big), MF_E_TOO_BIG));
    mf_message *outer = mf_msg("[i,m]", 1, too_big);
    cr_assert(eq(int, mf_message_status(outer), MF_E_TOO_BIG));
    cr_assert(eq(int, mf_message_status(NULL), MF_E_INVALID));
    free(big);
}

Test(codec_message, a_format_deeper_than_the_limit_is_too_big)
{
    char fmt[201];
    for (int i = 0; i < 100; i++) {
        fmt[i] = '[';
        fmt[199 - i] = ']';
    }
    fmt[200] = '\0';
    cr_assert(eq(int, mf_message_status(mf_msg(fmt)), MF_E_TOO_BIG));
    memset(fmt + 32, ']', 32);
    fmt[64] = '\0';
    mf_message *m = mf_msg(fmt);
    cr_assert(eq(int, mf_message_status(m), MF_OK));
    cr_assert(eq(int, mf_message_status(mf_msg("[m]", m)), MF_E_TOO_BIG));
    mf_message_unref(m);
}

Test(codec_message, references_are_counted_and_the_last_one_frees)
{
    counting_allocator c;
    counting_init(&c);
    mf_message *m;
    cr_assert(eq(int, mf_message_from_bytes(TEXT("\x91\x05"), NULL, &c.allocator, &m, NULL), MF_OK));
    cr_assert(eq(long, atomic_load(&c.calls), 1));
    cr_assert(eq(ptr, mf_message_ref(m), m));
    mf_message_unref(m);
    cr_assert(eq(long, atomic_load(&c.live), 1));
    mf_message_unref(m);
    assert_nothing_out(&c);
    mf_message_unref(NULL);
    cr_assert(eq(ptr, mf_message_ref(NULL), NULL));
}

Test(codec_message, nil_is_static)
{
    for (int i = 0; i < 3; i++)
        mf_message_unref(mf_message_nil());
    cr_assert(eq(str, hex_of(mf_message_nil()), "c0"));
    cr_assert(eq(int, mf_message_status(mf_message_nil()), MF_OK));
}

Test(codec_message, a_value_becomes_a_message_of_its_own)
{
    mf_message *m = mf_msg("{s:{s:[i,i]}, s:n}", "a", "b", 1, 2, "c"), *copy;
    mf_value a;
    cr_assert(mf_value_get(mf_message_value(m), MF_STR_LIT("a"), &a));
    cr_assert(eq(int, mf_message_of_value(a, NULL, &copy, NULL), MF_OK));
    mf_message_unref(m);
    assert_bytes(copy, "81a162920102");
    cr_assert(eq(int, mf_message_of_value((mf_value){NULL, 0}, NULL, &copy, NULL), MF_OK));
    cr_assert(eq(ptr, copy, mf_message_nil()));
}
