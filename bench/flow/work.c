/* What a second thread brings to items of a size: a map whose items work for so long, on one thread and on two.
 *
 *     bench_work [--quick]
 *
 * Small items are run by one worker alone (adapters/local/alone.c), larger ones are shared; which, the adapter measures while it runs.
 * Each run is a process of its own, and those of a row take turns; medians, with the least and the greatest. */
#include "apart.h"
#include "counting_source.h"
#include "report.h"

#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, THREADS = 2 };

typedef struct work {
    const char *name;
    unsigned    items;
    unsigned    ns;         /* each item works for so long, */
    unsigned    every;      /* and of so many one, if not 0, */
    unsigned    long_ns;    /* for so long */
    bool        sleeps;     /* that one sleeps */
} work;

static const work works[] = {
    {"nothing", 200000, 0, 0, 0, false},
    {"0.3 us", 100000, 300, 0, 0, false},
    {"0.6 us", 100000, 600, 0, 0, false},
    {"1 us", 50000, 1000, 0, 0, false},
    {"1.5 us", 50000, 1500, 0, 0, false},
    {"2 us", 50000, 2000, 0, 0, false},
    {"5 us", 20000, 5000, 0, 0, false},
    {"20 us", 5000, 20000, 0, 0, false},
    {"nothing, one in 100 works 100 us", 50000, 0, 100, 100000, false},
    {"nothing, one in 30 works 1 ms", 3000, 0, 30, 1000000, false},
    {"nothing, one in 30 sleeps 1 ms", 3000, 0, 30, 1000000, true},
    {"nothing, one in 10 sleeps 10 ms", 300, 0, 10, 10000000, true},
};

static mf_status item(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    const work *w = user;
    (void)in, (void)out;
    bool is_long = w->every > 0 && mf_context_execution_info(ctx)->task_data.index % w->every == w->every - 1;
    unsigned ns = is_long ? w->long_ns : w->ns;
    if (is_long && w->sleeps) {
        nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
        return MF_OK;
    }
    for (double end = ns > 0 ? report_now_ns() + ns : 0; ns > 0 && report_now_ns() < end;) {}
    return MF_OK;
}

/* figures: ns an item, of wall time and of CPU. */
static bool run_here(const work *w, unsigned threads, double figures[2])
{
    mf_error err = {.text = ""};
    mf_client *client = NULL;
    void *user = (void *)(uintptr_t)w;
    counting_source items = {.total = w->items};
    mf_status st = mf_open("local:", MF_OPTIONS(.threads = threads), &client, &err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "item", .run = item, .user = user), &err);
    if (st == MF_OK)
        st = mf_source(client, MF_SOURCE_DEF(.name = "items", .next = counting_source_next, .user = &items), &err);
    if (st == MF_OK)
        st = mf_serve(client, NULL, &err);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    if (st == MF_OK) {
        mf_signature *map = mf_map(client, "map", "items", mf_sign(client, "item", NULL, &err), NULL, &err);
        mf_run *started = mf_start(map, NULL, &err);
        mf_signature_destroy(map);
        st = started == NULL ? err.status : mf_run_wait(started, MF_FOREVER, NULL, &err);
        mf_run_destroy(started);
    }
    figures[0] = (report_now_ns() - begin) / w->items;
    figures[1] = (report_cpu_ns() - cpu) / w->items;
    mf_client_destroy(client);
    if (st != MF_OK)
        fprintf(stderr, "bench_work: %s: %s\n", w->name, err.text);
    return st == MF_OK;
}

typedef struct order {
    const work *work;
    unsigned    threads;
} order;

static bool run(const void *arg, void *out)
{
    const order *o = arg;
    return run_here(o->work, o->threads, out);
}

static bool row(const work *w, int rounds)
{
    report_row wall[THREADS] = {{0}}, cpu[THREADS] = {{0}}, ratio = {0};
    for (int r = 0; r < rounds; r++) {
        for (unsigned t = 0; t < THREADS; t++) {
            double figures[2];
            if (!apart(run, &(order){w, t + 1}, figures, sizeof figures, NULL))
                return false;
            report_put(&wall[t], w->name, r, figures[0]);
            report_put(&cpu[t], w->name, r, figures[1]);
        }
        report_put(&ratio, w->name, r, wall[1].value[r] / wall[0].value[r]);
    }
    printf("| %s |", w->name);
    for (unsigned t = 0; t < THREADS; t++) {
        report_summary s = report_summarize(&wall[t], rounds);
        printf(" **%.0f** | %.0f | %.0f | %.0f |", s.median, s.min, s.max, report_summarize(&cpu[t], rounds).median);
    }
    report_summary s = report_summarize(&ratio, rounds);
    printf(" **%.2f** | %.2f | %.2f |\n", s.median, s.min, s.max);
    return true;
}

int main(int argc, char **argv)
{
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0, good = true;
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: bench_work [--quick]\n");
        return 2;
    }
    printf("## What a second thread brings to items of a size\n\n");
    report_machine(quick ? "script/bench --quick work" : "script/bench work");
    printf("\n| an item | 1 thread: wall, ns an item | min | max | CPU | 2 threads: wall | min | max | CPU | 2 to 1, wall | min | max |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; good && i < sizeof works / sizeof works[0]; i++)
        good = row(&works[i], quick ? 3 : ROUNDS);
    return good ? 0 : 1;
}
