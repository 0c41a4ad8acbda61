/* What hiredis alone reaches with a worker's commands: one thread, one connection, batches of 100.
 *
 *   bench_taskiq_bare PORT stream RESULT     XREADGROUP COUNT 100; for each task SET … EX (RESULT 1), then one XACK and one
 *                                            XDEL of all ids, in one write; nothing of a message is read but its id. The
 *                                            result is one that taskiq's client can read
 *   bench_taskiq_bare PORT enqueue COUNT     XADD in pipelines of 100; prints "seconds cpu_seconds"
 *   bench_taskiq_bare PORT ping COUNT        XADD, then GET until the result is there: what a worker takes, whoever it is,
 *                                            without a client's own waiting; prints the microseconds of each
 *
 * Not a worker: it does not check that an entry is still its own, renews nothing, and reads no message. */
#include "report.h"

#include <hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 100, ID_MAX = 64 };

static redisContext *redis;

static void die(const char *what)
{
    fprintf(stderr, "bench_taskiq_bare: %s\n", what);
    exit(1);
}

static redisReply *answer(void)
{
    void *reply;
    if (redisGetReply(redis, &reply) != REDIS_OK)
        die(redis->errstr);
    return reply;
}

/* ---- the worker's cycle ------------------------------------------------------------------------------------------- */

static void settle(const redisReply *entries, bool results)
{
    static const char value[] = "{\"is_err\": false, \"log\": null, \"return_value\": null, \"execution_time\": 0.0, \"labels\": {}, \"error\": null}";
    const char *acks[3 + BATCH] = {"XACK", "taskiq", "taskiq"}, *drops[2 + BATCH] = {"XDEL", "taskiq"};
    size_t n = entries->elements, ack_len[3 + BATCH] = {4, 6, 6}, drop_len[2 + BATCH] = {4, 6};
    for (size_t i = 0; i < n; i++) {
        const redisReply *id = entries->element[i]->element[0], *fields = entries->element[i]->element[1];
        const char *at = strstr(fields->element[1]->str, "\"task_id\": \"");
        if (results && at != NULL) {
            at += 12;
            const char *argv[] = {"SET", at, value, "EX", "86400"};
            size_t len[] = {3, strcspn(at, "\""), sizeof value - 1, 2, 5};
            redisAppendCommandArgv(redis, 5, argv, len);
        }
        acks[3 + i] = drops[2 + i] = id->str;
        ack_len[3 + i] = drop_len[2 + i] = id->len;
    }
    redisAppendCommandArgv(redis, (int)n + 3, acks, ack_len);
    redisAppendCommandArgv(redis, (int)n + 2, drops, drop_len);
    for (size_t i = 0; i < (results ? n : 0) + 2; i++)
        freeReplyObject(answer());
}

static void serve(bool results)
{
    char consumer[ID_MAX];
    snprintf(consumer, sizeof consumer, "bare-%ld", (long)getpid());
    for (;;) {
        redisReply *reply = redisCommand(redis, "XREADGROUP GROUP taskiq %s COUNT %d BLOCK 2000 STREAMS taskiq >", consumer, BATCH);
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
            die(reply != NULL ? reply->str : redis->errstr);
        if (reply->type == REDIS_REPLY_ARRAY)
            settle(reply->element[0]->element[1], results);
        freeReplyObject(reply);
    }
}

/* ---- the client's ------------------------------------------------------------------------------------------------- */

static void append_task(const char *id)
{
    char message[256];
    int len = snprintf(message, sizeof message,
                       "{\"task_id\": \"%s\", \"task_name\": \"noop\", \"labels\": {}, \"labels_types\": {}, \"args\": [], \"kwargs\": {}}", id);
    const char *argv[] = {"XADD", "taskiq", "*", "data", message};
    size_t lens[] = {4, 6, 1, 4, (size_t)len};
    redisAppendCommandArgv(redis, 5, argv, lens);
}

static void enqueue(long count)
{
    double began = report_now_ns(), used = report_cpu_ns();
    for (long sent = 0; sent < count; sent += BATCH) {
        for (long i = 0; i < BATCH; i++) {
            char id[ID_MAX];
            snprintf(id, sizeof id, "%032lx", sent + i);
            append_task(id);
        }
        for (long i = 0; i < BATCH; i++)
            freeReplyObject(answer());
    }
    printf("%.6f %.6f\n", (report_now_ns() - began) / 1e9, (report_cpu_ns() - used) / 1e9);
}

static void ping(long count)
{
    for (long i = -3; i < count; i++) {         /* the first ones warm up */
        char id[ID_MAX];
        snprintf(id, sizeof id, "ping-%ld-%ld", (long)getpid(), i);
        double began = report_now_ns();
        append_task(id);
        freeReplyObject(answer());
        for (bool there = false; !there;) {
            redisReply *reply = redisCommand(redis, "GET %s", id);
            if (reply == NULL)
                die(redis->errstr);
            there = reply->type == REDIS_REPLY_STRING;
            freeReplyObject(reply);
        }
        if (i >= 0)
            printf("%.1f\n", (report_now_ns() - began) / 1e3);
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    redis = redisConnect("127.0.0.1", atoi(argv[1]));
    if (redis == NULL || redis->err != 0)
        die("cannot connect");
    freeReplyObject(redisCommand(redis, "XGROUP CREATE taskiq taskiq 0 MKSTREAM"));
    if (strcmp(argv[2], "stream") == 0)
        serve(argv[3][0] == '1');
    else if (strcmp(argv[2], "enqueue") == 0)
        enqueue(atol(argv[3]));
    else
        ping(atol(argv[3]));
    redisFree(redis);
    return 0;
}
