/* counting_source.h: a source that draws the same item so many times. The number of those drawn is its cursor. */
#ifndef MFT_COUNTING_SOURCE_H
#define MFT_COUNTING_SOURCE_H

#include <mageflow/flow.h>

#include <string.h>

/** What a source of counting_source_next has as its user. */
typedef struct counting_source {
    uint64_t          total;
    const mf_message *item;     /* borrowed, and drawn by reference; NULL: nil */
} counting_source;

static inline mf_status counting_source_next(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)err;
    const counting_source *source = user;
    uint64_t at = 0;
    memcpy(&at, cursor->bytes, cursor->len);
    if (at == source->total)
        return MF_OK;
    *item = source->item != NULL ? mf_message_ref(source->item) : mf_message_nil();
    at++;
    memcpy(cursor->bytes, &at, sizeof at);
    cursor->len = sizeof at;
    return MF_OK;
}

#endif
