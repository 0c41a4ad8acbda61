/* bench_redis [--quick] [--only WHAT [COUNT]]: what a command costs through the link, and through hiredis alone.
 *
 *   bare    one thread, hiredis over the same unix socket: append a batch, flush it, read its answers
 *   link    one thread submits single requests, at most two batches ahead; the I/O thread writes and reads
 *   batch   the same commands in requests of a batch each
 *   eight   eight threads submit single requests
 *   wait    one request at a time, waited for (bare 1 is its counterpart)
 *
 * Two commands of a worker's cycle in turn: SET with an expiry and a value of 104 bytes, XACK. All in one run, in turn, so
 * that the machine's mood is the same for all. CPU is this process's alone. */
#include <hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_link.h"
#include "redis_server.h"
#include "report.h"

enum { BATCH = 100 };

static redis_server server;
static mfi_redis *redis;
static char value[104];

static void die(const char *what)
{
    fprintf(stderr, "bench_redis: %s\n", what);
    exit(1);
}

/* The i-th command; the arguments point into key. */
static size_t command(long i, char key[32], mf_str argv[5])
{
    int len = snprintf(key, 32, "mageflow:bench:%016lx", (unsigned long)(i % 1000));
    if (i % 2 == 0) {
        argv[0] = MF_STR_LIT("SET");
        argv[1] = mf_str_of(key, (size_t)len);
        argv[2] = mf_str_of(value, sizeof value);
        argv[3] = MF_STR_LIT("EX");
        argv[4] = MF_STR_LIT("3600");
        return 5;
    }
    argv[0] = MF_STR_LIT("XACK");
    argv[1] = MF_STR_LIT("taskiq");
    argv[2] = MF_STR_LIT("taskiq");
    argv[3] = MF_STR_LIT("1700000000000-0");
    return 4;
}

/* ---- contestants ------------------------------------------------------------------------------------------------ */

static void bare_in(long count, long batch)
{
    redisContext *c = redisConnectUnix(server.socket);
    if (c == NULL || c->err != 0)
        die("hiredis cannot connect");
    for (long done = 0; done < count; done += batch) {
        for (long i = 0; i < batch; i++) {
            char key[32];
            mf_str argv[5];
            const char *at[5];
            size_t len[5], n = command(done + i, key, argv);
            for (size_t k = 0; k < n; k++) {
                at[k] = argv[k].at;
                len[k] = argv[k].len;
            }
            redisAppendCommandArgv(c, (int)n, at, len);
        }
        for (long i = 0; i < batch; i++) {
            void *reply;
            if (redisGetReply(c, &reply) != REDIS_OK)
                die("hiredis");
            freeReplyObject(reply);
        }
    }
    redisFree(c);
}

static void bare(long count)  { bare_in(count, BATCH); }
static void bare1(long count) { bare_in(count, 1); }

static atomic_long under_way;

static void answered(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    (void)user;
    (void)err;
    if (st != MF_OK)
        die(err->text);
    atomic_fetch_sub_explicit(&under_way, (long)replies->count, memory_order_release);
}

