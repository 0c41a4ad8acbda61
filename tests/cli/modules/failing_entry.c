/* failing_entry.c: a module that declares the same task twice, which its entry passes on. */
#include <mageflow/client.h>

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "twice", .run = nothing), err);
    return st == MF_OK ? mf_task(client, MF_TASK_DEF(.name = "twice", .run = nothing), err) : st;
}
