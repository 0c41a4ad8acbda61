/* One process that serves, and one that sends, as clients of one Redis in one process: what ThreadSanitizer can watch of the bridge,
 * its link and its store, over a real redis-server. */
#include <mageflow/mageflow.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "redis_server.h"
#include "scenario.h"

#define SENDERS 3

static redis_server server = REDIS_SERVER(NULL);
static mf_client   *sender, *worker;
static atomic_int   calls, told;

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */

static mf_status twice(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int64_t n = 0;
    (void)ctx, (void)user;
    mf_status st = mf_message_scan(in, NULL, "{s:I}", "n", &n);
    atomic_fetch_add(&calls, 1);
    *out = mf_msg("I", 2 * n);
    return st;
}

/* A retry now and then, a line of the log, a progress. */
static mf_status uneven(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_message *done = mf_msg("{s:i}", "done", 1);
    (void)user, (void)out;
    (void)!mf_context_log(ctx, "a line");
    (void)!mf_context_progress(ctx, done);
    mf_message_unref(done);
    if (mf_context_execution_info(ctx)->attempt_number == 1)
        return mf_task_fail(ctx, MF_RETRY, "ValueError", "once");
    return twice(ctx, in, out, user);
}

static mf_status until_stopped(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    atomic_fetch_add(&calls, 1);
    return mf_context_sleep(ctx, mf_seconds(60));
}

static mf_status tell(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    atomic_fetch_add(&told, 1);
    return MF_OK;
}

/* Waits inside for a flow of its own. */
static mf_status outer(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_error err;
    (void)ctx, (void)in, (void)user;
    mf_signature *inner = mf_sign(worker, "twice", mf_msg("{s:i}", "n", 4), &err);
    mf_run *run = mf_start(inner, NULL, &err);
    mf_signature_destroy(inner);
    mf_status st = run == NULL ? err.status : mf_run_wait(run, mf_seconds(60), out, &err);
    mf_run_destroy(run);
    return st;
}

/* ---- clients -------------------------------------------------------------------------------------------------------- */

static mf_client *open_client(const char *parameters)
{
    static const mf_task_def defs[] = {
        {.name = "twice", .run = twice},   {.name = "uneven", .run = uneven, .retries = 2, .backoff = 1000000},
        {.name = "until_stopped", .run = until_stopped}, {.name = "tell", .run = tell}, {.name = "outer", .run = outer},
    };
    char url[256];
    mf_client *client = NULL;
    mf_error err = {.text = ""};
    snprintf(url, sizeof url, "taskiq+unix://%s?lease=3s%s", server.socket, parameters);
    mf_status st = mf_open(url, NULL, &client, &err);
    for (size_t i = 0; st == MF_OK && i < sizeof defs / sizeof *defs; i++) {
        mf_task_def def = defs[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, &err);
    }
    if (st != MF_OK)
        fprintf(stderr, "%s\n", err.text);
    CHECK_EQ(st, MF_OK);
    return client;
}

static void serve(mf_client *client)
{
    mf_error err = {.text = ""};
    CHECK_EQ(mf_serve(client, MF_WORKER_OPTIONS(.threads = 3, .slots = 16), &err), MF_OK);
}

static void begin(const char *parameters)
{
    atomic_store(&calls, 0);
    atomic_store(&told, 0);
    redis_server_start(&server);
    worker = open_client(parameters);
    sender = open_client(parameters);
    serve(worker);
}

static void end(void)
{
    mf_client_destroy(sender);
    mf_client_destroy(worker);
    redis_server_stop(&server);
}

/* Its end; the result as text, or the name of what it ended with. */
static void end_of(mf_run *run, char out[512])
{
    mf_message *result = NULL;
    mf_error err = {.text = ""};
    char *text = NULL;
    size_t len = 0;
    CHECK(run != NULL);
    mf_status st = mf_run_wait(run, mf_seconds(120), &result, &err);
    if (st == MF_OK && mf_message_to_json(result, NULL, &text, &len, &err) == MF_OK) {
        snprintf(out, 512, "%s", text);
        mf_json_free(NULL, text, len);
    } else {
        snprintf(out, 512, "%s", mf_status_name(st));
    }
    mf_message_unref(result);
    mf_run_destroy(run);
}

