/* Claims: who may run a unit, and what a claim tells. */
#include "contract.h"

STORE_TEST(store_claims, a_claim_is_refused_where_nothing_is_to_be_run)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK), numbered = world_key(NUMBERED),
           nobody = key_of(MF_KIND_TASK, 99);
    world_make(f);
    mf_outcome outcome = {3, MF_STATUS_FAILED, NULL};
    must_commit(f, &(mf_batch){.key = swarm, .outcomes = &outcome, .outcome_count = 1});
    const struct { const mf_key *key; uint64_t index; uint32_t epoch; mf_status want; } cases[] = {
        {&nobody, 0, 0, MF_E_NOT_FOUND},
        {&swarm, 0, 1, MF_E_STALE}, {&swarm, 0, 3, MF_E_STALE}, {&swarm, 3, 2, MF_E_STALE}, {&swarm, 4, 2, MF_OK},
        {&swarm, 4, 2, MF_E_EXISTS},
        {&chain, 0, 0, MF_E_STALE}, {&chain, 2, 0, MF_E_STALE}, {&chain, 1, 0, MF_OK}, {&chain, 1, 0, MF_E_EXISTS},
        {&task, 0, 1, MF_E_STALE}, {&task, 0, 0, MF_OK}, {&task, 0, 0, MF_E_EXISTS},
        {&numbered, 5, 1, MF_E_STALE}, {&numbered, 5, 0, MF_OK}, {&numbered, 5, 0, MF_E_EXISTS}, {&numbered, 6, 0, MF_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_claim claim = claim_one(f, cases[i].key, cases[i].index, cases[i].epoch);
        cr_assert(eq(int, claim.status, cases[i].want), "case %zu: %s", i, mf_status_name(claim.status));
        cr_assert(eq(int, claim.token != 0, claim.status == MF_OK), "case %zu", i);
    }
    size_t waiting, claimed;
    mf_store_load_counts(f->store, &waiting, &claimed);
    cr_assert(eq(sz, claimed, 5));
}

/* Except that it does not ask who holds the unit: whoever sends it twice means it. */
STORE_TEST(store_claims, taking_makes_the_same_checks_and_always_gives_a_token)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK), nobody = key_of(MF_KIND_TASK, 99);
    world_make(f);
    mf_outcome outcome = {3, MF_STATUS_FAILED, NULL};
    must_commit(f, &(mf_batch){.key = swarm, .outcomes = &outcome, .outcome_count = 1});
    const struct { mf_unit unit; mf_status want; } cases[] = {
        {{nobody, 0, 0}, MF_E_NOT_FOUND}, {{swarm, 0, 1}, MF_E_STALE}, {{swarm, 3, 2}, MF_E_STALE}, {{swarm, 4, 2}, MF_OK},
        {{swarm, 4, 2}, MF_OK}, {{chain, 0, 0}, MF_E_STALE}, {{chain, 1, 0}, MF_OK}, {{task, 0, 0}, MF_OK},
    };
    size_t n = sizeof cases / sizeof cases[0], waiting, claimed;
    uint64_t tokens[sizeof cases / sizeof cases[0]];
    for (size_t i = 0; i < n; i++)
        send(f, (mf_entry){.spec = f->call, .unit = cases[i].unit, .attempt = 2});
    for (size_t i = 0; i < n; i++) {
        mf_taken taken;
        cr_assert(take_one(f, &taken));
        cr_assert(eq(int, taken.claim.status, cases[i].want), "case %zu: %s", i, mf_status_name(taken.claim.status));
        cr_assert(ne(u64, taken.claim.token, 0));
        cr_assert(eq(u32, taken.claim.attempt, 2));
        cr_assert(mf_key_eq(&taken.claim.unit.key, &cases[i].unit.key));
        tokens[i] = taken.claim.token;
    }
    must_commit(f, &(mf_batch){.settles = tokens, .settle_count = n});
    mf_store_load_counts(f->store, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 0));
    cr_assert(eq(sz, claimed, 0));
}

STORE_TEST(store_claims, a_settled_unit_may_be_claimed_again)
{
    mf_key key = world_key(SWARM);
    world_make(f);
    mf_claim claim = claim_one(f, &key, 4, 2);
    is_status(claim_one(f, &key, 4, 2).status, MF_E_EXISTS);
    settle(f, claim.token);
    is_status(claim_one(f, &key, 4, 2).status, MF_OK);
}

