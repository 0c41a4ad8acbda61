/* link/retry.h: how long to wait before the next attempt to connect: twice as long each time, up to a cap, and never the same
 * for all, so that a server that comes back is not met by every client at once. */
#ifndef MFI_RETRY_H
#define MFI_RETRY_H

#include <mageflow/base.h>

#include "random.h"

typedef struct mfi_retry {
    mf_duration first, most;    /* both > 0 */
    unsigned    failures;       /* in a row */
} mfi_retry;

/** After another failure: between half and the whole of min(most, first * 2^failures), at random. Without random bytes to be
 * had it is the whole. */
mf_duration mfi_retry_next(mfi_retry *retry, const mfi_random *random);
/** It worked: begin anew. */
void mfi_retry_reset(mfi_retry *retry);

#endif
