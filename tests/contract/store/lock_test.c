/* A locked task does not begin; and what a claim says of what stands in its way. */
#include "contract.h"

/* A pending task of its own, locked until SOON. */
static mf_key locked_task(fixture *f, mf_signature_status status, bool numbered)
{
    mf_spec *spec = spec_of(f, MF_KIND_TASK, 7, NULL);
    mf_key key = spec->key;
    spec->numbered = numbered;
    put(f, spec, &(mf_state){.status = status, .lock = 5, .lock_until_ms = mf_store_now_ms(f->store) + SOON});
    return key;
}

STORE_TEST(store_lock, a_claim_of_a_locked_pending_task_is_to_be_tried_later)
{
    mf_key key = locked_task(f, MF_STATUS_PENDING, false);
    mf_claim claim = claim_one(f, &key, 0, 0);
    is_status(claim.status, MF_E_AGAIN);
    cr_assert(eq(u64, claim.token, 0));
    is_word(claim.head, MF_STATUS_PENDING);
    is_word(state_of(f, &key).status, MF_STATUS_PENDING);
    is_status(claim_one(f, &key, 0, 1).status, MF_E_STALE);    /* of another epoch whatever the lock */
    turn_clock(f, LATER);
    is_status(claim_one(f, &key, 0, 0).status, MF_OK);
    is_word(state_of(f, &key).status, MF_STATUS_ACTIVE);
}

STORE_TEST(store_lock, taking_leaves_a_locked_tasks_message_where_it_is)
{
    mf_key key = locked_task(f, MF_STATUS_PENDING, false), other = key_of(MF_KIND_TASK, 8);
    mf_taken taken[4];
    size_t got;
    int64_t next_due;
    put(f, spec_of(f, MF_KIND_TASK, 8, NULL), &(mf_state){.status = MF_STATUS_PENDING});
    send(f, entry_for(f, &key, 0));
    send(f, entry_for(f, &other, 0));
    is_status(mf_store_take(f->store, 4, taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 1));
    cr_assert(mf_key_eq(&taken[0].entry.unit.key, &other));
    mf_entry_release(&taken[0].entry);
    cr_assert(gt(i64, next_due, mf_store_now_ms(f->store)));    /* no reason to look again at once */
    cr_assert(le(i64, next_due, mf_store_now_ms(f->store) + SOON));
    is_load(f, 1, 1);
    turn_clock(f, LATER);
    cr_assert(take_one(f, &taken[0]));
    cr_assert(mf_key_eq(&taken[0].entry.unit.key, &key));
    is_status(taken[0].claim.status, MF_OK);
    is_word(state_of(f, &key).status, MF_STATUS_ACTIVE);
}

STORE_TEST(store_lock, an_unlock_lets_the_message_go_soon)
{
    mf_key key = locked_task(f, MF_STATUS_PENDING, false);
    send(f, entry_for(f, &key, 0));
    nothing_is_due(f);
    write_state(f, &key, (mf_state){.status = MF_STATUS_PENDING});
    turn_clock(f, LATER / 2);
    take_item(f, 0);
}

STORE_TEST(store_lock, a_lock_is_in_the_way_of_nothing_else)
{
    static const struct { mf_signature_status status; bool numbered; mf_status want; } cases[] = {
        {MF_STATUS_ACTIVE, false, MF_OK}, {MF_STATUS_SUSPENDED, false, MF_OK}, {MF_STATUS_DONE, false, MF_E_STALE},
        {MF_STATUS_PENDING, true, MF_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_key key = locked_task(f, cases[i].status, cases[i].numbered);
        mf_claim claim = claim_one(f, &key, 0, 0);
        cr_assert(eq(int, claim.status, cases[i].want), "case %zu: %s", i, mf_status_name(claim.status));
        must_commit(f, &(mf_batch){.removals = &(mf_removal){.key = key}, .removal_count = 1});
    }
    mf_state locked = {.status = MF_STATUS_PENDING, .next = 1, .running = 1, .lock = 5,
                       .lock_until_ms = mf_store_now_ms(f->store) + 60000};
    mf_key chain = key_of(MF_KIND_CHAIN, 8), swarm = key_of(MF_KIND_SWARM, 9);
    put(f, spec_of(f, MF_KIND_CHAIN, 8, NULL), &locked);
    put(f, spec_of(f, MF_KIND_SWARM, 9, NULL), &locked);
    is_status(claim_one(f, &chain, 0, 0).status, MF_OK);
    is_status(claim_one(f, &swarm, 0, 0).status, MF_OK);
}

STORE_TEST(store_lock, a_framework_message_for_a_locked_task_is_taken)
{
    mf_taken taken;
    mf_key key = locked_task(f, MF_STATUS_PENDING, false);
    send(f, (mf_entry){.spec = f->framework, .unit = {key, 0, 0}, .attempt = 1});
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_OK);
}

