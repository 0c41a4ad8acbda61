#include "kit.h"

#include "url.h"

static const struct {
    const char *url, *host, *socket, *user, *password;
    unsigned    port, db;
    bool        tls;
} good[] = {
    {"redis://localhost", "localhost", "", "", "", 6379, 0, false},
    {"taskiq+redis://db.example:7000/3", "db.example", "", "", "", 7000, 3, false},
    {"celery+rediss://u:p@h", "h", "", "u", "p", 6379, 0, true},
    {"redis://:only%40password@h/", "h", "", "", "only@password", 6379, 0, false},
    {"redis://u:a:b@c@h:1", "h", "", "u", "a:b@c", 1, 0, false},
    {"redis://[::1]:6380/1", "::1", "", "", "", 6380, 1, false},
    {"redis://[fe80::1%25eth0]", "fe80::1%eth0", "", "", "", 6379, 0, false},
    {"redis://:7777", "localhost", "", "", "", 7777, 0, false},
    {"redis:///5", "localhost", "", "", "", 6379, 5, false},
    {"redis://h?db=9", "h", "", "", "", 6379, 9, false},
    {"taskiq+unix:///run/redis%20a.sock?db=2", "", "/run/redis a.sock", "", "", 0, 2, false},
    {"unix://u:p@/run/s", "", "/run/s", "u", "p", 0, 0, false},
    {"redis://h?user=u&password_file=/etc/secret", "h", "", "u", "", 6379, 0, false},
    {"rediss://h?ca=/a&cert=/b&key=/c", "h", "", "", "", 6379, 0, true},
};

Test(redis_address, reads_what_a_url_says)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mfi_redis_address a;
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_address_from_url(good[i].url, &a, &err), MF_OK), "%s: %s", good[i].url, err.text);
        cr_assert(eq(str, a.host, (char *)good[i].host), "%s", good[i].url);
        cr_assert(eq(str, a.socket, (char *)good[i].socket), "%s", good[i].url);
        cr_assert(eq(str, a.user, (char *)good[i].user), "%s", good[i].url);
        cr_assert(eq(str, a.password, (char *)good[i].password), "%s", good[i].url);
        cr_assert(eq(uint, a.port, good[i].port), "%s", good[i].url);
        cr_assert(eq(uint, a.db, good[i].db), "%s", good[i].url);
        cr_assert(eq(int, a.tls, good[i].tls), "%s", good[i].url);
    }
}

static const char *const bad[] = {
    "redis:localhost", "redis:/localhost", "http://h", "redis://h:99999", "redis://h:0", "redis://h:s3cret", "redis://h/s3cret",
    "redis://::1:6379", "redis://[::1", "redis://[::1]x", "redis://u:s3cret%2@h", "redis://u:s3cret%00@h", "redis://u:s3cret@h?x=1",
    "redis://h?db=-1", "redis://h?db=", "redis://h?db=s3cret", "redis://h?ca=/s3cret", "rediss://h?cert=/s3cret",
    "redis://u@h?x=s3cret", "redis://user@h", "redis://:s3cret@h?password_file=/f", "unix://s3cret", "unix:///", "unix://h/p",
    "redis://u:s3cret/x@h", "redis://h/4294967296",
};

Test(redis_address, refuses_what_is_wrong_and_repeats_no_secret)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mfi_redis_address a;
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_address_from_url(bad[i], &a, &err), MF_E_INVALID), "%s", bad[i]);
        cr_assert(eq(int, err.status, MF_E_INVALID), "%s", bad[i]);
        cr_assert(not(kit_says(&err, "s3cret")), "%s: %s", bad[i], err.text);
    }
}

Test(redis_address, a_part_that_does_not_fit_is_refused_and_not_cut)
{
    char url[MFI_URL_MAX] = "redis://";
    memset(url + 8, 'h', 256);
    mfi_redis_address a;
    cr_assert(eq(int, mfi_redis_address_from_url(url, &a, NULL), MF_E_INVALID));
    url[8 + 255] = '\0';
    cr_assert(eq(int, mfi_redis_address_from_url(url, &a, NULL), MF_OK));
}

Test(redis_address, is_shown_without_user_and_password)
{
    static const struct { const char *url, *text; } rows[] = {
        {"redis://u:p@h:1/2", "redis at h:1"}, {"rediss://[::1]", "redis at [::1]:6379"}, {"unix://u:p@/s", "redis at /s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mfi_redis_address a;
        char text[64];
        cr_assert(eq(int, mfi_redis_address_from_url(rows[i].url, &a, NULL), MF_OK));
        mfi_redis_address_text(&a, text, sizeof text);
        cr_assert(eq(str, text, (char *)rows[i].text));
        mfi_redis_address_wipe(&a);
        for (size_t b = 0; b < sizeof a; b++)
            cr_assert(eq(int, ((const char *)&a)[b], 0));
    }
}

Test(redis_address, leaves_parameters_of_others_to_them)
{
    mfi_redis_address a = {0};
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_address_set(&a, "queue", "q", &err), MF_E_NOT_FOUND));
    cr_assert(eq(int, err.status, MF_OK));
}
