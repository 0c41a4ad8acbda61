/* store/sqlite/cache.h: what never changes, kept at hand: specs of calls and of records, and long messages.
 *
 * Each table is direct-mapped: an entry has one place, and whoever comes to it last stays. No allocation, no list to keep,
 * and a miss costs a read or an encoding. Everything in it holds a reference, so that an address found here is still the
 * same thing.
 *
 * A number may be given again only after a transaction failed, and a call may be swept away: both empty the cache.
 *
 * Threads   any. */
#ifndef MFI_SQLITE_CACHE_H
#define MFI_SQLITE_CACHE_H

#include <mageflow/store.h>

#include <pthread.h>

enum { MFI_CACHE_SPECS = 256, MFI_CACHE_MESSAGES = 16 };

struct mfi_sq_cached_call {
    mf_spec *spec;
    int64_t  id;
    bool     pinned;
};

struct mfi_sq_cached_spec {
    mf_spec *spec;
    int64_t  rec;
};

struct mfi_sq_cached_message {
    mf_message *message;
    int64_t     id;
};

struct mfi_sq_cache {
    pthread_mutex_t           lock;
    struct mfi_sq_cached_call    call_of_spec[MFI_CACHE_SPECS], call_of_id[MFI_CACHE_SPECS];
    struct mfi_sq_cached_spec    specs[MFI_CACHE_SPECS];
    struct mfi_sq_cached_message id_of_message[MFI_CACHE_MESSAGES], message_of_id[MFI_CACHE_MESSAGES];
};

void mfi_sq_cache_init(struct mfi_sq_cache *c);
void mfi_sq_cache_fini(struct mfi_sq_cache *c);
void mfi_sq_cache_clear(struct mfi_sq_cache *c);

/* What is found comes with a reference for the caller. */
bool     mfi_sq_cache_call_id(struct mfi_sq_cache *c, const mf_spec *spec, int64_t *id, bool *pinned);
mf_spec *mfi_sq_cache_call(struct mfi_sq_cache *c, int64_t id);
void     mfi_sq_cache_add_call(struct mfi_sq_cache *c, const mf_spec *spec, int64_t id, bool pinned);

mf_spec *mfi_sq_cache_spec(struct mfi_sq_cache *c, int64_t rec);
void     mfi_sq_cache_add_spec(struct mfi_sq_cache *c, const mf_spec *spec, int64_t rec);

/** 0: not known. */
int64_t     mfi_sq_cache_message_id(struct mfi_sq_cache *c, const mf_message *message);
mf_message *mfi_sq_cache_message(struct mfi_sq_cache *c, int64_t id);
void        mfi_sq_cache_add_message(struct mfi_sq_cache *c, const mf_message *message, int64_t id);

#endif
