/* codec/builder.h: what the builder offers the files beside it. */
#ifndef MFI_BUILDER_H
#define MFI_BUILDER_H

#include <mageflow/message.h>

#include <msgpack/pack.h>
#include <string.h>

/** The first failure sticks. problem is static. */
void mfi_builder_fail(mf_builder *builder, mf_status st, const char *problem);

/** The slow half of mfi_builder_reserve: more memory, or a failure. */
bool mfi_builder_grow(mf_builder *builder, size_t more);

/* What every value passes through stands here, so that msgpack-c's own inline functions become a few stores each. */

/** n more array items or map entries, against the limit. */
static inline bool mfi_builder_count_elements(mf_builder *b, size_t n)
{
    if (n > b->limits.elements || b->elements > b->limits.elements - n) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "more elements than the limit");
        return false;
    }
    b->elements += n;
    return true;
}

/** Every value passes here first: is there a place for it, and may it stand there? false: it failed, write nothing. */
static inline bool mfi_builder_begin_value(mf_builder *b, bool container)
{
    if (b->status != MF_OK)
        return false;
    if (b->depth == 0) {
        if (b->len > 0)
            mfi_builder_fail(b, MF_E_INVALID, "a second value after the first is complete");
        return b->len == 0;
    }
    struct mf_builder_open *top = &b->open[b->depth - 1];
    if (container && top->map && top->left % 2 == 0) {
        mfi_builder_fail(b, MF_E_INVALID, "an array or a map as a key");
        return false;
    }
    if (!top->endless)
        top->left--;
    else if ((!top->map || top->left % 2 == 0) && !mfi_builder_count_elements(b, 1))
        return false;
    else
        top->left++;
    return true;
}

/** And here afterwards: what was waiting for it alone is complete. */
static inline void mfi_builder_end_value(mf_builder *b)
{
    while (b->depth > 0 && !b->open[b->depth - 1].endless && b->open[b->depth - 1].left == 0)
        b->depth--;
}

/** Room for so many bytes more, against the limit, which room never exceeds. */
static inline bool mfi_builder_reserve(mf_builder *b, size_t more)
{
    return (b->status == MF_OK && more <= b->room - b->len) || mfi_builder_grow(b, more);
}

/** A msgpack_packer_write over a builder. */
static inline int mfi_builder_append(void *builder, const char *bytes, size_t len)
{
    mf_builder *b = builder;
    if (!mfi_builder_reserve(b, len))
        return -1;
    if (len > 0)
        memcpy(b->at + b->len, bytes, len);
    b->len += len;
    return 0;
}

static inline msgpack_packer mfi_builder_packer(mf_builder *b)
{
    return (msgpack_packer){.data = b, .callback = mfi_builder_append};
}

/** A str in parts: its length first, then bytes of exactly that length in all, then the end. The bytes must be valid
 * UTF-8: nothing checks them again. */
static inline void mfi_build_str_begin(mf_builder *b, size_t len)
{
    if (!mfi_builder_begin_value(b, false) || !mfi_builder_reserve(b, len))    /* all of it at once: its length is known */
        return;
    msgpack_packer pk = mfi_builder_packer(b);
    msgpack_pack_str(&pk, len);
}

static inline void mfi_build_str_part(mf_builder *b, const char *at, size_t len)
{
    mfi_builder_append(b, at, len);
}

static inline void mfi_build_str_end(mf_builder *b)
{
    mfi_builder_end_value(b);
}

#endif
