/* testing/dispatches.h: what a test's client sent, in order. */
#ifndef MFI_DISPATCHES_H
#define MFI_DISPATCHES_H

#include <mageflow/testing.h>

#include "sim.h"

struct mfi_dispatched;

typedef struct mfi_dispatches {
    mf_store              *store;       /* where records are looked up */
    struct mfi_dispatched *at;
    size_t                 count, capacity;
    bool                   lost;        /* one for want of memory: what is asked then is answered by an error */
} mfi_dispatches;

/** Note what a commit sends. validate: the field tables of tasks. */
void      mfi_dispatches_note(mfi_dispatches *d, mf_client *client, const mf_batch *batch);
void      mfi_dispatches_clear(mfi_dispatches *d);
mf_status mfi_dispatches_get(const mfi_dispatches *d, size_t i, mf_dispatch *out);

mf_status mfi_dispatches_task(const mfi_dispatches *d, const char *task, const mf_message *expected, mf_test_match how,
                              mf_error *err);
mf_status mfi_dispatches_container(const mfi_dispatches *d, mf_kind kind, const char *name, const char *const *tasks, size_t n,
                                   mf_error *err);
mf_status mfi_dispatches_nothing(const mfi_dispatches *d, mf_error *err);

#endif
