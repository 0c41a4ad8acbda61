/* A client in C, for the Python side of the tests: client URL TASK MESSAGE [TIMEOUT [COUNT]]
 *
 * Sends MESSAGE (JSON) by name and prints the result as JSON, or "! STATUS text". TIMEOUT 0s sends COUNT messages (1) and does
 * not wait. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>

static int failed(mf_status st, const mf_error *err)
{
    printf("! %s %s\n", mf_status_name(st), err->text);
    return 1;
}

static mf_status send_many(mf_workflow *w, const mf_message *message, size_t n, mf_error *err)
{
    const mf_message **all = calloc(n, sizeof *all);
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = message;
    mf_status st = all == NULL ? MF_E_NOMEM : mf_workflow_run_many(w, all, n, 0, err);
    free(all);
    return st;
}

int main(int argc, char **argv)
{
    mf_client *client;
    mf_workflow *w;
    mf_message *message = NULL, *result = NULL;
    mf_duration timeout = mf_seconds(20);
    mf_error err = {0};
    if (argc < 4)
        return 2;
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st != MF_OK)
        return failed(st, &err);
    if (argc > 4)
        st = mf_duration_parse(mf_cstr(argv[4]), &timeout, &err);
    if (st == MF_OK)
        st = mf_message_from_json(mf_cstr(argv[3]), NULL, NULL, &message, &err);
    if (st == MF_OK)
        st = mf_task_foreign(client, MF_TASK_DEF(.name = argv[2], .timeout = timeout > 0 ? timeout : mf_minutes(1)), &err);
    if (st == MF_OK)
        st = mf_workflow_open(client, argv[2], &w, &err);
    if (st != MF_OK)
        return failed(st, &err);
    int code = 0;
    if (timeout == 0) {
        st = send_many(w, message, argc > 5 ? strtoul(argv[5], NULL, 10) : 1, &err);
        code = st == MF_OK ? 0 : failed(st, &err);
    } else if ((st = mf_workflow_run_and_wait(w, message, timeout, &result, &err)) != MF_OK) {
        code = failed(st, &err);
    } else {
        char *text;
        size_t len;
        st = mf_message_to_json(result, NULL, &text, &len, &err);
        if (st == MF_OK) {
            puts(text);
            mf_json_free(NULL, text, len);
        } else {
            code = failed(st, &err);
        }
        mf_message_unref(result);
    }
    mf_message_unref(message);
    mf_workflow_destroy(w);
    mf_client_destroy(client);
    return code;
}
