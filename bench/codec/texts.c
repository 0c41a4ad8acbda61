#include "texts.h"

#define LITERAL(s) {s, sizeof(s) - 1}

const mf_str texts_task = LITERAL(
    "{\"task_id\":\"5b7d3f1c0c8a4b5e9d2f6a7b8c9d0e1f\",\"task_name\":\"examples.images:resize\",\"labels\":{\"queue\":"
    "\"images\",\"retries\":3,\"mageflow\":\"sw:41f0:17\"},\"labels_types\":null,\"args\":[],\"kwargs\":{\"path\":"
    "\"/srv/pictures/2024/\\u00e9t\\u00e9 03.png\",\"width\":640,\"height\":480,\"quality\":0.85,\"fast\":true,\"tags\":"
    "[\"thumb\",\"small\"],\"offset\":-12.5,\"owner\":\"alice\"}}");

const text_case texts_good[] = {
    {"NaN", LITERAL("[NaN]")},
    {"Infinity", LITERAL("[Infinity]")},
    {"-Infinity", LITERAL("[-Infinity]")},
    {"2^64 - 1", LITERAL("[18446744073709551615]")},
    {"-2^63", LITERAL("[-9223372036854775808]")},
    {"2^53 + 1", LITERAL("[9007199254740993]")},
    {"NUL in a key", LITERAL("{\"a\\u0000b\":1}")},
    {"NUL in a text", LITERAL("[\"a\\u0000b\"]")},
    {"surrogate pair", LITERAL("[\"\\ud83d\\ude00\"]")},
};
const size_t texts_good_count = sizeof texts_good / sizeof *texts_good;

const text_case texts_bad[] = {
    {"2^64", LITERAL("[18446744073709551616]")},
    {"1e999", LITERAL("[1e999]")},
    {"half a pair", LITERAL("[\"\\ud83d\"]")},
    {"half a pair, text", LITERAL("[\"\\ud83dx\"]")},
    {"the other half", LITERAL("[\"\\ude00\"]")},
    {"half a pair, escape", LITERAL("[\"\\ud83d\\u0041\"]")},
    {"byte 0xff", LITERAL("[\"\xff\"]")},
    {"overlong UTF-8", LITERAL("[\"\xc0\xaf\"]")},
    {"surrogate in UTF-8", LITERAL("[\"\xed\xa0\x80\"]")},
    {"line feed in a text", LITERAL("[\"a\nb\"]")},
    {"tab in a key", LITERAL("{\"a\tb\":1}")},
    {"unknown escape", LITERAL("[\"\\x\"]")},
    {"[1,]", LITERAL("[1,]")},
    {"{\"a\":1,}", LITERAL("{\"a\":1,}")},
    {"{\"a\" 1}", LITERAL("{\"a\" 1}")},
    {"[1 2]", LITERAL("[1 2]")},
    {"[01]", LITERAL("[01]")},
    {"[+1]", LITERAL("[+1]")},
    {"[1.]", LITERAL("[1.]")},
    {"[.5]", LITERAL("[.5]")},
    {"[1e]", LITERAL("[1e]")},
    {"[-]", LITERAL("[-]")},
    {"[0x10]", LITERAL("[0x10]")},
    {"[1] x", LITERAL("[1] x")},
    {"1 2", LITERAL("1 2")},
    {"['a']", LITERAL("['a']")},
    {"{a:1}", LITERAL("{a:1}")},
    {"{1:2}", LITERAL("{1:2}")},
    {"comment", LITERAL("[1/*x*/]")},
    {"NUL byte", LITERAL("[1\0]")},
    {"[1", LITERAL("[1")},
    {"[1}", LITERAL("[1}")},
    {"empty", LITERAL("")},
    {"byte order mark", LITERAL("\xef\xbb\xbf[1]")},
    {"[True]", LITERAL("[True]")},
    {"[nan]", LITERAL("[nan]")},
    {"form feed", LITERAL("[\f1]")},
};
const size_t texts_bad_count = sizeof texts_bad / sizeof *texts_bad;
