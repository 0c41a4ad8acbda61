/* bench_fork [--quick]: recursive spawns inside of a pool, beside others and beside plain calls, by turns in each round.
 *
 *     fib      fib(32) without a cutoff: nothing but spawns; 28 in a quick run
 *     skynet   a sum over 1,000,000 leaves, ten spawns a node; 100,000 in a quick run
 *     queens   n-queens(11): some work in each, and uneven
 *
 * ns per spawn, of the whole machine's time: with two workers half of it is what each spends. */
#include "apart.h"
#include "external.h"
#include "report.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const forker *const forkers[] = {
    &fork_ours,
    &fork_untyped,
    &fork_plain,
#ifdef BENCH_TBB
    &fork_tbb,
#endif
};
enum { FORKERS = sizeof forkers / sizeof forkers[0] };

typedef enum shape { FIB, SKYNET, QUEENS, SHAPES } shape;
typedef struct extent {
    const char *title, *name;
    int         n, spawns;
    int64_t     want;
} extent;
static const extent full[SHAPES] = {
    {"fib(32)", "fib-32", FIB_N, FIB_SPAWNS, FIB_VALUE},
    {"skynet, 1,000,000 leaves", "skynet-1000000", SKYNET_LEAVES, SKYNET_SPAWNS, (int64_t)SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2},
    {"n-queens(11)", "queens-11", QUEENS_N, QUEENS_SPAWNS, QUEENS_WAYS},
};
static const extent small[SHAPES] = {
    {"fib(28)", "fib-28", QUICK_FIB_N, QUICK_FIB_SPAWNS, QUICK_FIB_VALUE},
    {"skynet, 100,000 leaves", "skynet-100000", QUICK_SKYNET_LEAVES, QUICK_SKYNET_SPAWNS,
     (int64_t)QUICK_SKYNET_LEAVES * (QUICK_SKYNET_LEAVES - 1) / 2},
    {"n-queens(11)", "queens-11", QUEENS_N, QUEENS_SPAWNS, QUEENS_WAYS},
};

struct order {
    const forker *f;
    shape         shape;
    const extent *size;
    unsigned      workers;
};

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    const forker *f = o->f;
    int n = o->size->n;
    void *pool = f->create(o->workers);
    f->fib(pool, 20);              /* threads are there, and have run something */
    double begin = report_now_ns(), cpu = report_cpu_ns();
    int64_t got = o->shape == FIB ? (int64_t)f->fib(pool, n) : o->shape == SKYNET ? f->skynet(pool, 0, n) : f->queens(pool);
    out->value = (report_now_ns() - begin) / o->size->spawns;
    out->cpu = (report_cpu_ns() - cpu) / o->size->spawns;
    if (got != o->size->want) {
        fprintf(stderr, "bench_fork: %s counted %s wrong\n", f->name, o->size->name);
        exit(1);
    }
    f->destroy(pool);
}

static external outside[EXTERNALS_MAX];
static int outside_count;

static void bench(shape which, const extent *size, unsigned workers, int rounds)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96], w[16];
    int count = 0;
    snprintf(w, sizeof w, "%u", workers);
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        count = 0;
        for (int i = 0; i < FORKERS; i++) {
            cost got = run_apart(run, &(struct order){forkers[i], which, size, workers}, forkers[i]->name);
            report_put_cost(&rows[count++], forkers[i]->name, r, got.value, got.cpu, got.peak_mib);
        }
        for (int i = 0; i < outside_count && count < REPORT_ROWS_MAX; i++) {
            cost got = external_round(&outside[i], "fork", size->name, w);
            report_put_cost(&rows[count++], outside[i].name, r, got.value / size->spawns, got.cpu / size->spawns, got.peak_mib);
        }
    }
    snprintf(title, sizeof title, "%s, %u worker%s", size->title, workers, workers == 1 ? "" : "s");
    report_table(title, "ns per spawn", rows, count, rounds, REPORT_COST);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = 7;
    outside_count = externals("fork", outside);
    printf("## Recursive spawns\n\n");
    report_machine(quick ? "script/bench --quick fork" : "script/bench fork");
    for (int i = 0; i < FORKERS; i++)
        printf("- %s %s%s\n", forkers[i]->name, forkers[i]->version(),
               forkers[i]->helps ? "; the thread that asks is one of the workers" : "");
    for (int i = 0; i < outside_count; i++)
        printf("- %s, a program of its own\n", outside[i].name);
#ifdef BENCH_MISSING
    printf("- missing: %s, not found when this was built\n", BENCH_MISSING);
#endif
    printf("- %d interleaved rounds, each in a process of its own\n", rounds);
    for (shape which = 0; which < SHAPES; which++)
        for (unsigned workers = 1; workers <= 4; workers *= 2)
            bench(which, quick ? &small[which] : &full[which], workers, rounds);
    return 0;
}
