/* Flows for flows.py: flow URL TASKS.so serve|send|start WHAT [COUNT], or WHAT mixed-json FLOW, which is one of docs/flow-json.md;
 * flow URL TASKS.so wait mixed KEY
 *
 * Declares the tasks of the module, and those of peers.py as foreign, serves or only sends, starts the flow called WHAT and prints its
 * end as JSON, or "! STATUS text". start prints its key and leaves, wait prints its end. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mf_error err;
static mf_client *client;

static mf_signature *task(const char *name, mf_message *message)
{
    return mf_sign(client, name, message, &err);
}

/* What each gives stands in what the next one receives. */
static mf_signature *chain(bool mixed)
{
    mf_signature *c = mf_chain(client, "handed on", NULL, &err);
    c = mf_chain_add(c, task("c_add", mf_msg("{s:i}", "a", 4)), &err);
    c = mf_chain_add(c, task(mixed ? "py_echo" : "c_echo", mf_msg("{s:i}", "n", 1)), &err);
    return mf_chain_add(c, task("c_echo", NULL), &err);
}

/* Ours and Python's in turn. */
static mf_signature *line(int count)
{
    mf_signature *c = mf_chain(client, "in turn", NULL, &err);
    for (int i = 1; i < count; i++)
        c = mf_chain_add(c, task(i % 2 == 1 ? "py_add" : "c_add", mf_msg("{s:i, s:i}", "a", i, "b", 1)), &err);
    return mf_chain_add(c, task("c_echo", NULL), &err);
}

static mf_signature *swarm(int count, bool mixed, double seconds)
{
    mf_signature *s = mf_swarm(client, "sums", MF_SWARM_OPTIONS(.max_concurrency = 20), &err);
    for (int i = 0; i < count && seconds > 0; i++)
        s = mf_swarm_add(s, task("c_slow", mf_msg("{s:f}", "seconds", seconds)), &err);
    for (int i = 0; i < count && seconds == 0; i++)
        s = mf_swarm_add(s, task(mixed && i % 2 == 1 ? "py_add" : "c_add", mf_msg("{s:i, s:i}", "a", i, "b", 1)), &err);
    return mf_swarm_close(s, &err);
}

static mf_signature *failing(const char *name)
{
    mf_signature *c = mf_chain(client, "failing", NULL, &err);
    c = mf_chain_add(c, task("c_echo", mf_msg("{s:i}", "n", 1)), &err);
    return mf_chain_add(c, task(name, NULL), &err);
}

static mf_signature *exact(void)
{
    return task("c_echo", mf_msg("{s:f, s:I, s:U, s:B, s:S, s:[n, b, f]}", "whole", 1.0, "big", (int64_t)9007199254740993, "bigger",
                                 UINT64_MAX, "bin", mf_str_of("\0\xff", 2), "nul", mf_str_of("a\0b", 3), "more", 1, -0.0));
}

static mf_signature *read_flow(const char *json)
{
    mf_message *document = NULL;
    mf_signature *sig = NULL;
    if (mf_message_from_json(mf_cstr(json), NULL, NULL, &document, &err) == MF_OK)
        sig = mf_flow_from_message(client, document, &err);
    mf_message_unref(document);
    return sig;
}

static mf_signature *what(const char *name, const char *argument)
{
    int count = argument != NULL ? atoi(argument) : 10;
    if (strcmp(name, "mixed-json") == 0)
        return read_flow(argument != NULL ? argument : "");
    if (strcmp(name, "chain") == 0 || strcmp(name, "mixed-chain") == 0)
        return chain(name[0] == 'm');
    if (strcmp(name, "mixed-line") == 0)
        return line(count);
    if (strcmp(name, "swarm") == 0 || strcmp(name, "mixed-swarm") == 0)
        return swarm(count, name[0] == 'm', 0);
    if (strcmp(name, "slow-swarm") == 0)
        return swarm(count, false, 0.1);
    if (strcmp(name, "exact") == 0)
        return exact();
    return failing(name);
}

static void print_end(mf_run *run)
{
    mf_message *result = NULL;
    char *text;
    size_t len;
    mf_status st = run == NULL ? err.status : mf_run_wait(run, mf_minutes(10), &result, &err);
    if (st == MF_OK && mf_message_to_json(result, NULL, &text, &len, &err) == MF_OK) {
        puts(text);
        mf_json_free(NULL, text, len);
    } else {
        printf("! %s %s\n", mf_status_name(st), err.text);
    }
    mf_message_unref(result);
    mf_run_destroy(run);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st == MF_OK)
        st = mf_load(client, argv[2], &err);
    static const char *const foreign[] = {"py_add", "py_echo", "py_fail", "py_slow"};
    for (size_t i = 0; st == MF_OK && i < sizeof foreign / sizeof *foreign && (argv[4][0] == 'm' || argv[4][0] == 'p'); i++)
        st = mf_task_foreign(client, MF_TASK_DEF(.name = foreign[i], .timeout = mf_seconds(90)), &err);
    if (st == MF_OK && strcmp(argv[3], "serve") == 0)
        st = mf_serve(client, MF_WORKER_OPTIONS(.threads = 2), &err);
    if (st != MF_OK) {
        printf("! %s\n", err.text);
        return 1;
    }
    if (strcmp(argv[3], "wait") == 0) {
        mf_key key;
        print_end(argc > 5 && mf_key_parse(mf_cstr(argv[5]), &key, &err) == MF_OK ? mf_run_open(client, &key, &err) : NULL);
    } else {
        mf_signature *sig = what(argv[4], argc > 5 ? argv[5] : NULL);
        mf_run *run = mf_start(sig, NULL, &err);
        if (strcmp(argv[3], "start") == 0 && run != NULL) {
            printf("\"%s\"\n", mf_run_key(run).text);
            mf_run_destroy(run);
        } else {
            print_end(run);
        }
        mf_signature_destroy(sig);
    }
    mf_client_destroy(client);
    return 0;
}
