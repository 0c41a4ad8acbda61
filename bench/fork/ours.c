#include "shapes.h"

#include <mageflow/fork_join.h>

#include <stdlib.h>

static const char *version(void)
{
    return MF_VERSION ", MF_SPAWN and MF_SYNC";
}

static void *create(unsigned workers)
{
    mf_pool *pool;
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .max_spares = MF_POOL_NO_SPARES), &pool, NULL) != MF_OK)
        abort();
    return pool;
}

static void destroy(void *pool)
{
    mf_pool_destroy(pool);
}

MF_SPAWNABLE(uint64_t, fib_call, int, n)
{
    if (n < 2)
        return (uint64_t)n;
    MF_SPAWN(fib_call, n - 1);
    uint64_t b = MF_CALL(fib_call, n - 2);
    return MF_SYNC(fib_call) + b;
}

static uint64_t fib(void *pool, int n)
{
    uint64_t value;
    if (fib_call_run(pool, &value, n) != MF_OK)
        abort();
    return value;
}

MF_SPAWNABLE(int64_t, skynet_call, int64_t, first, int64_t, leaves)
{
    if (leaves == 1)
        return first;
    for (int i = 0; i < 10; i++)
        MF_SPAWN(skynet_call, first + i * (leaves / 10), leaves / 10);
    int64_t sum = 0;
    for (int i = 0; i < 10; i++)
        sum += MF_SYNC(skynet_call);
    return sum;
}

static int64_t skynet(void *pool, int64_t first, int64_t leaves)
{
    int64_t sum;
    if (skynet_call_run(pool, &sum, first, leaves) != MF_OK)
        abort();
    return sum;
}

MF_SPAWNABLE(int, queens_call, board, before, int, row)
{
    if (row == QUEENS_N)
        return 1;
    int spawned = 0, ways = 0;
    for (int column = 0; column < QUEENS_N; column++)
        if (board_allows(&before, row, column)) {
            board b = before;
            b.column[row] = (signed char)column;
            MF_SPAWN(queens_call, b, row + 1);
            spawned++;
        }
    for (int i = 0; i < spawned; i++)
        ways += MF_SYNC(queens_call);
    return ways;
}

static int queens(void *pool)
{
    board empty = {{0}};
    int ways;
    if (queens_call_run(pool, &ways, empty, 0) != MF_OK)
        abort();
    return ways;
}

const forker fork_ours = {"mageflow", version, false, create, fib, skynet, queens, destroy};
