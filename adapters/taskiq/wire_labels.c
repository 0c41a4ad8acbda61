/* Labels: values that travel as text beside a type, and come back as what Python's parse_label makes of them.
 *
 * After a requeue the values are real ones beside their old types, so every reader here takes both. */
#include "taskiq_wire.h"

#include "memory.h"
#include "taskiq_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text to numbers, as Python reads it ----------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static mf_str strip(mf_str t)
{
    while (t.len > 0 && is_blank(t.at[0]))
        t = mf_str_of(t.at + 1, t.len - 1);
    while (t.len > 0 && is_blank(t.at[t.len - 1]))
        t.len--;
    return t;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

taskiq_number taskiq_text_int(mf_str text, int64_t *out)
{
    mf_str t = strip(text);
    bool negative = t.len > 0 && t.at[0] == '-', big = false;
    if (t.len > 0 && (t.at[0] == '-' || t.at[0] == '+'))
        t = mf_str_of(t.at + 1, t.len - 1);
    if (t.len == 0 || !is_digit(t.at[0]) || !is_digit(t.at[t.len - 1]))
        return TASKIQ_NUMBER_BAD;
    int64_t n = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] == '_' && t.at[i - 1] != '_')
            continue;
        if (!is_digit(t.at[i]))
            return TASKIQ_NUMBER_BAD;
        int digit = t.at[i] - '0';
        big = big || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, negative ? -digit : digit, &n);
    }
    if (big)
        return TASKIQ_NUMBER_TOO_BIG;
    *out = n;
    return TASKIQ_NUMBER_OK;
}

static bool is_word(mf_str t, const char *word)
{
    size_t len = strlen(word);
    if (t.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((t.at[i] | 0x20) != word[i])
            return false;
    return true;
}

/* JSON's grammar lacks three things that float() takes: a leading zero, and a point with digits on one side alone. */
static bool decimal(mf_str t, double *out)
{
    char text[512];
    size_t len = 0;
    bool digit_before = false, point = false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.at[i];
        if (c == '_' && i > 0 && i + 1 < t.len && is_digit(t.at[i - 1]) && is_digit(t.at[i + 1]))
            continue;
        if (len + 4 > sizeof text)
            return false;
        if (c == '.') {
            if (!digit_before)
                text[len++] = '0';
            text[len++] = c;
            if (i + 1 == t.len || !is_digit(t.at[i + 1])) {
                if (!digit_before)
                    return false;
                text[len++] = '0';
            }
            point = true;
        } else {
            if (len == 1 && text[0] == '0' && is_digit(c) && !point)
                len = 0;
            text[len++] = c;
        }
        digit_before = is_digit(c);
    }
    mfi_number n;
    const char *problem;
    if (len == 0 || mfi_number_read(text, text + len, &n, &problem) != text + len)
        return false;
    switch (n.kind) {
    case MFI_NUMBER_POSITIVE: *out = (double)n.bits; return true;
    case MFI_NUMBER_NEGATIVE: *out = (double)(int64_t)n.bits; return true;
    case MFI_NUMBER_FLOAT:    *out = n.real; return true;
    default:                  return false;
    }
}

bool taskiq_text_float(mf_str text, double *out)
{
    mf_str t = strip(text);
    bool negative = t.len > 0 && t.at[0] == '-';
    if (t.len > 0 && (t.at[0] == '-' || t.at[0] == '+'))
        t = mf_str_of(t.at + 1, t.len - 1);
    if (t.len == 0 || t.at[0] == '-')
        return false;
    if (is_word(t, "inf") || is_word(t, "infinity"))
        *out = (double)INFINITY;
    else if (is_word(t, "nan"))
        *out = (double)NAN;
    else if (!decimal(t, out))
        return false;
    if (negative)
        *out = -*out;
    return true;
}

bool taskiq_text_is_true(mf_str text)
{
    return is_word(text, "true");
}

bool taskiq_base64_decode(mf_str text, char *out, size_t *len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned have = 0, pads = 0;
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.at[i] == '\0' ? NULL : strchr(alphabet, text.at[i]);
        if (text.at[i] == '=') {
            if (have >= 2 && have + ++pads >= 4)
                return true;    /* what follows a full group with padding is passed over */
            continue;
        }
        if (found == NULL)
            continue;
        pads = 0;
        bits = bits << 6 | (uint32_t)(found - alphabet);
        if (++have == 1)
            continue;
        out[(*len)++] = (char)(bits >> (8 - 2 * have));
        if (have == 4)
            have = 0;
    }
    return have == 0;
}