/* Let at most this many be under way: a producer that has run ahead sleeps, as one with work to do would be elsewhere. */
static void hold_back(long most)
{
    while (atomic_load_explicit(&under_way, memory_order_acquire) > most)
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static void submit(long first, long n)
{
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    for (long i = 0; i < n; i++) {
        char key[32];
        mf_str argv[5];
        mfi_redis_add_argv(rq, command(first + i, key, argv), argv);
    }
    atomic_fetch_add_explicit(&under_way, n, memory_order_relaxed);
    if (mfi_redis_submit(redis, rq, NULL, answered, NULL) != MF_OK)
        die("submit");
}

static void link_single(long count)
{
    for (long i = 0; i < count; i++) {
        if (i % BATCH == 0)
            hold_back(10 * BATCH);
        submit(i, 1);
    }
    hold_back(0);
}

static void link_batch(long count)
{
    for (long i = 0; i < count; i += BATCH) {
        hold_back(10 * BATCH);
        submit(i, BATCH);
    }
    hold_back(0);
}

static void *one_of_eight(void *count)
{
    for (long i = 0; i < *(long *)count; i++) {
        if (i % BATCH == 0)
            hold_back(10 * BATCH);
        submit(i, 1);
    }
    return NULL;
}

static void link_eight(long count)
{
    pthread_t threads[8];
    long each = count / 8;
    for (int i = 0; i < 8; i++)
        if (pthread_create(&threads[i], NULL, one_of_eight, &each) != 0)
            die("thread");
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    hold_back(0);
}

static void link_wait(long count)
{
    for (long i = 0; i < count; i++) {
        char key[32];
        mf_str argv[5];
        mfi_redis_request *rq = mfi_redis_request_create(redis);
        mfi_redis_add_argv(rq, command(i, key, argv), argv);
        if (mfi_redis_call(redis, rq, NULL, NULL, NULL) != MF_OK)
            die("call");
    }
}

static const struct contestant {
    const char *name, *what;
    void      (*run)(long count);
    long        count;
} contestants[] = {
    {"bare", "hiredis, pipelines of 100", bare, 400000},
    {"link", "single requests, one thread", link_single, 400000},
    {"batch", "requests of 100, one thread", link_batch, 400000},
    {"eight", "single requests, eight threads", link_eight, 400000},
    {"bare1", "hiredis, one at a time", bare1, 20000},
    {"wait", "one request at a time, waited for", link_wait, 20000},
};
enum { CONTESTANTS = sizeof contestants / sizeof contestants[0], ROUNDS_MAX = 7 };

static void open_link(void)
{
    mfi_redis_address address;
    mf_error err = {0};
    char url[128];
    snprintf(url, sizeof url, "unix://%s", server.socket);
    if (mfi_redis_address_from_url(url, &address, &err) != MF_OK ||
        mfi_redis_create(&(mfi_redis_options){.address = &address}, &redis, &err) != MF_OK ||
        mfi_redis_wait_up(redis, mf_seconds(10), &err) != MF_OK)
        die(err.text);
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("XGROUP"), MF_STR_LIT("CREATE"), MF_STR_LIT("taskiq"), MF_STR_LIT("taskiq"), MF_STR_LIT("0"),
                  MF_STR_LIT("MKSTREAM"));
    if (mfi_redis_call(redis, rq, NULL, NULL, &err) != MF_OK)
        die(err.text);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *only = argc > 2 && strcmp(argv[1], "--only") == 0 ? argv[2] : NULL;
    int rounds = only != NULL ? 1 : quick ? 3 : ROUNDS_MAX;
    static double wall[CONTESTANTS][ROUNDS_MAX], cpu[CONTESTANTS][ROUNDS_MAX];
    double writes[CONTESTANTS] = {0}, reads[CONTESTANTS] = {0};
    long counts[CONTESTANTS] = {0};
    memset(value, 'v', sizeof value);
    server = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&server);
    open_link();
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            if (only != NULL && strcmp(only, contestants[i].name) != 0)
                continue;
            long count = counts[i] = only != NULL && argc > 3 ? atol(argv[3]) : contestants[i].count / (quick ? 4 : 1);
            mfi_redis_stats before, after;
            mfi_redis_stats_read(redis, &before);
            double began = report_now_ns(), used = report_cpu_ns();
            contestants[i].run(count);
            wall[i][round] = (report_now_ns() - began) / (double)count;
            cpu[i][round] = (report_cpu_ns() - used) / (double)count;
            mfi_redis_stats_read(redis, &after);
            writes[i] = (double)(after.writes - before.writes) * 1000 / (double)count;
            reads[i] = (double)(after.reads - before.reads) * 1000 / (double)count;
        }
    if (only == NULL) {
        printf("\n## Redis commands: SET … EX and XACK in turn, unix socket, redis-server on the same machine\n\n"
               "| | ns per command, median (least) | CPU ns per command, here, median (least) | writes, reads per 1000 |\n"
               "|---|---|---|---|\n");
        for (size_t i = 0; i < CONTESTANTS; i++) {
            report_sort(wall[i], rounds);
            report_sort(cpu[i], rounds);
            printf("| %s: %s | %.0f (%.0f) | %.0f (%.0f) |", contestants[i].name, contestants[i].what, wall[i][rounds / 2],
                   wall[i][0], cpu[i][rounds / 2], cpu[i][0]);
            if (writes[i] > 0)
                printf(" %.1f, %.1f |\n", writes[i], reads[i]);
            else
                printf(" |\n");
        }
    }
    mfi_redis_destroy(redis, 0);
    redis_server_stop(&server);
    return 0;
}
