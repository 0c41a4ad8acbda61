#include "peer.h"

/* Not json.h, which the codec has too. */
#include <json_c_version.h>
#include <json_object.h>
#include <json_tokener.h>
#include <linkhash.h>

static void pack_int(mf_builder *b, const json_object *tree)
{
    int64_t value = json_object_get_int64(tree);
    if (value == INT64_MAX)     /* or more: it keeps those apart */
        mf_build_uint(b, json_object_get_uint64(tree));
    else
        mf_build_int(b, value);
}

static void pack(mf_builder *b, json_object *tree)
{
    switch (json_object_get_type(tree)) {
    case json_type_object:
        mf_build_map(b, (size_t)json_object_object_length(tree));
        for (struct lh_entry *e = json_object_get_object(tree)->head; e != NULL; e = e->next) {
            const char *key = lh_entry_k(e);
            peer_pack_str(b, key, strlen(key));
            pack(b, lh_entry_v(e));
        }
        break;
    case json_type_array:
        mf_build_array(b, json_object_array_length(tree));
        for (size_t i = 0; i < json_object_array_length(tree); i++)
            pack(b, json_object_array_get_idx(tree, i));
        break;
    case json_type_string:
        peer_pack_str(b, json_object_get_string(tree), (size_t)json_object_get_string_len(tree));
        break;
    case json_type_int: pack_int(b, tree); break;
    case json_type_double: mf_build_float(b, json_object_get_double(tree)); break;
    case json_type_boolean: mf_build_bool(b, json_object_get_boolean(tree)); break;
    case json_type_null: mf_build_nil(b); break;
    }
}

static mf_message *read_text(mf_str text)
{
    mf_builder b;
    json_tokener *tokener = json_tokener_new_ex(32);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *tree = json_tokener_parse_ex(tokener, text.at, (int)text.len + 1);
    bool good = json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) >= text.len;
    json_tokener_free(tokener);
    mf_builder_init(&b, NULL, NULL);
    if (good)
        pack(&b, tree);
    json_object_put(tree);
    return peer_finish(&b, good);
}

static json_object *tree_of(mf_value v)
{
    peer_cstr room;
    mf_value key, value;
    mf_iter entries = mf_value_iter(v);
    json_object *tree;
    switch (mf_value_type(v)) {
    case MF_TYPE_MAP:
        tree = json_object_new_object();
        while (mf_iter_next(&entries, &key, &value))
            json_object_object_add(tree, peer_terminate(&room, peer_str(key)), tree_of(value));
        return tree;
    case MF_TYPE_ARRAY:
        tree = json_object_new_array();
        while (mf_iter_next(&entries, NULL, &value))
            json_object_array_add(tree, tree_of(value));
        return tree;
    case MF_TYPE_STR: return json_object_new_string_len(peer_str(v).at, (int)peer_str(v).len);
    case MF_TYPE_INT: return json_object_new_int64(peer_int(v));
    case MF_TYPE_FLOAT: return json_object_new_double(peer_float(v));
    case MF_TYPE_BOOL: return json_object_new_boolean(peer_bool(v));
    default: return NULL;
    }
}

static char *write_text(const mf_message *message, size_t *len)
{
    json_object *tree = tree_of(mf_message_value(message));
    const char *text = json_object_to_json_string_length(tree, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
    char *copy = peer_copy(text, *len);
    json_object_put(tree);
    return copy;
}

const peer peer_jsonc = {.name = "json-c " JSON_C_VERSION, .read = read_text, .write = write_text};