STORE_TEST(store_claims, a_claim_of_an_older_epoch_is_not_in_the_way)
{
    mf_key key = world_key(SWARM);
    world_make(f);
    mf_claim old = claim_one(f, &key, 4, 2);
    write_state(f, &key, (mf_state){.version = 5, .epoch = 3, .status = MF_STATUS_ACTIVE});
    is_status(claim_one(f, &key, 4, 2).status, MF_E_STALE);
    is_status(claim_one(f, &key, 4, 3).status, MF_OK);
    settle(f, old.token);    /* it is still its own to settle */
}

STORE_TEST(store_claims, many_claims_at_once_are_told_apart)
{
    enum { MANY = 5000 };
    static mf_claim claims[MANY];
    static uint64_t tokens[MANY];
    mf_key key = world_key(NUMBERED);
    world_make(f);
    for (size_t i = 0; i < MANY; i++)
        claims[i] = (mf_claim){.unit = {key, i, 0}, .attempt = 1};
    is_status(mf_store_claim(f->store, claims, MANY, NULL), MF_OK);
    for (size_t i = 0; i < MANY; i++) {
        is_status(claims[i].status, MF_OK);
        tokens[i] = claims[i].token;
    }
    for (size_t i = 0; i < MANY; i += 97)
        is_status(claim_one(f, &key, i, 0).status, MF_E_EXISTS);
    must_commit(f, &(mf_batch){.settles = tokens, .settle_count = MANY / 2});
    for (size_t i = 0; i < MANY; i += 97)
        is_status(claim_one(f, &key, i, 0).status, i < MANY / 2 ? MF_OK : MF_E_EXISTS);
}

/* ---- what a claim does to a task of its own ---------------------------------------------------------------------- */

STORE_TEST(store_claims, the_first_claim_makes_a_pending_task_active_without_a_version)
{
    mf_key key = world_key(TASK);
    world_make(f);
    uint64_t version = state_of(f, &key).version;
    mf_claim claim = claim_one(f, &key, 0, 0);
    mf_state state = state_of(f, &key);
    is_status(claim.status, MF_OK);
    is_word(claim.head, MF_STATUS_ACTIVE);
    is_word(state.status, MF_STATUS_ACTIVE);
    is_word(state.last_status, MF_STATUS_PENDING);
    cr_assert(eq(u64, state.version, version));
    cr_assert(eq(i64, state.started_ms, mf_store_now_ms(f->store)));
}

STORE_TEST(store_claims, a_claim_changes_no_other_record)
{
    mf_key numbered = world_key(NUMBERED), suspended = key_of(MF_KIND_TASK, 7), chain = key_of(MF_KIND_CHAIN, 8);
    world_make(f);
    put(f, spec_of(f, MF_KIND_TASK, 7, NULL), &(mf_state){.status = MF_STATUS_SUSPENDED});
    put(f, spec_of(f, MF_KIND_CHAIN, 8, NULL), &(mf_state){.status = MF_STATUS_PENDING, .next = 1, .running = 1});
    is_status(claim_one(f, &numbered, 0, 0).status, MF_OK);
    is_word(state_of(f, &numbered).status, MF_STATUS_PENDING);
    mf_claim claim = claim_one(f, &suspended, 0, 0);
    is_status(claim.status, MF_OK);
    is_word(claim.head, MF_STATUS_SUSPENDED);
    is_word(state_of(f, &suspended).status, MF_STATUS_SUSPENDED);
    is_status(claim_one(f, &chain, 0, 0).status, MF_OK);
    is_word(state_of(f, &chain).status, MF_STATUS_PENDING);
}

STORE_TEST(store_claims, an_ended_task_is_stale_unless_it_is_numbered)
{
    static const mf_signature_status ends[] = {MF_STATUS_DONE, MF_STATUS_FAILED, MF_STATUS_CANCELED};
    for (unsigned i = 0; i < 3; i++) {
        mf_spec *numbered = spec_of(f, MF_KIND_TASK, 20 + i, NULL);
        mf_key plain_key = key_of(MF_KIND_TASK, 10 + i), numbered_key = numbered->key;
        numbered->numbered = true;
        put(f, spec_of(f, MF_KIND_TASK, 10 + i, NULL), &(mf_state){.status = ends[i]});
        put(f, numbered, &(mf_state){.status = ends[i]});
        mf_claim claim = claim_one(f, &plain_key, 0, 0);
        is_status(claim.status, MF_E_STALE);
        is_word(claim.head, ends[i]);
        is_status(claim_one(f, &numbered_key, 0, 0).status, MF_OK);
    }
}

