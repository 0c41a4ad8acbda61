/* bench/pool/contestant.h: what every pool under comparison offers. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void bench_fn(void *arg);

typedef struct contestant {
    const char *name;
    const char *(*version)(void);
    void *(*create)(unsigned workers);
    void (*submit)(void *pool, bench_fn *fn, void *arg);
    void (*submit_many)(void *pool, bench_fn *fn, void *arg, size_t n);     /* NULL: it has no batches; singly then */
    void (*wait)(void *pool);                                               /* until everything submitted has run */
    void (*destroy)(void *pool);
    bool one_producer;                                                      /* only one thread may submit */
} contestant;

extern const contestant bench_ours, bench_mutex, bench_tbb, bench_glib, bench_uv, bench_moodycamel;

#ifdef __cplusplus
}
#endif
#endif
