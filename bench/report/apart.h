/* bench/report/apart.h: what is measured, in a process of its own, so that no contestant leaves threads or memory to the next, and
 * each has a peak of its own. */
#ifndef BENCH_APART_H
#define BENCH_APART_H

#include <stdbool.h>
#include <stddef.h>

/** Call run(order, out) in a child, and bring back the `size` bytes (at most PIPE_BUF) that it left at `out`. peak_kib, if not NULL:
 * the most that the child had in memory. false: run said so, or the child died. The caller has no other threads. */
bool apart(bool (*run)(const void *order, void *out), const void *order, void *out, size_t size, long *peak_kib);

typedef struct cost {
    double value;           /* what is measured */
    double cpu;             /* processor time, in the same unit */
    double peak_mib;        /* the most that the process had in memory */
} cost;

/** The same for a cost: run fills in value and cpu, peak_mib is the child's. Ends the program, with `who` on standard
 * error, where the child does not end well within two minutes. */
cost run_apart(void (*run)(const void *order, cost *out), const void *order, const char *who);

#endif
