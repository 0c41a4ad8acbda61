/* The client against a server that behaves, or only answers strangely. */
#include "kit.h"
#include "threads_rest.h"

#include <stdio.h>

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void echo(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    if (!fake_greet(p))
        return;
    while (fake_read(p, &c)) {
        char text[FAKE_ARG + 8];
        snprintf(text, sizeof text, "+%s\r\n", c.argv[1]);
        if (!fake_say(p, fake_is(&c, "FAIL") ? "-ERR as asked\r\n" : text))
            return;
    }
}

Test(redis_link, a_batch_is_answered_as_one_with_as_many_answers_as_commands)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    mfi_redis_request *rq = kit_command(&k, "ECHO a");
    mfi_redis_add(rq, MF_STR_LIT("ECHO"), MF_STR_LIT("b"));
    cr_assert(eq(sz, mfi_redis_request_commands(rq), 2));
    cr_assert(eq(sz, mfi_redis_request_bytes(rq), 2 * strlen("*2\r\n$4\r\nECHO\r\n$1\r\na\r\n")));
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(k.redis, rq, NULL, &replies, NULL), MF_OK));
    cr_assert(eq(sz, replies->count, 2));
    cr_assert(eq(str, (char *)replies->at[0].text.at, "a"));
    cr_assert(eq(str, (char *)replies->at[1].text.at, "b"));
    mfi_redis_replies_destroy(replies);
    kit_stop(&k);
}

Test(redis_link, the_first_error_of_a_batch_is_its_status_and_the_other_answers_are_there)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    mfi_redis_request *rq = kit_command(&k, "ECHO a");
    mfi_redis_add(rq, MF_STR_LIT("FAIL"), MF_STR_LIT("x"));
    mfi_redis_add(rq, MF_STR_LIT("ECHO"), MF_STR_LIT("b"));
    mfi_redis_replies *replies;
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(k.redis, rq, NULL, &replies, &err), MF_E_INVALID));
    cr_assert(kit_says(&err, "as asked"));
    cr_assert(kit_says(&err, "127.0.0.1"));
    cr_assert(eq(str, (char *)replies->at[2].text.at, "b"));
    mfi_redis_replies_destroy(replies);
    kit_stop(&k);
}

Test(redis_link, a_command_of_many_and_large_arguments_arrives_whole)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    enum { ARGS = 300, SIZE = 5000 };
    static char large[SIZE];
    memset(large, 'x', SIZE);
    mf_str argv[ARGS];
    for (int i = 0; i < ARGS; i++)
        argv[i] = mf_str_of(large, SIZE);
    argv[1] = MF_STR_LIT("second");
    mfi_redis_request *rq = mfi_redis_request_create(k.redis);
    mfi_redis_add_argv(rq, ARGS, argv);
    mfi_redis_add(rq, MF_STR_LIT("ECHO"), MF_STR_LIT("after"));
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(k.redis, rq, NULL, &replies, NULL), MF_OK));
    cr_assert(eq(str, (char *)replies->at[0].text.at, "second"));
    cr_assert(eq(str, (char *)replies->at[1].text.at, "after"));
    mfi_redis_replies_destroy(replies);
    kit_stop(&k);
}

static void drip(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    static const char answer[] = "*3\r\n$5\r\nhello\r\n:42\r\n*1\r\n-ERR inside\r\n";
    if (!fake_greet(p))
        return;
    while (fake_read(p, &c))
        for (size_t i = 0; i < sizeof answer - 1; i++)
            if (!fake_say_bytes(p, answer + i, 1))
                return;
}

Test(redis_link, an_answer_that_comes_byte_by_byte_is_read)
{
    kit k;
    kit_start(&k, drip, NULL);
    kit_open(&k);
    for (int i = 0; i < 20; i++) {
        mfi_redis_replies *replies;
        cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "GET x"), NULL, &replies, NULL), MF_OK));
        cr_assert(eq(sz, replies->at[0].count, 3));
        cr_assert(eq(str, (char *)replies->at[0].items[0].text.at, "hello"));
        mfi_redis_replies_destroy(replies);
    }
    kit_stop(&k);
}

enum { HUGE_ANSWER = 20 << 20 };

