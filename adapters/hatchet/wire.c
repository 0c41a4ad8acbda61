/* Protobuf (protobuf-c, which allocates with malloc) and JSON. */
#include "hatchet.h"

#include <stdio.h>

#include "clock.h"
#include "json.h"
#include "memory.h"
#include "verify.h"

#define WRAP "hatchet_results"      /* where the original puts what is no object */

mf_str hatchet_str(const hatchet_bytes *b)
{
    return mf_str_of(b->at, b->len);
}

void hatchet_bytes_free(hatchet_bytes *b)
{
    if (b->at != NULL)
        mfi_release(b->allocator, b->at, b->len + 1);
    *b = (hatchet_bytes){NULL, NULL, 0};
}

mf_status hatchet_pack(hatchet *h, const ProtobufCMessage *message, hatchet_bytes *out, mf_error *err)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    out->allocator = h->allocator;
    out->at = mfi_alloc(h->allocator, len + 1);
    out->len = len;
    if (out->at == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: no memory", h->what);
    protobuf_c_message_pack(message, (uint8_t *)out->at);
    return MF_OK;
}

mf_status hatchet_call(hatchet *h, const char *method, const ProtobufCMessage *request, mf_duration within,
                       const ProtobufCMessageDescriptor *reply, ProtobufCMessage **out, mfi_rpc_code *code, mf_error *err)
{
    hatchet_bytes bytes;
    mfi_rpc_bytes answer = {NULL, NULL, 0};
    mfi_rpc_code how = MFI_RPC_OK;
    mf_status st = hatchet_pack(h, request, &bytes, err);
    if (st == MF_OK)
        st = mfi_rpc_unary(h->rpc, method, hatchet_str(&bytes), within, &answer, &how, err);
    hatchet_bytes_free(&bytes);
    if (code != NULL)
        *code = how;
    if (how == MFI_RPC_UNAUTHENTICATED)
        hatchet_token_refused(h);       /* perhaps the next one has a new token */
    if (st == MF_OK && out != NULL) {
        *out = protobuf_c_message_unpack(reply, NULL, answer.len, (const uint8_t *)(answer.at != NULL ? answer.at : ""));
        if (*out == NULL)
            st = mf_fail(err, MF_E_MALFORMED, "%s: %s: the answer is not what it should be", h->what, method);
    }
    mfi_rpc_bytes_free(&answer);
    return st;
}

mf_status hatchet_begin(hatchet *h, const char *method, const ProtobufCMessage *request, mf_duration within,
                        mfi_rpc_message_fn *message, mfi_rpc_ended_fn *ended, void *user, mfi_rpc_call **out, mf_error *err)
{
    hatchet_bytes bytes;
    mf_status st = hatchet_pack(h, request, &bytes, err);
    if (st == MF_OK)
        st = mfi_rpc_begin(h->rpc, &(mfi_rpc_spec){.method = method, .request = hatchet_str(&bytes), .within = within,
                                                   .message = message, .ended = ended, .user = user}, out, err);
    hatchet_bytes_free(&bytes);
    return st;
}

HatchetPb__Timestamp hatchet_now(hatchet *h)
{
    return hatchet_stamp(mfi_wall_ms(h->clock));
}

void hatchet_span_text(char text[32], mf_duration span)
{
    int64_t ms = span / 1000000 + (span % 1000000 > 0);
    snprintf(text, 32, "%lldms", (long long)(ms > 0 ? ms : 1));
}

HatchetPb__Timestamp hatchet_stamp(int64_t ms)
{
    HatchetPb__Timestamp t = HATCHET_PB__TIMESTAMP__INIT;
    t.has_seconds = t.has_nanos = true;
    t.seconds = ms / 1000;
    t.nanos = (int32_t)(ms % 1000) * 1000000;
    return t;
}

bool hatchet_is_utf8(const char *text)
{
    size_t len = strlen(text);
    return mfi_utf8_valid(mf_str_of(text, len)) == len;
}

/* A message with a text that is no UTF-8 is refused as a whole, by Go's protobuf. */
void hatchet_make_utf8(char *text)
{
    size_t len = strlen(text);
    for (size_t at = mfi_utf8_valid(mf_str_of(text, len)); at < len; at += mfi_utf8_valid(mf_str_of(text + at, len - at)))
        text[at] = '?';
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------ */

/* PostgreSQL, where the engine keeps it, knows no U+0000. */
static bool holds_nul(const char *json, size_t len)
{
    for (size_t i = 0; i + 5 < len; i++) {
        if (json[i] != '\\')
            continue;
        if (memcmp(json + i + 1, "u0000", 5) == 0)
            return true;
        i++;        /* what is escaped is no escape */
    }
    return false;
}

mf_status hatchet_message_of(hatchet *h, mf_value value, mf_message **out, mf_error *err)
{
    return mf_message_from_bytes(mf_str_of((const char *)value.at, value.len), h->options.limits, h->allocator, out, err);
}

static mf_status wrap(hatchet *h, mf_value value, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, h->allocator, NULL);
    mf_build_map(&b, 1);
    mf_build_key(&b, WRAP);
    mf_build_value(&b, value);
    return mf_builder_finish(&b, out, err);
}

mf_status hatchet_object(hatchet *h, mf_value value, char **json, size_t *len, mf_error *err)
{
    mf_message *wrapped = NULL;
    if (mf_value_type(value) != MF_TYPE_MAP) {
        mf_status st = wrap(h, value, &wrapped, err);
        if (st != MF_OK)
            return st;
        value = mf_message_value(wrapped);
    }
    mf_status st = mfi_value_to_json(value, MFI_JSON_EXACT, h->allocator, json, len, err);
    mf_message_unref(wrapped);
    if (st == MF_OK && holds_nul(*json, *len)) {
        mf_json_free(h->allocator, *json, *len);
        *json = NULL;
        st = mf_fail(err, MF_E_UNSUPPORTED, "a text with U+0000 in it, which the engine cannot keep");
    }
    return st;
}

mf_status hatchet_unwrap(hatchet *h, mf_str json, mf_message **out, mf_error *err)
{
    mf_message *whole = NULL;
    mf_value inner;
    mf_status st = mf_message_from_json(json, h->options.limits, h->allocator, &whole, err);
    if (st != MF_OK)
        return st;
    mf_value value = mf_message_value(whole);
    if (mf_value_count(value) != 1 || !mf_value_get(value, MF_STR_LIT(WRAP), &inner)) {
        *out = whole;
        return MF_OK;
    }
    st = hatchet_message_of(h, inner, out, err);
    mf_message_unref(whole);
    return st;
}
