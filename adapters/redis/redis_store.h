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
    mf_duration              poll;         /* others' commits are looked for that often, if nothing tells of them; 0: 1 s. For tests */
    mf_duration              timeout;      /* of one operation; 0: the link's request_timeout, 10 s */
    mf_log_fn               *log;          /* told of the link's ups and downs; NULL: nobody */
    void                    *log_user;
} mfi_redis_store_options;

/** A store with a link of its own. Waits for the server, up to the timeout: MF_E_TIMEOUT with the reason, or at once what
 * refuses every connection (see redis_link.h). Its operations wait for the server: not for an I/O thread of another link. */
MF_NODISCARD mf_status mfi_redis_store_create(const mfi_redis_store_options *options, mf_store **out, mf_error *err);

/* ---- with a manager on the same server --------------------------------------------------------------------------------
 * What a batch sends joins its script, and so do the acknowledgements of what it ends: no outbox, no round trip, and no
 * moment between the commit and the message. */

/** A message in its manager's form. The texts are the courier's until it is given the parcel back. */
typedef struct mfi_redis_parcel {
    bool   list;            /* LPUSH; else XADD with the one field "data" */
    mf_str queue, payload;
    mf_str forget;          /* a key that goes first; empty: none */
    mf_str set, mark;       /* a sorted set that the mark goes into, with score 0; empty: none */
    void  *own;             /* the courier's */
} mfi_redis_parcel;

/** An entry of a stream that is acknowledged, and deleted where `drop` says so. Texts live until the commit has returned. */
typedef struct mfi_redis_receipt {
    mf_str queue, group, entry;
    bool   drop;
    mf_str dead, reason;    /* the stream of dead letters that its data is kept in, if it was not acknowledged yet; empty: none */
} mfi_redis_receipt;

/** What the manager does for the store, on the threads that commit, with no lock held. Entries that are due later, or
 * parked, go by the outbox. */
typedef struct mfi_redis_courier {
    /* A failure is the commit's. */
    mf_status (*pack)(void *user, const mf_entry *entry, mfi_redis_parcel *out, mf_error *err);
    void (*unpack)(void *user, mfi_redis_parcel *parcel);
    void (*sent)(void *user, const mf_entry *entry);
    /* False: it is none of the manager's that lie in a stream. */
    bool (*receipt)(void *user, const struct mf_delivery *delivery, mfi_redis_receipt *out);
    void (*received)(void *user, const struct mf_delivery *delivery);      /* by the server: it is acknowledged */
    void *user;
} mfi_redis_courier;

/** From now on; copied. Before the first commit, while nobody else uses the store. */
void mfi_redis_store_carry(mf_store *store, const mfi_redis_courier *courier);

/** The store's own link, for tests and for what shares its server. */
mfi_redis *mfi_redis_store_link(mf_store *store);

#endif