STORE_TEST(store_claims, a_chain_that_runs_nothing_is_stale)
{
    mf_key key = world_key(CHAIN);
    world_make(f);
    write_state(f, &key, (mf_state){.status = MF_STATUS_ACTIVE, .total = 3, .next = 2});
    is_status(claim_one(f, &key, 1, 0).status, MF_E_STALE);
}

/* ---- the way up -------------------------------------------------------------------------------------------------- */

STORE_TEST(store_claims, a_claim_tells_the_first_status_above_that_does_not_run)
{
    static const struct { mf_signature_status swarm, chain, want; } cases[] = {
        {MF_STATUS_ACTIVE, MF_STATUS_ACTIVE, MF_STATUS_ACTIVE},
        {MF_STATUS_PENDING, MF_STATUS_PENDING, MF_STATUS_ACTIVE},
        {MF_STATUS_SUSPENDED, MF_STATUS_ACTIVE, MF_STATUS_SUSPENDED},
        {MF_STATUS_ACTIVE, MF_STATUS_INTERRUPTED, MF_STATUS_INTERRUPTED},
        {MF_STATUS_CANCELED, MF_STATUS_SUSPENDED, MF_STATUS_SUSPENDED},
        {MF_STATUS_FAILED, MF_STATUS_PENDING, MF_STATUS_FAILED},
    };
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK);
    world_make(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_state(f, &swarm, (mf_state){.version = state_of(f, &swarm).version, .status = cases[i].swarm});
        write_state(f, &chain, (mf_state){.version = state_of(f, &chain).version, .status = cases[i].chain});
        write_state(f, &task, (mf_state){.version = state_of(f, &task).version, .status = MF_STATUS_PENDING});
        mf_claim claim = claim_one(f, &task, 0, 0);
        is_status(claim.status, MF_OK);
        is_word(claim.above, cases[i].want);
        /* A task below something that does not run has not begun. */
        is_word(claim.head, cases[i].want == MF_STATUS_ACTIVE ? MF_STATUS_ACTIVE : MF_STATUS_PENDING);
        settle(f, claim.token);
    }
}

STORE_TEST(store_claims, the_way_up_ends_also_in_a_circle)
{
    mf_key a = key_of(MF_KIND_CHAIN, 20), b = key_of(MF_KIND_CHAIN, 21);
    put(f, spec_of(f, MF_KIND_CHAIN, 20, &b), &(mf_state){.status = MF_STATUS_ACTIVE, .next = 1, .running = 1});
    put(f, spec_of(f, MF_KIND_CHAIN, 21, &a), &(mf_state){.status = MF_STATUS_ACTIVE, .next = 1, .running = 1});
    mf_claim claim = claim_one(f, &a, 0, 0);
    is_status(claim.status, MF_OK);
    is_word(claim.above, MF_STATUS_ACTIVE);
}

/* ---- messages of ours, and of nobody ----------------------------------------------------------------------------- */

STORE_TEST(store_claims, a_framework_message_is_claimed_without_its_unit)
{
    mf_key task = world_key(TASK), nobody = key_of(MF_KIND_TASK, 99);
    mf_taken taken;
    world_make(f);
    for (int twice = 0; twice < 2; twice++) {
        send(f, (mf_entry){.spec = f->framework, .unit = {task, 0, 55}, .attempt = 1});
        cr_assert(take_one(f, &taken));
        is_status(taken.claim.status, MF_OK);    /* another epoch, and held already */
        cr_assert(ne(u64, taken.claim.token, 0));
    }
    is_word(state_of(f, &task).status, MF_STATUS_PENDING);
    is_status(claim_one(f, &task, 0, 0).status, MF_OK);
    settle(f, taken.claim.token);
    is_status(claim_one(f, &task, 0, 0).status, MF_E_EXISTS);
    send(f, (mf_entry){.spec = f->framework, .unit = {nobody, 0, 0}, .attempt = 1});
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_E_NOT_FOUND);
    settle(f, taken.claim.token);
}

STORE_TEST(store_claims, a_message_on_nobodys_behalf_is_its_takers)
{
    mf_taken taken;
    send(f, (mf_entry){.spec = f->call, .attempt = 1});
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_OK);
    is_word(taken.claim.head, MF_STATUS_ACTIVE);
    is_word(taken.claim.above, MF_STATUS_ACTIVE);
    settle(f, taken.claim.token);
}