static void huge(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    char *answer = malloc(HUGE_ANSWER + 64);
    int head = sprintf(answer, "$%d\r\n", HUGE_ANSWER);
    memset(answer + head, 'h', HUGE_ANSWER);
    memcpy(answer + head + HUGE_ANSWER, "\r\n", 2);
    if (fake_greet(p))
        while (fake_read(p, &c) && fake_say_bytes(p, answer, (size_t)head + HUGE_ANSWER + 2))
            ;
    free(answer);
}

Test(redis_link, a_huge_answer_is_read)
{
    kit k;
    kit_start(&k, huge, NULL);
    kit_open(&k);
    mfi_redis_replies *replies;
    cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "GET x"), NULL, &replies, NULL), MF_OK));
    cr_assert(eq(sz, replies->at[0].text.len, HUGE_ANSWER));
    cr_assert(eq(chr, replies->at[0].text.at[HUGE_ANSWER - 1], 'h'));
    mfi_redis_replies_destroy(replies);
    kit_stop(&k);
}

Test(redis_link, an_answer_above_the_bound_ends_its_request_and_no_other)
{
    kit k;
    kit_start(&k, huge, NULL);
    k.options.reply_max = 1 << 20;
    kit_open(&k);
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "GET x"), MFI_REDIS_HOW(.idempotent = true), NULL, &err),
                 MF_E_TOO_BIG));
    cr_assert(kit_says(&err, "1048576"));
    cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(20), NULL), MF_OK));     /* connected again */
    kit_stop(&k);
}

/* ---- order and bounds ------------------------------------------------------------------------------------------- */

static void count_up(fake_peer *p, void *user)
{
    atomic_int *next = user;
    fake_command c;
    if (!fake_greet(p))
        return;
    while (fake_read(p, &c)) {
        char text[32];
        int n = atoi(c.argv[1]);
        snprintf(text, sizeof text, ":%d\r\n", n == atomic_fetch_add(next, 1) ? n : -1);
        if (!fake_say(p, text))
            return;
    }
}

struct in_order {
    fake_event all;
    int        next, wrong;
    int        want;
};

static void check_order(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct in_order *o = user;
    (void)err;
    o->wrong += st != MF_OK || replies->at[0].integer != o->next;
    if (++o->next == o->want)
        fake_signal(&o->all);
}

Test(redis_link, requests_of_one_thread_are_sent_and_answered_in_order)
{
    kit k;
    atomic_int next = 0;
    kit_start(&k, count_up, &next);
    kit_open(&k);
    struct in_order o = {.all = FAKE_EVENT, .want = 20000};
    for (int i = 0; i < o.want; i++) {
        char text[32];
        snprintf(text, sizeof text, "N %d", i);
        cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, text), NULL, check_order, &o), MF_OK));
    }
    fake_await(&o.all, 1);
    cr_assert(eq(int, o.wrong, 0));
    kit_stop(&k);
}

/* The I/O thread stands still in an answer's callback. */
struct standstill {
    fake_event begun, go_on;
};

static void stand_still(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct standstill *s = user;
    (void)st, (void)replies, (void)err;
    fake_signal(&s->begun);
    fake_await(&s->go_on, 1);
}

Test(redis_link, what_comes_while_its_thread_is_busy_is_sent_together)
{
    kit k;
    atomic_int next = 0;
    kit_start(&k, count_up, &next);
    kit_open(&k);
    struct standstill s = {FAKE_EVENT, FAKE_EVENT};
    struct in_order o = {.all = FAKE_EVENT, .next = 1, .want = 4000};       /* fewer than may be under way at once */
    mfi_redis_stats before, after;
    cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, "N 0"), NULL, stand_still, &s), MF_OK));
    fake_await(&s.begun, 1);
    mfi_redis_stats_read(k.redis, &before);
    for (int i = 1; i < o.want; i++) {
        char text[32];
        snprintf(text, sizeof text, "N %d", i);
        cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, text), NULL, check_order, &o), MF_OK));
    }
    fake_signal(&s.go_on);
    fake_await(&o.all, 1);
    mfi_redis_stats_read(k.redis, &after);
    cr_assert(eq(int, o.wrong, 0));
    cr_assert(lt(u64, after.writes - before.writes, 100));
    kit_stop(&k);
}

