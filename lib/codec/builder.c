/* codec/builder.c: values, one after the other, into the bytes of a message.
 *
 * msgpack-c writes every value; the builder around it keeps the shape: which containers are open, how many values each
 * still expects, how deep and how many elements. The bytes grow in `small_block` on the caller's stack, and beyond it in
 * an allocation that begins with the header of the message to be, so that a finished message is one allocation either
 * way. The head of an endless container takes one byte at first; when it ends with more than 15 entries its content
 * moves up to make room for the longer head, so that every message has the one shortest form. */
#include "builder.h"

#include "layout.h"
#include "memory.h"
#include "verify.h"

#include <msgpack/pack.h>

typedef struct mf_builder_open frame;

static void fail(mf_builder *b, mf_status st, const char *problem)
{
    if (b->status == MF_OK) {
        b->status = st;
        b->problem = problem;
    }
}

static void empty(mf_builder *b)
{
    b->at = b->small_block;
    b->room = sizeof b->small_block;
    b->status = MF_OK;
    b->problem = NULL;
    b->len = b->elements = 0;
    b->depth = b->deepest = 0;
}

void mf_builder_init(mf_builder *b, const mf_allocator *allocator, const mf_limits *limits)
{
    b->allocator = allocator != NULL ? allocator : mf_allocator_default();
    empty(b);
    if (mfi_limits_resolve(limits, &b->limits, NULL) != MF_OK)
        fail(b, MF_E_INVALID, "limits that break their rules");
}

static mf_message *block_of(const mf_builder *b)
{
    return b->at == b->small_block ? NULL : (mf_message *)(void *)(b->at - sizeof(mf_message));
}

void mf_builder_fini(mf_builder *b)
{
    if (block_of(b) != NULL)
        mfi_release(b->allocator, block_of(b), sizeof(mf_message) + b->room);
    empty(b);
}

mf_status mf_builder_status(const mf_builder *b)
{
    return b->status;
}

/* ---- bytes -------------------------------------------------------------------------------------------------- */

static bool grow(mf_builder *b, size_t need)
{
    size_t room = b->room * 2 < need ? need : b->room * 2;
    if (room > b->limits.bytes && need <= b->limits.bytes)
        room = b->limits.bytes;
    mf_message *block = block_of(b);
    mf_message *moved = mfi_resize(b->allocator, block, block == NULL ? 0 : sizeof *block + b->room,
                                   sizeof *block + room);
    if (moved == NULL) {
        fail(b, MF_E_NOMEM, "no memory for a longer message");
        return false;
    }
    if (block == NULL)
        memcpy(mfi_message_at(moved), b->small_block, b->len);
    b->at = mfi_message_at(moved);
    b->room = room;
    return true;
}

static bool reserve(mf_builder *b, size_t more)
{
    if (b->status != MF_OK)
        return false;
    if (more > b->limits.bytes || b->len > b->limits.bytes - more) {
        fail(b, MF_E_TOO_BIG, "more bytes than the limit");
        return false;
    }
    return b->len + more <= b->room || grow(b, b->len + more);
}

static int append(void *user, const char *bytes, size_t len)
{
    mf_builder *b = user;
    if (!reserve(b, len))
        return -1;
    if (len > 0)
        memcpy(b->at + b->len, bytes, len);
    b->len += len;
    return 0;
}

static msgpack_packer packer(mf_builder *b)
{
    return (msgpack_packer){.data = b, .callback = append};
}

/* ---- shape -------------------------------------------------------------------------------------------------- */

static bool count_elements(mf_builder *b, size_t n)
{
    if (n > b->limits.elements || b->elements > b->limits.elements - n) {
        fail(b, MF_E_TOO_BIG, "more elements than the limit");
        return false;
    }
    b->elements += n;
    return true;
}

/* Every value passes here first: is there a place for it, and may it stand there? */
static bool begin_value(mf_builder *b, bool container)
{
    if (b->status != MF_OK)
        return false;
    if (b->depth == 0) {
        if (b->len > 0)
            fail(b, MF_E_INVALID, "a second value after the first is complete");
        return b->len == 0;
    }
    frame *top = &b->open[b->depth - 1];
    if (container && top->map && top->left % 2 == 0) {
        fail(b, MF_E_INVALID, "an array or a map as a key");
        return false;
    }
    if (!top->endless)
        top->left--;
    else if ((!top->map || top->left % 2 == 0) && !count_elements(b, 1))
        return false;
    else
        top->left++;
    return true;
}

/* And every value passes here afterwards: what was waiting for it alone is complete. */
static void end_value(mf_builder *b)
{
    while (b->depth > 0 && !b->open[b->depth - 1].endless && b->open[b->depth - 1].left == 0)
        b->depth--;
}

