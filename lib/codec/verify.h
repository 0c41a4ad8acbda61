/* codec/verify.h: the one pass that turns bytes from outside into bytes everything else may trust. */
#ifndef MFI_VERIFY_H
#define MFI_VERIFY_H

#include <mageflow/message.h>

typedef struct mfi_extent {
    uint32_t elements;    /* array items and map entries in all */
    unsigned depth;       /* arrays and maps within each other */
} mfi_extent;

/** Prove that bytes hold exactly one value within limits (resolved ones). Allocates nothing, does not recurse. */
mf_status mfi_verify(mf_str bytes, const mf_limits *limits, mfi_extent *extent, mf_error *err);

/** Length of the longest valid UTF-8 prefix; text.len where all of it is valid. */
size_t mfi_utf8_valid(mf_str text);

#endif
