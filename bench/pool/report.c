#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(const double *in, double *out, int n)
{
    memcpy(out, in, (size_t)n * sizeof *out);
    qsort(out, (size_t)n, sizeof *out, by_value);
}

static double median(const double *values, int n)
{
    double sorted[REPORT_ROUNDS_MAX];
    sort(values, sorted, n);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Rounds are interleaved, so a round's own ratio is less disturbed by the machine than the ratio of two medians. */
static double ratio(const report_row *row, const report_row *first, int rounds)
{
    double ratios[REPORT_ROUNDS_MAX];
    for (int r = 0; r < rounds; r++)
        ratios[r] = row->value[r] / first->value[r];
    return median(ratios, rounds);
}

void report_table(const char *title, const char *unit, report_row *rows, int count, int rounds, int with_cpu)
{
    printf("\n%s\n\n", title);
    printf("| contestant | median %s | min | max | ratio to ours |%s\n", unit, with_cpu ? " cores used |" : "");
    printf("|---|---|---|---|---|%s\n", with_cpu ? "---|" : "");
    for (int i = 0; i < count; i++) {
        double sorted[REPORT_ROUNDS_MAX];
        sort(rows[i].value, sorted, rounds);
        printf("| %s | **%.1f** | %.1f | %.1f | %.2f |", rows[i].name, median(rows[i].value, rounds), sorted[0],
               sorted[rounds - 1], ratio(&rows[i], &rows[0], rounds));
        if (with_cpu)
            printf(" %.2f |", median(rows[i].cpu, rounds));
        printf("\n");
    }
    fflush(stdout);
}

static void print_cpu_model(void)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *at = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && at != NULL) {
            printf("- CPU: %s", at + 2);
            break;
        }
    }
    if (f != NULL)
        fclose(f);
}

void report_machine(const char *command)
{
    struct utsname name;
    char day[32];
    time_t now = time(NULL);
    uname(&name);
    strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now));
    print_cpu_model();
    printf("- CPUs online: %ld, %s %s %s\n", sysconf(_SC_NPROCESSORS_ONLN), name.sysname, name.release, name.machine);
    printf("- compiler: %s, %s\n- command: `%s`, %s\n", BENCH_COMPILER, BENCH_FLAGS, command, day);
}
