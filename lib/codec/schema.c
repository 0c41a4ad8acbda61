#include "rules.h"

#include <math.h>

static void build_table(mf_builder *b, const mf_fields *table);

static void build_text(mf_builder *b, const char *key, const char *text)
{
    mf_build_key(b, key);
    mf_build_str(b, mf_cstr(text));
}

/* A bound as the integer it is, where it is one. */
static void build_number(mf_builder *b, const char *key, long double n)
{
    mf_build_key(b, key);
    if (n == floorl(n) && n >= 0 && n < ldexpl(1, 64))
        mf_build_uint(b, (uint64_t)n);
    else if (n == floorl(n) && n < 0 && n >= -ldexpl(1, 63))
        mf_build_int(b, (int64_t)n);
    else
        mf_build_float(b, (double)n);
}

static void build_bounds(mf_builder *b, const char *least, const char *most, long double min, long double max)
{
    if (!isinf(min))
        build_number(b, least, min);
    if (!isinf(max))
        build_number(b, most, max);
}

/* A fallback of 0 that nobody wrote may lie outside the bounds; then there is no default to speak of. */
static void build_default(mf_builder *b, const mf_field *field, long double min, long double max)
{
    if (!field->required && field->fallback >= min && field->fallback <= max)
        build_number(b, "default", field->fallback);
}

static void build_text_kind(mf_builder *b, const mf_field *field)
{
    build_text(b, "type", "string");
    if (field->kind == MF_FIELD_BIN)
        build_text(b, "contentEncoding", "base64");
    else if (field->max_len != 0)
        build_number(b, "maxLength", (long double)field->max_len);
    if (!field->required && field->text_fallback != NULL)
        build_text(b, "default", field->text_fallback);
}

static void build_field(mf_builder *b, const mf_field *field)
{
    mf_build_map_begin(b);
    switch (field->kind) {
    case MF_FIELD_STR:
    case MF_FIELD_BIN:
        build_text_kind(b, field);
        break;
    case MF_FIELD_INT:
        build_text(b, "type", "integer");
        build_bounds(b, "minimum", "maximum", mfi_lowest(field), mfi_highest(field));
        build_default(b, field, mfi_lowest(field), mfi_highest(field));
        break;
    case MF_FIELD_FLOAT:
        build_text(b, "type", "number");
        build_bounds(b, "minimum", "maximum", field->min, field->max);
        build_default(b, field, field->min, field->max);
        break;
    case MF_FIELD_BOOL:
        build_text(b, "type", "boolean");
        if (field->required)
            break;
        mf_build_key(b, "default");
        mf_build_bool(b, field->fallback != 0);
        break;
    case MF_FIELD_ARRAY:
        build_text(b, "type", "array");
        build_bounds(b, "minItems", "maxItems", field->min, field->max);
        break;
    case MF_FIELD_MAP:
        build_text(b, "type", "object");
        build_bounds(b, "minProperties", "maxProperties", field->min, field->max);
        break;
    case MF_FIELD_NESTED:
        build_table(b, field->nested);
        break;
    case MF_FIELD_VALUE:
        break;
    }
    mf_build_end(b);
}

/* The inside of an object's schema; the map around it is open. Recursion follows the tables, and the builder's limit of
 * depth ends it. */
static void build_table(mf_builder *b, const mf_fields *table)
{
    build_text(b, "type", "object");
    build_text(b, "title", table->name);
    mf_build_key(b, "properties");
    mf_build_map_begin(b);
    for (unsigned i = 0; i < table->count && mf_builder_status(b) == MF_OK; i++) {
        mf_build_key(b, table->fields[i].name);
        build_field(b, &table->fields[i]);
    }
    mf_build_end(b);
    mf_build_key(b, "required");
    mf_build_array_begin(b);
    for (unsigned i = 0; i < table->count; i++)
        if (table->fields[i].required)
            mf_build_str(b, mf_cstr(table->fields[i].name));
    mf_build_end(b);
    if (table->strict) {
        mf_build_key(b, "additionalProperties");
        mf_build_bool(b, false);
    }
}

mf_status mf_fields_schema(const mf_fields *table, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, allocator, NULL);
    mf_build_map_begin(&b);
    build_table(&b, table);
    mf_build_end(&b);
    return mf_builder_finish(&b, out, err);
}
