/* The client against a server that goes, stops, is late or lies. */
#include "kit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first connection reads one command, says what `user` says, and closes; the next ones answer +again. */
static void close_once(fake_peer *p, void *user)
{
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    if (p->number == 1) {
        fake_say(p, user);
        return;
    }
    while (fake_say(p, "+again\r\n") && fake_read(p, &c))
        ;
}

static const char *const torn[] = {"", "+", "+OK", "$10\r\nabc", "*2\r\n:1\r\n", "*2\r\n:1\r\n$5\r\nhell"};

Test(redis_drop, a_command_under_way_is_in_doubt_and_is_not_sent_again)
{
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        kit k;
        kit_start(&k, close_once, (void *)torn[i]);
        kit_open(&k);
        kit_end end = KIT_END;
        kit_submit(&k, "INCR x", NULL, &end);
        cr_assert(eq(int, kit_await(&end), MF_E_IO));
        cr_assert(kit_says(&end.err, "not known whether it was done"), "%s", end.err.text);
        cr_assert(not(end.answered));
        kit_end next = KIT_END;
        kit_submit(&k, "INCR x", NULL, &next);
        cr_assert(eq(int, kit_await(&next), MF_OK), "%s", next.err.text);
        mfi_redis_stats stats;
        mfi_redis_stats_read(k.redis, &stats);
        cr_assert(eq(u64, stats.resent, 0));
        kit_stop(&k);
    }
}

Test(redis_drop, one_that_is_idempotent_is_sent_again_and_answered_once)
{
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        kit k;
        kit_start(&k, close_once, (void *)torn[i]);
        kit_open(&k);
        kit_end end = KIT_END;
        kit_submit(&k, "SET x 1", MFI_REDIS_HOW(.idempotent = true), &end);
        cr_assert(eq(int, kit_await(&end), MF_OK), "%s", end.err.text);
        cr_assert(eq(str, end.text, "again"));
        mfi_redis_stats stats;
        mfi_redis_stats_read(k.redis, &stats);
        cr_assert(eq(u64, stats.resent, 1));
        kit_stop(&k);
    }
}

static void always_close(fake_peer *p, void *user)
{
    atomic_int *commands = user;
    fake_command c;
    if (fake_greet(p) && fake_read(p, &c))
        atomic_fetch_add(commands, 1);
}

Test(redis_drop, a_request_that_brings_every_connection_down_is_given_up)
{
    kit k;
    atomic_int commands = 0;
    kit_start(&k, always_close, &commands);
    kit_open(&k);
    kit_end end = KIT_END;
    kit_submit(&k, "SET x 1", MFI_REDIS_HOW(.within = MF_FOREVER, .idempotent = true), &end);
    cr_assert(eq(int, kit_await(&end), MF_E_IO));
    cr_assert(eq(int, commands, 5));        /* the link itself goes on to connect */
    kit_stop(&k);
}

/* ---- not sent yet ----------------------------------------------------------------------------------------------- */

static void refuse_twice(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    if (p->number < 3 || !fake_greet(p))
        return;
    while (fake_read(p, &c) && fake_say(p, "+third\r\n"))
        ;
}

Test(redis_drop, what_was_not_sent_waits_for_the_next_connection)
{
    kit k;
    kit_start(&k, refuse_twice, NULL);
    kit_open(&k);
    kit_end ends[100];
    for (int i = 0; i < 100; i++) {
        ends[i] = (kit_end)KIT_END;
        kit_submit(&k, "INCR x", NULL, &ends[i]);
    }
    for (int i = 0; i < 100; i++)
        cr_assert(eq(int, kit_await(&ends[i]), MF_OK), "%s", ends[i].err.text);
    cr_assert(eq(int, k.server.connections, 3));
    kit_stop(&k);
}

static void slam(fake_peer *p, void *user)
{
    (void)p;
    (void)user;
}

Test(redis_drop, what_cannot_be_sent_in_time_says_so_and_why)
{
    kit k;
    kit_start(&k, slam, NULL);
    kit_open(&k);
    mf_error err = {0};
    cr_assert(eq(int, kit_failure(&k, &err), MF_E_TIMEOUT));
    cr_assert(kit_says(&err, "closed"), "%s", err.text);
    cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "INCR x"), MFI_REDIS_HOW(.within = mf_milliseconds(200)), NULL,
                                     &err), MF_E_TIMEOUT));
    cr_assert(kit_says(&err, "not sent in time"), "%s", err.text);
    cr_assert(kit_says(&err, "closed"), "%s", err.text);
    kit_stop(&k);
}

