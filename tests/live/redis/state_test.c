/* A server that is there and cannot, or not now: loading, full, a replica, without its scripts, busy. */
#include "kit.h"

#include <string.h>

static redis_server s;

static void stop(void)
{
    redis_server_stop(&s);
}

TestSuite(redis_state, .fini = stop);

Test(redis_state, a_server_that_loads_its_data_is_waited_for)
{
    /* A dump whose loading is slowed down on purpose: 400 keys at 5 ms each. */
    s = (redis_server)REDIS_SERVER("--dbfilename", "dump.rdb", "--enable-debug-command", "yes");
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    live_do(redis, "DEBUG POPULATE 400");
    live_do(redis, "SAVE");
    mfi_redis_destroy(redis, 0);
    redis_server_kill(&s);
    s.options[4] = "--key-load-delay";
    s.options[5] = "5000";
    s.options[6] = "--loading-process-events-interval-bytes";
    s.options[7] = "1024";
    s.ready_line = "Server initialized";
    redis_server_start(&s);

    mf_error err = {0};
    redis = live_open(&s, "", "", NULL);
    cr_assert(eq(int, live_failure(redis, &err), MF_E_TIMEOUT));
    cr_assert(live_says(&err, "loading its data"), "%s", err.text);
    char got[64];
    cr_assert(eq(int, live_call(redis, "DBSIZE", got, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, got, "400"));
    mfi_redis_destroy(redis, 0);
}

Test(redis_state, a_full_server_is_told_apart_and_serves_again_when_there_is_room)
{
    s = (redis_server)REDIS_SERVER("--maxmemory", "1mb", "--maxmemory-policy", "noeviction");
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    mf_error err = {0};
    live_do(redis, "SETRANGE large 2000000 x");
    cr_assert(eq(int, live_call(redis, "SET k v", NULL, &err), MF_E_FULL));
    cr_assert(live_says(&err, "maxmemory"), "%s", err.text);
    cr_assert(eq(int, live_call(redis, "GET k", NULL, &err), MF_OK));
    live_do(redis, "CONFIG SET maxmemory 100mb");
    live_do(redis, "SET k v");
    mfi_redis_destroy(redis, 0);
}

static const char counting[] = "return redis.call('incr', KEYS[1])";

Test(redis_state, a_flushed_script_is_loaded_again_and_runs_once)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    const mfi_redis_script *script = mfi_redis_script_add(redis, mf_cstr(counting));
    for (int i = 1; i <= 20; i++) {
        if (i % 3 == 0)
            live_do(redis, "SCRIPT FLUSH");
        mfi_redis_request *rq = mfi_redis_request_create(redis);
        mfi_redis_add_script(rq, script, 1, 1, (const mf_str[]){MF_STR_LIT("count")});
        mfi_redis_replies *replies;
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, &err), MF_OK), "%s", err.text);
        cr_assert(eq(i64, replies->at[0].integer, i));
        mfi_redis_replies_destroy(replies);
    }
    mfi_redis_destroy(redis, 0);
    /* And on a server that never knew it. */
    redis_server_kill(&s);
    redis_server_start(&s);
    redis = live_open_up(&s, "", "");
    char got[64];
    script = mfi_redis_script_add(redis, mf_cstr(counting));
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add_script(rq, script, 1, 1, (const mf_str[]){MF_STR_LIT("count")});
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, NULL, NULL), MF_OK));
    cr_assert(eq(int, live_call(redis, "GET count", got, NULL), MF_OK));
    cr_assert(eq(str, got, "1"));
    mfi_redis_destroy(redis, 0);
}

Test(redis_state, a_replica_refuses_writes_and_the_link_finds_the_primary_that_it_becomes)
{
    redis_server primary = REDIS_SERVER(NULL);
    redis_server_start(&primary);
    char port[8];
    snprintf(port, sizeof port, "%u", primary.port);
    s = (redis_server)REDIS_SERVER("--replicaof", "127.0.0.1", port);
    s.options[2] = port;
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    mf_error err = {0};
    mf_status st;
    /* Before the first sync it answers MASTERDOWN or LOADING to some; a write is READONLY at once. */
    while ((st = live_call(redis, "SET k v", NULL, &err)) == MF_E_AGAIN)
        ;
    cr_assert(eq(int, st, MF_E_STATE), "%s", err.text);
    cr_assert(live_says(&err, "read-only replica"), "%s", err.text);
    live_do(redis, "REPLICAOF NO ONE");
    while ((st = live_call(redis, "SET k v", NULL, &err)) == MF_E_STATE || st == MF_E_AGAIN)
        ;
    cr_assert(eq(int, st, MF_OK), "%s", err.text);
    mfi_redis_destroy(redis, 0);
    redis_server_stop(&primary);
}

