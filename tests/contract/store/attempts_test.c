/* Attempts: once a later one was sent, messages of earlier ones run nothing any more, however often they are delivered. */
#include "contract.h"

/* The kinds of units that are called: an item, a step, a task of its own, a callback that runs once an item. */
static mf_unit unit_of(unsigned record)
{
    static const mf_unit units[] = {[SWARM] = {.index = 4, .epoch = 2}, [CHAIN] = {.index = 1}, [TASK] = {.index = 0},
                                    [NUMBERED] = {.index = 70}};
    mf_unit unit = units[record];
    unit.key = world_key(record);
    return unit;
}

/* What ends a failed attempt: its claim is over, and the next one is to come. */
static void retry(fixture *f, const mf_claim *claim, uint32_t attempt)
{
    mf_entry next = {.spec = f->call, .unit = claim->unit, .attempt = attempt, .due_ms = mf_store_now_ms(f->store) + SOON};
    must_commit(f, &(mf_batch){.settles = &claim->token, .settle_count = 1, .entries = &next, .entry_count = 1});
}

static void is_claimed(fixture *f, const mf_unit *unit, uint32_t attempt, mf_status want)
{
    mf_claim claim = claim_attempt(f, unit, attempt);
    cr_assert(eq(int, claim.status, want), "%s: attempt %u of %s %lu: %s", f->maker->name, attempt, unit->key.text,
              (unsigned long)unit->index, mf_status_name(claim.status));
    cr_assert(eq(int, claim.token != 0, want == MF_OK));
}

STORE_TEST(store_attempts, an_earlier_one_is_stale_while_the_next_waits_and_while_it_runs)
{
    world_make(f);
    for (unsigned record = SWARM; record <= WORLD; record++) {
        mf_unit unit = unit_of(record);
        mf_claim claim = claim_attempt(f, &unit, 1);
        is_status(claim.status, MF_OK);
        retry(f, &claim, 2);
        is_claimed(f, &unit, 1, MF_E_STALE);
        claim = claim_attempt(f, &unit, 2);
        is_status(claim.status, MF_OK);
        is_claimed(f, &unit, 1, MF_E_STALE);
        is_claimed(f, &unit, 2, MF_E_EXISTS);
        retry(f, &claim, 3);
        is_claimed(f, &unit, 1, MF_E_STALE);
        is_claimed(f, &unit, 2, MF_E_STALE);
        is_claimed(f, &unit, 3, MF_OK);
    }
    is_load(f, 2 * WORLD, WORLD);
}

STORE_TEST(store_attempts, a_claim_that_is_refused_for_its_attempt_tells_how_the_record_stands)
{
    mf_unit unit = unit_of(TASK);
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    retry(f, &claim, 2);
    claim = claim_attempt(f, &unit, 1);
    is_status(claim.status, MF_E_STALE);
    is_word(claim.head, MF_STATUS_ACTIVE);
    is_word(claim.above, MF_STATUS_ACTIVE);
    cr_assert(not(mf_key_is_set(&claim.blocker)));
}

/* What is put off or parked keeps its attempt. */
STORE_TEST(store_attempts, one_that_is_sent_again_may_be_claimed)
{
    mf_unit unit = unit_of(SWARM);
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    retry(f, &claim, 1);
    claim = claim_attempt(f, &unit, 1);
    is_status(claim.status, MF_OK);
    retry(f, &claim, 2);
    claim = claim_attempt(f, &unit, 2);
    retry(f, &claim, 2);
    is_claimed(f, &unit, 2, MF_OK);
}

STORE_TEST(store_attempts, every_unit_has_its_own)
{
    static const uint64_t others[] = {0, 3, 5, 63, 64, 149, UINT32_MAX};
    mf_unit unit = unit_of(SWARM);
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    retry(f, &claim, 2);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        is_claimed(f, &(mf_unit){unit.key, others[i], unit.epoch}, 1, MF_OK);
    mf_unit numbered = unit_of(NUMBERED);
    numbered.index = unit.index;
    is_claimed(f, &numbered, 1, MF_OK);
}

