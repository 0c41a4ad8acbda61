/* store/watchers.h: who watches a store, and telling them, for every store that has watchers in this process.
 *
 * Threads   all but init and fini from any thread. Whoever is called is called with no lock held, and must not take itself away
 *           from inside its own call, which would wait for itself. */
#ifndef MFI_WATCHERS_H
#define MFI_WATCHERS_H

#include <mageflow/store.h>

#include "event.h"
#include "mutex.h"

struct mfi_watcher;

struct mfi_watchers {
    const mf_allocator *allocator;
    mfi_mutex           lock;
    mfi_event           idle;      /* a call to a watcher that is going away returned */
    struct mfi_watcher *first;     /* lock */
};

/** What a commit, a claim or somebody else's doing has to tell; borrowed for the call. */
struct mfi_news {
    size_t               ready;         /* entries that are due */
    int64_t              delayed_ms;    /* the first entry or deadline that is not; INT64_MAX: none */
    const mf_key *const *ended;         /* the records that ended */
    size_t               ended_count;
    bool                 elsewhere;     /* somebody else committed */
};

void mfi_watchers_init(struct mfi_watchers *w, const mf_allocator *allocator);
/** Those who did not leave are forgotten. Nobody is called any more. */
void mfi_watchers_fini(struct mfi_watchers *w);
/** The watch is copied. MF_E_NOMEM. */
mf_status mfi_watchers_add(struct mfi_watchers *w, const mf_store_watch *watch);
/** All of that user; returns after the last call to any of them. */
void mfi_watchers_remove(struct mfi_watchers *w, const void *user);
void mfi_watchers_tell(struct mfi_watchers *w, const struct mfi_news *news);
/** n entries became due: tell it, unless there are none. */
void mfi_watchers_tell_ready(struct mfi_watchers *w, size_t n);

#endif
