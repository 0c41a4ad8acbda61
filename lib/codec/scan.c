/* codec/scan.c: reading by a format: the mirror image of format.c. */
#include "describe.h"

typedef struct scanner {
    va_list   args;
    mf_error *err;
    mf_status status;
    mf_str    field;    /* the one being read; at == NULL at the top */
} scanner;

/* Each reads its part of the format and returns what follows it. NULL: it failed, and status tells how. */

static inline const char *blanks(const char *at)
{
    while ((unsigned char)*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t'))
        at++;
    return at;
}

static const char *malformed(scanner *s, const char *at)
{
    s->status = mf_fail(s->err, MF_E_INVALID, "scan: malformed format at \"%.20s\"", at);
    return NULL;
}

static const char *mismatch(scanner *s, const char *expected, mf_value got)
{
    mfi_words echo, words;
    if (s->field.at == NULL)
        s->status = mf_fail(s->err, MF_E_TYPE, "expected %s, got %s", expected, mfi_describe(got, &words));
    else
        s->status = mf_fail(s->err, MF_E_TYPE, "field \"%s\": expected %s, got %s", mfi_echo(s->field, &echo), expected,
                            mfi_describe(got, &words));
    return NULL;
}

static mf_status read_int(mf_value value, int *out)
{
    int64_t n = 0;
    mf_status st = mf_value_int(value, &n);
    if (st == MF_OK && (n < INT32_MIN || n > INT32_MAX))
        st = MF_E_TYPE;
    if (st == MF_OK)
        *out = (int)n;
    return st;
}

/* value.at == NULL: an optional field that is missing; its arguments are taken and left as they are. */
#define READ(T, expected, call)                                                                                       \
    do {                                                                                                              \
        T *out = va_arg(s->args, T *);                                                                                \
        return value.at == NULL || (call) == MF_OK ? at : mismatch(s, expected, value);                               \
    } while (0)

static inline const char *scan_scalar(scanner *s, const char *at, char letter, mf_value value)
{
    switch (letter) {
    case 's':
    case 'S': READ(mf_str, "text", mf_value_str(value, out));
    case 'B': READ(mf_str, "binary", mf_value_bin(value, out));
    case 'b': READ(bool, "true or false", mf_value_bool(value, out));
    case 'i': READ(int, "an integer of 32 bits", read_int(value, out));
    case 'I': READ(int64_t, "an integer of 64 bits", mf_value_int(value, out));
    case 'U': READ(uint64_t, "an integer of 64 bits from 0", mf_value_uint(value, out));
    case 'f': READ(double, "a number", mf_value_float(value, out));
    case 'v': READ(mf_value, "anything", (*out = value, MF_OK));
    case 'n':
        return value.at == NULL || mf_value_type(value) == MF_TYPE_NIL ? at : mismatch(s, "nil", value);
    default:
        return malformed(s, at - 1);
    }
}

static const char *scan(scanner *s, const char *at, mf_value value);

static inline const char *scan_entry(scanner *s, const char *at, mf_value map)
{
    at = blanks(at);
    if (*at != 's' && *at != 'S')
        return malformed(s, at);
    mf_str name = *at == 's' ? mf_cstr(va_arg(s->args, const char *)) : va_arg(s->args, mf_str);
    at = blanks(at + 1);
    bool optional = *at == '?';
    if (optional)
        at = blanks(at + 1);
    if (*at != ':')
        return malformed(s, at);
    mf_value value;
    mfi_words echo;
    bool found = mf_value_get(map, name, &value);
    if (!found && !optional && map.at != NULL) {
        s->status = mf_fail(s->err, MF_E_NOT_FOUND, "field \"%s\": required, but missing", mfi_echo(name, &echo));
        return NULL;
    }
    if (optional && mf_value_type(value) == MF_TYPE_NIL)
        value = (mf_value){NULL, 0};
    s->field = name;
    return scan(s, at + 1, value);
}

static const char *scan_map(scanner *s, const char *at, mf_value map)
{
    if (map.at != NULL && mf_value_type(map) != MF_TYPE_MAP)
        return mismatch(s, "a map", map);
    at = blanks(at);
    if (*at == '}')
        return at + 1;
    do {
        if ((at = scan_entry(s, at, map)) == NULL)
            return NULL;
        at = blanks(at);
    } while (*at++ == ',');
    return at[-1] == '}' ? at : malformed(s, at - 1);
}

static const char *scan_array(scanner *s, const char *at, mf_value array)
{
    mf_str field = s->field;
    mf_value rest = array;
    if (array.at != NULL && mf_value_type(array) != MF_TYPE_ARRAY)
        return mismatch(s, "an array", array);
    mf_iter items = mf_value_iter(array);
    bool enough = true;
    at = blanks(at);
    if (*at == ']') {
        at++;
    } else {
        do {
            rest = (mf_value){NULL, 0};
            enough = enough && (array.at == NULL || mf_iter_next(&items, NULL, &rest));
            s->field = field;
            if ((at = scan(s, at, rest)) == NULL)
                return NULL;
            at = blanks(at);
        } while (*at++ == ',');
        if (at[-1] != ']')
            return malformed(s, at - 1);
    }
    s->field = field;
    return enough && items.left == 0 ? at : mismatch(s, "an array of another length", array);
}

/* Recursion follows the format, which the programmer wrote. */
static const char *scan(scanner *s, const char *at, mf_value value)
{
    at = blanks(at);
    char letter = *at;
    if (letter == '\0')
        return malformed(s, at);
    if (letter == '{')
        return scan_map(s, at + 1, value);
    if (letter == '[')
        return scan_array(s, at + 1, value);
    return scan_scalar(s, at + 1, letter, value);
}

static mf_status scanv(mf_value value, mf_error *err, const char *fmt, va_list args)
{
    scanner s = {.err = err, .status = MF_OK, .field = {NULL, 0}};
    if (value.at == NULL)
        return mf_fail(err, MF_E_TYPE, "there is no value to read");
    va_copy(s.args, args);
    const char *rest = scan(&s, fmt, value);
    if (rest != NULL && *blanks(rest) != '\0')
        malformed(&s, blanks(rest));
    va_end(s.args);
    return s.status;
}

mf_status mf_value_scan(mf_value value, mf_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mf_status st = scanv(value, err, fmt, args);
    va_end(args);
    return st;
}

mf_status mf_message_scan(const mf_message *message, mf_error *err, const char *fmt, ...)
{
    va_list args;
    if (message != NULL && mf_message_status(message) != MF_OK)
        return mf_fail(err, mf_message_status(message), "the message failed to build");
    va_start(args, fmt);
    mf_status st = scanv(mf_message_value(message), err, fmt, args);
    va_end(args);
    return st;
}
