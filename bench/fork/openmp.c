#include "shapes.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static const char *version(void)
{
    static char text[48];
    snprintf(text, sizeof text, "%d, omp task, libgomp", _OPENMP);
    return text;
}

/* Each call is a parallel region of so many threads; there is no pool to hold. */
static void *create(unsigned workers)
{
    unsigned *n = malloc(sizeof *n);
    if (n == NULL)
        abort();
    *n = workers;
    return n;
}

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

static uint64_t fib(void *workers, int n)
{
    uint64_t value = 0;
#pragma omp parallel num_threads(*(unsigned *)workers)
#pragma omp single
    value = fib_call(n);
    return value;
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

static int64_t skynet(void *workers, int64_t first, int64_t leaves)
{
    int64_t sum = 0;
#pragma omp parallel num_threads(*(unsigned *)workers)
#pragma omp single
    sum = skynet_call(first, leaves);
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

static int queens(void *workers)
{
    board empty = {{0}};
    int ways = 0;
#pragma omp parallel num_threads(*(unsigned *)workers)
#pragma omp single
    ways = queens_call(&empty, 0);
    return ways;
}

const forker fork_openmp = {"OpenMP tasks", version, true, create, fib, skynet, queens, free};