STORE_TEST(store_attempts, of_a_new_epoch_they_begin_anew_and_one_of_an_old_epoch_says_nothing_of_them)
{
    mf_unit old = unit_of(SWARM), unit = old;
    world_make(f);
    mf_claim first = claim_attempt(f, &old, 1);
    retry(f, &first, 3);
    mf_claim late = claim_attempt(f, &old, 3);      /* runs on, although its epoch is over */
    is_status(late.status, MF_OK);
    unit.epoch++;
    write_state(f, &unit.key, (mf_state){.version = 5, .epoch = unit.epoch, .status = MF_STATUS_ACTIVE});
    mf_claim claim = claim_attempt(f, &unit, 1);
    is_status(claim.status, MF_OK);
    retry(f, &claim, 2);
    retry(f, &late, 9);
    is_claimed(f, &unit, 1, MF_E_STALE);
    is_claimed(f, &unit, 2, MF_OK);
}

/* Its own queue gives each message once, and whoever sends a unit twice means it. */
STORE_TEST(store_attempts, taking_does_not_ask)
{
    mf_unit unit = unit_of(SWARM);
    mf_taken taken;
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    retry(f, &claim, 2);
    send(f, (mf_entry){.spec = f->call, .unit = unit, .attempt = 1});
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_OK);
}

STORE_TEST(store_attempts, messages_of_ours_and_of_nobody_are_no_attempts_of_a_unit)
{
    mf_unit unit = unit_of(TASK), gone = {key_of(MF_KIND_TASK, 99), 0, 0};
    world_make(f);
    is_claimed(f, &gone, 1, MF_E_NOT_FOUND);
    send(f, (mf_entry){.spec = f->framework, .unit = unit, .attempt = 2});
    send(f, (mf_entry){.spec = f->call, .attempt = 2});
    send(f, (mf_entry){.spec = f->call, .unit = gone, .attempt = 2});
    is_claimed(f, &unit, 1, MF_OK);
    is_claimed(f, &gone, 1, MF_E_NOT_FOUND);
    cr_assert(not(has_record(f, &gone.key)));
}

STORE_TEST(store_attempts, a_refused_batch_makes_nothing_stale)
{
    mf_unit unit = unit_of(SWARM);
    mf_state state = {.status = MF_STATUS_ACTIVE};
    mf_entry next = {.spec = f->call, .unit = unit, .attempt = 2};
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    must_refuse(f, &(mf_batch){.key = unit.key, .version = 99, .state = &state, .entries = &next, .entry_count = 1},
                MF_GUARD_VERSION, 0);
    settle(f, claim.token);
    is_claimed(f, &unit, 1, MF_OK);
}

STORE_TEST(store_attempts, they_go_with_their_record)
{
    mf_unit unit = unit_of(NUMBERED);
    world_make(f);
    mf_claim claim = claim_attempt(f, &unit, 1);
    retry(f, &claim, 2);
    must_commit(f, &(mf_batch){.removals = &(mf_removal){.key = unit.key}, .removal_count = 1});
    is_claimed(f, &unit, 1, MF_E_NOT_FOUND);
    mf_spec *again = spec_of(f, MF_KIND_TASK, NUMBERED, NULL);
    again->numbered = true;
    put(f, again, &(mf_state){.status = MF_STATUS_PENDING});
    is_claimed(f, &unit, 1, MF_OK);
}

STORE_TEST(store_attempts, one_of_a_record_that_the_same_batch_puts_counts)
{
    mf_spec *spec = spec_of(f, MF_KIND_TASK, 30, NULL);
    mf_unit unit = {spec->key, 0, 0};
    mf_state state = {.status = MF_STATUS_PENDING};
    mf_entry next = {.spec = f->call, .unit = unit, .attempt = 2};
    is_claimed(f, &unit, 1, MF_E_NOT_FOUND);
    must_commit(f, &(mf_batch){.puts = &(mf_put){spec, &state}, .put_count = 1, .entries = &next, .entry_count = 1});
    mf_spec_unref(spec);
    is_claimed(f, &unit, 1, MF_E_STALE);
    is_claimed(f, &unit, 2, MF_OK);
}
