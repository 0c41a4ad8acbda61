#include "codec_support.h"

static mf_builder b;

static void start(void)
{
    mf_builder_init(&b, NULL, NULL);
}

static void stop(void)
{
    mf_builder_fini(&b);
    mf_builder_fini(&b);
}

TestSuite(codec_builder, .init = start, .fini = stop);

static char *finished(void)
{
    mf_message *m;
    mf_error err = {0};
    mf_status st = mf_builder_finish(&b, &m, &err);
    if (st != MF_OK) {
        static char text[MF_ERROR_TEXT_MAX];
        memcpy(text, err.text, sizeof text);
        return text;
    }
    char *bytes = hex_of(m);
    mf_message_unref(m);
    return bytes;
}

Test(codec_builder, counted_containers_close_themselves)
{
    mf_build_map(&b, 2);
    mf_build_key(&b, "a");
    mf_build_array(&b, 2);
    mf_build_int(&b, 1);
    mf_build_array(&b, 0);
    mf_build_key(&b, "b");
    mf_build_bin(&b, mf_str_of("\x01", 1));
    cr_assert(eq(str, finished(), "82a161920190a162c40101"));
}

Test(codec_builder, an_endless_container_has_the_same_bytes_as_a_counted_one)
{
    static const size_t counts[] = {0, 1, 15, 16, 255, 65535, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        mf_message *endless, *counted;
        mf_build_array_begin(&b);
        for (size_t n = 0; n < counts[i]; n++)
            mf_build_int(&b, (int64_t)n);
        mf_build_end(&b);
        cr_assert(eq(int, mf_builder_finish(&b, &endless, NULL), MF_OK), "%zu", counts[i]);
        mf_build_array(&b, counts[i]);
        for (size_t n = 0; n < counts[i]; n++)
            mf_build_int(&b, (int64_t)n);
        cr_assert(eq(int, mf_builder_finish(&b, &counted, NULL), MF_OK), "%zu", counts[i]);
        cr_assert(mf_str_eq(mf_message_bytes(endless), mf_message_bytes(counted)), "%zu", counts[i]);
        mf_message_unref(endless);
        mf_message_unref(counted);
    }
}

Test(codec_builder, endless_maps_nest_in_counted_ones)
{
    mf_build_array(&b, 2);
    mf_build_map_begin(&b);
    for (int i = 0; i < 16; i++) {
        mf_build_uint(&b, (uint64_t)i);
        mf_build_nil(&b);
    }
    mf_build_end(&b);
    mf_build_bool(&b, true);
    cr_assert(eq(str, finished(), "92de001000c001c002c003c004c005c006c007c008c009c00ac00bc00cc00dc00ec00fc0c3"));
}

Test(codec_builder, an_incomplete_shape_is_refused)
{
    cr_assert(eq(str, finished(), "message: nothing was built"));
    mf_build_map(&b, 1);
    mf_build_key(&b, "a");
    cr_assert(eq(str, finished(), "message: an array or a map is incomplete"));
    mf_build_array_begin(&b);
    cr_assert(eq(str, finished(), "message: an array or a map is incomplete"));
    mf_build_map_begin(&b);
    mf_build_key(&b, "a");
    mf_build_end(&b);
    cr_assert(eq(str, finished(), "message: a key without a value"));
    mf_build_nil(&b);
    mf_build_nil(&b);
    cr_assert(eq(str, finished(), "message: a second value after the first is complete"));
    mf_build_end(&b);
    cr_assert(eq(str, finished(), "message: an end with nothing open"));
    mf_build_array(&b, 2);
    mf_build_end(&b);
    cr_assert(eq(str, finished(), "message: an end while a counted array or map is incomplete"));
    mf_build_map(&b, 1);
    mf_build_array(&b, 0);
    cr_assert(eq(str, finished(), "message: an array or a map as a key"));
}

Test(codec_builder, the_first_failure_sticks_until_finish)
{
    mf_build_array_begin(&b);
    mf_build_str(&b, mf_str_of("\xc3(", 2));
    cr_assert(eq(int, mf_builder_status(&b), MF_E_INVALID));
    mf_build_end(&b);
    mf_build_int(&b, 1);
    cr_assert(eq(str, finished(), "message: text that is not UTF-8"));
    cr_assert(eq(int, mf_builder_status(&b), MF_OK));
    mf_build_int(&b, 1);
    cr_assert(eq(str, finished(), "01"));
}

Test(codec_builder, limits_hold_while_building)
{
    mf_builder_init(&b, NULL, MF_LIMITS(.bytes = 4));
    mf_build_bin(&b, mf_str_of("abc", 3));
    cr_assert(eq(str, finished(), "message: more bytes than the limit"));
    mf_builder_init(&b, NULL, MF_LIMITS(.depth = 2));
    mf_build_array(&b, 1);
    mf_build_array(&b, 1);
    mf_build_array(&b, 0);
    cr_assert(eq(str, finished(), "message: deeper than the limit"));
    mf_builder_init(&b, NULL, MF_LIMITS(.elements = 3));
    mf_build_array(&b, 4);
    cr_assert(eq(str, finished(), "message: more elements than the limit"));
    mf_build_array_begin(&b);
    for (int i = 0; i < 4; i++)
        mf_build_map(&b, 0);
    cr_assert(eq(int, mf_builder_status(&b), MF_E_TOO_BIG));
    cr_assert(eq(str, finished(), "message: more elements than the limit"));
    mf_build_array(&b, SIZE_MAX / 2 + 2);
    cr_assert(eq(str, finished(), "message: more elements than the limit"));
    mf_builder_init(&b, NULL, MF_LIMITS(.depth = MF_DEPTH_MAX + 1));
    mf_build_nil(&b);
    cr_assert(eq(str, finished(), "message: limits that break their rules"));
    mf_builder_init(&b, NULL, &(mf_limits){0});
    cr_assert(eq(int, mf_builder_status(&b), MF_E_INVALID));
}

