#include "rules.h"

#include "describe.h"
#include "wire.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

_Static_assert(LDBL_MANT_DIG >= 64, "a bound of mf_field holds every 64-bit integer");

#define PLACE_MAX 160

/* ---- integers of any width ---------------------------------------------------------------------------------- */

static unsigned bits_of(const mf_field *field)
{
    return 8 * (unsigned)field->size;
}

long double mfi_lowest(const mf_field *field)
{
    long double own = field->is_signed ? -ldexpl(1, (int)bits_of(field) - 1) : 0;
    return field->min > own ? field->min : own;
}

long double mfi_highest(const mf_field *field)
{
    long double own = ldexpl(1, (int)bits_of(field) - (field->is_signed ? 1 : 0)) - 1;
    return field->max < own ? field->max : own;
}

uint64_t mfi_member_load(const mf_field *field, const void *base, bool *negative)
{
    const void *at = (const char *)base + field->offset;
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t bits;
    switch (field->size) {
    case 1:  memcpy(&one, at, sizeof one); bits = one; break;
    case 2:  memcpy(&two, at, sizeof two); bits = two; break;
    case 4:  memcpy(&four, at, sizeof four); bits = four; break;
    default: memcpy(&bits, at, sizeof bits); break;
    }
    uint64_t sign = (uint64_t)1 << (bits_of(field) - 1);
    *negative = field->is_signed && (bits & sign) != 0;
    return *negative ? (bits ^ sign) - sign : bits;
}

void mfi_member_store(const mf_field *field, void *base, uint64_t bits)
{
    void *at = (char *)base + field->offset;
    uint8_t one = (uint8_t)bits;
    uint16_t two = (uint16_t)bits;
    uint32_t four = (uint32_t)bits;
    switch (field->size) {
    case 1:  memcpy(at, &one, sizeof one); break;
    case 2:  memcpy(at, &two, sizeof two); break;
    case 4:  memcpy(at, &four, sizeof four); break;
    default: memcpy(at, &bits, sizeof bits); break;
    }
}

/* ---- what is wrong, in words -------------------------------------------------------------------------------- */

static size_t print_place(const mfi_place *place, char *out, size_t room)
{
    size_t len = 0;
    if (place->outer != NULL) {
        len = print_place(place->outer, out, room);
        len += (size_t)snprintf(out + len, room - len, ".");
    }
    int wrote = snprintf(out + len, room - len, "%s", place->field->name);
    return len + (size_t)wrote < room - 1 ? len + (size_t)wrote : room - 2;
}

static mf_status refuse(const mfi_place *place, const char *expected, mf_value got, mf_error *err)
{
    char name[PLACE_MAX];
    mfi_words words;
    if (err == NULL)
        return MF_E_INVALID;
    print_place(place, name, sizeof name);
    return mf_fail(err, MF_E_INVALID, "field \"%s\": expected %s, got %s", name, expected, mfi_describe(got, &words));
}

mf_status mfi_field_missing(const mfi_place *place, mf_error *err)
{
    char name[PLACE_MAX];
    print_place(place, name, sizeof name);
    return mf_fail(err, MF_E_INVALID, "field \"%s\": required, but missing", name);
}

/* "an integer from 1 to 65535", with the bounds that the row itself gives, or the member where all would else be said. */
static mf_status refuse_range(const mfi_place *place, const char *noun, long double min, long double max, mf_value got,
                              mf_error *err)
{
    char expected[128];
    if (isinf(min) && isinf(max))
        snprintf(expected, sizeof expected, "%s", noun);
    else if (isinf(max))
        snprintf(expected, sizeof expected, "%s of %.20Lg or more", noun, min);
    else if (isinf(min))
        snprintf(expected, sizeof expected, "%s of %.20Lg or less", noun, max);
    else
        snprintf(expected, sizeof expected, "%s from %.20Lg to %.20Lg", noun, min, max);
    return refuse(place, expected, got, err);
}

static mf_status refuse_len(const mfi_place *place, const char *noun, mf_value got, mf_error *err)
{
    char expected[64];
    snprintf(expected, sizeof expected, "%s of at most %zu bytes", noun, place->field->max_len);
    return refuse(place, expected, got, err);
}

/* ---- the rules, kind by kind -------------------------------------------------------------------------------- */

static mf_status check_int(const mfi_place *place, mf_value value, mf_error *err)
{
    const mf_field *field = place->field;
    mfi_head head;
    if (mfi_head_read(value.at, value.at + value.len, &head) && head.type == MF_TYPE_INT) {
        long double n = head.negative ? (long double)(int64_t)head.bits : (long double)head.bits;
        if (n >= mfi_lowest(field) && n <= mfi_highest(field))
            return MF_OK;
        return refuse_range(place, "an integer", mfi_lowest(field), mfi_highest(field), value, err);
    }
    return refuse_range(place, "an integer", field->min, field->max, value, err);   /* the member's width is no help here */
}

static mf_status check_float(const mfi_place *place, mf_value value, mf_error *err)
{
    const mf_field *field = place->field;
    double n;
    /* NaN passes only where no bound is given. */
    bool bounded = !isinf(field->min) || !isinf(field->max);
    if (mf_value_float(value, &n) == MF_OK && (!bounded || (n >= field->min && n <= field->max)))
        return MF_OK;
    return refuse_range(place, "a number", field->min, field->max, value, err);
}

static mf_status check_text(const mfi_place *place, mf_value value, mf_error *err)
{
    const mf_field *field = place->field;
    bool text = field->kind == MF_FIELD_STR;
    mf_str got;
    mf_status st = text ? mf_value_str(value, &got) : mf_value_bin(value, &got);
    if (st != MF_OK)
        return refuse(place, text ? "a string" : "binary", value, err);
    if (field->max_len != 0 && got.len > field->max_len)
        return refuse_len(place, text ? "a string" : "binary", value, err);
    return MF_OK;
}

static mf_status check_container(const mfi_place *place, mf_value value, mf_error *err)
{
    const mf_field *field = place->field;
    bool array = field->kind == MF_FIELD_ARRAY;
    long double n = (long double)mf_value_count(value);
    if (mf_value_type(value) == (array ? MF_TYPE_ARRAY : MF_TYPE_MAP) && n >= field->min && n <= field->max)
        return MF_OK;
    return refuse_range(place, array ? "an array" : "a map", field->min, field->max, value, err);
}

mf_status mfi_field_check(const mfi_place *place, mf_value value, mf_error *err)
{
    switch (place->field->kind) {
    case MF_FIELD_STR:
    case MF_FIELD_BIN:   return check_text(place, value, err);
    case MF_FIELD_INT:   return check_int(place, value, err);
    case MF_FIELD_FLOAT: return check_float(place, value, err);
    case MF_FIELD_BOOL:
        return mf_value_type(value) == MF_TYPE_BOOL ? MF_OK : refuse(place, "true or false", value, err);
    case MF_FIELD_VALUE: return MF_OK;
    case MF_FIELD_ARRAY:
    case MF_FIELD_MAP:   return check_container(place, value, err);
    case MF_FIELD_NESTED:
        return mf_value_type(value) == MF_TYPE_MAP ? MF_OK : refuse(place, "a map", value, err);
    }
    return mf_fail(err, MF_E_INVALID, "field \"%s\": no such kind", place->field->name);
}

mf_status mfi_table_check(const mf_fields *table, mf_error *err)
{
    if (table->count > MF_FIELDS_MAX)
        return mf_fail(err, MF_E_INVALID, "table %s: %u fields, at most %d are possible", table->name, table->count,
                       MF_FIELDS_MAX);
    return MF_OK;
}
