/* codec/json_read.c: JSON text straight into msgpack, with no tree between.
 *
 * Why this one format is read by code of ours, when five libraries do it: docs/messages.md has the measurements. In
 * short, what Python writes (NaN, Infinity, integers of any length) and what a server needs (a limit of depth, no
 * silent change of a number or a text, an allocator that may refuse) is beyond each of them in at least two points.
 *
 * The grammar is RFC 8259's, plus NaN, Infinity and -Infinity. A text is looked through twice: once for its validity
 * and its length without escapes, once to copy it. Recursion ends with the builder's limit of depth. */
#include "builder.h"
#include "describe.h"
#include "json_number.h"
#include "json_text.h"
#include "layout.h"
#include "verify.h"

#include <math.h>
#include <stdio.h>

typedef struct reader {
    const char *begin, *at, *end;
    mf_builder  builder;
    mf_error   *err;
} reader;

/* ---- errors -------------------------------------------------------------------------------------------------- */

static mf_status fail_at(reader *r, const char *at, mf_status st, const char *what, const char *got)
{
    size_t line = 1, column = 1;
    for (const char *c = r->begin; c < at; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xc0) != 0x80) {
            column++;
        }
    }
    return mf_fail(r->err, st, "JSON: line %zu, column %zu: %s%s", line, column, what, got);
}

/* "expected a value, got "wide"...", with at most a few words of what stands there. */
static mf_status unexpected(reader *r, const char *expected)
{
    mfi_words echo;
    char got[MFI_ECHO_MAX + 32];
    size_t left = (size_t)(r->end - r->at), len = 0;
    while (len < left && len < 16 && r->at[len] != '\n')
        len++;
    if (left == 0)
        snprintf(got, sizeof got, ", got the end");
    else if (left >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0)
        snprintf(got, sizeof got, ", got a byte order mark: JSON has none");
    else if (mfi_utf8_valid(mf_str_of(r->at, len)) == 0)
        snprintf(got, sizeof got, ", got the byte 0x%02x", (unsigned char)*r->at);
    else
        snprintf(got, sizeof got, ", got '%s'",
                 mfi_echo(mf_str_of(r->at, mfi_utf8_valid(mf_str_of(r->at, len))), &echo));
    return fail_at(r, r->at, MF_E_MALFORMED, expected, got);
}

/* The builder refused: a limit, which is told, or memory. */
static mf_status refused(reader *r)
{
    const mf_limits *limits = &r->builder.limits;
    mf_status st = mf_builder_status(&r->builder);
    char limit[80] = "";
    if (st == MF_E_TOO_BIG && strncmp(r->builder.problem, "deeper", 6) == 0)
        snprintf(limit, sizeof limit, " of %u maps and lists within each other", limits->depth);
    else if (st == MF_E_TOO_BIG && strncmp(r->builder.problem, "more elements", 13) == 0)
        snprintf(limit, sizeof limit, " of %zu list items and map entries", limits->elements);
    else if (st == MF_E_TOO_BIG)
        snprintf(limit, sizeof limit, " of %zu", limits->bytes);
    return fail_at(r, r->at, st, r->builder.problem, limit);
}

static mf_status built(reader *r)
{
    return mf_builder_status(&r->builder) == MF_OK ? MF_OK : refused(r);
}

/* ---- small pieces -------------------------------------------------------------------------------------------- */

static char next(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static bool accept_char(reader *r, char c)
{
    if (next(r) != c || r->at == r->end)
        return false;
    r->at++;
    return true;
}

static bool accept_word(reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* The four hex digits at `at`, or -1. */
static int hex4(const char *at, const char *end)
{
    int n = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        n = n << 4 | digit;
    }
    return n;
}

static size_t encode_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((len == 2 ? 0xc0 : len == 3 ? 0xe0 : 0xf0) | c);
    return len;
}

/* One escape, `at` on its backslash: the character in out, its length returned, `at` after it. 0: no escape of JSON's;
 * 4 hex digits that are one half of a surrogate pair without the other are none either. */
