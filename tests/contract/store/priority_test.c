/* Among what is due the greater priority goes first; among equals, due time and id. */
#include "contract.h"

STORE_TEST(store_priority, the_greater_goes_first_and_equals_in_their_order)
{
    static const int32_t priorities[] = {0, 5, -3, 0, 5, INT32_MAX, INT32_MIN, 1, 0, -3};
    static const uint64_t order[] = {5, 1, 4, 7, 0, 3, 8, 2, 9, 6};
    enum { N = sizeof priorities / sizeof priorities[0] };
    mf_key key = world_key(NUMBERED);
    world_make(f);
    for (size_t i = 0; i < N; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.priority = priorities[i];
        send(f, entry);
    }
    for (size_t i = 0; i < N; i++)
        cr_assert(eq(i32, take_item(f, order[i]).entry.priority, priorities[order[i]]));
    nothing_is_due(f);
}

STORE_TEST(store_priority, a_delayed_one_competes_once_it_is_due)
{
    static const struct { int32_t priority; bool delayed; } entries[] = {
        {0, false}, {9, true}, {1, false}, {0, true}, {9, true}, {2, true}, {-1, false},
    };
    mf_key key = world_key(NUMBERED);
    size_t got;
    int64_t next_due;
    world_make(f);
    int64_t due = mf_store_now_ms(f->store) + SOON;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.priority = entries[i].priority;
        entry.due_ms = entries[i].delayed ? due : 0;
        send(f, entry);
    }
    take_item(f, 2);
    turn_clock(f, LATER);
    static const uint64_t order[] = {1, 4, 5, 0, 3, 6};
    for (size_t i = 0; i < 6; i++)
        take_item(f, order[i]);
    is_status(mf_store_take(f->store, 0, NULL, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(i64, next_due, INT64_MAX));
}

STORE_TEST(store_priority, taking_tells_when_a_delayed_one_is_due_whatever_its_priority)
{
    mf_key key = world_key(NUMBERED);
    size_t got;
    int64_t next_due;
    world_make(f);
    for (int32_t priority = -1; priority <= 1; priority++) {
        mf_entry entry = entry_for(f, &key, (uint64_t)(priority + 1));
        entry.priority = priority;
        entry.due_ms = mf_store_now_ms(f->store) + 1000 * (3 + priority);
        send(f, entry);
        is_status(mf_store_take(f->store, 0, NULL, &got, &next_due, NULL), MF_OK);
        cr_assert(le(i64, next_due, entry.due_ms));
        cr_assert(gt(i64, next_due, mf_store_now_ms(f->store)));
    }
}

STORE_TEST(store_priority, the_outbox_hands_out_in_the_same_order)
{
    static const uint64_t order[] = {2, 0, 1};
    mf_key key = world_key(NUMBERED);
    mf_entry out[3];
    size_t got;
    int64_t next_due;
    world_make(f);
    for (uint64_t i = 0; i < 3; i++) {
        mf_entry entry = entry_for(f, &key, i);
        entry.priority = i == 2 ? 4 : 0;
        send(f, entry);
    }
    is_status(mf_store_outbox(f->store, 3, out, &got, &next_due, NULL), MF_OK);
    cr_assert(eq(sz, got, 3));
    for (size_t i = 0; i < 3; i++) {
        cr_assert(eq(u64, out[i].unit.index, order[i]));
        cr_assert(eq(i32, out[i].priority, i == 0 ? 4 : 0));
        mf_entry_release(&out[i]);
    }
}

/* Mixed, with things given back and forgotten on the way: always the first of all that are there. */
STORE_TEST(store_priority, many_come_in_order_whatever_happens_between)
{
    enum { MANY = 600 };
    static int32_t priority[MANY];
    mf_key key = world_key(NUMBERED);
    uint64_t random = 7, last_id = 0;
    int32_t last = INT32_MAX;
    size_t seen = 0;
    mf_taken taken;
    world_make(f);
    for (size_t i = 0; i < MANY; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        mf_entry entry = entry_for(f, &key, i);
        entry.priority = priority[i] = (int32_t)(random >> 33) % 3 - 1;
        send(f, entry);
    }
    for (; take_one(f, &taken); seen++) {
        cr_assert(le(i32, taken.entry.priority, last));
        if (taken.entry.priority == last)
            cr_assert(gt(u64, taken.entry.id, last_id));
        cr_assert(eq(i32, taken.entry.priority, priority[taken.entry.unit.index]));
        if (seen % 7 == 0) {
            is_status(mf_store_give_back(f->store, &taken.claim.token, 1, NULL), MF_OK);
            mf_taken again = take_item(f, taken.entry.unit.index);
            cr_assert(eq(u64, again.entry.id, taken.entry.id));
        }
        last = taken.entry.priority;
        last_id = taken.entry.id;
    }
    cr_assert(eq(sz, seen, MANY));
}
