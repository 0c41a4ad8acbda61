/* Bytes that we accept are whole, are read by msgpack-c as the same value, and survive every walk over them. */
#include "fuzz.h"

#include <msgpack.h>

static void walk(mf_value value)
{
    mf_iter items = mf_value_iter(value);
    mf_value key, item;
    size_t n = 0;
    while (mf_iter_next(&items, &key, &item)) {
        walk(key);
        walk(item);
        n++;
    }
    PROMISE(n == mf_value_count(value));
}

/* msgpack-c packs shortest forms; so does our builder, value by value. */
static void rebuild(mf_builder *b, mf_value value)
{
    mf_iter items = mf_value_iter(value);
    mf_value key, item;
    bool map = mf_value_type(value) == MF_TYPE_MAP;
    if (!map && mf_value_type(value) != MF_TYPE_ARRAY) {
        mf_build_value(b, value);
        return;
    }
    map ? mf_build_map_begin(b) : mf_build_array_begin(b);
    while (mf_iter_next(&items, &key, &item)) {
        if (map)
            rebuild(b, key);
        rebuild(b, item);
    }
    mf_build_end(b);
}

static mf_message *packed_by_msgpack_c(const msgpack_object *object)
{
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    mf_message *out;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    PROMISE(msgpack_pack_object(&pk, *object) == 0);
    PROMISE(mf_message_from_bytes(mf_str_of(buffer.data, buffer.size), NULL, NULL, &out, NULL) == MF_OK);
    msgpack_sbuffer_destroy(&buffer);
    return out;
}

/* Both as JSON where there is one: the forms may differ in length, the value may not. */
static void promise_same_json(const mf_message *a, const mf_message *b)
{
    char *text[2];
    size_t len[2];
    mf_status st = mf_message_to_json(a, NULL, &text[0], &len[0], NULL);
    PROMISE(st == mf_message_to_json(b, NULL, &text[1], &len[1], NULL));
    if (st != MF_OK)
        return;
    PROMISE(mf_str_eq(mf_str_of(text[0], len[0]), mf_str_of(text[1], len[1])));
    mf_json_free(NULL, text[0], len[0]);
    mf_json_free(NULL, text[1], len[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message *message, *rebuilt, *theirs;
    mf_builder b;
    mf_error err;
    msgpack_unpacked unpacked;
    mf_str bytes = {(const char *)data, size};
    if (mf_message_from_bytes(bytes, NULL, NULL, &message, &err) != MF_OK)
        return 0;
    promise_whole(message);
    walk(mf_message_value(message));

    mf_builder_init(&b, NULL, NULL);
    rebuild(&b, mf_message_value(message));
    PROMISE(mf_builder_finish(&b, &rebuilt, &err) == MF_OK);
    promise_whole(rebuilt);

    msgpack_unpacked_init(&unpacked);
    PROMISE(msgpack_unpack_next(&unpacked, (const char *)data, size, NULL) == MSGPACK_UNPACK_SUCCESS);
    theirs = packed_by_msgpack_c(&unpacked.data);
    promise_same_json(message, theirs);
    msgpack_unpacked_destroy(&unpacked);

    mf_message_unref(theirs);
    mf_message_unref(rebuilt);
    mf_message_unref(message);
    return 0;
}