static size_t escape(const char **at, const char *end, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *c = *at + 1;
    if (c == end)
        return 0;
    if (*c != 'u') {
        const char *found = *c == '\0' ? NULL : strchr(from, *c);
        if (found == NULL)
            return 0;
        out[0] = to[found - from];
        *at += 2;
        return 1;
    }
    int high = hex4(c + 1, end);
    if (high < 0 || (high >= 0xdc00 && high < 0xe000))
        return 0;
    *at += 6;
    if (high < 0xd800 || high >= 0xe000)
        return encode_utf8((uint32_t)high, out);
    int low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? hex4(*at + 2, end) : -1;
    if (low < 0xdc00 || low >= 0xe000) {
        *at -= 6;
        return 0;
    }
    *at += 6;
    return encode_utf8(0x10000 + (((uint32_t)high & 0x3ff) << 10) + ((uint32_t)low & 0x3ff), out);
}

static mf_status bad_escape(reader *r)
{
    bool half = r->end - r->at >= 6 && r->at[1] == 'u' && hex4(r->at + 2, r->end) >= 0;
    return unexpected(r, half ? "half a surrogate pair is no character: expected the other half" : "expected an escape");
}

/* To the next character that is not plain. Most texts are ASCII: only others are looked at again. */
static const char *plain_run(const char *at, const char *end, bool *ascii)
{
    unsigned char seen = 0;
    size_t step = 8;
    while (step == 8 && end - at >= 8)
        at += step = mfi_json_plain_of_eight(at, true);
    for (; at < end && mfi_json_plain(*at); at++)
        seen |= (unsigned char)*at;
    *ascii = seen < 0x80;
    return at;
}

/* First look: up to the closing quote. *len: bytes without escapes. */
static mf_status measure(reader *r, size_t *len, bool *escaped)
{
    char out[4];
    *len = 0;
    *escaped = false;
    for (;;) {
        bool ascii;
        const char *run = r->at;
        r->at = plain_run(run, r->end, &ascii);
        size_t run_len = (size_t)(r->at - run), valid = ascii ? run_len : mfi_utf8_valid(mf_str_of(run, run_len));
        *len += run_len;
        if (valid != run_len)
            return fail_at(r, run + valid, MF_E_MALFORMED, "text that is not UTF-8", "");
        if (r->at == r->end)
            return unexpected(r, "expected the end of the text, '\"'");
        if (*r->at == '"')
            return MF_OK;
        if (*r->at != '\\')
            return unexpected(r, "a control character stands in a text: expected an escape");
        size_t one = escape(&r->at, r->end, out);
        if (one == 0)
            return bad_escape(r);
        *len += one;
        *escaped = true;
    }
}

/* Second look: from `at` to `close`, escapes undone. */
static void copy_escaped(mf_builder *b, const char *at, const char *close)
{
    char out[4];
    while (at < close) {
        const char *run = at;
        while (at < close && *at != '\\')
            at++;
        mfi_build_str_part(b, run, (size_t)(at - run));
        if (at < close)
            mfi_build_str_part(b, out, escape(&at, close, out));
    }
}

static mf_status text(reader *r)
{
    const char *from = ++r->at;
    size_t len;
    bool escaped;
    mf_status st = measure(r, &len, &escaped);
    if (st != MF_OK)
        return st;
    mfi_build_str_begin(&r->builder, len);
    if (escaped)
        copy_escaped(&r->builder, from, r->at);
    else
        mfi_build_str_part(&r->builder, from, len);
    mfi_build_str_end(&r->builder);
    r->at++;
    return built(r);
}

/* ---- values -------------------------------------------------------------------------------------------------- */