static void mute(fake_peer *p, void *user)
{
    (void)user;
    if (fake_greet(p))
        fake_wait_for_close(p);
}

Test(redis_link, no_more_than_so_many_requests_wait_for_an_answer)
{
    kit k;
    kit_start(&k, mute, NULL);
    k.options.outstanding = 3;
    kit_open(&k);
    kit_end ends[3] = {KIT_END, KIT_END, KIT_END};
    for (int i = 0; i < 3; i++)
        kit_submit(&k, "PING", NULL, &ends[i]);
    cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, "PING"), NULL, kit_done, NULL), MF_E_FULL));
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "PING"), NULL, NULL, &err), MF_E_FULL));
    cr_assert(kit_says(&err, "too many"));
    kit_stop(&k);
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, kit_await(&ends[i]), MF_E_CLOSED));
}

Test(redis_link, what_is_empty_or_without_memory_is_refused_at_the_submit)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    cr_assert(eq(int, mfi_redis_submit(k.redis, mfi_redis_request_create(k.redis), NULL, NULL, NULL), MF_E_INVALID));
    cr_assert(eq(int, mfi_redis_submit(k.redis, NULL, NULL, NULL, NULL), MF_E_NOMEM));
    cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(20), NULL), MF_OK));
    threads_rest();     /* so that what allocates is this thread */
    k.memory.fail_at = k.memory.calls + 1;
    mfi_redis_request *rq = mfi_redis_request_create(k.redis);
    cr_assert(rq == NULL);
    mfi_redis_add(rq, MF_STR_LIT("PING"));
    cr_assert(eq(int, mfi_redis_submit(k.redis, rq, NULL, NULL, NULL), MF_E_NOMEM));
    static char large[10000];
    rq = mfi_redis_request_create(k.redis);
    k.memory.fail_at = k.memory.calls + 1;
    mfi_redis_add(rq, MF_STR_LIT("ECHO"), mf_str_of(large, sizeof large));
    cr_assert(eq(int, mfi_redis_submit(k.redis, rq, NULL, NULL, NULL), MF_E_NOMEM));
    kit_stop(&k);
}

/* ---- the I/O thread's guests ------------------------------------------------------------------------------------ */

struct nested {
    kit       *k;
    mf_status  called;
    kit_end    inner;
};

static void ask_again(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct nested *n = user;
    (void)st;
    (void)replies;
    (void)err;
    n->called = mfi_redis_call(n->k->redis, kit_command(n->k, "ECHO no"), NULL, NULL, NULL);
    kit_submit(n->k, "ECHO inner", NULL, &n->inner);
}

Test(redis_link, a_callback_may_submit_and_must_not_wait)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    struct nested n = {.k = &k, .inner = KIT_END};
    cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, "ECHO outer"), NULL, ask_again, &n), MF_OK));
    cr_assert(eq(int, kit_await(&n.inner), MF_OK));
    cr_assert(eq(str, n.inner.text, "inner"));
    cr_assert(eq(int, n.called, MF_E_STATE));
    kit_stop(&k);
}

static void keep(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    mfi_redis_replies *volatile *kept = user;
    (void)st;
    (void)err;
    mfi_redis_replies_keep(replies);
    *kept = replies;
}

Test(redis_link, answers_that_are_kept_outlive_the_link)
{
    kit k;
    kit_start(&k, echo, NULL);
    kit_open(&k);
    mfi_redis_replies *kept = NULL;
    kit_end end = KIT_END;
    cr_assert(eq(int, mfi_redis_submit(k.redis, kit_command(&k, "ECHO kept"), NULL, keep, &kept), MF_OK));
    kit_submit(&k, "ECHO more", NULL, &end);
    cr_assert(eq(int, kit_await(&end), MF_OK));
    mfi_redis_destroy(k.redis, 0);
    k.redis = NULL;
    cr_assert(eq(str, (char *)kept->at[0].text.at, "kept"));
    mfi_redis_replies_destroy(kept);
    kit_stop(&k);
}

struct ticks {
    fake_event event;
    int64_t    ask;
    atomic_int count;
};

static int64_t tick(void *user, int64_t now)
{
    struct ticks *t = user;
    atomic_fetch_add(&t->count, 1);
    fake_signal(&t->event);
    return t->ask == INT64_MAX ? INT64_MAX : now + t->ask;
}

