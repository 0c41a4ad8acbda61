#include "rpc_frame.h"

#include "memory.h"

void mfi_rpc_framer_init(mfi_rpc_framer *f, const mf_allocator *allocator, size_t max)
{
    *f = (mfi_rpc_framer){.allocator = allocator, .max = max};
}

void mfi_rpc_framer_fini(mfi_rpc_framer *f)
{
    if (f->at != NULL)
        mfi_release(f->allocator, f->at, f->room);
    f->at = NULL;
    f->room = f->len = 0;
}

bool mfi_rpc_framer_is_between(const mfi_rpc_framer *f)
{
    return f->head_len == 0;
}

void mfi_rpc_head_write(unsigned char head[MFI_RPC_HEAD], size_t len)
{
    head[0] = 0;
    for (int i = 0; i < 4; i++)
        head[1 + i] = (unsigned char)(len >> (24 - 8 * i));
}

static mf_status read_head(mfi_rpc_framer *f, mf_error *err)
{
    if (f->head[0] == 1)
        return mf_fail(err, MF_E_UNSUPPORTED, "a compressed message, which we did not offer to read");
    if (f->head[0] != 0)
        return mf_fail(err, MF_E_MALFORMED, "a message that begins with the byte 0x%02x, where 0 or 1 was expected", f->head[0]);
    f->expected = (size_t)f->head[1] << 24 | (size_t)f->head[2] << 16 | (size_t)f->head[3] << 8 | f->head[4];
    if (f->expected > f->max)
        return mf_fail(err, MF_E_TOO_BIG, "a message of %zu bytes, more than the %zu that are allowed", f->expected, f->max);
    f->len = 0;
    return MF_OK;
}

/* Grows with what came, doubling, up to what was announced. */
static mf_status keep(mfi_rpc_framer *f, const char *at, size_t len, mf_error *err)
{
    size_t need = f->len + len;
    if (need > f->room) {
        size_t room = f->room * 2 > need ? f->room * 2 : need;
        room = room > f->expected ? f->expected : room;
        char *more = mfi_resize(f->allocator, f->at, f->room, room);
        if (more == NULL)
            return mf_fail(err, MF_E_NOMEM, "no memory for a message of %zu bytes", f->expected);
        f->at = more;
        f->room = room;
    }
    memcpy(f->at + f->len, at, len);
    f->len = need;
    return MF_OK;
}

/* What a large message took is given back; what a usual one took waits for the next. */
#define KEPT 16384

mf_status mfi_rpc_framer_feed(mfi_rpc_framer *f, const char *at, size_t len, mfi_rpc_framed_fn *framed, void *user, mf_error *err)
{
    for (;;) {
        while (f->head_len < MFI_RPC_HEAD) {
            if (len == 0)
                return MF_OK;
            f->head[f->head_len++] = (unsigned char)*at++;
            len--;
            mf_status st = f->head_len == MFI_RPC_HEAD ? read_head(f, err) : MF_OK;
            if (st != MF_OK)
                return st;
        }
        size_t piece = f->expected - f->len < len ? f->expected - f->len : len;
        bool whole = f->len == 0 && piece == f->expected;      /* in one piece: not copied */
        mf_str message = mf_str_of(at, piece);
        if (!whole) {
            if (piece == 0)
                return MF_OK;
            mf_status st = keep(f, at, piece, err);
            if (st != MF_OK)
                return st;
            message = mf_str_of(f->at, f->len);
        }
        at += piece;
        len -= piece;
        if (!whole && f->len < f->expected)
            return MF_OK;
        f->head_len = 0;
        f->len = 0;
        bool more = framed(user, message);
        if (f->room > KEPT)
            mfi_rpc_framer_fini(f);
        if (!more)
            return MF_OK;
    }
}
