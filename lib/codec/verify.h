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

#define MFI_HIGH_BITS 0x8080808080808080u

/* Is every byte below 0x80? Copied to `to` meanwhile, where `copy` is set. Eight at once, the last eight over what was looked at
 * already. */
static inline bool mfi_all_ascii(mf_str text, bool copy, unsigned char *to)
{
    uint64_t all = 0, eight;
    uint32_t four[2];
    if (text.len >= sizeof eight) {
        for (size_t i = 0; i + sizeof eight < text.len && (copy || (all & MFI_HIGH_BITS) == 0); i += sizeof eight) {
            memcpy(&eight, text.at + i, sizeof eight);
            if (copy)
                memcpy(to + i, &eight, sizeof eight);
            all |= eight;
        }
        memcpy(&eight, text.at + text.len - sizeof eight, sizeof eight);
        if (copy)
            memcpy(to + text.len - sizeof eight, &eight, sizeof eight);
        return ((all | eight) & MFI_HIGH_BITS) == 0;
    }
    if (text.len >= sizeof four[0]) {
        memcpy(&four[0], text.at, sizeof four[0]);
        memcpy(&four[1], text.at + text.len - sizeof four[1], sizeof four[1]);
        if (copy) {
            memcpy(to, &four[0], sizeof four[0]);
            memcpy(to + text.len - sizeof four[1], &four[1], sizeof four[1]);
        }
        return ((four[0] | four[1]) & (uint32_t)MFI_HIGH_BITS) == 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (copy)
            to[i] = (unsigned char)text.at[i];
        all |= (unsigned char)text.at[i];
    }
    return all < 0x80;
}

static inline bool mfi_is_ascii(mf_str text)
{
    return mfi_all_ascii(text, false, NULL);
}

/** The same while the text is copied, whatever the answer. */
static inline bool mfi_copy_ascii(unsigned char *to, mf_str text)
{
    return mfi_all_ascii(text, true, to);
}

/** Length of the longest valid UTF-8 prefix; text.len where all of it is valid. */
size_t mfi_utf8_prefix(mf_str text);
static inline size_t mfi_utf8_valid(mf_str text)
{
    return mfi_is_ascii(text) ? text.len : mfi_utf8_prefix(text);
}

#endif
