/* The tasks of script/bench hatchet, for `mageflow worker --load`: one that does nothing, and one that says when it began, whose name
 * is in BENCH_STAMP, so that several workers can each have one of their own on one engine. */
#include <mageflow/mageflow.h>

#include <stdlib.h>
#include <time.h>

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

struct nothing { int64_t unused; };
MF_FIELDS(nothing, struct nothing, MF_INT(unused));
struct begun { double at; };
MF_FIELDS(begun, struct begun, MF_FLOAT(at));

/* The wall clock, in seconds: the client is another process of this machine. */
static mf_status stamp(mf_context *ctx, const struct nothing *in, struct begun *out, void *user)
{
    struct timespec now;
    (void)ctx, (void)in, (void)user;
    clock_gettime(CLOCK_REALTIME, &now);
    out->at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    return MF_OK;
}
MF_TASK(stamp, nothing, begun)

MF_MODULE
{
    const char *name = getenv("BENCH_STAMP");
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "noop", .run = noop), err);
    if (st != MF_OK)
        return st;
    return mf_task(client, MF_TASK_DEF(.name = name != NULL ? name : "stamp", .run = stamp_task, .in = &nothing, .out = &begun), err);
}
