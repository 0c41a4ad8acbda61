/* bench/task/meter.h: counts and times the calls of the tasks that a client declares: mf_options.call. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <mageflow/mageflow.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct meter {
    atomic_ulong  begun, ended, failed, busy_ns;
    atomic_ulong  target;           /* of ended */
    sem_t         reached;
    _Atomic double first_begun;     /* ns of CLOCK_MONOTONIC, of the first call since meter_expect */
    atomic_int    failure;          /* the status of the last call that failed */
} meter;

void meter_init(meter *m);
void meter_fini(meter *m);
/** So many calls are to come, from none on. No call may be running. */
void meter_expect(meter *m, unsigned long calls);
/** Wait until they have ended. false: for `patience_s` seconds none began, ended or was running. */
bool meter_wait(meter *m, unsigned patience_s);
/** The mf_call_fn, its user the meter. */
mf_status meter_call(mf_context *ctx, const mf_task_def *def, const mf_message *in, mf_message **out, void *user);

#endif
