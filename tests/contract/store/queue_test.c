/* The ready queue and the outbox: what is due comes, in order, once. */
#include "contract.h"

STORE_TEST(store_queue, an_entry_comes_back_as_it_was_sent)
{
    mf_key key = world_key(SWARM);
    mf_taken taken;
    size_t got;
    int64_t next_due;
    world_make(f);
    mf_entry entry = {.spec = f->call, .unit = {key, 4, 2}, .attempt = 3, .message = say(f, 5), .error = say(f, 6)};
    send(f, entry);
    mf_message_unref(entry.message);
    mf_message_unref(entry.error);
    is_status(mf_store_take(f->store, 1, &taken, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 1));
    cr_assert(taken.entry.spec->name.len == 4 && memcmp(taken.entry.spec->name.at, "work", 4) == 0);
    cr_assert(mf_key_eq(&taken.entry.unit.key, &key));
    cr_assert(eq(u64, taken.entry.unit.index, 4));
    cr_assert(eq(u32, taken.entry.unit.epoch, 2));
    cr_assert(eq(u32, taken.entry.attempt, 3));
    cr_assert(eq(uint, said(taken.entry.message), 5));
    cr_assert(eq(uint, said(taken.entry.error), 6));
    cr_assert(ne(u64, taken.entry.id, 0));
    mf_entry_release(&taken.entry);
    settle(f, taken.claim.token);
}

STORE_TEST(store_queue, entries_at_once_come_in_the_order_of_their_ids)
{
    enum { MANY = 300, BATCH = 7 };
    mf_key key = world_key(NUMBERED);
    mf_taken taken[BATCH];
    mf_entry entries[MANY];
    size_t got, seen = 0;
    int64_t next_due;
    uint64_t last = 0;
    world_make(f);
    for (size_t i = 0; i < MANY; i++)
        entries[i] = entry_for(f, &key, i);
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = MANY});
    do {
        is_status(mf_store_take(f->store, BATCH, taken, &got, &next_due, NULL), MF_OK);
        for (size_t i = 0; i < got; i++) {
            cr_assert(eq(u64, taken[i].entry.unit.index, seen++));
            cr_assert(gt(u64, taken[i].entry.id, last));
            last = taken[i].entry.id;
            mf_entry_release(&taken[i].entry);
        }
        cr_assert(eq(int, next_due == INT64_MAX, seen == MANY));
    } while (got > 0);
    cr_assert(eq(sz, seen, MANY));
}

STORE_TEST(store_queue, delayed_entries_come_when_they_are_due_and_not_before)
{
    static const int64_t delays[] = {50, 10, 30, 10, 0, 40, 20, 0, 30};
    static const uint64_t order[] = {4, 7, 1, 3, 6, 2, 8, 5, 0};
    enum { N = sizeof delays / sizeof delays[0] };
    mf_key key = world_key(NUMBERED);
    mf_taken taken[N];
    size_t got, seen = 0, waiting, claimed;
    int64_t next_due = 0;
    world_make(f);
    int64_t start = mf_store_now_ms(f->store);
    for (size_t i = 0; i < N; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.due_ms = delays[i] == 0 ? 0 : start + delays[i];
        send(f, entry);
    }
    for (int64_t at = 0; at <= 60; at += 5, turn_clock(f, 5)) {
        is_status(mf_store_take(f->store, N, taken, &got, &next_due, NULL), MF_OK);
        for (size_t i = 0; i < got; i++, seen++) {
            cr_assert(eq(u64, taken[i].entry.unit.index, order[seen]));
            cr_assert(eq(i64, delays[order[seen]], at), "entry %lu", (unsigned long)order[seen]);
            mf_entry_release(&taken[i].entry);
        }
        cr_assert(eq(i64, next_due, seen == N ? INT64_MAX : start + delays[order[seen]]));
        mf_store_load_counts(f->store, &waiting, &claimed);
        cr_assert(eq(sz, waiting, N - seen));
        cr_assert(eq(sz, claimed, seen));
    }
    cr_assert(eq(sz, seen, N));
}

STORE_TEST(store_queue, an_older_due_time_goes_before_what_was_added_since)
{
    static const uint64_t order[] = {1, 0, 2};
    mf_key key = world_key(NUMBERED);
    mf_taken taken;
    world_make(f);
    mf_entry delayed = entry_for(f, &key, 0);
    delayed.due_ms = mf_store_now_ms(f->store) + 10;
    send(f, delayed);
    send(f, entry_for(f, &key, 1));
    turn_clock(f, 20);
    send(f, entry_for(f, &key, 2));
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert(take_one(f, &taken));
        cr_assert(eq(u64, taken.entry.unit.index, order[i]));
    }
}

