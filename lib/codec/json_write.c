/* codec/json_write.c: a value as compact JSON text.
 *
 * The text grows in a block on the stack, and beyond it in one from the allocator; it leaves in one of exactly its length,
 * because whoever frees it tells no more than that length. */
#include "json.h"

#include "describe.h"
#include "json_number.h"
#include "memory.h"
#include "wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define SMALL 1024

typedef struct writer {
    const mf_allocator *allocator;
    mfi_json_style      style;
    mf_str              field;     /* the key written last, for the error text; at == NULL: none yet */
    mf_status           status;    /* sticky */
    const char         *problem;
    char               *at;        /* small, or a block of `room` bytes */
    size_t              len, room;
    char                small_block[SMALL];
} writer;

static void fail(writer *w, mf_status st, const char *problem)
{
    if (w->status == MF_OK) {
        w->status = st;
        w->problem = problem;
    }
}

static void release(writer *w)
{
    if (w->at != w->small_block)
        mfi_release(w->allocator, w->at, w->room);
}

static bool reserve(writer *w, size_t more)
{
    if (w->status != MF_OK)
        return false;
    if (more <= w->room - w->len)
        return true;
    size_t room = w->room * 2 > w->len + more ? w->room * 2 : w->len + more;
    char *moved = mfi_alloc(w->allocator, room);
    if (moved == NULL) {
        fail(w, MF_E_NOMEM, "no memory for the text");
        return false;
    }
    memcpy(moved, w->at, w->len);
    release(w);
    w->at = moved;
    w->room = room;
    return true;
}

static void append(writer *w, const char *at, size_t len)
{
    if (len == 0 || !reserve(w, len))
        return;
    memcpy(w->at + w->len, at, len);
    w->len += len;
}

static void put(writer *w, char c)
{
    append(w, &c, 1);
}

/* ---- scalars ------------------------------------------------------------------------------------------------- */

static void write_escape(writer *w, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c == 0 ? NULL : strchr(from, c);
    char out[8];
    if (found != NULL)
        snprintf(out, sizeof out, "\\%c", to[found - from]);
    else
        snprintf(out, sizeof out, "\\u%04x", c);
    append(w, out, strlen(out));
}

static void write_text(writer *w, mf_str text)
{
    put(w, '"');
    size_t run = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        append(w, text.at + run, i - run);
        write_escape(w, c);
        run = i + 1;
    }
    append(w, text.at + run, text.len - run);
    put(w, '"');
}

static void write_base64(writer *w, mf_str bytes)
{
    if (w->style == MFI_JSON_EXACT)
        fail(w, MF_E_UNSUPPORTED, "binary has no form in JSON");
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    put(w, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (k < n ? (unsigned char)bytes.at[i + k] : 0);
        char four[4] = {alphabet[three >> 18], alphabet[three >> 12 & 63], n > 1 ? alphabet[three >> 6 & 63] : '=',
                        n > 2 ? alphabet[three & 63] : '='};
        append(w, four, sizeof four);
    }
    put(w, '"');
}

static void write_int(writer *w, const mfi_head *head)
{
    char out[24];
    int len = head->negative ? snprintf(out, sizeof out, "%" PRId64, (int64_t)head->bits)
                             : snprintf(out, sizeof out, "%" PRIu64, head->bits);
    append(w, out, (size_t)len);
}

static void write_float(writer *w, const mfi_head *head)
{
    char out[MFI_NUMBER_TEXT];
    double number;
    memcpy(&number, &head->bits, sizeof number);
    if (w->style == MFI_JSON_EXACT && !isfinite(number))
        fail(w, MF_E_UNSUPPORTED, "NaN and Infinity have no form in JSON");
    append(w, out, mfi_number_write(number, out));
}

/* ---- values -------------------------------------------------------------------------------------------------- */

static void write_value(writer *w, mf_value value);

