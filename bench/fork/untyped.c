/* The same by function pointer and argument, as a program does that does not know at compile time what it will spawn: through one
 * spawnable that calls the pointer, and as jobs of groups. A sync is then an indirect call at best. */
#include "shapes.h"

#include <mageflow/fork_join.h>

#include <stdlib.h>

/* ---- through one spawnable ------------------------------------------------------------------------------------------ */

typedef void task_fn(mf_fork *self, mf_spawn *top, void *arg);       /* what MF_VOID_SPAWNABLE(NAME, void *, arg) defines */

MF_VOID_SPAWNABLE(apply, task_fn *, fn, void *, arg)
{
    fn(mf_fork_self, mf_fork_top, arg);
}

struct fib_node {
    int      n;
    uint64_t value;
};

MF_VOID_SPAWNABLE(fib_task, void *, arg)
{
    struct fib_node *at = arg;
    if (at->n < 2) {
        at->value = (uint64_t)at->n;
        return;
    }
    struct fib_node a = {at->n - 1, 0}, b = {at->n - 2, 0};
    MF_SPAWN(apply, fib_task, &a);
    MF_CALL(fib_task, &b);
    MF_SYNC(apply);
    at->value = a.value + b.value;
}

struct skynet_node {
    int64_t first, leaves, sum;
};

MF_VOID_SPAWNABLE(skynet_task, void *, arg)
{
    struct skynet_node *at = arg, below[10];
    if (at->leaves == 1) {
        at->sum = at->first;
        return;
    }
    for (int i = 0; i < 10; i++) {
        below[i] = (struct skynet_node){at->first + i * (at->leaves / 10), at->leaves / 10, 0};
        MF_SPAWN(apply, skynet_task, &below[i]);
    }
    at->sum = 0;
    for (int i = 9; i >= 0; i--) {
        MF_SYNC(apply);
        at->sum += below[i].sum;
    }
}

struct queens_node {
    board board;
    int   row, ways;
};

MF_VOID_SPAWNABLE(queens_task, void *, arg)
{
    struct queens_node *at = arg, below[QUEENS_N];
    int spawned = 0;
    at->ways = at->row == QUEENS_N;
    for (int column = 0; at->row < QUEENS_N && column < QUEENS_N; column++)
        if (board_allows(&at->board, at->row, column)) {
            below[spawned] = (struct queens_node){at->board, at->row + 1, 0};
            below[spawned].board.column[at->row] = (signed char)column;
            MF_SPAWN(apply, queens_task, &below[spawned]);
            spawned++;
        }
    while (spawned > 0) {
        MF_SYNC(apply);
        at->ways += below[--spawned].ways;
    }
}

static const char *version(void)
{
    return MF_VERSION ", MF_SPAWN of a function pointer and an argument";
}

static void *create(unsigned workers)
{
    mf_pool *pool;
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .max_spares = MF_POOL_NO_SPARES, .when_full = MF_POOL_FULL_GROW), &pool,
                       NULL) != MF_OK)
        abort();
    return pool;
}

static void destroy(void *pool)
{
    mf_pool_destroy(pool);
}

static uint64_t fib(void *pool, int n)
{
    struct fib_node root = {n, 0};
    if (apply_run(pool, fib_task, &root) != MF_OK)
        abort();
    return root.value;
}

static int64_t skynet(void *pool, int64_t first, int64_t leaves)
{
    struct skynet_node root = {first, leaves, 0};
    if (apply_run(pool, skynet_task, &root) != MF_OK)
        abort();
    return root.sum;
}

static int queens(void *pool)
{
    struct queens_node root = {.row = 0};
    if (apply_run(pool, queens_task, &root) != MF_OK)
        abort();
    return root.ways;
}

const forker fork_untyped = {"mageflow, untyped", version, false, create, fib, skynet, queens, destroy};
