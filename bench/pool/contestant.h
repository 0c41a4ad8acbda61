/* bench/pool/contestant.h: what every pool under comparison offers. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void bench_fn(void *arg);

/** A swarm: results[i] = lanes_item(i) for every i, at most `flight` at once. */
typedef struct bench_swarm {
    uint64_t *results;
    size_t    items;
    unsigned  flight;
} bench_swarm;
uint64_t lanes_item(size_t index);

typedef struct contestant {
    const char *name;
    const char *(*version)(void);
    void *(*create)(unsigned workers);
    void (*submit)(void *pool, bench_fn *fn, void *arg);
    void (*submit_many)(void *pool, bench_fn *fn, void *arg, size_t n);     /* NULL: it has no batches; singly then */
    void (*wait)(void *pool);                                               /* until everything submitted has run */
    void (*destroy)(void *pool);
    bool one_producer;                                                      /* only one thread may submit */
    void (*swarm_tasks)(void *pool, const bench_swarm *swarm);              /* a task for each item; returns at the end. NULL: none */
    void (*swarm_lanes)(void *pool, const bench_swarm *swarm);              /* `flight` tasks that take items by turns */
} contestant;

extern const contestant bench_ours, bench_mutex, bench_tbb, bench_asio, bench_glib, bench_uv, bench_moodycamel;

#ifdef __cplusplus
}
#endif
#endif
