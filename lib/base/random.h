/* base/random.h: the seam for random bytes. Keys need unguessable ones; jitter only needs some. */
#ifndef MFI_RANDOM_H
#define MFI_RANDOM_H

#include <mageflow/base.h>

typedef struct mfi_random {
    mf_status (*fill)(void *user, void *at, size_t len);
    void *user;
} mfi_random;

/** From source, or from the kernel where source is NULL. */
MF_NODISCARD mf_status mfi_random_fill(const mfi_random *source, void *at, size_t len);

#endif
