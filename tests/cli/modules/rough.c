/* rough.c: tasks of the kind that nobody wants in his process. */
#include <mageflow/mageflow.h>

/* Fails with bytes that no line of a log should hold. */
static mf_status garble(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_FINAL, "Bad", "one\ntwo \xff\xfe \x1b[31m \"three\"");
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    static const struct {
        const char *name;
        mf_task_fn *run;
    } tasks[] = {{"garble", garble}};
    mf_status st = MF_OK;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks && st == MF_OK; i++)
        st = mf_task(client, MF_TASK_DEF(.name = tasks[i].name, .run = tasks[i].run), err);
    return st;
}
