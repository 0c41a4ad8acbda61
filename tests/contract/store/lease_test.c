/* How long a claim is good for: given back, renewed, or left to the end of its lease. */
#include "contract.h"

static size_t renew(fixture *f, uint64_t *tokens, size_t n)
{
    size_t left = 0;
    is_status(mf_store_renew(f->store, tokens, n, NULL), MF_OK);
    for (size_t i = 0; i < n; i++)
        left += tokens[i] != 0;
    return left;
}

static void give_back(fixture *f, const uint64_t *tokens, size_t n)
{
    is_status(mf_store_give_back(f->store, tokens, n, NULL), MF_OK);
}

static mf_entry full_entry(fixture *f, const mf_key *key, uint64_t index)
{
    mf_entry entry = entry_for(f, key, index);
    entry.message = say(f, 5);
    entry.error = say(f, 6);
    entry.attempt = 3;
    return entry;
}

static void send_full(fixture *f, const mf_key *key, uint64_t index)
{
    mf_entry entry = full_entry(f, key, index);
    send(f, entry);
    mf_message_unref(entry.message);
    mf_message_unref(entry.error);
}

/* Take the one there is and compare all of it with what send_full sent. */
static mf_claim take_full(fixture *f, const mf_key *key, uint64_t index, uint32_t deaths)
{
    mf_taken taken;
    size_t got;
    int64_t next_due;
    is_status(mf_store_take(f->store, 1, &taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 1));
    is_status(taken.claim.status, MF_OK);
    cr_assert(mf_key_eq(&taken.entry.unit.key, key));
    cr_assert(eq(u64, taken.entry.unit.index, index));
    cr_assert(eq(u32, taken.entry.attempt, 3));
    cr_assert(eq(u32, taken.entry.deaths, deaths));
    cr_assert(eq(uint, said(taken.entry.message), 5));
    cr_assert(eq(uint, said(taken.entry.error), 6));
    cr_assert(taken.entry.spec->name.len == 4 && memcmp(taken.entry.spec->name.at, "work", 4) == 0);
    mf_entry_release(&taken.entry);
    return taken.claim;
}

/* ---- giving back ------------------------------------------------------------------------------------------------- */

STORE_TEST(store_lease, what_is_given_back_is_due_again_as_if_it_had_never_been_taken)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    send_full(f, &key, 7);
    for (int round = 0; round < 3; round++) {
        mf_claim claim = take_full(f, &key, 7, 0);
        is_load(f, 0, 1);
        give_back(f, &claim.token, 1);
        is_load(f, 1, 0);
        must_refuse(f, &(mf_batch){.settles = &claim.token, .settle_count = 1}, MF_GUARD_SETTLE, 0);
    }
    settle(f, take_full(f, &key, 7, 0).token);
    is_load(f, 0, 0);
    nothing_is_due(f);
}

STORE_TEST(store_lease, what_is_given_back_comes_before_what_was_sent_after_it)
{
    mf_key key = world_key(NUMBERED);
    uint64_t tokens[6];
    world_make(f);
    for (uint64_t i = 0; i < 6; i++)
        send(f, entry_for(f, &key, i));
    for (uint64_t i = 0; i < 5; i++)
        tokens[i] = take_item(f, i).claim.token;
    uint64_t some[] = {tokens[3], tokens[0], UINT64_MAX, tokens[2], 0, tokens[0]};    /* others are passed over */
    give_back(f, some, 6);
    is_load(f, 4, 2);
    static const uint64_t order[] = {0, 2, 3, 5};
    for (size_t i = 0; i < 4; i++)
        take_item(f, order[i]);
    nothing_is_due(f);
}

STORE_TEST(store_lease, a_claim_without_a_message_just_ends_when_it_is_given_back)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    mf_claim claim = claim_one(f, &key, 4, 0);
    is_status(claim_one(f, &key, 4, 0).status, MF_E_EXISTS);
    give_back(f, &claim.token, 1);
    is_load(f, 0, 0);
    nothing_is_due(f);
    is_status(claim_one(f, &key, 4, 0).status, MF_OK);
}

STORE_TEST(store_lease, a_unit_that_was_given_back_is_not_held)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    send(f, entry_for(f, &key, 4));
    mf_taken taken = take_item(f, 4);
    is_status(claim_one(f, &key, 4, 0).status, MF_E_EXISTS);
    give_back(f, &taken.claim.token, 1);
    is_status(claim_one(f, &key, 4, 0).status, MF_OK);
}

