/* Parked messages: they wait for a record that stands still, and go when it does not any more, or is gone. */
#include "contract.h"

static mf_key still_key(void)
{
    return key_of(MF_KIND_CHAIN, 8);
}

/* A record that stands still, and a message for another record that waits for it. */
static void stand_still(fixture *f, mf_signature_status status)
{
    world_make(f);
    put(f, spec_of(f, MF_KIND_CHAIN, 8, NULL), &(mf_state){.status = status});
}

static mf_entry parked_entry(fixture *f, uint64_t index)
{
    mf_key key = world_key(NUMBERED);
    mf_entry entry = entry_for(f, &key, index);
    entry.parked = still_key();
    return entry;
}

static void resume(fixture *f)
{
    mf_key key = still_key();
    mf_state state = {.status = MF_STATUS_ACTIVE};
    must_commit(f, &(mf_batch){.key = key, .version = state_of(f, &key).version, .state = &state, .resume = key});
}

STORE_TEST(store_park, a_parked_message_waits_and_is_never_due)
{
    static const mf_signature_status still[] = {MF_STATUS_SUSPENDED, MF_STATUS_INTERRUPTED};
    mf_taken taken;
    mf_entry handed;
    size_t got;
    int64_t next_due;
    world_make(f);
    for (unsigned i = 0; i < 2; i++) {
        mf_entry entry = parked_entry(f, i);
        entry.parked = key_of(MF_KIND_CHAIN, 8 + i);
        entry.due_ms = i == 0 ? 0 : mf_store_now_ms(f->store) + SOON;
        put(f, spec_of(f, MF_KIND_CHAIN, 8 + i, NULL), &(mf_state){.status = still[i]});
        send(f, entry);
    }
    is_load(f, 2, 0);
    turn_clock(f, LATER);
    is_status(mf_store_take(f->store, 1, &taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 0));
    cr_assert(eq(i64, next_due, INT64_MAX));
    is_status(mf_store_outbox(f->store, 1, &handed, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 0));
    cr_assert(eq(i64, next_due, INT64_MAX));
    is_load(f, 2, 0);
}

STORE_TEST(store_park, a_resume_makes_everything_on_its_key_due_in_order)
{
    stand_still(f, MF_STATUS_SUSPENDED);
    mf_entry entries[5];
    for (uint64_t i = 0; i < 5; i++)
        entries[i] = parked_entry(f, i);
    entries[1].due_ms = mf_store_now_ms(f->store) + 60000;    /* due now all the same */
    entries[3].priority = 2;
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = 5});
    put(f, spec_of(f, MF_KIND_CHAIN, 9, NULL), &(mf_state){.status = MF_STATUS_SUSPENDED});
    mf_entry other = parked_entry(f, 99);
    other.parked = key_of(MF_KIND_CHAIN, 9);
    send(f, other);
    nothing_is_due(f);
    resume(f);
    static const uint64_t order[] = {3, 0, 1, 2, 4};
    for (size_t i = 0; i < 5; i++) {
        mf_taken taken = take_item(f, order[i]);
        cr_assert(not(mf_key_is_set(&taken.entry.parked)));
    }
    nothing_is_due(f);
    is_load(f, 1, 5);
    resume(f);    /* nothing is left to resume */
    is_load(f, 1, 5);
}

STORE_TEST(store_park, a_message_for_what_does_not_stand_still_is_not_parked)
{
    static const mf_signature_status going[] = {MF_STATUS_PENDING, MF_STATUS_ACTIVE, MF_STATUS_DONE, MF_STATUS_FAILED,
                                                MF_STATUS_CANCELED};
    world_make(f);
    for (unsigned i = 0; i < 5; i++) {
        put(f, spec_of(f, MF_KIND_CHAIN, 10 + i, NULL), &(mf_state){.status = going[i]});
        mf_entry entry = parked_entry(f, i);
        entry.parked = key_of(MF_KIND_CHAIN, 10 + i);
        send(f, entry);
        take_item(f, i);
    }
    send(f, parked_entry(f, 5));    /* no such record */
    take_item(f, 5);
}

STORE_TEST(store_park, the_status_that_counts_is_the_one_after_the_batch)
{
    mf_key key = still_key();
    mf_state suspended = {.status = MF_STATUS_SUSPENDED}, active = {.status = MF_STATUS_ACTIVE};
    mf_spec *spec = spec_of(f, MF_KIND_CHAIN, 9, NULL);
    stand_still(f, MF_STATUS_ACTIVE);
    mf_entry entry = parked_entry(f, 0);
    must_commit(f, &(mf_batch){.key = key, .version = 0, .state = &suspended, .entries = &entry, .entry_count = 1});
    nothing_is_due(f);
    entry.unit.index = 1;
    must_commit(f, &(mf_batch){.writes = &(mf_write){key, 1, &active}, .write_count = 1, .resume = key,
                               .entries = &entry, .entry_count = 1});
    take_item(f, 0);
    take_item(f, 1);
    entry.unit.index = 2;
    entry.parked = spec->key;
    must_commit(f, &(mf_batch){.puts = &(mf_put){spec, &suspended}, .put_count = 1, .entries = &entry, .entry_count = 1});
    nothing_is_due(f);
    is_load(f, 1, 2);
    mf_spec_unref(spec);
}

/* A batch may resume what stands still and stays so: what it parks itself waits for the next one. */
STORE_TEST(store_park, a_resume_comes_before_the_messages_of_its_batch)
{
    mf_key key = still_key();
    stand_still(f, MF_STATUS_SUSPENDED);
    send(f, parked_entry(f, 0));
    mf_entry entry = parked_entry(f, 1);
    must_commit(f, &(mf_batch){.resume = key, .entries = &entry, .entry_count = 1});
    take_item(f, 0);
    nothing_is_due(f);
    must_commit(f, &(mf_batch){.resume = key});
    take_item(f, 1);
}

STORE_TEST(store_park, a_removal_lets_go_of_what_was_parked_on_the_record)
{
    mf_removal removal = {.key = still_key()};
    stand_still(f, MF_STATUS_SUSPENDED);
    send(f, parked_entry(f, 0));
    send(f, parked_entry(f, 1));
    must_commit(f, &(mf_batch){.removals = &removal, .removal_count = 1});
    take_item(f, 0);
    take_item(f, 1);
    nothing_is_due(f);
}

STORE_TEST(store_park, a_parked_message_may_be_forgotten_by_its_id)
{
    mf_key key = world_key(NUMBERED);
    stand_still(f, MF_STATUS_SUSPENDED);
    send(f, entry_for(f, &key, 0));
    uint64_t first = take_item(f, 0).entry.id, ids[] = {first + 2, first + 3};    /* ids of neighbours grow by one */
    mf_entry entries[] = {parked_entry(f, 1), parked_entry(f, 2), parked_entry(f, 3)};
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = 3});
    must_commit(f, &(mf_batch){.published = ids, .published_count = 2});
    is_load(f, 1, 1);
    resume(f);
    take_item(f, 1);
    nothing_is_due(f);
}

STORE_TEST(store_park, what_is_still_parked_at_the_end_is_released)
{
    stand_still(f, MF_STATUS_INTERRUPTED);
    mf_entry entry = parked_entry(f, 0);
    entry.message = say(f, 1);
    send(f, entry);
    mf_message_unref(entry.message);
    is_load(f, 1, 0);
}
