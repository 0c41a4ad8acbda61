/* A flow's message as Hatchet carries it: an input, and mageflow's metadata beside it.
 *
 * The metadata is one entry of the run's additional metadata, "mageflow", whose value is a text (JSON again): the engine's Go
 * code reads what stands there into floating point numbers and sorts it, and a text it passes on as it is.
 *
 * It does the same to the input, and PostgreSQL cuts 1.0 down to 1. So an input is written as JSON, for people to read, where it comes
 * back as the same value whatever is done to it; what would not (binary, whole numbers as floats, integers beyond 2^53, U+0000, keys
 * that are no text) goes as msgpack in base64. Only what workers of others serve is JSON in any case, or is refused. */
#include "hatchet.h"

#include <math.h>

#include "memory.h"

#define META "mageflow"
#define RETURNS "mageflow_returns"
#define PACKED "mageflow_msgpack"
#define WRAP "hatchet_results"
#define EXACT_MAX (INT64_C(1) << 53)

/* What a program of ours has sent is within its limits; around it stands more. */
static const mf_limits wide = {.struct_size = sizeof wide, .bytes = (size_t)64 << 20, .depth = MF_DEPTH_MAX, .elements = UINT32_MAX};

static const char *const forms[] = {[HATCHET_PLAIN] = "plain", [HATCHET_WRAPPED] = "wrapped", [HATCHET_PACKED] = "msgpack"};

/* ---- the input -------------------------------------------------------------------------------------------------------- */

static bool survives(mf_value value);

static bool number_survives(mf_value value)
{
    int64_t whole;
    double number;
    if (mf_value_type(value) == MF_TYPE_INT)
        return mf_value_int(value, &whole) == MF_OK && whole >= -EXACT_MAX && whole <= EXACT_MAX;
    return mf_value_float(value, &number) == MF_OK && isfinite(number) && number != trunc(number);
}

static bool each_survives(mf_value value)
{
    mf_iter items = mf_value_iter(value);
    mf_value key, item;
    bool map = mf_value_type(value) == MF_TYPE_MAP;
    while (mf_iter_next(&items, &key, &item))
        if ((map && (mf_value_type(key) != MF_TYPE_STR || !survives(key))) || !survives(item))
            return false;
    return true;
}

/* Whether it comes back as it was, up to the order of a map's keys. As deep as a message may be. */
static bool survives(mf_value value)
{
    mf_str text;
    switch (mf_value_type(value)) {
    case MF_TYPE_NIL: case MF_TYPE_BOOL:
        return true;
    case MF_TYPE_INT: case MF_TYPE_FLOAT:
        return number_survives(value);
    case MF_TYPE_STR:
        return mf_value_str(value, &text) == MF_OK && memchr(text.at, '\0', text.len) == NULL;
    case MF_TYPE_ARRAY: case MF_TYPE_MAP:
        return each_survives(value);
    default:
        return false;
    }
}

static mf_status pack(hatchet *h, mf_value value, char **json, size_t *len, mf_error *err)
{
    mf_builder b;
    mf_message *whole = NULL;
    mf_builder_init(&b, h->allocator, &wide);
    mf_build_map(&b, 1);
    mf_build_key(&b, PACKED);
    mf_build_bin(&b, mf_str_of((const char *)value.at, value.len));
    mf_status st = mf_builder_finish(&b, &whole, err);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = mf_message_to_json(whole, h->allocator, json, len, err);      /* binary becomes base64 */
    mf_message_unref(whole);
    return st;
}

mf_status hatchet_input_write(hatchet *h, const mf_message *message, bool foreign, char **json, size_t *len, hatchet_form *form,
                              mf_error *err)
{
    mf_value value = mf_message_value(message != NULL ? message : mf_message_nil());
    mf_type type = mf_value_type(value);
    *form = type == MF_TYPE_MAP ? HATCHET_PLAIN : HATCHET_WRAPPED;
    if (foreign && type != MF_TYPE_MAP && type != MF_TYPE_NIL)
        return mf_fail(err, MF_E_INVALID, "Hatchet's messages are maps, this one is %s", mf_type_name(type));
    if (foreign && type == MF_TYPE_NIL) {
        *len = 2;
        *json = mfi_copy_text(h->allocator, MF_STR_LIT("{}"));
        return *json != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "no memory for a message");
    }
    if (!foreign && !survives(value)) {
        *form = HATCHET_PACKED;
        return pack(h, value, json, len, err);
    }
    return hatchet_object(h, value, json, len, err);
}

