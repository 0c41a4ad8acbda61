/* The same as ordinary functions: what a spawn and a sync would cost if they were nothing. Not inlined, for the others' calls
 * are not. */
#include "shapes.h"

#include <stddef.h>

static const char *version(void)
{
    return "the same functions, called";
}

static void *create(unsigned workers)
{
    (void)workers;
    return NULL;
}

static void destroy(void *pool)
{
    (void)pool;
}

__attribute__((noinline)) static uint64_t fib_call(int n)
{
    if (n < 2)
        return (uint64_t)n;
    uint64_t a = fib_call(n - 1);
    return a + fib_call(n - 2);
}

static uint64_t fib(void *pool, int n)
{
    (void)pool;
    return fib_call(n);
}

__attribute__((noinline)) static int64_t skynet_call(int64_t first, int64_t leaves)
{
    if (leaves == 1)
        return first;
    int64_t sum = 0;
    for (int i = 0; i < 10; i++)
        sum += skynet_call(first + i * (leaves / 10), leaves / 10);
    return sum;
}

static int64_t skynet(void *pool, int64_t first, int64_t leaves)
{
    (void)pool;
    return skynet_call(first, leaves);
}

__attribute__((noinline)) static int queens_call(const board *before, int row)
{
    if (row == QUEENS_N)
        return 1;
    int ways = 0;
    for (int column = 0; column < QUEENS_N; column++)
        if (board_allows(before, row, column)) {
            board b = *before;
            b.column[row] = (signed char)column;
            ways += queens_call(&b, row + 1);
        }
    return ways;
}

static int queens(void *pool)
{
    (void)pool;
    board empty = {{0}};
    return queens_call(&empty, 0);
}

const forker fork_plain = {"plain calls", version, false, create, fib, skynet, queens, destroy};
