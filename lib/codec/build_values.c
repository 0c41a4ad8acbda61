/* codec/build_values.c: what stands inside the shape that builder.c keeps: scalars, and whole values copied in. */
#include "builder.h"
#include "layout.h"
#include "verify.h"

/* SCALAR: what every build function of one value has around what writes it. */
#define SCALAR(b, call)                                                                                         \
    do {                                                                                                        \
        if (!mfi_builder_begin_value((b), false))                                                               \
            return;                                                                                             \
        call;                                                                                                   \
        mfi_builder_end_value(b);                                                                               \
    } while (0)

void mf_build_nil(mf_builder *b)
{
    SCALAR(b, mfi_put_nil(b));
}

void mf_build_bool(mf_builder *b, bool value)
{
    SCALAR(b, mfi_put_bool(b, value));
}

void mf_build_int(mf_builder *b, int64_t value)
{
    SCALAR(b, mfi_put_int(b, value));
}

void mf_build_uint(mf_builder *b, uint64_t value)
{
    SCALAR(b, mfi_put_uint(b, value));
}

void mf_build_float(mf_builder *b, double value)
{
    SCALAR(b, mfi_put_float(b, value));
}

void mf_build_str(mf_builder *b, mf_str text)
{
    SCALAR(b, mfi_put_text(b, text));
}

void mf_build_key(mf_builder *b, const char *key)
{
    mf_str text = mf_cstr(key);
    SCALAR(b, mfi_put_text(b, text));
}

/* Bytes that U+FFFD stands for: one, as most decoders do it, whatever follows. */
static size_t lossy_len(mf_str text)
{
    size_t len = 0;
    while (text.len > 0) {
        size_t good = mfi_utf8_valid(text), bad = good < text.len ? 1 : 0;
        len += good + 3 * bad;
        text = mf_str_of(text.at + good + bad, text.len - good - bad);
    }
    return len;
}

void mf_build_str_lossy(mf_builder *b, mf_str text)
{
    if (text.len > b->limits.bytes) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "more bytes than the limit");
        return;
    }
    mfi_build_str_begin(b, lossy_len(text));
    while (text.len > 0) {
        size_t good = mfi_utf8_valid(text), bad = good < text.len ? 1 : 0;
        mfi_build_str_part(b, text.at, good);
        mfi_build_str_part(b, "\xef\xbf\xbd", 3 * bad);
        text = mf_str_of(text.at + good + bad, text.len - good - bad);
    }
    mfi_build_str_end(b);
}

void mf_build_bin(mf_builder *b, mf_str bytes)
{
    msgpack_packer pk = mfi_builder_packer(b);
    if (bytes.len > b->limits.bytes)
        mfi_builder_fail(b, MF_E_TOO_BIG, "more bytes than the limit");
    else
        SCALAR(b, (msgpack_pack_bin(&pk, bytes.len), msgpack_pack_bin_body(&pk, bytes.at, bytes.len)));
}

/* Verified bytes, whole: a value of depth and elements known. */
static void splice(mf_builder *b, mf_str bytes, mfi_extent extent)
{
    if (!mfi_builder_begin_value(b, extent.depth > 0) || !mfi_builder_count_elements(b, extent.elements))
        return;
    if (b->depth + extent.depth > b->limits.depth) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "deeper than the limit");
        return;
    }
    if (b->depth + extent.depth > b->deepest)
        b->deepest = b->depth + extent.depth;
    mfi_builder_append(b, bytes.at, bytes.len);
    mfi_builder_end_value(b);
}

void mf_build_value(mf_builder *b, mf_value value)
{
    mfi_extent extent = {0, 0};
    mf_str bytes = {(const char *)value.at, value.len};
    if (value.at == NULL) {
        mf_build_nil(b);
        return;
    }
    mf_error err;
    mf_status st = b->status == MF_OK ? mfi_verify(bytes, &b->limits, &extent, &err) : b->status;
    if (st == MF_OK)
        splice(b, bytes, extent);
    else
        mfi_builder_fail(b, st, st == MF_E_TOO_BIG ? "a value above a limit" : "a value that is not whole");
}

void mf_build_message(mf_builder *b, const mf_message *message)
{
    if (message == NULL)
        mf_build_nil(b);
    else if (message->status != MF_OK)
        mfi_builder_fail(b, (mf_status)message->status, "a message that failed to build");
    else
        splice(b, mf_message_bytes(message), (mfi_extent){message->elements, message->depth});
}
