/* runtime/here.h: what the runtime knows of the calling thread. One struct, so that a simulator can give each of its strands
 * its own. */
#ifndef MFI_HERE_H
#define MFI_HERE_H

#include <mageflow/base.h>

struct mfi_here {
    struct mfi_running *running;    /* the innermost call that this thread is in; NULL: none */
    struct mfi_mailbox *box;        /* the mailbox that it processes at the moment; NULL: none */
    bool                fails;      /* … and it makes its flow fail, by an error of the flow itself */
    unsigned            owes_stop;  /* it commits an early end or an interruption and has told nobody below it yet: the bits
                                       of mfi_call.stop to tell them; 0: it does not */
    bool                on_keeper;  /* it is a keeper */
    struct mfi_seat    *seat;       /* the one it had last, */
    uint64_t            seat_of;    /* of the client with this number; 0: of none */
    unsigned            share;      /* where it counts, from 1; 0: not decided yet */
};
extern _Thread_local struct mfi_here mfi_here;

#endif
