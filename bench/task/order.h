/* bench/task/order.h: what bench_task is asked to do. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

#include <stdbool.h>

typedef struct order {
    const char   *url;
    const char   *load;         /* the module, a path with a "/" */
    const char   *task;
    const char   *message;      /* JSON; NULL: nothing is sent */
    unsigned      threads;      /* 0: one per CPU */
    unsigned      rounds;
    unsigned long tasks;        /* a round; 0: found out */
    double        seconds;      /* of all rounds together, roughly */
} order;

/** false: the command line is wrong, or only asks for help; *code is then the exit code, and everything was said. */
bool order_read(int argc, char **argv, order *out, int *code);

#endif
