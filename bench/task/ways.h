/* bench/task/ways.h: the ways to hand tasks over, and what is measured of each. */
#ifndef BENCH_WAYS_H
#define BENCH_WAYS_H

#include "meter.h"
#include "order.h"

/** Everything open: see task.c. */
typedef struct bench {
    const order  *order;
    mf_client    *client;
    mf_workflow  *workflow;
    mf_message   *message;      /* NULL: nothing */
    meter         meter;
} bench;

typedef enum way { ONE_BY_ONE, MANY, SWARM, WAYS } way;
extern const char *const way_names[WAYS];

typedef struct way_figures {
    double handed_ns, all_ns, cpu_ns, busy_ns;      /* a task: until it was handed over, until all have run, CPU, inside the task */
} way_figures;

/** So many tasks, until all have run. */
mf_status way_round(bench *b, way how, unsigned long tasks, way_figures *out, mf_error *err);

enum { LATENCIES_MAX = 2000 };
typedef struct latencies {
    int    count;
    double begins[LATENCIES_MAX], result[LATENCIES_MAX];    /* µs, sorted at the end */
} latencies;
/** One at a time, each waited for, for `seconds` at most and LATENCIES_MAX of them. */
mf_status measure_latency(bench *b, double seconds, latencies *out, mf_error *err);

#endif
