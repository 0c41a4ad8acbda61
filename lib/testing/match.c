#include "match.h"

#include <stdio.h>

static bool numbers_eq(mf_value a, mf_value b)
{
    int64_t ia, ib;
    uint64_t ua, ub;
    double fa, fb;
    if (mf_value_int(a, &ia) == MF_OK && mf_value_int(b, &ib) == MF_OK)
        return ia == ib;
    if (mf_value_uint(a, &ua) == MF_OK && mf_value_uint(b, &ub) == MF_OK)
        return ua == ub;
    return mf_value_float(a, &fa) == MF_OK && mf_value_float(b, &fb) == MF_OK && fa == fb;
}

static bool is_number(mf_value v)
{
    return mf_value_type(v) == MF_TYPE_INT || mf_value_type(v) == MF_TYPE_FLOAT;
}

static bool maps_eq(mf_value a, mf_value b)
{
    mf_iter iter = mf_value_iter(a);
    mf_value key, value, other;
    mf_str name;
    if (mf_value_count(a) != mf_value_count(b))
        return false;
    while (mf_iter_next(&iter, &key, &value))
        if (mf_value_str(key, &name) != MF_OK || !mf_value_get(b, name, &other) || !mfi_value_eq(value, other))
            return false;
    return true;
}

static bool arrays_eq(mf_value a, mf_value b)
{
    mf_iter left = mf_value_iter(a), right = mf_value_iter(b);
    mf_value x, y;
    if (mf_value_count(a) != mf_value_count(b))
        return false;
    while (mf_iter_next(&left, NULL, &x) && mf_iter_next(&right, NULL, &y))
        if (!mfi_value_eq(x, y))
            return false;
    return true;
}

bool mfi_value_eq(mf_value a, mf_value b)
{
    if (is_number(a) && is_number(b))
        return numbers_eq(a, b);
    if (mf_value_type(a) != mf_value_type(b))
        return false;
    if (mf_value_type(a) == MF_TYPE_MAP)
        return maps_eq(a, b);
    if (mf_value_type(a) == MF_TYPE_ARRAY)
        return arrays_eq(a, b);
    mf_str sa, sb;      /* forms of the same text differ in their head, so texts are compared as such */
    if (mf_value_str(a, &sa) == MF_OK && mf_value_str(b, &sb) == MF_OK)
        return mf_str_eq(sa, sb);
    if (mf_value_bin(a, &sa) == MF_OK && mf_value_bin(b, &sb) == MF_OK)
        return mf_str_eq(sa, sb);
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

bool mfi_fields_match(const mf_message *message, const mf_message *expected, bool exactly)
{
    mf_value is = mf_message_value(message), should = mf_message_value(expected), key, value, there;
    mf_iter iter = mf_value_iter(should);
    mf_str name;
    if (exactly && mf_value_count(is) != mf_value_count(should))
        return false;
    while (mf_iter_next(&iter, &key, &value))
        if (mf_value_str(key, &name) != MF_OK || !mf_value_get(is, name, &there) || !mfi_value_eq(value, there))
            return false;
    return true;
}

/* ---- for people ---------------------------------------------------------------------------------------------------------- */

struct text {
    char  *at;
    size_t size, used;
};

static void add(struct text *t, mf_str part)
{
    size_t room = t->size - 1 - t->used;
    size_t n = part.len < room ? part.len : room;
    memcpy(t->at + t->used, part.at, n);
    t->used += n;
    t->at[t->used] = '\0';
}

static void add_value(struct text *t, const char *before, mf_value value)
{
    char *json = NULL;
    size_t len = 0;
    add(t, mf_cstr(before));
    if (mf_value_to_json(value, NULL, &json, &len, NULL) == MF_OK)
        add(t, mf_str_of(json, len < 60 ? len : 60));
    else
        add(t, mf_cstr(mf_type_name(mf_value_type(value))));
    if (json != NULL)
        mf_json_free(NULL, json, len);
}

static void begin_field(struct text *t, mf_str name)
{
    add(t, mf_cstr(t->used > 0 ? "; field \"" : "field \""));
    add(t, name);
    add(t, MF_STR_LIT("\": "));
}

void mfi_fields_differ(const mf_message *message, const mf_message *expected, bool exactly, char *text, size_t size)
{
    struct text t = {text, size, 0};
    mf_value is = mf_message_value(message), should = mf_message_value(expected), key, value, there;
    mf_str name;
    text[0] = '\0';
    for (mf_iter iter = mf_value_iter(should); mf_iter_next(&iter, &key, &value);) {
        if (mf_value_str(key, &name) != MF_OK)
            continue;
        bool has = mf_value_get(is, name, &there);
        if (has && mfi_value_eq(value, there))
            continue;
        begin_field(&t, name);
        add_value(&t, "expected ", value);
        if (has)
            add_value(&t, ", got ", there);
        else
            add(&t, MF_STR_LIT(", missing"));
    }
    for (mf_iter iter = mf_value_iter(is); exactly && mf_iter_next(&iter, &key, &value);) {
        if (mf_value_str(key, &name) != MF_OK || mf_value_get(should, name, &there))
            continue;
        begin_field(&t, name);
        add_value(&t, "not expected, got ", value);
    }
}
