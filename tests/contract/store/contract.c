#include "contract.h"

struct criterion_test_params store_parameters(void)
{
    static size_t indices[16];
    for (size_t i = 0; i < store_maker_count; i++)
        indices[i] = i;
    return cr_make_param_array(size_t, indices, store_maker_count);
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static int64_t manual_ns(void *user)
{
    return ((fixture *)user)->now_ns;
}

static int64_t manual_wall_ms(void *user)
{
    return ((fixture *)user)->now_ns / 1000000;
}

void open_store(fixture *f, size_t maker)
{
    memset(f, 0, sizeof *f);
    f->maker = &store_makers[maker];
    f->now_ns = INT64_C(1000000000);
    f->clock = (mf_clock){manual_ns, manual_wall_ms, f};
    counting_init(&f->counting);
    mf_error err = {0};
    is_status(f->maker->create(&f->counting.allocator, &f->clock, &f->store, &err), MF_OK);
    f->call = mf_spec_create(&f->counting.allocator, MF_KIND_TASK, MF_STR_LIT("work"));
    f->framework = mf_spec_create(&f->counting.allocator, MF_KIND_TASK, MF_STR_LIT("mageflow.swarm_fill"));
}

void close_store(fixture *f)
{
    mf_spec_unref(f->call);
    mf_spec_unref(f->framework);
    mf_store_destroy(f->store);
    if (f->maker->clean != NULL)
        f->maker->clean();
    cr_assert(eq(long, atomic_load(&f->counting.live), 0), "%s: blocks that nobody released", f->maker->name);
    cr_assert(eq(long, atomic_load(&f->counting.wrong_size), 0));
}

bool open_leased(fixture *f)
{
    if (f->maker->create_leased == NULL)
        return false;
    mf_store_destroy(f->store);
    f->store = NULL;
    mf_error err = {0};
    is_status(f->maker->create_leased(&f->counting.allocator, &f->clock, SOON, &f->store, &err), MF_OK);
    cr_assert(eq(i64, mf_store_lease_ms(f->store), SOON));
    return true;
}

void turn_clock(fixture *f, int64_t ms)
{
    if (f->maker->advance != NULL)
        f->maker->advance(f->store, ms);
    else
        f->now_ns += ms * 1000000;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

mf_key key_of(mf_kind kind, unsigned n)
{
    static const char *const prefixes[] = {"", "task", "chain", "swarm"};
    char text[64];
    mf_key key;
    mf_error err;
    snprintf(text, sizeof text, "%s-%025u", prefixes[kind], n);
    cr_assert(eq(int, mf_key_parse(mf_cstr(text), &key, &err), MF_OK), "%s", err.text);
    return key;
}

mf_key world_key(unsigned number)
{
    static const mf_kind kinds[] = {
        [SWARM] = MF_KIND_SWARM, [CHAIN] = MF_KIND_CHAIN, [TASK] = MF_KIND_TASK, [NUMBERED] = MF_KIND_TASK,
    };
    return key_of(kinds[number], number);
}

mf_message *say(fixture *f, unsigned n)
{
    char bytes[] = {(char)0xce, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
    mf_message *message = NULL;
    is_status(mf_message_from_bytes(mf_str_of(bytes, sizeof bytes), NULL, &f->counting.allocator, &message, NULL), MF_OK);
    return message;
}

unsigned said(const mf_message *message)
{
    uint64_t n = 0;
    if (message == NULL || mf_value_uint(mf_message_value(message), &n) != MF_OK)
        return ~0u;
    return (unsigned)n;
}

mf_spec *spec_of(fixture *f, mf_kind kind, unsigned n, const mf_key *container)
{
    mf_spec *spec = mf_spec_create(&f->counting.allocator, kind, MF_STR_LIT("record"));
    cr_assert(ne(ptr, spec, NULL));
    spec->key = key_of(kind, n);
    if (container != NULL)
        spec->container = *container;
    return spec;
}

void put(fixture *f, mf_spec *spec, const mf_state *state)
{
    must_commit(f, &(mf_batch){.puts = &(mf_put){spec, state}, .put_count = 1});
    mf_spec_unref(spec);
}

static void add_items(fixture *f, const mf_key *key, size_t n)
{
    mf_item items[WORLD_ITEMS];
    for (size_t i = 0; i < n; i++)
        items[i] = (mf_item){f->call, say(f, (unsigned)i)};
    must_commit(f, &(mf_batch){.key = *key, .items = items, .item_count = n});
    for (size_t i = 0; i < n; i++)
        mf_message_unref(items[i].message);
}

void world_make(fixture *f)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN);
    mf_message *input = say(f, 77);
    put(f, spec_of(f, MF_KIND_SWARM, SWARM, NULL),
        &(mf_state){.version = 5, .epoch = 2, .status = MF_STATUS_ACTIVE, .total = WORLD_ITEMS, .next = 10, .running = 10,
                    .input = input, .cursor = {3, {1, 0, 2}}});
    put(f, spec_of(f, MF_KIND_CHAIN, CHAIN, &swarm),
        &(mf_state){.status = MF_STATUS_ACTIVE, .total = 3, .next = 2, .running = 1});
    put(f, spec_of(f, MF_KIND_TASK, TASK, &chain), &(mf_state){.status = MF_STATUS_PENDING});
    mf_spec *numbered = spec_of(f, MF_KIND_TASK, NUMBERED, NULL);
    numbered->numbered = true;
    put(f, numbered, &(mf_state){.status = MF_STATUS_PENDING});
    add_items(f, &swarm, WORLD_ITEMS);
    mf_message_unref(input);
}

/* ---- acting ------------------------------------------------------------------------------------------------------ */

mf_state state_of(fixture *f, const mf_key *key)
{
    mf_record record;
    is_status(mf_store_load(f->store, key, 1, &record, NULL), MF_OK);
    cr_assert(ne(ptr, record.spec, NULL), "no record %s", key->text);
    mf_state state = record.state;
    mf_record_release(&record);
    return state;
}

void write_state(fixture *f, const mf_key *key, mf_state state)
{
    must_commit(f, &(mf_batch){.key = *key, .version = state.version, .state = &state});
}

void must_commit(fixture *f, const mf_batch *batch)
{
    mf_error err = {0};
    mf_refusal refusal;
    mf_status st = mf_store_commit(f->store, batch, &refusal, &err);
    cr_assert(eq(int, st, MF_OK), "%s: %s", f->maker->name, err.text);
    cr_assert(eq(int, refusal.guard, MF_GUARD_NONE));
}

void must_refuse(fixture *f, const mf_batch *batch, mf_guard guard, size_t index)
{
    mf_error err = {0};
    mf_refusal refusal = {MF_GUARD_NONE, 99};
    uint64_t before = fingerprint(f);
    is_status(mf_store_commit(f->store, batch, &refusal, &err), MF_E_CONFLICT);
    cr_assert(eq(int, refusal.guard, guard), "%s", err.text);
    cr_assert(eq(sz, refusal.index, index));
    is_status(err.status, MF_E_CONFLICT);
    cr_assert(eq(u64, fingerprint(f), before), "the refused batch changed something");
}

mf_entry entry_for(fixture *f, const mf_key *key, uint64_t index)
{
    return (mf_entry){.spec = f->call, .unit = {*key, index, state_of(f, key).epoch}, .attempt = 1};
}

void send(fixture *f, mf_entry entry)
{
    must_commit(f, &(mf_batch){.entries = &entry, .entry_count = 1});
}

bool take_one(fixture *f, mf_taken *out)
{
    size_t got;
    int64_t next_due;
    is_status(mf_store_take(f->store, 1, out, &got, &next_due, NULL), MF_OK);
    if (got == 1)
        mf_entry_release(&out->entry);
    return got == 1;
}

mf_taken take_item(fixture *f, uint64_t index)
{
    mf_taken taken;
    cr_assert(take_one(f, &taken), "nothing is due, and not item %lu", (unsigned long)index);
    cr_assert(eq(u64, taken.entry.unit.index, index));
    is_status(taken.claim.status, MF_OK);
    return taken;
}

void nothing_is_due(fixture *f)
{
    mf_taken taken;
    cr_assert(not(take_one(f, &taken)), "item %lu was taken", (unsigned long)taken.entry.unit.index);
}

void is_load(fixture *f, size_t waiting, size_t claimed)
{
    size_t got_waiting, got_claimed;
    mf_store_load_counts(f->store, &got_waiting, &got_claimed);
    cr_assert(eq(sz, got_waiting, waiting));
    cr_assert(eq(sz, got_claimed, claimed));
}

bool has_record(fixture *f, const mf_key *key)
{
    mf_record record;
    is_status(mf_store_load(f->store, key, 1, &record, NULL), MF_OK);
    bool there = record.spec != NULL;
    mf_record_release(&record);
    return there;
}

mf_claim claim_attempt(fixture *f, const mf_unit *unit, uint32_t attempt)
{
    mf_claim claim = {.unit = *unit, .attempt = attempt};
    is_status(mf_store_claim(f->store, &claim, 1, NULL), MF_OK);
    return claim;
}

mf_claim claim_one(fixture *f, const mf_key *key, uint64_t index, uint32_t epoch)
{
    return claim_attempt(f, &(mf_unit){*key, index, epoch}, 1);
}

void settle(fixture *f, uint64_t token)
{
    must_commit(f, &(mf_batch){.settles = &token, .settle_count = 1});
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static void mix(uint64_t *hash, uint64_t word)
{
    *hash = (*hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    *hash ^= *hash >> 29;
}

static void mix_state(uint64_t *hash, const mf_state *s)
{
    const uint64_t words[] = {s->version, s->epoch, s->status, s->last_status, s->closed, s->total, s->expected, s->next,
                              s->running, s->done, s->failed, s->canceled, (uint64_t)s->started_ms, (uint64_t)s->ended_ms,
                              said(s->input), said(s->inherited), said(s->result), s->cursor.len, (uint64_t)s->priority,
                              (uint64_t)s->created_ms, (uint64_t)s->deadline_ms, s->lock, (uint64_t)s->lock_until_ms,
                              said(s->kwargs)};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        mix(hash, words[i]);
    for (size_t i = 0; i < s->cursor.len; i++)
        mix(hash, s->cursor.bytes[i]);
}

static void mix_items(uint64_t *hash, fixture *f, const mf_key *key)
{
    mf_item item;
    size_t got;
    for (uint64_t i = 0; mf_store_items(f->store, key, i, 1, &item, &got, NULL) == MF_OK && got == 1; i++) {
        mix(hash, said(item.message));
        mf_spec_unref(item.spec);
        mf_message_unref(item.message);
    }
}

static void mix_outcomes(uint64_t *hash, fixture *f, const mf_key *key)
{
    mf_outcome outcome;
    size_t got;
    for (uint64_t i = 0; mf_store_outcomes(f->store, key, i, 1, &outcome, &got, NULL) == MF_OK && got == 1; i++) {
        mix(hash, outcome.index);
        mix(hash, outcome.status);
        mix(hash, said(outcome.value));
        mf_message_unref(outcome.value);
    }
}

static void mix_words(uint64_t *hash, fixture *f, const mf_key *key)
{
    char *text;
    size_t len;
    for (uint64_t i = 0; mf_store_read_log(f->store, key, i, NULL, &text, &len) == MF_OK; i++) {
        mix(hash, len);
        free(text);
    }
    mf_message *progress = NULL;
    is_status(mf_store_read_progress(f->store, key, &progress), MF_OK);
    mix(hash, said(progress));
    mf_message_unref(progress);
}

static void mix_notes(uint64_t *hash, fixture *f, mf_str space)
{
    mf_note note;
    char after[256] = "";
    size_t len = 0, got;
    while (mf_store_notes(f->store, space, mf_str_of(after, len), 1, &note, &got, NULL) == MF_OK && got == 1) {
        len = note.name.len;
        memcpy(after, note.name.at, len);
        for (size_t i = 0; i < len; i++)
            mix(hash, (unsigned char)after[i]);
        mix(hash, said(note.value));
        mix(hash, (uint64_t)note.expires_ms);
        mf_note_release(f->store, &note);
    }
}

uint64_t fingerprint(fixture *f)
{
    uint64_t hash = 1;
    for (unsigned number = 1; number <= WORLD + 4; number++) {
        for (int kind = MF_KIND_TASK; kind <= MF_KIND_SWARM; kind++) {
            mf_key key = key_of((mf_kind)kind, number);
            mf_record record;
            is_status(mf_store_load(f->store, &key, 1, &record, NULL), MF_OK);
            mix(&hash, record.spec != NULL);
            if (record.spec == NULL)
                continue;
            mix_state(&hash, &record.state);
            mf_record_release(&record);
            mix_items(&hash, f, &key);
            mix_outcomes(&hash, f, &key);
            mix_words(&hash, f, &key);
        }
    }
    mix_notes(&hash, f, MF_STR_LIT("one"));
    mix_notes(&hash, f, MF_STR_LIT("two"));
    size_t waiting, claimed;
    mf_store_load_counts(f->store, &waiting, &claimed);
    mix(&hash, waiting);
    mix(&hash, claimed);
    return hash;
}