/* ---- one label ------------------------------------------------------------------------------------------------------- */

mf_value taskiq_label_value(const taskiq_message *m, mf_str name)
{
    mf_value value;
    (void)mf_value_get(m->labels, name, &value);
    return value;
}

taskiq_label_type taskiq_label_type_of(const taskiq_message *m, mf_str name)
{
    mf_value value;
    int64_t type;
    if (!mf_value_get(m->types, name, &value) || mf_value_int(value, &type) != MF_OK)
        return TASKIQ_LABEL_NONE;
    return (taskiq_label_type)type;
}

bool taskiq_label_int(const taskiq_message *m, mf_str name, int64_t *out)
{
    mf_value value = taskiq_label_value(m, name);
    mf_str text;
    double d;
    bool b;
    if (mf_value_str(value, &text) == MF_OK)
        return taskiq_text_int(text, out) == TASKIQ_NUMBER_OK;
    if (mf_value_int(value, out) == MF_OK)
        return true;
    if (mf_value_bool(value, &b) == MF_OK) {
        *out = b;
        return true;
    }
    if (mf_value_float(value, &d) != MF_OK || !(d > -9e18 && d < 9e18))
        return false;
    *out = (int64_t)d;
    return true;
}

bool taskiq_label_float(const taskiq_message *m, mf_str name, double *out)
{
    mf_value value = taskiq_label_value(m, name);
    mf_str text;
    if (mf_value_str(value, &text) == MF_OK)
        return taskiq_text_float(text, out);
    return mf_value_float(value, out) == MF_OK;
}

bool taskiq_label_bool(const taskiq_message *m, mf_str name, bool *out)
{
    mf_value value = taskiq_label_value(m, name);
    mf_str text;
    double d;
    if (mf_value_str(value, &text) == MF_OK)
        *out = taskiq_text_is_true(text);
    else if (mf_value_float(value, &d) == MF_OK)
        *out = d != 0;
    else
        return mf_value_bool(value, out) == MF_OK;
    return true;
}

bool taskiq_label_text(const taskiq_message *m, mf_str name, mf_str *out)
{
    return mf_value_str(taskiq_label_value(m, name), out) == MF_OK;
}

/* ---- all of them, decoded -------------------------------------------------------------------------------------------- */

static void decode_int(mf_builder *b, mf_value value)
{
    mf_str text;
    int64_t n;
    double d;
    bool truth;
    if (mf_value_str(value, &text) == MF_OK && taskiq_text_int(text, &n) == TASKIQ_NUMBER_OK)
        mf_build_int(b, n);
    else if (mf_value_bool(value, &truth) == MF_OK)
        mf_build_int(b, truth);
    else if (mf_value_type(value) == MF_TYPE_FLOAT && mf_value_float(value, &d) == MF_OK && d > -9e18 && d < 9e18)
        mf_build_int(b, (int64_t)d);
    else
        mf_build_value(b, value);    /* a real one; or text beyond 64 bits, which stays text */
}

static void decode_str(mf_builder *b, mf_value value)
{
    char text[MFI_NUMBER_TEXT];
    int64_t n;
    uint64_t u;
    double d;
    bool truth;
    switch (mf_value_type(value)) {
    case MF_TYPE_INT:
        if (mf_value_int(value, &n) == MF_OK)
            snprintf(text, sizeof text, "%lld", (long long)n);
        else if (mf_value_uint(value, &u) == MF_OK)
            snprintf(text, sizeof text, "%llu", (unsigned long long)u);
        mf_build_str(b, mf_cstr(text));
        break;
    case MF_TYPE_FLOAT:
        (void)!mf_value_float(value, &d);
        mf_build_str(b, mf_str_of(text, mfi_number_write(d, text)));
        break;
    case MF_TYPE_BOOL:
        (void)!mf_value_bool(value, &truth);
        mf_build_str(b, mf_cstr(truth ? "True" : "False"));
        break;
    case MF_TYPE_NIL:
        mf_build_str(b, MF_STR_LIT("None"));
        break;
    default:
        mf_build_value(b, value);
    }
}

/* Python's results hold null for what is no number: not every JSON reader takes NaN and Infinity. */
static void build_finite(mf_builder *b, double d)
{
    if (isfinite(d))
        mf_build_float(b, d);
    else
        mf_build_nil(b);
}

