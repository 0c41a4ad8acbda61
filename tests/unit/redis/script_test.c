#include "kit.h"

#include <stdio.h>

/* A server with scripts, as far as a client sees: SCRIPT LOAD remembers, EVALSHA answers its first key, or NOSCRIPT. `forget`
 * tells how many of the next EVALSHAs it has forgotten the script for. */
struct library {
    atomic_int loaded, forget, loads_refused;
};

static void serve(fake_peer *p, void *user)
{
    struct library *lib = user;
    fake_command c;
    if (!fake_greet(p))
        return;
    while (fake_read(p, &c)) {
        char text[FAKE_ARG + 16];
        snprintf(text, sizeof text, "+%s\r\n", c.argv[1]);
        if (fake_is(&c, "SCRIPT")) {
            bool no = atomic_load(&lib->loads_refused) != 0;
            if (!no)
                atomic_fetch_add(&lib->loaded, 1);
            strcpy(text, no ? "-NOPERM this user has no permissions to run the 'script|load' command\r\n" : "$2\r\nab\r\n");
        } else if (fake_is(&c, "EVALSHA")) {
            bool gone = atomic_load(&lib->loaded) == 0;
            int left = atomic_load(&lib->forget);
            if (left > 0) {
                atomic_store(&lib->forget, left - 1);
                gone = true;
            }
            if (gone)
                strcpy(text, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
            else
                snprintf(text, sizeof text, "+%.9s:%.99s\r\n", c.argv[2], c.argv[3]);
        }
        if (!fake_say(p, text))
            return;
    }
}

static const char lua[] = "return redis.call('get', KEYS[1])";

static mfi_redis_request *call(kit *k, const mfi_redis_script *script, const char *key)
{
    mfi_redis_request *rq = mfi_redis_request_create(k->redis);
    mfi_redis_add_script(rq, script, 1, 2, (const mf_str[]){mf_cstr(key), MF_STR_LIT("arg")});
    return rq;
}

Test(redis_script, is_loaded_by_the_greeting_and_named_by_its_sha1)
{
    kit k;
    struct library lib = {0};
    kit_start(&k, serve, &lib);
    kit_open(&k);
    const mfi_redis_script *script = mfi_redis_script_add(k.redis, mf_cstr(lua));
    cr_assert(script != NULL);
    cr_assert(mfi_redis_script_add(k.redis, mf_cstr(lua)) == script);
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(k.redis, call(&k, script, "k"), NULL, &replies, NULL), MF_OK));
    cr_assert(eq(str, (char *)replies->at[0].text.at, "1:k"));
    mfi_redis_replies_destroy(replies);
    cr_assert(ge(int, lib.loaded, 1));
    kit_stop(&k);
}

Test(redis_script, one_that_was_forgotten_is_loaded_and_called_again_unnoticed)
{
    kit k;
    struct library lib = {0};
    kit_start(&k, serve, &lib);
    kit_open(&k);
    const mfi_redis_script *script = mfi_redis_script_add(k.redis, mf_cstr(lua));
    for (int forgotten = 1; forgotten <= 3; forgotten++) {
        lib.forget = forgotten;
        mfi_redis_request *rq = call(&k, script, "a");
        mfi_redis_add(rq, MF_STR_LIT("ECHO"), MF_STR_LIT("between"));
        mfi_redis_add_script(rq, script, 1, 1, (const mf_str[]){MF_STR_LIT("b")});
        mfi_redis_add_script(rq, script, 1, 1, (const mf_str[]){MF_STR_LIT("c")});
        mfi_redis_replies *replies;
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_call(k.redis, rq, NULL, &replies, &err), MF_OK), "%d: %s", forgotten, err.text);
        static const char *const want[] = {"1:a", "between", "1:b", "1:c"};
        for (int i = 0; i < 4; i++)
            cr_assert(eq(str, (char *)replies->at[i].text.at, (char *)want[i]));
        mfi_redis_replies_destroy(replies);
    }
    kit_stop(&k);
}

Test(redis_script, a_server_that_forgets_for_ever_is_not_asked_for_ever)
{
    kit k;
    struct library lib = {.forget = 1000};
    kit_start(&k, serve, &lib);
    kit_open(&k);
    const mfi_redis_script *script = mfi_redis_script_add(k.redis, mf_cstr(lua));
    cr_assert(eq(int, mfi_redis_call(k.redis, call(&k, script, "a"), NULL, NULL, NULL), MF_E_NOT_FOUND));
    cr_assert(eq(int, lib.forget, 1000 - 4));
    kit_stop(&k);
}

Test(redis_script, who_may_not_load_scripts_is_told_that)
{
    kit k;
    struct library lib = {.loads_refused = 1};
    kit_start(&k, serve, &lib);
    kit_open(&k);
    const mfi_redis_script *script = mfi_redis_script_add(k.redis, mf_cstr(lua));
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(k.redis, call(&k, script, "a"), NULL, NULL, &err), MF_E_INVALID));
    cr_assert(kit_says(&err, "script|load"), "%s", err.text);
    kit_stop(&k);
}

Test(redis_script, more_keys_than_arguments_is_refused)
{
    kit k;
    struct library lib = {0};
    kit_start(&k, serve, &lib);
    kit_open(&k);
    const mfi_redis_script *script = mfi_redis_script_add(k.redis, mf_cstr(lua));
    mfi_redis_request *rq = mfi_redis_request_create(k.redis);
    mfi_redis_add_script(rq, script, 2, 1, (const mf_str[]){MF_STR_LIT("a")});
    cr_assert(eq(int, mfi_redis_submit(k.redis, rq, NULL, NULL, NULL), MF_E_NOMEM));
    kit_stop(&k);
}
