/* One table for each struct tells number, form and place of its fields; one loop writes and one loop reads them all. So a
 * field is written in exactly the way it is read, and a new one is one row, which the assertions ask for.
 *
 * Numbers are for ever: a field that goes away leaves its number unused. */
#include "record_codec.h"

#include "memory.h"
#include "verify.h"

#include <assert.h>

enum form { NONE, BOOL, U32, U64, I32, I64, WORD, KEY, KEYS, TEXT, MESSAGE, SPEC, ITEM, ITEMS, CURSOR };

struct field {
    const char *name;
    uint16_t    at;
    uint16_t    more;       /* WORD: the greatest value; KEYS, ITEMS: where their count is */
    enum form   form;
};

#define FIELD(type, member, form_) {#member, offsetof(type, member), 0, form_}
#define WORDS(type, member, most) {#member, offsetof(type, member), most, WORD}
#define MANY(type, member, count, form_) {#member, offsetof(type, member), offsetof(type, count), form_}
#define FIELDS_MAX 32

struct table {
    const char  *what;
    struct field fields[FIELDS_MAX];    /* by number; NONE: no such field */
};

static const struct table spec_table = {"spec", {
    [1] = WORDS(mf_spec, kind, MF_KIND_SWARM),
    [2] = FIELD(mf_spec, key, KEY),
    [3] = FIELD(mf_spec, name, TEXT),
    [4] = FIELD(mf_spec, return_field, TEXT),
    [5] = FIELD(mf_spec, kwargs, MESSAGE),
    [6] = FIELD(mf_spec, container, KEY),
    [7] = FIELD(mf_spec, parent, KEY),
    [8] = FIELD(mf_spec, index, U64),
    [9] = MANY(mf_spec, on_success, on_success_count, KEYS),
    [10] = MANY(mf_spec, on_error, on_error_count, KEYS),
    [11] = FIELD(mf_spec, numbered, BOOL),
    [12] = MANY(mf_spec, steps, step_count, ITEMS),
    [13] = FIELD(mf_spec, source, TEXT),
    [14] = FIELD(mf_spec, each, ITEM),
    [15] = FIELD(mf_spec, max_concurrency, U32),
    [16] = FIELD(mf_spec, stop_after_failures, U64),
    [17] = FIELD(mf_spec, max_items, U64),
    [18] = FIELD(mf_spec, close_on_max, BOOL),
    [19] = FIELD(mf_spec, message_as_result, BOOL),
    [20] = FIELD(mf_spec, ttl_ms, I64),
    [21] = FIELD(mf_spec, keep_ms, I64),
    [22] = FIELD(mf_spec, stagger_ms, I64),
    [23] = FIELD(mf_spec, foreign, BOOL),
    [24] = FIELD(mf_spec, timeout_ms, I64),
}};

static const struct table state_table = {"state", {
    [1] = FIELD(mf_state, version, U64),
    [2] = FIELD(mf_state, epoch, U32),
    [3] = WORDS(mf_state, status, MF_STATUS_CANCELED),
    [4] = WORDS(mf_state, last_status, MF_STATUS_CANCELED),
    [5] = FIELD(mf_state, closed, BOOL),
    [6] = FIELD(mf_state, total, U64),
    [7] = FIELD(mf_state, expected, U64),
    [8] = FIELD(mf_state, next, U64),
    [9] = FIELD(mf_state, running, U64),
    [10] = FIELD(mf_state, done, U64),
    [11] = FIELD(mf_state, failed, U64),
    [12] = FIELD(mf_state, canceled, U64),
    [13] = FIELD(mf_state, priority, I32),
    [14] = FIELD(mf_state, created_ms, I64),
    [15] = FIELD(mf_state, started_ms, I64),
    [16] = FIELD(mf_state, ended_ms, I64),
    [17] = FIELD(mf_state, deadline_ms, I64),
    [18] = FIELD(mf_state, lock, U64),
    [19] = FIELD(mf_state, lock_until_ms, I64),
    [20] = FIELD(mf_state, kwargs, MESSAGE),
    [21] = FIELD(mf_state, input, MESSAGE),
    [22] = FIELD(mf_state, inherited, MESSAGE),
    [23] = FIELD(mf_state, result, MESSAGE),
    [24] = FIELD(mf_state, cursor, CURSOR),
}};

static const struct table outcome_table = {"outcome", {
    [1] = FIELD(mf_outcome, index, U64),
    [2] = WORDS(mf_outcome, status, MF_STATUS_CANCELED),
    [3] = FIELD(mf_outcome, value, MESSAGE),
}};

