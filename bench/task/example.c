/* Two tasks to try bench_task with: one that does nothing, so that what is measured is the way there and back, and one that takes
 * a field and works a little. A module of your own looks the same. */
#include <mageflow/mageflow.h>

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

struct collatz_in { uint64_t from; };
MF_FIELDS(collatz_in, struct collatz_in, MF_INT(from, MF_REQUIRED, .min = 1, .max = 1000000000));

struct collatz_out { uint64_t steps; };
MF_FIELDS(collatz_out, struct collatz_out, MF_INT(steps));

static mf_status collatz(mf_context *ctx, const struct collatz_in *in, struct collatz_out *out, void *user)
{
    (void)ctx, (void)user;
    for (uint64_t n = in->from; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1)
        out->steps++;
    return MF_OK;
}
MF_TASK(collatz, collatz_in, collatz_out)

MF_MODULE
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "nothing", .run = nothing), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "collatz", .run = collatz_task, .in = &collatz_in, .out = &collatz_out), err);
    return st;
}
