/* unit/runtime/bench.h: a client over an adapter that does nothing, with a clock that the test turns. What a step sends
 * stays in the store, where the test looks. */
#ifndef MFT_RUNTIME_BENCH_H
#define MFT_RUNTIME_BENCH_H

#include "counting_allocator.h"
#include "runtime.h"

typedef struct mute_adapter {
    mf_adapter   base;
    mf_host     *host;
    atomic_uint  settled, dues, replaced, restored;
    _Atomic int  last_status;       /* of the last settlement */
    mf_adapter_health health;       /* what it says of itself */
} mute_adapter;

typedef struct bench {
    counting_allocator counting;
    mf_clock           clock;
    atomic_llong       ahead_ns;    /* of the real clock, since the keeper sleeps by that one */
    mute_adapter       mute;
    mf_store          *store;
    mf_client         *client;
} bench;

/* false: something failed. */
bool bench_open(bench *b);
/* false: something is still out. */
bool bench_close(bench *b);
void bench_turn_clock(bench *b, mf_duration span);

/* A body that does nothing, and a source of nothing. */
mf_status bench_nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user);
mf_status bench_no_items(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err);

mf_key bench_key(mf_kind kind, unsigned n);
/* Put one record; spec is consumed. */
mf_status bench_put(bench *b, mf_spec *spec, const mf_state *state);
mf_spec *bench_spec(bench *b, mf_kind kind, const char *name, unsigned n);

#endif
