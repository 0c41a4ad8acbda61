/* codec/builder.h: what the builder offers the files beside it. */
#ifndef MFI_BUILDER_H
#define MFI_BUILDER_H

#include "verify.h"

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

/** At the top: is it the first value, and has nothing failed? Where something has, nothing is open any more, so that whatever comes
 * passes here. */
bool mfi_builder_begin_top(mf_builder *builder);

/** Every value passes here first: is there a place for it, and may it stand there? false: it failed, write nothing. */
static inline bool mfi_builder_begin_value(mf_builder *b, bool container)
{
    if (b->depth == 0)
        return mfi_builder_begin_top(b);
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
    return more <= b->room - b->len || mfi_builder_grow(b, more);
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

/* ---- values without a look at the shape: for who keeps it himself, between begin_value and end_value or in their stead ------- */

/** A str, whose bytes are checked while they are copied. */
static inline void mfi_put_text(mf_builder *b, mf_str text)
{
    if (text.len < 32) {
        if (!mfi_builder_reserve(b, text.len + 1))
            return;
        b->at[b->len++] = (unsigned char)(0xa0 | text.len);
    } else {
        if (text.len > b->limits.bytes) {
            mfi_builder_fail(b, MF_E_TOO_BIG, "more bytes than the limit");
            return;
        }
        msgpack_packer pk = mfi_builder_packer(b);
        msgpack_pack_str(&pk, text.len);
        if (!mfi_builder_reserve(b, text.len))
            return;
    }
    if (!mfi_copy_ascii(b->at + b->len, text) && mfi_utf8_prefix(text) != text.len)
        mfi_builder_fail(b, MF_E_INVALID, "text that is not UTF-8");
    else
        b->len += text.len;
}

/** A container of so many values, or of none so far, will begin here. false: deeper than the limit. */
static inline bool mfi_builder_enter(mf_builder *b, size_t values, bool map, bool endless)
{
    if (b->depth == b->limits.depth) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "deeper than the limit");
        return false;
    }
    b->open[b->depth++] =
        (struct mf_builder_open){.head = (uint32_t)b->len, .left = (uint32_t)values, .map = map, .endless = endless};
    if (b->depth > b->deepest)
        b->deepest = b->depth;
    return true;
}

/** A container whose count is known when it is closed. false: it failed. */
static inline bool mfi_builder_open(mf_builder *b, bool map)
{
    if (!mfi_builder_reserve(b, 1) || !mfi_builder_enter(b, 0, map, true))
        return false;
    b->at[b->len++] = map ? 0x80 : 0x90;
    return true;
}

/** Its head becomes a longer one. */
void mfi_builder_long_head(mf_builder *builder, const struct mf_builder_open *top);
static inline void mfi_builder_close(mf_builder *b)
{
    const struct mf_builder_open *top = &b->open[b->depth - 1];
    uint32_t count = top->map ? top->left / 2 : top->left;
    if (count < 16)
        b->at[top->head] |= (unsigned char)count;
    else
        mfi_builder_long_head(b, top);
    b->depth -= b->status == MF_OK;
}

static inline void mfi_put_nil(mf_builder *b)
{
    msgpack_packer pk = mfi_builder_packer(b);
    msgpack_pack_nil(&pk);
}

static inline void mfi_put_bool(mf_builder *b, bool value)
{
    msgpack_packer pk = mfi_builder_packer(b);
    value ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
}

static inline void mfi_put_int(mf_builder *b, int64_t value)
{
    msgpack_packer pk = mfi_builder_packer(b);
    msgpack_pack_int64(&pk, value);
}

static inline void mfi_put_uint(mf_builder *b, uint64_t value)
{
    msgpack_packer pk = mfi_builder_packer(b);
    msgpack_pack_uint64(&pk, value);
}

static inline void mfi_put_float(mf_builder *b, double value)
{
    msgpack_packer pk = mfi_builder_packer(b);
    msgpack_pack_double(&pk, value);
}

#endif
