/* A client in C, for the Python side of the tests: client URL TASK MESSAGE [TIMEOUT [COUNT [DELAY]]]
 *
 * Sends MESSAGE (JSON) by name and prints the result as JSON, or "! STATUS text". TIMEOUT 0s sends COUNT messages (1) after
 * DELAY (0s) and does not wait. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>

static int failed(mf_status st, const mf_error *err)
{
    printf("! %s %s\n", mf_status_name(st), err->text);
    return 1;
}

/* A name must be declared to be sent to; nothing is served here. */
static mf_status elsewhere(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_E_UNSUPPORTED;
}

static mf_status send_many(mf_workflow *w, const mf_message *message, size_t n, mf_duration delay, mf_error *err)
{
    const mf_message **all = calloc(n, sizeof *all);
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = message;
    mf_status st = all == NULL ? MF_E_NOMEM : mf_workflow_run_many(w, all, n, delay, err);
    free(all);
    return st;
}

static int call(mf_workflow *w, const mf_message *message, mf_duration timeout)
{
    mf_message *result = NULL;
    mf_error err = {0};
    char *text;
    size_t len;
    mf_status st = mf_workflow_run_and_wait(w, message, timeout, &result, &err);
    if (st == MF_OK)
        st = mf_message_to_json(result, NULL, &text, &len, &err);
    if (st == MF_OK) {
        puts(text);
        mf_json_free(NULL, text, len);
    }
    mf_message_unref(result);
    return st == MF_OK ? 0 : failed(st, &err);
}

int main(int argc, char **argv)
{
    mf_client *client;
    mf_workflow *w;
    mf_message *message = NULL;
    mf_duration timeout = mf_seconds(75), delay = 0;
    mf_error err = {0};
    if (argc < 4)
        return 2;
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st != MF_OK)
        return failed(st, &err);
    if (argc > 4)
        st = mf_duration_parse(mf_cstr(argv[4]), &timeout, &err);
    if (st == MF_OK && argc > 6)
        st = mf_duration_parse(mf_cstr(argv[6]), &delay, &err);
    if (st == MF_OK)
        st = mf_message_from_json(mf_cstr(argv[3]), NULL, NULL, &message, &err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = argv[2], .run = elsewhere), &err);
    if (st == MF_OK)
        st = mf_workflow_open(client, argv[2], &w, &err);
    int code = 0;
    if (st != MF_OK) {
        code = failed(st, &err);
    } else {
        if (timeout > 0)
            code = call(w, message, timeout);
        else if ((st = send_many(w, message, argc > 5 ? strtoul(argv[5], NULL, 10) : 1, delay, &err)) != MF_OK)
            code = failed(st, &err);
        mf_workflow_destroy(w);
    }
    mf_message_unref(message);
    mf_client_destroy(client);
    return code;
}
