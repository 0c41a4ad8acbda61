/* A task runs on the installed library, and headers and library are of one version. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <string.h>

const char *version_of_headers(void);   /* every_header.cpp, in C++ */

static mf_status twice(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx;
    (void)user;
    mf_value field;
    int64_t  n = 0;
    if (!mf_value_get(mf_message_value(in), mf_cstr("n"), &field) || mf_value_int(field, &n) != MF_OK)
        return MF_E_FINAL;
    *out = mf_msg("I", n * 2);
    return MF_OK;
}

static int fail(const char *what, const mf_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

int main(void)
{
    mf_error   err = { MF_OK, "" };
    mf_client *client = NULL;
    if (mf_open(NULL, NULL, &client, &err) != MF_OK)
        return fail("mf_open", &err);
    if (mf_task(client, MF_TASK_DEF(.name = "twice", .run = twice), &err) != MF_OK)
        return fail("mf_task", &err);

    mf_signature *sig = mf_sign(client, "twice", mf_msg("{s:i}", "n", 21), &err);
    mf_run       *run = mf_start(sig, NULL, &err);
    if (run == NULL)
        return fail("mf_start", &err);
    mf_message *result = NULL;
    if (mf_run_wait(run, mf_seconds(30), &result, &err) != MF_OK)
        return fail("mf_run_wait", &err);
    int64_t   n = 0;
    mf_status st = mf_value_int(mf_message_value(result), &n);
    printf("%lld, version %s\n", (long long)n, version_of_headers());

    mf_message_unref(result);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
    mf_client_destroy(client);
    return st == MF_OK && n == 42 && strcmp(version_of_headers(), MF_VERSION) == 0 ? 0 : 1;
}
