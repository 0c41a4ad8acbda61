/* bench/report/external.h: contestants that are programs of their own (bench/peers), one measured round a call.
 *
 * BENCH_PEERS names a folder of programs: NAME list tells the contestants in them, a line each, "submit NAME" or "fork NAME". */
#ifndef BENCH_EXTERNAL_H
#define BENCH_EXTERNAL_H

#include <stddef.h>

enum { EXTERNALS_MAX = 16 };

typedef struct external {
    char program[256];
    char name[40];
} external;

/** The contestants that offer `workload`, "submit" or "fork"; how many. None where BENCH_PEERS is not set. */
int externals(const char *workload, external out[EXTERNALS_MAX]);
/** Run one round, `PROGRAM workload NAME first second`, and return the number that it prints. Ends this program, with the
 * command on standard error, when it prints none. */
double external_round(const external *e, const char *workload, const char *first, const char *second);

#endif
