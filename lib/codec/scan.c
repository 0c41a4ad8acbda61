/* codec/scan.c: reading by a format: the mirror image of format.c. */
#include "describe.h"

typedef struct scanner {
    const char *at;
    va_list     args;
    mf_error   *err;
    mf_str      field;    /* the one being read; at == NULL at the top */
} scanner;

static char peek(scanner *s)
{
    while (*s->at == ' ' || *s->at == '\n' || *s->at == '\t')
        s->at++;
    return *s->at;
}

static bool accept_char(scanner *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

static mf_status malformed(scanner *s)
{
    return mf_fail(s->err, MF_E_INVALID, "scan: malformed format at \"%.20s\"", s->at);
}

static mf_status mismatch(scanner *s, const char *expected, mf_value got)
{
    mfi_words echo, words;
    if (s->field.at == NULL)
        return mf_fail(s->err, MF_E_TYPE, "expected %s, got %s", expected, mfi_describe(got, &words));
    return mf_fail(s->err, MF_E_TYPE, "field \"%s\": expected %s, got %s", mfi_echo(s->field, &echo), expected,
                   mfi_describe(got, &words));
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
        return value.at == NULL || (call) == MF_OK ? MF_OK : mismatch(s, expected, value);                            \
    } while (0)

static mf_status scan_scalar(scanner *s, char letter, mf_value value)
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
        return value.at == NULL || mf_value_type(value) == MF_TYPE_NIL ? MF_OK : mismatch(s, "nil", value);
    default:
        s->at--;
        return malformed(s);
    }
}

static mf_status scan(scanner *s, mf_value value);

static mf_status scan_entry(scanner *s, mf_value map)
{
    bool c_text = accept_char(s, 's');
    if (!c_text && !accept_char(s, 'S'))
        return malformed(s);
    mf_str name = c_text ? mf_cstr(va_arg(s->args, const char *)) : va_arg(s->args, mf_str);
    bool optional = accept_char(s, '?');
    if (!accept_char(s, ':'))
        return malformed(s);
    mf_value value;
    mfi_words echo;
    bool found = mf_value_get(map, name, &value);
    if (!found && !optional && map.at != NULL)
        return mf_fail(s->err, MF_E_NOT_FOUND, "field \"%s\": required, but missing", mfi_echo(name, &echo));
    if (optional && mf_value_type(value) == MF_TYPE_NIL)
        value = (mf_value){NULL, 0};
    s->field = name;
    return scan(s, value);
}

static mf_status scan_map(scanner *s, mf_value map)
{
    if (map.at != NULL && mf_value_type(map) != MF_TYPE_MAP)
        return mismatch(s, "a map", map);
    if (accept_char(s, '}'))
        return MF_OK;
    do {
        mf_status st = scan_entry(s, map);
        if (st != MF_OK)
            return st;
    } while (accept_char(s, ','));
    return accept_char(s, '}') ? MF_OK : malformed(s);
}

static mf_status scan_array(scanner *s, mf_value array)
{
    mf_str field = s->field;
    mf_value rest = array;
    if (array.at != NULL && mf_value_type(array) != MF_TYPE_ARRAY)
        return mismatch(s, "an array", array);
    mf_iter items = mf_value_iter(array);
    bool enough = true;
    if (!accept_char(s, ']')) {
        do {
            rest = (mf_value){NULL, 0};
            enough = enough && (array.at == NULL || mf_iter_next(&items, NULL, &rest));
            s->field = field;
            mf_status st = scan(s, rest);
            if (st != MF_OK)
                return st;
        } while (accept_char(s, ','));
        if (!accept_char(s, ']'))
            return malformed(s);
    }
    s->field = field;
    return enough && items.left == 0 ? MF_OK : mismatch(s, "an array of another length", array);
}

/* Recursion follows the format, which the programmer wrote. */
static mf_status scan(scanner *s, mf_value value)
{
    char letter = peek(s);
    if (letter == '\0')
        return malformed(s);
    s->at++;
    if (letter == '{')
        return scan_map(s, value);
    if (letter == '[')
        return scan_array(s, value);
    return scan_scalar(s, letter, value);
}

static mf_status scanv(mf_value value, mf_error *err, const char *fmt, va_list args)
{
    scanner s = {.at = fmt, .err = err, .field = {NULL, 0}};
    if (value.at == NULL)
        return mf_fail(err, MF_E_TYPE, "there is no value to read");
    va_copy(s.args, args);
    mf_status st = scan(&s, value);
    if (st == MF_OK && peek(&s) != '\0')
        st = malformed(&s);
    va_end(s.args);
    return st;
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
