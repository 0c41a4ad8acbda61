/* Many threads, and a server that is killed, stopped and continued under them. */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static redis_server s;

static void stop(void)
{
    redis_server_stop(&s);
}

TestSuite(redis_load, .fini = stop, .timeout = 240);

enum { THREADS = 8 };

/* Each command is answered or reported exactly once: `ends` counts how often each ended. */
struct ledger {
    mfi_redis     *redis;
    int            each;
    bool           idempotent;
    atomic_uchar  *ends;
    atomic_int     ended, ok, doubt, timeouts, other, pending;
};

struct entry {
    struct ledger *ledger;
    int            number;
};

static void ended(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct entry *e = user;
    struct ledger *l = e->ledger;
    (void)err;
    atomic_fetch_add(&l->ends[e->number], 1);
    atomic_fetch_add(st == MF_OK && replies != NULL ? &l->ok : st == MF_E_IO ? &l->doubt : st == MF_E_TIMEOUT ? &l->timeouts :
                     &l->other, 1);
    atomic_fetch_sub(&l->pending, 1);
    atomic_fetch_add(&l->ended, 1);
    free(e);
}

struct producer {
    struct ledger *ledger;
    int            number;
    pthread_t      thread;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct ledger *l = p->ledger;
    for (int i = 0; i < l->each; i++) {
        while (atomic_load(&l->pending) > 20000)
            sched_yield();
        struct entry *e = malloc(sizeof *e);
        *e = (struct entry){l, p->number * l->each + i};
        char key[32];
        int len = snprintf(key, sizeof key, "n%d", e->number);
        mfi_redis_request *rq = mfi_redis_request_create(l->redis);
        mfi_redis_add(rq, MF_STR_LIT("INCR"), mf_str_of(key, (size_t)len));
        atomic_fetch_add(&l->pending, 1);
        cr_assert(eq(int, mfi_redis_submit(l->redis, rq, MFI_REDIS_HOW(.within = mf_seconds(60), .idempotent = l->idempotent),
                                           ended, e), MF_OK));
    }
    return NULL;
}

static void run(struct ledger *l, int each, void (*meanwhile)(struct ledger *))
{
    struct producer producers[THREADS];
    l->each = each;
    l->ends = calloc((size_t)each * THREADS, 1);
    for (int i = 0; i < THREADS; i++) {
        producers[i] = (struct producer){l, i, 0};
        pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
    }
    if (meanwhile != NULL)
        meanwhile(l);
    for (int i = 0; i < THREADS; i++)
        pthread_join(producers[i].thread, NULL);
    mf_error err = {0};
    cr_assert(eq(int, live_call(l->redis, "PING", NULL, &err), MF_OK), "%s", err.text);     /* in order: the last answer */
    while (atomic_load(&l->ended) < each * THREADS)
        sched_yield();
    for (int i = 0; i < each * THREADS; i++)
        cr_assert(eq(int, l->ends[i], 1), "command %d ended %d times", i, l->ends[i]);
    free(l->ends);
}

Test(redis_load, eight_threads_pipeline_a_hundred_thousand_commands_each)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    struct ledger l = {.redis = live_open_up(&s, "", "")};
    run(&l, 100000, NULL);
    cr_assert(eq(int, l.ok, 800000));
    char got[64];
    cr_assert(eq(int, live_call(l.redis, "DBSIZE", got, NULL), MF_OK));
    cr_assert(eq(str, got, "800000"));
    mfi_redis_stats stats;
    mfi_redis_stats_read(l.redis, &stats);
    cr_assert(lt(u64, stats.writes, 800000 / 10));
    mfi_redis_destroy(l.redis, 0);
}

/* Kill and restart it a few times, each after so many more ends. */
static void kill_it(struct ledger *l)
{
    for (int i = 1; i <= 5; i++) {
        while (atomic_load(&l->ended) < i * 20000)
            sched_yield();
        redis_server_kill(&s);
        redis_server_start(&s);
    }
}

Test(redis_load, a_server_killed_under_load_leaves_every_command_answered_or_in_doubt_and_none_twice)
{
    s = (redis_server)REDIS_SERVER("--appendonly", "yes", "--appendfsync", "no");
    redis_server_start(&s);
    struct ledger l = {.redis = live_open_up(&s, "", "")};
    run(&l, 25000, kill_it);
    cr_assert(eq(int, l.ok + l.doubt, 200000));
    cr_assert(gt(int, l.doubt, 0));
    /* What was answered was done, and once: the counters that are there, with those in doubt, make up the sum. */
    char got[64];
    cr_assert(eq(int, live_call(l.redis, "DBSIZE", got, NULL), MF_OK));
    cr_assert(ge(int, atoi(got), l.ok));
    live_do(l.redis, "EVAL for\t_,k\tin\tipairs(redis.call('keys','n*'))do\tassert(redis.call('get',k)=='1')end 0");
    mfi_redis_destroy(l.redis, 0);
}

Test(redis_load, idempotent_commands_are_all_answered_through_the_same_kills)
{
    s = (redis_server)REDIS_SERVER("--appendonly", "yes", "--appendfsync", "no");
    redis_server_start(&s);
    struct ledger l = {.redis = live_open_up(&s, "", ""), .idempotent = true};
    run(&l, 25000, kill_it);
    cr_assert(eq(int, l.ok, 200000));
    mfi_redis_stats stats;
    mfi_redis_stats_read(l.redis, &stats);
    cr_assert(gt(u64, stats.resent, 0));
    mfi_redis_destroy(l.redis, 0);
}

Test(redis_load, a_stopped_server_keeps_nobody_beyond_the_deadline)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis *redis = live_open(&s, "", "", &(mfi_redis_options){.answer_timeout = mf_milliseconds(400),
                                                                  .connect_timeout = mf_milliseconds(400)});
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_wait_up(redis, mf_seconds(20), &err), MF_OK));
    redis_server_pause(&s);
    cr_assert(eq(int, mfi_redis_call(redis, live_command(redis, "GET k"), MFI_REDIS_HOW(.within = mf_milliseconds(100)), NULL,
                                     &err), MF_E_TIMEOUT));
    cr_assert(eq(int, mfi_redis_call(redis, live_command(redis, "GET k"), MFI_REDIS_HOW(.within = mf_seconds(30)), NULL, &err),
                 MF_E_IO));
    cr_assert(live_says(&err, "no answer for"), "%s", err.text);
    /* The kernel still accepts for it: a connection that gets no greeting is no connection. */
    cr_assert(eq(int, mfi_redis_call(redis, live_command(redis, "GET k"), MFI_REDIS_HOW(.within = mf_seconds(1)), NULL, &err),
                 MF_E_TIMEOUT));
    cr_assert(live_says(&err, "not sent in time"), "%s", err.text);
    cr_assert(not(mfi_redis_up(redis)));
    redis_server_resume(&s);
    cr_assert(eq(int, live_call(redis, "GET k", NULL, &err), MF_OK), "%s", err.text);
    mfi_redis_destroy(redis, 0);
}
