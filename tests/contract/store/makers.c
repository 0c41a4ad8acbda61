#include "makers.h"

#include "memory_store.h"

static mf_status memory_leased(const mf_allocator *allocator, const mf_clock *clock, int64_t lease_ms, mf_store **out,
                               mf_error *err)
{
    mf_status st = mf_memory_store_create(allocator, clock, out, err);
    if (st == MF_OK)
        mfi_memory_set_lease(*out, lease_ms);
    return st;
}

const store_maker store_makers[] = {
    {"memory", mf_memory_store_create, {.ours_to_fail = true, .lines_max = 10000, .outbox_again_ms = 3000},
     .create_leased = memory_leased},
};
const size_t store_maker_count = sizeof store_makers / sizeof store_makers[0];
