/* testing/prng.h: splitmix64. A seed gives the same numbers on every machine; several streams come from one seed. */
#ifndef MFI_PRNG_H
#define MFI_PRNG_H

#include <mageflow/base.h>

typedef struct mfi_prng {
    uint64_t state;
} mfi_prng;

static inline uint64_t mfi_mix64(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/** Stream `stream` of a seed: independent of the others, so that a choice more in one moves nothing in another. */
static inline mfi_prng mfi_prng_of(uint64_t seed, uint64_t stream)
{
    mfi_prng p = {mfi_mix64(mfi_mix64(seed + UINT64_C(0x9e3779b97f4a7c15)) ^ stream * UINT64_C(0xd1342543de82ef95))};
    return p;
}

static inline uint64_t mfi_prng_next(mfi_prng *p)
{
    p->state += UINT64_C(0x9e3779b97f4a7c15);
    return mfi_mix64(p->state);
}

/** 0 to n - 1; n is at least 1. */
static inline uint32_t mfi_prng_below(mfi_prng *p, uint32_t n)
{
    return (uint32_t)((mfi_prng_next(p) >> 32) * n >> 32);
}

static inline bool mfi_prng_one_in(mfi_prng *p, uint32_t n)
{
    return mfi_prng_below(p, n) == 0;
}

#endif
