/* What an item of a local swarm costs: time, allocations, bytes, store operations, resident memory.
 *
 *     bench_swarm [--quick]                       the tables
 *     bench_swarm --counted                       the tables of what is counted alone
 *     bench_swarm --one KIND ITEMS THREADS [N]    N swarms (1) by one client and nothing else, for a profiler and for
 *                                                 peers/run: a line "running_ns cpu_ns peak_rss_kib" each, with the peak
 *                                                 of all; KIND: map, added, map-results, added-results
 *
 * Time and resident memory come from runs that count nothing, each in a process of its own; interleaved rounds, medians.
 * What is counted comes from one run more, an empty swarm subtracted. */
#include "report.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SIZES = 4, ROUNDS_MAX = 15, THREADS_MAX = 2, SWARMS_MAX = 1000 };
static const unsigned long long sizes[SIZES] = {1000, 10000, 100000, 1000000};

typedef struct cell {
    double adding[ROUNDS_MAX], running[ROUNDS_MAX], cpu[ROUNDS_MAX];    /* ns an item */
    double rss[ROUNDS_MAX];                                             /* KiB */
} cell;

/* ---- time and resident memory --------------------------------------------------------------------------------- */

static bool time_cell(run_kind kind, unsigned long long items, unsigned threads, cell *c, int round)
{
    run_figures f;
    if (!run_in_child(&(run_order){.kind = kind, .items = items, .threads = threads}, &f))
        return false;
    double n = items > 0 ? (double)items : 1;
    c->adding[round] = f.adding_ns / n;
    c->running[round] = f.running_ns / n;
    c->cpu[round] = f.cpu_ns / n;
    c->rss[round] = (double)f.rss_kib;
    return true;
}

static bool time_kind(run_kind kind, int size_count, int rounds)
{
    static cell cells[SIZES + 1][THREADS_MAX];      /* the first row without items */
    for (int r = 0; r < rounds; r++)
        for (int s = 0; s <= size_count; s++)
            for (unsigned t = 0; t < THREADS_MAX; t++)
                if (!time_cell(kind, s == 0 ? 0 : sizes[s - 1], t + 1, &cells[s][t], r))
                    return false;
    printf("\n### Time: %s, median of %d rounds\n\n", run_kind_titles[kind], rounds);
    printf("| items | threads | adding, ns an item | running, ns an item | min | max | CPU of both, ns an item "
           "| peak RSS, MiB | of it B an item |\n"
           "|---|---|---|---|---|---|---|---|---|\n");
    for (int s = 1; s <= size_count; s++)
        for (unsigned t = 0; t < THREADS_MAX; t++) {
            cell *c = &cells[s][t];
            double rss = report_median(c->rss, rounds), empty = report_median(cells[0][t].rss, rounds);
            double running = report_median(c->running, rounds);
            printf("| %llu | %u | %.0f | **%.0f** | %.0f | %.0f | %.0f | %.1f | %.0f |\n", sizes[s - 1], t + 1,
                   report_median(c->adding, rounds), running, c->running[0], c->running[rounds - 1], report_median(c->cpu, rounds),
                   rss / 1024, (rss - empty) * 1024 / (double)sizes[s - 1]);
        }
    return true;
}

/* ---- what is counted ------------------------------------------------------------------------------------------ */

static double each(unsigned long long with, unsigned long long empty, unsigned long long items)
{
    return ((double)with - (double)empty) / (double)items;
}

static bool count_kind(run_kind kind, unsigned threads, int size_count)
{
    run_figures empty, f;
    printf("\n### Counted: %s, %u thread%s, an item\n\n", run_kind_titles[kind], threads,
           threads == 1 ? "" : "s");
    printf("| items | allocations | bytes allocated | bytes held at the end | at most | store operations |");
    for (int op = 0; op < COUNT_OTHER; op++)
        printf(" %s |", count_op_names[op]);
    printf("\n|---|---|---|---|---|---|");
    for (int op = 0; op < COUNT_OTHER; op++)
        printf("---|");
    printf("\n");
    if (!run_in_child(&(run_order){.kind = kind, .items = 0, .threads = threads, .counted = true}, &empty))
        return false;
    for (int s = 0; s < size_count; s++) {
        const count_figures *with = &f.counts, *without = &empty.counts;
        unsigned long long n = sizes[s];
        double sum = 0;
        if (!run_in_child(&(run_order){.kind = kind, .items = n, .threads = threads, .counted = true}, &f))
            return false;
        for (int op = 0; op < COUNT_OPS; op++)
            sum += each(with->ops[op], without->ops[op], n);
        printf("| %llu | %.3f | %.1f | %.1f | %.1f | **%.4f** |", n, each(with->allocations, without->allocations, n),
               each(with->allocated, without->allocated, n), each(with->held, without->held, n),
               each(with->most, without->most, n), sum);
        for (int op = 0; op < COUNT_OTHER; op++)
            printf(" %.4f |", each(with->ops[op], without->ops[op], n));
        printf("\n");
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static int usage_error(void)
{
    fprintf(stderr, "usage: bench_swarm [--quick | --counted] | bench_swarm --one KIND ITEMS THREADS [SWARMS]\n");
    return 2;
}

static int run_one(char **words, int count)
{
    static run_figures f[SWARMS_MAX];
    run_order order = {.items = strtoull(words[1], NULL, 10), .threads = (unsigned)atoi(words[2]),
                       .swarms = count == 4 ? (unsigned)atoi(words[3]) : 1};
    for (; order.kind < RUN_KINDS; order.kind++)
        if (strcmp(words[0], run_kind_names[order.kind]) == 0)
            break;
    struct rusage usage;
    if (order.kind == RUN_KINDS || order.swarms < 1 || order.swarms > SWARMS_MAX)
        return usage_error();
    if (!run_here(&order, f))
        return 1;
    getrusage(RUSAGE_SELF, &usage);
    for (unsigned i = 0; i < order.swarms; i++)
        printf("%.0f %.0f %ld\n", f[i].adding_ns + f[i].running_ns, f[i].cpu_ns, usage.ru_maxrss);
    return 0;
}

int main(int argc, char **argv)
{
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0, counted = argc == 2 && strcmp(argv[1], "--counted") == 0;
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "--one") == 0)
        return run_one(argv + 2, argc - 2);
    if (argc > 1 && !quick && !counted)
        return usage_error();
    int rounds = quick ? 3 : 7, size_count = quick ? 3 : SIZES;
    bool good = true;
    if (!counted) {
        printf("## Swarms of items that do nothing, on local threads\n\n");
        report_machine(quick ? "script/bench --quick swarm" : "script/bench swarm");
    }
    for (run_kind kind = 0; good && !counted && kind <= RUN_ADDED; kind++)    /* with results: peers/run */
        good = time_kind(kind, size_count, rounds);
    for (run_kind kind = 0; good && kind < RUN_KINDS; kind++)
        for (unsigned threads = 1; good && threads <= THREADS_MAX; threads++)
            good = count_kind(kind, threads, size_count);
    return good ? 0 : 1;
}
