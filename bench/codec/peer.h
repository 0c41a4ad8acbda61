/* bench/codec/peer.h: what every JSON library under comparison offers, in terms of messages. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <mageflow/message.h>

#include <builder.h>
#include <errno.h>
#include <stdlib.h>

typedef struct peer {
    const char *name;
    /** Text, with a NUL behind it, to a message; NULL: refused. */
    mf_message *(*read)(mf_str text);
    /** A message to compact text in memory of malloc; NULL as a member: it cannot write. */
    char *(*write)(const mf_message *message, size_t *len);
    bool tokens_only;       /* what it leaves to its caller (escapes) is not counted against it */
} peer;

extern const peer peer_ours, peer_jansson, peer_yajl, peer_jsonc, peer_cjson, peer_jsmn;

/* What the libraries hand over is text already, so it is packed as it is: a check of its UTF-8 is theirs or nobody's. */
static inline void peer_pack_str(mf_builder *b, const char *at, size_t len)
{
    mfi_build_str_begin(b, len);
    mfi_build_str_part(b, at, len);
    mfi_build_str_end(b);
}

/* A number that is handed over as text: its range is the glue's business, its grammar the library's. */
static inline bool peer_pack_number(mf_builder *b, const char *at, size_t len)
{
    char text[64];
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, at, len);
    text[len] = '\0';
    errno = 0;
    if (strpbrk(text, ".eE") != NULL)
        mf_build_float(b, strtod(text, NULL));
    else if (text[0] == '-')
        mf_build_int(b, strtoll(text, NULL, 10));
    else
        mf_build_uint(b, strtoull(text, NULL, 10));
    return errno == 0;
}

static inline mf_message *peer_finish(mf_builder *b, bool good)
{
    mf_message *message = NULL;
    if (good && mf_builder_finish(b, &message, NULL) != MF_OK)
        message = NULL;
    mf_builder_fini(b);
    return message;
}

static inline char *peer_copy(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* A value whose type is known. */
static inline mf_str peer_str(mf_value value)
{
    mf_str s = {NULL, 0};
    return mf_value_str(value, &s) == MF_OK ? s : mf_str_of(NULL, 0);
}
static inline int64_t peer_int(mf_value value)
{
    int64_t i = 0;
    return mf_value_int(value, &i) == MF_OK ? i : 0;
}
static inline double peer_float(mf_value value)
{
    double d = 0;
    return mf_value_float(value, &d) == MF_OK ? d : 0;
}
static inline bool peer_bool(mf_value value)
{
    bool b = false;
    return mf_value_bool(value, &b) == MF_OK && b;
}

/* For libraries that want texts to end in NUL. */
typedef struct peer_cstr {
    char text[512];
} peer_cstr;
static inline const char *peer_terminate(peer_cstr *room, mf_str s)
{
    size_t len = s.len < sizeof room->text ? s.len : sizeof room->text - 1;
    memcpy(room->text, s.at, len);
    room->text[len] = '\0';
    return room->text;
}

#endif
