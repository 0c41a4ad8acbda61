/* Records as bytes: what was written comes back, whatever else comes is refused, and nothing stays out. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "memory.h"
#include "record_codec.h"

#include <stdio.h>

static counting_allocator counting;
static const mf_allocator *mem;

static void setup(void)
{
    counting_init(&counting);
    mem = &counting.allocator;
}

static void nothing_is_out(void)
{
    cr_assert(eq(long, atomic_load(&counting.live), 0));
    cr_assert(eq(long, atomic_load(&counting.wrong_size), 0));
}

TestSuite(store_codec, .init = setup, .fini = nothing_is_out);

/* ---- making ------------------------------------------------------------------------------------------------------ */

static mf_key key_of(const char *prefix, unsigned n)
{
    char text[40];
    mf_key key;
    snprintf(text, sizeof text, "%s-%025u", prefix, n);
    cr_assert(eq(int, mf_key_parse(mf_cstr(text), &key, NULL), MF_OK));
    return key;
}

static mf_message *say(const char *text)
{
    mf_builder b;
    mf_message *message = NULL;
    mf_builder_init(&b, mem, NULL);
    mf_build_map(&b, 1);
    mf_build_key(&b, "text");
    mf_build_str(&b, mf_cstr(text));
    cr_assert(eq(int, mf_builder_finish(&b, &message, NULL), MF_OK));
    mf_builder_fini(&b);
    return message;
}

static mf_str text_of(const char *text)
{
    return mf_str_of(mfi_copy_text(mem, mf_cstr(text)), strlen(text));
}

static mf_spec *call_of(const char *name, mf_message *kwargs)
{
    mf_spec *spec = mf_spec_create(mem, MF_KIND_TASK, mf_cstr(name));
    spec->kwargs = kwargs;
    return spec;
}

