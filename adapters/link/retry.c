#include "retry.h"

mf_duration mfi_retry_next(mfi_retry *retry, const mfi_random *random)
{
    mf_duration span = retry->first;
    for (unsigned i = 0; i < retry->failures && span < retry->most; i++)
        span = span > retry->most / 2 ? retry->most : span * 2;
    if (span > retry->most)
        span = retry->most;
    if (retry->failures < UINT32_MAX)
        retry->failures++;

    uint32_t r;
    if (mfi_random_fill(random, &r, sizeof r) != MF_OK)
        return span;
    /* The remainder's bias is of no interest here. */
    return span - (mf_duration)(r % (uint64_t)(span / 2 + 1));
}

void mfi_retry_reset(mfi_retry *retry)
{
    retry->failures = 0;
}
