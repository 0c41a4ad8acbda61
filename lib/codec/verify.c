/* codec/verify.c: bytes are checked against themselves before anything believes them.
 *
 * A head that announces n items is refused unless at least that many bytes follow it, so that a count of four billion
 * in a message of five bytes ends here. The values still expected in each open container stand on a small stack, whose
 * height is the depth and is limited before it grows. */
#include "verify.h"

#include "wire.h"

#include <endian.h>

typedef struct verifier {
    const unsigned char *begin, *at, *end;
    const mf_limits     *limits;
    mf_error            *err;
    uint64_t             elements;
    unsigned             depth, deepest;
    struct { uint64_t left; bool map; } open[MF_DEPTH_MAX];
} verifier;

static size_t offset(const verifier *v)
{
    return (size_t)(v->at - v->begin);
}

static mf_status truncated(const verifier *v)
{
    if (v->at < v->end && *v->at == 0xc1)
        return mf_fail(v->err, MF_E_MALFORMED, "msgpack: byte 0xc1 at offset %zu begins no value", offset(v));
    return mf_fail(v->err, MF_E_MALFORMED, "msgpack: the value at offset %zu is cut off by the end at %zu", offset(v),
                   (size_t)(v->end - v->begin));
}

static mf_status enter(verifier *v, const mfi_head *head)
{
    if (v->depth == v->limits->depth)
        return mf_fail(v->err, MF_E_TOO_BIG, "msgpack: deeper than %u at offset %zu", v->limits->depth, offset(v));
    if (mfi_head_children(head) > (size_t)(v->end - v->at) - head->size)
        return mf_fail(v->err, MF_E_MALFORMED, "msgpack: %s of %u at offset %zu, with %zu bytes left",
                       mf_type_name(head->type), head->count, offset(v), (size_t)(v->end - v->at) - head->size);
    v->elements += head->count;
    if (v->elements > v->limits->elements)
        return mf_fail(v->err, MF_E_TOO_BIG, "msgpack: more than %zu elements at offset %zu", v->limits->elements,
                       offset(v));
    v->open[v->depth].left = mfi_head_children(head);
    v->open[v->depth].map = head->type == MF_TYPE_MAP;
    v->depth++;
    if (v->depth > v->deepest)
        v->deepest = v->depth;
    return MF_OK;
}

static mf_status body(verifier *v, const mfi_head *head)
{
    uint32_t len = mfi_head_body(head);
    size_t left = (size_t)(v->end - v->at) - head->size;
    if (len > left)
        return mf_fail(v->err, MF_E_MALFORMED, "msgpack: %s of %u bytes at offset %zu, with %zu bytes left",
                       mf_type_name(head->type), len, offset(v), left);
    if (head->type != MF_TYPE_STR)
        return MF_OK;
    size_t valid = mfi_utf8_valid(mf_str_of((const char *)v->at + head->size, len));
    if (valid != len)
        return mf_fail(v->err, MF_E_MALFORMED, "msgpack: text that is not UTF-8 at offset %zu",
                       offset(v) + head->size + valid);
    return MF_OK;
}

static mf_status one(verifier *v)
{
    mfi_head head;
    if (!mfi_head_read(v->at, v->end, &head))
        return truncated(v);
    bool container = head.type == MF_TYPE_ARRAY || head.type == MF_TYPE_MAP;
    if (v->depth > 0) {
        bool key = v->open[v->depth - 1].map && v->open[v->depth - 1].left % 2 == 0;
        if (key && container)
            return mf_fail(v->err, MF_E_MALFORMED, "msgpack: %s as a key at offset %zu", mf_type_name(head.type),
                           offset(v));
        v->open[v->depth - 1].left--;
    }
    mf_status st = container ? enter(v, &head) : body(v, &head);
    v->at += head.size + mfi_head_body(&head);
    return st;
}

/* The value at v->at, if its first byte tells where it ends and nothing can be wrong with it; else nothing is done. */
static inline bool plain(verifier *v)
{
    size_t room = (size_t)(v->end - v->at), len = room > 0 ? mfi_whole_len[*v->at] : 0;
    if (len == 0 || len > room || ((*v->at & 0xe0) == 0xa0 && !mfi_is_ascii(mf_str_of((const char *)v->at + 1, len - 1))))
        return false;
    v->at += len;
    if (v->depth > 0)
        v->open[v->depth - 1].left--;
    return true;
}

mf_status mfi_verify(mf_str bytes, const mf_limits *limits, mfi_extent *extent, mf_error *err)
{
    if (bytes.len > limits->bytes)
        return mf_fail(err, MF_E_TOO_BIG, "msgpack: %zu bytes, the limit is %zu", bytes.len, limits->bytes);
    if (bytes.len == 0)
        return mf_fail(err, MF_E_MALFORMED, "msgpack: no bytes at all");
    verifier v;
    v.begin = v.at = (const unsigned char *)bytes.at;
    v.end = v.begin + bytes.len;
    v.limits = limits;
    v.err = err;
    v.elements = 0;
    v.depth = v.deepest = 0;
    do {
        mf_status st = plain(&v) ? MF_OK : one(&v);
        if (st != MF_OK)
            return st;
        while (v.depth > 0 && v.open[v.depth - 1].left == 0)
            v.depth--;
    } while (v.depth > 0);
    if (v.at != v.end)
        return mf_fail(err, MF_E_MALFORMED, "msgpack: %zu bytes after the value, from offset %zu",
                       (size_t)(v.end - v.at), offset(&v));
    extent->elements = (uint32_t)v.elements;
    extent->depth = v.deepest;
    return MF_OK;
}

/* ---- UTF-8 ---------------------------------------------------------------------------------------------------- */

/* Bytes of the character at `at`, 0 where it is none: overlong, a surrogate, above U+10FFFF, or cut off. */
static size_t character(const unsigned char *at, size_t room)
{
    unsigned lead = at[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xe0)
        return lead >= 0xc2 && room >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
    size_t len = lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (len == 0 || len > room)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] >= 0xa0) ||
               (lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] >= 0x90);
    return bad ? 0 : len;
}

/* How many of the next bytes are ASCII, of eight at most. The last ones of a text are read with those before them. */
static size_t ascii_ahead(mf_str text, size_t from)
{
    uint64_t eight;
    size_t left = text.len - from, ahead;
    if (text.len < sizeof eight)
        return (unsigned char)text.at[from] < 0x80;
    memcpy(&eight, text.at + (left < sizeof eight ? text.len - sizeof eight : from), sizeof eight);
    eight = le64toh(eight);
    if (left < sizeof eight)
        eight >>= 8 * (sizeof eight - left);
    eight &= MFI_HIGH_BITS;
    ahead = eight == 0 ? sizeof eight : (size_t)__builtin_ctzll(eight) / 8;
    return ahead < left ? ahead : left;
}

size_t mfi_utf8_prefix(mf_str text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;
    while (i < text.len) {
        size_t len = ascii_ahead(text, i);
        if (len == 0)
            len = character(at + i, text.len - i);
        if (len == 0)
            return i;
        i += len;
    }
    return i;
}