static mf_key *keys_of(size_t n)
{
    mf_key *keys = mfi_alloc_array(mem, n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = key_of("chain", 100 + (unsigned)i);
    return keys;
}

/* Every field holds something else. */
static mf_spec *full_spec(void)
{
    mf_spec *s = mf_spec_create(mem, MF_KIND_CHAIN, MF_STR_LIT("a name \xff that is no UTF-8"));
    s->key = key_of("chain", 1);
    s->return_field = text_of("mageflow_results");
    s->kwargs = say("kwargs");
    s->container = key_of("swarm", 2);
    s->parent = key_of("task", 3);
    s->index = UINT64_MAX;
    s->on_success_count = 2;
    s->on_success = keys_of(2);
    s->on_error_count = 3;
    s->on_error = keys_of(3);
    s->numbered = true;
    s->step_count = 2;
    s->steps = mfi_alloc_array(mem, 2, sizeof *s->steps);
    s->steps[0] = (mf_item){call_of("first", say("inner")), say("first")};
    s->steps[1] = (mf_item){call_of("second", NULL), NULL};
    s->source = text_of("source");
    s->each = (mf_item){call_of("each", NULL), NULL};
    s->max_concurrency = 30;
    s->stop_after_failures = 5;
    s->max_items = UINT64_C(1) << 40;
    s->close_on_max = true;
    s->message_as_result = true;
    s->ttl_ms = 6;
    s->keep_ms = -7;
    s->stagger_ms = INT64_MAX;
    s->foreign = true;
    s->timeout_ms = INT64_MIN;
    return s;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static bool same_message(const mf_message *a, const mf_message *b)
{
    return (a == NULL) == (b == NULL) && mf_str_eq(mf_message_bytes(a), mf_message_bytes(b));
}

static bool same_spec(const mf_spec *a, const mf_spec *b);

static bool same_item(const mf_item *a, const mf_item *b)
{
    return (a->spec == NULL) == (b->spec == NULL) && (a->spec == NULL || same_spec(a->spec, b->spec)) &&
           same_message(a->message, b->message);
}

static bool same_keys(const mf_key *a, size_t n, const mf_key *b, size_t m)
{
    return n == m && (n == 0 || memcmp(a, b, n * sizeof *a) == 0);
}

static bool same_spec(const mf_spec *a, const mf_spec *b)
{
    bool same = a->kind == b->kind && mf_key_eq(&a->key, &b->key) && mf_str_eq(a->name, b->name) &&
        mf_str_eq(a->return_field, b->return_field) && same_message(a->kwargs, b->kwargs) &&
        mf_key_eq(&a->container, &b->container) && mf_key_eq(&a->parent, &b->parent) && a->index == b->index &&
        same_keys(a->on_success, a->on_success_count, b->on_success, b->on_success_count) &&
        same_keys(a->on_error, a->on_error_count, b->on_error, b->on_error_count) && a->numbered == b->numbered &&
        a->step_count == b->step_count && mf_str_eq(a->source, b->source) && same_item(&a->each, &b->each) &&
        a->max_concurrency == b->max_concurrency && a->stop_after_failures == b->stop_after_failures &&
        a->max_items == b->max_items && a->close_on_max == b->close_on_max &&
        a->message_as_result == b->message_as_result && a->ttl_ms == b->ttl_ms && a->keep_ms == b->keep_ms &&
        a->stagger_ms == b->stagger_ms && a->foreign == b->foreign && a->timeout_ms == b->timeout_ms;
    for (size_t i = 0; same && i < a->step_count; i++)
        same = same_item(&a->steps[i], &b->steps[i]);
    return same;
}

/* ---- there and back ----------------------------------------------------------------------------------------------- */

static void spec_comes_back(const mf_spec *spec)
{
    mf_message *bytes = NULL, *again = NULL;
    mf_spec *read = NULL;
    mf_error err = {0};
    cr_assert(eq(int, mfi_spec_encode(spec, mem, &bytes, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mfi_spec_decode(mf_message_bytes(bytes), mem, &read, &err), MF_OK), "%s", err.text);
    cr_assert(same_spec(spec, read));
    cr_assert(eq(int, mfi_spec_encode(read, mem, &again, &err), MF_OK));
    cr_assert(same_message(bytes, again));
    mf_message_unref(bytes);
    mf_message_unref(again);
    mf_spec_unref(read);
}

Test(store_codec, every_field_of_a_spec_comes_back)
{
    mf_spec *spec = full_spec();
    spec_comes_back(spec);
    mf_spec_unref(spec);
}

Test(store_codec, an_empty_spec_and_a_plain_call_are_small)
{
    mf_spec *empty = mf_spec_create(mem, MF_KIND_NONE, MF_STR_LIT("")), *call = call_of("work", NULL);
    mf_message *bytes = NULL;
    spec_comes_back(empty);
    spec_comes_back(call);
    cr_assert(eq(int, mfi_spec_encode(call, mem, &bytes, NULL), MF_OK));
    cr_assert(eq(sz, mf_message_bytes(bytes).len, 4 + 6));
    mf_message_unref(bytes);
    mf_spec_unref(empty);
    mf_spec_unref(call);
}

Test(store_codec, every_field_of_a_state_comes_back)
{
    mf_message *const m[] = {say("kwargs"), say("input"), say("inherited"), say("result")};
    mf_state s = {
        .version = UINT64_MAX, .epoch = UINT32_MAX, .status = MF_STATUS_CANCELED, .last_status = MF_STATUS_INTERRUPTED,
        .closed = true, .total = 1, .expected = 2, .next = 3, .running = 4, .done = 5, .failed = 6, .canceled = 7,
        .priority = INT32_MIN, .created_ms = 8, .started_ms = 9, .ended_ms = 10, .deadline_ms = 11,
        .lock = UINT64_MAX - 1, .lock_until_ms = 12, .kwargs = m[0], .input = m[1], .inherited = m[2], .result = m[3],
        .cursor.len = MF_CURSOR_MAX,
    }, r;
    memset(s.cursor.bytes, 0xc1, sizeof s.cursor.bytes);
    mf_message *bytes = NULL;
    cr_assert(eq(int, mfi_state_encode(&s, mem, &bytes, NULL), MF_OK));
    cr_assert(eq(int, mfi_state_decode(mf_message_bytes(bytes), mem, &r, NULL), MF_OK));
    const uint64_t want[] = {s.version, s.epoch, s.status, s.last_status, s.closed, s.total, s.expected, s.next, s.running,
                             s.done, s.failed, s.canceled, (uint64_t)s.priority, (uint64_t)s.created_ms,
                             (uint64_t)s.started_ms, (uint64_t)s.ended_ms, (uint64_t)s.deadline_ms, s.lock,
                             (uint64_t)s.lock_until_ms};
    const uint64_t got[] = {r.version, r.epoch, r.status, r.last_status, r.closed, r.total, r.expected, r.next, r.running,
                            r.done, r.failed, r.canceled, (uint64_t)r.priority, (uint64_t)r.created_ms,
                            (uint64_t)r.started_ms, (uint64_t)r.ended_ms, (uint64_t)r.deadline_ms, r.lock,
                            (uint64_t)r.lock_until_ms};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        cr_assert(eq(u64, got[i], want[i]), "number %zu", i);
    cr_assert(same_message(r.kwargs, m[0]) && same_message(r.input, m[1]));
    cr_assert(same_message(r.inherited, m[2]) && same_message(r.result, m[3]));
    cr_assert(memcmp(&r.cursor, &s.cursor, sizeof s.cursor) == 0);
    mf_message_unref(bytes);
    mf_state_unref(&r);
    for (size_t i = 0; i < 4; i++)
        mf_message_unref(m[i]);
}

Test(store_codec, an_outcome_comes_back)
{
    mf_outcome r, outcomes[] = {{UINT32_MAX, MF_STATUS_DONE, say("value")}, {0, MF_STATUS_PENDING, NULL}};
    for (size_t i = 0; i < 2; i++) {
        mf_message *bytes = NULL;
        cr_assert(eq(int, mfi_outcome_encode(&outcomes[i], mem, &bytes, NULL), MF_OK));
        cr_assert(eq(int, mfi_outcome_decode(mf_message_bytes(bytes), mem, &r, NULL), MF_OK));
        cr_assert(eq(u64, r.index, outcomes[i].index));
        cr_assert(eq(int, r.status, outcomes[i].status));
        cr_assert(same_message(r.value, outcomes[i].value));
        mf_message_unref(r.value);
        mf_message_unref(bytes);
        mf_message_unref(outcomes[i].value);
    }
}

Test(store_codec, an_entry_comes_back_also_without_its_spec)
{
    mf_entry e = {.id = 1, .spec = call_of("work", NULL), .unit = {key_of("swarm", 5), UINT64_MAX, UINT32_MAX},
                  .attempt = 2, .due_ms = INT64_MAX, .message = say("message"), .error = say("error"), .priority = -3,
                  .deaths = 4, .parked = key_of("chain", 6)};
    for (int pass = 0; pass < 2; pass++) {
        mf_message *bytes = NULL;
        mf_entry r, plain = e;
        if (pass == 1)
            plain.spec = NULL;
        cr_assert(eq(int, mfi_entry_encode(&plain, mem, &bytes, NULL), MF_OK));
        cr_assert(eq(int, mfi_entry_decode(mf_message_bytes(bytes), mem, &r, NULL), MF_OK));
        cr_assert(r.id == 1 && r.attempt == 2 && r.due_ms == INT64_MAX && r.priority == -3 && r.deaths == 4);
        cr_assert(r.unit.index == UINT64_MAX && r.unit.epoch == UINT32_MAX);
        cr_assert(mf_key_eq(&r.unit.key, &e.unit.key) && mf_key_eq(&r.parked, &e.parked));
        cr_assert(same_message(r.message, e.message) && same_message(r.error, e.error));
        cr_assert(pass == 1 ? r.spec == NULL : same_spec(r.spec, e.spec));
        mf_entry_release(&r);
        mf_message_unref(bytes);
    }
    mf_entry_release(&e);
}

Test(store_codec, a_message_as_deep_as_can_be_stands_in_a_spec_as_deep_as_can_be)
{
    unsigned char deep[MF_DEPTH_MAX + 1];
    memset(deep, 0x91, MF_DEPTH_MAX);
    deep[MF_DEPTH_MAX] = 0xc0;
    mf_message *message = NULL, *bytes = NULL;
    cr_assert(eq(int, mfi_message_decode(mf_str_of((char *)deep, sizeof deep), mem, &message, NULL), MF_OK));
    mf_spec *spec = call_of("innermost", message);
    for (unsigned i = 0; i < MFI_SPEC_DEPTH_MAX; i++) {
        mf_spec *outer = mf_spec_create(mem, MF_KIND_SWARM, MF_STR_LIT("outer"));
        outer->each.spec = spec;
        spec = outer;
    }
    spec_comes_back(spec);
    mf_spec *outer = mf_spec_create(mem, MF_KIND_SWARM, MF_STR_LIT("one too many"));
    outer->each.spec = spec;
    cr_assert(eq(int, mfi_spec_encode(outer, mem, &bytes, NULL), MF_E_TOO_BIG));
    mf_spec_unref(outer);
}

Test(store_codec, a_message_that_was_never_made_is_told)
{
    mf_state state = {.input = mf_msg("?")};
    mf_message *bytes = NULL;
    cr_assert(eq(int, mfi_state_encode(&state, mem, &bytes, NULL), MF_E_INVALID));
    cr_assert(eq(ptr, bytes, NULL));
}

/* ---- hostile bytes ------------------------------------------------------------------------------------------------ */

static mf_status decode_any(mf_str bytes)
{
    mf_spec *spec = NULL;
    mf_error err = {0};
    mf_status st = mfi_spec_decode(bytes, mem, &spec, &err);
    if (st == MF_OK)
        mf_spec_unref(spec);
    else
        cr_assert(st == err.status && strncmp(err.text, "record: ", 8) == 0, "%s", err.text);
    return st;
}

Test(store_codec, what_is_cut_off_is_malformed)
{
    mf_spec *spec = full_spec();
    mf_message *whole = NULL;
    cr_assert(eq(int, mfi_spec_encode(spec, mem, &whole, NULL), MF_OK));
    mf_str bytes = mf_message_bytes(whole);
    for (size_t len = 0; len < bytes.len; len++) {
        char *torn = mfi_alloc(NULL, len + 1);    /* of its own, so that a read past it is seen */
        memcpy(torn, bytes.at, len);
        cr_assert(eq(int, decode_any(mf_str_of(torn, len)), MF_E_MALFORMED), "cut at %zu", len);
        mfi_release(NULL, torn, len + 1);
    }
    mf_message_unref(whole);
    mf_spec_unref(spec);
}

/* Every byte in turn becomes every other one: it is read or refused, and nothing stays out either way. */
Test(store_codec, a_changed_byte_is_read_or_refused)
{
    mf_spec *spec = full_spec();
    mf_message *whole = NULL;
    cr_assert(eq(int, mfi_spec_encode(spec, mem, &whole, NULL), MF_OK));
    mf_str bytes = mf_message_bytes(whole);
    char *changed = mfi_alloc(NULL, bytes.len);
    size_t refused = 0;
    memcpy(changed, bytes.at, bytes.len);
    long live = atomic_load(&counting.live);
    for (size_t at = 0; at < bytes.len; at++) {
        for (unsigned to = 0; to < 256; to++) {
            changed[at] = (char)to;
            mf_status st = decode_any(mf_str_of(changed, bytes.len));
            cr_assert(st == MF_OK || st == MF_E_MALFORMED, "byte %zu, %u: %s", at, to, mf_status_name(st));
            cr_assert(eq(long, atomic_load(&counting.live), live), "byte %zu, %u", at, to);
            refused += st != MF_OK;
        }
        changed[at] = bytes.at[at];
    }
    cr_assert(gt(sz, refused, bytes.len));
    mfi_release(NULL, changed, bytes.len);
    mf_message_unref(whole);
    mf_spec_unref(spec);
}

#define BYTES(text) {text, sizeof(text) - 1}

Test(store_codec, what_means_nothing_is_malformed)
{
    static const struct { const char *why; mf_str bytes; mf_status want; } cases[] = {
        {"no map", BYTES("\x90"), MF_E_MALFORMED},
        {"nil", BYTES("\xc0"), MF_E_MALFORMED},
        {"bytes behind it", BYTES("\x80\x80"), MF_E_MALFORMED},
        {"a field of a later version", BYTES("\x82\x1f\xc0\xcd\x27\x10\xc3"), MF_OK},
        {"a key that is no number", BYTES("\x81\xa1x\xc0"), MF_OK},
        {"a kind that is not known", BYTES("\x81\x01\x04"), MF_E_MALFORMED},
        {"a kind below zero", BYTES("\x81\x01\xff"), MF_E_MALFORMED},
        {"a key that is none", BYTES("\x81\x02\xa4task"), MF_E_MALFORMED},
        {"the name twice", BYTES("\x82\x03\xc4\x01" "a\x03\xc4\x01" "b"), MF_E_MALFORMED},
        {"a name that is a number", BYTES("\x81\x03\x05"), MF_E_MALFORMED},
        {"kwargs that are not msgpack", BYTES("\x81\x05\xc4\x01\xc1"), MF_E_MALFORMED},
        {"no kwargs in kwargs", BYTES("\x81\x05\xc4\x00"), MF_E_MALFORMED},
        {"an empty array of keys", BYTES("\x81\x09\x90"), MF_E_MALFORMED},
        {"keys that are none", BYTES("\x81\x09\x92\x01\x02"), MF_E_MALFORMED},
        {"four billion steps", BYTES("\x81\x0c\xdd\xff\xff\xff\xff"), MF_E_MALFORMED},
        {"a step without a message's place", BYTES("\x81\x0c\x91\x91\xc4\x01\x80"), MF_E_MALFORMED},
        {"a step", BYTES("\x81\x0c\x91\x92\xc4\x01\x80\xc0"), MF_OK},
        {"a step without a spec", BYTES("\x81\x0c\x91\x92\xc0\xc0"), MF_E_MALFORMED},
        {"a concurrency of 33 bits", BYTES("\x81\x0f\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), MF_E_MALFORMED},
        {"a truth that is a number", BYTES("\x81\x0b\x01"), MF_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert(eq(int, decode_any(cases[i].bytes), cases[i].want), "%s", cases[i].why);
    mf_state state;
    mf_outcome outcome;
    mf_entry entry;
    cr_assert(eq(int, mfi_state_decode(MF_STR_LIT("\x81\x03\x07"), mem, &state, NULL), MF_E_MALFORMED));
    cr_assert(eq(int, mfi_state_decode(MF_STR_LIT("\x81\x0d\xd2\x80\x00\x00\x00"), mem, &state, NULL), MF_OK));
    cr_assert(eq(int, mfi_state_decode(MF_STR_LIT("\x81\x0d\xce\x80\x00\x00\x00"), mem, &state, NULL), MF_E_MALFORMED));
    cr_assert(eq(int, mfi_state_decode(MF_STR_LIT("\x81\x0e\xcf\x80\0\0\0\0\0\0\0"), mem, &state, NULL), MF_E_MALFORMED));
    char long_cursor[4 + MF_CURSOR_MAX + 1] = "\x81\x18\xc4\xe7";    /* 231 bytes */
    cr_assert(eq(int, mfi_state_decode(mf_str_of(long_cursor, sizeof long_cursor), mem, &state, NULL), MF_E_MALFORMED));
    cr_assert(eq(int, mfi_outcome_decode(MF_STR_LIT("\x81\x02\x07"), mem, &outcome, NULL), MF_E_MALFORMED));
    cr_assert(eq(int, mfi_entry_decode(MF_STR_LIT("\x81\x02\xc4\x01\x90"), mem, &entry, NULL), MF_E_MALFORMED));
}

/* Specs in specs, deeper than any program of ours makes them. */
Test(store_codec, a_spec_without_an_end_is_refused_before_the_stack_ends)
{
    enum { DEEP = 20000, AROUND = 9 };    /* bytes in front of the inner spec and behind it */
    static unsigned char bytes[DEEP * AROUND + 1];
    size_t at = sizeof bytes - DEEP - 1, len = 1;
    memset(bytes, 0xc0, sizeof bytes);    /* nil: the message of every item */
    bytes[at] = 0x80;
    for (size_t i = 0; i < DEEP; i++, len += AROUND) {
        const unsigned char head[AROUND - 1] = {0x81, 0x0e, 0x92, 0xc6, 0, (unsigned char)(len >> 16),
                                                (unsigned char)(len >> 8), (unsigned char)len};
        at -= sizeof head;
        memcpy(bytes + at, head, sizeof head);
    }
    cr_assert(eq(sz, at, 0));
    mf_error err = {0};
    mf_spec *spec = NULL;
    cr_assert(eq(int, mfi_spec_decode(mf_str_of((char *)bytes, sizeof bytes), mem, &spec, &err), MF_E_MALFORMED));
    cr_assert(ne(ptr, strstr(err.text, "deep in each other"), NULL), "%s", err.text);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static mf_status there_and_back(const mf_spec *spec)
{
    mf_message *bytes = NULL;
    mf_spec *read = NULL;
    mf_status st = mfi_spec_encode(spec, mem, &bytes, NULL);
    if (st == MF_OK)
        st = mfi_spec_decode(mf_message_bytes(bytes), mem, &read, NULL);
    mf_message_unref(bytes);
    mf_spec_unref(read);
    return st;
}

Test(store_codec, a_refused_allocation_is_told_and_leaves_nothing)
{
    mf_spec *spec = full_spec();
    long live = atomic_load(&counting.live), n = 0;
    mf_status st;
    do {
        counting.fail_at = atomic_load(&counting.calls) + ++n;
        st = there_and_back(spec);
        cr_assert(st == MF_OK || st == MF_E_NOMEM);
        cr_assert(eq(long, atomic_load(&counting.live), live), "allocation %ld", n);
    } while (st != MF_OK);
    cr_assert(gt(long, n, 20));
    counting.fail_at = 0;
    mf_spec_unref(spec);
}
