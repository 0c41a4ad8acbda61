#include "json_number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* strtod and printf obey the process's locale, in which the point may be a comma. glibc and musl hand out this one
 * without allocating; should there be none, the process's own has to do. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static bool digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *digits(const char *at, const char *end)
{
    while (digit(at, end))
        at++;
    return at;
}

/* What the grammar found; the places are NULL where there is no such part. */
typedef struct number_parts {
    const char *begin, *whole, *fraction, *exponent, *end;
} number_parts;

static const char *split(const char *at, const char *end, number_parts *parts)
{
    *parts = (number_parts){.begin = at};
    if (at < end && *at == '-')
        at++;
    parts->whole = at;
    if (!digit(at, end))
        return "expected a digit";
    at = *at == '0' ? at + 1 : digits(at, end);
    if (digit(at, end))
        return "expected no digit after a leading 0";
    if (at < end && *at == '.') {
        parts->fraction = at + 1;
        if (!digit(at + 1, end))
            return "expected a digit after the point";
        at = digits(at + 1, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        parts->exponent = ++at;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!digit(at, end))
            return "expected a digit in the exponent";
        at = digits(at, end);
    }
    parts->end = at;
    return NULL;
}

static bool read_integer(const number_parts *parts, mfi_number *out)
{
    uint64_t n = 0;
    bool negative = *parts->begin == '-';
    for (const char *c = parts->whole; c < parts->end; c++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n))
            return false;
    if (negative && n > (uint64_t)1 << 63)
        return false;
    out->kind = negative && n != 0 ? MFI_NUMBER_NEGATIVE : MFI_NUMBER_POSITIVE;
    out->bits = negative ? 0 - n : n;
    return true;
}

/* A significand of 53 bits and a power of ten that is a double itself: one exact operation (Clinger 1990). */
static bool read_short_real(const number_parts *parts, double *out)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t len = (size_t)(parts->end - parts->whole);
    if (parts->exponent != NULL || parts->fraction == NULL || len > 16)
        return false;
    uint64_t n = 0;
    for (const char *c = parts->whole; c < parts->end; c++)
        if (*c != '.')
            n = n * 10 + (uint64_t)(*c - '0');
    if (n > (uint64_t)1 << 53)
        return false;
    double real = (double)n / powers[parts->end - parts->fraction];
    *out = *parts->begin == '-' ? -real : real;
    return true;
}

static double read_long_real(const number_parts *parts)
{
    char text[MFI_NUMBER_MAX + 1];
    size_t len = (size_t)(parts->end - parts->begin);
    locale_t c = c_locale();
    memcpy(text, parts->begin, len);
    text[len] = '\0';
    return c != (locale_t)0 ? strtod_l(text, NULL, c) : strtod(text, NULL);
}

const char *mfi_number_read(const char *at, const char *end, mfi_number *out, const char **problem)
{
    number_parts parts;
    out->kind = MFI_NUMBER_NONE;
    *problem = split(at, end, &parts);
    if (*problem != NULL)
        return at;
    out->kind = MFI_NUMBER_TOO_BIG;
    if (parts.fraction == NULL && parts.exponent == NULL) {
        if (!read_integer(&parts, out))
            *problem = "an integer of more than 64 bits: ";
        return parts.end;
    }
    if ((size_t)(parts.end - parts.begin) > MFI_NUMBER_MAX) {
        *problem = "a number of more than 1000 characters: ";
        return parts.end;
    }
    if (!read_short_real(&parts, &out->real))
        out->real = read_long_real(&parts);
    if (isinf(out->real))
        *problem = "a number beyond what a double holds: ";
    else
        out->kind = MFI_NUMBER_FLOAT;
    return parts.end;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

size_t mfi_digits_write(uint64_t number, char *out)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(out, digits + n, sizeof digits - n);
    return sizeof digits - n;
}

/* Most numbers have few digits behind the point; printf takes thousands of instructions for one. n / power is rounded correctly, for
 * both are doubles; so what has at most 15 digits and gives the number back is what printf would find with 15 digits, which
 * leaves ends of zeros out as the least `places` does. 0: it takes more places, or an exponent. -0.0 keeps its sign below. */
static size_t few_places(double number, char out[MFI_NUMBER_TEXT])
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    double size = fabs(number);
    if (!(size >= 1e-4 && size < 1e15) && !(size == 0 && !signbit(number)))
        return 0;
    for (size_t places = 0; places < sizeof powers / sizeof powers[0]; places++) {
        double scaled = size * (double)powers[places] + 0.5;
        if (scaled >= 1e15)
            return 0;
        uint64_t n = (uint64_t)scaled, rest = n % powers[places];
        if ((double)n / (double)powers[places] != size)
            continue;
        size_t len = 0;
        if (number < 0)
            out[len++] = '-';
        len += mfi_digits_write(n / powers[places], out + len);
        out[len++] = '.';
        for (size_t i = places; i-- > 1 && rest < powers[i];)
            out[len++] = '0';
        len += mfi_digits_write(rest, out + len);
        out[len] = '\0';
        return len;
    }
    return 0;
}

static size_t shortest(double number, char out[MFI_NUMBER_TEXT])
{
    for (int precision = 15; precision < 17; precision++) {
        int len = snprintf(out, MFI_NUMBER_TEXT, "%.*g", precision, number);
        if (strtod(out, NULL) == number)
            return (size_t)len;
    }
    return (size_t)snprintf(out, MFI_NUMBER_TEXT, "%.17g", number);
}

size_t mfi_number_write(double number, char out[MFI_NUMBER_TEXT])
{
    if (isnan(number) || isinf(number)) {
        const char *word = isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
        memcpy(out, word, strlen(word) + 1);
        return strlen(word);
    }
    size_t len = few_places(number, out);
    if (len > 0)
        return len;
    locale_t c = c_locale(), before = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    len = shortest(number, out);
    if (before != (locale_t)0)
        uselocale(before);
    if (strpbrk(out, ".e") == NULL) {
        memcpy(out + len, ".0", 3);
        len += 2;
    }
    return len;
}
