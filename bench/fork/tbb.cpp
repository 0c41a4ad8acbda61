#include "shapes.h"

#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

#include <cstdio>

namespace {

/* The thread that asks is one of an arena's workers. */
void *create(unsigned workers)
{
    return new tbb::task_arena(static_cast<int>(workers), 1);
}

void destroy(void *arena)
{
    delete static_cast<tbb::task_arena *>(arena);
}

const char *version()
{
    static char text[64];
    std::snprintf(text, sizeof text, "%d.%d, task_group", TBB_VERSION_MAJOR, TBB_VERSION_MINOR);
    return text;
}

uint64_t fib_call(int n)
{
    if (n < 2)
        return static_cast<uint64_t>(n);
    uint64_t a = 0;
    tbb::task_group group;
    group.run([&a, n] { a = fib_call(n - 1); });
    uint64_t b = fib_call(n - 2);
    group.wait();
    return a + b;
}

int64_t skynet_call(int64_t first, int64_t leaves)
{
    if (leaves == 1)
        return first;
    int64_t below[10], sum = 0;
    tbb::task_group group;
    for (int i = 0; i < 10; i++)
        group.run([&below, first, leaves, i] { below[i] = skynet_call(first + i * (leaves / 10), leaves / 10); });
    group.wait();
    for (int64_t value : below)
        sum += value;
    return sum;
}

int queens_call(const board &before, int row)
{
    if (row == QUEENS_N)
        return 1;
    int below[QUEENS_N] = {0}, ways = 0;
    tbb::task_group group;
    for (int column = 0; column < QUEENS_N; column++)
        if (board_allows(&before, row, column)) {
            board b = before;
            b.column[row] = static_cast<signed char>(column);
            group.run([&below, b, row, column] { below[column] = queens_call(b, row + 1); });
        }
    group.wait();
    for (int way : below)
        ways += way;
    return ways;
}

uint64_t fib(void *arena, int n)
{
    return static_cast<tbb::task_arena *>(arena)->execute([n] { return fib_call(n); });
}

int64_t skynet(void *arena, int64_t first, int64_t leaves)
{
    return static_cast<tbb::task_arena *>(arena)->execute([first, leaves] { return skynet_call(first, leaves); });
}

int queens(void *arena)
{
    return static_cast<tbb::task_arena *>(arena)->execute([] { return queens_call(board{}, 0); });
}

}

extern "C" const forker fork_tbb = {"oneTBB", version, true, create, fib, skynet, queens, destroy};
