/* Data as a pickle: protocol 2, no memo, the opcodes that every unpickler since Python 2.3 knows.
 *
 * The length is computed first, so that the bytes are written into one allocation of exactly their size. */
#include "taskiq_wire.h"

#include "memory.h"

/* Written where `at` is set, counted in any case. */
typedef struct writer {
    unsigned char *at;
    size_t         len;
    bool           binary;      /* a binary value was met */
} writer;

static void put(writer *w, unsigned char byte)
{
    if (w->at != NULL)
        w->at[w->len] = byte;
    w->len++;
}

static void put_bytes(writer *w, const char *bytes, size_t len)
{
    if (w->at != NULL && len > 0)
        memcpy(w->at + w->len, bytes, len);
    w->len += len;
}

static void put_little(writer *w, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put(w, (unsigned char)(n >> 8 * i));
}

/* A text is 'X', its length in four bytes, UTF-8; binary is the same under 'B'. */
static void put_counted(writer *w, unsigned char opcode, mf_str s)
{
    put(w, opcode);
    put_little(w, s.len, 4);
    put_bytes(w, s.at, s.len);
}

/* 'K' one byte, 'J' four signed ones, else LONG1: a count, then two's complement. */
static void put_int(writer *w, mf_value value)
{
    int64_t n;
    uint64_t u = 0;
    if (mf_value_int(value, &n) != MF_OK) {         /* from 2^63 on: a ninth byte keeps it positive */
        (void)!mf_value_uint(value, &u);
        put(w, 0x8a);
        put(w, 9);
        put_little(w, u, 8);
        put(w, 0);
        return;
    }
    if (n >= 0 && n < 256) {
        put(w, 'K');
        put(w, (unsigned char)n);
    } else if (n >= INT32_MIN && n <= INT32_MAX) {
        put(w, 'J');
        put_little(w, (uint64_t)n, 4);
    } else {
        unsigned bytes = 5;
        while (bytes < 8 && (n >> (8 * bytes - 1)) != 0 && (n >> (8 * bytes - 1)) != -1)
            bytes++;
        put(w, 0x8a);
        put(w, (unsigned char)bytes);
        put_little(w, (uint64_t)n, bytes);
    }
}

static void put_float(writer *w, mf_value value)
{
    double d = 0;
    uint64_t bits;
    (void)!mf_value_float(value, &d);
    memcpy(&bits, &d, sizeof bits);
    put(w, 'G');
    for (int shift = 56; shift >= 0; shift -= 8)
        put(w, (unsigned char)(bits >> shift));
}

/* Recursion is bounded by the depth of a message, MF_DEPTH_MAX. */
static void put_value(writer *w, mf_value value)
{
    mf_str s = {NULL, 0};
    bool b = false;
    mf_value key, item;
    mf_iter items = mf_value_iter(value);
    mf_type type = mf_value_type(value);
    switch (type) {
    case MF_TYPE_NONE:
    case MF_TYPE_EXT:       /* refused before */
    case MF_TYPE_NIL:
        put(w, 'N');
        break;
    case MF_TYPE_BOOL:
        (void)!mf_value_bool(value, &b);
        put(w, b ? 0x88 : 0x89);
        break;
    case MF_TYPE_INT:
        put_int(w, value);
        break;
    case MF_TYPE_FLOAT:
        put_float(w, value);
        break;
    case MF_TYPE_STR:
        (void)!mf_value_str(value, &s);
        put_counted(w, 'X', s);
        break;
    case MF_TYPE_BIN:
        (void)!mf_value_bin(value, &s);
        put_counted(w, 'B', s);
        w->binary = true;
        break;
    case MF_TYPE_ARRAY:
    case MF_TYPE_MAP:
        put(w, type == MF_TYPE_MAP ? '}' : ']');
        if (mf_value_count(value) == 0)
            break;
        put(w, '(');
        while (mf_iter_next(&items, &key, &item)) {
            if (type == MF_TYPE_MAP)
                put_value(w, key);
            put_value(w, item);
        }
        put(w, type == MF_TYPE_MAP ? 'u' : 'e');
        break;
    }
}

static void put_all(writer *w, mf_value value, bool binary)
{
    put(w, 0x80);
    put(w, binary ? 3 : 2);
    put_value(w, value);
    put(w, '.');
}

mf_status taskiq_pickle_write(mf_value value, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    writer measured = {NULL, 0, false};
    put_all(&measured, value, false);
    unsigned char *at = mfi_alloc(allocator, measured.len);
    if (at == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for %zu bytes", measured.len);
    writer w = {at, 0, false};
    put_all(&w, value, measured.binary);
    *out = (taskiq_bytes){(char *)at, w.len, w.len};
    return MF_OK;
}
