/* A table of fields from the schema that mf_fields_schema writes: what a process knows of a task that another one declared. It
 * holds messages to the same rules; there is no struct behind it. */
#include "schema_read.h"

#include "memory.h"
#include "rules.h"

#define DEEPEST 16      /* tables within each other */

static mf_status read_table(mf_value schema, const mf_allocator *a, unsigned depth, mf_fields **out, mf_error *err);

void mfi_fields_free(mf_fields *table, const mf_allocator *a)
{
    if (table == NULL)
        return;
    for (unsigned i = 0; i < table->count; i++) {
        const mf_field *field = &table->fields[i];
        mfi_fields_free((mf_fields *)(uintptr_t)field->nested, a);
        mfi_release(a, (char *)(uintptr_t)field->name, field->name == NULL ? 0 : strlen(field->name) + 1);
    }
    mfi_release(a, (mf_field *)(uintptr_t)table->fields, table->count * sizeof *table->fields);
    mfi_release(a, (char *)(uintptr_t)table->name, table->name == NULL ? 0 : strlen(table->name) + 1);
    mf_delete(a, table);
}

static mf_str text_of(mf_value map, const char *key)
{
    mf_value value;
    mf_str text = {NULL, 0};
    if (!mf_value_get(map, mf_cstr(key), &value) || mf_value_str(value, &text) != MF_OK)
        return mf_str_of("", 0);
    return text;
}

static long double number_of(mf_value map, const char *key, long double fallback)
{
    mf_value value;
    double number;
    int64_t i;
    uint64_t u;
    if (!mf_value_get(map, mf_cstr(key), &value))
        return fallback;
    if (mf_value_int(value, &i) == MF_OK)
        return i;
    if (mf_value_uint(value, &u) == MF_OK)
        return u;
    return mf_value_float(value, &number) == MF_OK ? number : fallback;
}

static mf_status read_integer(mf_field *field, mf_value schema)
{
    field->kind = MF_FIELD_INT;
    field->size = 8;
    field->min = number_of(schema, "minimum", MFI_MIN);
    field->max = number_of(schema, "maximum", MFI_MAX);
    field->is_signed = !(field->min >= 0);
    /* A bound that any member of that width has is not one that somebody wrote. */
    mf_field bare = {.kind = MF_FIELD_INT, .size = 8, .is_signed = field->is_signed, .min = MFI_MIN, .max = MFI_MAX};
    if (field->min == mfi_lowest(&bare))
        field->min = MFI_MIN;
    if (field->max == mfi_highest(&bare))
        field->max = MFI_MAX;
    return MF_OK;
}

/* Whatever is not one of ours is anything: the process that runs the task holds it to its own table. */
static mf_status read_field(mf_field *field, mf_value schema, const mf_allocator *a, unsigned depth, mf_error *err)
{
    mf_value properties;
    mf_str type = text_of(schema, "type");
    field->kind = MF_FIELD_VALUE;
    field->min = MFI_MIN;
    field->max = MFI_MAX;
    if (mf_str_eq(type, MF_STR_LIT("string"))) {
        field->kind = text_of(schema, "contentEncoding").len > 0 ? MF_FIELD_BIN : MF_FIELD_STR;
        field->max_len = (size_t)number_of(schema, "maxLength", 0);
    } else if (mf_str_eq(type, MF_STR_LIT("integer"))) {
        return read_integer(field, schema);
    } else if (mf_str_eq(type, MF_STR_LIT("number"))) {
        field->kind = MF_FIELD_FLOAT;
        field->min = number_of(schema, "minimum", MFI_MIN);
        field->max = number_of(schema, "maximum", MFI_MAX);
    } else if (mf_str_eq(type, MF_STR_LIT("boolean"))) {
        field->kind = MF_FIELD_BOOL;
    } else if (mf_str_eq(type, MF_STR_LIT("array"))) {
        field->kind = MF_FIELD_ARRAY;
        field->min = number_of(schema, "minItems", MFI_MIN);
        field->max = number_of(schema, "maxItems", MFI_MAX);
    } else if (mf_str_eq(type, MF_STR_LIT("object")) && mf_value_get(schema, MF_STR_LIT("properties"), &properties)) {
        mf_fields *nested = NULL;
        field->kind = MF_FIELD_NESTED;
        mf_status st = read_table(schema, a, depth + 1, &nested, err);
        field->nested = nested;
        return st;
    } else if (mf_str_eq(type, MF_STR_LIT("object"))) {
        field->kind = MF_FIELD_MAP;
        field->min = number_of(schema, "minProperties", MFI_MIN);
        field->max = number_of(schema, "maxProperties", MFI_MAX);
    }
    return MF_OK;
}

