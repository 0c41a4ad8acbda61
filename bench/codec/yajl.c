#include "peer.h"

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>
#include <yajl/yajl_version.h>

static int on_null(void *b) { mf_build_nil(b); return 1; }
static int on_bool(void *b, int value) { mf_build_bool(b, value != 0); return 1; }
static int on_number(void *b, const char *at, size_t len) { return peer_pack_number(b, at, len); }
static int on_text(void *b, const unsigned char *at, size_t len) { peer_pack_str(b, (const char *)at, len); return 1; }
static int on_map(void *b) { mf_build_map_begin(b); return mf_builder_status(b) == MF_OK; }
static int on_array(void *b) { mf_build_array_begin(b); return mf_builder_status(b) == MF_OK; }
static int on_end(void *b) { mf_build_end(b); return 1; }

static mf_message *read_text(mf_str text)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null, .yajl_boolean = on_bool, .yajl_number = on_number, .yajl_string = on_text,
        .yajl_start_map = on_map, .yajl_map_key = on_text, .yajl_end_map = on_end, .yajl_start_array = on_array,
        .yajl_end_array = on_end,
    };
    mf_builder b;
    mf_builder_init(&b, NULL, NULL);
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &b);
    yajl_status st = yajl_parse(parser, (const unsigned char *)text.at, text.len);
    if (st == yajl_status_ok)
        st = yajl_complete_parse(parser);
    yajl_free(parser);
    return peer_finish(&b, st == yajl_status_ok);
}

static void generate(yajl_gen gen, mf_value v)
{
    mf_value key, value;
    mf_iter entries = mf_value_iter(v);
    switch (mf_value_type(v)) {
    case MF_TYPE_MAP:
        yajl_gen_map_open(gen);
        while (mf_iter_next(&entries, &key, &value)) {
            generate(gen, key);
            generate(gen, value);
        }
        yajl_gen_map_close(gen);
        break;
    case MF_TYPE_ARRAY:
        yajl_gen_array_open(gen);
        while (mf_iter_next(&entries, NULL, &value))
            generate(gen, value);
        yajl_gen_array_close(gen);
        break;
    case MF_TYPE_STR: yajl_gen_string(gen, (const unsigned char *)peer_str(v).at, peer_str(v).len); break;
    case MF_TYPE_INT: yajl_gen_integer(gen, peer_int(v)); break;
    case MF_TYPE_FLOAT: yajl_gen_double(gen, peer_float(v)); break;
    case MF_TYPE_BOOL: yajl_gen_bool(gen, peer_bool(v)); break;
    default: yajl_gen_null(gen);
    }
}

static char *write_text(const mf_message *message, size_t *len)
{
    const unsigned char *text = NULL;
    yajl_gen gen = yajl_gen_alloc(NULL);
    generate(gen, mf_message_value(message));
    yajl_gen_get_buf(gen, &text, len);
    char *copy = peer_copy((const char *)text, *len);
    yajl_gen_free(gen);
    return copy;
}

#define TEXT_OF(n) #n
#define TEXT(n) TEXT_OF(n)
const peer peer_yajl = {
    .name = "yajl " TEXT(YAJL_MAJOR) "." TEXT(YAJL_MINOR) "." TEXT(YAJL_MICRO), .read = read_text, .write = write_text,
};
