/* contract/store/makers.h: the stores that are held to the contract. */
#ifndef MFT_MAKERS_H
#define MFT_MAKERS_H

#include <mageflow/store.h>

/* Where a store may differ from the others. */
typedef struct store_quirks {
    bool    ours_to_fail;       /* its memory comes from the allocator alone, so that failing that one reaches every path */
    size_t  lines_max;          /* log lines kept for one record; 0: all */
    int64_t outbox_again_ms;    /* a row that was handed out and not ticked off comes again after this */
} store_quirks;

typedef struct store_maker {
    const char  *name;
    mf_status  (*create)(const mf_allocator *allocator, const mf_clock *clock, mf_store **out, mf_error *err);
    store_quirks quirks;
    /* The same, with leases of that length. NULL: its claims cannot have one, and what leases promise is not asked. */
    mf_status  (*create_leased)(const mf_allocator *allocator, const mf_clock *clock, int64_t lease_ms, mf_store **out,
                                mf_error *err);
    /* Return when mf_store_now_ms is `ms` later. NULL: the store reads the clock it was given, which the test turns. */
    void       (*advance)(mf_store *store, int64_t ms);
    /* Take away what the store, destroyed by now, leaves behind. NULL: nothing. */
    void       (*clean)(void);
} store_maker;

extern const store_maker store_makers[];
extern const size_t      store_maker_count;

#endif