static bool enter(mf_builder *b, size_t children, bool map, bool endless)
{
    if (b->depth == b->limits.depth) {
        fail(b, MF_E_TOO_BIG, "deeper than the limit");
        return false;
    }
    b->open[b->depth++] = (frame){.head = (uint32_t)b->len, .left = (uint32_t)children, .map = map, .endless = endless};
    if (b->depth > b->deepest)
        b->deepest = b->depth;
    return true;
}

static void build_container(mf_builder *b, size_t n, bool map)
{
    if (!begin_value(b, true))
        return;
    if (n > INT32_MAX || !count_elements(b, n)) {
        fail(b, MF_E_TOO_BIG, "more elements than the limit");
        return;
    }
    if (!enter(b, map ? 2 * n : n, map, false))
        return;
    msgpack_packer pk = packer(b);
    if (map)
        msgpack_pack_map(&pk, n);
    else
        msgpack_pack_array(&pk, n);
    end_value(b);
}

void mf_build_map(mf_builder *b, size_t n)
{
    build_container(b, n, true);
}

void mf_build_array(mf_builder *b, size_t n)
{
    build_container(b, n, false);
}

static void begin_endless(mf_builder *b, bool map)
{
    if (begin_value(b, true) && enter(b, 0, map, true))
        append(b, map ? "\x80" : "\x90", 1);
}

void mf_build_map_begin(mf_builder *b)
{
    begin_endless(b, true);
}

void mf_build_array_begin(mf_builder *b)
{
    begin_endless(b, false);
}

typedef struct head_bytes {
    char   at[8];
    size_t len;
} head_bytes;

static int append_head(void *user, const char *bytes, size_t len)
{
    head_bytes *head = user;
    memcpy(head->at + head->len, bytes, len);
    head->len += len;
    return 0;
}

static void write_head(mf_builder *b, const frame *top)
{
    head_bytes head = {.len = 0};
    msgpack_packer pk = {.data = &head, .callback = append_head};
    if (top->map)
        msgpack_pack_map(&pk, top->left / 2);
    else
        msgpack_pack_array(&pk, top->left);
    size_t more = head.len - 1;
    if (!reserve(b, more))
        return;
    unsigned char *at = b->at + top->head;
    if (more > 0)
        memmove(at + head.len, at + 1, b->len - top->head - 1);
    memcpy(at, head.at, head.len);
    b->len += more;
}

