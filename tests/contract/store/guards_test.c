/* Every guard refuses, tells which and where, and leaves everything as it was: must_refuse compares. */
#include "contract.h"

STORE_TEST(store_guards, a_put_refuses_a_key_that_exists)
{
    world_make(f);
    mf_spec *fresh = spec_of(f, MF_KIND_TASK, 7, NULL), *taken = spec_of(f, MF_KIND_CHAIN, CHAIN, NULL);
    mf_state state = {.status = MF_STATUS_PENDING};
    mf_put puts[] = {{fresh, &state}, {taken, &state}};
    must_refuse(f, &(mf_batch){.puts = puts, .put_count = 2}, MF_GUARD_PUT, 1);
    mf_put twice[] = {{fresh, &state}, {fresh, &state}};
    must_refuse(f, &(mf_batch){.puts = twice, .put_count = 2}, MF_GUARD_PUT, 1);
    must_commit(f, &(mf_batch){.puts = puts, .put_count = 1});
    must_refuse(f, &(mf_batch){.puts = puts, .put_count = 1}, MF_GUARD_PUT, 0);
    mf_spec_unref(fresh);
    mf_spec_unref(taken);
}

STORE_TEST(store_guards, a_state_refuses_another_version_and_a_record_that_is_gone)
{
    mf_key key = world_key(SWARM), nobody = key_of(MF_KIND_TASK, 99);
    mf_state state = {.status = MF_STATUS_CANCELED};
    world_make(f);
    must_refuse(f, &(mf_batch){.key = key, .version = 4, .state = &state}, MF_GUARD_VERSION, 0);
    must_refuse(f, &(mf_batch){.key = key, .version = 6, .state = &state}, MF_GUARD_VERSION, 0);
    must_refuse(f, &(mf_batch){.key = nobody, .version = 0, .state = &state}, MF_GUARD_VERSION, 0);
    must_commit(f, &(mf_batch){.key = key, .version = 5, .state = &state});
    must_refuse(f, &(mf_batch){.key = key, .version = 5, .state = &state}, MF_GUARD_VERSION, 0);
}

STORE_TEST(store_guards, items_must_continue_where_the_last_ones_ended)
{
    mf_key key = world_key(SWARM), nobody = key_of(MF_KIND_SWARM, 99);
    world_make(f);
    mf_item item = {f->call, NULL};
    static const uint64_t wrong[] = {0, WORLD_ITEMS - 1, WORLD_ITEMS + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mf_batch batch = {.key = key, .items = &item, .item_count = 1, .items_from = wrong[i]};
        must_refuse(f, &batch, MF_GUARD_ITEMS, 0);
    }
    must_refuse(f, &(mf_batch){.key = nobody, .items = &item, .item_count = 1}, MF_GUARD_ITEMS, 0);
}

STORE_TEST(store_guards, an_outcome_counts_once)
{
    mf_key key = world_key(SWARM), nobody = key_of(MF_KIND_SWARM, 99);
    world_make(f);
    mf_message *value = say(f, 1);
    mf_outcome outcomes[] = {{70, MF_STATUS_DONE, value}, {3, MF_STATUS_FAILED, value}, {70, MF_STATUS_DONE, NULL}};
    must_refuse(f, &(mf_batch){.key = key, .outcomes = outcomes, .outcome_count = 3}, MF_GUARD_OUTCOME, 2);
    must_refuse(f, &(mf_batch){.key = nobody, .outcomes = outcomes, .outcome_count = 1}, MF_GUARD_OUTCOME, 0);
    must_commit(f, &(mf_batch){.key = key, .outcomes = outcomes, .outcome_count = 2});
    must_refuse(f, &(mf_batch){.key = key, .outcomes = outcomes + 2, .outcome_count = 1}, MF_GUARD_OUTCOME, 0);
    mf_message_unref(value);
}

STORE_TEST(store_guards, a_token_settles_once)
{
    mf_key key = world_key(SWARM);
    mf_taken taken;
    world_make(f);
    send(f, entry_for(f, &key, 0));
    cr_assert(take_one(f, &taken));
    uint64_t twice[] = {taken.claim.token, taken.claim.token};
    must_refuse(f, &(mf_batch){.settles = twice, .settle_count = 2}, MF_GUARD_SETTLE, 1);
    settle(f, taken.claim.token);
    must_refuse(f, &(mf_batch){.settles = twice, .settle_count = 1}, MF_GUARD_SETTLE, 0);
}

