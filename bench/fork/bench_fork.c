/* bench_fork [--quick]: recursive spawns inside of a pool, beside others and beside plain calls, by turns in each round.
 *
 *     fib      fib(32) without a cutoff: nothing but spawns
 *     skynet   a sum over 1,000,000 leaves, ten spawns a node
 *     queens   n-queens(11): some work in each, and uneven
 *
 * ns per spawn, of the whole machine's time: with two workers half of it is what each spends. */
#include "external.h"
#include "report.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const forker *const forkers[] = {
    &fork_ours,
    &fork_plain,
#ifdef BENCH_TBB
    &fork_tbb,
#endif
#ifdef BENCH_OPENMP
    &fork_openmp,
#endif
};
enum { FORKERS = sizeof forkers / sizeof forkers[0] };

static void must(bool right, const char *what, const forker *f)
{
    if (right)
        return;
    fprintf(stderr, "bench_fork: %s counted %s wrong\n", f->name, what);
    exit(1);
}

static double fib_round(const forker *f, void *pool)
{
    double begin = report_now_ns();
    must(f->fib(pool, FIB_N) == 2178309, "fib", f);
    return (report_now_ns() - begin) / FIB_SPAWNS;
}

static double skynet_round(const forker *f, void *pool)
{
    double begin = report_now_ns();
    must(f->skynet(pool, 0, SKYNET_LEAVES) == (int64_t)SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2, "skynet", f);
    return (report_now_ns() - begin) / SKYNET_SPAWNS;
}

static double queens_round(const forker *f, void *pool)
{
    double begin = report_now_ns();
    must(f->queens(pool) == QUEENS_WAYS, "queens", f);
    return (report_now_ns() - begin) / QUEENS_SPAWNS;
}

static const struct {
    const char *title, *name;
    double (*round)(const forker *, void *pool);
    int spawns;
} shapes[] = {
    {"fib(32)", "fib", fib_round, FIB_SPAWNS},
    {"skynet, 1,000,000 leaves", "skynet", skynet_round, SKYNET_SPAWNS},
    {"n-queens(11)", "queens", queens_round, QUEENS_SPAWNS},
};

static external outside[EXTERNALS_MAX];
static int outside_count;

static double outside_round(const external *e, size_t shape, unsigned workers)
{
    char w[16];
    snprintf(w, sizeof w, "%u", workers);
    return external_round(e, "fork", shapes[shape].name, w) / shapes[shape].spawns;
}

static void bench(unsigned workers, size_t shape, int rounds)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        for (int i = 0; i < FORKERS; i++) {
            const forker *f = forkers[i];
            void *pool = f->create(workers);
            f->fib(pool, 20);              /* threads are there, and have run something */
            double ns = shapes[shape].round(f, pool);
            f->destroy(pool);
            rows[i].name = f->name;
            if (r >= 0)
                rows[i].value[r] = ns;
        }
        for (int i = 0; i < outside_count; i++) {
            double ns = outside_round(&outside[i], shape, workers);
            rows[FORKERS + i].name = outside[i].name;
            if (r >= 0)
                rows[FORKERS + i].value[r] = ns;
        }
    }
    snprintf(title, sizeof title, "%s, %u worker%s", shapes[shape].title, workers, workers == 1 ? "" : "s");
    report_table(title, "ns per spawn", rows, FORKERS + outside_count, rounds, false);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 9;
    outside_count = quick ? 0 : externals("fork", outside);
    printf("## Recursive spawns\n\n");
    report_machine(quick ? "script/bench --quick fork" : "script/bench fork");
    for (int i = 0; i < FORKERS; i++)
        printf("- %s %s%s\n", forkers[i]->name, forkers[i]->version(),
               forkers[i]->helps ? "; the thread that asks is one of the workers" : "");
    for (int i = 0; i < outside_count; i++)
        printf("- %s, a program of its own; the thread that asks is none of the workers\n", outside[i].name);
#ifndef BENCH_TBB
    printf("- missing: oneTBB was not found when this was built\n");
#endif
#ifndef BENCH_OPENMP
    printf("- missing: OpenMP was not found when this was built\n");
#endif
    printf("- %d interleaved rounds; a new pool in each\n", rounds);
    for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; shape++)
        for (unsigned workers = 1; workers <= 4; workers *= 2)
            bench(workers, shape, rounds);
    return 0;
}