STORE_TEST(store_queue, many_delayed_entries_come_in_order)
{
    enum { MANY = 1000 };
    mf_key key = world_key(NUMBERED);
    mf_taken taken;
    int64_t last_due = 0;
    uint64_t last_id = 0, random = 1, ids[MANY];
    world_make(f);
    send(f, entry_for(f, &key, MANY));
    taken = take_item(f, MANY);
    settle(f, taken.claim.token);
    for (size_t i = 0; i < MANY; i++) {
        mf_entry entry = entry_for(f, &key, i);
        random = random * 6364136223846793005u + 1442695040888963407u;
        entry.due_ms = mf_store_now_ms(f->store) + 1 + (int64_t)(random >> 33) % 100;
        send(f, entry);
        ids[i] = taken.entry.id + 1 + i;    /* ids of neighbours grow by one */
    }
    must_commit(f, &(mf_batch){.published = ids, .published_count = MANY / 3});    /* holes in the middle */
    turn_clock(f, 1000);
    size_t seen = 0;
    for (; take_one(f, &taken); seen++) {
        cr_assert(ge(i64, taken.entry.due_ms, last_due));
        if (taken.entry.due_ms == last_due)
            cr_assert(gt(u64, taken.entry.id, last_id));
        last_due = taken.entry.due_ms;
        last_id = taken.entry.id;
    }
    cr_assert(eq(sz, seen, MANY - MANY / 3));
}

STORE_TEST(store_queue, taking_nothing_tells_when_to_come_back)
{
    mf_key key = world_key(NUMBERED);
    size_t got = 99;
    int64_t next_due = 0;
    world_make(f);
    is_status(mf_store_take(f->store, 0, NULL, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 0));
    cr_assert(eq(i64, next_due, INT64_MAX));
    mf_entry delayed = entry_for(f, &key, 0);
    delayed.due_ms = mf_store_now_ms(f->store) + 10;
    send(f, delayed);
    is_status(mf_store_take(f->store, 0, NULL, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(i64, next_due, delayed.due_ms));
}

STORE_TEST(store_queue, what_waits_or_is_claimed_at_the_end_is_released)
{
    mf_key key = world_key(SWARM);
    world_make(f);
    for (uint64_t i = 0; i < 6; i++) {
        mf_taken taken;
        mf_entry entry = entry_for(f, &key, i);
        entry.message = say(f, 1);
        entry.due_ms = i < 4 ? 0 : mf_store_now_ms(f->store) + 10;
        send(f, entry);
        mf_message_unref(entry.message);
        cr_assert(i >= 2 || take_one(f, &taken));
    }
}

/* ---- the outbox of managers with a queue of their own ------------------------------------------------------------ */

static size_t outbox(fixture *f, size_t max, uint64_t *ids)
{
    mf_entry entries[16];
    size_t got;
    int64_t next_due;
    is_status(mf_store_outbox(f->store, max, entries, &got, &next_due, NULL), MF_OK);
    for (size_t i = 0; i < got; i++) {
        ids[i] = entries[i].id;
        mf_entry_release(&entries[i]);
    }
    return got;
}

STORE_TEST(store_queue, the_outbox_hands_out_rows_without_a_claim)
{
    mf_key key = world_key(SWARM);
    uint64_t ids[16];
    size_t waiting, claimed;
    world_make(f);
    for (uint64_t i = 0; i < 5; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.due_ms = i < 4 ? 0 : mf_store_now_ms(f->store) + 10;
        send(f, entry);
    }
    cr_assert(eq(sz, outbox(f, 3, ids), 3));
    cr_assert(eq(sz, outbox(f, 16, ids + 3), 1));    /* the fourth is due, the fifth is not */
    cr_assert(eq(sz, outbox(f, 16, ids + 4), 0));    /* all due ones are in somebody's hands */
    mf_store_load_counts(f->store, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 5));
    cr_assert(eq(sz, claimed, 0));
    is_status(claim_one(f, &key, 0, 2).status, MF_OK);    /* whom the manager delivers it to claims it */
    must_commit(f, &(mf_batch){.published = ids, .published_count = 4});
    mf_store_load_counts(f->store, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 1));
    turn_clock(f, f->maker->quirks.outbox_again_ms);
    cr_assert(eq(sz, outbox(f, 16, ids), 1));
}

STORE_TEST(store_queue, a_row_that_is_not_ticked_off_is_handed_out_again)
{
    mf_key key = world_key(SWARM);
    uint64_t first[16], again[16];
    world_make(f);
    send(f, entry_for(f, &key, 0));
    send(f, entry_for(f, &key, 1));
    cr_assert(eq(sz, outbox(f, 16, first), 2));
    must_commit(f, &(mf_batch){.published = first, .published_count = 1});
    turn_clock(f, f->maker->quirks.outbox_again_ms);
    cr_assert(eq(sz, outbox(f, 16, again), 1));
    cr_assert(eq(u64, again[0], first[1]));
    must_commit(f, &(mf_batch){.published = again, .published_count = 1});
    turn_clock(f, f->maker->quirks.outbox_again_ms);
    cr_assert(eq(sz, outbox(f, 16, again), 0));
}
