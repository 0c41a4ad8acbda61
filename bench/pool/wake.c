/* From a submit to an idle pool until the job runs. Where the kernel puts the woken thread depends on what the submitter does next,
 * so that is read three ways. */
#include "workloads.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apart.h"

enum { SAMPLES_MAX = 2000, GAP_US = 100, SPIN_US = 50, IDLE_WORKERS = 4 };

typedef enum submitter { SPINS, YIELDS, HOLDS, SUBMITTERS } submitter;
static const char *const what_it_does[SUBMITTERS] = {
    [SPINS] = "looks for 50 µs, then yields", [YIELDS] = "yields at once", [HOLDS] = "holds its CPU",
};

static _Atomic(double) woken_at;

static void note_time(void *arg)
{
    (void)arg;
    atomic_store_explicit(&woken_at, report_now_ns(), memory_order_release);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Ends when the job has run. */
static void await(submitter how, double since)
{
    while (atomic_load_explicit(&woken_at, memory_order_acquire) == 0.0)
        if (how == YIELDS || (how == SPINS && report_now_ns() - since > SPIN_US * 1e3))
            sched_yield();
}

struct order {
    const contestant *c;
    unsigned          workers;
    int               samples;
    submitter         how;
    double            seconds;      /* idle_once */
};

static void wake_once(const void *arg, cost *out)
{
    static double us[SAMPLES_MAX];
    const struct order *o = arg;
    void *pool = o->c->create(o->workers);
    o->c->submit(pool, nothing, NULL);
    o->c->wait(pool);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (int i = 0; i < o->samples; i++) {
        struct timespec gap = {0, GAP_US * 1000};
        nanosleep(&gap, NULL);
        atomic_store_explicit(&woken_at, 0.0, memory_order_relaxed);
        double at = report_now_ns();
        o->c->submit(pool, note_time, NULL);
        await(o->how, at);
        us[i] = (atomic_load_explicit(&woken_at, memory_order_acquire) - at) / 1e3;
        o->c->wait(pool);
    }
    out->cpu = (report_cpu_ns() - cpu) / (report_now_ns() - begin);
    report_sort(us, o->samples);
    out->value = us[o->samples / 2];
    o->c->destroy(pool);
}

/* Thousandths of a core that an idle pool takes. */
static void idle_once(const void *arg, cost *out)
{
    const struct order *o = arg;
    void *pool = o->c->create(o->workers);
    struct timespec settle = {0, 50000000}, span = {(time_t)o->seconds, (long)(1e9 * (o->seconds - (double)(time_t)o->seconds))};
    for (int i = 0; i < 1000; i++)
        o->c->submit(pool, nothing, NULL);
    o->c->wait(pool);
    nanosleep(&settle, NULL);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    nanosleep(&span, NULL);
    out->value = 1000 * (report_cpu_ns() - cpu) / (report_now_ns() - begin);
    o->c->destroy(pool);
}

static void bench(const char *title, const char *unit, void (*run)(const void *, cost *), struct order order, int rounds,
                  report_columns columns)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    for (int r = -1; r < rounds; r++)
        for (int i = 0; i < contestant_count; i++) {
            order.c = contestants[i];
            cost got = run_apart(run, &order, order.c->name);
            report_put_cost(&rows[i], order.c->name, r, got.value, got.cpu, got.peak_mib);
        }
    report_table(title, unit, rows, contestant_count, rounds, columns);
}

void wake_bench(unsigned workers, int rounds, int samples)
{
    char title[128];
    for (submitter how = 0; how < SUBMITTERS; how++) {
        snprintf(title, sizeof title, "Wake-up of an idle pool, %u workers, a job every %d µs; the submitter %s", workers, GAP_US,
                 what_it_does[how]);
        bench(title, "µs (p50)", wake_once, (struct order){.workers = workers, .samples = samples, .how = how}, rounds, REPORT_CORES);
    }
    snprintf(title, sizeof title, "An idle pool of %d workers", IDLE_WORKERS);
    bench(title, "thousandths of a core", idle_once, (struct order){.workers = IDLE_WORKERS, .seconds = 0.25}, rounds, REPORT_VALUES);
}
