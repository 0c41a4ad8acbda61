/* bench/pool/report.h: rounds of figures in, a Markdown table out. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

enum { REPORT_ROUNDS_MAX = 31, REPORT_ROWS_MAX = 24 };

typedef struct report_row {
    const char *name;
    double      value[REPORT_ROUNDS_MAX];
    double      cpu[REPORT_ROUNDS_MAX];      /* cores used, where it is told */
} report_row;

/** One table: each row's median, least and greatest, and its ratio to the first row, by round and then the median. */
void report_table(const char *title, const char *unit, report_row *rows, int count, int rounds, int with_cpu);
/** CPU, kernel, compiler, flags. */
void report_machine(const char *command);

#endif