STORE_TEST(store_guards, a_token_that_was_never_given_is_refused)
{
    static const uint64_t tokens[] = {0, 1, UINT64_C(1) << 32, UINT64_MAX, UINT64_C(5) << 32 | 7};
    world_make(f);
    mf_key key = world_key(SWARM);
    send(f, entry_for(f, &key, 0));    /* a row that waits has no token */
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        must_refuse(f, &(mf_batch){.settles = &tokens[i], .settle_count = 1}, MF_GUARD_SETTLE, 0);
}

STORE_TEST(store_guards, an_old_token_stays_refused_when_its_place_is_used_again)
{
    enum { ROUNDS = 300 };
    mf_key key = world_key(NUMBERED);
    uint64_t tokens[ROUNDS];
    world_make(f);
    for (size_t i = 0; i < ROUNDS; i++) {
        mf_claim claim = claim_one(f, &key, i, 0);
        is_status(claim.status, MF_OK);
        tokens[i] = claim.token;
        for (size_t j = 0; j < i; j++)
            cr_assert(ne(u64, tokens[j], tokens[i]));
        settle(f, tokens[i]);
    }
    mf_claim last = claim_one(f, &key, 7, 0);
    for (size_t i = 0; i < ROUNDS; i += 20)
        must_refuse(f, &(mf_batch){.settles = &tokens[i], .settle_count = 1}, MF_GUARD_SETTLE, 0);
    settle(f, last.token);
}

/* ---- all or nothing: whichever guard refuses, the rest of a full batch leaves no trace --------------------------- */

typedef struct full_batch {
    mf_batch   batch;
    mf_spec   *spec;
    mf_message *message;
    mf_state   put_state, state;
    mf_put     puts[1];
    mf_item    items[2];
    mf_outcome outcomes[2];
    uint64_t   settles[2];
    mf_entry   entries[3];
    uint64_t   published[1];
    mf_state   second;
    mf_write   writes[1];
    mf_removal removals[1];
    uint64_t   holds[1];
    mf_note    notes[3];
} full_batch;

static void full_batch_make(fixture *f, full_batch *full)
{
    mf_key key = world_key(SWARM), chain = world_key(CHAIN), numbered = world_key(NUMBERED), still = key_of(MF_KIND_TASK, 6);
    mf_taken taken[2];
    world_make(f);
    put(f, spec_of(f, MF_KIND_TASK, 6, NULL), &(mf_state){.status = MF_STATUS_SUSPENDED});
    send(f, entry_for(f, &key, 0));
    send(f, entry_for(f, &key, 1));
    cr_assert(take_one(f, &taken[0]) && take_one(f, &taken[1]));
    send(f, entry_for(f, &key, 2));
    mf_entry parked = entry_for(f, &key, 5);
    parked.parked = still;
    send(f, parked);
    mf_claim held = claim_one(f, &chain, 1, 0);
    *full = (full_batch){
        .spec = spec_of(f, MF_KIND_TASK, 7, NULL), .message = say(f, 3), .put_state = {.status = MF_STATUS_PENDING},
        .state = {.status = MF_STATUS_DONE, .epoch = 2}, .settles = {taken[0].claim.token, taken[1].claim.token},
        .published = {taken[1].entry.id + 1},
        .entries = {entry_for(f, &key, 3), entry_for(f, &key, 4), entry_for(f, &key, 6)},
        .second = {.status = MF_STATUS_FAILED, .deadline_ms = 5, .lock = 6}, .removals = {{.key = numbered}},
        .holds = {held.token}, .writes = {{.key = chain}},
    };
    full->second.kwargs = full->message;
    full->writes[0].state = &full->second;
    for (unsigned i = 0; i < 3; i++)
        full->notes[i] = (mf_note){.space = MF_STR_LIT("one"), .name = mf_str_of("abc" + i, 1), .value = full->message,
                                   .expires_ms = i * 1000000, .fresh = true};
    must_commit(f, &(mf_batch){.notes = full->notes, .note_count = 1});
    full->notes[0].value = NULL;    /* goes again */
    full->notes[0].fresh = false;
    full->state.result = full->message;
    full->puts[0] = (mf_put){full->spec, &full->put_state};
    for (unsigned i = 0; i < 2; i++) {
        full->items[i] = (mf_item){f->call, full->message};
        full->outcomes[i] = (mf_outcome){i, MF_STATUS_DONE, full->message};
        full->entries[i].message = full->message;
    }
    full->entries[2].priority = 3;
    full->entries[2].parked = full->spec->key;    /* which is not there before the batch */
    full->put_state.status = MF_STATUS_SUSPENDED;
    full->entries[1].due_ms = mf_store_now_ms(f->store) + 50;
    full->batch = (mf_batch){
        .puts = full->puts, .put_count = 1, .key = key, .version = 5, .state = &full->state,
        .items = full->items, .item_count = 2, .items_from = WORLD_ITEMS, .outcomes = full->outcomes, .outcome_count = 2,
        .settles = full->settles, .settle_count = 2, .entries = full->entries, .entry_count = 3,
        .published = full->published, .published_count = 1, .writes = full->writes, .write_count = 1,
        .removals = full->removals, .removal_count = 1, .holds = full->holds, .hold_count = 1, .resume = still,
        .notes = full->notes, .note_count = 3,
    };
}

