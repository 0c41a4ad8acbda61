/* Records, items and outcomes: what was committed is what is read. */
#include "contract.h"

STORE_TEST(store_records, a_key_that_is_not_there_gives_no_spec)
{
    mf_key keys[] = {world_key(SWARM), key_of(MF_KIND_TASK, 99), world_key(TASK)};
    mf_record records[3];
    world_make(f);
    is_status(mf_store_load(f->store, keys, 3, records, NULL), MF_OK);
    cr_assert(ne(ptr, records[0].spec, NULL));
    cr_assert(eq(ptr, records[1].spec, NULL));
    cr_assert(ne(ptr, records[2].spec, NULL));
    cr_assert(mf_key_eq(&records[0].spec->key, &keys[0]));
    cr_assert(mf_key_eq(&records[2].spec->key, &keys[2]));
    for (size_t i = 0; i < 3; i++)
        mf_record_release(&records[i]);
}

static mf_state full_state(fixture *f)
{
    mf_state s = {
        .version = 7, .epoch = 9, .status = MF_STATUS_SUSPENDED, .last_status = MF_STATUS_ACTIVE, .closed = true,
        .total = UINT64_C(1) << 40, .expected = 12, .next = 13, .running = 14, .done = 15, .failed = 16,
        .canceled = 17, .started_ms = 18, .ended_ms = 19,
        .input = say(f, 20), .inherited = say(f, 21), .result = say(f, 22), .cursor.len = MF_CURSOR_MAX,
        .priority = -23, .deadline_ms = INT64_MAX - 24, .lock = UINT64_C(1) << 63 | 25, .lock_until_ms = INT64_MAX - 26,
        .kwargs = say(f, 27),
    };
    for (unsigned i = 0; i < MF_CURSOR_MAX; i++)
        s.cursor.bytes[i] = (unsigned char)(255 - i);
    return s;
}

static void is_full_state(const mf_state *s)
{
    cr_assert(eq(u32, s->epoch, 9));
    is_word(s->status, MF_STATUS_SUSPENDED);
    is_word(s->last_status, MF_STATUS_ACTIVE);
    cr_assert(s->closed);
    cr_assert(eq(u64, s->total, UINT64_C(1) << 40));
    const uint64_t words[] = {s->expected, s->next, s->running, s->done, s->failed, s->canceled,
                              (uint64_t)s->started_ms, (uint64_t)s->ended_ms, said(s->input), said(s->inherited),
                              said(s->result)};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        cr_assert(eq(u64, words[i], 12 + i));
    cr_assert(eq(i32, s->priority, -23));
    cr_assert(eq(i64, s->deadline_ms, INT64_MAX - 24));
    cr_assert(eq(u64, s->lock, UINT64_C(1) << 63 | 25));
    cr_assert(eq(i64, s->lock_until_ms, INT64_MAX - 26));
    cr_assert(eq(uint, said(s->kwargs), 27));
    cr_assert(eq(int, s->cursor.len, MF_CURSOR_MAX));
    for (unsigned i = 0; i < MF_CURSOR_MAX; i++)
        cr_assert(eq(int, s->cursor.bytes[i], (int)(255 - i)));
}

STORE_TEST(store_records, counters_and_cursor_come_back_as_they_were_put)
{
    mf_state state = full_state(f);
    mf_spec *spec = spec_of(f, MF_KIND_SWARM, 8, NULL);
    mf_record record;
    must_commit(f, &(mf_batch){.puts = &(mf_put){spec, &state}, .put_count = 1});
    mf_state_unref(&state);
    is_status(mf_store_load(f->store, &spec->key, 1, &record, NULL), MF_OK);
    is_full_state(&record.state);
    cr_assert(eq(u64, record.state.version, 7));
    mf_record_release(&record);
    mf_spec_unref(spec);
}

STORE_TEST(store_records, a_written_state_replaces_all_of_it_and_counts_the_version)
{
    mf_key key = world_key(SWARM);
    mf_record record;
    world_make(f);
    mf_state state = full_state(f);    /* its own version, 7, does not count */
    must_commit(f, &(mf_batch){.key = key, .version = 5, .state = &state});
    mf_state_unref(&state);
    is_status(mf_store_load(f->store, &key, 1, &record, NULL), MF_OK);
    is_full_state(&record.state);
    cr_assert(eq(u64, record.state.version, 6));
    mf_record_release(&record);
    must_commit(f, &(mf_batch){.key = key, .version = 6, .state = &(mf_state){.status = MF_STATUS_ACTIVE}});
    mf_state empty = state_of(f, &key);
    cr_assert(eq(u64, empty.version, 7));
    cr_assert(eq(int, empty.cursor.len, 0));
    cr_assert(eq(ptr, empty.input, NULL));
    cr_assert(eq(ptr, empty.kwargs, NULL));
    cr_assert(eq(i64, empty.deadline_ms, 0));
    cr_assert(eq(u64, empty.lock, 0));
    cr_assert(eq(i64, empty.lock_until_ms, 0));
    cr_assert(eq(i32, empty.priority, 0));
    cr_assert(eq(u64, empty.total, 0));
}

