/* codec/json_number.h: numbers between JSON and machine, exactly, whatever the process's locale is. */
#ifndef MFI_JSON_NUMBER_H
#define MFI_JSON_NUMBER_H

#include <mageflow/base.h>

typedef enum mfi_number_kind {
    MFI_NUMBER_NONE,        /* not a JSON number; problem tells what was expected */
    MFI_NUMBER_POSITIVE,    /* an integer, in bits */
    MFI_NUMBER_NEGATIVE,    /* an integer below zero, bits is its two's complement */
    MFI_NUMBER_FLOAT,       /* in real; -0 without a fraction is the integer 0 */
    MFI_NUMBER_TOO_BIG      /* beyond 64 bits, beyond a double, or longer than MFI_NUMBER_MAX; problem says which */
} mfi_number_kind;

#define MFI_NUMBER_MAX 1000    /* characters of a number with fraction or exponent */

typedef struct mfi_number {
    mfi_number_kind kind;
    uint64_t        bits;
    double          real;
} mfi_number;

/** Read the number at `at`; returns the first byte after it. */
const char *mfi_number_read(const char *at, const char *end, mfi_number *out, const char **problem);

#define MFI_NUMBER_TEXT 32

/** The decimal digits of a number, 20 at most, without a NUL. Returns how many. */
size_t mfi_digits_write(uint64_t number, char *out);

/** The shortest of 15 to 17 digits that reads back as the same double; always with a '.', an exponent, or as NaN,
 * Infinity, -Infinity, so that it stays a float. Returns the length. */
size_t mfi_number_write(double number, char out[MFI_NUMBER_TEXT]);

#endif
