#include "wire_support.h"

static mf_status read_pickle(mf_str bytes, mf_message **out, mf_error *err)
{
    *out = NULL;
    memset(err, 0, sizeof *err);
    return taskiq_pickle_read(bytes, NULL, NULL, out, err);
}

static void assert_reads(mf_str bytes, const char *json)
{
    mf_message *m;
    mf_error err;
    cr_assert(eq(int, read_pickle(bytes, &m, &err), MF_OK), "%s: %s", json, err.text);
    cr_assert(eq(str, json_of(mf_message_value(m)), (char *)json));
    mf_message_unref(m);
}

Test(taskiq_pickle, reads_each_opcode_of_data)
{
    assert_reads(BYTES("\x80\x02N."), "null");
    assert_reads(BYTES("\x80\x02\x88."), "true");
    assert_reads(BYTES("\x80\x02\x89."), "false");
    assert_reads(BYTES("\x80\x02K\xff."), "255");
    assert_reads(BYTES("\x80\x02M\x2c\x01."), "300");
    assert_reads(BYTES("\x80\x02J\xff\xff\xff\xff."), "-1");
    assert_reads(BYTES("\x80\x02\x8a\x00."), "0");
    assert_reads(BYTES("\x80\x02\x8a\x01\x80."), "-128");
    assert_reads(BYTES("\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00."), "18446744073709551615");
    assert_reads(BYTES("\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."), "-9223372036854775808");
    assert_reads(BYTES("\x80\x02\x8b\x02\x00\x00\x00\xff\x7f."), "32767");
    assert_reads(BYTES("\x80\x02G\x3f\xf8\0\0\0\0\0\0."), "1.5");
    assert_reads(BYTES("\x80\x02X\x02\0\0\0hi."), "\"hi\"");
    assert_reads(BYTES("\x80\x04\x8c\x02hi\x94."), "\"hi\"");
    assert_reads(BYTES("\x80\x04\x8d\x02\0\0\0\0\0\0\0hi."), "\"hi\"");
    assert_reads(BYTES("\x80\x03" "C\x02" "ab."), "\"YWI=\"");
    assert_reads(BYTES("\x80\x03" "B\x02\0\0\0" "ab."), "\"YWI=\"");
    assert_reads(BYTES("\x80\x02]."), "[]");
    assert_reads(BYTES("\x80\x02}."), "{}");
    assert_reads(BYTES("\x80\x02)."), "[]");
    assert_reads(BYTES("\x80\x02K\x01\x85."), "[1]");
    assert_reads(BYTES("\x80\x02K\x01K\x02K\x03\x87."), "[1,2,3]");
    assert_reads(BYTES("\x80\x02(K\x01K\x02K\x03K\x04t."), "[1,2,3,4]");
    assert_reads(BYTES("\x80\x02](K\x01]K\x02" "ae."), "[1,[2]]");
    assert_reads(BYTES("\x80\x02}X\x01\0\0\0aK\x01s."), "{\"a\":1}");
    assert_reads(BYTES("\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0bNu."), "{\"a\":1,\"b\":null}");
    assert_reads(BYTES("\x80\x02}(u."), "{}");
}

Test(taskiq_pickle, what_is_remembered_may_stand_in_several_places)
{
    assert_reads(BYTES("\x80\x02](X\x01\0\0\0aq\x00h\x00h\x00" "e."), "[\"a\",\"a\",\"a\"]");
    assert_reads(BYTES("\x80\x04](\x8c\x01" "a\x94h\x00" "e."), "[\"a\",\"a\"]");
    /* filled after it was fetched: both are the same list */
    assert_reads(BYTES("\x80\x02](]q\x01h\x01K\x05" "ae."), "[[5],[5]]");
    assert_reads(BYTES("\x80\x02](X\x01\0\0\0ar\x07\0\0\0j\x07\0\0\0e."), "[\"a\",\"a\"]");
}

