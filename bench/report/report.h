/* bench/report/report.h: rounds of figures in; out a Markdown table on standard output and, where BENCH_JSON names a file, the
 * same as JSON, a document a line: first the machine, then each table with the figures of every round (bench/plot draws them). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

enum { REPORT_ROUNDS_MAX = 31, REPORT_ROWS_MAX = 24 };

typedef struct report_row {
    const char *name;
    bool        weak;                        /* its producer runs jobs itself, or waits: less is promised than by a submit that returns */
    double      value[REPORT_ROUNDS_MAX];
    double      cpu[REPORT_ROUNDS_MAX];      /* cores used, or processor time in the table's own unit, where either is told */
    double      rss[REPORT_ROUNDS_MAX];      /* the most the round's process had in memory, MiB, where it is told */
} report_row;

/** What a table tells of each row beside its values. */
typedef enum report_columns {
    REPORT_VALUES = 0,
    REPORT_CORES = 1,       /* cpu as cores used */
    REPORT_COST = 2         /* cpu in the unit of the values, and rss */
} report_columns;

/** Write down the figure of a round; a round below 0 warms up and is not kept. name is borrowed until the table is printed. */
void report_put(report_row *row, const char *name, int round, double value);
/** The same with what it cost. */
void report_put_cost(report_row *row, const char *name, int round, double value, double cpu, double rss);
/** CPU, kernel, compiler, flags. Opens the file of BENCH_JSON: the first call of a program. */
void report_machine(const char *command);
/** One table: each row's median, least and greatest, spread (greatest less least, to the median), and its ratio to the first row, by
 * round and then the median. Names are plain text without quotes. */
void report_table(const char *title, const char *unit, const report_row *rows, int count, int rounds, report_columns columns);
/** The JSON of a table alone, for who prints it otherwise. */
void report_json(const char *title, const char *unit, const report_row *rows, int count, int rounds, report_columns columns);

typedef struct report_summary {
    double median, min, max;
} report_summary;
report_summary report_summarize(const report_row *row, int rounds);

/** Sort, the least first. */
void report_sort(double *values, int n);
/** Sorts what it is given; of an even number, the mean of the two in the middle. */
double report_median(double *values, int n);

/** CLOCK_MONOTONIC; the processor time of this process, that of threads which have ended included; that of the calling thread. */
double report_now_ns(void);
double report_cpu_ns(void);
double report_thread_cpu_ns(void);

#endif
