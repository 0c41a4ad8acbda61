/* Getting in: users, passwords, databases, TLS. */
#include "kit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static redis_server s;

static void stop(void)
{
    redis_server_stop(&s);
}

TestSuite(redis_entry, .fini = stop);

static mf_status refused(const char *before, const char *behind, mf_error *err)
{
    mfi_redis *redis = live_open(&s, before, behind, NULL);
    memset(err, 0, sizeof *err);
    mf_status st = mfi_redis_wait_up(redis, mf_seconds(20), err);
    mfi_redis_destroy(redis, 0);
    cr_assert(not(live_says(err, "s3cret")), "%s", err->text);
    return st;
}

Test(redis_entry, a_password_opens_and_a_wrong_or_missing_one_is_told)
{
    s = (redis_server)REDIS_SERVER("--requirepass", "s3cret");
    redis_server_start(&s);
    mf_error err;
    mfi_redis *redis = live_open_up(&s, ":s3cret@", "/2");
    live_do(redis, "SET k v");
    mfi_redis_destroy(redis, 0);
    cr_assert(eq(int, refused(":s3cret2@", "", &err), MF_E_INVALID));
    cr_assert(live_says(&err, "wrong user or password"), "%s", err.text);
    cr_assert(eq(int, refused("", "", &err), MF_E_INVALID));
    cr_assert(live_says(&err, "asks for a password"), "%s", err.text);
}

Test(redis_entry, a_password_file_is_read_at_each_connect)
{
    s = (redis_server)REDIS_SERVER("--requirepass", "s3cret");
    redis_server_start(&s);
    char behind[256];
    FILE *file = fopen(redis_server_path(&s, "password"), "w");
    fputs("s3cret-no\n", file);
    fclose(file);
    snprintf(behind, sizeof behind, "?password_file=%s", redis_server_path(&s, "password"));
    mfi_redis *redis = live_open(&s, "", behind, NULL);
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_wait_up(redis, mf_seconds(20), &err), MF_E_INVALID));
    file = fopen(redis_server_path(&s, "password"), "w");
    fputs("s3cret\r\n", file);
    fclose(file);
    mf_status st;       /* until the next attempt */
    while ((st = mfi_redis_wait_up(redis, mf_seconds(20), &err)) == MF_E_INVALID)
        ;
    cr_assert(eq(int, st, MF_OK), "%s", err.text);
    mfi_redis_destroy(redis, 0);
    snprintf(behind, sizeof behind, "?password_file=%s", redis_server_path(&s, "none"));
    cr_assert(eq(int, refused("", behind, &err), MF_E_INVALID));
    cr_assert(live_says(&err, "none: No such file"), "%s", err.text);
}

Test(redis_entry, an_acl_user_does_what_it_may_and_is_told_what_it_may_not)
{
    s = (redis_server)REDIS_SERVER("--user", "worker", "on", ">s3cret", "~q:*", "+@read", "+set");
    redis_server_start(&s);
    mf_error err = {0};
    mfi_redis *redis = live_open_up(&s, "worker:s3cret@", "");
    live_do(redis, "SET q:k v");
    live_do(redis, "GET q:k");
    cr_assert(eq(int, live_call(redis, "DEL q:k", NULL, &err), MF_E_INVALID));
    cr_assert(live_says(&err, "NOPERM"), "%s", err.text);
    cr_assert(eq(int, live_call(redis, "GET other", NULL, &err), MF_E_INVALID));
    mfi_redis_destroy(redis, 0);
    cr_assert(eq(int, refused("nobody:s3cret@", "", &err), MF_E_INVALID));
    cr_assert(live_says(&err, "wrong user or password"), "%s", err.text);
}

Test(redis_entry, a_password_that_nobody_asked_for_and_a_database_that_is_not_there_are_told)
{
    s = (redis_server)REDIS_SERVER("--databases", "4");
    redis_server_start(&s);
    mf_error err;
    cr_assert(eq(int, refused("", "/4", &err), MF_E_INVALID));
    cr_assert(live_says(&err, "no database 4"), "%s", err.text);
    cr_assert(eq(int, refused(":s3cret@", "", &err), MF_E_INVALID));
    cr_assert(live_says(&err, "leave the password out"), "%s", err.text);
}

Test(redis_entry, the_database_of_the_url_is_the_one_written_to)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *three = live_open_up(&s, "", "/3"), *zero = live_open_up(&s, "", "");
    live_do(three, "SET k three");
    char got[64];
    cr_assert(eq(int, live_call(zero, "GET k", got, NULL), MF_OK));
    cr_assert(eq(str, got, "(nil)"));
    cr_assert(eq(int, live_call(zero, "CLIENT GETNAME", got, NULL), MF_OK));
    cr_assert(eq(str, got, "mageflow"));
    mfi_redis_destroy(three, 0);
    mfi_redis_destroy(zero, 0);
}

