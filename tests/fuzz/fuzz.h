/* fuzz/fuzz.h: what the fuzz targets share. A broken promise is an abort, which every fuzzer understands. */
#ifndef MFT_FUZZ_H
#define MFT_FUZZ_H

#include <mageflow/message.h>

#include "layout.h"

#include <stdio.h>
#include <stdlib.h>

#define PROMISE(condition)                                                                                            \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                                   \
            abort();                                                                                                  \
        }                                                                                                             \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever made a message: its bytes verify, and its header tells their extent. */
static inline void promise_whole(const mf_message *message)
{
    mf_message *again;
    mf_error err;
    PROMISE(mf_message_from_bytes(mf_message_bytes(message), MF_LIMITS(.depth = MF_DEPTH_MAX, .bytes = SIZE_MAX,
                                  .elements = SIZE_MAX), NULL, &again, &err) == MF_OK);
    PROMISE(again->depth == message->depth);
    PROMISE(again->elements == message->elements);
    mf_message_unref(again);
}

static inline bool same_bytes(const mf_message *a, const mf_message *b)
{
    return mf_str_eq(mf_message_bytes(a), mf_message_bytes(b));
}

#endif
