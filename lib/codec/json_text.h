/* codec/json_text.h: which characters stand in a JSON text as they are. */
#ifndef MFI_JSON_TEXT_H
#define MFI_JSON_TEXT_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool mfi_json_plain(char c)
{
    return c != '"' && c != '\\' && (unsigned char)c >= 0x20;
}

/** How many of eight characters are plain ones before the first that is not; with `ascii`, one above 0x7f is none. */
static inline size_t mfi_json_plain_of_eight(const char *at, bool ascii)
{
    static const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    eight = le64toh(eight);
    uint64_t quote = eight ^ (ones * '"'), slash = eight ^ (ones * '\\');
    /* A subtraction borrows from the byte above it, so that what follows a match may match falsely: the lowest match is exact. */
    uint64_t others = (eight - ones * 0x20) | (quote - ones) | (slash - ones);
    others = (ascii ? others | eight : others & ~eight) & high;
    return others == 0 ? 8 : (size_t)__builtin_ctzll(others) / 8;
}

#endif