Test(taskiq_pickle, every_opcode_that_names_or_calls_code_is_refused)
{
    static const mf_str hostile[] = {
        {"\x80\x02" "cos\nsystem\n(X\x02\0\0\0lstR.", 25},                        /* GLOBAL … REDUCE */
        {"\x80\x04\x8c\x02os\x8c\x06system\x93.", 16},                             /* STACK_GLOBAL */
        {"\x80\x02(ios\nsystem\n.", 14},                                           /* INST */
        {"\x80\x02(oN.", 6}, {"\x80\x02\x81.", 4}, {"\x80\x04\x92.", 4}, {"\x80\x02" "b.", 4}, {"\x80\x02R.", 4},
        {"\x80\x02Pid\n.", 7}, {"\x80\x02Q.", 4}, {"\x80\x02\x82\x01.", 5}, {"\x80\x02\x83\x01\x01.", 6},
        {"\x80\x02\x84\x01\x01\x01\x01.", 8}, {"\x80\x05\x97.", 4}, {"\x80\x05\x98.", 4},
        {"\x80\x04\x8f.", 4}, {"\x80\x04(\x91.", 5}, {"\x80\x02I12\n.", 7}, {"\x80\x02" "0.", 4},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        mf_message *m;
        mf_error err;
        cr_assert(eq(int, read_pickle(hostile[i], &m, &err), MF_E_UNSUPPORTED), "%zu: %s", i, err.text);
    }
}

Test(taskiq_pickle, what_is_torn_is_malformed)
{
    static const mf_str torn[] = {
        {"\x80\x02", 2}, {"\x80\x02N", 3}, {"\x80\x02.", 3}, {"\x80\x02N.N", 5}, {"\x80\x02NN.", 5}, {"\x80\x02K", 3},
        {"\x80\x02J\x01.", 5}, {"\x80\x02X\xff\xff\xff\xffhi.", 10}, {"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi.", 14},
        {"\x80\x04\x95\xff\0\0\0\0\0\0\0N.", 13}, {"\x80\x02h\x00.", 5}, {"\x80\x02\x94.", 4}, {"\x80\x02K\x01" "a.", 6},
        {"\x80\x02]K\x01s.", 7}, {"\x80\x02" "e.", 4}, {"\x80\x02(.", 4}, {"\x80\x02}(K\x01u.", 7}, {"\x80\x02}]Ns.", 6},
        {"\x80\x02(K\x01" "a.", 7}, {"\x80\x02)K\x01" "a.", 7}, {"\x80\x02\x85.", 4}, {"\x80\x02(\x85.", 5},
        {"\x80\x01N.", 4}, {"\x80\x06N.", 4}, {"\x80\x02\x8c\x05." "a.", 6}, {"\x80\x02G\0\0.", 6},
    };
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
        mf_message *m;
        mf_error err;
        mf_status st = read_pickle(torn[i], &m, &err);
        cr_assert(eq(int, st, MF_E_MALFORMED), "%zu: %s: %s", i, mf_status_name(st), err.text);
    }
}

Test(taskiq_pickle, text_that_is_no_utf8_and_integers_beyond_64_bits_are_refused)
{
    mf_message *m;
    mf_error err;
    cr_assert(eq(int, read_pickle(BYTES("\x80\x02X\x03\0\0\0\xed\xa0\xbd."), &m, &err), MF_E_INVALID), "%s", err.text);
    cr_assert(eq(int, read_pickle(BYTES("\x80\x02\x8a\x09\0\0\0\0\0\0\0\0\x01."), &m, &err), MF_E_TOO_BIG));
    cr_assert(eq(int, read_pickle(BYTES("\x80\x02\x8a\x09\0\0\0\0\0\0\0\0\xff."), &m, &err), MF_E_TOO_BIG),
              "-2^64 is beyond 64 bits");
}

