/* redis/redis_store.h: flows kept in Redis, for any number of processes on any number of machines. */
#ifndef MFI_REDIS_STORE_H
#define MFI_REDIS_STORE_H

#include <mageflow/store.h>

#include "redis_link.h"

typedef struct mfi_redis_store_options {
    const mf_allocator      *allocator;    /* NULL: the default one. The link's is that anyway: its thread has nobody to tell that
                                              there was no memory, and would have to drop the connection */
    const mf_clock          *clock;        /* NULL, or the default one: the server's TIME, which all processes share. For tests:
                                              another, whose wall_ms is then the store's time */
    const mfi_redis_address *address;      /* borrowed for the call */
    int64_t                  lease_ms;     /* 0: 30 s; below: none, and what a killed process held stays held. For tests */
    mf_duration              timeout;      /* of one operation; 0: the link's request_timeout, 10 s */
} mfi_redis_store_options;

/** A store with a link of its own. Waits for the server, up to the timeout: MF_E_TIMEOUT with the reason, or at once what
 * refuses every connection (see redis_link.h). Its operations wait for the server: not for an I/O thread of another link. */
MF_NODISCARD mf_status mfi_redis_store_create(const mfi_redis_store_options *options, mf_store **out, mf_error *err);

/** The store's own link, for tests and for what shares its server. */
mfi_redis *mfi_redis_store_link(mf_store *store);

#endif