static void write_items(writer *w, mf_value value, char open, char close)
{
    mf_iter items = mf_value_iter(value);
    mf_value key, item;
    mf_str name;
    char before = open;
    while (w->status == MF_OK && mf_iter_next(&items, &key, &item)) {
        put(w, before);
        before = ',';
        if (key.at != NULL) {
            if (mf_value_str(key, &name) != MF_OK) {
                fail(w, MF_E_UNSUPPORTED, "a key that is no text has no form in JSON");
                return;
            }
            w->field = name;
            write_text(w, name);
            put(w, ':');
        }
        write_value(w, item);
    }
    if (before == open)
        put(w, open);
    put(w, close);
}

/* Recursion is bounded by the depth of a message, MF_DEPTH_MAX. */
static void write_value(writer *w, mf_value value)
{
    mfi_head head;
    if (value.at == NULL || !mfi_head_read(value.at, value.at + value.len, &head)) {
        append(w, "null", 4);
        return;
    }
    mf_str body = {(const char *)value.at + head.size, head.count};
    switch (head.type) {
    case MF_TYPE_NONE:
    case MF_TYPE_NIL:   append(w, "null", 4); break;
    case MF_TYPE_BOOL:  append(w, head.bits ? "true" : "false", head.bits ? 4 : 5); break;
    case MF_TYPE_INT:   write_int(w, &head); break;
    case MF_TYPE_FLOAT: write_float(w, &head); break;
    case MF_TYPE_STR:   write_text(w, body); break;
    case MF_TYPE_BIN:   write_base64(w, body); break;
    case MF_TYPE_ARRAY: write_items(w, value, '[', ']'); break;
    case MF_TYPE_MAP:   write_items(w, value, '{', '}'); break;
    case MF_TYPE_EXT:   fail(w, MF_E_UNSUPPORTED, "an extension value has no form in JSON"); break;
    }
}

static char *take(writer *w)
{
    char *text = mfi_alloc(w->allocator, w->len + 1);
    if (text == NULL) {
        fail(w, MF_E_NOMEM, "no memory for the text");
        return NULL;
    }
    memcpy(text, w->at, w->len);
    text[w->len] = '\0';
    return text;
}

static mf_status report(const writer *w, mf_error *err)
{
    mfi_words echo;
    if (w->field.at == NULL || w->status == MF_E_NOMEM)
        return mf_fail(err, w->status, "JSON: %s", w->problem);
    return mf_fail(err, w->status, "JSON: field \"%s\": %s", mfi_echo(w->field, &echo), w->problem);
}

mf_status mfi_value_to_json(mf_value value, mfi_json_style style, const mf_allocator *allocator, char **text, size_t *len,
                            mf_error *err)
{
    writer w;
    w.allocator = allocator;
    w.style = style;
    w.field = mf_str_of(NULL, 0);
    w.status = MF_OK;
    w.problem = NULL;
    w.at = w.small_block;
    w.len = 0;
    w.room = sizeof w.small_block;
    write_value(&w, value);
    char *whole = w.status == MF_OK ? take(&w) : NULL;
    release(&w);
    if (whole == NULL)
        return report(&w, err);
    *text = whole;
    *len = w.len;
    return MF_OK;
}

mf_status mf_value_to_json(mf_value value, const mf_allocator *allocator, char **text, size_t *len, mf_error *err)
{
    return mfi_value_to_json(value, MFI_JSON_PYTHON, allocator, text, len, err);
}

mf_status mf_message_to_json(const mf_message *message, const mf_allocator *allocator, char **text, size_t *len,
                             mf_error *err)
{
    if (message != NULL && mf_message_status(message) != MF_OK)
        return mf_fail(err, mf_message_status(message), "JSON: the message failed to build");
    return mf_value_to_json(mf_message_value(message), allocator, text, len, err);
}

void mf_json_free(const mf_allocator *allocator, char *text, size_t len)
{
    if (text != NULL)
        mfi_release(allocator, text, len + 1);
}
