/* codec/format.c: mf_msg: a message from a format and its arguments. */
#include "layout.h"

typedef struct formatter {
    const char *at;
    va_list     args;
    mf_builder  builder;
    bool        bad;      /* the format itself is malformed */
} formatter;

static char peek(formatter *f)
{
    while (*f->at == ' ' || *f->at == '\n' || *f->at == '\t')
        f->at++;
    return *f->at;
}

static bool accept_char(formatter *f, char c)
{
    if (peek(f) != c)
        return false;
    f->at++;
    return true;
}

static bool going_on(const formatter *f)
{
    return !f->bad && mf_builder_status(&f->builder) == MF_OK;
}

static void key(formatter *f)
{
    if (accept_char(f, 's')) {
        const char *name = va_arg(f->args, const char *);
        f->bad |= name == NULL;
        mf_build_key(&f->builder, name);
    } else if (accept_char(f, 'S')) {
        mf_build_str(&f->builder, va_arg(f->args, mf_str));
    } else {
        f->bad = true;
    }
    f->bad |= !accept_char(f, ':');
}

static void value(formatter *f);

static void container(formatter *f, bool map, char close)
{
    map ? mf_build_map_begin(&f->builder) : mf_build_array_begin(&f->builder);
    if (!accept_char(f, close)) {
        do {
            if (map)
                key(f);
            if (going_on(f))
                value(f);
        } while (going_on(f) && accept_char(f, ','));
        if (going_on(f))
            f->bad = !accept_char(f, close);
    }
    mf_build_end(&f->builder);
}

static void text_or_nil(mf_builder *b, const char *text)
{
    if (text == NULL)
        mf_build_nil(b);
    else
        mf_build_str(b, mf_cstr(text));
}

/* Recursion ends with the builder's limit of depth: going_on is false beyond it. */
static void value(formatter *f)
{
    mf_builder *b = &f->builder;
    char letter = peek(f);
    if (letter != '\0')
        f->at++;
    switch (letter) {
    case '{': container(f, true, '}'); break;
    case '[': container(f, false, ']'); break;
    case 's': text_or_nil(b, va_arg(f->args, const char *)); break;
    case 'S': mf_build_str(b, va_arg(f->args, mf_str)); break;
    case 'T': mf_build_str_lossy(b, va_arg(f->args, mf_str)); break;
    case 'B': mf_build_bin(b, va_arg(f->args, mf_str)); break;
    case 'i': mf_build_int(b, va_arg(f->args, int)); break;
    case 'I': mf_build_int(b, va_arg(f->args, int64_t)); break;
    case 'U': mf_build_uint(b, va_arg(f->args, uint64_t)); break;
    case 'f': mf_build_float(b, va_arg(f->args, double)); break;
    case 'b': mf_build_bool(b, va_arg(f->args, int) != 0); break;
    case 'n': mf_build_nil(b); break;
    case 'v': mf_build_value(b, va_arg(f->args, mf_value)); break;
    case 'm': mf_build_message(b, va_arg(f->args, const mf_message *)); break;
    default:  f->bad = true; break;
    }
}

mf_message *mf_msgv(const char *fmt, va_list args)
{
    formatter f;
    mf_message *message = NULL;
    f.at = fmt;
    f.bad = false;
    va_copy(f.args, args);
    mf_builder_init(&f.builder, NULL, NULL);
    value(&f);
    if (going_on(&f))
        f.bad = peek(&f) != '\0';
    mf_status st = f.bad ? MF_E_INVALID : mf_builder_finish(&f.builder, &message, NULL);
    mf_builder_fini(&f.builder);
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
