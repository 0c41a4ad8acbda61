/* bench_pool [--quick]: this pool beside others, all of them in turn in each round, so that a disturbance of the machine
 * meets everybody.
 *
 * Contestants are linked in, or programs of their own (external.h), which a quick run leaves out.
 *
 *     submit   one outside thread submits empty jobs, then waits for all; ns per job
 *     batch    the same, 256 at a time where the contestant has batches
 *     producers  four outside threads submit, two workers
 *     wake     an idle pool gets one job; µs from the submit until it runs, median of many; and the CPU used meanwhile
 *     blocking   jobs that sleep, 64 workers; µs per job, and the CPU of each
 *     memory   jobs that wait in the queue; bytes each, and what is kept afterwards
 *     growth   from 10^3 jobs to 10^7
 *
 * A process per number of workers, for libuv sizes its pool once.
 */
#include "workloads.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

const contestant *const contestants[] = {
    &bench_ours,
#ifdef BENCH_MOODYCAMEL
    &bench_moodycamel,
#endif
#ifdef BENCH_TBB
    &bench_tbb,
#endif
#ifdef BENCH_GLIB
    &bench_glib,
#endif
#ifdef BENCH_UV
    &bench_uv,
#endif
    &bench_mutex,
};
const int contestant_count = sizeof contestants / sizeof contestants[0];
_Static_assert(sizeof contestants / sizeof contestants[0] <= (size_t)REPORT_ROWS_MAX, "a row each");

static void print_contestants(void)
{
    static const struct { const char *name; bool there; } optional[] = {
#ifdef BENCH_MOODYCAMEL
        {"moodycamel", true},
#else
        {"moodycamel", false},
#endif
#ifdef BENCH_TBB
        {"oneTBB", true},
#else
        {"oneTBB", false},
#endif
#ifdef BENCH_GLIB
        {"GThreadPool", true},
#else
        {"GThreadPool", false},
#endif
#ifdef BENCH_UV
        {"libuv", true},
#else
        {"libuv", false},
#endif
    };
    for (int i = 0; i < contestant_count; i++)
        printf("- %s %s\n", contestants[i]->name, contestants[i]->version());
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (!optional[i].there)
            printf("- missing: %s was not found when this was built\n", optional[i].name);
    fflush(stdout);
}

typedef struct plan {
    bool   quick;
    int    rounds;
    size_t jobs;
} plan;

static void submits(const plan *p, unsigned workers)
{
    submit_bench(workers, p->rounds, p->jobs, SINGLY);
    submit_bench(workers, p->rounds, p->jobs, IN_BATCHES);
    if (workers == 2) {
        submit_bench(workers, p->rounds, p->jobs, BY_PRODUCERS);
        wake_bench(workers, p->rounds);
        growth_bench(p->rounds, p->quick ? 10000 : 10000000);
    }
}

static void blocking(const plan *p, unsigned workers)
{
    (void)workers;
    blocking_bench(p->rounds, p->quick ? 1000 : 20000);
}

static void memory(const plan *p, unsigned workers)
{
    (void)workers;
    memory_bench(p->quick ? 1000000 : 10000000);
}

static int in_child(void (*run)(const plan *, unsigned), const plan *p, unsigned workers)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run(p, workers);
        fflush(stdout);
        _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    plan p = {.quick = argc > 1 && strcmp(argv[1], "--quick") == 0};
    int failed = 0;
    p.rounds = p.quick ? 7 : 9;
    p.jobs = p.quick ? 200000 : 1000000;
    printf("## The pool beside others\n\n");
    report_machine(p.quick ? "script/bench --quick" : "script/bench");
    print_contestants();
    if (!p.quick)
        submit_with_externals();
    printf("- %zu jobs a round, %d interleaved rounds; a new pool in each\n", p.jobs, p.rounds);
    for (unsigned workers = 1; workers <= 4; workers *= 2)
        failed |= in_child(submits, &p, workers);
    failed |= in_child(blocking, &p, 64);
    failed |= in_child(memory, &p, 1);
    return failed != 0;
}
