#include "wire.h"

static inline bool head_of(mf_value value, mfi_head *head)
{
    return value.at != NULL && mfi_head_read(value.at, value.at + value.len, head);
}

static inline bool head_as(mf_value value, mf_type type, mfi_head *head)
{
    return head_of(value, head) && head->type == type;
}

mf_type mf_value_type(mf_value value)
{
    mfi_head head;
    return head_of(value, &head) ? head.type : MF_TYPE_NONE;
}

const char *mf_type_name(mf_type type)
{
    switch (type) {
    case MF_TYPE_NONE:  return "nothing";
    case MF_TYPE_NIL:   return "nil";
    case MF_TYPE_BOOL:  return "a boolean";
    case MF_TYPE_INT:   return "an integer";
    case MF_TYPE_FLOAT: return "a number";
    case MF_TYPE_STR:   return "text";
    case MF_TYPE_BIN:   return "binary";
    case MF_TYPE_ARRAY: return "an array";
    case MF_TYPE_MAP:   return "a map";
    case MF_TYPE_EXT:   return "an extension";
    }
    return "nothing";
}

/* ---- scalars ------------------------------------------------------------------------------------------------ */

mf_status mf_value_bool(mf_value value, bool *out)
{
    mfi_head head;
    if (!head_as(value, MF_TYPE_BOOL, &head))
        return MF_E_TYPE;
    *out = head.bits != 0;
    return MF_OK;
}

mf_status mf_value_int(mf_value value, int64_t *out)
{
    mfi_head head;
    if (!head_as(value, MF_TYPE_INT, &head) || (!head.negative && head.bits > INT64_MAX))
        return MF_E_TYPE;
    *out = (int64_t)head.bits;
    return MF_OK;
}

mf_status mf_value_uint(mf_value value, uint64_t *out)
{
    mfi_head head;
    if (!head_as(value, MF_TYPE_INT, &head) || head.negative)
        return MF_E_TYPE;
    *out = head.bits;
    return MF_OK;
}

/* Exact: what is left of the integer without its trailing zeros fits the 53 bits of a double. */
static bool exact_in_double(const mfi_head *head)
{
    uint64_t magnitude = head->negative ? 0 - head->bits : head->bits;
    while (magnitude != 0 && magnitude % 2 == 0)
        magnitude /= 2;
    return magnitude <= (uint64_t)1 << 53;
}

mf_status mf_value_float(mf_value value, double *out)
{
    mfi_head head;
    if (head_as(value, MF_TYPE_FLOAT, &head)) {
        memcpy(out, &head.bits, sizeof *out);
        return MF_OK;
    }
    if (!head_as(value, MF_TYPE_INT, &head) || !exact_in_double(&head))
        return MF_E_TYPE;
    *out = head.negative ? (double)(int64_t)head.bits : (double)head.bits;
    return MF_OK;
}

static inline mf_status body_of(mf_value value, mf_type type, mfi_head *head, mf_str *out)
{
    if (!head_as(value, type, head) || head->count > value.len - head->size)
        return MF_E_TYPE;
    *out = mf_str_of((const char *)value.at + head->size, head->count);
    return MF_OK;
}

mf_status mf_value_str(mf_value value, mf_str *out)
{
    mfi_head head;
    return body_of(value, MF_TYPE_STR, &head, out);
}

mf_status mf_value_bin(mf_value value, mf_str *out)
{
    mfi_head head;
    return body_of(value, MF_TYPE_BIN, &head, out);
}

mf_status mf_value_ext(mf_value value, int8_t *type, mf_str *out)
{
    mfi_head head;
    mf_status st = body_of(value, MF_TYPE_EXT, &head, out);
    if (st == MF_OK)
        *type = head.ext;
    return st;
}

/* ---- arrays and maps ---------------------------------------------------------------------------------------- */

size_t mf_value_count(mf_value value)
{
    mfi_head head;
    return head_of(value, &head) && mfi_head_children(&head) > 0 ? head.count : 0;
}

mf_iter mf_value_iter(mf_value value)
{
    mfi_head head;
    if (!head_of(value, &head) || mfi_head_children(&head) == 0)
        return (mf_iter){NULL, NULL, 0, false};
    return (mf_iter){value.at + head.size, value.at + value.len, head.count, head.type == MF_TYPE_MAP};
}

static bool next_value(mf_iter *iter, mf_value *out)
{
    const unsigned char *after = mfi_skip(iter->at, iter->end);
    if (after == NULL)
        return false;
    *out = (mf_value){iter->at, (size_t)(after - iter->at)};
    iter->at = after;
    return true;
}

bool mf_iter_next(mf_iter *iter, mf_value *key, mf_value *value)
{
    mf_value k = {NULL, 0};
    if (iter->left == 0 || (iter->map && !next_value(iter, &k)) || !next_value(iter, value)) {
        iter->left = 0;
        return false;
    }
    if (key != NULL)
        *key = k;
    iter->left--;
    return true;
}

static bool key_is(const unsigned char *at, const unsigned char *after, mf_str key)
{
    mf_str name;
    return after != NULL && mf_value_str((mf_value){at, (size_t)(after - at)}, &name) == MF_OK && mf_str_eq(name, key);
}

/* A text of less than 32 bytes has a head of one, `tag`, unless somebody wrote it longer than it need be. */
bool mf_value_get(mf_value map, mf_str key, mf_value *out)
{
    const unsigned char *at, *value, *after, *end;
    unsigned tag = key.len < 32 ? 0xa0 | (unsigned)key.len : 0x100;
    mfi_head head;
    *out = (mf_value){NULL, 0};
    if (map.at == NULL || !mfi_head_read(map.at, map.at + map.len, &head) || head.type != MF_TYPE_MAP)
        return false;
    end = map.at + map.len;
    at = map.at + head.size;
    for (uint32_t left = head.count; left > 0; left--, at = after) {
        size_t len = at < end ? mfi_whole_len[*at] : 0;
        bool same;
        if (len > 0) {
            value = at + len;
            same = *at == tag && (len == 1 || (value <= end && at[1] == (unsigned char)*key.at && memcmp(at + 1, key.at, key.len) == 0));
        } else {
            value = mfi_skip_any(at, end);
            same = key_is(at, value, key);
        }
        if (value == NULL || (after = mfi_skip(value, end)) == NULL)
            break;
        if (same)
            *out = (mf_value){value, (size_t)(after - value)};
    }
    return out->at != NULL;
}

bool mf_value_at(mf_value array, size_t i, mf_value *out)
{
    *out = (mf_value){NULL, 0};
    mf_iter items = mf_value_iter(array);
    if (items.map || i >= items.left)
        return false;
    mf_value item;
    for (size_t n = 0; n <= i; n++)
        if (!mf_iter_next(&items, NULL, &item))
            return false;
    *out = item;
    return true;
}