Test(redis_link, a_tick_comes_at_its_time_and_when_poked)
{
    kit k;
    struct ticks t = {.event = FAKE_EVENT, .ask = mf_milliseconds(1)};
    kit_start(&k, echo, NULL);
    k.options.tick = tick;
    k.options.user = &t;
    kit_open(&k);
    fake_await(&t.event, 5);
    kit_stop(&k);

    struct ticks poked = {.event = FAKE_EVENT, .ask = INT64_MAX};
    kit_start(&k, echo, NULL);
    k.options.tick = tick;
    k.options.user = &poked;
    kit_open(&k);
    fake_await(&poked.event, 1);
    mfi_redis_poke(k.redis);
    fake_await(&poked.event, 2);
    kit_stop(&k);
    cr_assert(eq(int, poked.count, 2));
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void answer_when_told(fake_peer *p, void *user)
{
    fake_event *told = user;
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    fake_signal(&told[0]);
    fake_await(&told[1], 1);
    fake_say(p, "+late\r\n");
    fake_wait_for_close(p);
}

static void *tell(void *user)
{
    fake_signal(user);
    return NULL;
}

Test(redis_link, a_destroy_waits_for_what_is_under_way_as_long_as_it_may)
{
    kit k;
    fake_event told[2] = {FAKE_EVENT, FAKE_EVENT};
    kit_start(&k, answer_when_told, told);
    kit_open(&k);
    kit_end end = KIT_END;
    kit_submit(&k, "GET x", NULL, &end);
    fake_await(&told[0], 1);
    pthread_t thread;
    pthread_create(&thread, NULL, tell, &told[1]);
    mfi_redis_destroy(k.redis, mf_seconds(20));
    k.redis = NULL;
    pthread_join(thread, NULL);
    cr_assert(eq(int, kit_await(&end), MF_OK));
    cr_assert(eq(str, end.text, "late"));
    kit_stop(&k);
}

/* ---- who is refused --------------------------------------------------------------------------------------------- */

static void greet_badly(fake_peer *p, void *user)
{
    fake_command c;
    const char *const *say = user;      /* a command, what to answer it */
    while (fake_read(p, &c)) {
        const char *answer = fake_is(&c, say[0]) ? say[1] : fake_is(&c, "INFO") ? "$0\r\n\r\n" : "+OK\r\n";
        if (!fake_say(p, answer))
            return;
    }
}

static const struct {
    const char *answer[2];
    mf_status   status;
    const char *part;
} refusals[] = {
    {{"AUTH", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"}, MF_E_INVALID, "wrong user or password"},
    {{"AUTH", "-ERR AUTH <password> called without any password configured for the default user.\r\n"}, MF_E_INVALID,
     "leave the password out"},
    {{"AUTH", "-ERR unknown command 'AUTH', with args beginning with: 's3cret'\r\n"}, MF_E_UNSUPPORTED, "AUTH"},
    {{"AUTH", "-ERR s3cret is wrong\r\n"}, MF_E_INVALID, "refuses AUTH"},
    {{"SELECT", "-ERR DB index is out of range\r\n"}, MF_E_INVALID, "no database 7"},
    {{"PING", "-NOAUTH Authentication required.\r\n"}, MF_E_INVALID, "password"},
    {{"INFO", "$38\r\n# Server\r\nredis_mode:cluster\r\nxxxxxxxx\r\n"}, MF_E_UNSUPPORTED, "cluster"},
    {{"INFO", "$29\r\n# Server\r\nredis_mode:sentinel\r\n"}, MF_E_UNSUPPORTED, "sentinel"},
    {{"PING", "-CLUSTERDOWN Hash slot not served\r\n"}, MF_E_UNSUPPORTED, "cluster"},
};

Test(redis_link, a_refusal_ends_requests_at_once_and_names_its_reason_without_a_secret)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        kit k;
        kit_start(&k, greet_badly, (void *)refusals[i].answer);
        strcpy(k.address.password, "s3cret");
        k.address.db = 7;
        kit_open(&k);
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(20), &err), refusals[i].status), "%zu: %s", i, err.text);
        cr_assert(kit_says(&err, refusals[i].part), "%zu: %s", i, err.text);
        cr_assert(not(kit_says(&err, "s3cret")), "%s", err.text);
        memset(&err, 0, sizeof err);
        cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "GET x"), MFI_REDIS_HOW(.within = MF_FOREVER), NULL, &err),
                     refusals[i].status), "%zu: %s", i, err.text);
        cr_assert(kit_says(&err, refusals[i].part), "%zu: %s", i, err.text);
        kit_stop(&k);
    }
}