STORE_TEST(store_guards, a_full_batch_happens_as_a_whole_or_not_at_all)
{
    full_batch full;
    full_batch_make(f, &full);
    uint64_t token = full.settles[1];

    mf_put taken = {spec_of(f, MF_KIND_TASK, TASK, NULL), &full.put_state};
    mf_put fresh = full.puts[0];
    full.puts[0] = taken;
    must_refuse(f, &full.batch, MF_GUARD_PUT, 0);
    mf_spec_unref((mf_spec *)taken.spec);
    full.puts[0] = fresh;
    full.batch.version = 6;
    must_refuse(f, &full.batch, MF_GUARD_VERSION, 0);
    full.batch.version = 5;
    full.batch.items_from--;
    must_refuse(f, &full.batch, MF_GUARD_ITEMS, 0);
    full.batch.items_from++;
    full.outcomes[1].index = 0;
    must_refuse(f, &full.batch, MF_GUARD_OUTCOME, 1);
    full.outcomes[1].index = 1;
    full.settles[1] = UINT64_MAX;
    must_refuse(f, &full.batch, MF_GUARD_SETTLE, 1);
    full.settles[1] = token;
    full.writes[0].version = 1;
    must_refuse(f, &full.batch, MF_GUARD_WRITE, 0);
    full.writes[0].version = 0;
    full.holds[0]++;
    must_refuse(f, &full.batch, MF_GUARD_HOLD, 0);
    full.holds[0]--;
    full.notes[2].name = full.notes[1].name;
    must_refuse(f, &full.batch, MF_GUARD_NOTE, 2);
    full.notes[2].name = MF_STR_LIT("c");

    must_commit(f, &full.batch);
    is_load(f, 4, 1);    /* the published row went, the one that was resumed stayed, three came; the held claim stays */
    take_item(f, 5);     /* it was resumed */
    take_item(f, 3);
    nothing_is_due(f);   /* one is delayed, the other parked on the new record */
    mf_key numbered = world_key(NUMBERED), chain = world_key(CHAIN);
    cr_assert(not(has_record(f, &numbered)));
    is_word(state_of(f, &chain).status, MF_STATUS_FAILED);
    mf_message *note;
    is_status(mf_store_read_note(f->store, MF_STR_LIT("one"), MF_STR_LIT("a"), &note, NULL), MF_E_NOT_FOUND);
    is_status(mf_store_read_note(f->store, MF_STR_LIT("one"), MF_STR_LIT("b"), &note, NULL), MF_OK);
    mf_message_unref(note);
    mf_message_unref(full.message);
    mf_spec_unref(full.spec);
}

STORE_TEST(store_guards, a_batch_that_breaks_the_rules_is_invalid_and_changes_nothing)
{
    mf_key key = world_key(SWARM);
    mf_state state = {.status = MF_STATUS_DONE}, long_cursor = {.cursor.len = MF_CURSOR_MAX + 1};
    mf_item item = {f->call, NULL};
    mf_outcome outcome = {0, MF_STATUS_DONE, NULL}, no_end = {0, MF_STATUS_ACTIVE, NULL};
    mf_entry nothing = {.attempt = 1};
    world_make(f);
    const mf_batch batches[] = {
        {.state = &state}, {.items = &item, .item_count = 1}, {.outcomes = &outcome, .outcome_count = 1},
        {.key = key, .outcomes = &no_end, .outcome_count = 1}, {.entries = &nothing, .entry_count = 1},
        {.key = key, .version = 5, .state = &long_cursor}, {.puts = &(mf_put){f->call, &state}, .put_count = 1},
    };
    uint64_t before = fingerprint(f);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        mf_error err = {0};
        cr_assert(eq(int, mf_store_commit(f->store, &batches[i], NULL, &err), MF_E_INVALID), "batch %zu: %s", i, err.text);
        cr_assert(ne(chr, err.text[0], '\0'));
        cr_assert(eq(u64, fingerprint(f), before));
    }
    outcome.index = UINT64_MAX;
    is_status(mf_store_commit(f->store, &(mf_batch){.key = key, .outcomes = &outcome, .outcome_count = 1}, NULL, NULL),
              MF_E_TOO_BIG);
    cr_assert(eq(u64, fingerprint(f), before));
}