/* ---- silence ---------------------------------------------------------------------------------------------------- */

static void mute(fake_peer *p, void *user)
{
    (void)user;
    if (fake_greet(p))
        fake_wait_for_close(p);
}

Test(redis_drop, a_request_ends_at_its_time_when_the_server_never_answers)
{
    kit k;
    kit_start(&k, mute, NULL);
    kit_open(&k);
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(20), NULL), MF_OK));
    do      /* until one was sent in its time, however long the link's thread is kept from it */
        cr_assert(eq(int, mfi_redis_call(k.redis, kit_command(&k, "INCR x"), MFI_REDIS_HOW(.within = mf_milliseconds(50)), NULL,
                                         &err), MF_E_TIMEOUT));
    while (kit_says(&err, "not sent in time"));
    cr_assert(kit_says(&err, "not known whether it was done"), "%s", err.text);
    kit_stop(&k);
}

/* The first connection that brings a command hears nothing. An earlier one may be given up while it is greeted. */
static void mute_once(fake_peer *p, void *user)
{
    atomic_bool *was_mute = user;
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    if (!atomic_exchange(was_mute, true))
        fake_wait_for_close(p);
    else
        while (fake_say(p, "+second\r\n") && fake_read(p, &c))
            ;
}

Test(redis_drop, a_server_that_owes_an_answer_too_long_is_dead_and_another_connection_made)
{
    kit k;
    atomic_bool was_mute = false;
    kit_start(&k, mute_once, &was_mute);
    k.options.answer_timeout = mf_milliseconds(100);
    kit_open(&k);
    kit_end once = KIT_END, again = KIT_END;
    kit_submit(&k, "INCR x", NULL, &once);
    kit_submit(&k, "SET x 1", MFI_REDIS_HOW(.idempotent = true), &again);
    cr_assert(eq(int, kit_await(&once), MF_E_IO));
    cr_assert(kit_says(&once.err, "no answer for"), "%s", once.err.text);
    cr_assert(eq(int, kit_await(&again), MF_OK));
    cr_assert(eq(str, again.text, "second"));
    kit_stop(&k);
}

static void never_greet(fake_peer *p, void *user)
{
    (void)user;
    fake_wait_for_close(p);
}

Test(redis_drop, a_server_that_accepts_and_says_nothing_is_no_server)
{
    kit k;
    kit_start(&k, never_greet, NULL);
    k.options.connect_timeout = mf_milliseconds(50);
    kit_open(&k);
    mf_error err = {0};
    do
        cr_assert(eq(int, kit_failure(&k, &err), MF_E_TIMEOUT));
    while (kit_says(&err, "no answer in time"));        /* of a connect, where the link's thread is away for so long in it */
    cr_assert(kit_says(&err, "does not answer"), "%s", err.text);
    kit_stop(&k);
}

static void late(fake_peer *p, void *user)
{
    fake_event *told = user;
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    fake_await(told, 1);
    fake_say(p, "+late\r\n");
    while (fake_read(p, &c) && fake_say(p, "+own\r\n"))
        ;
}

Test(redis_drop, a_late_answer_is_nobody_elses)
{
    kit k;
    fake_event told = FAKE_EVENT;
    kit_start(&k, late, &told);
    kit_open(&k);
    cr_assert(eq(int, mfi_redis_wait_up(k.redis, mf_seconds(30), NULL), MF_OK));      /* the 50 ms are for the answer */
    kit_end first, second = KIT_END;
    do {    /* until one was sent in its time, however long the link's thread is kept from it */
        first = (kit_end)KIT_END;
        kit_submit(&k, "GET a", MFI_REDIS_HOW(.within = mf_milliseconds(50)), &first);
        cr_assert(eq(int, kit_await(&first), MF_E_TIMEOUT));
    } while (kit_says(&first.err, "not sent in time"));
    kit_submit(&k, "GET b", NULL, &second);
    fake_signal(&told);
    cr_assert(eq(int, kit_await(&second), MF_OK), "%s", second.err.text);
    cr_assert(eq(str, second.text, "own"));
    cr_assert(eq(int, k.server.connections, 1));
    cr_assert(eq(int, first.event.count, 1));
    kit_stop(&k);
}

