/* What the scripts do where an entry is not ours any more: a real server, and a consumer that takes some away. */
#include "../redis/kit.h"
#include "scripts.h"

#include <stdlib.h>
#include <string.h>

#define MOST 128

static redis_server s;
static mfi_redis *redis;
static char ids[MOST][24];

static void start(void)
{
    s = (redis_server)REDIS_SERVER("--save", "");
    redis_server_start(&s);
    redis = live_open_up(&s, "", "");
}

static void stop(void)
{
    mfi_redis_destroy(redis, 0);
    redis_server_stop(&s);
}

TestSuite(taskiq_scripts, .init = start, .fini = stop);

/* So many entries, pending under the consumer "me". Their ids are 1-1, 1-2, … and then 20-…, so that they differ in length. */
static void hold(int count)
{
    char text[96];
    live_do(redis, "XGROUP CREATE q g 0 MKSTREAM");
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%d-%d", i < count / 2 ? 1 : 20, i + 1);
        snprintf(text, sizeof text, "XADD q %.23s data x", ids[i]);
        live_do(redis, text);
    }
    snprintf(text, sizeof text, "XREADGROUP GROUP g me COUNT %d STREAMS q >", count);
    live_do(redis, text);
}

static void steal(int i)
{
    char text[64];
    snprintf(text, sizeof text, "XCLAIM q g other 0 %.23s", ids[i]);
    live_do(redis, text);
}

/* Acknowledge those entries, the least first, with results r0, r1, …; the answer as text: "1", or "[1 0 1]". */
static void acknowledge(const int *which, int count, bool results, const char *ttl, char out[256])
{
    mf_str argv[6 + 3 * MOST];
    char keys[MOST][8], how_many[8];
    size_t n = 0;
    argv[n++] = MF_STR_LIT("q");
    for (int i = 0; results && i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "r%d", which[i]);
        argv[n++] = mf_cstr(keys[i]);
    }
    size_t key_count = n;
    snprintf(how_many, sizeof how_many, "%d", count);
    const mf_str fixed[] = {MF_STR_LIT("g"), MF_STR_LIT("me"), mf_cstr(ttl), MF_STR_LIT("1"), mf_cstr(how_many)};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        argv[n++] = fixed[i];
    for (int i = 0; i < count; i++)
        argv[n++] = mf_cstr(ids[which[i]]);
    for (int i = 0; results && i < count; i++)
        argv[n++] = MF_STR_LIT("value");
    const mfi_redis_script *script = mfi_redis_script_add(redis, mf_cstr(taskiq_script_sources[TASKIQ_ACK_STREAM]));
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_replies *replies = NULL;
    mf_error err = {0};
    mfi_redis_add_script(rq, script, key_count, n, argv);
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, &err), MF_OK), "%s", err.text);
    const mfi_redis_reply *r = &replies->at[0];
    size_t len = 0;
    if (r->type == MFI_REDIS_INTEGER)
        len += (size_t)snprintf(out, 256, "%lld", (long long)r->integer);
    for (size_t i = 0; r->type == MFI_REDIS_ARRAY && i < r->count; i++)
        len += (size_t)snprintf(out + len, 256 - len, "%s%lld", i == 0 ? "[" : " ", (long long)r->items[i].integer);
    snprintf(out + len, 256 - len, "%s", r->type == MFI_REDIS_ARRAY ? "]" : "");
    mfi_redis_replies_destroy(replies);
}

static void expect(const char *command, const char *want)
{
    char got[64];
    mf_error err = {0};
    cr_assert(eq(int, live_call(redis, command, got, &err), MF_OK), "%s: %s", command, err.text);
    cr_assert(eq(str, got, (char *)want), "%s", command);
}

Test(taskiq_scripts, what_is_ours_is_acknowledged_with_its_result_and_deleted)
{
    char told[256];
    hold(6);
    acknowledge((int[]){0, 1, 2, 3, 4, 5}, 6, true, "60000", told);
    cr_assert(eq(str, told, "1"));
    expect("XLEN q", "0");
    expect("EXISTS r0 r1 r2 r3 r4 r5", "6");
    char left[64];
    mf_error err;
    cr_assert(eq(int, live_call(redis, "PTTL r5", left, &err), MF_OK));
    cr_assert(all(gt(int, atoi(left), 30000), le(int, atoi(left), 60000)), "%s", left);
}

Test(taskiq_scripts, what_was_taken_away_is_told_and_left_alone)
{
    char told[256];
    hold(6);
    steal(0);
    steal(3);
    acknowledge((int[]){0, 1, 2, 3, 4, 5}, 6, true, "0", told);
    cr_assert(eq(str, told, "[0 1 1 0 1 1]"));
    expect("XLEN q", "2");
    expect("EXISTS r1 r2 r4 r5", "4");
    expect("EXISTS r0 r3", "0");
    expect("TTL r1", "-1");
    acknowledge((int[]){0, 3}, 2, true, "0", told);
    cr_assert(eq(str, told, "0"));
    expect("XLEN q", "2");
    expect("EXISTS r0 r3", "0");
}

/* The look over the range ends before it reaches the last one. */
Test(taskiq_scripts, an_entry_beyond_a_long_stretch_of_ours_is_asked_for)
{
    char told[256];
    hold(100);
    acknowledge((int[]){0, 98}, 2, true, "60000", told);
    cr_assert(eq(str, told, "1"));
    expect("XLEN q", "98");
    expect("EXISTS r0 r98", "2");
    steal(99);
    acknowledge((int[]){1, 99}, 2, true, "60000", told);
    cr_assert(eq(str, told, "[1 0]"));
    expect("EXISTS r1 r99", "1");
    expect("XLEN q", "97");
}