Test(codec_builder, a_spliced_message_counts_towards_the_limits)
{
    mf_message *inner = mf_msg("[[i,i],i]", 1, 2, 3);
    mf_builder_init(&b, NULL, MF_LIMITS(.depth = 2));
    mf_build_array(&b, 1);
    mf_build_message(&b, inner);
    cr_assert(eq(str, finished(), "message: deeper than the limit"));
    mf_builder_init(&b, NULL, MF_LIMITS(.elements = 4));
    mf_build_array(&b, 1);
    mf_build_message(&b, inner);
    cr_assert(eq(str, finished(), "message: more elements than the limit"));
    mf_builder_init(&b, NULL, MF_LIMITS(.elements = 5, .depth = 3));
    mf_build_array(&b, 1);
    mf_build_value(&b, mf_message_value(inner));
    cr_assert(eq(str, finished(), "919292010203"));
    mf_build_map(&b, 1);
    mf_build_message(&b, inner);
    cr_assert(eq(str, finished(), "message: an array or a map as a key"));
    mf_message_unref(inner);
}

Test(codec_builder, a_value_that_is_not_whole_is_refused)
{
    mf_build_value(&b, (mf_value){(const unsigned char *)"\x92\x01", 2});
    cr_assert(eq(str, finished(), "message: a value that is not whole"));
}

/* Short texts are copied and looked at in pieces, whose bounds depend on the length. */
Test(codec_builder, text_is_checked_at_every_place_of_every_length)
{
    char text[48];
    for (size_t len = 1; len <= 40; len++)
        for (size_t place = 0; place < len; place++) {
            mf_message *built, *read;
            memset(text, 'x', sizeof text);
            mf_build_str(&b, mf_str_of(text, len));
            cr_assert(eq(int, mf_builder_finish(&b, &built, NULL), MF_OK));
            mf_str bytes = mf_message_bytes(built), back;
            cr_assert(eq(int, mf_value_str(mf_message_value(built), &back), MF_OK));
            cr_assert(mf_str_eq(back, mf_str_of(text, len)), "%zu bytes", len);

            ((char *)(uintptr_t)bytes.at)[bytes.len - len + place] = '\xff';     /* nobody else has this message */
            cr_assert(eq(int, mf_message_from_bytes(bytes, NULL, NULL, &read, NULL), MF_E_MALFORMED), "%zu of %zu", place, len);
            mf_message_unref(built);
            text[place] = '\xff';
            mf_build_str(&b, mf_str_of(text, len));
            cr_assert(eq(int, mf_builder_finish(&b, &built, NULL), MF_E_INVALID), "%zu of %zu", place, len);

            memcpy(text + place, "\xe2\x82\xac", 3);
            bool whole = place + 3 <= len;
            mf_build_str(&b, mf_str_of(text, len));
            mf_status st = mf_builder_finish(&b, &built, NULL);
            cr_assert(eq(int, st, whole ? MF_OK : MF_E_INVALID), "%zu of %zu", place, len);
            if (!whole)
                continue;
            cr_assert(eq(int, mf_value_str(mf_message_value(built), &back), MF_OK));
            cr_assert(mf_str_eq(back, mf_str_of(text, len)), "%zu of %zu", place, len);
            cr_assert(eq(int, mf_message_from_bytes(mf_message_bytes(built), NULL, NULL, &read, NULL), MF_OK));
            mf_message_unref(read);
            mf_message_unref(built);
        }
}

Test(codec_builder, a_message_is_one_allocation_of_its_size)
{
    counting_allocator c;
    counting_init(&c);
    mf_message *m;
    mf_builder_init(&b, &c.allocator, NULL);
    mf_build_map(&b, 1);
    mf_build_key(&b, "path");
    mf_build_str(&b, MF_STR_LIT("a.png"));
    cr_assert(eq(int, mf_builder_finish(&b, &m, NULL), MF_OK));
    cr_assert(eq(long, atomic_load(&c.calls), 1));
    cr_assert(atomic_load(&c.bytes) <= 32 + (long)mf_message_bytes(m).len);
    mf_message_unref(m);
    assert_nothing_out(&c);
}

Test(codec_builder, a_long_message_outgrows_the_stack_and_leaks_nothing)
{
    counting_allocator c;
    counting_init(&c);
    mf_message *m;
    mf_builder_init(&b, &c.allocator, NULL);
    mf_build_array_begin(&b);
    for (int i = 0; i < 20000; i++)
        mf_build_int(&b, i);
    mf_build_end(&b);
    cr_assert(eq(int, mf_builder_finish(&b, &m, NULL), MF_OK));
    cr_assert(eq(long, atomic_load(&c.live), 1));
    cr_assert(eq(sz, mf_value_count(mf_message_value(m)), 20000));
    mf_message_unref(m);
    mf_build_array_begin(&b);
    mf_build_str(&b, mf_str_of(calloc(1, 5000), 5000));
    mf_builder_fini(&b);
    assert_nothing_out(&c);
}