static const struct table entry_table = {"entry", {
    [1] = FIELD(mf_entry, id, U64),
    [2] = FIELD(mf_entry, spec, SPEC),
    [3] = FIELD(mf_entry, unit.key, KEY),
    [4] = FIELD(mf_entry, unit.index, U64),
    [5] = FIELD(mf_entry, unit.epoch, U32),
    [6] = FIELD(mf_entry, attempt, U32),
    [7] = FIELD(mf_entry, due_ms, I64),
    [8] = FIELD(mf_entry, message, MESSAGE),
    [9] = FIELD(mf_entry, error, MESSAGE),
    [10] = FIELD(mf_entry, priority, I32),
    [11] = FIELD(mf_entry, deaths, U32),
    [12] = FIELD(mf_entry, parked, KEY),
}};

/* Another size: another field, or another form of one. Its row belongs above, and a test in record_codec_test.c. */
_Static_assert(sizeof(void *) != 8 || sizeof(mf_spec) == 320, "spec_table tells every field of mf_spec");
_Static_assert(sizeof(void *) != 8 || sizeof(mf_state) == 400, "state_table tells every field of mf_state");
_Static_assert(sizeof(void *) != 8 || sizeof(mf_outcome) == 24, "outcome_table tells every field of mf_outcome");
_Static_assert(sizeof(void *) != 8 || sizeof(mf_entry) == 136, "entry_table tells every field of mf_entry");
_Static_assert(sizeof(mf_kind) == 4 && sizeof(mf_signature_status) == 4, "a WORD is read and written as 32 bits");

static const mf_limits no_limits = {sizeof(mf_limits), UINT32_MAX, MF_DEPTH_MAX, UINT32_MAX};

/* A field's place, as what stands there. The structs were made as themselves; only their types are forgotten here. */
#define AT(type, base, field) ((type *)((uintptr_t)(base) + (field)->at))
#define COUNT_AT(base, field) ((size_t *)((uintptr_t)(base) + (field)->more))

/* ---- writing ------------------------------------------------------------------------------------------------------ */

struct writer {
    mf_builder          b;
    const mf_allocator *allocator;
    mf_status           status;    /* of what was written into something of its own */
    unsigned            depth;
    mf_error           *err;
};

static mf_status encode(const struct table *t, const void *base, unsigned depth, const mf_allocator *allocator,
                        mf_message **out, mf_error *err);

static bool is_empty(const struct field *f, const void *base)
{
    switch (f->form) {
    case NONE:    return true;
    case BOOL:    return !*AT(const bool, base, f);
    case WORD:
    case I32:
    case U32:     return *AT(const uint32_t, base, f) == 0;
    case I64:
    case U64:     return *AT(const uint64_t, base, f) == 0;
    case KEY:     return !mf_key_is_set(AT(const mf_key, base, f));
    case KEYS:
    case ITEMS:   return *COUNT_AT(base, f) == 0;
    case TEXT:    return AT(const mf_str, base, f)->len == 0;
    case MESSAGE: return *AT(mf_message *const, base, f) == NULL;
    case SPEC:    return *AT(mf_spec *const, base, f) == NULL;
    case ITEM:    return AT(const mf_item, base, f)->spec == NULL;
    case CURSOR:  return AT(const mf_cursor, base, f)->len == 0;
    }
    return true;
}

static void write_message(struct writer *w, const mf_message *message)
{
    if (message == NULL)
        mf_build_nil(&w->b);
    else if (mf_message_status(message) == MF_OK)
        mf_build_bin(&w->b, mf_message_bytes(message));
    else
        w->status = mf_fail(w->err, mf_message_status(message), "record: a message that was never made");
}

static void write_spec(struct writer *w, const mf_spec *spec)
{
    mf_message *inner = NULL;
    if (w->status != MF_OK || mf_builder_status(&w->b) != MF_OK)
        return;
    w->status = encode(&spec_table, spec, w->depth + 1, w->allocator, &inner, w->err);
    if (w->status == MF_OK)
        write_message(w, inner);
    mf_message_unref(inner);
}

static void write_item(struct writer *w, const mf_item *item)
{
    mf_build_array(&w->b, 2);
    write_spec(w, item->spec);
    write_message(w, item->message);
}

