#include "workloads.h"

#include <stdio.h>
#include <time.h>

#include "report.h"

enum { WORKERS = 64, SLEEP_US = 1000 };

static void sleeps(void *arg)
{
    struct timespec t = {0, SLEEP_US * 1000};
    (void)arg;
    nanosleep(&t, NULL);
}

/* µs per job; without any cost of the pool it were SLEEP_US / WORKERS. */
static double blocking_round(const contestant *c, size_t jobs, double *cpu_us)
{
    void *pool = c->create(WORKERS);
    for (int i = 0; i < WORKERS; i++)       /* the threads are there */
        c->submit(pool, sleeps, NULL);
    c->wait(pool);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (size_t i = 0; i < jobs; i++)
        c->submit(pool, sleeps, NULL);
    c->wait(pool);
    double ns = report_now_ns() - begin;
    *cpu_us = (report_cpu_ns() - cpu) / 1e3 / (double)jobs;
    c->destroy(pool);
    return ns / 1e3 / (double)jobs;
}

void blocking_bench(int rounds, size_t jobs)
{
    report_row times[REPORT_ROWS_MAX] = {{0}}, cpus[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    for (int r = -1; r < rounds; r++)
        for (int i = 0; i < contestant_count; i++) {
            double cpu, us = blocking_round(contestants[i], jobs, &cpu);
            report_put(&times[i], contestants[i]->name, r, us);
            report_put(&cpus[i], contestants[i]->name, r, cpu);
        }
    snprintf(title, sizeof title, "Jobs that sleep for a millisecond, %d workers", WORKERS);
    report_table(title, "µs per job", times, contestant_count, rounds, false);
    snprintf(title, sizeof title, "The same: processor time, %d workers", WORKERS);
    report_table(title, "µs of CPU per job", cpus, contestant_count, rounds, false);
}
