/* bench/flow/run.h: one swarm of no-op items from the first to the last, and what it cost. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "count.h"

#include <stdbool.h>

/* With results: each task returns a message of its own, and all are read in the order of the items. */
typedef enum run_kind { RUN_MAP, RUN_ADDED, RUN_MAP_RESULTS, RUN_ADDED_RESULTS, RUN_KINDS } run_kind;
extern const char *const run_kind_names[RUN_KINDS];     /* for --one */
extern const char *const run_kind_titles[RUN_KINDS];

typedef struct run_order {
    run_kind           kind;
    unsigned long long items;
    unsigned           threads;
    bool               counted;     /* through the counting allocator and store; slower */
    unsigned           swarms;      /* one after the other by the same client, each after a pause; 0: one */
} run_order;

typedef struct run_figures {
    double        adding_ns;        /* signing and adding the items; a map has none to add */
    double        running_ns;       /* from mf_start to the end of the swarm, its results read */
    double        cpu_ns;           /* CPU time of the process during the two */
    count_figures counts;           /* at that end, before anything was freed */
    long          rss_kib;          /* the most this process had, of run_in_child */
} run_figures;

/** out: one for each swarm. false: it failed, and stderr tells why. */
bool run_here(const run_order *order, run_figures *out);
/** One swarm in a process of its own, so that each has a peak of its own. */
bool run_in_child(const run_order *order, run_figures *out);

#endif
