/* codec/wire.h: the head of one msgpack value: what it is and how far it reaches.
 *
 * Why a cursor of ours and not msgpack-c's unpacker: it trusts the counts in the bytes. Its version 4.0 reserves 8 GiB
 * of address space for the five bytes of an array32 that claims 2^28 items, so that a pass over the bytes has to come
 * first in any case; and once that pass is done, a view on the verified bytes reads without a tree and without an
 * allocation. The two are held against each other by tests/unit/codec/differential_test.c and tests/fuzz. Writing is
 * msgpack-c's (builder.c).
 *
 * The format: https://github.com/msgpack/msgpack/blob/master/spec.md */
#ifndef MFI_WIRE_H
#define MFI_WIRE_H

#include <mageflow/message.h>

typedef struct mfi_head {
    mf_type  type;
    bool     negative;    /* an integer below zero: bits is its two's complement */
    int8_t   ext;         /* the type of an ext */
    uint8_t  size;        /* bytes of the head itself, with a scalar's own bytes */
    uint32_t count;       /* items of an array, entries of a map; bytes that follow the head of a str, bin or ext */
    uint64_t bits;        /* of an integer, a boolean, or a double */
} mfi_head;

/** Bytes after the head that belong to the value itself. */
static inline uint32_t mfi_head_body(const mfi_head *head)
{
    return head->type == MF_TYPE_STR || head->type == MF_TYPE_BIN || head->type == MF_TYPE_EXT ? head->count : 0;
}
/** Values after the head that belong to it. */
static inline uint64_t mfi_head_children(const mfi_head *head)
{
    return head->type == MF_TYPE_ARRAY ? head->count : head->type == MF_TYPE_MAP ? 2 * (uint64_t)head->count : 0;
}

/** The half of mfi_head_read for the tags from 0xc0 to 0xdf. */
bool mfi_head_tagged(const unsigned char *at, size_t room, mfi_head *head);

/** Read the head at `at`, never beyond `end`. false: truncated, or the byte 0xc1, which means nothing. The body and
 * the children are not looked at. */
static inline bool mfi_head_read(const unsigned char *at, const unsigned char *end, mfi_head *head)
{
    if (at >= end)
        return false;
    unsigned tag = *at;
    *head = (mfi_head){.size = 1};
    if (tag - 0xc0 < 0x20)
        return mfi_head_tagged(at, (size_t)(end - at), head);
    if (tag - 0x80 >= 0x40) {
        head->type = MF_TYPE_INT;
        head->bits = (uint64_t)(int64_t)(int8_t)tag;
        head->negative = tag >= 0xe0;
    } else {
        head->type = tag < 0x90 ? MF_TYPE_MAP : tag < 0xa0 ? MF_TYPE_ARRAY : MF_TYPE_STR;
        head->count = tag & (tag < 0xa0 ? 0x0f : 0x1f);
    }
    return true;
}

/** The length of a whole value where its first byte tells it and it is neither array nor map; 0: more has to be read. Most of what
 * a lookup steps over is of this kind. */
extern const uint8_t mfi_whole_len[256] __attribute__((visibility("hidden")));

/** The first byte after the whole value at `at`; NULL where it reaches beyond `end`. Does not recurse. */
const unsigned char *mfi_skip_any(const unsigned char *at, const unsigned char *end);
static inline const unsigned char *mfi_skip(const unsigned char *at, const unsigned char *end)
{
    size_t len = at < end ? mfi_whole_len[*at] : 0;
    return len > 0 && at + len <= end ? at + len : mfi_skip_any(at, end);
}

#endif
