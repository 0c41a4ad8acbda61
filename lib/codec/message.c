#include "layout.h"

#include "memory.h"
#include "verify.h"

#define STATIC_MESSAGE(st) {NULL, 0, 0, {1}, 0, 0, (st)}

static struct { mf_message head; unsigned char nil; } nil_message = {{NULL, 1, 1, {1}, 0, 0, MF_OK}, 0xc0};

/* One a status that building can end with; they hold no value. */
static mf_message failures[] = {
    STATIC_MESSAGE(MF_E_INVALID), STATIC_MESSAGE(MF_E_NOMEM), STATIC_MESSAGE(MF_E_TOO_BIG),
    STATIC_MESSAGE(MF_E_TYPE), STATIC_MESSAGE(MF_E_MALFORMED), STATIC_MESSAGE(MF_E_UNSUPPORTED),
};

/* The count is the one part of a const message that changes. */
static mf_message *counted(const mf_message *message)
{
    return (mf_message *)(uintptr_t)message;
}

mf_message *mf_message_nil(void)
{
    return &nil_message.head;
}

mf_message *mfi_message_failed(mf_status st)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].status == st)
            return &failures[i];
    return &failures[0];
}

mf_message *mfi_message_alloc(const mf_allocator *allocator, size_t room)
{
    if (allocator == NULL)
        allocator = mf_allocator_default();
    mf_message *message = mfi_alloc(allocator, sizeof *message + room);
    if (message == NULL)
        return NULL;
    *message = (mf_message){.allocator = allocator, .room = (uint32_t)room, .status = MF_OK};
    mfi_refcount_init(&message->refs);
    return message;
}

mf_status mf_message_status(const mf_message *message)
{
    return message == NULL ? MF_E_INVALID : (mf_status)message->status;
}

mf_message *mf_message_ref(const mf_message *message)
{
    if (message != NULL && message->allocator != NULL)
        mfi_refcount_ref(&counted(message)->refs);
    return counted(message);
}

void mf_message_unref(const mf_message *message)
{
    if (message == NULL || message->allocator == NULL)
        return;
    if (mfi_refcount_unref(&counted(message)->refs))
        mfi_release(message->allocator, counted(message), sizeof *message + message->room);
}

mf_str mf_message_bytes(const mf_message *message)
{
    if (message == NULL || message->len == 0)
        return mf_str_of(NULL, 0);
    return mf_str_of((const char *)(message + 1), message->len);
}

mf_value mf_message_value(const mf_message *message)
{
    mf_str bytes = mf_message_bytes(message);
    return (mf_value){(const unsigned char *)bytes.at, bytes.len};
}

mf_status mfi_limits_resolve(const mf_limits *limits, mf_limits *out, mf_error *err)
{
    *out = (mf_limits){.struct_size = sizeof *out};
    if (limits != NULL) {
        if (limits->struct_size != sizeof *limits)
            return mf_fail(err, MF_E_INVALID, "limits: struct_size is %zu, not %zu; use MF_LIMITS", limits->struct_size,
                           sizeof *limits);
        *out = *limits;
    }
    if (out->bytes == 0)
        out->bytes = (size_t)1 << 20;
    if (out->bytes > UINT32_MAX)
        out->bytes = UINT32_MAX;
    if (out->depth == 0)
        out->depth = 32;
    if (out->elements == 0)
        out->elements = 65536;
    if (out->elements > UINT32_MAX)
        out->elements = UINT32_MAX;
    if (out->depth > MF_DEPTH_MAX)
        return mf_fail(err, MF_E_INVALID, "limits: a depth of %u is above %d", out->depth, MF_DEPTH_MAX);
    return MF_OK;
}

static mf_status copy_verified(mf_str bytes, mfi_extent extent, const mf_allocator *allocator, mf_message **out,
                               mf_error *err)
{
    mf_message *message = mfi_message_alloc(allocator, bytes.len);
    if (message == NULL)
        return mf_fail(err, MF_E_NOMEM, "message: no memory for %zu bytes", bytes.len);
    memcpy(mfi_message_at(message), bytes.at, bytes.len);
    message->len = (uint32_t)bytes.len;
    message->elements = extent.elements;
    message->depth = (uint16_t)extent.depth;
    *out = message;
    return MF_OK;
}

mf_status mf_message_from_bytes(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, mf_message **out,
                                mf_error *err)
{
    mf_limits within;
    mfi_extent extent;
    mf_status st = mfi_limits_resolve(limits, &within, err);
    if (st == MF_OK)
        st = mfi_verify(bytes, &within, &extent, err);
    if (st != MF_OK)
        return st;
    return copy_verified(bytes, extent, allocator, out, err);
}

mf_status mf_message_of_value(mf_value value, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    static const mf_limits any = {sizeof any, UINT32_MAX, MF_DEPTH_MAX, UINT32_MAX};
    mf_str bytes = {(const char *)value.at, value.len};
    mfi_extent extent;
    if (value.at == NULL) {
        *out = mf_message_nil();
        return MF_OK;
    }
    mf_status st = mfi_verify(bytes, &any, &extent, err);
    if (st != MF_OK)
        return st;
    return copy_verified(bytes, extent, allocator, out, err);
}
