/* isolate_wire.c: frames over the socket between a worker and its children. What comes is checked as if it came from anywhere:
 * the child runs code that may have written over anything. */
#include "isolate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define READ_AT_ONCE ((size_t)16 << 10)
#define HEAD 4

static const mf_limits limits = {sizeof(mf_limits), FRAME_MAX, MF_DEPTH_MAX, UINT32_MAX};

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void frame_begin(mf_builder *b, const char *word, size_t values)
{
    mf_builder_init(b, NULL, &limits);
    mf_build_array(b, values + 1);
    mf_build_str(b, mf_cstr(word));
}

void frame_message(mf_builder *b, const mf_message *message)
{
    if (message == NULL)
        mf_build_nil(b);
    else
        mf_build_bin(b, mf_message_bytes(message));
}

static mf_status send_all(int fd, struct iovec *parts, size_t n)
{
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = n};
    while (header.msg_iovlen > 0) {
        ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return MF_E_IO;
        for (size_t left = (size_t)sent; header.msg_iovlen > 0; header.msg_iov++, header.msg_iovlen--) {
            if (left < header.msg_iov->iov_len) {
                header.msg_iov->iov_base = (char *)header.msg_iov->iov_base + left;
                header.msg_iov->iov_len -= left;
                break;
            }
            left -= header.msg_iov->iov_len;
        }
    }
    return MF_OK;
}

mf_status frame_send(mf_builder *b, int fd)
{
    mf_message *frame = NULL;
    mf_status st = mf_builder_finish(b, &frame, NULL);
    mf_builder_fini(b);
    if (st == MF_OK) {
        mf_str bytes = mf_message_bytes(frame);
        unsigned char head[HEAD];
        for (unsigned i = 0; i < HEAD; i++)
            head[i] = (unsigned char)(bytes.len >> (8 * i));
        struct iovec parts[] = {{head, HEAD}, {(void *)(uintptr_t)bytes.at, bytes.len}};
        st = send_all(fd, parts, 2);
    }
    mf_message_unref(frame);
    return st;
}

mf_status frame_send_word(int fd, const char *word)
{
    mf_builder b;
    frame_begin(&b, word, 0);
    return frame_send(&b, fd);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

mf_status frames_fill(struct frames *f, int fd)
{
    if (f->room - f->len < READ_AT_ONCE) {
        size_t room = f->room * 2 > f->len + READ_AT_ONCE ? f->room * 2 : f->len + READ_AT_ONCE;
        unsigned char *at = realloc(f->at, room);
        if (at == NULL)
            return MF_E_NOMEM;
        f->at = at;
        f->room = room;
    }
    for (;;) {
        ssize_t got = recv(fd, f->at + f->len, f->room - f->len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == ECONNRESET ? MF_E_CLOSED : MF_E_IO;
        f->len += (size_t)got;
        return got == 0 ? MF_E_CLOSED : MF_OK;
    }
}

mf_status frames_next(struct frames *f, mf_message **out, mf_str *word)
{
    size_t len = 0;
    if (f->len < HEAD)
        return MF_E_AGAIN;
    for (unsigned i = 0; i < HEAD; i++)
        len |= (size_t)f->at[i] << (8 * i);
    if (len > FRAME_MAX)
        return MF_E_MALFORMED;
    if (f->len < HEAD + len)
        return MF_E_AGAIN;
    mf_status st = mf_message_from_bytes(mf_str_of((const char *)f->at + HEAD, len), &limits, NULL, out, NULL);
    f->len -= HEAD + len;
    memmove(f->at, f->at + HEAD + len, f->len);
    if (st != MF_OK)
        return st == MF_E_NOMEM ? st : MF_E_MALFORMED;
    mf_value first;
    if (!mf_value_at(mf_message_value(*out), 0, &first) || mf_value_str(first, word) != MF_OK) {
        mf_message_unref(*out);
        return MF_E_MALFORMED;
    }
    return MF_OK;
}

void frames_fini(struct frames *f)
{
    free(f->at);
    *f = (struct frames){0};
}

mf_value frame_value(const mf_message *frame, size_t i)
{
    mf_value value;
    (void)mf_value_at(mf_message_value(frame), i + 1, &value);      /* absent where there is none */
    return value;
}

mf_status frame_read_message(mf_value value, mf_message **out)
{
    mf_str bytes;
    *out = NULL;
    if (mf_value_type(value) == MF_TYPE_NIL)
        return MF_OK;
    if (mf_value_bin(value, &bytes) != MF_OK)
        return MF_E_MALFORMED;
    return mf_message_from_bytes(bytes, &limits, NULL, out, NULL);
}
