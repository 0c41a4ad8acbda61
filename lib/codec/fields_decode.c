/* codec/fields_decode.c: a map into a struct, or only held against its table.
 *
 * One walk over the map. Fields mostly come in the table's order, so that the row after the last one found is tried
 * first and a message of n fields costs n comparisons. A second walk, over the rows, gives what was missing. */
#include "describe.h"
#include "rules.h"

static const mf_field *find(const mf_fields *table, mf_str name, unsigned *hint)
{
    for (unsigned n = 0; n < table->count; n++) {
        unsigned i = (*hint + n) % table->count;
        if (mf_str_eq(mf_cstr(table->fields[i].name), name)) {
            *hint = i + 1;
            return &table->fields[i];
        }
    }
    return NULL;
}

/* ---- one field ----------------------------------------------------------------------------------------------- */

static uint64_t int_bits(mf_value value)
{
    int64_t n = 0;
    uint64_t bits = 0;
    if (mf_value_int(value, &n) == MF_OK)
        return (uint64_t)n;
    return mf_value_uint(value, &bits) == MF_OK ? bits : 0;
}

/* mfi_field_check has seen the value: the readers below succeed. */
static void store(const mf_field *field, mf_value value, void *base)
{
    void *at = (char *)base + field->offset;
    mf_str text = {NULL, 0};
    double number = 0;
    bool flag = false;
    switch (field->kind) {
    case MF_FIELD_STR:
        if (mf_value_str(value, &text) == MF_OK)
            memcpy(at, &text, sizeof text);
        break;
    case MF_FIELD_BIN:
        if (mf_value_bin(value, &text) == MF_OK)
            memcpy(at, &text, sizeof text);
        break;
    case MF_FIELD_FLOAT:
        if (mf_value_float(value, &number) == MF_OK)
            memcpy(at, &number, sizeof number);
        break;
    case MF_FIELD_BOOL:
        if (mf_value_bool(value, &flag) == MF_OK)
            memcpy(at, &flag, sizeof flag);
        break;
    case MF_FIELD_INT:
        mfi_member_store(field, base, int_bits(value));
        break;
    case MF_FIELD_VALUE:
    case MF_FIELD_ARRAY:
    case MF_FIELD_MAP:
        memcpy(at, &value, sizeof value);
        break;
    case MF_FIELD_NESTED:
        break;
    }
}

static void store_fallbacks(const mf_fields *table, void *base);

static void store_fallback(const mf_field *field, void *base)
{
    void *at = (char *)base + field->offset;
    memset(at, 0, field->size);
    switch (field->kind) {
    case MF_FIELD_STR:
    case MF_FIELD_BIN: {
        mf_str text = mf_cstr(field->text_fallback);
        memcpy(at, &text, sizeof text);
        break;
    }
    case MF_FIELD_INT: {
        bool negative = field->fallback < 0;
        mfi_member_store(field, base, negative ? (uint64_t)(int64_t)field->fallback : (uint64_t)field->fallback);
        break;
    }
    case MF_FIELD_FLOAT: {
        double number = (double)field->fallback;
        memcpy(at, &number, sizeof number);
        break;
    }
    case MF_FIELD_BOOL: {
        bool flag = field->fallback != 0;
        memcpy(at, &flag, sizeof flag);
        break;
    }
    case MF_FIELD_NESTED:
        store_fallbacks(field->nested, at);
        break;
    case MF_FIELD_VALUE:
    case MF_FIELD_ARRAY:
    case MF_FIELD_MAP:
        break;
    }
}

static void store_fallbacks(const mf_fields *table, void *base)
{
    for (unsigned i = 0; i < table->count; i++)
        store_fallback(&table->fields[i], base);
}

/* ---- one map ------------------------------------------------------------------------------------------------- */

static mf_status refuse_unknown(const mf_fields *table, mf_value key, mf_error *err)
{
    mfi_words words;
    mf_str name;
    if (mf_value_str(key, &name) == MF_OK)
        return mf_fail(err, MF_E_INVALID, "field \"%s\": unknown to %s", mfi_echo(name, &words), table->name);
    return mf_fail(err, MF_E_INVALID, "%s as a key: unknown to %s", mfi_describe(key, &words), table->name);
}

static mf_status decode_map(const mf_fields *table, const mfi_place *outer, mf_value map, void *out, mf_error *err);

