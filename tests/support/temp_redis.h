/* support/temp_redis.h: an empty Redis store for one test, on a server of its own. */
#ifndef MFT_TEMP_REDIS_H
#define MFT_TEMP_REDIS_H

#include <mageflow/store.h>

/** The server is started at the first call, and emptied at each. lease_ms 0: the usual one. */
mf_status temp_redis_store(const mf_allocator *allocator, const mf_clock *clock, int64_t lease_ms, mf_store **out, mf_error *err);
/** Another handle of the same store. */
mf_status temp_redis_again(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err);
void temp_redis_clean(void);

#endif