/* The calls of a command since the statistics were emptied; 0 also where there were none. */
static int calls_of(const char *command)
{
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_replies *replies = NULL;
    char name[48];
    int calls = 0;
    mfi_redis_add(rq, MF_STR_LIT("INFO"), MF_STR_LIT("commandstats"));
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, NULL), MF_OK));
    snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
    const char *at = strstr(replies->at[0].text.at, name);
    if (at != NULL)
        calls = atoi(at + strlen(name));
    mfi_redis_replies_destroy(replies);
    return calls;
}

static void acknowledge_range(int from, int count)
{
    int which[MOST];
    char told[256];
    for (int i = 0; i < count; i++)
        which[i] = from + i;
    acknowledge(which, count, false, "0", told);
    cr_assert(eq(str, told, "1"));
}

static void expect_first(const char *want)
{
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_replies *replies = NULL;
    mfi_redis_add(rq, MF_STR_LIT("XRANGE"), MF_STR_LIT("q"), MF_STR_LIT("-"), MF_STR_LIT("+"), MF_STR_LIT("COUNT"), MF_STR_LIT("1"));
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, NULL), MF_OK));
    cr_assert(eq(int, (int)replies->at[0].count, 1));
    cr_assert(eq(str, (char *)replies->at[0].items[0].items[0].text.at, (char *)want));
    mfi_redis_replies_destroy(replies);
}

Test(taskiq_scripts, a_beginning_of_the_stream_that_is_all_acknowledged_is_cut_off)
{
    hold(60);
    live_do(redis, "XADD q 30-1 data undelivered");
    acknowledge_range(0, 20);
    expect("XLEN q", "41");
    expect_first(ids[20]);
    acknowledge_range(30, 10);              /* what is before them still runs */
    expect("XLEN q", "31");
    expect_first(ids[20]);
    acknowledge_range(20, 10);
    acknowledge_range(40, 20);              /* nothing is pending any more */
    expect("XLEN q", "1");
    expect_first("30-1");
    cr_assert(eq(int, calls_of("xtrim"), 4));
    cr_assert(eq(int, calls_of("xdel"), 2), "those behind what still ran, and the last that was delivered");
}

Test(taskiq_scripts, what_somebody_left_in_the_stream_stays_there)
{
    hold(60);
    live_do(redis, "XACK q g 1-1");         /* as Python's workers do */
    acknowledge_range(1, 30);
    expect("XLEN q", "30");
    expect_first("1-1");
    cr_assert(eq(int, calls_of("xtrim"), 0));
}

Test(taskiq_scripts, what_another_group_has_not_read_stays_there)
{
    hold(60);
    live_do(redis, "XGROUP CREATE q another 0");
    acknowledge_range(0, 30);               /* although we believe that ours is the only one */
    expect("XLEN q", "60");
}

/* Somebody set the group back, to have all of it once more: what is to be read again lies before what is pending. */
Test(taskiq_scripts, what_is_to_be_read_again_stays_there)
{
    hold(60);
    live_do(redis, "XACK q g 1-1 1-2 1-3");
    live_do(redis, "XGROUP SETID q g 0");
    acknowledge_range(20, 20);
    expect("XLEN q", "40");
    expect_first("1-1");
    live_do(redis, "XGROUP SETID q g 1-1");
    acknowledge_range(40, 20);
    expect("XLEN q", "20");
    expect_first("1-1");
}

Test(taskiq_scripts, without_results_and_without_a_group)
{
    char told[256];
    hold(4);
    acknowledge((int[]){1, 3}, 2, false, "60000", told);
    cr_assert(eq(str, told, "1"));
    expect("XLEN q", "2");
    live_do(redis, "XGROUP DESTROY q g");
    acknowledge((int[]){0, 2}, 2, true, "60000", told);
    cr_assert(eq(str, told, "2"));
    expect("EXISTS r0 r2", "2");
    live_do(redis, "DEL q");
    acknowledge((int[]){0, 2}, 2, true, "60000", told);
    cr_assert(eq(str, told, "2"));
}

static void take_and_hold(const char *list)
{
    char text[64];
    for (const char *at = list; *at != '\0'; at++) {
        snprintf(text, sizeof text, "LPUSH mine %c", *at);
        live_do(redis, text);
    }
}

Test(taskiq_scripts, a_payload_that_is_not_in_our_list_has_no_result)
{
    take_and_hold("abba");
    const mfi_redis_script *script = mfi_redis_script_add(redis, mf_cstr(taskiq_script_sources[TASKIQ_ACK_LIST]));
    const mf_str argv[] = {MF_STR_LIT("mine"), MF_STR_LIT("r0"), MF_STR_LIT("r1"), MF_STR_LIT("r2"), MF_STR_LIT("60000"), MF_STR_LIT("3"),
                           MF_STR_LIT("a"), MF_STR_LIT("c"), MF_STR_LIT("b"), MF_STR_LIT("v"), MF_STR_LIT("v"), MF_STR_LIT("v")};
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_replies *replies = NULL;
    mfi_redis_add_script(rq, script, 4, sizeof argv / sizeof *argv, argv);
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, NULL), MF_OK));
    cr_assert(all(eq(int, (int)replies->at[0].count, 3), eq(int, (int)replies->at[0].items[0].integer, 1),
                  eq(int, (int)replies->at[0].items[1].integer, 0), eq(int, (int)replies->at[0].items[2].integer, 1)));
    mfi_redis_replies_destroy(replies);
    expect("EXISTS r0 r1 r2", "2");
    expect("LLEN mine", "2");
}