Test(redis_state, what_a_command_does_wrong_has_its_status)
{
    static const struct { const char *command; mf_status status; } rows[] = {
        {"XREADGROUP GROUP g c COUNT 1 STREAMS none >", MF_E_NOT_FOUND}, {"LPUSH text x", MF_E_TYPE},
        {"XGROUP CREATE stream g $", MF_E_EXISTS}, {"NOSUCH", MF_E_UNSUPPORTED}, {"SET a", MF_E_INVALID},
        {"EVALSHA ffffffffffffffffffffffffffffffffffffffff 0", MF_E_NOT_FOUND},
    };
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    live_do(redis, "SET text t");
    live_do(redis, "XGROUP CREATE stream g 0 MKSTREAM");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mf_error err = {0};
        cr_assert(eq(int, live_call(redis, rows[i].command, NULL, &err), rows[i].status), "%s: %s", rows[i].command, err.text);
    }
    mfi_redis_destroy(redis, 0);
}

Test(redis_state, a_transaction_is_one_request_and_a_broken_one_says_what_broke_it)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    mfi_redis_request *rq = live_command(redis, "MULTI");
    mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT("k"), MF_STR_LIT("1"));
    mfi_redis_add(rq, MF_STR_LIT("INCR"), MF_STR_LIT("k"));
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, NULL), MF_OK));
    cr_assert(eq(i64, replies->at[3].items[1].integer, 2));
    mfi_redis_replies_destroy(replies);

    rq = live_command(redis, "MULTI");
    mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT("k"), MF_STR_LIT("text"));
    mfi_redis_add(rq, MF_STR_LIT("LPUSH"), MF_STR_LIT("k"), MF_STR_LIT("x"));
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, NULL, &err), MF_E_TYPE));
    mfi_redis_destroy(redis, 0);
}

/* ---- waiting in the server -------------------------------------------------------------------------------------- */

struct end {
    fake_event event;
    mf_status  st;
    mf_error   err;
    bool       nil;
};

static void done(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct end *e = user;
    e->st = st;
    if (err != NULL)
        e->err = *err;
    e->nil = replies != NULL && replies->at[0].type == MFI_REDIS_NIL;
    fake_signal(&e->event);
}

/* Until the server says that one of its clients waits. */
static void wait_until_blocked(mfi_redis *redis)
{
    bool blocked = false;
    while (!blocked) {
        mfi_redis_replies *r;
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_call(redis, live_command(redis, "INFO clients"), NULL, &r, &err), MF_OK), "%s", err.text);
        blocked = strstr(r->at[0].text.at, "blocked_clients:1") != NULL;
        mfi_redis_replies_destroy(r);
    }
}

static void block_and_interrupt(mfi_redis *redis, mfi_redis *looker)
{
    struct end end = {.event = FAKE_EVENT};
    const mfi_redis_how *how = MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = MF_FOREVER);
    cr_assert(eq(int, mfi_redis_submit(redis, live_command(redis, "BLPOP q 0"), how, done, &end), MF_OK));
    wait_until_blocked(looker);
    mfi_redis_interrupt(redis);
    fake_await(&end.event, 1);
    cr_assert(eq(int, end.st, MF_OK), "%s", end.err.text);
    cr_assert(end.nil);
}

Test(redis_state, the_permissions_in_the_readme_are_enough_for_scripts_and_interrupts)
{
    s = (redis_server)REDIS_SERVER("--user", "mageflow", "on", ">p", "~*", "+client|setname", "+client|id", "+client|unblock",
                                   "+info", "+ping", "+select", "+script|load", "+evalsha", "+incr", "+blpop");
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "mageflow:p@", "/1"), *looker = live_open_up(&s, "", "");
    const mfi_redis_script *script = mfi_redis_script_add(redis, mf_cstr(counting));
    live_do(looker, "SCRIPT FLUSH");
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add_script(rq, script, 1, 1, (const mf_str[]){MF_STR_LIT("count")});
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, NULL, &err), MF_OK), "%s", err.text);
    block_and_interrupt(redis, looker);
    mfi_redis_destroy(redis, 0);
    mfi_redis_destroy(looker, 0);
}

Test(redis_state, a_blocked_read_is_woken_by_an_entry_and_by_an_interrupt)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *redis = live_open_up(&s, "", "");
    const mfi_redis_how *how = MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = MF_FOREVER);
    live_do(redis, "XGROUP CREATE q g 0 MKSTREAM");
    for (int i = 0; i < 2; i++) {
        struct end end = {.event = FAKE_EVENT};
        cr_assert(eq(int, mfi_redis_submit(redis, live_command(redis, "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS q >"), how,
                                           done, &end), MF_OK));
        wait_until_blocked(redis);
        if (i == 0)
            live_do(redis, "XADD q * data x");
        else
            mfi_redis_interrupt(redis);
        fake_await(&end.event, 1);
        cr_assert(eq(int, end.st, MF_OK), "%s", end.err.text);
        cr_assert(eq(int, end.nil, i == 1));
    }
    mfi_redis_destroy(redis, 0);
}
