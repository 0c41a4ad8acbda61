/* bench/fork/shapes.h: the three recursive programs, and what each contestant offers of them. */
#ifndef BENCH_SHAPES_H
#define BENCH_SHAPES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* fib has no cutoff; skynet has ten below each level; the queens' board is always the same. */
enum {
    FIB_N = 32, FIB_SPAWNS = 3524577, FIB_VALUE = 2178309,
    QUICK_FIB_N = 28, QUICK_FIB_SPAWNS = 514228, QUICK_FIB_VALUE = 317811,
    SKYNET_LEAVES = 1000000, SKYNET_SPAWNS = 1111110,
    QUICK_SKYNET_LEAVES = 100000, QUICK_SKYNET_SPAWNS = 111110,
    QUEENS_N = 11, QUEENS_WAYS = 2680, QUEENS_SPAWNS = 166925
};

/* A board: the column of the queen of each row that is set. */
typedef struct board {
    signed char column[QUEENS_N];
} board;

static inline bool board_allows(const board *b, int row, int column)
{
    for (int i = 0; i < row; i++)
        if (b->column[i] == column || b->column[i] - column == row - i || column - b->column[i] == row - i)
            return false;
    return true;
}

typedef struct forker {
    const char *name;
    const char *(*version)(void);
    bool helps;                                          /* the thread that asks is one of the workers */
    void *(*create)(unsigned workers);
    uint64_t (*fib)(void *pool, int n);
    int64_t (*skynet)(void *pool, int64_t first, int64_t leaves);     /* the sum of the leaves' numbers */
    int (*queens)(void *pool);
    void (*destroy)(void *pool);
} forker;

extern const forker fork_plain, fork_ours, fork_untyped, fork_tbb;

#ifdef __cplusplus
}
#endif
#endif
