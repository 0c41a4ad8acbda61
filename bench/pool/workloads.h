/* bench/pool/workloads.h: the workloads, each a table or more of all contestants by turns. Each measured round has a process of its
 * own (report/apart.h). */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stddef.h>

#include "contestant.h"
#include "report.h"

extern const contestant *const contestants[];
extern const int contestant_count;
/** NULL: there is none of that name. */
const contestant *contestant_named(const char *name);
/** The contestants with their versions, and what is missing. */
void print_contestants(void);

typedef enum submit_how { SINGLY, IN_BATCHES, BY_PRODUCERS } submit_how;

/** Empty jobs from outside until all have run. */
void submit_bench(unsigned workers, int rounds, size_t jobs, submit_how how);
/** One such round in this process, of a pool of its own, its warming up aside: ns per job, and of CPU. */
void submit_once(const contestant *c, unsigned workers, size_t jobs, submit_how how, double *ns, double *cpu);
/** Four workers, alone and beside two processes that keep a CPU busy each. */
void hogs_bench(int rounds, size_t jobs);
/** An idle pool gets a job now and then: from the submit until it runs; and one that gets none. */
void wake_bench(unsigned workers, int rounds, int samples);
/** Jobs that sleep, more of them than CPUs: 64 workers. */
void blocking_bench(int rounds, size_t jobs);
/** One such round in this process: ns per job, and of CPU. */
void blocking_once(const contestant *c, unsigned workers, size_t jobs, double *ns, double *cpu_ns);
/** Jobs that wait in the queue: bytes each, and what is kept when they have run. */
void memory_bench(size_t jobs);
/** 10^3 to `most` jobs: what one costs should not depend on how many there are. */
void growth_bench(int rounds, size_t most);
/** Items of which 30 are in flight, their results kept. */
void lanes_bench(unsigned workers, int rounds, size_t items);

#endif