static void decode_float(mf_builder *b, mf_value value)
{
    mf_str text;
    double d;
    bool truth;
    if (mf_value_str(value, &text) == MF_OK && taskiq_text_float(text, &d))
        build_finite(b, d);
    else if (mf_value_bool(value, &truth) == MF_OK)
        mf_build_float(b, truth);
    else if (mf_value_float(value, &d) == MF_OK)
        build_finite(b, d);
    else
        mf_build_value(b, value);
}

static void decode_bool(mf_builder *b, mf_value value)
{
    mf_str text;
    bool truth;
    if (mf_value_str(value, &text) == MF_OK)
        mf_build_bool(b, taskiq_text_is_true(text));
    else
        mf_build_bool(b, mf_value_bool(value, &truth) == MF_OK && truth);
}

/* A result holds text where the bytes are text. Other bytes keep their base64: Python fails to write such a result, and
 * whoever waits for it waits for ever. */
static void decode_bytes(mf_builder *b, mf_value value)
{
    mf_str text;
    size_t len;
    char *bytes;
    if (mf_value_str(value, &text) != MF_OK || (bytes = mfi_alloc(b->allocator, text.len + 3)) == NULL) {
        mf_build_value(b, value);
        return;
    }
    if (taskiq_base64_decode(text, bytes, &len) && mfi_utf8_valid(mf_str_of(bytes, len)) == len)
        mf_build_str(b, mf_str_of(bytes, len));
    else
        mf_build_value(b, value);
    mfi_release(b->allocator, bytes, text.len + 3);
}

void taskiq_labels_decode(const taskiq_message *m, mf_builder *b)
{
    mf_iter labels = mf_value_iter(m->labels);
    mf_value key, value;
    mf_str name;
    mf_build_map_begin(b);
    while (mf_iter_next(&labels, &key, &value)) {
        if (mf_value_str(key, &name) != MF_OK)
            continue;
        mf_build_str(b, name);
        switch (taskiq_label_type_of(m, name)) {
        case TASKIQ_LABEL_INT:   decode_int(b, value); break;
        case TASKIQ_LABEL_STR:   decode_str(b, value); break;
        case TASKIQ_LABEL_FLOAT: decode_float(b, value); break;
        case TASKIQ_LABEL_BOOL:  decode_bool(b, value); break;
        case TASKIQ_LABEL_BYTES: decode_bytes(b, value); break;
        default:                 mf_build_value(b, value); break;
        }
    }
    mf_build_end(b);
}

/* ---- may they be decoded --------------------------------------------------------------------------------------------- */

static bool fits(mf_value value, int64_t type)
{
    mf_str text;
    int64_t n;
    double d;
    mf_type is = mf_value_type(value);
    bool number = is == MF_TYPE_INT || is == MF_TYPE_FLOAT || is == MF_TYPE_BOOL;
    bool written = mf_value_str(value, &text) == MF_OK;
    switch (type) {
    case TASKIQ_LABEL_INT:
        return written ? taskiq_text_int(text, &n) != TASKIQ_NUMBER_BAD
                       : number && (mf_value_type(value) != MF_TYPE_FLOAT || (mf_value_float(value, &d) == MF_OK && isfinite(d)));
    case TASKIQ_LABEL_FLOAT:
        return written ? taskiq_text_float(text, &d) : number;
    case TASKIQ_LABEL_BYTES:
        return written || is == MF_TYPE_BIN;
    default:
        return type >= TASKIQ_LABEL_ANY && type <= TASKIQ_LABEL_BOOL;
    }
}

mf_status taskiq_labels_check(const taskiq_message *m, mf_error *err)
{
    mf_iter types = mf_value_iter(m->types);
    mf_value key, value, label;
    mf_str name;
    while (mf_iter_next(&types, &key, &value)) {
        int64_t type;
        if (mf_value_str(key, &name) != MF_OK || mf_value_int(value, &type) != MF_OK)
            return mf_fail(err, MF_E_MALFORMED, "message: labels_types: expected a map of integers");
        if (mf_value_get(m->labels, name, &label) && !fits(label, type))
            return mf_fail(err, MF_E_MALFORMED, "message: label \"%.*s\" does not fit its type %lld",
                           name.len < 60 ? (int)name.len : 60, name.at, (long long)type);
    }
    return MF_OK;
}
