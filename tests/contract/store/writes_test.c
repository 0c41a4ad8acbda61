/* One batch writes several records, or holds a claim without ending it. */
#include "contract.h"

STORE_TEST(store_writes, several_records_are_written_together)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK);
    world_make(f);
    mf_message *input = say(f, 3), *kwargs = say(f, 4);
    mf_state states[] = {
        {.status = MF_STATUS_SUSPENDED, .last_status = MF_STATUS_ACTIVE, .total = 9, .version = 100},
        {.status = MF_STATUS_ACTIVE, .input = input, .kwargs = kwargs, .priority = 7},
        {.status = MF_STATUS_CANCELED, .cursor = {2, {5, 6}}},
    };
    mf_write writes[] = {{chain, 0, &states[0]}, {task, 0, &states[1]}};
    must_commit(f, &(mf_batch){.key = swarm, .version = 5, .state = &states[2], .writes = writes, .write_count = 2});
    mf_message_unref(input);
    mf_message_unref(kwargs);
    is_word(state_of(f, &chain).status, MF_STATUS_SUSPENDED);
    cr_assert(eq(u64, state_of(f, &chain).version, 1));    /* its own version, 100, does not count */
    cr_assert(eq(u64, state_of(f, &chain).total, 9));
    cr_assert(eq(i32, state_of(f, &task).priority, 7));
    cr_assert(eq(u64, state_of(f, &swarm).version, 6));
    cr_assert(eq(int, state_of(f, &swarm).cursor.bytes[1], 6));
    mf_record record;
    is_status(mf_store_load(f->store, &task, 1, &record, NULL), MF_OK);
    cr_assert(eq(uint, said(record.state.input), 3));
    cr_assert(eq(uint, said(record.state.kwargs), 4));
    mf_record_release(&record);
}

STORE_TEST(store_writes, one_that_moved_on_or_is_gone_refuses_all)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK), nobody = key_of(MF_KIND_TASK, 99);
    mf_state state = {.status = MF_STATUS_DONE};
    world_make(f);
    mf_write writes[] = {{chain, 0, &state}, {task, 0, &state}, {swarm, 5, &state}};
    const mf_batch batch = {.writes = writes, .write_count = 3};
    for (size_t i = 0; i < 3; i++) {
        writes[i].version++;
        must_refuse(f, &batch, MF_GUARD_WRITE, i);
        writes[i].version--;
    }
    mf_key kept = writes[1].key;
    writes[1].key = nobody;
    must_refuse(f, &batch, MF_GUARD_WRITE, 1);
    writes[1].key = kept;
    must_commit(f, &batch);
    must_refuse(f, &batch, MF_GUARD_WRITE, 0);
    mf_write twice[] = {{task, 1, &state}, {chain, 1, &state}, {task, 1, &state}};
    must_refuse(f, &(mf_batch){.writes = twice, .write_count = 3}, MF_GUARD_WRITE, 2);
}

STORE_TEST(store_writes, many_records_are_written_by_one_batch)
{
    enum { MANY = 300 };
    static mf_write writes[MANY];
    mf_state state = {.status = MF_STATUS_CANCELED};
    for (unsigned i = 0; i < MANY; i++) {
        put(f, spec_of(f, MF_KIND_TASK, i, NULL), &(mf_state){.status = MF_STATUS_ACTIVE});
        writes[i] = (mf_write){key_of(MF_KIND_TASK, i), 0, &state};
    }
    must_commit(f, &(mf_batch){.writes = writes, .write_count = MANY});
    for (unsigned i = 0; i < MANY; i++)
        is_word(state_of(f, &writes[i].key).status, MF_STATUS_CANCELED);
}

STORE_TEST(store_writes, what_no_batch_may_ask_is_invalid)
{
    mf_key chain = world_key(CHAIN);
    mf_state state = {.status = MF_STATUS_DONE}, long_cursor = {.cursor.len = MF_CURSOR_MAX + 1};
    world_make(f);
    const mf_write own = {chain, 0, &state}, unset = {{""}, 0, &state}, broken = {chain, 0, &long_cursor};
    const mf_batch batches[] = {
        {.key = chain, .version = 0, .state = &state, .writes = &own, .write_count = 1},
        {.writes = &unset, .write_count = 1}, {.writes = &broken, .write_count = 1},
    };
    uint64_t before = fingerprint(f);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        cr_assert(eq(int, mf_store_commit(f->store, &batches[i], NULL, NULL), MF_E_INVALID), "batch %zu", i);
        cr_assert(eq(u64, fingerprint(f), before));
    }
}

/* ---- holds ------------------------------------------------------------------------------------------------------- */

STORE_TEST(store_writes, a_held_claim_must_be_current_and_stays)
{
    mf_key swarm = world_key(SWARM), task = world_key(TASK);
    world_make(f);
    send(f, entry_for(f, &swarm, 20));
    mf_taken taken = take_item(f, 20);
    mf_claim claim = claim_one(f, &task, 0, 0);
    uint64_t holds[] = {taken.claim.token, claim.token};
    mf_state state = {.status = MF_STATUS_ACTIVE, .total = 3};
    mf_batch batch = {.key = swarm, .version = 5, .state = &state, .holds = holds, .hold_count = 2};
    must_commit(f, &batch);
    is_load(f, 0, 2);
    batch.version = 6;
    must_commit(f, &batch);    /* and again */
    settle(f, claim.token);
    batch.version = 7;
    must_refuse(f, &batch, MF_GUARD_HOLD, 1);
    is_status(mf_store_give_back(f->store, &taken.claim.token, 1, NULL), MF_OK);
    must_refuse(f, &batch, MF_GUARD_HOLD, 0);
    static const uint64_t never[] = {0, UINT64_MAX};
    for (size_t i = 0; i < 2; i++)
        must_refuse(f, &(mf_batch){.holds = &never[i], .hold_count = 1}, MF_GUARD_HOLD, 0);
}