static mf_status unpack(hatchet *h, mf_value input, mf_message **out, mf_error *err)
{
    mf_str text;
    mf_status st = mf_value_scan(input, err, "{s:S}", PACKED, &text);
    if (st != MF_OK)
        return MF_E_MALFORMED;
    size_t room = text.len / 4 * 3 + 3;
    char *bytes = mfi_alloc(h->allocator, room);
    if (bytes == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for a message");
    size_t len = mfi_hatchet_base64_read(text, bytes, room);
    st = mf_message_from_bytes(mf_str_of(bytes, len), &wide, h->allocator, out, err);
    mfi_release(h->allocator, bytes, room);
    return st;
}

mf_status hatchet_input_read(hatchet *h, mf_value input, hatchet_form form, mf_message **out, mf_error *err)
{
    mf_value inner;
    if (form == HATCHET_PACKED)
        return unpack(h, input, out, err);
    if (form == HATCHET_WRAPPED) {
        if (!mf_value_get(input, MF_STR_LIT(WRAP), &inner))
            return mf_fail(err, MF_E_MALFORMED, "no \"" WRAP "\" in a message that should be wrapped in it");
        input = inner;
    }
    return mf_message_of_value(input, h->allocator, out, err);
}

mf_status hatchet_payload_read(hatchet *h, const char *json, bool flow, mf_message **out, mf_error *err)
{
    return mf_message_from_json(mf_cstr(json), flow ? &wide : h->options.limits, h->allocator, out, err);
}

/* ---- the metadata ----------------------------------------------------------------------------------------------------- */

static void build_meta(mf_builder *b, const mf_entry *e, hatchet_form form, const char *store)
{
    mf_build_map_begin(b);
    mf_build_key(b, "key");
    mf_build_str(b, mf_cstr(e->unit.key.text));
    mf_build_key(b, "index");
    mf_build_uint(b, e->unit.index);
    mf_build_key(b, "epoch");
    mf_build_uint(b, e->unit.epoch);
    mf_build_key(b, "attempt");
    mf_build_uint(b, e->attempt);
    mf_build_key(b, "store");
    mf_build_str(b, mf_cstr(store));
    mf_build_key(b, "form");
    mf_build_str(b, mf_cstr(forms[form]));
    if (e->priority != 0) {
        mf_build_key(b, "priority");
        mf_build_int(b, e->priority);
    }
    if (mf_key_is_set(&e->spec->container)) {
        mf_build_key(b, "container");
        mf_build_str(b, mf_cstr(e->spec->container.text));
    }
    if (e->error != NULL) {
        mf_build_key(b, "error");
        mf_build_message(b, e->error);
    }
    mf_build_end(b);
}

static mf_status write_meta(hatchet *h, mf_str text, unsigned returns, char **json, size_t *len, mf_error *err)
{
    mf_builder b;
    mf_message *whole = NULL;
    mf_builder_init(&b, h->allocator, &wide);
    mf_build_map(&b, returns > 0 ? 2 : 1);
    mf_build_key(&b, META);
    mf_build_str(&b, text);
    if (returns > 0) {
        mf_build_key(&b, RETURNS);
        mf_build_uint(&b, returns);
    }
    mf_status st = mf_builder_finish(&b, &whole, err);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = mf_message_to_json(whole, h->allocator, json, len, err);
    mf_message_unref(whole);
    return st;
}

mf_status hatchet_meta_write(hatchet *h, const mf_entry *e, hatchet_form form, char **json, size_t *len, mf_error *err)
{
    mf_builder b;
    mf_message *inner = NULL;
    char *text = NULL;
    size_t text_len = 0;
    mf_builder_init(&b, h->allocator, &wide);
    build_meta(&b, e, form, h->store_id);
    mf_status st = mf_builder_finish(&b, &inner, err);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = mf_message_to_json(inner, h->allocator, &text, &text_len, err);
    if (st == MF_OK)
        st = write_meta(h, mf_str_of(text, text_len), 0, json, len, err);
    mf_json_free(h->allocator, text, text_len);
    mf_message_unref(inner);
    return st;
}

mf_status hatchet_meta_again(hatchet *h, const char *metadata, unsigned returns, char **json, size_t *len, mf_error *err)
{
    mf_message *whole = NULL;
    mf_str text;
    mf_status st = mf_message_from_json(mf_cstr(metadata), &wide, h->allocator, &whole, err);
    if (st == MF_OK)
        st = mf_message_scan(whole, err, "{s:S}", META, &text);
    if (st == MF_OK)
        st = write_meta(h, text, returns, json, len, err);
    mf_message_unref(whole);
    return st;
}

static mf_status read_map(hatchet *h, mf_value map, hatchet_meta *out, mf_error *err)
{
    mf_str key, store = {NULL, 0}, form = MF_STR_LIT("plain");
    uint64_t index = 0, epoch = 0, attempt = 1;
    int64_t priority = 0;
    mf_value error = {NULL, 0};
    mf_status st = mf_value_scan(map, err, "{s:S, s?:U, s?:U, s?:U, s?:S, s?:S, s?:I, s?:v}", "key", &key, "index", &index, "epoch",
                                 &epoch, "attempt", &attempt, "store", &store, "form", &form, "priority", &priority, "error", &error);
    if (st != MF_OK)
        return MF_E_MALFORMED;
    hatchet_meta meta = {.unit = {.index = index, .epoch = (uint32_t)epoch}, .attempt = (uint32_t)attempt,
                         .priority = (int32_t)priority};
    while (meta.form < HATCHET_FORMS && !mf_str_eq(form, mf_cstr(forms[meta.form])))
        meta.form++;
    if (epoch > UINT32_MAX || attempt < 1 || attempt > UINT32_MAX || priority < INT32_MIN || priority > INT32_MAX ||
        meta.form == HATCHET_FORMS || store.len >= sizeof meta.store || mf_key_parse(key, &meta.unit.key, NULL) != MF_OK)
        return mf_fail(err, MF_E_MALFORMED, "metadata \"" META "\": no key, or a value out of range");
    if (store.len > 0)
        memcpy(meta.store, store.at, store.len);
    if (error.at != NULL)
        st = mf_message_of_value(error, h->allocator, &meta.error, err);
    if (st == MF_OK)
        *out = meta;
    return st;
}

mf_status hatchet_meta_read(hatchet *h, const char *metadata, hatchet_meta *out, mf_error *err)
{
    mf_message *whole = NULL, *inner = NULL;
    mf_value value;
    mf_str text;
    /* Whoever starts a run may say what he likes beside it: most runs are nobody's flow. */
    if (metadata == NULL || strstr(metadata, "\"" META "\"") == NULL ||
        mf_message_from_json(mf_cstr(metadata), &wide, h->allocator, &whole, NULL) != MF_OK ||
        !mf_value_get(mf_message_value(whole), MF_STR_LIT(META), &value)) {
        mf_message_unref(whole);
        return MF_E_NOT_FOUND;
    }
    mf_status st = MF_E_MALFORMED;
    if (mf_value_str(value, &text) == MF_OK)
        st = mf_message_from_json(text, &wide, h->allocator, &inner, err);
    else
        mf_fail(err, st, "metadata \"" META "\": expected text, got %s", mf_type_name(mf_value_type(value)));
    if (st == MF_OK)
        st = read_map(h, mf_message_value(inner), out, err);
    uint64_t returns = 0;
    if (st == MF_OK && mf_message_scan(whole, NULL, "{s?:U}", RETURNS, &returns) == MF_OK)
        out->returns = returns < 1000 ? (unsigned)returns : 1000;
    mf_message_unref(inner);
    mf_message_unref(whole);
    return st == MF_OK || st == MF_E_NOMEM ? st : MF_E_MALFORMED;
}
