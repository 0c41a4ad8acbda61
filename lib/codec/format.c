/* codec/format.c: mf_msg: a message from a format and its arguments. */
#include "builder.h"
#include "layout.h"

typedef struct formatter {
    va_list    args;
    mf_builder builder;
} formatter;

/* Each takes its part of the format and returns what follows it. NULL: it is malformed, or the builder failed. */

static inline const char *blanks(const char *at)
{
    while ((unsigned char)*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t'))
        at++;
    return at;
}

static inline const char *key(formatter *f, const char *at)
{
    at = blanks(at);
    if (*at == 's') {
        const char *name = va_arg(f->args, const char *);
        if (name == NULL)
            return NULL;
        mfi_put_text(&f->builder, mf_cstr(name));
    } else if (*at == 'S') {
        mfi_put_text(&f->builder, va_arg(f->args, mf_str));
    } else {
        return NULL;
    }
    at = blanks(at + 1);
    return *at == ':' ? at + 1 : NULL;
}

static const char *values(formatter *f, const char *at, char close);

static inline void text_or_nil(mf_builder *b, const char *text)
{
    if (text == NULL)
        mfi_put_nil(b);
    else
        mfi_put_text(b, mf_cstr(text));
}

/* The shape is the format's, so that the builder need not look at it for what is written here; the others count on it. */
static inline const char *value(formatter *f, const char *at)
{
    mf_builder *b = &f->builder;
    at = blanks(at);
    switch (*at++) {
    case 's': text_or_nil(b, va_arg(f->args, const char *)); break;
    case 'S': mfi_put_text(b, va_arg(f->args, mf_str)); break;
    case 'i': mfi_put_int(b, va_arg(f->args, int)); break;
    case 'I': mfi_put_int(b, va_arg(f->args, int64_t)); break;
    case 'U': mfi_put_uint(b, va_arg(f->args, uint64_t)); break;
    case 'f': mfi_put_float(b, va_arg(f->args, double)); break;
    case 'b': mfi_put_bool(b, va_arg(f->args, int) != 0); break;
    case 'n': mfi_put_nil(b); break;
    case 'T': mf_build_str_lossy(b, va_arg(f->args, mf_str)); break;
    case 'B': mf_build_bin(b, va_arg(f->args, mf_str)); break;
    case 'v': mf_build_value(b, va_arg(f->args, mf_value)); break;
    case 'm': mf_build_message(b, va_arg(f->args, const mf_message *)); break;
    case '{': at = values(f, at, '}'); break;
    case '[': at = values(f, at, ']'); break;
    default:  return NULL;
    }
    return b->status == MF_OK ? at : NULL;
}

/* What stands before `close`: the entries of a map, the items of an array, or the one value of a whole format. While these are read,
 * the builder is told of a map that waits for the value of an entry: there anything may stand, and nothing is counted. Recursion
 * ends with the builder's limit of depth, beyond which it has failed. */
static const char *values(formatter *f, const char *at, char close)
{
    mf_builder *b = &f->builder;
    struct mf_builder_open whole, *top = &whole;
    bool map = close == '}';
    if (close != '\0') {
        if (!mfi_builder_open(b, map))
            return NULL;
        top = &b->open[b->depth - 1];
        at = blanks(at);
        if (*at == close) {
            mfi_builder_close(b);
            return at + 1;
        }
    }
    uint32_t n = 0;
    top->map = true;
    do {
        if (close != '\0' && !mfi_builder_count_elements(b, 1))
            return NULL;
        if (map && (at = key(f, at)) == NULL)
            return NULL;
        top->left = 1;
        if ((at = value(f, at)) == NULL)
            return NULL;
        n++;
        at = blanks(at);
    } while (*at++ == ',' && close != '\0');
    if (at[-1] != close)
        return NULL;
    if (close != '\0') {
        top->map = map;
        top->left = map ? 2 * n : n;
        mfi_builder_close(b);
    }
    return at;
}

mf_message *mf_msgv(const char *fmt, va_list args)
{
    formatter f;
    mf_message *message = NULL;
    va_copy(f.args, args);
    mf_builder_init(&f.builder, NULL, NULL);
    if (values(&f, fmt, '\0') == NULL)
        mfi_builder_fail(&f.builder, MF_E_INVALID, "a malformed format");
    mf_status st = mf_builder_finish(&f.builder, &message, NULL);
    va_end(f.args);
    return st == MF_OK ? message : mfi_message_failed(st);
}

mf_message *mf_msg(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mf_message *message = mf_msgv(fmt, args);
    va_end(args);
    return message;
}
