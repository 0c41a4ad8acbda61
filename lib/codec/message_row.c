#include "message_row.h"

#include "layout.h"
#include "memory.h"
#include "wire.h"

struct small {
    mf_message    head;
    unsigned char bytes[MFI_ROW_BYTES];
};

/* I set at construction, then read-only · A atomic, any thread · F who fills it */
struct mfi_message_row {
    mf_allocator        one;     /* I  the allocator of its messages: releasing one gives up a reference to the row */
    const mf_allocator *from;    /* I  where the row itself is from */
    mfi_refcount        refs;    /* A  one for each message */
    uint32_t            room;    /* I */
    uint32_t            count;   /* F  of those that were added */
    struct small        messages[];
};

static size_t size_of(size_t n)
{
    return sizeof(mfi_message_row) + n * sizeof(struct small);
}

static void release_one(void *user, void *at, size_t size)
{
    mfi_message_row *row = user;
    (void)at, (void)size;
    if (mfi_refcount_unref(&row->refs))
        mfi_release(row->from, row, size_of(row->room));
}

bool mfi_message_row_takes(mf_value value)
{
    return value.len > 0 && value.len <= MFI_ROW_BYTES && mfi_whole_len[*value.at] == value.len;
}

mfi_message_row *mfi_message_row_new(const mf_allocator *allocator, size_t n)
{
    if (allocator == NULL)
        allocator = mf_allocator_default();
    mfi_message_row *row = mfi_alloc(allocator, size_of(n));
    if (row == NULL)
        return NULL;
    *row = (mfi_message_row){.one = {.release = release_one, .user = row}, .from = allocator, .room = (uint32_t)n};
    mfi_refcount_init_many(&row->refs, (uint32_t)n);
    return row;
}

mf_message *mfi_message_row_add(mfi_message_row *row, const unsigned char *scalar, size_t len)
{
    assert(row->count < row->room && len > 0 && len <= MFI_ROW_BYTES);
    struct small *small = &row->messages[row->count++];
    small->head = (mf_message){.allocator = &row->one, .len = (uint32_t)len, .room = MFI_ROW_BYTES, .status = MF_OK};
    mfi_refcount_init(&small->head.refs);
    memcpy(small->bytes, scalar, len);
    return &small->head;
}
