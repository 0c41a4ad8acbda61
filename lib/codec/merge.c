/* codec/merge.c: one walk over the lower map, copying entries or replacing them, then one over the upper for what is new.
 *
 * Each key is looked up in the other map. Most maps are small, and walking them beats any index; but two long ones that
 * somebody sends on purpose would cost their product, so that beyond WALK_MAX entries a sorted array of keys is made. */
#include "merge.h"

#include "describe.h"
#include "memory.h"

#define WALK_MAX 16

/* ---- finding a key ------------------------------------------------------------------------------------------- */

typedef struct entry {
    mf_str   key;
    mf_value value;
} entry;

typedef struct finder {
    mf_value            map;
    const mf_allocator *allocator;
    entry              *sorted;    /* NULL: walk */
    size_t              n, room;
} finder;

/* By key; equal ones by their place, so that the last is the one that counts. */
static bool before(const entry *a, const entry *b)
{
    size_t shorter = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = shorter == 0 ? 0 : memcmp(a->key.at, b->key.at, shorter);
    if (order != 0)
        return order < 0;
    return a->key.len != b->key.len ? a->key.len < b->key.len : a->value.at < b->value.at;
}

static void sift(entry *at, size_t i, size_t n)
{
    entry moving = at[i];
    for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && before(&at[child], &at[child + 1]))
            child++;
        if (!before(&moving, &at[child]))
            break;
        at[i] = at[child];
        i = child;
    }
    at[i] = moving;
}

/* Heap sort: in place, and never quadratic; qsort may allocate behind our allocator's back. */
static void sort(entry *at, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(at, i, n);
    for (size_t end = n; end > 1; end--) {
        entry top = at[0];
        at[0] = at[end - 1];
        at[end - 1] = top;
        sift(at, 0, end - 1);
    }
}

static bool finder_init(finder *f, mf_value map, const mf_allocator *allocator)
{
    *f = (finder){.map = map, .allocator = allocator};
    size_t count = mf_value_count(map);
    if (count <= WALK_MAX)
        return true;
    f->sorted = mfi_alloc_array(allocator, count, sizeof *f->sorted);
    if (f->sorted == NULL)
        return false;
    f->room = count;
    mf_iter entries = mf_value_iter(map);
    mf_value key;
    entry one;
    while (mf_iter_next(&entries, &key, &one.value))
        if (mf_value_str(key, &one.key) == MF_OK)
            f->sorted[f->n++] = one;
    sort(f->sorted, f->n);
    return true;
}

static void finder_fini(finder *f)
{
    mfi_release(f->allocator, f->sorted, f->room * sizeof *f->sorted);
}

static bool find(const finder *f, mf_value key, mf_value *out)
{
    mf_str name;
    if (mf_value_str(key, &name) != MF_OK)
        return false;
    if (f->sorted == NULL)
        return mf_value_get(f->map, name, out);
    /* The first entry beyond every one of this name; the one before it is the last of that name. */
    entry wanted = {name, {(const unsigned char *)UINTPTR_MAX, 0}};
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (before(&f->sorted[middle], &wanted))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !mf_str_eq(f->sorted[low - 1].key, name))
        return false;
    *out = f->sorted[low - 1].value;
    return true;
}

/* ---- merging ------------------------------------------------------------------------------------------------- */

typedef struct merger {
    mf_builder          builder;
    const mf_allocator *allocator;
    bool                no_memory;    /* for a finder */
} merger;

static void merge_maps(merger *m, mf_value under, mf_value over);

static void merge_values(merger *m, mf_value under, mf_value over)
{
    if (mf_value_type(under) == MF_TYPE_MAP && mf_value_type(over) == MF_TYPE_MAP)
        merge_maps(m, under, over);
    else
        mf_build_value(&m->builder, over);
}

