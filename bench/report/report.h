/* bench/report/report.h: rounds of figures in; out a Markdown table on standard output and, where BENCH_JSON names a file, the
 * same as JSON, a document a line: first the machine, then each table with the figures of every round (bench/plot draws them). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

enum { REPORT_ROUNDS_MAX = 31, REPORT_ROWS_MAX = 24 };

typedef struct report_row {
    const char *name;
    double      value[REPORT_ROUNDS_MAX];
    double      cpu[REPORT_ROUNDS_MAX];      /* cores used, where it is told */
} report_row;

/** Write down the figure of a round; a round below 0 warms up and is not kept. name is borrowed until the table is printed. */
void report_put(report_row *row, const char *name, int round, double value);
/** CPU, kernel, compiler, flags. Opens the file of BENCH_JSON: the first call of a program. */
void report_machine(const char *command);
/** One table: each row's median, least and greatest, and its ratio to the first row, by round and then the median. Names are
 * plain text without quotes. */
void report_table(const char *title, const char *unit, const report_row *rows, int count, int rounds, bool with_cpu);

/** CLOCK_MONOTONIC, and the processor time of this process. */
double report_now_ns(void);
double report_cpu_ns(void);

#endif