static void write_field(struct writer *w, const struct field *f, const void *base)
{
    mf_builder *b = &w->b;
    switch (f->form) {
    case NONE: break;
    case BOOL: mf_build_bool(b, true); break;
    case WORD:
    case U32: mf_build_uint(b, *AT(const uint32_t, base, f)); break;
    case U64: mf_build_uint(b, *AT(const uint64_t, base, f)); break;
    case I32: mf_build_int(b, *AT(const int32_t, base, f)); break;
    case I64: mf_build_int(b, *AT(const int64_t, base, f)); break;
    case KEY: mf_build_str(b, mf_cstr(AT(const mf_key, base, f)->text)); break;
    case KEYS:
        mf_build_array(b, *COUNT_AT(base, f));
        for (size_t i = 0; i < *COUNT_AT(base, f); i++)
            mf_build_str(b, mf_cstr((*AT(mf_key *const, base, f))[i].text));
        break;
    case TEXT: mf_build_bin(b, *AT(const mf_str, base, f)); break;
    case MESSAGE: write_message(w, *AT(mf_message *const, base, f)); break;
    case SPEC: write_spec(w, *AT(mf_spec *const, base, f)); break;
    case ITEM: write_item(w, AT(const mf_item, base, f)); break;
    case ITEMS:
        mf_build_array(b, *COUNT_AT(base, f));
        for (size_t i = 0; i < *COUNT_AT(base, f); i++)
            write_item(w, &(*AT(mf_item *const, base, f))[i]);
        break;
    case CURSOR:
        mf_build_bin(b, mf_str_of((const char *)AT(const mf_cursor, base, f)->bytes, AT(const mf_cursor, base, f)->len));
        break;
    }
}

