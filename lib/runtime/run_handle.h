/* runtime/run_handle.h: a handle on something that was started. */
#ifndef MFI_RUN_HANDLE_H
#define MFI_RUN_HANDLE_H

#include "runtime.h"

typedef void mfi_run_end_fn(void *user, const mf_key *key);

struct mf_run {
    mf_client       *client;
    mf_key           key;
    _Atomic uint32_t ended;         /* A  1: its record ended; a futex word */
    int              fd;            /* L  observers' lock; -1: not asked for */
    bool             stored;        /* L  its record was in the store: if there is none, it was removed */
    bool             on_end_set;    /* L */
    mfi_run_end_fn  *on_end;        /* L  NULL: none, or called already */
    void            *on_end_user;   /* L */
    bool             calling;       /* L  on_end runs, on the thread `caller` */
    uintptr_t        caller;        /* L */
    bool            *gone;          /* L  where the caller learns that the run was destroyed by its callback */
    mf_run          *next;          /* L  of the same key */
};

/** A handle on the run of that key, which observes it. NULL: no memory. */
mf_run *mfi_run_create(mf_client *client, const mf_key *key, mf_error *err);
/** Its record is in the store. Until then a look at the store that finds none means nothing. */
void      mfi_run_stored(mf_run *run);
mf_status mfi_observe_run(mf_run *run);
void      mfi_unobserve_run(mf_run *run);

#endif
