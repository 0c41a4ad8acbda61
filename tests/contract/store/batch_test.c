/* What stands together in one batch belongs together. */
#include "contract.h"

STORE_TEST(store_batch, an_empty_batch_is_fine)
{
    world_make(f);
    uint64_t before = fingerprint(f);
    must_commit(f, &(mf_batch){0});
    cr_assert(eq(u64, fingerprint(f), before));
}

STORE_TEST(store_batch, a_new_record_takes_its_items_outcomes_and_entries_along)
{
    mf_spec *spec = spec_of(f, MF_KIND_SWARM, 8, NULL), *other = spec_of(f, MF_KIND_TASK, 9, NULL);
    mf_state state = {.status = MF_STATUS_ACTIVE, .epoch = 4};
    mf_put puts[] = {{other, &state}, {spec, &state}};
    mf_item items[] = {{f->call, NULL}, {f->call, NULL}}, read[3];
    mf_outcome outcome = {1, MF_STATUS_DONE, NULL};
    mf_entry entry = {.spec = f->call, .unit = {spec->key, 0, 4}, .attempt = 1};
    mf_taken taken;
    size_t got;
    must_commit(f, &(mf_batch){.puts = puts, .put_count = 2, .key = spec->key, .items = items, .item_count = 2,
                               .outcomes = &outcome, .outcome_count = 1, .entries = &entry, .entry_count = 1});
    is_status(mf_store_items(f->store, &spec->key, 0, 3, read, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, 2));
    for (size_t i = 0; i < got; i++)
        mf_spec_unref(read[i].spec);
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_OK);
    is_status(claim_one(f, &spec->key, 1, 4).status, MF_E_STALE);
    settle(f, taken.claim.token);
    mf_spec_unref(spec);
    mf_spec_unref(other);
}

STORE_TEST(store_batch, an_outcome_settles_its_claim_and_sends_the_next)
{
    mf_key key = world_key(SWARM);
    world_make(f);
    send(f, entry_for(f, &key, 0));
    for (uint64_t i = 0; i < WORLD_ITEMS; i++) {
        mf_taken taken;
        cr_assert(take_one(f, &taken));
        is_status(taken.claim.status, MF_OK);
        cr_assert(eq(u64, taken.entry.unit.index, i));
        mf_state state = state_of(f, &key);
        mf_message *input = say(f, 1);
        mf_outcome outcome = {i, MF_STATUS_DONE, input};
        mf_entry next = entry_for(f, &key, i + 1);
        state.input = input;
        state.done++;
        must_commit(f, &(mf_batch){.key = key, .version = state.version, .state = &state, .outcomes = &outcome,
                                   .outcome_count = 1, .settles = &taken.claim.token, .settle_count = 1,
                                   .entries = &next, .entry_count = i + 1 < WORLD_ITEMS});
        mf_message_unref(input);
    }
    mf_taken none;
    cr_assert(not(take_one(f, &none)));
    cr_assert(eq(u64, state_of(f, &key).done, WORLD_ITEMS));
}

STORE_TEST(store_batch, published_rows_are_forgotten_and_unknown_ids_passed_over)
{
    mf_key key = world_key(SWARM);
    mf_taken first, second;
    size_t waiting, claimed;
    world_make(f);
    for (uint64_t i = 0; i < 5; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.due_ms = i < 3 ? 0 : mf_store_now_ms(f->store) + 10 * (int64_t)i;
        send(f, entry);
    }
    cr_assert(take_one(f, &first));
    uint64_t ids[] = {first.entry.id + 1, first.entry.id + 3, first.entry.id + 100, 0, first.entry.id + 1};
    must_commit(f, &(mf_batch){.published = ids, .published_count = 5});
    mf_store_load_counts(f->store, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 2));
    cr_assert(eq(sz, claimed, 1));
    cr_assert(take_one(f, &second));
    cr_assert(eq(u64, second.entry.unit.index, 2));
    turn_clock(f, 1000);
    cr_assert(take_one(f, &second));
    cr_assert(eq(u64, second.entry.unit.index, 4));
    cr_assert(not(take_one(f, &second)));
}
