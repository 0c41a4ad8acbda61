/* bench/pool/workloads.h: the workloads, each a table or more of all contestants by turns. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stddef.h>

#include "contestant.h"

extern const contestant *const contestants[];
extern const int contestant_count;

typedef enum submit_how { SINGLY, IN_BATCHES, BY_PRODUCERS } submit_how;

/** Empty jobs from outside until all have run; and in the same way for programs of their own (external.h). */
void submit_bench(unsigned workers, int rounds, size_t jobs, submit_how how);
/** One such round of a contestant, with a pool of its own: ns per job. */
double submit_round_of(const contestant *c, unsigned workers, size_t jobs, submit_how how);
/** The programs of other languages (BENCH_PEERS) take part in submit_bench from now on; each is named. */
void submit_with_externals(void);
/** An idle pool gets a job now and then: from the submit until it runs. */
void wake_bench(unsigned workers, int rounds);
/** Jobs that sleep, more of them than CPUs: 64 workers. */
void blocking_bench(int rounds, size_t jobs);
/** Jobs that wait in the queue: bytes each, and what is kept when they have run. */
void memory_bench(size_t jobs);
/** 10^3 to `most` jobs: what one costs should not depend on how many there are. */
void growth_bench(int rounds, size_t most);

#endif
