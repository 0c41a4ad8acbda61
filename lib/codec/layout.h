/* codec/layout.h: what a message is in memory, shared by the files of lib/codec alone. */
#ifndef MFI_LAYOUT_H
#define MFI_LAYOUT_H

#include <mageflow/message.h>

#include "refcount.h"

/* The bytes follow the struct in the same allocation.
 * I set at construction, then read-only · A atomic, any thread */
struct mf_message {
    const mf_allocator *allocator;   /* I  NULL: static, not counted */
    uint32_t            len;         /* I  bytes that hold the value */
    uint32_t            room;        /* I  bytes allocated for it, len or more */
    mfi_refcount        refs;        /* A  one for each pointer that somebody will unref */
    uint32_t            elements;    /* I  array items and map entries in all */
    uint16_t            depth;       /* I  arrays and maps within each other */
    int16_t             status;      /* I  an mf_status: why a static message holds no value */
};
_Static_assert(sizeof(struct mf_message) <= 32, "the header of a message stays within half a cache line");

static inline unsigned char *mfi_message_at(mf_message *message)
{
    return (unsigned char *)(message + 1);
}

/** Uninitialised, with room for so many bytes; NULL: no memory. */
mf_message *mfi_message_alloc(const mf_allocator *allocator, size_t room);
/** The static message that carries a failure. */
mf_message *mfi_message_failed(mf_status st);

/** limits with the defaults filled in. MF_E_INVALID: struct_size is not set, or the depth is above MF_DEPTH_MAX. */
mf_status mfi_limits_resolve(const mf_limits *limits, mf_limits *out, mf_error *err);

#endif
