/* durable.c: a durable task, which --isolation process does not carry. */
#include <mageflow/mageflow.h>

static mf_status nap(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_sleep(ctx, mf_milliseconds(1));
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    return mf_durable_task(client, MF_TASK_DEF(.name = "nap", .run = nap), err);
}