/* ---- lies ------------------------------------------------------------------------------------------------------- */

static void talk_nonsense(fake_peer *p, void *user)
{
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    if (p->number > 1) {
        while (fake_say(p, "+again\r\n") && fake_read(p, &c))
            ;
        return;
    }
    fake_say(p, user);
    fake_wait_for_close(p);
}

static const struct { const char *said, *told; } lies[] = {
    {"HTTP/1.1 400 Bad Request\r\n", "not RESP"}, {"*2147483647\r\n", "more than"}, {"$-7\r\n", "not RESP"},
    {"+OK\r\n+and more\r\n", "nobody had asked"}, {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "not RESP"},
};

static void remember(void *user, bool up, const mf_error *why)
{
    kit_end *seen = user;
    if (!up) {
        seen->err = *why;
        fake_signal(&seen->event);
    }
}

Test(redis_drop, what_is_no_answer_ends_the_connection_and_the_next_one_works)
{
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        kit k;
        kit_end seen = KIT_END, end = KIT_END, next = KIT_END;
        kit_start(&k, talk_nonsense, (void *)lies[i].said);
        k.options.reply_max = 1 << 20;
        k.options.observe = remember;
        k.options.user = &seen;
        kit_open(&k);
        kit_submit(&k, "GET x", NULL, &end);
        kit_await(&end);
        fake_await(&seen.event, 1);
        cr_assert(kit_says(&seen.err, lies[i].told), "%s", seen.err.text);
        kit_submit(&k, "GET x", NULL, &next);
        cr_assert(eq(int, kit_await(&next), MF_OK), "%s", next.err.text);
        kit_stop(&k);
    }
}

/* ---- somewhere else --------------------------------------------------------------------------------------------- */

struct ups {
    fake_event up, down;
};

static void observe(void *user, bool up, const mf_error *why)
{
    struct ups *u = user;
    (void)why;
    fake_signal(up ? &u->up : &u->down);
}

static void close_when_told(fake_peer *p, void *user)
{
    fake_event *close = user;
    if (!fake_greet(p))
        return;
    if (p->number == 1)
        fake_await(close, 1);
    else
        fake_wait_for_close(p);
}

Test(redis_drop, an_idle_link_notices_that_the_server_has_gone_and_is_up_again_with_it)
{
    kit k;
    struct ups seen = {FAKE_EVENT, FAKE_EVENT};
    fake_event close = FAKE_EVENT;
    kit_start(&k, close_when_told, &close);
    k.options.observe = observe;
    k.options.user = &seen;
    kit_open(&k);
    fake_await(&seen.up, 1);
    cr_assert(mfi_redis_up(k.redis));
    fake_signal(&close);
    fake_await(&seen.down, 1);
    fake_await(&seen.up, 2);
    mfi_redis_stats stats;
    mfi_redis_stats_read(k.redis, &stats);
    cr_assert(eq(u64, stats.connects, 2));
    cr_assert(eq(u64, stats.drops, 1));
    kit_stop(&k);
}

/* A port that is somebody's, so that no other test gets it, and refuses. */
static int silent_port(uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(eq(int, bind(fd, (struct sockaddr *)&in, len), 0));
    cr_assert(eq(int, getsockname(fd, (struct sockaddr *)&in, &len), 0));
    *port = ntohs(in.sin_port);
    return fd;
}

Test(redis_drop, nobody_listens_and_the_link_says_so)
{
    kit k;
    mf_error err = {0};
    kit_start(&k, mute, NULL);
    fake_redis_stop(&k.server);
    int fd = silent_port(&k.address.port);
    kit_open(&k);
    cr_assert(eq(int, kit_failure(&k, &err), MF_E_TIMEOUT));
    cr_assert(kit_says(&err, "refused"), "%s", err.text);
    mfi_redis_destroy(k.redis, mf_milliseconds(50));
    close(fd);
    cr_assert(eq(long, k.memory.live, 0));
}