STORE_TEST(store_lease, what_was_given_back_may_be_forgotten_by_its_id)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    send_full(f, &key, 1);
    mf_taken taken;
    cr_assert(take_one(f, &taken));
    give_back(f, &taken.claim.token, 1);
    must_commit(f, &(mf_batch){.published = &taken.entry.id, .published_count = 1});
    is_load(f, 0, 0);
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

STORE_TEST(store_lease, a_lease_that_ends_makes_the_message_due_again_with_one_more_death)
{
    mf_key key = world_key(NUMBERED);
    if (!open_leased(f))
        return;
    world_make(f);
    send_full(f, &key, 7);
    uint64_t tokens[3];
    for (uint32_t deaths = 0; deaths < 3; deaths++) {
        tokens[deaths] = take_full(f, &key, 7, deaths).token;
        nothing_is_due(f);
        turn_clock(f, LATER);
    }
    mf_claim last = take_full(f, &key, 7, 3);
    for (size_t i = 0; i < 3; i++)
        must_refuse(f, &(mf_batch){.settles = &tokens[i], .settle_count = 1}, MF_GUARD_SETTLE, 0);
    cr_assert(eq(sz, renew(f, tokens, 3), 0));
    settle(f, last.token);
    is_load(f, 0, 0);
}

STORE_TEST(store_lease, taking_tells_when_the_first_lease_ends)
{
    mf_key key = world_key(NUMBERED);
    mf_taken taken;
    size_t got;
    int64_t next_due;
    if (!open_leased(f))
        return;
    world_make(f);
    send(f, entry_for(f, &key, 0));
    int64_t before = mf_store_now_ms(f->store);
    is_status(mf_store_take(f->store, 4, &taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 1));
    mf_entry_release(&taken.entry);
    cr_assert(ge(i64, next_due, before + SOON));
    cr_assert(le(i64, next_due, mf_store_now_ms(f->store) + SOON));
    settle(f, taken.claim.token);
    is_status(mf_store_take(f->store, 4, &taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(i64, next_due, INT64_MAX));
}

STORE_TEST(store_lease, a_renewed_claim_outlives_the_others)
{
    mf_key key = world_key(NUMBERED);
    uint64_t tokens[4];
    if (!open_leased(f))
        return;
    world_make(f);
    for (uint64_t i = 0; i < 4; i++)
        send(f, entry_for(f, &key, i));
    for (uint64_t i = 0; i < 4; i++)
        tokens[i] = take_item(f, i).claim.token;
    turn_clock(f, SOON / 2);
    uint64_t renewed[] = {tokens[2], tokens[0], 77};
    cr_assert(eq(sz, renew(f, renewed, 3), 2));
    cr_assert(eq(u64, renewed[0], tokens[2]));
    cr_assert(eq(u64, renewed[2], 0));
    turn_clock(f, SOON / 2 + (LATER - SOON) / 2);
    take_item(f, 1);
    take_item(f, 3);
    nothing_is_due(f);
    settle(f, tokens[0]);
    settle(f, tokens[2]);
    must_refuse(f, &(mf_batch){.settles = &tokens[1], .settle_count = 1}, MF_GUARD_SETTLE, 0);
}

STORE_TEST(store_lease, a_claim_without_a_message_ends_with_its_lease)
{
    mf_key key = world_key(NUMBERED);
    if (!open_leased(f))
        return;
    world_make(f);
    mf_claim claim = claim_one(f, &key, 4, 0);
    is_status(claim_one(f, &key, 4, 0).status, MF_E_EXISTS);
    turn_clock(f, LATER);
    is_status(claim_one(f, &key, 4, 0).status, MF_OK);
    must_refuse(f, &(mf_batch){.settles = &claim.token, .settle_count = 1}, MF_GUARD_SETTLE, 0);
    nothing_is_due(f);
}

STORE_TEST(store_lease, claims_of_a_store_without_leases_do_not_end)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    if (mf_store_lease_ms(f->store) != 0)
        return;
    send(f, entry_for(f, &key, 0));
    mf_taken taken = take_item(f, 0);
    uint64_t token = taken.claim.token;
    if (f->maker->advance == NULL)
        turn_clock(f, INT64_C(1000000000));
    nothing_is_due(f);
    cr_assert(eq(sz, renew(f, &token, 1), 1));
    settle(f, token);
    token = taken.claim.token;
    cr_assert(eq(sz, renew(f, &token, 1), 0));
}
