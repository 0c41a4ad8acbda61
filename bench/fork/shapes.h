/* bench/fork/shapes.h: the three recursive programs, and what each contestant offers of them. */
#ifndef BENCH_SHAPES_H
#define BENCH_SHAPES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FIB_N = 32,                 /* 3,524,577 spawns, no cutoff */
    FIB_SPAWNS = 3524577,
    SKYNET_LEAVES = 1000000,    /* ten below each of six levels: 1,111,110 spawns */
    SKYNET_SPAWNS = 1111110,
    QUEENS_N = 11,              /* 2680 ways; 166,925 spawns */
    QUEENS_WAYS = 2680,
    QUEENS_SPAWNS = 166925
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
    bool helps;                                          /* the thread that asks runs tasks, too: one more than `workers` */
    void *(*create)(unsigned workers);
    uint64_t (*fib)(void *pool, int n);
    int64_t (*skynet)(void *pool, int64_t first, int64_t leaves);     /* the sum of the leaves' numbers */
    int (*queens)(void *pool);
    void (*destroy)(void *pool);
} forker;

extern const forker fork_plain, fork_ours, fork_tbb, fork_openmp;

#ifdef __cplusplus
}
#endif
#endif