/* ---- what stands in the way -------------------------------------------------------------------------------------- */

STORE_TEST(store_lock, a_claim_names_the_first_record_that_does_not_run)
{
    enum { NONE = 0 };
    static const struct { mf_signature_status task, chain, swarm; unsigned want; } cases[] = {
        {MF_STATUS_PENDING, MF_STATUS_ACTIVE, MF_STATUS_ACTIVE, NONE},
        {MF_STATUS_PENDING, MF_STATUS_PENDING, MF_STATUS_SUSPENDED, SWARM},
        {MF_STATUS_PENDING, MF_STATUS_INTERRUPTED, MF_STATUS_SUSPENDED, CHAIN},
        {MF_STATUS_SUSPENDED, MF_STATUS_INTERRUPTED, MF_STATUS_SUSPENDED, TASK},
        {MF_STATUS_SUSPENDED, MF_STATUS_ACTIVE, MF_STATUS_ACTIVE, TASK},
        {MF_STATUS_PENDING, MF_STATUS_ACTIVE, MF_STATUS_CANCELED, SWARM},
    };
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK);
    world_make(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_state(f, &swarm, (mf_state){.version = state_of(f, &swarm).version, .status = cases[i].swarm});
        write_state(f, &chain, (mf_state){.version = state_of(f, &chain).version, .status = cases[i].chain});
        write_state(f, &task, (mf_state){.version = state_of(f, &task).version, .status = cases[i].task});
        mf_claim claim = claim_one(f, &task, 0, 0);
        is_status(claim.status, MF_OK);
        cr_assert(eq(int, mf_key_is_set(&claim.blocker), cases[i].want != NONE), "case %zu", i);
        mf_key want = world_key(cases[i].want == NONE ? TASK : cases[i].want);
        cr_assert(cases[i].want == NONE || mf_key_eq(&claim.blocker, &want), "case %zu: %s", i, claim.blocker.text);
        settle(f, claim.token);
    }
}

STORE_TEST(store_lock, a_record_that_is_gone_or_nobodys_is_blocked_by_nothing)
{
    mf_key nobody = key_of(MF_KIND_TASK, 99);
    mf_taken taken;
    mf_claim claim = claim_one(f, &nobody, 0, 0);
    cr_assert(not(mf_key_is_set(&claim.blocker)));
    send(f, (mf_entry){.spec = f->call, .attempt = 1});
    cr_assert(take_one(f, &taken));
    cr_assert(not(mf_key_is_set(&taken.claim.blocker)));
}

/* What a durable task remembers stands at its indices from 1 on. */
STORE_TEST(store_lock, a_tasks_memos_are_not_its_outcome)
{
    mf_key key = world_key(TASK);
    mf_outcome memos[] = {{1, MF_STATUS_DONE, NULL}, {2, MF_STATUS_FAILED, NULL}}, read[3];
    size_t got;
    world_make(f);
    must_commit(f, &(mf_batch){.key = key, .outcomes = memos, .outcome_count = 2});
    mf_claim claim = claim_one(f, &key, 0, 0);
    is_status(claim.status, MF_OK);
    must_refuse(f, &(mf_batch){.key = key, .outcomes = memos, .outcome_count = 1}, MF_GUARD_OUTCOME, 0);
    is_status(mf_store_outcomes(f->store, &key, 1, 2, read, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, 2));
    is_word(read[1].status, MF_STATUS_FAILED);
}
