/* codec/fields_encode.c: a struct into a map.
 *
 * Each value is built, then held against its row in the bytes just written, so that decoding and encoding keep the very
 * same rules. */
#include "rules.h"

typedef struct encoder {
    mf_builder builder;
    mf_error  *err;
} encoder;

static mf_status encode_struct(encoder *e, const mf_fields *table, const mfi_place *outer, const void *in);

/* A text or value without a pointer is not there. */
static bool absent(const mf_field *field, const void *at)
{
    mf_str text;
    mf_value value;
    switch (field->kind) {
    case MF_FIELD_STR:
    case MF_FIELD_BIN:
        memcpy(&text, at, sizeof text);
        return text.at == NULL && !field->required;
    case MF_FIELD_VALUE:
    case MF_FIELD_ARRAY:
    case MF_FIELD_MAP:
        memcpy(&value, at, sizeof value);
        return value.at == NULL && !field->required;
    default:
        return false;
    }
}

static void build_int(mf_builder *b, const mf_field *field, const void *base)
{
    bool negative;
    uint64_t bits = mfi_member_load(field, base, &negative);
    if (negative)
        mf_build_int(b, (int64_t)bits);
    else
        mf_build_uint(b, bits);
}

static void build_scalar(mf_builder *b, const mf_field *field, const void *base)
{
    const void *at = (const char *)base + field->offset;
    mf_str text;
    double number;
    mf_value value;
    switch (field->kind) {
    case MF_FIELD_STR:   memcpy(&text, at, sizeof text); mf_build_str(b, text); break;
    case MF_FIELD_BIN:   memcpy(&text, at, sizeof text); mf_build_bin(b, text); break;
    case MF_FIELD_INT:   build_int(b, field, base); break;
    case MF_FIELD_FLOAT: memcpy(&number, at, sizeof number); mf_build_float(b, number); break;
    case MF_FIELD_BOOL:  mf_build_bool(b, *(const unsigned char *)at != 0); break;
    case MF_FIELD_VALUE:
    case MF_FIELD_ARRAY:
    case MF_FIELD_MAP:   memcpy(&value, at, sizeof value); mf_build_value(b, value); break;
    case MF_FIELD_NESTED: break;
    }
}

static mf_status encode_field(encoder *e, const mfi_place *place, const void *in)
{
    const mf_field *field = place->field;
    mf_builder *b = &e->builder;
    if (absent(field, (const char *)in + field->offset))
        return MF_OK;
    mf_build_key(b, field->name);
    if (field->kind == MF_FIELD_NESTED)
        return encode_struct(e, field->nested, place, (const char *)in + field->offset);
    size_t before = b->len;
    build_scalar(b, field, in);
    if (mf_builder_status(b) == MF_OK)
        return mfi_field_check(place, (mf_value){b->at + before, b->len - before}, e->err);
    return mf_fail(e->err, mf_builder_status(b), "field \"%s\": %s", field->name, b->problem);
}

static mf_status encode_struct(encoder *e, const mf_fields *table, const mfi_place *outer, const void *in)
{
    mf_status st = mfi_table_check(table, e->err);
    mf_build_map_begin(&e->builder);
    for (unsigned i = 0; st == MF_OK && i < table->count; i++)
        st = encode_field(e, &(mfi_place){outer, &table->fields[i]}, in);
    mf_build_end(&e->builder);
    return st;
}

mf_status mf_fields_encode(const mf_fields *table, const void *in, const mf_allocator *allocator, mf_message **out,
                           mf_error *err)
{
    encoder e;
    e.err = err;
    mf_builder_init(&e.builder, allocator, NULL);
    mf_status st = encode_struct(&e, table, NULL, in);
    if (st == MF_OK)
        st = mf_builder_finish(&e.builder, out, err);
    mf_builder_fini(&e.builder);
    return st;
}

int mf_fields_return_index(const mf_fields *table)
{
    for (unsigned i = 0; table != NULL && i < table->count; i++)
        if (table->fields[i].returns)
            return (int)i;
    return -1;
}

mf_str mf_fields_return_name(const mf_fields *table)
{
    int i = mf_fields_return_index(table);
    return i < 0 ? MF_STR_LIT("mageflow_results") : mf_cstr(table->fields[i].name);
}
