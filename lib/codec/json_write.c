/* codec/json_write.c: a value as compact JSON text.
 *
 * The text grows in a block on the stack, and beyond it in one from the allocator; it leaves in one of exactly its length,
 * because whoever frees it tells no more than that length. */
#include "json.h"

#include "describe.h"
#include "json_number.h"
#include "json_text.h"
#include "memory.h"
#include "wire.h"

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

/* How many of the next characters stand as they are. */
static size_t plain_run(const char *at, size_t left)
{
    size_t len = 0, step = 8;
    while (step == 8 && left - len >= 8)
        len += step = mfi_json_plain_of_eight(at + len, false);
    while (len < left && mfi_json_plain(at[len]))
        len++;
    return len;
}

static void write_text(writer *w, mf_str text)
{
    put(w, '"');
    while (text.len > 0) {
        size_t run = plain_run(text.at, text.len);
        append(w, text.at, run);
        if (run < text.len)
            write_escape(w, (unsigned char)text.at[run++]);
        text = mf_str_of(text.at + run, text.len - run);
    }
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
    char out[MFI_NUMBER_TEXT];
    if (head->negative)
        put(w, '-');
    append(w, out, mfi_digits_write(head->negative ? 0 - head->bits : head->bits, out));
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

/* Writes the value at `at` and returns what follows it; the bytes are verified ones. NULL: something failed. */
static const unsigned char *write_value(writer *w, const unsigned char *at, const unsigned char *end);

static const unsigned char *write_key(writer *w, const unsigned char *at, const unsigned char *end)
{
    mfi_head head;
    if (!mfi_head_read(at, end, &head) || head.type != MF_TYPE_STR) {
        fail(w, MF_E_UNSUPPORTED, "a key that is no text has no form in JSON");
        return NULL;
    }
    w->field = mf_str_of((const char *)at + head.size, head.count);
    write_text(w, w->field);
    put(w, ':');
    return at + head.size + head.count;
}

static const unsigned char *write_items(writer *w, const unsigned char *at, const unsigned char *end, uint32_t count, bool map)
{
    put(w, map ? '{' : '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            put(w, ',');
        if (map && (at = write_key(w, at, end)) == NULL)
            return NULL;
        if ((at = write_value(w, at, end)) == NULL)
            return NULL;
    }
    put(w, map ? '}' : ']');
    return at;
}

/* Recursion is bounded by the depth of a message, MF_DEPTH_MAX. */
static const unsigned char *write_value(writer *w, const unsigned char *at, const unsigned char *end)
{
    mfi_head head;
    if (!mfi_head_read(at, end, &head) || mfi_head_body(&head) > (size_t)(end - at) - head.size) {
        fail(w, MF_E_MALFORMED, "a value that is not whole");
        return NULL;
    }
    at += head.size;
    mf_str body = {(const char *)at, mfi_head_body(&head)};
    switch (head.type) {
    case MF_TYPE_NONE:
    case MF_TYPE_NIL:   append(w, "null", 4); break;
    case MF_TYPE_BOOL:  append(w, head.bits ? "true" : "false", head.bits ? 4 : 5); break;
    case MF_TYPE_INT:   write_int(w, &head); break;
    case MF_TYPE_FLOAT: write_float(w, &head); break;
    case MF_TYPE_STR:   write_text(w, body); break;
    case MF_TYPE_BIN:   write_base64(w, body); break;
    case MF_TYPE_ARRAY: at = write_items(w, at, end, head.count, false); break;
    case MF_TYPE_MAP:   at = write_items(w, at, end, head.count, true); break;
    case MF_TYPE_EXT:   fail(w, MF_E_UNSUPPORTED, "an extension value has no form in JSON"); break;
    }
    return w->status == MF_OK ? at + body.len : NULL;
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
    if (value.at == NULL)
        append(&w, "null", 4);
    else
        write_value(&w, value.at, value.at + value.len);
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
