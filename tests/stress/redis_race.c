/* Races of the Redis client: many threads ask while connections come and go, waits are interrupted, the link is poked and
 * destroyed. Every request that was taken ends exactly once. */
#include "scenario.h"

#include "counting_allocator.h"
#include "fake_redis.h"
#include "redis_link.h"

#include <pthread.h>
#include <sched.h>

enum { ASKERS = 4 };

struct race {
    fake_redis         server;
    counting_allocator memory;
    mfi_redis         *redis;
    long               each;
    int                lives;           /* commands that a connection answers; 0: as many as come */
    atomic_long        taken, ended, ok;
    atomic_bool        stop;
};

static void serve(fake_peer *p, void *user)
{
    struct race *race = user;
    fake_command c;
    if (!fake_greet(p))
        return;
    for (int n = 0; race->lives == 0 || p->number > 12 || n < race->lives; n++)
        if (!fake_read(p, &c) || !fake_say(p, fake_is(&c, "CLIENT") ? ":0\r\n" : "+OK\r\n"))
            return;
}

static void begin(struct race *race, long each, int lives)
{
    memset(race, 0, sizeof *race);
    counting_init(&race->memory);
    race->each = scenario_rounds(each);
    race->lives = lives;
    fake_redis_start(&race->server, serve, race);
    mfi_redis_address address;
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", race->server.port);
    CHECK_EQ(mfi_redis_address_from_url(url, &address, NULL), MF_OK);
    CHECK_EQ(mfi_redis_create(&(mfi_redis_options){.allocator = &race->memory.allocator, .address = &address,
                                                   .outstanding = 500}, &race->redis, NULL), MF_OK);
}

static void end(struct race *race)
{
    mfi_redis_destroy(race->redis, 0);
    CHECK_EQ(race->ended, race->taken);
    fake_redis_stop(&race->server);
    CHECK_EQ(race->memory.live, 0);
    CHECK_EQ(race->memory.wrong_size, 0);
}

static void ended(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct race *race = user;
    CHECK(st != MF_OK || (replies != NULL && replies->at[0].type != MFI_REDIS_ERROR));
    CHECK(st == MF_OK || err->text[0] != '\0');
    atomic_fetch_add(&race->ok, st == MF_OK);
    atomic_fetch_add(&race->ended, 1);
}

static void ask(struct race *race, const mfi_redis_how *how)
{
    mf_status st;
    /* Before the submit: the end may come before it returns. */
    atomic_fetch_add(&race->taken, 1);
    do {
        mfi_redis_request *rq = mfi_redis_request_create(race->redis);
        mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT("key"), MF_STR_LIT("value"));
        st = mfi_redis_submit(race->redis, rq, how, ended, race);
        if (st == MF_E_FULL)
            sched_yield();
    } while (st == MF_E_FULL);
    CHECK_EQ(st, MF_OK);
}

static void *asker(void *arg)
{
    struct race *race = arg;
    for (long i = 0; i < race->each; i++) {
        bool patient = i % 64 == 0;
        ask(race, MFI_REDIS_HOW(.idempotent = i % 2 == 0, .within = i % 16 == 1 ? mf_microseconds(50) : MF_FOREVER,
                                .blocking = i % 8 == 3, .blocks = mf_seconds(20)));
        if (patient) {
            mfi_redis_request *rq = mfi_redis_request_create(race->redis);
            mfi_redis_add(rq, MF_STR_LIT("PING"));
            mfi_redis_replies *replies;
            mf_error err;
            mf_status st = mfi_redis_call(race->redis, rq, MFI_REDIS_HOW(.within = i % 128 == 0 ? 1 : mf_seconds(60)), &replies,
                                          &err);
            CHECK(st == MF_OK || st == MF_E_IO || st == MF_E_TIMEOUT || st == MF_E_FULL);
            mfi_redis_replies_destroy(replies);
        }
    }
    return NULL;
}

static void *meddler(void *arg)
{
    struct race *race = arg;
    while (!atomic_load(&race->stop)) {
        mfi_redis_poke(race->redis);
        mfi_redis_interrupt(race->redis);
        CHECK(mfi_redis_script_add(race->redis, MF_STR_LIT("return 1")) != NULL);
        mfi_redis_stats stats;
        mfi_redis_stats_read(race->redis, &stats);
        mfi_redis_up(race->redis);
        sched_yield();
    }
    return NULL;
}

static void run(long each, int lives)
{
    struct race race;
    pthread_t askers[ASKERS], other;
    begin(&race, each, lives);
    CHECK_EQ(pthread_create(&other, NULL, meddler, &race), 0);
    for (int i = 0; i < ASKERS; i++)
        CHECK_EQ(pthread_create(&askers[i], NULL, asker, &race), 0);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    atomic_store(&race.stop, true);
    pthread_join(other, NULL);
    CHECK(race.ok > 0);
    end(&race);
}

static void steady_server(void)  { run(4000, 0); }
static void mortal_server(void)  { run(1500, 40); }

/* A wake that is lost shows as a request that never ends: each is sent to a thread that is about to sleep. */
static void one_at_a_time(void)
{
    struct race race;
    begin(&race, 3000, 0);
    for (long i = 0; i < race.each; i++) {
        ask(&race, NULL);
        while (atomic_load(&race.ended) < i + 1)
            if (i % 2 == 0)
                sched_yield();
    }
    CHECK_EQ(race.ok, race.each);
    end(&race);
}

static void destroyed_under_load(void)
{
    for (long i = 0; i < scenario_rounds(30); i++) {
        struct race race;
        begin(&race, 1, 0);
        for (long n = 0; n < 20 * i; n++)
            ask(&race, MFI_REDIS_HOW(.blocking = n % 4 == 0));
        end(&race);
    }
}

const scenario scenarios[] = {
    {"every request ends once while waits are interrupted", steady_server},
    {"every request ends once while connections are lost", mortal_server},
    {"no wake is lost", one_at_a_time},
    {"what waits when the link is destroyed ends then", destroyed_under_load},
    {NULL, NULL},
};
