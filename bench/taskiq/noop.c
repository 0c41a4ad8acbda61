/* The task of script/bench taskiq: nothing, for `mageflow worker --load`. */
#include <mageflow/mageflow.h>

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

MF_MODULE
{
    return mf_task(client, MF_TASK_DEF(.name = "noop", .run = noop), err);
}
