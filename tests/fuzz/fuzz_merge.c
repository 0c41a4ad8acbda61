/* A union has every key of both sides, over's values on top, and merging over again changes nothing. */
#include "fuzz.h"

#include "merge.h"

static mf_message *parse(mf_str bytes)
{
    mf_message *message;
    if (mf_message_from_bytes(bytes, NULL, NULL, &message, NULL) == MF_OK ||
        mf_message_from_json(bytes, NULL, NULL, &message, NULL) == MF_OK)
        return message;
    return NULL;
}

static void promise_keys(mf_value side, mf_value merged, bool wins)
{
    mf_iter entries = mf_value_iter(side);
    mf_value key, value, last, found;
    mf_str name;
    while (mf_iter_next(&entries, &key, &value)) {
        if (mf_value_str(key, &name) != MF_OK)
            continue;
        PROMISE(mf_value_get(merged, name, &found));
        PROMISE(mf_value_get(side, name, &last));
        if (wins && mf_value_type(last) != MF_TYPE_MAP)
            PROMISE(last.len == found.len && memcmp(last.at, found.at, found.len) == 0);
    }
}

static void merge(const mf_message *under, const mf_message *over)
{
    mf_message *merged, *set;
    mf_error err;
    mf_status st = mfi_message_merge(under, over, NULL, NULL, &merged, &err);
    PROMISE(st == MF_OK || st == MF_E_TYPE || st == MF_E_TOO_BIG);
    if (st != MF_OK)
        return;
    promise_whole(merged);
    promise_keys(mf_message_value(under), mf_message_value(merged), false);
    promise_keys(mf_message_value(over), mf_message_value(merged), true);
    if (mfi_message_with(merged, MF_STR_LIT("k"), mf_message_value(over), NULL, NULL, &set, &err) == MF_OK) {
        promise_whole(set);
        mf_message_unref(set);
    }
    mf_message_unref(merged);
}

/* The first byte says how long the lower message is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t first = data[0] < size - 1 ? data[0] : size - 1;
    mf_message *under = parse(mf_str_of((const char *)data + 1, first));
    mf_message *over = parse(mf_str_of((const char *)data + 1 + first, size - 1 - first));
    merge(under, over);
    mf_message_unref(under);
    mf_message_unref(over);
    return 0;
}
