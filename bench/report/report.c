#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef BENCH_COMPILER      /* built by hand */
#define BENCH_COMPILER __VERSION__
#define BENCH_FLAGS "flags unknown"
#endif

static FILE *json;      /* NULL: BENCH_JSON is not set */

static double read_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double report_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

double report_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

double report_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void report_sort(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
}

double report_median(double *values, int n)
{
    report_sort(values, n);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double median(const double *values, int n)
{
    double sorted[REPORT_ROUNDS_MAX];
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    return report_median(sorted, n);
}

/* Rounds are interleaved, so a round's own ratio is less disturbed by the machine than the ratio of two medians. */
static double ratio(const report_row *row, const report_row *first, int rounds)
{
    double ratios[REPORT_ROUNDS_MAX];
    for (int r = 0; r < rounds; r++)
        ratios[r] = row->value[r] / first->value[r];
    return median(ratios, rounds);
}

void report_put(report_row *row, const char *name, int round, double value)
{
    row->name = name;
    if (round >= 0)
        row->value[round] = value;
}

void report_put_cost(report_row *row, const char *name, int round, double value, double cpu, double rss)
{
    report_put(row, name, round, value);
    if (round >= 0) {
        row->cpu[round] = cpu;
        row->rss[round] = rss;
    }
}

static void json_rounds(const char *key, const double *values, int rounds)
{
    fprintf(json, ", \"%s\": [", key);
    for (int r = 0; r < rounds; r++)
        fprintf(json, "%s%.6g", r > 0 ? ", " : "", values[r]);
    fputc(']', json);
}

void report_json(const char *title, const char *unit, const report_row *rows, int count, int rounds, report_columns columns)
{
    if (json == NULL)
        return;
    fprintf(json, "{\"title\": \"%s\", \"unit\": \"%s\", \"rows\": [", title, unit);
    for (int i = 0; i < count; i++) {
        fprintf(json, "%s{\"name\": \"%s\"%s", i > 0 ? ", " : "", rows[i].name, rows[i].weak ? ", \"weak\": true" : "");
        json_rounds("rounds", rows[i].value, rounds);
        if (columns != REPORT_VALUES)
            json_rounds(columns == REPORT_CORES ? "cores" : "cpu", rows[i].cpu, rounds);
        if (columns == REPORT_COST)
            json_rounds("peak_mib", rows[i].rss, rounds);
        fputc('}', json);
    }
    fputs("]}\n", json);
    fflush(json);       /* before a fork, and for who reads along */
}

report_summary report_summarize(const report_row *row, int rounds)
{
    double sorted[REPORT_ROUNDS_MAX];
    memcpy(sorted, row->value, (size_t)rounds * sizeof *sorted);
    double middle = report_median(sorted, rounds);
    return (report_summary){middle, sorted[0], sorted[rounds - 1]};
}

static void print_row(const report_row *row, const report_row *first, int rounds, report_columns columns)
{
    report_summary s = report_summarize(row, rounds);
    printf("| %s%s | **%.1f** | %.1f | %.1f | %.0f %% | %.2f |", row->name, row->weak ? " ¹" : "", s.median, s.min, s.max,
           100 * (s.max - s.min) / s.median, ratio(row, first, rounds));
    if (columns == REPORT_CORES)
        printf(" %.2f |", median(row->cpu, rounds));
    if (columns == REPORT_COST)
        printf(" %.1f | %.1f |", median(row->cpu, rounds), median(row->rss, rounds));
    printf("\n");
}

void report_table(const char *title, const char *unit, const report_row *rows, int count, int rounds, report_columns columns)
{
    bool weak = false;
    printf("\n### %s\n\n| contestant | median %s | min | max | spread | ratio to %s |", title, unit, rows[0].name);
    if (columns == REPORT_CORES)
        printf(" cores used |");
    if (columns == REPORT_COST)
        printf(" CPU, %s | peak MiB |", unit);
    printf("\n|---|---|---|---|---|---|%s\n", columns == REPORT_CORES ? "---|" : columns == REPORT_COST ? "---|---|" : "");
    for (int i = 0; i < count; i++) {
        print_row(&rows[i], &rows[0], rounds, columns);
        weak |= rows[i].weak;
    }
    if (weak)
        printf("\n¹ its producer runs jobs itself, or may wait: a weaker promise than to submit and return.\n");
    fflush(stdout);
    report_json(title, unit, rows, count, rounds, columns);
}

static void cpu_model(char *out, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *at = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && at != NULL) {
            at[strcspn(at, "\n")] = '\0';
            snprintf(out, size, "%s", at + 2);
            break;
        }
    }
    if (f != NULL)
        fclose(f);
}

void report_machine(const char *command)
{
    struct utsname name;
    char day[32], cpu[256];
    time_t now = time(NULL);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uname(&name);
    strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now));
    cpu_model(cpu, sizeof cpu);
    printf("- CPU: %s\n- CPUs online: %ld, %s %s %s\n", cpu, cpus, name.sysname, name.release, name.machine);
    printf("- compiler: %s, %s\n- command: `%s`, %s\n", BENCH_COMPILER, BENCH_FLAGS, command, day);
    const char *path = getenv("BENCH_JSON");
    if (path != NULL && (json = fopen(path, "w")) == NULL)
        perror(path);
    if (json != NULL) {
        fprintf(json, "{\"cpu\": \"%s\", \"cpus\": %ld, \"system\": \"%s %s %s\", \"compiler\": \"%s\", \"flags\": \"%s\", "
                "\"command\": \"%s\", \"day\": \"%s\"}\n",
                cpu, cpus, name.sysname, name.release, name.machine, BENCH_COMPILER, BENCH_FLAGS, command, day);
        fflush(json);
    }
}
