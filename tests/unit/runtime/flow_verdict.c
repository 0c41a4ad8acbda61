/* flow_verdict: one line of JSON in, one line out: "ok", or why the library refuses it as the flow of a document.
 *
 * For flow_schema_test.py, which asks a JSON Schema validator about the same lines. Known are the tasks add and echo and the
 * source numbers. */
#include <mageflow/flow_data.h>

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static bool declare(mf_client *client)
{
    return mf_task(client, MF_TASK_DEF(.name = "add", .run = bench_nothing), NULL) == MF_OK &&
           mf_task(client, MF_TASK_DEF(.name = "echo", .run = bench_nothing), NULL) == MF_OK &&
           mf_source(client, MF_SOURCE_DEF(.name = "numbers", .next = bench_no_items), NULL) == MF_OK;
}

static void judge(mf_client *client, mf_str line)
{
    mf_message *document = NULL;
    mf_error err;
    mf_run *run = NULL;
    if (mf_message_from_json(line, MF_LIMITS(.depth = MF_DEPTH_MAX), NULL, &document, &err) == MF_OK)
        run = mf_flow_start(client, document, NULL, &err);
    puts(run != NULL ? "ok" : err.text);
    mf_run_destroy(run);
    mf_message_unref(document);
}

int main(void)
{
    static bench b;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    bool good = bench_open(&b) && declare(b.client);
    while (good && (len = getline(&line, &room, stdin)) > 0)
        judge(b.client, mf_str_of(line, (size_t)len));
    free(line);
    return bench_close(&b) && good ? 0 : 1;
}
