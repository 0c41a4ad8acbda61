/* NAME list | submit|producers|blocking NAME WORKERS JOBS | fork NAME SHAPE-SIZE WORKERS
 *
 * OpenMP tasks, one measured round after a smaller one that warms up; prints ns (per job, or in all for fork) and those of the
 * processor time. Built once with each compiler: libgomp by gcc, libomp by clang.
 *
 * Whoever makes tasks is a thread of the team, beside `workers` others, and runs tasks itself: at the end, and once a bound of the
 * library's own is reached. That is the weaker promise the reports mark. fork's team is of `workers`, the asking one among them. */
#include "shapes.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double ns_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- jobs from one or four producers ---------------------------------------------------------------------------- */

struct payload {
    void (*fn)(const struct payload *);
    unsigned long with[3];
};

__attribute__((noinline)) static void nothing(const struct payload *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static void sleeps(const struct payload *p)
{
    struct timespec t = {0, 1000000};
    (void)p;
    nanosleep(&t, NULL);
}

static void submit(void (*fn)(const struct payload *), int workers, int producers, long jobs)
{
#pragma omp parallel num_threads(workers + producers)
    if (omp_get_thread_num() < producers)
        for (long i = 0; i < jobs / producers; i++) {
            struct payload p = {fn, {1, 2, 3}};
#pragma omp task firstprivate(p)
            p.fn(&p);
        }
}

/* ---- recursive shapes ------------------------------------------------------------------------------------------- */

static uint64_t fib_call(int n)
{
    if (n < 2)
        return (uint64_t)n;
    uint64_t a, b;
#pragma omp task shared(a)
    a = fib_call(n - 1);
    b = fib_call(n - 2);
#pragma omp taskwait
    return a + b;
}

static int64_t skynet_call(int64_t first, int64_t leaves)
{
    if (leaves == 1)
        return first;
    int64_t below[10], sum = 0;
    for (int i = 0; i < 10; i++)
#pragma omp task shared(below)
        below[i] = skynet_call(first + i * (leaves / 10), leaves / 10);
#pragma omp taskwait
    for (int i = 0; i < 10; i++)
        sum += below[i];
    return sum;
}

static int queens_call(const board *before, int row)
{
    if (row == QUEENS_N)
        return 1;
    int below[QUEENS_N] = {0}, ways = 0;
    for (int column = 0; column < QUEENS_N; column++)
        if (board_allows(before, row, column)) {
            board b = *before;
            b.column[row] = (signed char)column;
#pragma omp task shared(below) firstprivate(b)
            below[column] = queens_call(&b, row + 1);
        }
#pragma omp taskwait
    for (int i = 0; i < QUEENS_N; i++)
        ways += below[i];
    return ways;
}

static int64_t fork_shape(const char *shape, long size, int workers)
{
    int64_t value = -1;
    board empty = {{0}};
#pragma omp parallel num_threads(workers)
#pragma omp single
    value = strncmp(shape, "fib", 3) == 0 ? (int64_t)fib_call((int)size)
          : strncmp(shape, "skynet", 6) == 0 ? skynet_call(0, size) : queens_call(&empty, 0);
    return value;
}

/* ---- one round -------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        printf("submit! %s\nproducers! %s\nblocking! %s\nfork %s\n", BENCH_NAME, BENCH_NAME, BENCH_NAME, BENCH_NAME);
        return 0;
    }
    if (argc != 5 || strcmp(argv[2], BENCH_NAME) != 0) {
        fprintf(stderr, "usage: %s list | submit|producers|blocking " BENCH_NAME " WORKERS JOBS | fork " BENCH_NAME
                " SHAPE-SIZE WORKERS\n", argv[0]);
        return 2;
    }
    bool fork = strcmp(argv[1], "fork") == 0, blocking = strcmp(argv[1], "blocking") == 0;
    int producers = strcmp(argv[1], "producers") == 0 ? 4 : 1, workers = atoi(argv[fork ? 4 : 3]);
    long jobs = atol(argv[4]);
    const char *size = strchr(argv[3], '-');
    double begin, cpu, per = 1;
    if (fork) {
        fork_shape("fib", 20, workers);
        begin = ns_of(CLOCK_MONOTONIC), cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);
        if (size == NULL || fork_shape(argv[3], atol(size + 1), workers) <= 0)
            return 1;
    } else {
        submit(blocking ? sleeps : nothing, workers, producers, blocking ? workers : jobs / 10);
        begin = ns_of(CLOCK_MONOTONIC), cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);
        submit(blocking ? sleeps : nothing, workers, producers, jobs);
        per = (double)jobs;
    }
    printf("%.6g %.6g\n", (ns_of(CLOCK_MONOTONIC) - begin) / per, (ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / per);
    return 0;
}
