/* Tasks that ask a double of the engine for things: a module for `mageflow worker --load`. What they did is told in the file that
 * ASKED_FILE names. */
#include <mageflow/mageflow.h>
#include <mageflow/hatchet.h>

#include <stdio.h>
#include <stdlib.h>

#define CHUNKS 5

static mf_status note(const char *what)
{
    FILE *file = fopen(getenv("ASKED_FILE"), "a");
    if (file == NULL)
        return MF_E_IO;
    fprintf(file, "%s\n", what);
    return fclose(file) == 0 ? MF_OK : MF_E_IO;
}

static mf_status a_streams(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    for (int i = 0; i < CHUNKS; i++) {
        char chunk[32];
        snprintf(chunk, sizeof chunk, "chunk %d", i);
        mf_status st = mf_hatchet_stream(ctx, mf_cstr(chunk));
        if (st != MF_OK)
            return mf_task_fail(ctx, MF_FINAL, "Stream", "%s", mf_status_name(st));
    }
    return note("streamed");
}

static mf_client *mine;

/* What a worker's engine was told of its tasks stands: another one comes too late. */
static mf_status a_declares(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_error err = {0};
    (void)ctx, (void)in, (void)out, (void)user;
    return note(mf_status_name(mf_task(mine, MF_TASK_DEF(.name = "a_late", .run = a_streams), &err)));
}

MF_MODULE
{
    mine = client;
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "a_streams", .run = a_streams), err);
    return st != MF_OK ? st : mf_task(client, MF_TASK_DEF(.name = "a_declares", .run = a_declares), err);
}
