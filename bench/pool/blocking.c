#include "workloads.h"

#include <stdio.h>
#include <time.h>

#include "external.h"

enum { WORKERS = 64, SLEEP_US = 1000 };

static void sleeps(void *arg)
{
    struct timespec t = {0, SLEEP_US * 1000};
    (void)arg;
    nanosleep(&t, NULL);
}

struct order {
    const contestant *c;
    size_t            jobs;
};

/* µs per job; without any cost of the pool it were SLEEP_US / WORKERS. */
static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    void *pool = o->c->create(WORKERS);
    for (int i = 0; i < WORKERS; i++)       /* the threads are there */
        o->c->submit(pool, sleeps, NULL);
    o->c->wait(pool);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (size_t i = 0; i < o->jobs; i++)
        o->c->submit(pool, sleeps, NULL);
    o->c->wait(pool);
    out->value = (report_now_ns() - begin) / 1e3 / (double)o->jobs;
    out->cpu = (report_cpu_ns() - cpu) / 1e3 / (double)o->jobs;
    o->c->destroy(pool);
}

void blocking_bench(int rounds, size_t jobs)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    static external outside[EXTERNALS_MAX];
    int outside_count = externals("blocking", outside), count = 0;
    char title[96], w[16], n[24];
    snprintf(w, sizeof w, "%d", WORKERS);
    snprintf(n, sizeof n, "%zu", jobs);
    for (int r = -1; r < rounds; r++) {
        count = 0;
        for (int i = 0; i < contestant_count; i++) {
            cost got = run_apart(run, &(struct order){contestants[i], jobs}, contestants[i]->name);
            report_put_cost(&rows[count++], contestants[i]->name, r, got.value, got.cpu, got.peak_mib);
        }
        for (int i = 0; i < outside_count && count < REPORT_ROWS_MAX; i++) {
            cost got = external_round(&outside[i], "blocking", w, n);
            rows[count].weak = outside[i].weak;
            report_put_cost(&rows[count++], outside[i].name, r, got.value / 1e3, got.cpu / 1e3, got.peak_mib);
        }
    }
    snprintf(title, sizeof title, "Jobs that sleep for a millisecond, %d workers", WORKERS);
    report_table(title, "µs per job", rows, count, rounds, REPORT_COST);
}
