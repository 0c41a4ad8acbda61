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

/* Without any cost of the pool it were SLEEP_US / workers. */
void blocking_once(const contestant *c, unsigned workers, size_t jobs, double *ns, double *cpu_ns)
{
    void *pool = c->create(workers);
    for (unsigned i = 0; i < workers; i++)       /* the threads are there */
        c->submit(pool, sleeps, NULL);
    c->wait(pool);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (size_t i = 0; i < jobs; i++)
        c->submit(pool, sleeps, NULL);
    c->wait(pool);
    *ns = (report_now_ns() - begin) / (double)jobs;
    *cpu_ns = (report_cpu_ns() - cpu) / (double)jobs;
    c->destroy(pool);
}

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    blocking_once(o->c, WORKERS, o->jobs, &out->value, &out->cpu);
    out->value /= 1e3;
    out->cpu /= 1e3;
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
