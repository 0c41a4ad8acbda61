#include "wire.h"

#include <endian.h>
#include <string.h>

static uint64_t big_endian(const unsigned char *at, unsigned bytes)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (bytes) {
    case 1:
        return *at;
    case 2:
        memcpy(&two, at, sizeof two);
        return be16toh(two);
    case 4:
        memcpy(&four, at, sizeof four);
        return be32toh(four);
    case 8:
        memcpy(&eight, at, sizeof eight);
        return be64toh(eight);
    default:
        return 0;
    }
}

static uint64_t double_of_single(uint32_t bits)
{
    float single;
    memcpy(&single, &bits, sizeof single);
    double wide = single;
    uint64_t out;
    memcpy(&out, &wide, sizeof out);
    return out;
}

/* The tags from 0xc0 to 0xdf, where everything that is not fixint, fixstr, fixarray or fixmap lies. */
static const struct { uint8_t type, operand; } tags[32] = {
    [0x00] = {MF_TYPE_NIL, 0},   [0x02] = {MF_TYPE_BOOL, 0},  [0x03] = {MF_TYPE_BOOL, 0},
    [0x04] = {MF_TYPE_BIN, 1},   [0x05] = {MF_TYPE_BIN, 2},   [0x06] = {MF_TYPE_BIN, 4},
    [0x07] = {MF_TYPE_EXT, 1},   [0x08] = {MF_TYPE_EXT, 2},   [0x09] = {MF_TYPE_EXT, 4},
    [0x0a] = {MF_TYPE_FLOAT, 4}, [0x0b] = {MF_TYPE_FLOAT, 8},
    [0x0c] = {MF_TYPE_INT, 1},   [0x0d] = {MF_TYPE_INT, 2},   [0x0e] = {MF_TYPE_INT, 4},   [0x0f] = {MF_TYPE_INT, 8},
    [0x10] = {MF_TYPE_INT, 1},   [0x11] = {MF_TYPE_INT, 2},   [0x12] = {MF_TYPE_INT, 4},   [0x13] = {MF_TYPE_INT, 8},
    [0x14] = {MF_TYPE_EXT, 0},   [0x15] = {MF_TYPE_EXT, 0},   [0x16] = {MF_TYPE_EXT, 0},   [0x17] = {MF_TYPE_EXT, 0},
    [0x18] = {MF_TYPE_EXT, 0},
    [0x19] = {MF_TYPE_STR, 1},   [0x1a] = {MF_TYPE_STR, 2},   [0x1b] = {MF_TYPE_STR, 4},
    [0x1c] = {MF_TYPE_ARRAY, 2}, [0x1d] = {MF_TYPE_ARRAY, 4}, [0x1e] = {MF_TYPE_MAP, 2},   [0x1f] = {MF_TYPE_MAP, 4},
};

bool mfi_head_tagged(const unsigned char *at, size_t room, mfi_head *head)
{
    unsigned tag = *at, operand = tags[tag - 0xc0].operand;
    bool ext = tags[tag - 0xc0].type == MF_TYPE_EXT;
    size_t size = 1 + operand + (ext ? 1 : 0);
    if (room < size)
        return false;
    uint64_t bits = big_endian(at + 1, operand), sign;
    head->type = (mf_type)tags[tag - 0xc0].type;
    head->size = (uint8_t)size;
    switch (head->type) {
    case MF_TYPE_NONE:
        return false;
    case MF_TYPE_NIL:
        break;
    case MF_TYPE_BOOL:
        head->bits = tag & 1;
        break;
    case MF_TYPE_INT:
        sign = tag < 0xd0 ? 0 : (uint64_t)1 << (8 * operand - 1);
        head->bits = (bits ^ sign) - sign;
        head->negative = (bits & sign) != 0;
        break;
    case MF_TYPE_FLOAT:
        head->bits = operand == 4 ? double_of_single((uint32_t)bits) : bits;
        break;
    case MF_TYPE_EXT:
        head->count = operand == 0 ? 1u << (tag - 0xd4) : (uint32_t)bits;
        head->ext = (int8_t)at[size - 1];
        break;
    case MF_TYPE_STR:
    case MF_TYPE_BIN:
    case MF_TYPE_ARRAY:
    case MF_TYPE_MAP:
        head->count = (uint32_t)bits;
        break;
    }
    return true;
}

const uint8_t mfi_whole_len[256] = {
    /* fixint */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    /* fixmap, fixarray */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* fixstr */
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    /* nil, booleans, numbers; what has a length of its own is 0 */
    1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9,
    2, 3, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* negative fixint */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
};

static const unsigned char *skip_head(const unsigned char *at, const unsigned char *end, uint64_t *left)
{
    mfi_head head;
    if (!mfi_head_read(at, end, &head))
        return NULL;
    at += head.size;
    if (mfi_head_body(&head) > (size_t)(end - at))
        return NULL;
    *left += mfi_head_children(&head);
    return at + mfi_head_body(&head);
}

const unsigned char *mfi_skip_any(const unsigned char *at, const unsigned char *end)
{
    for (uint64_t left = 1; left > 0; left--) {
        if (at >= end)
            return NULL;
        unsigned tag = *at;
        size_t len = mfi_whole_len[tag];
        if (len > 0) {
            at += len;                      /* beyond the end: the next turn, or the end, sees it */
        } else if (tag - 0x80 < 0x20) {     /* fixmap, fixarray */
            at++;
            left += (tag & 0x0f) << (tag < 0x90);
        } else if ((at = skip_head(at, end, &left)) == NULL) {
            return NULL;
        }
    }
    return at <= end ? at : NULL;
}
