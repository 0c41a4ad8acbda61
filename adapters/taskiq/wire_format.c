/* Which serialiser wrote these bytes, and the one way in and out for all of them. */
#include "taskiq_wire.h"

#include "memory.h"

static const char *const names[] = {[TASKIQ_JSON] = "json", [TASKIQ_MSGPACK] = "msgpack", [TASKIQ_PICKLE] = "pickle"};

const char *taskiq_format_name(taskiq_format format)
{
    return names[format];
}

mf_status taskiq_format_parse(mf_str name, taskiq_format *out, mf_error *err)
{
    for (int i = TASKIQ_JSON; i <= TASKIQ_PICKLE; i++)
        if (mf_str_eq(name, mf_cstr(names[i]))) {
            *out = (taskiq_format)i;
            return MF_OK;
        }
    return mf_fail(err, MF_E_INVALID, "expected json, msgpack or pickle, got \"%.*s\"", name.len < 40 ? (int)name.len : 40,
                   name.at);
}

void taskiq_bytes_free(const mf_allocator *allocator, taskiq_bytes *bytes)
{
    mfi_release(allocator, bytes->at, bytes->size);
    *bytes = (taskiq_bytes){NULL, 0, 0};
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

/* 0x80 is an empty map in msgpack and the first byte of a pickle: no message and no result is an empty map, and what
 * follows in a pickle is its protocol. */
static bool is_pickle(mf_str bytes)
{
    return bytes.len > 1 && (unsigned char)bytes.at[0] == 0x80 && bytes.at[1] >= 2 && bytes.at[1] <= 5;
}

static bool is_cbor(mf_str bytes)
{
    unsigned char first = (unsigned char)bytes.at[0];
    return (first >= 0xa0 && first < 0xc0) ||
           (bytes.len > 2 && first == 0xd9 && bytes.at[1] == 0x01 && bytes.at[2] == 0x00);
}

mf_status taskiq_decode(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, mf_message **out,
                        taskiq_format *format, mf_error *err)
{
    if (bytes.len == 0)
        return mf_fail(err, MF_E_MALFORMED, "no bytes at all");
    unsigned char first = (unsigned char)bytes.at[0];
    if (first == '{' || first == ' ' || first == '\n' || first == '\r' || first == '\t') {
        *format = TASKIQ_JSON;
        return mf_message_from_json(bytes, limits, allocator, out, err);
    }
    if (is_pickle(bytes)) {
        *format = TASKIQ_PICKLE;
        return taskiq_pickle_read(bytes, limits, allocator, out, err);
    }
    if (is_cbor(bytes))
        return mf_fail(err, MF_E_UNSUPPORTED, "CBOR; use JSONSerializer or MSGPackSerializer on both sides");
    if ((first >= 0x80 && first < 0x90) || first == 0xde || first == 0xdf) {
        *format = TASKIQ_MSGPACK;
        return mf_message_from_bytes(bytes, limits, allocator, out, err);
    }
    return mf_fail(err, MF_E_MALFORMED, "the byte 0x%02x begins neither JSON nor msgpack nor a pickle", first);
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

/* What no Python peer would take: msgpack's unpackb has no other keys by default, and no extension types. */
static mf_status check(mf_value value, mf_error *err)
{
    mf_value key, item;
    mf_str name;
    if (mf_value_type(value) == MF_TYPE_EXT)
        return mf_fail(err, MF_E_UNSUPPORTED, "an extension value has no form in TaskIQ");
    mf_iter items = mf_value_iter(value);
    while (mf_iter_next(&items, &key, &item)) {
        if (key.at != NULL && mf_value_str(key, &name) != MF_OK)
            return mf_fail(err, MF_E_UNSUPPORTED, "a key that is no text has no form in TaskIQ");
        mf_status st = check(item, err);
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}

static mf_status encode_json(mf_value value, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    char *text;
    size_t len;
    mf_status st = mf_value_to_json(value, allocator, &text, &len, err);
    if (st == MF_OK)
        *out = (taskiq_bytes){text, len, len + 1};
    return st;
}

static mf_status encode_msgpack(mf_value value, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    char *copy = mfi_alloc(allocator, value.len);
    if (copy == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for %zu bytes", value.len);
    memcpy(copy, value.at, value.len);
    *out = (taskiq_bytes){copy, value.len, value.len};
    return MF_OK;
}

mf_status taskiq_encode(mf_value value, taskiq_format format, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    if (value.at == NULL)
        value = mf_message_value(mf_message_nil());
    if (format == TASKIQ_JSON)
        return encode_json(value, allocator, out, err);
    mf_status st = check(value, err);
    if (st != MF_OK)
        return st;
    return format == TASKIQ_PICKLE ? taskiq_pickle_write(value, allocator, out, err)
                                   : encode_msgpack(value, allocator, out, err);
}