static mf_status number(reader *r)
{
    mfi_number n;
    const char *problem = NULL;
    const char *after = mfi_number_read(r->at, r->end, &n, &problem);
    if (n.kind == MFI_NUMBER_NONE)
        return unexpected(r, problem);
    if (n.kind == MFI_NUMBER_TOO_BIG) {
        mfi_words echo;
        return fail_at(r, r->at, MF_E_TOO_BIG, problem, mfi_echo(mf_str_of(r->at, (size_t)(after - r->at)), &echo));
    }
    r->at = after;
    if (n.kind == MFI_NUMBER_FLOAT)
        mf_build_float(&r->builder, n.real);
    else if (n.kind == MFI_NUMBER_NEGATIVE)
        mf_build_int(&r->builder, (int64_t)n.bits);
    else
        mf_build_uint(&r->builder, n.bits);
    return built(r);
}

static mf_status word(reader *r)
{
    if (accept_word(r, "null"))
        mf_build_nil(&r->builder);
    else if (accept_word(r, "true"))
        mf_build_bool(&r->builder, true);
    else if (accept_word(r, "false"))
        mf_build_bool(&r->builder, false);
    else if (accept_word(r, "NaN"))
        mf_build_float(&r->builder, (double)NAN);
    else if (accept_word(r, "Infinity"))
        mf_build_float(&r->builder, (double)INFINITY);
    else if (accept_word(r, "-Infinity"))
        mf_build_float(&r->builder, -(double)INFINITY);
    else
        return unexpected(r, "expected a value");
    return built(r);
}

static mf_status value(reader *r);

static mf_status array(reader *r)
{
    mf_build_array_begin(&r->builder);
    mf_status st = built(r);
    r->at++;
    if (st == MF_OK && !accept_char(r, ']')) {
        do
            st = value(r);
        while (st == MF_OK && accept_char(r, ','));
        if (st == MF_OK && !accept_char(r, ']'))
            st = unexpected(r, "expected ',' or ']'");
    }
    mf_build_end(&r->builder);
    return st != MF_OK ? st : built(r);
}

static mf_status entry(reader *r)
{
    if (next(r) != '"')
        return unexpected(r, "expected a key in '\"'");
    mf_status st = text(r);
    if (st != MF_OK)
        return st;
    return accept_char(r, ':') ? value(r) : unexpected(r, "expected ':'");
}

static mf_status object(reader *r)
{
    mf_build_map_begin(&r->builder);
    mf_status st = built(r);
    r->at++;
    if (st == MF_OK && !accept_char(r, '}')) {
        do
            st = entry(r);
        while (st == MF_OK && accept_char(r, ','));
        if (st == MF_OK && !accept_char(r, '}'))
            st = unexpected(r, "expected ',' or '}'");
    }
    mf_build_end(&r->builder);
    return st != MF_OK ? st : built(r);
}

static mf_status value(reader *r)
{
    char c = next(r);
    if (c == '{')
        return object(r);
    if (c == '[')
        return array(r);
    if (c == '"')
        return text(r);
    bool infinite = c == '-' && r->end - r->at > 1 && r->at[1] == 'I';
    return (c == '-' && !infinite) || (c >= '0' && c <= '9') ? number(r) : word(r);
}

mf_status mf_message_from_json(mf_str json, const mf_limits *limits, const mf_allocator *allocator, mf_message **out,
                               mf_error *err)
{
    reader r;
    mf_limits within;
    mf_status st = mfi_limits_resolve(limits, &within, err);
    if (st != MF_OK)
        return st;
    if (json.len > within.bytes)
        return mf_fail(err, MF_E_TOO_BIG, "JSON: %zu bytes, the limit is %zu", json.len, within.bytes);
    r.begin = r.at = json.len == 0 ? "" : json.at;
    r.end = r.begin + json.len;
    r.err = err;
    mf_builder_init(&r.builder, allocator, &within);
    st = value(&r);
    if (st == MF_OK && (next(&r), r.at < r.end))
        st = unexpected(&r, "expected the end");
    if (st == MF_OK)
        st = mf_builder_finish(&r.builder, out, err);
    mf_builder_fini(&r.builder);
    return st;
}
