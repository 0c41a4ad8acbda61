/* bench/report/apart.h: one measured round in a process of its own, so that no contestant leaves threads or memory to the next,
 * and each has a peak of its own. */
#ifndef BENCH_APART_H
#define BENCH_APART_H

typedef struct cost {
    double value;           /* what is measured */
    double cpu;             /* processor time, in the same unit */
    double peak_mib;        /* the most that the process had in memory */
} cost;

/** Call run(order, &out) in a child, which fills in value and cpu; peak_mib is the child's. The caller has no other threads. Ends
 * the program, with `who` on standard error, where the child does not end well within two minutes. */
cost run_apart(void (*run)(const void *order, cost *out), const void *order, const char *who);

#endif
