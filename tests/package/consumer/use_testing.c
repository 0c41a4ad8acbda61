/* A test of somebody else's: it sees what was dispatched, and lets the simulator loose on a flow. */
#include <mageflow/testing.h>

#include <stdio.h>

static mf_status twice(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    int n = 0;
    (void)ctx, (void)user;
    if (mf_message_scan(in, NULL, "{s:i}", "n", &n) != MF_OK)
        return MF_E_FINAL;
    *out = mf_msg("i", 2 * n);
    return MF_OK;
}

static mf_status declare(mf_client *client, void *user, mf_error *err)
{
    return mf_task(client, MF_TASK_DEF(.name = "twice", .run = twice, .user = user), err);
}

static mf_run *start(mf_client *client, void *user, mf_error *err)
{
    (void)user;
    mf_signature *sig = mf_sign(client, "twice", mf_msg("{s:i}", "n", 21), err);
    mf_run *run = mf_start(sig, NULL, err);
    mf_signature_destroy(sig);
    return run;
}

int main(void)
{
    mf_test *test = NULL;
    mf_error err;
    mf_status st = mf_test_create(NULL, &test, &err);
    if (st == MF_OK)
        st = declare(mf_test_client(test), NULL, &err);
    if (st == MF_OK) {
        mf_run_destroy(start(mf_test_client(test), NULL, &err));
        st = mf_test_task_dispatched(test, "twice", mf_msg("{s:i}", "n", 21), MF_TEST_EXACTLY, &err);
    }
    mf_test_destroy(test);
    if (st == MF_OK)
        st = mf_sim_run(MF_SIM_OPTIONS(.seeds = 20, .declare = declare, .start = start), &err);
    puts(st == MF_OK ? "dispatched, and it survives" : err.text);
    return st != MF_OK;
}
