/* gRPC's messages in a stream, in pieces whose sizes come from the input: the same messages come out as from one piece, no more
 * memory is taken than there are bytes, and what is refused once is refused in any pieces. */
#include <stdint.h>
#include <stdlib.h>

#include "rpc_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t   count;
    uint64_t sum;
};

static bool see(void *user, mf_str message)
{
    struct seen *s = user;
    s->count++;
    s->sum = s->sum * 31 + message.len;
    for (size_t i = 0; i < message.len; i++)
        s->sum = s->sum * 31 + (unsigned char)message.at[i];
    return true;
}

static mf_status feed(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    mfi_rpc_framer f;
    mf_status st = MF_OK;
    mfi_rpc_framer_init(&f, NULL, 1 << 20);
    for (size_t at = 0; st == MF_OK && at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        st = mfi_rpc_framer_feed(&f, (const char *)data + at, n, see, seen, NULL);
        if (f.room > 2 * size)
            abort();
    }
    mfi_rpc_framer_fini(&f);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct seen whole = {0, 0}, torn = {0, 0};
    mf_status a = feed(data + 1, size - 1, size, &whole);
    mf_status b = feed(data + 1, size - 1, 1 + data[0] % 17, &torn);
    if (a != b || whole.count != torn.count || whole.sum != torn.sum)
        abort();
    return 0;
}
