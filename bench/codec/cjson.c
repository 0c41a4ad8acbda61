#include "peer.h"

#include <cJSON.h>

/* Every number is a double; a whole one counts as an integer. */
static void pack_number(mf_builder *b, double d)
{
    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == (double)(int64_t)d)
        mf_build_int(b, (int64_t)d);
    else
        mf_build_float(b, d);
}

static void pack(mf_builder *b, const cJSON *tree)
{
    if (cJSON_IsObject(tree)) {
        mf_build_map(b, (size_t)cJSON_GetArraySize(tree));
        for (const cJSON *c = tree->child; c != NULL; c = c->next) {
            peer_pack_str(b, c->string, strlen(c->string));
            pack(b, c);
        }
    } else if (cJSON_IsArray(tree)) {
        mf_build_array(b, (size_t)cJSON_GetArraySize(tree));
        for (const cJSON *c = tree->child; c != NULL; c = c->next)
            pack(b, c);
    } else if (cJSON_IsString(tree)) {
        peer_pack_str(b, tree->valuestring, strlen(tree->valuestring));
    } else if (cJSON_IsNumber(tree)) {
        pack_number(b, tree->valuedouble);
    } else if (cJSON_IsBool(tree)) {
        mf_build_bool(b, cJSON_IsTrue(tree));
    } else {
        mf_build_nil(b);
    }
}

static mf_message *read_text(mf_str text)
{
    mf_builder b;
    const char *end;
    cJSON *tree = cJSON_ParseWithLengthOpts(text.at, text.len + 1, &end, true);
    if (tree == NULL)
        return NULL;
    mf_builder_init(&b, NULL, NULL);
    pack(&b, tree);
    cJSON_Delete(tree);
    return peer_finish(&b, true);
}

static cJSON *tree_of(mf_value v)
{
    peer_cstr room;
    mf_value key, value;
    mf_iter entries = mf_value_iter(v);
    cJSON *tree;
    switch (mf_value_type(v)) {
    case MF_TYPE_MAP:
        tree = cJSON_CreateObject();
        while (mf_iter_next(&entries, &key, &value))
            cJSON_AddItemToObject(tree, peer_terminate(&room, peer_str(key)), tree_of(value));
        return tree;
    case MF_TYPE_ARRAY:
        tree = cJSON_CreateArray();
        while (mf_iter_next(&entries, NULL, &value))
            cJSON_AddItemToArray(tree, tree_of(value));
        return tree;
    case MF_TYPE_STR: return cJSON_CreateString(peer_terminate(&room, peer_str(v)));
    case MF_TYPE_INT: return cJSON_CreateNumber((double)peer_int(v));
    case MF_TYPE_FLOAT: return cJSON_CreateNumber(peer_float(v));
    case MF_TYPE_BOOL: return cJSON_CreateBool(peer_bool(v));
    default: return cJSON_CreateNull();
    }
}

static char *write_text(const mf_message *message, size_t *len)
{
    cJSON *tree = tree_of(mf_message_value(message));
    char *text = cJSON_PrintUnformatted(tree);
    *len = strlen(text);
    cJSON_Delete(tree);
    return text;
}

#define TEXT_OF(n) #n
#define TEXT(n) TEXT_OF(n)
const peer peer_cjson = {
    .name = "cJSON " TEXT(CJSON_VERSION_MAJOR) "." TEXT(CJSON_VERSION_MINOR) "." TEXT(CJSON_VERSION_PATCH),
    .read = read_text, .write = write_text,
};
