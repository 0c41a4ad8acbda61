#include "makers.h"

#include "memory_lease.h"
#ifdef MFT_SQLITE
#include "sqlite_create.h"
#include "temp_store.h"
#endif
#ifdef MFT_REDIS
#include "temp_redis.h"
#endif

static mf_status memory_leased(const mf_allocator *allocator, const mf_clock *clock, int64_t lease_ms, mf_store **out,
                               mf_error *err)
{
    mf_status st = mf_memory_store_create(allocator, clock, out, err);
    if (st == MF_OK)
        mfi_memory_set_lease(*out, lease_ms);
    return st;
}

#ifdef MFT_SQLITE
static mf_status sqlite_create(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err)
{
    return mfi_sqlite_store_create(temp_store_new(), allocator, clock, out, err);
}
#endif

#ifdef MFT_REDIS
static mf_status redis_create(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err)
{
    return temp_redis_store(allocator, clock, -1, out, err);
}
#endif

const store_maker store_makers[] = {
    {"memory", mf_memory_store_create, {.ours_to_fail = true, .lines_max = 10000, .outbox_again_ms = 3000},
     .create_leased = memory_leased},
#ifdef MFT_SQLITE
    /* SQLite has its own memory; a claim needs no lease, since its owner's death is told by the system. */
    {"sqlite", sqlite_create, {.lines_max = 10000, .outbox_again_ms = 3000}, .clean = temp_store_clean},
#endif
#ifdef MFT_REDIS
    /* hiredis and OpenSSL have their own memory. */
    {"redis", redis_create, {.lines_max = 10000, .outbox_again_ms = 3000}, .create_leased = temp_redis_store,
     .clean = temp_redis_clean},
#endif
};
const size_t store_maker_count = sizeof store_makers / sizeof store_makers[0];