Test(redis_entry, over_the_unix_socket)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    char url[256];
    mfi_redis_address address;
    mfi_redis *redis;
    mf_error err = {0};
    snprintf(url, sizeof url, "taskiq+unix://%s?db=1", s.socket);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mfi_redis_create(&(mfi_redis_options){.address = &address}, &redis, &err), MF_OK));
    live_do(redis, "SET k v");
    cr_assert(strstr(mfi_redis_text(redis), s.socket) != NULL);
    mfi_redis_destroy(redis, 0);
}

Test(redis_entry, a_cluster_is_refused)
{
    s = (redis_server)REDIS_SERVER("--cluster-enabled", "yes");
    redis_server_start(&s);
    mf_error err;
    cr_assert(eq(int, refused("", "", &err), MF_E_UNSUPPORTED));
    cr_assert(live_says(&err, "cluster"), "%s", err.text);
    cr_assert(eq(int, refused("", "/1", &err), MF_E_UNSUPPORTED));
}

/* ---- TLS -------------------------------------------------------------------------------------------------------- */

static const char *with(const char *first, ...)
{
    /* ca=…&cert=…: parameters whose values are files of the server's directory */
    static char text[1024];
    const char *pair = first;
    va_list args;
    va_start(args, first);
    strcpy(text, "?");
    for (; pair != NULL; pair = va_arg(args, const char *)) {
        const char *file = va_arg(args, const char *);
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s=%s", len > 1 ? "&" : "", pair, redis_server_path(&s, file));
    }
    va_end(args);
    return text;
}

static void start_tls(const char *shown, const char *clients)
{
    s = (redis_server)REDIS_SERVER("--tls-auth-clients", clients);
    redis_server_certificates(&s, shown);
    redis_server_start(&s);
}

Test(redis_entry, tls_with_its_own_authority_carries_large_values_both_ways)
{
    start_tls("server", "no");
    mfi_redis *redis = live_open_up(&s, "", with("ca", "ca.pem", NULL));
    enum { SIZE = 3 << 20 };
    char *value = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (char)(i * 7 + i / 251);
    for (int round = 0; round < 5; round++) {
        mfi_redis_request *rq = mfi_redis_request_create(redis);
        mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT("k"), mf_str_of(value, SIZE));
        mfi_redis_add(rq, MF_STR_LIT("GET"), MF_STR_LIT("k"));
        mfi_redis_replies *replies;
        cr_assert(eq(int, mfi_redis_call(redis, rq, NULL, &replies, NULL), MF_OK));
        cr_assert(mf_str_eq(replies->at[1].text, mf_str_of(value, SIZE)));
        mfi_redis_replies_destroy(replies);
    }
    free(value);
    mfi_redis_destroy(redis, 0);
}

static const struct {
    const char *shown, *clients, *parameters[7];
    const char *told;
} tls_cases[] = {
    {"server", "no", {NULL}, "not trusted"},
    {"server", "no", {"ca", "other-ca.pem", NULL}, "not trusted"},
    {"expired", "no", {"ca", "ca.pem", NULL}, "has expired"},
    {"elsewhere", "no", {"ca", "ca.pem", NULL}, "another host"},
    {"server", "yes", {"ca", "ca.pem", NULL}, "cert="},
    {"server", "yes", {"ca", "ca.pem", "cert", "client.pem", "key", "client.key", NULL}, NULL},
};

Test(redis_entry, each_way_that_tls_fails_has_its_own_error)
{
    for (size_t i = 0; i < sizeof tls_cases / sizeof tls_cases[0]; i++) {
        const char *const *p = tls_cases[i].parameters;
        start_tls(tls_cases[i].shown, tls_cases[i].clients);
        const char *behind = p[0] == NULL ? "" : p[2] == NULL ? with(p[0], p[1], NULL) :
                             with(p[0], p[1], p[2], p[3], p[4], p[5], NULL);
        mf_error err = {0};
        mf_status st = refused("", behind, &err);
        cr_assert(eq(int, st, tls_cases[i].told != NULL ? MF_E_INVALID : MF_OK), "%zu: %s", i, err.text);
        if (tls_cases[i].told != NULL)
            cr_assert(live_says(&err, tls_cases[i].told), "%zu: %s", i, err.text);
        redis_server_stop(&s);
    }
}

Test(redis_entry, a_plain_port_spoken_to_with_tls_and_the_other_way_round_say_so)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    s.tls = true;
    mf_error err = {0};
    mfi_redis *redis = live_open(&s, "", "", &(mfi_redis_options){.connect_timeout = mf_milliseconds(300)});
    mf_status st = live_failure(redis, &err);
    /* What the plain server makes of a handshake depends on the random bytes in it: silence, or an error of its own. */
    cr_assert(st == MF_E_INVALID || st == MF_E_TIMEOUT, "%s", err.text);
    cr_assert(live_says(&err, st == MF_E_INVALID ? "does not speak TLS" : "without TLS"), "%s", err.text);
    mfi_redis_destroy(redis, 0);
    redis_server_stop(&s);

    start_tls("server", "no");
    s.tls = false;
    redis = live_open(&s, "", "", NULL);
    cr_assert(ne(int, live_failure(redis, &err), MF_OK));
    cr_assert(live_says(&err, "rediss:"), "%s", err.text);
    mfi_redis_destroy(redis, 0);
}