static void under_entries(merger *m, mf_value under, mf_value over)
{
    finder in_over;
    if (!finder_init(&in_over, over, m->allocator)) {
        m->no_memory = true;
        return;
    }
    mf_iter entries = mf_value_iter(under);
    mf_value key, value, replacement;
    while (mf_iter_next(&entries, &key, &value)) {
        mf_build_value(&m->builder, key);
        if (find(&in_over, key, &replacement))
            merge_values(m, value, replacement);
        else
            mf_build_value(&m->builder, value);
    }
    finder_fini(&in_over);
}

static void over_entries(merger *m, mf_value under, mf_value over)
{
    finder in_under;
    if (!finder_init(&in_under, under, m->allocator)) {
        m->no_memory = true;
        return;
    }
    mf_iter entries = mf_value_iter(over);
    mf_value key, value, known;
    while (mf_iter_next(&entries, &key, &value)) {
        if (find(&in_under, key, &known))
            continue;
        mf_build_value(&m->builder, key);
        mf_build_value(&m->builder, value);
    }
    finder_fini(&in_under);
}

/* Recursion is bounded by the depth of a message, MF_DEPTH_MAX. */
static void merge_maps(merger *m, mf_value under, mf_value over)
{
    if (m->no_memory || mf_builder_status(&m->builder) != MF_OK)
        return;
    mf_build_map_begin(&m->builder);
    under_entries(m, under, over);
    over_entries(m, under, over);
    mf_build_end(&m->builder);
}

/* *out: the map, or the absent value for NULL and nil. */
static mf_status map_or_nothing(const mf_message *message, const char *side, mf_value *out, mf_error *err)
{
    mfi_words words;
    *out = mf_message_value(message);
    if (message == NULL || mf_value_type(*out) == MF_TYPE_NIL) {
        *out = (mf_value){NULL, 0};
        return MF_OK;
    }
    if (mf_message_status(message) != MF_OK)
        return mf_fail(err, mf_message_status(message), "%s: the message failed to build", side);
    if (mf_value_type(*out) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_TYPE, "%s: expected a map, got %s", side, mfi_describe(*out, &words));
    return MF_OK;
}

static mf_status finish(merger *m, mf_message **out, mf_error *err)
{
    mf_status st;
    if (m->no_memory)
        st = mf_fail(err, MF_E_NOMEM, "merge: no memory for an index of keys");
    else
        st = mf_builder_finish(&m->builder, out, err);
    mf_builder_fini(&m->builder);
    return st;
}

mf_status mfi_message_merge(const mf_message *under, const mf_message *over, const mf_allocator *allocator,
                            const mf_limits *limits, mf_message **out, mf_error *err)
{
    mf_value low, high;
    merger m;
    mf_status st = map_or_nothing(under, "merge", &low, err);
    if (st == MF_OK)
        st = map_or_nothing(over, "merge", &high, err);
    if (st != MF_OK)
        return st;
    if (low.at == NULL || high.at == NULL) {
        *out = high.at != NULL ? mf_message_ref(over) : low.at != NULL ? mf_message_ref(under) : mf_message_nil();
        return MF_OK;
    }
    m.allocator = allocator;
    m.no_memory = false;
    mf_builder_init(&m.builder, allocator, limits);
    merge_maps(&m, low, high);
    return finish(&m, out, err);
}

mf_status mfi_message_with(const mf_message *map, mf_str field, mf_value value, const mf_allocator *allocator,
                           const mf_limits *limits, mf_message **out, mf_error *err)
{
    mf_value low, key, old;
    mf_str name;
    mf_builder b;
    bool replaced = false;
    mf_status st = map_or_nothing(map, "message", &low, err);
    if (st != MF_OK)
        return st;
    mf_builder_init(&b, allocator, limits);
    mf_build_map_begin(&b);
    mf_iter entries = mf_value_iter(low);
    while (mf_iter_next(&entries, &key, &old)) {
        bool here = mf_value_str(key, &name) == MF_OK && mf_str_eq(name, field);
        mf_build_value(&b, key);
        mf_build_value(&b, here ? value : old);
        replaced |= here;
    }
    if (!replaced) {
        mf_build_str(&b, field);
        mf_build_value(&b, value);
    }
    mf_build_end(&b);
    st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}