static mf_signature *sign(const char *name, int64_t n)
{
    mf_error err;
    return mf_sign(sender, name, mf_msg("{s:I}", "n", n), &err);
}

static void check_end(const char *name, int64_t n, const char *want)
{
    char got[512];
    mf_signature *signature = sign(name, n);
    mf_error err = {.text = ""};
    end_of(mf_start(signature, NULL, &err), got);
    mf_signature_destroy(signature);
    if (strcmp(got, want) != 0)
        fprintf(stderr, "%s: got %s, expected %s\n", name, got, want);
    CHECK(strcmp(got, want) == 0);
}

/* ---- scenarios ------------------------------------------------------------------------------------------------------ */

static void *send_calls(void *arg)
{
    char got[512];
    mf_error err;
    (void)arg;
    for (long i = 0; i < scenario_rounds(40); i++)
        check_end(i % 4 == 0 ? "uneven" : i % 9 == 0 ? "outer" : "twice", 4, "8");
    mf_signature *s = sign("until_stopped", 0);
    mf_run *run = mf_start(s, NULL, &err);
    mf_key key = mf_signature_key(s);
    CHECK_EQ(mf_cancel(sender, &key, &err), MF_OK);
    end_of(run, got);
    mf_signature_destroy(s);
    CHECK(strcmp(got, "MF_E_CANCELED") == 0 || strcmp(got, "canceled") == 0);
    return NULL;
}

static void many_send(void)
{
    pthread_t threads[SENDERS];
    for (size_t i = 0; i < SENDERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, send_calls, NULL), 0);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
}

static void calls_of_many_senders(void)
{
    begin("");
    many_send();
    end();
}

static void calls_over_a_list(void)
{
    begin("&broker=list");
    many_send();
    end();
}

static mf_signature *make_swarm(int items)
{
    mf_error err;
    mf_signature *swarm = mf_swarm(sender, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 12, .on_success = sign("tell", 0)), &err);
    for (int i = 0; i < items; i++)
        swarm = mf_swarm_add(swarm, sign(i % 8 == 0 ? "uneven" : "twice", i), &err);
    return mf_swarm_close(swarm, &err);
}

/* Served by two workers, one of which leaves in the middle and another one comes. */
static void swarms_while_workers_come_and_go(void)
{
    mf_error err;
    mf_run *runs[3];
    char got[512];
    begin("");
    for (size_t i = 0; i < 3; i++) {
        mf_signature *swarm = make_swarm(60);
        runs[i] = mf_start(swarm, NULL, &err);
        mf_signature_destroy(swarm);
    }
    for (int i = 0; i < 3; i++) {
        mf_client *other = open_client("");
        serve(other);
        while (atomic_load(&calls) < 20 * (i + 1))
            sched_yield();
        mf_client_destroy(other);
    }
    for (size_t i = 0; i < 3; i++)
        end_of(runs[i], got);
    while (atomic_load(&told) < 3)
        sched_yield();
    end();
}

/* The server goes and comes back while calls are under way. */
static void calls_while_the_server_is_paused(void)
{
    pthread_t thread;
    begin("");
    CHECK_EQ(pthread_create(&thread, NULL, send_calls, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        while (atomic_load(&calls) < 6 * i)
            sched_yield();
        redis_server_pause(&server);
        redis_server_resume(&server);
    }
    pthread_join(thread, NULL);
    mf_health health = {.struct_size = sizeof health};
    CHECK_EQ(mf_health_read(worker, &health), MF_OK);
    end();
}

const scenario scenarios[] = {
    {"calls_of_many_senders", calls_of_many_senders},
    {"calls_over_a_list", calls_over_a_list},
    {"swarms_while_workers_come_and_go", swarms_while_workers_come_and_go},
    {"calls_while_the_server_is_paused", calls_while_the_server_is_paused},
    {NULL, NULL},
};
