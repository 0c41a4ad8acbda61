/* A network that delays, drips, freezes, truncates and cuts, between the client and a real server. */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fault_proxy.h"
#include "redis_store.h"

static redis_server s;
static fault_proxy proxy;

static void stop(void)
{
    redis_server_stop(&s);
}

TestSuite(redis_fault, .fini = stop, .timeout = 240);

enum { ASKERS = 4, MOST = 400000 };

struct storm {
    mfi_redis     *link;
    mf_store      *store;
    bool           idempotent;
    atomic_bool    over;
    atomic_int     next, ended, ok, pending;
    atomic_uchar  *ends;          /* how often each ended */
    atomic_uchar  *well;          /* and whether well */
};

static void begin(struct storm *w)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    fault_proxy_start(&proxy, s.port);
    w->ends = calloc(MOST, 1);
    w->well = calloc(MOST, 1);
}

static redis_server through_proxy(void)
{
    redis_server at = s;
    at.port = proxy.port;
    return at;
}

static void note(struct storm *w, int number, bool well)
{
    atomic_fetch_add(&w->ends[number], 1);
    atomic_store(&w->well[number], well);
    atomic_fetch_add(&w->ok, well);
    atomic_fetch_add(&w->ended, 1);
}

/* ---- the weather ------------------------------------------------------------------------------------------------ */

static uint64_t drops(const struct storm *w)
{
    mfi_redis_stats stats;
    mfi_redis_stats_read(w->link, &stats);
    return stats.drops;
}

/* Each fault until it has been felt: by commands that ended in it, or by a connection that was lost in it. */
static void weather(struct storm *w, int rounds)
{
    static const fault faults[] = {FAULT_DRIP, FAULT_CUT, FAULT_DELAY, FAULT_TRUNCATE, FAULT_FREEZE};
    for (int i = 0; i < rounds; i++) {
        fault f = faults[i % 5];
        int ended = atomic_load(&w->ended);
        uint64_t lost = drops(w);
        fault_proxy_set(&proxy, f);
        if (f == FAULT_DRIP || f == FAULT_DELAY)
            while (atomic_load(&w->ended) < ended + 100)
                sched_yield();
        else
            while (drops(w) == lost)
                sched_yield();
        fault_proxy_set(&proxy, FAULT_NONE);
        ended = atomic_load(&w->ok);
        while (atomic_load(&w->ok) < ended + 100)       /* and well again */
            sched_yield();
    }
}

static void run(struct storm *w, void *(*ask)(void *), int rounds)
{
    pthread_t threads[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&threads[i], NULL, ask, w);
    weather(w, rounds);
    atomic_store(&w->over, true);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    while (atomic_load(&w->pending) > 0)
        sched_yield();
    cr_assert(lt(int, w->next, MOST));
    for (int i = 0; i < w->next; i++)
        cr_assert(eq(int, w->ends[i], 1), "%d ended %d times", i, w->ends[i]);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

struct entry {
    struct storm *storm;
    int           number;
};

static void ended(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct entry *e = user;
    (void)err;
    note(e->storm, e->number, st == MF_OK && replies != NULL);
    atomic_fetch_sub(&e->storm->pending, 1);
    free(e);
}

static void *ask(void *arg)
{
    struct storm *w = arg;
    while (!atomic_load(&w->over)) {
        while (atomic_load(&w->pending) > 500)
            sched_yield();
        struct entry *e = malloc(sizeof *e);
        *e = (struct entry){w, atomic_fetch_add(&w->next, 1)};
        char command[64];
        snprintf(command, sizeof command, w->idempotent ? "SET n%d 1" : "INCR n%d", e->number);
        atomic_fetch_add(&w->pending, 1);
        mf_status st = mfi_redis_submit(w->link, live_command(w->link, command), MFI_REDIS_HOW(.within = mf_seconds(60),
                                        .idempotent = w->idempotent), ended, e);
        cr_assert(eq(int, st, MF_OK));
    }
    return NULL;
}

static void open_link(struct storm *w)
{
    redis_server at = through_proxy();
    w->link = live_open(&at, "", "", &(mfi_redis_options){.answer_timeout = mf_milliseconds(500)});
    cr_assert(eq(int, mfi_redis_wait_up(w->link, mf_seconds(20), NULL), MF_OK));
}

/* What the server has of the commands, by its own connection. */
static void compare(struct storm *w, bool all)
{
    mfi_redis *direct = live_open_up(&s, "", "");
    for (int i = 0; i < w->next; i++) {
        char command[64], got[64];
        snprintf(command, sizeof command, "GET n%d", i);
        cr_assert(eq(int, live_call(direct, command, got, NULL), MF_OK));
        if (w->well[i] || all)
            cr_assert(eq(str, got, "1"), "command %d", i);
        else
            cr_assert(strcmp(got, "1") == 0 || strcmp(got, "(nil)") == 0, "command %d was done more than once", i);
    }
    mfi_redis_destroy(direct, 0);
}

static void end(struct storm *w)
{
    fault_proxy_stop(&proxy);
    free(w->ends);
    free(w->well);
}

Test(redis_fault, commands_are_done_once_or_in_doubt_whatever_the_network_does)
{
    struct storm w = {0};
    begin(&w);
    open_link(&w);
    run(&w, ask, 15);
    cr_assert(lt(int, w.ok, w.next));       /* some are in doubt */
    compare(&w, false);
    mfi_redis_destroy(w.link, 0);
    end(&w);
}

Test(redis_fault, idempotent_commands_are_all_done_whatever_the_network_does)
{
    struct storm w = {.idempotent = true};
    begin(&w);
    open_link(&w);
    run(&w, ask, 15);
    cr_assert(eq(int, w.ok, w.next));
    compare(&w, true);
    mfi_redis_destroy(w.link, 0);
    end(&w);
}

/* ---- commits ---------------------------------------------------------------------------------------------------- */

static mf_spec *call;

static void *commit(void *arg)
{
    struct storm *w = arg;
    while (!atomic_load(&w->over)) {
        int number = atomic_fetch_add(&w->next, 1);
        mf_entry e = {.spec = call, .attempt = (uint32_t)number};
        note(w, number, mf_store_commit(w->store, &(mf_batch){.entries = &e, .entry_count = 1}, NULL, NULL) == MF_OK);
    }
    return NULL;
}

Test(redis_fault, commits_are_done_once_and_all_answered_whatever_the_network_does)
{
    struct storm w = {0};
    mfi_redis_address address;
    mf_error err = {0};
    char url[64];
    begin(&w);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", proxy.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, NULL), MF_OK));
    cr_assert(eq(int, mfi_redis_store_create(&(mfi_redis_store_options){.address = &address, .timeout = mf_seconds(60)}, &w.store,
                                             &err), MF_OK), "%s", err.text);
    w.link = mfi_redis_store_link(w.store);
    call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    run(&w, commit, 9);
    cr_assert(eq(int, w.ok, w.next));
    unsigned char *seen = calloc(MOST, 1);
    mf_taken taken[64];
    size_t got;
    int64_t next;
    do {
        cr_assert(eq(int, mf_store_take(w.store, 64, taken, &got, &next, &err), MF_OK), "%s", err.text);
        for (size_t i = 0; i < got; i++) {
            seen[taken[i].entry.attempt]++;
            mf_entry_release(&taken[i].entry);
        }
    } while (got > 0);
    for (int i = 0; i < w.next; i++)
        cr_assert(eq(int, seen[i], 1), "commit %d was done %d times", i, seen[i]);
    free(seen);
    mf_spec_unref(call);
    mf_store_destroy(w.store);
    end(&w);
}