static void not_allowed(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    while (fake_read(p, &c))
        if (!fake_say(p, fake_is(&c, "GET") ? "+yes\r\n" : "-NOPERM this user has no permissions\r\n"))
            return;
}

Test(redis_link, a_user_who_may_do_none_of_the_greeting_is_served)
{
    kit k;
    kit_start(&k, not_allowed, NULL);
    kit_open(&k);
    kit_end end = KIT_END;
    kit_submit(&k, "GET x", NULL, &end);
    cr_assert(eq(int, kit_await(&end), MF_OK), "%s", end.err.text);
    kit_stop(&k);
}

static void too_many(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    if (p->number == 1) {
        fake_read(p, &c);
        fake_say(p, "-ERR max number of clients reached\r\n");
    } else if (fake_greet(p) && fake_read(p, &c)) {
        fake_say(p, "+in\r\n");
        fake_wait_for_close(p);
    }
}

static void watch(void *user, bool up, const mf_error *why)
{
    kit_end *end = user;
    if (!up && end->err.status == MF_OK)
        end->err = *why;
    if (up)
        fake_signal(&end->event);
}

Test(redis_link, a_server_that_says_why_it_closes_is_quoted_and_tried_again)
{
    kit k;
    kit_end seen = KIT_END;
    kit_start(&k, too_many, NULL);
    k.options.observe = watch;
    k.options.user = &seen;
    kit_open(&k);
    kit_end end = KIT_END;
    kit_submit(&k, "GET x", NULL, &end);
    cr_assert(eq(int, kit_await(&end), MF_OK), "%s", end.err.text);
    cr_assert(kit_says(&seen.err, "max number of clients"), "%s", seen.err.text);
    kit_stop(&k);
}

static void speak_tls(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    fake_read(p, &c);
    fake_say_bytes(p, "\x15\x03\x01\x00\x02\x02\x46", 7);
    fake_wait_for_close(p);
}

Test(redis_link, a_port_with_tls_that_is_spoken_to_without_says_so)
{
    kit k;
    mf_error err = {0};
    kit_start(&k, speak_tls, NULL);
    kit_open(&k);
    cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(20), &err), MF_E_INVALID));
    cr_assert(kit_says(&err, "rediss:"), "%s", err.text);
    kit_stop(&k);
}

Test(redis_link, a_bad_name_or_file_is_an_error_of_the_creation)
{
    kit k;
    mf_error err = {0};
    kit_start(&k, echo, NULL);
    k.options.name = "two words";
    cr_assert(eq(int, mfi_redis_create(&k.options, &k.redis, &err), MF_E_INVALID));
    k.options.name = NULL;
    k.address.tls = true;
    strcpy(k.address.ca, "/nonexistent/ca.pem");
    cr_assert(eq(int, mfi_redis_create(&k.options, &k.redis, &err), MF_E_NOT_FOUND), "%s", err.text);
    cr_assert(kit_says(&err, "/nonexistent/ca.pem"), "%s", err.text);
    kit_stop(&k);
}

Test(redis_link, without_memory_the_creation_says_so_at_every_allocation)
{
    kit k;
    kit_start(&k, mute, NULL);
    int refused = 0;
    for (long n = 1; n < 40; n++) {
        k.memory.calls = 0;
        k.memory.fail_at = n;
        mf_error err = {0};
        mf_status st = mfi_redis_create(&k.options, &k.redis, &err);
        refused += st != MF_OK;
        if (st != MF_OK)
            cr_assert(eq(int, st, MF_E_NOMEM), "%ld: %s", n, err.text);
        else {
            k.memory.fail_at = 0;
            mfi_redis_destroy(k.redis, 0);
        }
        k.redis = NULL;
        cr_assert(eq(long, k.memory.live, 0), "%ld", n);
    }
    cr_assert(gt(int, refused, 5));
    kit_stop(&k);
}
