/* codec/builder.c: values, one after the other, into the bytes of a message.
 *
 * msgpack-c writes every value (build_values.c), but for heads of one byte: those of short texts and of endless containers.
 * This file keeps the bytes and the shape: which containers are open, how many values each still expects, how deep and how many
 * elements. The bytes grow in `small_block` on the caller's stack, and beyond it in an allocation that begins with the header
 * of the message to be, so that a finished message is one allocation either way. The head of an endless container takes one byte
 * at first; when it ends with more than 15 entries its content moves up to make room for the longer head, so that every
 * message has the one shortest form.
 *
 * A builder that failed has nothing open and takes no more values: the way of each value looks at the depth alone. */
#include "builder.h"

#include "layout.h"
#include "memory.h"

typedef struct mf_builder_open frame;

void mfi_builder_fail(mf_builder *b, mf_status st, const char *problem)
{
    if (b->status == MF_OK) {
        b->status = st;
        b->problem = problem;
        b->depth = 0;
    }
}

static void empty(mf_builder *b)
{
    b->at = b->small_block;
    b->room = b->limits.bytes < sizeof b->small_block ? b->limits.bytes : sizeof b->small_block;
    b->status = MF_OK;
    b->problem = NULL;
    b->len = b->elements = 0;
    b->depth = b->deepest = 0;
}

void mf_builder_init(mf_builder *b, const mf_allocator *allocator, const mf_limits *limits)
{
    b->allocator = allocator != NULL ? allocator : mf_allocator_default();
    mf_status st = mfi_limits_resolve(limits, &b->limits, NULL);
    empty(b);
    if (st != MF_OK)
        mfi_builder_fail(b, MF_E_INVALID, "limits that break their rules");
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
        mfi_builder_fail(b, MF_E_NOMEM, "no memory for a longer message");
        return false;
    }
    if (block == NULL)
        memcpy(mfi_message_at(moved), b->small_block, b->len);
    b->at = mfi_message_at(moved);
    b->room = room;
    return true;
}

bool mfi_builder_grow(mf_builder *b, size_t more)
{
    if (b->status != MF_OK)
        return false;
    if (more > b->limits.bytes || b->len > b->limits.bytes - more) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "more bytes than the limit");
        return false;
    }
    return grow(b, b->len + more);
}

/* ---- shape -------------------------------------------------------------------------------------------------- */

bool mfi_builder_begin_top(mf_builder *b)
{
    if (b->status == MF_OK && b->len > 0)
        mfi_builder_fail(b, MF_E_INVALID, "a second value after the first is complete");
    return b->status == MF_OK;
}

static void build_container(mf_builder *b, size_t n, bool map)
{
    if (!mfi_builder_begin_value(b, true))
        return;
    if (n > INT32_MAX || !mfi_builder_count_elements(b, n)) {
        mfi_builder_fail(b, MF_E_TOO_BIG, "more elements than the limit");
        return;
    }
    if (!mfi_builder_enter(b, map ? 2 * n : n, map, false))
        return;
    msgpack_packer pk = mfi_builder_packer(b);
    if (map)
        msgpack_pack_map(&pk, n);
    else
        msgpack_pack_array(&pk, n);
    mfi_builder_end_value(b);
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
    if (mfi_builder_begin_value(b, true))
        mfi_builder_open(b, map);
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

void mfi_builder_long_head(mf_builder *b, const frame *top)
{
    head_bytes head = {.len = 0};
    msgpack_packer pk = {.data = &head, .callback = append_head};
    if (top->map)
        msgpack_pack_map(&pk, top->left / 2);
    else
        msgpack_pack_array(&pk, top->left);
    size_t more = head.len - 1;
    if (!mfi_builder_reserve(b, more))
        return;
    unsigned char *at = b->at + top->head;
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
        mfi_builder_fail(b, MF_E_INVALID, top == NULL     ? "an end with nothing open"
                              : !top->endless ? "an end while a counted array or map is incomplete"
                                              : "a key without a value");
        return;
    }
    mfi_builder_close(b);
    mfi_builder_end_value(b);
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
    mfi_refcount_init(&block->refs);
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
        mfi_builder_fail(b, MF_E_INVALID, "an array or a map is incomplete");
    if (b->len == 0)
        mfi_builder_fail(b, MF_E_INVALID, "nothing was built");
    mf_message *message = b->status == MF_OK ? take(b) : NULL;
    if (message == NULL)
        mfi_builder_fail(b, MF_E_NOMEM, "no memory for the message");
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
