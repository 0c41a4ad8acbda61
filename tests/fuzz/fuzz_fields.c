/* What a table lets in, encodes; and what was encoded decodes to a struct that encodes to the same bytes. */
#include "fuzz.h"

#include <mageflow/fields.h>

struct inner { double real; uint8_t byte; mf_str raw; };
MF_FIELDS_STRICT(inner, struct inner, MF_FLOAT(real, .min = -1, .max = 1e6), MF_INT(byte, MF_REQUIRED), MF_BIN(raw));

struct outer { mf_str s; int64_t i; uint64_t u; int16_t h; bool b; struct inner in; mf_value v, a, m; };
MF_FIELDS(outer, struct outer, MF_STR(s, .max_len = 9, .text_fallback = "x"), MF_INT(i, .min = -5, .fallback = 3), MF_INT(u),
          MF_INT(h), MF_BOOL(b, .fallback = 1), MF_NESTED(in, inner, MF_REQUIRED), MF_VALUE(v, .name = "value"),
          MF_ARRAY(a, .max = 3), MF_MAP(m));

static void round_trip(const mf_message *message)
{
    struct outer one, two;
    mf_message *first, *second;
    mf_error err;
    mf_status st = mf_fields_decode(&outer, message, &one, &err);
    PROMISE(st == mf_fields_validate(&outer, message, &err));
    if (st != MF_OK)
        return;
    PROMISE(mf_fields_encode(&outer, &one, NULL, &first, &err) == MF_OK);
    promise_whole(first);
    PROMISE(mf_fields_decode(&outer, first, &two, &err) == MF_OK);
    PROMISE(mf_fields_encode(&outer, &two, NULL, &second, &err) == MF_OK);
    PROMISE(same_bytes(first, second));
    mf_message_unref(first);
    mf_message_unref(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message *message;
    mf_str bytes = {(const char *)data, size}, s;
    mf_error err;
    int i;
    if (mf_message_from_bytes(bytes, NULL, NULL, &message, NULL) != MF_OK &&
        mf_message_from_json(bytes, NULL, NULL, &message, NULL) != MF_OK)
        return 0;
    round_trip(message);
    if (mf_message_scan(message, &err, "{s?:s, s?:[i,{s:i}], s:v}", "s", &s, "a", &i, "x", &i, "value",
                        &(mf_value){NULL, 0}) == MF_E_INVALID)
        abort();
    mf_message_unref(message);
    return 0;
}
