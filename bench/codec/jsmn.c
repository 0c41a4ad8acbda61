/* jsmn cuts a text into tokens. Escapes and UTF-8 are left as they are here, and numbers go to the C library. */
#include "peer.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

enum { TOKENS_MAX = 1024 };

typedef struct walk {
    mf_builder  b;
    const char *text;
    jsmntok_t   tokens[TOKENS_MAX];
    int         count, at;
} walk;

static bool pack_primitive(walk *w, const char *at, size_t len)
{
    if (*at == 't' || *at == 'f')
        mf_build_bool(&w->b, *at == 't');
    else if (*at == 'n')
        mf_build_nil(&w->b);
    else
        return peer_pack_number(&w->b, at, len);
    return true;
}

static bool pack(walk *w)
{
    if (w->at >= w->count)
        return false;
    const jsmntok_t *token = &w->tokens[w->at++];
    size_t len = (size_t)(token->end - token->start);
    int values = token->type == JSMN_OBJECT ? 2 * token->size : token->size;
    switch (token->type) {
    case JSMN_OBJECT: mf_build_map(&w->b, (size_t)token->size); break;
    case JSMN_ARRAY: mf_build_array(&w->b, (size_t)token->size); break;
    case JSMN_STRING: peer_pack_str(&w->b, w->text + token->start, len); return true;
    default: return pack_primitive(w, w->text + token->start, len);
    }
    while (values-- > 0)
        if (!pack(w))
            return false;
    return true;
}

static mf_message *read_text(mf_str text)
{
    walk w;
    jsmn_parser parser;
    jsmn_init(&parser);
    w.text = text.at;
    w.at = 0;
    w.count = jsmn_parse(&parser, text.at, text.len, w.tokens, TOKENS_MAX);
    mf_builder_init(&w.b, NULL, NULL);
    return peer_finish(&w.b, w.count > 0 && pack(&w));
}

const peer peer_jsmn = {.name = "jsmn", .read = read_text, .tokens_only = true};