static bool is_required(mf_value required, mf_str name)
{
    mf_value item;
    mf_str text;
    mf_iter iter = mf_value_iter(required);
    while (mf_iter_next(&iter, NULL, &item))
        if (mf_value_str(item, &text) == MF_OK && mf_str_eq(text, name))
            return true;
    return false;
}

static mf_status read_rows(mf_value schema, mf_field *rows, unsigned count, const mf_allocator *a, unsigned depth, mf_error *err)
{
    mf_value properties, required = {NULL, 0}, key, value;
    (void)mf_value_get(schema, MF_STR_LIT("properties"), &properties);
    bool some = mf_value_get(schema, MF_STR_LIT("required"), &required);
    mf_iter iter = mf_value_iter(properties);
    for (unsigned i = 0; i < count && mf_iter_next(&iter, &key, &value); i++) {
        mf_str name = {NULL, 0};
        if (mf_value_str(key, &name) != MF_OK)
            return mf_fail(err, MF_E_MALFORMED, "schema: a property's name is no text");
        char *copy = mfi_copy_text(a, name);
        if (copy == NULL)
            return mf_fail(err, MF_E_NOMEM, "schema: no memory");
        rows[i].name = copy;
        rows[i].required = some && is_required(required, name);
        mf_status st = read_field(&rows[i], value, a, depth, err);
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}

static mf_status read_table(mf_value schema, const mf_allocator *a, unsigned depth, mf_fields **out, mf_error *err)
{
    mf_value properties, strict;
    bool open = true;
    size_t count = 0;
    if (depth > DEEPEST)
        return mf_fail(err, MF_E_TOO_BIG, "schema: expected at most %d tables within each other", DEEPEST);
    if (!mf_value_get(schema, MF_STR_LIT("properties"), &properties) || mf_value_type(properties) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_MALFORMED, "schema: expected an object with properties");
    count = mf_value_count(properties);
    if (count > MF_FIELDS_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "schema: expected at most %d properties, got %zu", MF_FIELDS_MAX, count);
    if (mf_value_get(schema, MF_STR_LIT("additionalProperties"), &strict) && mf_value_bool(strict, &open) != MF_OK)
        open = true;
    mf_fields *table = mf_new(a, mf_fields);
    if (table == NULL)
        return mf_fail(err, MF_E_NOMEM, "schema: no memory");
    table->strict = !open;
    table->name = mfi_copy_text(a, text_of(schema, "title"));
    mf_field *rows = count == 0 ? NULL : mfi_alloc_array(a, count, sizeof *rows);
    mf_status st = table->name == NULL || (rows == NULL && count > 0) ? mf_fail(err, MF_E_NOMEM, "schema: no memory") : MF_OK;
    if (rows != NULL)
        memset(rows, 0, count * sizeof *rows);
    table->fields = rows;
    table->count = rows == NULL ? 0 : (unsigned)count;
    if (st == MF_OK)
        st = read_rows(schema, rows, (unsigned)count, a, depth, err);
    if (st != MF_OK) {
        mfi_fields_free(table, a);
        return st;
    }
    *out = table;
    return MF_OK;
}

mf_status mfi_fields_from_schema(mf_value schema, const mf_allocator *a, mf_fields **out, mf_error *err)
{
    return read_table(schema, a, 0, out, err);
}
