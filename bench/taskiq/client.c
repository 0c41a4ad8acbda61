/* The client of script/bench taskiq, through the public headers.
 *
 *   bench_taskiq_client URL enqueue COUNT BATCH   send so many no-op tasks, so many a call; prints "seconds cpu_seconds"
 *   bench_taskiq_client URL ping COUNT            send one and wait for its result, in turn; prints the microseconds of each */
#include "report.h"

#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static mf_status enqueue(mf_workflow *w, const mf_message *message, long count, size_t batch, mf_error *err)
{
    const mf_message **all = calloc(batch, sizeof *all);
    if (all == NULL)
        return MF_E_NOMEM;
    for (size_t i = 0; i < batch; i++)
        all[i] = message;
    mf_status st = mf_workflow_run_many(w, all, 1, 0, err);      /* the connection is up, the group is there */
    double began = report_now_ns(), used = report_cpu_ns();
    for (long sent = 0; st == MF_OK && sent < count; sent += (long)batch)
        st = mf_workflow_run_many(w, all, batch, 0, err);
    printf("%.6f %.6f\n", (report_now_ns() - began) / 1e9, (report_cpu_ns() - used) / 1e9);
    free(all);
    return st;
}

static mf_status ping(mf_workflow *w, const mf_message *message, long count, mf_error *err)
{
    mf_status st = MF_OK;
    for (long i = -3; st == MF_OK && i < count; i++) {           /* the first ones warm up */
        mf_message *result = NULL;
        double began = report_now_ns();
        st = mf_workflow_run_and_wait(w, message, mf_seconds(20), &result, err);
        if (i >= 0)
            printf("%.1f\n", (report_now_ns() - began) / 1e3);
        mf_message_unref(result);
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);  /* idle in between */
    }
    return st;
}

int main(int argc, char **argv)
{
    mf_client *client = NULL;
    mf_workflow *w = NULL;
    mf_error err = {0};
    if (argc < 4)
        return 2;
    mf_message *nothing = mf_msg("{}");
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st == MF_OK)
        st = mf_task_foreign(client, MF_TASK_DEF(.name = "noop", .timeout = mf_minutes(1)), &err);
    if (st == MF_OK)
        st = mf_workflow_open(client, "noop", &w, &err);
    if (st == MF_OK && strcmp(argv[2], "ping") == 0)
        st = ping(w, nothing, atol(argv[3]), &err);
    else if (st == MF_OK && argc > 4)
        st = enqueue(w, nothing, atol(argv[3]), strtoul(argv[4], NULL, 10), &err);
    if (st != MF_OK)
        fprintf(stderr, "bench_taskiq_client: %s %s\n", mf_status_name(st), err.text);
    mf_message_unref(nothing);
    mf_workflow_destroy(w);
    mf_client_destroy(client);
    return st == MF_OK ? 0 : 1;
}