STORE_TEST(store_records, a_record_outlives_what_it_was_made_of)
{
    mf_key key = world_key(SWARM);
    mf_record record;
    world_make(f);
    is_status(mf_store_load(f->store, &key, 1, &record, NULL), MF_OK);
    write_state(f, &key, (mf_state){.version = 5, .status = MF_STATUS_ACTIVE});    /* lets go of the old input */
    cr_assert(eq(uint, said(record.state.input), 77));
    mf_record_release(&record);
}

STORE_TEST(store_records, many_records_are_told_apart)
{
    enum { MANY = 2000 };
    for (unsigned i = 0; i < MANY; i++)
        put(f, spec_of(f, (mf_kind)(MF_KIND_TASK + i % 3), i, NULL), &(mf_state){.total = i});
    for (unsigned i = 0; i < MANY; i++) {
        mf_key key = key_of((mf_kind)(MF_KIND_TASK + i % 3), i);
        cr_assert(eq(u64, state_of(f, &key).total, i));
    }
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

static void is_items(fixture *f, const mf_key *key, uint64_t from, size_t n, size_t want)
{
    mf_item items[WORLD_ITEMS + 10];
    size_t got = 99;
    is_status(mf_store_items(f->store, key, from, n, items, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, want), "from %lu, %zu", (unsigned long)from, n);
    for (size_t i = 0; i < got; i++) {
        cr_assert(eq(uint, said(items[i].message), (unsigned)(from + i)));
        cr_assert(items[i].spec->name.len == 4 && memcmp(items[i].spec->name.at, "work", 4) == 0);
        mf_spec_unref(items[i].spec);
        mf_message_unref(items[i].message);
    }
}

STORE_TEST(store_records, items_come_in_pages_of_any_size)
{
    static const struct { uint64_t from; size_t n, want; } pages[] = {
        {0, WORLD_ITEMS, WORLD_ITEMS}, {0, WORLD_ITEMS + 10, WORLD_ITEMS}, {63, 2, 2}, {64, 64, 64}, {60, 80, 80},
        {127, 3, 3}, {149, 5, 1}, {150, 5, 0}, {1000, 5, 0}, {UINT64_MAX, 5, 0}, {7, 0, 0},
    };
    mf_key key = world_key(SWARM);
    world_make(f);
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        is_items(f, &key, pages[i].from, pages[i].n, pages[i].want);
}

STORE_TEST(store_records, items_are_appended_where_the_last_ones_ended)
{
    mf_key key = world_key(CHAIN);
    world_make(f);
    for (unsigned i = 0; i < WORLD_ITEMS; i += 3) {
        mf_item items[] = {{f->call, say(f, i)}, {f->call, say(f, i + 1)}, {f->call, say(f, i + 2)}};
        must_commit(f, &(mf_batch){.key = key, .items = items, .item_count = 3, .items_from = i});
        for (size_t j = 0; j < 3; j++)
            mf_message_unref(items[j].message);
    }
    is_items(f, &key, 0, WORLD_ITEMS + 10, WORLD_ITEMS);
}

STORE_TEST(store_records, items_and_outcomes_of_no_record_are_not_found)
{
    mf_key key = key_of(MF_KIND_SWARM, 99);
    mf_item item;
    mf_outcome outcome;
    mf_error err = {0};
    size_t got = 99;
    is_status(mf_store_items(f->store, &key, 0, 1, &item, &got, &err), MF_E_NOT_FOUND);
    cr_assert(eq(sz, got, 0));
    cr_assert(ne(ptr, strstr(err.text, key.text), NULL));
    is_status(mf_store_outcomes(f->store, &key, 0, 1, &outcome, &got, &err), MF_E_NOT_FOUND);
    cr_assert(eq(sz, got, 0));
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

static const mf_signature_status ends[] = {MF_STATUS_DONE, MF_STATUS_FAILED, MF_STATUS_CANCELED};

/* Every third of the first 140 indices, backwards. */
static void add_outcomes(fixture *f, const mf_key *key)
{
    for (int i = 138; i >= 0; i -= 3) {
        mf_outcome outcome = {(uint64_t)i, ends[i % 9 / 3], i % 2 ? say(f, (unsigned)i) : NULL};
        must_commit(f, &(mf_batch){.key = *key, .outcomes = &outcome, .outcome_count = 1});
        mf_message_unref(outcome.value);
    }
}

static void is_outcomes(fixture *f, const mf_key *key, uint64_t from, size_t n, size_t want)
{
    mf_outcome outcomes[160];
    size_t got = 99;
    is_status(mf_store_outcomes(f->store, key, from, n, outcomes, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, want), "from %lu, %zu", (unsigned long)from, n);
    for (size_t i = 0; i < got; i++) {
        uint64_t index = from + i;
        cr_assert(eq(u64, outcomes[i].index, index));
        is_word(outcomes[i].status, index % 3 == 0 ? ends[index % 9 / 3] : MF_STATUS_PENDING);
        cr_assert(eq(uint, said(outcomes[i].value), index % 3 == 0 && index % 2 ? (unsigned)index : ~0u));
        mf_message_unref(outcomes[i].value);
    }
}

STORE_TEST(store_records, outcomes_come_in_order_also_those_not_there_yet)
{
    static const struct { uint64_t from; size_t n, want; } pages[] = {
        {0, 160, 139}, {0, 1, 1}, {62, 5, 5}, {63, 1, 1}, {64, 64, 64}, {100, 100, 39}, {138, 5, 1},
        {139, 5, 0}, {5000, 5, 0}, {UINT64_MAX, 5, 0}, {7, 0, 0},
    };
    mf_key key = world_key(SWARM);
    world_make(f);
    is_outcomes(f, &key, 0, 10, 0);
    add_outcomes(f, &key);
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        is_outcomes(f, &key, pages[i].from, pages[i].n, pages[i].want);
}

/* Each kind of value, those around 7 bytes above all; by itself, as one msgpack value. */
#define VALUE(bytes) {"" bytes, sizeof(bytes) - 1}
static const mf_str values[] = {
    VALUE("\x05"), VALUE("\xe0"), VALUE("\xcc\xff"), VALUE("\xd1\x80\x00"), VALUE("\xce\xff\xfe\xfd\xfc"),
    VALUE("\xcf\xff\xee\xdd\xcc\xbb\xaa\x99\x88"), VALUE("\xc2"), VALUE("\xc3"), VALUE("\xc0"),
    VALUE("\xca\x40\x20\x00\x00"), VALUE("\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18"), VALUE("\xa0"),
    VALUE("\xa5" "abcde"), VALUE("\xa6" "abcdef"), VALUE("\xa7" "abcdefg"), VALUE("\xc4\x04\x00\xff\x00\x07"),
    VALUE("\xc4\x05\x00\xff\x00\xff\x00"), VALUE("\xc4\x06\x00\xff\x00\xff\x00\xff"), VALUE("\xd4\x07\x08"),
    VALUE("\x80"), VALUE("\x90"), VALUE("\x93\x01\x02\x03"), VALUE("\x81\xa1n\x07"),
};
enum { VALUES = sizeof values / sizeof values[0] };

static void is_value(const mf_outcome *outcome)
{
    mf_str got = mf_message_bytes(outcome->value), want = values[outcome->index % VALUES];
    mf_message *again = NULL;
    is_word(outcome->status, ends[outcome->index / VALUES]);
    cr_assert(mf_str_eq(got, want), "value %lu", (unsigned long)outcome->index);
    is_status(mf_message_of_value(mf_message_value(outcome->value), NULL, &again, NULL), MF_OK);
    cr_assert(mf_str_eq(mf_message_bytes(again), want));
    mf_message_unref(again);
}

STORE_TEST(store_records, outcomes_of_every_kind_come_back_as_they_were)
{
    enum { ALL = 3 * VALUES };
    mf_outcome outcomes[ALL], read[ALL];
    mf_key key = world_key(SWARM);
    size_t got;
    world_make(f);
    for (size_t i = 0; i < ALL; i++) {
        outcomes[i] = (mf_outcome){i, ends[i / VALUES], NULL};
        is_status(mf_message_from_bytes(values[i % VALUES], NULL, &f->counting.allocator, &outcomes[i].value, NULL), MF_OK);
    }
    must_commit(f, &(mf_batch){.key = key, .outcomes = outcomes, .outcome_count = ALL});
    for (size_t i = 0; i < ALL; i++)
        mf_message_unref(outcomes[i].value);
    is_status(mf_store_outcomes(f->store, &key, 0, ALL, read, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, ALL));
    for (size_t i = 0; i < ALL; i += 2) {
        is_value(&read[i]);
        mf_message_unref(read[i].value);
    }
    for (size_t i = 1; i < ALL; i += 2) {    /* none is gone with the ones beside it */
        is_value(&read[i]);
        mf_message_unref(read[i].value);
    }
}

STORE_TEST(store_records, an_outcome_far_away_leaves_a_gap)
{
    mf_key key = world_key(SWARM);
    mf_outcome outcome = {100000, MF_STATUS_DONE, NULL}, read[2];
    size_t got;
    world_make(f);
    must_commit(f, &(mf_batch){.key = key, .outcomes = &outcome, .outcome_count = 1});
    is_status(mf_store_outcomes(f->store, &key, 99999, 2, read, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, 2));
    is_word(read[0].status, MF_STATUS_PENDING);
    is_word(read[1].status, MF_STATUS_DONE);
}