static mf_status encode(const struct table *t, const void *base, unsigned depth, const mf_allocator *allocator,
                        mf_message **out, mf_error *err)
{
    struct writer w = {.allocator = allocator, .depth = depth, .err = err};
    size_t n = 0;
    if (depth > MFI_SPEC_DEPTH_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "record: signatures stand more than %d deep in each other", MFI_SPEC_DEPTH_MAX);
    mf_builder_init(&w.b, allocator, &no_limits);
    for (size_t i = 0; i < FIELDS_MAX; i++)
        n += !is_empty(&t->fields[i], base);
    mf_build_map(&w.b, n);
    for (size_t i = 0; i < FIELDS_MAX && w.status == MF_OK; i++)
        if (!is_empty(&t->fields[i], base)) {
            mf_build_uint(&w.b, i);
            write_field(&w, &t->fields[i], base);
        }
    mf_status st = w.status == MF_OK ? mf_builder_finish(&w.b, out, err) : w.status;
    mf_builder_fini(&w.b);
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct reader {
    const struct table *table;
    const struct field *field;
    const mf_allocator *allocator;
    unsigned            depth;
    mf_error           *err;
};

static mf_status decode(const struct table *t, mf_str bytes, unsigned depth, const mf_allocator *allocator, void *base,
                        mf_error *err);
static mf_status spec_decode(mf_str bytes, unsigned depth, const mf_allocator *allocator, mf_spec **out, mf_error *err);

static mf_status malformed(const struct reader *r, const char *expected)
{
    return mf_fail(r->err, MF_E_MALFORMED, "record: %s.%s: expected %s", r->table->what, r->field->name, expected);
}

static mf_status no_memory(const struct reader *r)
{
    return mf_fail(r->err, MF_E_NOMEM, "record: no memory for %s.%s", r->table->what, r->field->name);
}

static mf_status read_number(const struct reader *r, mf_value value, void *base)
{
    const struct field *f = r->field;
    uint64_t u = 0;
    int64_t i = 0;
    bool is_signed = f->form == I32 || f->form == I64;
    if ((is_signed ? mf_value_int(value, &i) : mf_value_uint(value, &u)) != MF_OK)
        return malformed(r, is_signed ? "an integer" : "a number");
    switch (f->form) {
    case I64: *AT(int64_t, base, f) = i; return MF_OK;
    case U64: *AT(uint64_t, base, f) = u; return MF_OK;
    case I32:
        if (i < INT32_MIN || i > INT32_MAX)
            return malformed(r, "an integer of 32 bits");
        *AT(int32_t, base, f) = (int32_t)i;
        return MF_OK;
    default:
        if (u > (f->form == WORD ? f->more : UINT32_MAX))
            return malformed(r, f->form == WORD ? "a word that is known" : "a number of 32 bits");
        *AT(uint32_t, base, f) = (uint32_t)u;
        return MF_OK;
    }
}

static mf_status read_key(const struct reader *r, mf_value value, mf_key *out)
{
    mf_str text;
    if (mf_value_str(value, &text) != MF_OK || mf_key_parse(text, out, NULL) != MF_OK)
        return malformed(r, "a key");
    return MF_OK;
}

/* The array is in place before its elements are: whatever happens then, its owner releases it. */
static mf_status make_room(const struct reader *r, mf_value value, size_t size, void *base)
{
    size_t n = mf_value_count(value);
    if (mf_value_type(value) != MF_TYPE_ARRAY || n == 0)
        return malformed(r, "an array that is not empty");
    void *array = mfi_alloc_array(r->allocator, n, size);    /* n bytes at least are there */
    if (array == NULL)
        return no_memory(r);
    memset(array, 0, n * size);
    memcpy(AT(void, base, r->field), &array, sizeof array);    /* whatever type of pointer stands there */
    *COUNT_AT(base, r->field) = n;
    return MF_OK;
}

static mf_status read_keys(const struct reader *r, mf_value value, void *base)
{
    mf_status st = make_room(r, value, sizeof(mf_key), base);
    mf_iter iter = mf_value_iter(value);
    mf_value one;
    for (size_t i = 0; st == MF_OK && mf_iter_next(&iter, NULL, &one); i++)
        st = read_key(r, one, &(*AT(mf_key *, base, r->field))[i]);
    return st;
}

static mf_status read_text(const struct reader *r, mf_value value, mf_str *out)
{
    mf_str text;
    if (mf_value_bin(value, &text) != MF_OK || text.len == 0)
        return malformed(r, "text as binary");
    const char *copy = mfi_copy_text(r->allocator, text);
    if (copy == NULL)
        return no_memory(r);
    *out = mf_str_of(copy, text.len);
    return MF_OK;
}

static mf_status read_message(const struct reader *r, mf_value value, mf_message **out)
{
    mf_str bytes;
    if (mf_value_bin(value, &bytes) != MF_OK)
        return malformed(r, "a message as binary");
    return mfi_message_decode(bytes, r->allocator, out, r->err);
}

static mf_status read_spec(const struct reader *r, mf_value value, mf_spec **out)
{
    mf_str bytes;
    if (mf_value_bin(value, &bytes) != MF_OK)
        return malformed(r, "a spec as binary");
    return spec_decode(bytes, r->depth + 1, r->allocator, out, r->err);
}

static mf_status read_item(const struct reader *r, mf_value value, mf_item *out)
{
    mf_value spec, message;
    if (mf_value_count(value) != 2 || !mf_value_at(value, 0, &spec) || !mf_value_at(value, 1, &message))
        return malformed(r, "a spec and a message");
    mf_status st = read_spec(r, spec, &out->spec);
    return st != MF_OK || mf_value_type(message) == MF_TYPE_NIL ? st : read_message(r, message, &out->message);
}

static mf_status read_items(const struct reader *r, mf_value value, void *base)
{
    mf_status st = make_room(r, value, sizeof(mf_item), base);
    mf_iter iter = mf_value_iter(value);
    mf_value one;
    for (size_t i = 0; st == MF_OK && mf_iter_next(&iter, NULL, &one); i++)
        st = read_item(r, one, &(*AT(mf_item *, base, r->field))[i]);
    return st;
}

static mf_status read_cursor(const struct reader *r, mf_value value, mf_cursor *out)
{
    mf_str bytes;
    if (mf_value_bin(value, &bytes) != MF_OK || bytes.len > sizeof out->bytes)
        return malformed(r, "a cursor");
    out->len = (uint16_t)bytes.len;
    memcpy(out->bytes, bytes.at, bytes.len);
    return MF_OK;
}

static mf_status read_field(const struct reader *r, mf_value value, void *base)
{
    const struct field *f = r->field;
    switch (f->form) {
    case BOOL:    return mf_value_bool(value, AT(bool, base, f)) == MF_OK ? MF_OK : malformed(r, "true or false");
    case KEY:     return read_key(r, value, AT(mf_key, base, f));
    case KEYS:    return read_keys(r, value, base);
    case TEXT:    return read_text(r, value, AT(mf_str, base, f));
    case MESSAGE: return read_message(r, value, AT(mf_message *, base, f));
    case SPEC:    return read_spec(r, value, AT(mf_spec *, base, f));
    case ITEM:    return read_item(r, value, AT(mf_item, base, f));
    case ITEMS:   return read_items(r, value, base);
    case CURSOR:  return read_cursor(r, value, AT(mf_cursor, base, f));
    default:      return read_number(r, value, base);
    }
}

/* base is empty. What was read before a failure stays there for its owner to release. */
static mf_status decode(const struct table *t, mf_str bytes, unsigned depth, const mf_allocator *allocator, void *base,
                        mf_error *err)
{
    struct reader r = {.table = t, .allocator = allocator, .depth = depth, .err = err};
    mf_value map = {(const unsigned char *)bytes.at, bytes.len}, key, value;
    mfi_extent extent;
    mf_status st = mfi_verify(bytes, &no_limits, &extent, err);
    if (st != MF_OK)
        return mf_fail(err, MF_E_MALFORMED, "record: %s: not msgpack", t->what);
    if (mf_value_type(map) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_MALFORMED, "record: %s: expected a map", t->what);
    uint32_t seen = 0;    /* a second value would take the place of one that has to be released */
    for (mf_iter iter = mf_value_iter(map); st == MF_OK && mf_iter_next(&iter, &key, &value);) {
        uint64_t number;
        if (mf_value_uint(key, &number) != MF_OK || number >= FIELDS_MAX || t->fields[number].form == NONE)
            continue;
        if ((seen & 1u << number) != 0)
            return mf_fail(err, MF_E_MALFORMED, "record: %s.%s stands there twice", t->what, t->fields[number].name);
        seen |= 1u << number;
        r.field = &t->fields[number];
        st = read_field(&r, value, base);
    }
    return st;
}

static mf_status spec_decode(mf_str bytes, unsigned depth, const mf_allocator *allocator, mf_spec **out, mf_error *err)
{
    if (depth > MFI_SPEC_DEPTH_MAX)
        return mf_fail(err, MF_E_MALFORMED, "record: signatures stand more than %d deep in each other",
                       MFI_SPEC_DEPTH_MAX);
    mf_spec *spec = mf_new(allocator, mf_spec);
    if (spec == NULL)
        return mf_fail(err, MF_E_NOMEM, "record: no memory for a spec");
    spec->allocator = allocator;
    spec->refs = 1;
    mf_status st = decode(&spec_table, bytes, depth, allocator, spec, err);
    if (st == MF_OK)
        *out = spec;
    else
        mf_spec_unref(spec);
    return st;
}

/* ---- what others call --------------------------------------------------------------------------------------------- */

static const mf_allocator *or_default(const mf_allocator *allocator)
{
    return allocator != NULL ? allocator : mf_allocator_default();
}

mf_status mfi_spec_encode(const mf_spec *spec, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    return encode(&spec_table, spec, 0, allocator, out, err);
}

mf_status mfi_spec_decode(mf_str bytes, const mf_allocator *allocator, mf_spec **out, mf_error *err)
{
    return spec_decode(bytes, 0, or_default(allocator), out, err);
}

mf_status mfi_state_encode(const mf_state *state, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    return encode(&state_table, state, 0, allocator, out, err);
}

mf_status mfi_state_decode(mf_str bytes, const mf_allocator *allocator, mf_state *out, mf_error *err)
{
    mf_state state = {0};
    mf_status st = decode(&state_table, bytes, 0, or_default(allocator), &state, err);
    if (st == MF_OK)
        *out = state;
    else
        mf_state_unref(&state);
    return st;
}

mf_status mfi_outcome_encode(const mf_outcome *outcome, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    return encode(&outcome_table, outcome, 0, allocator, out, err);
}

mf_status mfi_outcome_decode(mf_str bytes, const mf_allocator *allocator, mf_outcome *out, mf_error *err)
{
    mf_outcome outcome = {0};
    mf_status st = decode(&outcome_table, bytes, 0, or_default(allocator), &outcome, err);
    if (st == MF_OK)
        *out = outcome;
    else
        mf_message_unref(outcome.value);
    return st;
}

mf_status mfi_entry_encode(const mf_entry *entry, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    return encode(&entry_table, entry, 0, allocator, out, err);
}

mf_status mfi_entry_decode(mf_str bytes, const mf_allocator *allocator, mf_entry *out, mf_error *err)
{
    mf_entry entry = {0};
    mf_status st = decode(&entry_table, bytes, 0, or_default(allocator), &entry, err);
    if (st == MF_OK)
        *out = entry;
    else
        mf_entry_release(&entry);
    return st;
}

mf_status mfi_message_decode(mf_str bytes, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    mf_error why = {0};
    mf_status st = mf_message_from_bytes(bytes, &no_limits, or_default(allocator), out, &why);
    if (st == MF_OK)
        return MF_OK;
    return mf_fail(err, st == MF_E_NOMEM ? st : MF_E_MALFORMED, "record: a message: %s", why.text);
}
