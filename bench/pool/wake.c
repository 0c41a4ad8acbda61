#include "workloads.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"

enum { WAKE_SAMPLES = 400, WAKE_GAP_US = 200 };

static _Atomic(double) woken_at;

static void note_time(void *arg)
{
    (void)arg;
    atomic_store_explicit(&woken_at, report_now_ns(), memory_order_release);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double wake_round(const contestant *c, void *pool, double *cores)
{
    static double us[WAKE_SAMPLES];
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (int i = 0; i < WAKE_SAMPLES; i++) {
        struct timespec gap = {0, WAKE_GAP_US * 1000};
        nanosleep(&gap, NULL);
        atomic_store_explicit(&woken_at, 0.0, memory_order_relaxed);
        double at = report_now_ns();
        c->submit(pool, note_time, NULL);
        c->wait(pool);
        us[i] = (atomic_load_explicit(&woken_at, memory_order_acquire) - at) / 1e3;
    }
    *cores = (report_cpu_ns() - cpu) / (report_now_ns() - begin);
    qsort(us, WAKE_SAMPLES, sizeof us[0], by_value);
    return us[WAKE_SAMPLES / 2];
}

void wake_bench(unsigned workers, int rounds)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    for (int r = -1; r < rounds; r++)
        for (int i = 0; i < contestant_count; i++) {
            const contestant *c = contestants[i];
            void *pool = c->create(workers);
            double cores, us = wake_round(c, pool, &cores);
            c->destroy(pool);
            report_put(&rows[i], c->name, r, us);
            if (r >= 0)
                rows[i].cpu[r] = cores;
        }
    snprintf(title, sizeof title, "Wake-up of an idle pool, %u workers, a job every %d µs", workers, WAKE_GAP_US);
    report_table(title, "µs (p50)", rows, contestant_count, rounds, true);
}