static mf_status decode_field(const mfi_place *place, mf_value value, void *out, mf_error *err)
{
    const mf_field *field = place->field;
    mf_status st = mfi_field_check(place, value, err);
    if (st != MF_OK)
        return st;
    if (field->kind == MF_FIELD_NESTED)
        return decode_map(field->nested, place, value, out == NULL ? NULL : (char *)out + field->offset, err);
    if (out != NULL)
        store(field, value, out);
    return MF_OK;
}

static mf_status fill_missing(const mf_fields *table, const mfi_place *outer, uint64_t seen, void *out, mf_error *err)
{
    for (unsigned i = 0; i < table->count; i++) {
        if (seen >> i & 1)
            continue;
        mfi_place place = {outer, &table->fields[i]};
        if (place.field->required)
            return mfi_field_missing(&place, err);
        if (out != NULL)
            store_fallback(place.field, out);
    }
    return MF_OK;
}

/* Recursion follows the tables, which nest as deep as their structs do. */
static mf_status decode_map(const mf_fields *table, const mfi_place *outer, mf_value map, void *out, mf_error *err)
{
    uint64_t seen = 0;
    unsigned hint = 0;
    mf_value key, value;
    mf_iter entries = mf_value_iter(map);
    mf_status st = mfi_table_check(table, err);
    while (st == MF_OK && mf_iter_next(&entries, &key, &value)) {
        mf_str name;
        const mf_field *field = mf_value_str(key, &name) == MF_OK ? find(table, name, &hint) : NULL;
        if (field == NULL) {
            st = table->strict ? refuse_unknown(table, key, err) : MF_OK;
            continue;
        }
        uint64_t bit = (uint64_t)1 << (field - table->fields);
        bool as_missing = mf_value_type(value) == MF_TYPE_NIL && !field->required && field->kind != MF_FIELD_VALUE;
        seen = as_missing ? seen & ~bit : seen | bit;
        if (!as_missing)
            st = decode_field(&(mfi_place){outer, field}, value, out, err);
    }
    return st != MF_OK ? st : fill_missing(table, outer, seen, out, err);
}

/* ---- the public side ------------------------------------------------------------------------------------------- */

mf_status mf_fields_decode_value(const mf_fields *table, mf_value in, void *out, mf_error *err)
{
    mfi_words words;
    mf_type type = mf_value_type(in);
    if (out != NULL)
        memset(out, 0, table->size);
    if (type != MF_TYPE_MAP && type != MF_TYPE_NIL && type != MF_TYPE_NONE)
        return mf_fail(err, MF_E_INVALID, "%s: expected a map, got %s", table->name, mfi_describe(in, &words));
    mf_status st = decode_map(table, NULL, in, out, err);
    if (st != MF_OK && out != NULL)
        memset(out, 0, table->size);
    return st;
}

mf_status mf_fields_decode(const mf_fields *table, const mf_message *in, void *out, mf_error *err)
{
    if (in == NULL || mf_message_status(in) == MF_OK)
        return mf_fields_decode_value(table, mf_message_value(in), out, err);
    memset(out, 0, table->size);
    return mf_fail(err, mf_message_status(in), "%s: the message failed to build", table->name);
}

mf_status mf_fields_validate(const mf_fields *table, const mf_message *message, mf_error *err)
{
    if (message == NULL || mf_message_status(message) == MF_OK)
        return mf_fields_decode_value(table, mf_message_value(message), NULL, err);
    return mf_fail(err, mf_message_status(message), "%s: the message failed to build", table->name);
}

mf_status mf_fields_validate_present(const mf_fields *table, const mf_message *message, mf_error *err)
{
    unsigned hint = 0;
    mf_value key, value;
    mf_iter entries = mf_value_iter(mf_message_value(message));
    mf_status st = mfi_table_check(table, err);
    while (st == MF_OK && mf_iter_next(&entries, &key, &value)) {
        mf_str name;
        const mf_field *field = mf_value_str(key, &name) == MF_OK ? find(table, name, &hint) : NULL;
        if (field == NULL)
            st = table->strict ? refuse_unknown(table, key, err) : MF_OK;
        else if (mf_value_type(value) != MF_TYPE_NIL)
            st = mfi_field_check(&(mfi_place){NULL, field}, value, err);
    }
    return st;
}