void mf_build_end(mf_builder *b)
{
    if (b->status != MF_OK)
        return;
    frame *top = b->depth > 0 ? &b->open[b->depth - 1] : NULL;
    if (top == NULL || !top->endless || (top->map && top->left % 2 != 0)) {
        fail(b, MF_E_INVALID, top == NULL     ? "an end with nothing open"
                              : !top->endless ? "an end while a counted array or map is incomplete"
                                              : "a key without a value");
        return;
    }
    write_head(b, top);
    b->depth--;
    end_value(b);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* SCALAR: what every build function of one value has around its msgpack-c call. */
#define SCALAR(b, call)                                                                                               \
    do {                                                                                                              \
        if (!begin_value((b), false))                                                                                 \
            return;                                                                                                   \
        msgpack_packer pk = packer(b);                                                                                \
        call;                                                                                                         \
        end_value(b);                                                                                                 \
    } while (0)

void mf_build_nil(mf_builder *b)
{
    SCALAR(b, msgpack_pack_nil(&pk));
}

void mf_build_bool(mf_builder *b, bool value)
{
    SCALAR(b, value ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void mf_build_int(mf_builder *b, int64_t value)
{
    SCALAR(b, msgpack_pack_int64(&pk, value));
}

void mf_build_uint(mf_builder *b, uint64_t value)
{
    SCALAR(b, msgpack_pack_uint64(&pk, value));
}

void mf_build_float(mf_builder *b, double value)
{
    SCALAR(b, msgpack_pack_double(&pk, value));
}

void mfi_build_str_begin(mf_builder *b, size_t len)
{
    if (!begin_value(b, false) || !reserve(b, len))    /* all of it at once: its length is known */
        return;
    msgpack_packer pk = packer(b);
    msgpack_pack_str(&pk, len);
}

void mfi_build_str_part(mf_builder *b, const char *at, size_t len)
{
    append(b, at, len);
}

void mfi_build_str_end(mf_builder *b)
{
    end_value(b);
}

static void build_str_trusted(mf_builder *b, mf_str text)
{
    mfi_build_str_begin(b, text.len);
    mfi_build_str_part(b, text.at, text.len);
    mfi_build_str_end(b);
}

void mf_build_str(mf_builder *b, mf_str text)
{
    if (text.len > b->limits.bytes)
        fail(b, MF_E_TOO_BIG, "more bytes than the limit");
    else if (mfi_utf8_valid(text) != text.len)
        fail(b, MF_E_INVALID, "text that is not UTF-8");
    else
        build_str_trusted(b, text);
}

void mf_build_key(mf_builder *b, const char *key)
{
    mf_build_str(b, mf_cstr(key));
}

/* Bytes that U+FFFD stands for: one, as most decoders do it, whatever follows. */
static size_t lossy_len(mf_str text)
{
    size_t len = 0;
    while (text.len > 0) {
        size_t good = mfi_utf8_valid(text), bad = good < text.len ? 1 : 0;
        len += good + 3 * bad;
        text = mf_str_of(text.at + good + bad, text.len - good - bad);
    }
    return len;
}

void mf_build_str_lossy(mf_builder *b, mf_str text)
{
    if (text.len > b->limits.bytes) {
        fail(b, MF_E_TOO_BIG, "more bytes than the limit");
        return;
    }
    mfi_build_str_begin(b, lossy_len(text));
    while (text.len > 0) {
        size_t good = mfi_utf8_valid(text), bad = good < text.len ? 1 : 0;
        mfi_build_str_part(b, text.at, good);
        mfi_build_str_part(b, "\xef\xbf\xbd", 3 * bad);
        text = mf_str_of(text.at + good + bad, text.len - good - bad);
    }
    mfi_build_str_end(b);
}

void mf_build_bin(mf_builder *b, mf_str bytes)
{
    if (bytes.len > b->limits.bytes)
        fail(b, MF_E_TOO_BIG, "more bytes than the limit");
    else
        SCALAR(b, (msgpack_pack_bin(&pk, bytes.len), msgpack_pack_bin_body(&pk, bytes.at, bytes.len)));
}

/* Verified bytes, whole: a value of depth and elements known. */
static void splice(mf_builder *b, mf_str bytes, mfi_extent extent)
{
    if (!begin_value(b, extent.depth > 0) || !count_elements(b, extent.elements))
        return;
    if (b->depth + extent.depth > b->limits.depth) {
        fail(b, MF_E_TOO_BIG, "deeper than the limit");
        return;
    }
    if (b->depth + extent.depth > b->deepest)
        b->deepest = b->depth + extent.depth;
    append(b, bytes.at, bytes.len);
    end_value(b);
}

void mf_build_value(mf_builder *b, mf_value value)
{
    mfi_extent extent = {0, 0};
    mf_str bytes = {(const char *)value.at, value.len};
    if (value.at == NULL) {
        mf_build_nil(b);
        return;
    }
    mf_error err;
    mf_status st = b->status == MF_OK ? mfi_verify(bytes, &b->limits, &extent, &err) : b->status;
    if (st == MF_OK)
        splice(b, bytes, extent);
    else
        fail(b, st, st == MF_E_TOO_BIG ? "a value above a limit" : "a value that is not whole");
}

void mf_build_message(mf_builder *b, const mf_message *message)
{
    if (message == NULL)
        mf_build_nil(b);
    else if (message->status != MF_OK)
        fail(b, (mf_status)message->status, "a message that failed to build");
    else
        splice(b, mf_message_bytes(message), (mfi_extent){message->elements, message->depth});
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

/* Give back what a long message does not fill, when it is worth a move; it is no failure if that is refused. */
static mf_message *trim(mf_builder *b)
{
    mf_message *block = block_of(b);
    if (b->room - b->len > b->room / 4) {
        mf_message *moved = mfi_resize(b->allocator, block, sizeof *block + b->room, sizeof *block + b->len);
        if (moved != NULL) {
            block = moved;
            b->room = b->len;
        }
    }
    *block = (mf_message){.allocator = b->allocator, .room = (uint32_t)b->room, .status = MF_OK};
    atomic_init(&block->refs, 1);
    return block;
}

static mf_message *take(mf_builder *b)
{
    mf_message *message;
    if (block_of(b) != NULL) {
        message = trim(b);
    } else {
        message = mfi_message_alloc(b->allocator, b->len);
        if (message == NULL)
            return NULL;
        memcpy(mfi_message_at(message), b->small_block, b->len);
    }
    message->len = (uint32_t)b->len;
    message->elements = (uint32_t)b->elements;
    message->depth = (uint16_t)b->deepest;
    return message;
}

mf_status mf_builder_finish(mf_builder *b, mf_message **out, mf_error *err)
{
    if (b->depth > 0)
        fail(b, MF_E_INVALID, "an array or a map is incomplete");
    if (b->len == 0)
        fail(b, MF_E_INVALID, "nothing was built");
    mf_message *message = b->status == MF_OK ? take(b) : NULL;
    if (message == NULL)
        fail(b, MF_E_NOMEM, "no memory for the message");
    mf_status st = b->status;
    if (st != MF_OK) {
        mf_fail(err, st, "message: %s", b->problem);
        mf_builder_fini(b);
        return st;
    }
    empty(b);
    *out = message;
    return MF_OK;
}
