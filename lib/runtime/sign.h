/* runtime/sign.h: a signature while it is made. */
#ifndef MFI_SIGN_H
#define MFI_SIGN_H

#include "runtime.h"

/** A record to be: its spec, and for a chain or swarm what was added. */
typedef struct mfi_draft {
    mf_spec *spec;
    mf_item *items;
    size_t   item_count, item_capacity;
    bool     closed;
} mfi_draft;

struct mf_signature {
    mf_client       *client;
    pthread_mutex_t  lock;
    const mfi_task  *task;          /* of a task; else NULL */
    mfi_draft        own;           /* L  spec NULL: a task that nobody asked for a key yet, perhaps a plain item */
    mf_message      *kwargs;        /* L  of a task until its spec is made */
    mf_key          *on_success, *on_error;     /* L  keys of callbacks, whose records are below */
    size_t           on_success_count, on_success_capacity, on_error_count, on_error_capacity;
    mfi_draft       *below;         /* L  every record below this one */
    size_t           below_count, below_capacity;
    bool             started;       /* L */
};

/** Make the spec complete: from here on it does not change. The lock is held. */
mf_status mfi_signature_freeze(mf_signature *sig, mf_error *err);

/** A map, nil or NULL; nil becomes NULL, a failed message its status. what names it in the error. */
mf_status mfi_check_kwargs(const char *what, mf_message **kwargs, mf_error *err);

#endif
