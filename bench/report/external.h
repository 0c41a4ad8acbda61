/* bench/report/external.h: contestants that are programs of their own (bench/peers), one measured round a call.
 *
 * BENCH_PEERS names folders of programs, a colon between them: PROGRAM list tells the contestants in it, a line each,
 * "WORKLOAD NAME", a "!" behind the workload where less is promised than by a submit that returns; PROGRAM WORKLOAD NAME FIRST
 * SECOND runs one round and prints its figure and, in the same unit, the processor time that it took. */
#ifndef BENCH_EXTERNAL_H
#define BENCH_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "apart.h"

enum { EXTERNALS_MAX = 24 };

typedef struct external {
    char program[256];
    char name[48];
    bool weak;
} external;

/** The contestants that offer `workload`; how many. None where BENCH_PEERS is not set. */
int externals(const char *workload, external out[EXTERNALS_MAX]);
/** Run one round. Ends this program, with the command on standard error, when it gives no figure. */
cost external_round(const external *e, const char *workload, const char *first, const char *second);

#endif
