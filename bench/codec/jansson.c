#include "peer.h"

#include <jansson.h>

static void pack(mf_builder *b, const json_t *tree)
{
    const char *key;
    json_t *value;
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        mf_build_map(b, json_object_size(tree));
        json_object_foreach((json_t *)(uintptr_t)tree, key, value) {
            peer_pack_str(b, key, strlen(key));
            pack(b, value);
        }
        break;
    case JSON_ARRAY:
        mf_build_array(b, json_array_size(tree));
        for (size_t i = 0; i < json_array_size(tree); i++)
            pack(b, json_array_get(tree, i));
        break;
    case JSON_STRING: peer_pack_str(b, json_string_value(tree), json_string_length(tree)); break;
    case JSON_INTEGER: mf_build_int(b, json_integer_value(tree)); break;
    case JSON_REAL: mf_build_float(b, json_real_value(tree)); break;
    case JSON_TRUE: mf_build_bool(b, true); break;
    case JSON_FALSE: mf_build_bool(b, false); break;
    case JSON_NULL: mf_build_nil(b); break;
    }
}

static mf_message *read_text(mf_str text)
{
    json_error_t err;
    mf_builder b;
    json_t *tree = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &err);
    if (tree == NULL)
        return NULL;
    mf_builder_init(&b, NULL, NULL);
    pack(&b, tree);
    json_decref(tree);
    return peer_finish(&b, true);
}

static json_t *tree_of(mf_value v)
{
    peer_cstr room;
    mf_value key, value;
    mf_iter entries = mf_value_iter(v);
    json_t *tree;
    switch (mf_value_type(v)) {
    case MF_TYPE_MAP:
        tree = json_object();
        while (mf_iter_next(&entries, &key, &value))
            json_object_set_new_nocheck(tree, peer_terminate(&room, peer_str(key)), tree_of(value));
        return tree;
    case MF_TYPE_ARRAY:
        tree = json_array();
        while (mf_iter_next(&entries, NULL, &value))
            json_array_append_new(tree, tree_of(value));
        return tree;
    case MF_TYPE_STR: return json_stringn_nocheck(peer_str(v).at, peer_str(v).len);
    case MF_TYPE_INT: return json_integer(peer_int(v));
    case MF_TYPE_FLOAT: return json_real(peer_float(v));
    case MF_TYPE_BOOL: return json_boolean(peer_bool(v));
    default: return json_null();
    }
}

static char *write_text(const mf_message *message, size_t *len)
{
    json_t *tree = tree_of(mf_message_value(message));
    char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
    *len = strlen(text);
    json_decref(tree);
    return text;
}

const peer peer_jansson = {.name = "jansson " JANSSON_VERSION, .read = read_text, .write = write_text};