Test(taskiq_pickle, depth_circles_and_bombs_end_at_the_limits)
{
    mf_message *m;
    mf_error err;
    char deep[256] = "\x80\x02";
    size_t len = 2;
    for (int i = 0; i < 40; i++)
        deep[len++] = ']';
    for (int i = 0; i < 39; i++)
        deep[len++] = 'a';
    deep[len++] = '.';
    cr_assert(eq(int, read_pickle(mf_str_of(deep, len), &m, &err), MF_E_TOO_BIG), "%s", err.text);
    /* a list in itself */
    cr_assert(eq(int, read_pickle(BYTES("\x80\x02]q\x00h\x00" "a."), &m, &err), MF_E_TOO_BIG), "%s", err.text);
    /* each list holds the one before ten times */
    char bomb[512] = "\x80\x02]q\x00";
    len = 5;
    for (int i = 0; i < 20; i++) {
        bomb[len++] = ']';
        bomb[len++] = '(';
        for (int k = 0; k < 10; k++) {
            bomb[len++] = 'h';
            bomb[len++] = (char)i;
        }
        bomb[len++] = 'e';
        bomb[len++] = 'q';
        bomb[len++] = (char)(i + 1);
    }
    char all[600];
    memcpy(all, "\x80\x02(", 3);
    memcpy(all + 3, bomb + 2, len - 2);
    len += 1;
    all[len++] = 't';
    all[len++] = '.';
    cr_assert(eq(int, read_pickle(mf_str_of(all, len), &m, &err), MF_E_TOO_BIG), "%s", err.text);
    /* a memo of four billion */
    cr_assert(eq(int, read_pickle(BYTES("\x80\x02Nr\xff\xff\xff\xff."), &m, &err), MF_E_TOO_BIG), "%s", err.text);
    cr_assert(eq(int, taskiq_pickle_read(BYTES("\x80\x02X\x04\0\0\0abcd."), MF_LIMITS(.bytes = 8), NULL, &m, &err),
                 MF_E_TOO_BIG), "%s", err.text);
}

Test(taskiq_pickle, what_is_written_reads_back_as_the_same_bytes)
{
    static const char *const values[] = {
        "null", "[true,false,null]", "{\"a\":{\"b\":[1,2.5,\"h\xc3\xa9\"]},\"\":[]}", "[0,255,256,-1,2147483647,2147483648]",
        "[-2147483648,-2147483649,549755813887,549755813888,-549755813888,-549755813889,140737488355327,140737488355328]",
        "[9223372036854775807,9223372036854775808,18446744073709551615,-9223372036854775808]", "[36028797018963967,-36028797018963969]",
        "[1e300,-0.0,NaN,Infinity,-Infinity]",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        mf_message *m = from_json(values[i]), *again;
        mf_error err;
        taskiq_bytes out;
        cr_assert(eq(int, taskiq_pickle_write(mf_message_value(m), NULL, &out, NULL), MF_OK));
        cr_assert(eq(int, out.at[1], 2), "protocol 2 suffices");
        cr_assert(eq(int, read_pickle(mf_str_of(out.at, out.len), &again, &err), MF_OK), "%s: %s", values[i], err.text);
        cr_assert(mf_str_eq(mf_message_bytes(m), mf_message_bytes(again)), "%s", values[i]);
        taskiq_bytes_free(NULL, &out);
        mf_message_unref(m);
        mf_message_unref(again);
    }
}

Test(taskiq_pickle, binary_values_stay_binary_under_protocol_3)
{
    mf_message *m = mf_msg("[B]", BYTES("\xff\x00")), *again;
    mf_error err;
    taskiq_bytes out;
    cr_assert(eq(int, taskiq_pickle_write(mf_message_value(m), NULL, &out, NULL), MF_OK));
    cr_assert(eq(int, out.at[1], 3));
    cr_assert(eq(int, read_pickle(mf_str_of(out.at, out.len), &again, &err), MF_OK), "%s", err.text);
    cr_assert(mf_str_eq(mf_message_bytes(m), mf_message_bytes(again)));
    taskiq_bytes_free(NULL, &out);
    mf_message_unref(m);
    mf_message_unref(again);
}

Test(taskiq_pickle, each_failing_allocation_is_no_memory_and_loses_nothing)
{
    static const mf_str bytes = {"\x80\x04](\x8c\x01" "a\x94h\x00}\x8c\x01" "bK\x01s" "e.", 19};
    for (long fail = 1;; fail++) {
        counting_allocator c;
        mf_message *m = NULL;
        counting_init(&c);
        atomic_store(&c.fail_at, fail);
        mf_status st = taskiq_pickle_read(bytes, NULL, &c.allocator, &m, NULL);
        if (st == MF_OK)
            mf_message_unref(m);
        cr_assert(eq(long, atomic_load(&c.live), 0), "fail %ld", fail);
        cr_assert(eq(long, atomic_load(&c.wrong_size), 0), "fail %ld", fail);
        if (st == MF_OK) {
            cr_assert(fail > 4);
            break;
        }
        cr_assert(eq(int, st, MF_E_NOMEM), "fail %ld", fail);
    }
}
