/* codec/message_row.h: small messages that share one allocation.
 *
 * Who makes many messages of a few bytes at once, and all are gone soon after, pays for one. Each is a message like any other,
 * with references of its own; the allocation ends with the last of them, so one that is kept keeps the whole row. */
#ifndef MFI_MESSAGE_ROW_H
#define MFI_MESSAGE_ROW_H

#include <mageflow/message.h>

enum { MFI_ROW_BYTES = 7 };    /* the longest message of a row */

typedef struct mfi_message_row mfi_message_row;

/** Whether a row can hold it: a scalar of up to MFI_ROW_BYTES bytes, the first of which tells how many there are. */
bool mfi_message_row_takes(mf_value value);
/** Room for n messages, at least one. NULL: no memory. Exactly n must be added; the row is then no longer the caller's. */
mfi_message_row *mfi_message_row_new(const mf_allocator *allocator, size_t n);
/** The next message, of the bytes of such a value. The caller's to unref. */
mf_message *mfi_message_row_add(mfi_message_row *row, const unsigned char *scalar, size_t len);

#endif
