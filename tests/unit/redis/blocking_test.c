/* Commands that wait in the server: the second connection, and how they are ended. */
#include "kit.h"

#include <stdio.h>

/* BLPOP waits until the client is unblocked by its id, or `may` says otherwise. */
struct place {
    fake_event waiting;          /* BLPOP has arrived */
    fake_event unblocked;        /* CLIENT UNBLOCK came */
    const char *answer;          /* to CLIENT UNBLOCK */
    int         early;           /* that many UNBLOCKs come before the command, says the server */
    char        id[32];
    atomic_int  last;            /* connection that blocks */
    const char *popped;          /* what BLPOP says once unblocked */
};

static void serve(fake_peer *p, void *user)
{
    struct place *place = user;
    fake_command c;
    if (!fake_greet(p))
        return;
    while (fake_read(p, &c)) {
        if (fake_is(&c, "BLPOP")) {
            place->last = p->number;
            fake_signal(&place->waiting);
            if (strcmp(place->answer, ":1\r\n") != 0) {
                fake_wait_for_close(p);
                return;
            }
            fake_await(&place->unblocked, 1);
            if (!fake_say(p, place->popped))
                return;
        } else if (fake_is(&c, "CLIENT")) {
            snprintf(place->id, sizeof place->id, "%.20s", c.argv[2]);
            if (place->early > 0) {
                place->early--;
                fake_say(p, ":0\r\n");
                continue;
            }
            fake_say(p, place->answer);
            fake_signal(&place->unblocked);
        } else if (!fake_say(p, "+OK\r\n")) {
            return;
        }
    }
}

#define BLOCKING MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = MF_FOREVER)

Test(redis_blocking, a_wait_in_the_server_holds_nobody_up)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = ":1\r\n", .popped = "*-1\r\n"};
    kit_start(&k, serve, &place);
    kit_open(&k);
    kit_end pop = KIT_END, get = KIT_END;
    kit_submit(&k, "BLPOP q 0", BLOCKING, &pop);
    fake_await(&place.waiting, 1);
    kit_submit(&k, "GET x", NULL, &get);
    cr_assert(eq(int, kit_await(&get), MF_OK));
    cr_assert(eq(int, pop.event.count, 0));
    cr_assert(eq(int, k.server.connections, 2));
    mfi_redis_interrupt(k.redis);
    cr_assert(eq(int, kit_await(&pop), MF_OK));
    kit_stop(&k);
}

Test(redis_blocking, an_interrupt_unblocks_by_id_and_what_was_popped_still_arrives)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = ":1\r\n", .early = 2, .popped = "+popped\r\n"};
    kit_start(&k, serve, &place);
    kit_open(&k);
    kit_end first = KIT_END, second = KIT_END;
    kit_submit(&k, "BLPOP q 0", BLOCKING, &first);
    kit_submit(&k, "BLPOP q 0", BLOCKING, &second);
    fake_await(&place.waiting, 1);
    mfi_redis_interrupt(k.redis);
    cr_assert(eq(int, kit_await(&first), MF_OK), "%s", first.err.text);
    cr_assert(eq(str, first.text, "popped"));
    cr_assert(eq(int, kit_await(&second), MF_E_CANCELED));
    cr_assert(kit_says(&second.err, "not sent"), "%s", second.err.text);
    cr_assert(eq(int, atoi(place.id), place.last));
    cr_assert(eq(int, k.server.connections, 2));      /* the same connection goes on */
    kit_stop(&k);
}

Test(redis_blocking, where_unblocking_is_not_allowed_the_connection_is_closed)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = "-NOPERM no\r\n"};
    kit_start(&k, serve, &place);
    kit_open(&k);
    kit_end pop = KIT_END, get = KIT_END;
    kit_submit(&k, "BLPOP q 0", BLOCKING, &pop);
    fake_await(&place.waiting, 1);
    mfi_redis_interrupt(k.redis);
    cr_assert(eq(int, kit_await(&pop), MF_E_CANCELED));
    kit_submit(&k, "GET x", NULL, &get);
    cr_assert(eq(int, kit_await(&get), MF_OK));
    cr_assert(mfi_redis_up(k.redis));
    kit_stop(&k);
}

Test(redis_blocking, a_server_that_ignores_the_unblocking_is_left)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = ":0\r\n"};
    kit_start(&k, serve, &place);
    k.options.answer_timeout = mf_milliseconds(200);
    kit_open(&k);
    kit_end pop = KIT_END;
    kit_submit(&k, "BLPOP q 0", BLOCKING, &pop);
    fake_await(&place.waiting, 1);
    mfi_redis_interrupt(k.redis);
    cr_assert(eq(int, kit_await(&pop), MF_E_CANCELED));
    kit_stop(&k);
}

Test(redis_blocking, an_interrupt_with_nothing_to_interrupt_is_none)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = ":1\r\n", .popped = "+later\r\n"};
    kit_start(&k, serve, &place);
    kit_open(&k);
    kit_end get = KIT_END, pop = KIT_END;
    mfi_redis_interrupt(k.redis);
    kit_submit(&k, "GET x", NULL, &get);
    cr_assert(eq(int, kit_await(&get), MF_OK));
    kit_submit(&k, "BLPOP q 0", BLOCKING, &pop);
    fake_await(&place.waiting, 1);
    fake_signal(&place.unblocked);
    cr_assert(eq(int, kit_await(&pop), MF_OK));
    cr_assert(eq(str, pop.text, "later"));
    kit_stop(&k);
}

Test(redis_blocking, a_destroy_ends_a_wait_in_the_server_at_once)
{
    kit k;
    struct place place = {FAKE_EVENT, FAKE_EVENT, .answer = ":1\r\n", .popped = "*-1\r\n"};
    kit_start(&k, serve, &place);
    kit_open(&k);
    kit_end pop = KIT_END;
    kit_submit(&k, "BLPOP q 0", BLOCKING, &pop);
    fake_await(&place.waiting, 1);
    mfi_redis_destroy(k.redis, mf_seconds(20));
    k.redis = NULL;
    mf_status st = kit_await(&pop);     /* the server's answer to its end, if that came first, or ours */
    cr_assert(st == MF_OK || st == MF_E_CANCELED, "%s", mf_status_name(st));
    kit_stop(&k);
}

static void hang(fake_peer *p, void *user)
{
    fake_event *waiting = user;
    fake_command c;
    if (!fake_greet(p) || !fake_read(p, &c))
        return;
    fake_signal(waiting);
    fake_wait_for_close(p);
}

Test(redis_blocking, a_server_that_blocks_longer_than_it_was_told_is_dead)
{
    kit k;
    fake_event waiting = FAKE_EVENT;
    kit_start(&k, hang, &waiting);
    k.options.answer_timeout = mf_milliseconds(50);
    kit_open(&k);
    kit_end pop = KIT_END;
    kit_submit(&k, "BLPOP q 1", MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = mf_milliseconds(50)), &pop);
    cr_assert(eq(int, kit_await(&pop), MF_E_IO));
    cr_assert(kit_says(&pop.err, "no answer for"), "%s", pop.err.text);
    kit_stop(&k);
}
