/* adapter/call.h: the side of a running call that is the same on every manager: stop requests and how it failed. */
#ifndef MFI_CALL_H
#define MFI_CALL_H

#include <mageflow/adapter.h>

#include <stdatomic.h>

/* Why a call should end; bits of mfi_call.stop. */
enum {
    MFI_STOP_CANCEL = 1,    /* canceled from outside */
    MFI_STOP_TIMEOUT = 2,   /* out of time */
    MFI_STOP_CLOSING = 4,   /* the worker closes */
    MFI_STOP_SELF = 8,      /* the task asked for it: mf_context_cancel */
    MFI_STOP_INTERRUPT = 16 /* something above it was interrupted: it runs again after the resume */
};

#define MFI_ERROR_TYPE_MAX 64
#define MFI_ERROR_TEXT_LIMIT 4096   /* bytes of a task's error text (docs: bounds) */

struct mfi_call {
    mf_context          ctx;
    const mf_allocator *allocator;
    const mf_clock     *clock;
    struct mf_client   *client;                        /* the runtime's; this layer only hands it on */
    const mf_delivery  *delivery;
    _Atomic uint32_t    stop;                          /* A  bits above; the word that mf_context_sleep waits on */
    atomic_int          stop_fd;                       /* A  the eventfd that tells of it, plus one; 0: nobody asked for one */
    char                error_type[MFI_ERROR_TYPE_MAX];/* O  set by the task: mf_task_fail */
    char               *error_text;                    /* O  MFI_ERROR_TEXT_LIMIT + 1 bytes, or NULL */
};
typedef struct mfi_call mfi_call;

/** Ask the call to end: set bits, wake whoever sleeps in it. Any thread. */
void mfi_call_stop(mfi_call *call, unsigned bits);
/** Release what the call allocated. */
void mfi_call_fini(mfi_call *call);

#endif
