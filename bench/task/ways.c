#include "ways.h"

#include "report.h"

#include <stdlib.h>

enum { A_CALL = 100, PATIENCE_S = 10, WARM = 3 };

const char *const way_names[WAYS] = {[ONE_BY_ONE] = "one by one", [MANY] = "100 a call", [SWARM] = "as a swarm, 30 in flight"};

/* ---- throughput --------------------------------------------------------------------------------------------------- */

static mf_status hand_over(bench *b, unsigned long tasks, size_t a_call, mf_error *err)
{
    const mf_message *all[A_CALL];
    mf_status st = MF_OK;
    for (size_t i = 0; i < A_CALL; i++)
        all[i] = b->message;
    for (unsigned long left = tasks; st == MF_OK && left > 0;) {
        size_t n = left < a_call ? left : a_call;
        st = mf_workflow_run_many(b->workflow, all, n, 0, err);
        left -= n;
    }
    return st;
}

static mf_run *start_swarm(bench *b, unsigned long tasks, mf_error *err)
{
    mf_signature *swarm = mf_swarm(b->client, "bench", NULL, err);
    for (unsigned long i = 0; swarm != NULL && i < tasks; i++)
        swarm = mf_swarm_add(swarm, mf_sign(b->client, b->order->task, mf_message_ref(b->message), err), err);
    swarm = mf_swarm_close(swarm, err);
    mf_run *run = mf_start(swarm, NULL, err);
    mf_signature_destroy(swarm);
    return run;
}

static mf_status wait_for_all(bench *b, unsigned long tasks, mf_error *err)
{
    if (meter_wait(&b->meter, PATIENCE_S))
        return MF_OK;
    return mf_fail(err, MF_E_TIMEOUT, "%lu of %lu tasks have run, and for %d seconds no other began; does somebody else serve "
                   "the same queue? Give the benchmark one of its own", atomic_load(&b->meter.ended), tasks, PATIENCE_S);
}

static mf_status any_failed(bench *b, mf_error *err)
{
    unsigned long failed = atomic_load(&b->meter.failed);
    if (failed == 0)
        return MF_OK;
    return mf_fail(err, MF_E_TASK_FAILED, "%lu calls of %s failed (%s): what fails cannot be measured", failed, b->order->task,
                   mf_status_name((mf_status)atomic_load(&b->meter.failure)));
}

mf_status way_round(bench *b, way how, unsigned long tasks, way_figures *out, mf_error *err)
{
    mf_run *run = NULL;
    mf_status st = MF_OK;
    meter_expect(&b->meter, tasks);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    if (how == SWARM)
        st = (run = start_swarm(b, tasks, err)) != NULL ? MF_OK : err->status;
    else
        st = hand_over(b, tasks, how == MANY ? A_CALL : 1, err);
    double handed = report_now_ns();
    if (st == MF_OK)
        st = wait_for_all(b, tasks, err);
    if (st == MF_OK && run != NULL)
        st = mf_run_wait(run, MF_FOREVER, NULL, err);
    double all = report_now_ns();
    mf_run_destroy(run);
    if (st == MF_OK)
        st = any_failed(b, err);
    (void)mf_drain(b->client, mf_seconds(PATIENCE_S));      /* what is left to tell the manager is part of the price */
    double n = (double)tasks;
    *out = (way_figures){(handed - begin) / n, (all - begin) / n, (report_cpu_ns() - cpu) / n,
                         (double)atomic_load(&b->meter.busy_ns) / n};
    return st;
}

/* ---- latency ------------------------------------------------------------------------------------------------------ */

static mf_status one(bench *b, double *begins, double *result, mf_error *err)
{
    mf_message *value = NULL;
    meter_expect(&b->meter, 1);
    double begin = report_now_ns();
    mf_status st = mf_workflow_run_and_wait(b->workflow, b->message, mf_seconds(60), &value, err);
    *result = (report_now_ns() - begin) / 1e3;
    *begins = (atomic_load(&b->meter.first_begun) - begin) / 1e3;
    mf_message_unref(value);
    return st;
}

mf_status measure_latency(bench *b, double seconds, latencies *out, mf_error *err)
{
    double until = report_now_ns() + seconds * 1e9, begins, result;
    mf_status st = MF_OK;
    out->count = 0;
    for (int i = 0; st == MF_OK && i < WARM; i++)
        st = one(b, &begins, &result, err);
    while (st == MF_OK && out->count < LATENCIES_MAX && (out->count < WARM || report_now_ns() < until)) {
        st = one(b, &out->begins[out->count], &out->result[out->count], err);
        out->count += st == MF_OK;
    }
    report_sort(out->begins, out->count);
    report_sort(out->result, out->count);
    return st;
}
