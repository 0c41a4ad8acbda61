/* hatchet/rpc_frame.h: gRPC's messages inside an HTTP/2 stream: a byte that says whether it is compressed, a length of four
 * bytes, the message. Bytes in, messages out; no I/O. */
#ifndef MFI_RPC_FRAME_H
#define MFI_RPC_FRAME_H

#include <mageflow/base.h>

#define MFI_RPC_HEAD 5

/** One stream's messages, in whatever pieces they come. */
typedef struct mfi_rpc_framer {
    const mf_allocator *allocator;
    size_t              max;                   /* bytes of a message */
    unsigned char       head[MFI_RPC_HEAD];
    size_t              head_len;
    char               *at;                    /* of a message that came in pieces; NULL: none so far */
    size_t              room, len, expected;
} mfi_rpc_framer;

/** One whole message, borrowed until the return. false: no more of them are wanted. */
typedef bool mfi_rpc_framed_fn(void *user, mf_str message);

void mfi_rpc_framer_init(mfi_rpc_framer *f, const mf_allocator *allocator, size_t max);
void mfi_rpc_framer_fini(mfi_rpc_framer *f);

/** Every message that these bytes complete goes to `framed`. MF_E_UNSUPPORTED: a compressed one; MF_E_TOO_BIG: a length above
 * max, of which nothing was kept; MF_E_MALFORMED; MF_E_NOMEM: after any of them the framer is of no more use. Room is made for
 * what is really there, never for what a length claims. */
MF_NODISCARD mf_status mfi_rpc_framer_feed(mfi_rpc_framer *f, const char *at, size_t len, mfi_rpc_framed_fn *framed, void *user,
                                           mf_error *err);
/** Whether it stands between two messages: elsewhere a stream must not end. */
bool mfi_rpc_framer_is_between(const mfi_rpc_framer *f);

/** The head of an uncompressed message of so many bytes. */
void mfi_rpc_head_write(unsigned char head[MFI_RPC_HEAD], size_t len);

#endif
