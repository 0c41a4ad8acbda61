/* codec/verify.h: the one pass that turns bytes from outside into bytes everything else may trust. */
#ifndef MFI_VERIFY_H
#define MFI_VERIFY_H

#include <mageflow/message.h>

#include <string.h>

typedef struct mfi_extent {
    uint32_t elements;    /* array items and map entries in all */
    unsigned depth;       /* arrays and maps within each other */
} mfi_extent;

/** Prove that bytes hold exactly one value within limits (resolved ones). Allocates nothing, does not recurse. */
mf_status mfi_verify(mf_str bytes, const mf_limits *limits, mfi_extent *extent, mf_error *err);

/** Is every byte below 0x80? Eight at once, the last eight over what was looked at already. */
static inline bool mfi_is_ascii(mf_str text)
{
    uint64_t all = 0, eight;
    uint32_t four[2] = {0, 0};
    size_t i = 0;
    if (text.len >= sizeof eight) {
        for (; i + sizeof eight < text.len && (all & 0x8080808080808080u) == 0; i += sizeof eight) {
            memcpy(&eight, text.at + i, sizeof eight);
            all |= eight;
        }
        memcpy(&eight, text.at + text.len - sizeof eight, sizeof eight);
        return ((all | eight) & 0x8080808080808080u) == 0;
    }
    if (text.len >= sizeof four[0]) {
        memcpy(&four[0], text.at, sizeof four[0]);
        memcpy(&four[1], text.at + text.len - sizeof four[1], sizeof four[1]);
        return ((four[0] | four[1]) & 0x80808080u) == 0;
    }
    for (; i < text.len; i++)
        all |= (unsigned char)text.at[i];
    return all < 0x80;
}

/** Length of the longest valid UTF-8 prefix; text.len where all of it is valid. */
size_t mfi_utf8_prefix(mf_str text);
static inline size_t mfi_utf8_valid(mf_str text)
{
    return mfi_is_ascii(text) ? text.len : mfi_utf8_prefix(text);
}

#endif
