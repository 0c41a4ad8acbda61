/* A flow of tasks in C and in Python, for foreign.py: flow URL TASKS.so
 *
 * Serves the tasks of the module, declares py_double and py_fail as foreign, and prints the ends of a chain, a swarm and a
 * failing chain, a line each. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>

static mf_error err;

static void print_end(const char *what, mf_run *run)
{
    mf_message *result = NULL;
    char *text;
    size_t len;
    mf_status st = run == NULL ? err.status : mf_run_wait(run, mf_seconds(30), &result, &err);
    if (st == MF_OK && mf_message_to_json(result, NULL, &text, &len, &err) == MF_OK) {
        printf("%s %s\n", what, text);
        mf_json_free(NULL, text, len);
    } else {
        printf("%s ! %s %s\n", what, mf_status_name(st), err.text);
    }
    fflush(stdout);
    mf_message_unref(result);
    mf_run_destroy(run);
}

static mf_signature *task(mf_client *client, const char *name, mf_message *message)
{
    return mf_sign(client, name, message, &err);
}

int main(int argc, char **argv)
{
    mf_client *client;
    if (argc != 3)
        return 2;
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st == MF_OK)
        st = mf_load(client, argv[2], &err);
    static const char *const foreign[] = {"py_double", "py_fail"};
    for (size_t i = 0; st == MF_OK && i < 2; i++)
        st = mf_task_foreign(client, MF_TASK_DEF(.name = foreign[i], .timeout = mf_seconds(20)), &err);
    if (st == MF_OK)
        st = mf_serve(client, MF_WORKER_OPTIONS(.threads = 2), &err);
    if (st != MF_OK) {
        printf("! %s\n", err.text);
        return 1;
    }
    mf_signature *chain = mf_chain(client, "mixed", NULL, &err);
    chain = mf_chain_add(chain, task(client, "echo", mf_msg("{s:i}", "x", 4)), &err);
    chain = mf_chain_add(chain, task(client, "py_double", mf_msg("{s:i}", "n", 4)), &err);
    chain = mf_chain_add(chain, task(client, "echo", NULL), &err);
    print_end("chain", mf_start(chain, NULL, &err));
    mf_signature_destroy(chain);

    mf_signature *swarm = mf_swarm(client, "both", NULL, &err);
    for (int i = 0; i < 6; i++)
        swarm = mf_swarm_add(swarm, task(client, i % 2 == 0 ? "py_double" : "echo", mf_msg("{s:i}", "n", i)), &err);
    swarm = mf_swarm_close(swarm, &err);
    print_end("swarm", mf_start(swarm, NULL, &err));
    mf_signature_destroy(swarm);

    mf_signature *failing = mf_chain(client, "failing", NULL, &err);
    failing = mf_chain_add(failing, task(client, "echo", mf_msg("{s:i}", "n", 1)), &err);
    failing = mf_chain_add(failing, task(client, "py_fail", NULL), &err);
    print_end("failing", mf_start(failing, NULL, &err));
    mf_signature_destroy(failing);
    mf_client_destroy(client);
    return 0;
}
