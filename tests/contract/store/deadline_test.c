/* Deadlines: who is alive past one is listed, who has ended is forgotten. */
#include "contract.h"

static size_t expired(fixture *f, size_t max, mf_key *out, int64_t *next)
{
    size_t got = 99;
    is_status(mf_store_expired(f->store, max, out, &got, next, NULL), MF_OK);
    return got;
}

static void put_until(fixture *f, unsigned n, mf_signature_status status, int64_t deadline_ms)
{
    put(f, spec_of(f, MF_KIND_TASK, n, NULL), &(mf_state){.status = status, .deadline_ms = deadline_ms});
}

static bool has_task(fixture *f, unsigned n)
{
    mf_key key = key_of(MF_KIND_TASK, n);
    return has_record(f, &key);
}

STORE_TEST(store_deadline, without_deadlines_there_is_nothing_to_ask_for)
{
    mf_key out[2];
    int64_t next;
    world_make(f);
    cr_assert(eq(sz, expired(f, 2, out, &next), 0));
    cr_assert(eq(i64, next, INT64_MAX));
}

STORE_TEST(store_deadline, the_longest_overdue_come_first_and_stay_as_they_are)
{
    static const unsigned order[] = {3, 1, 4, 2};
    static const int offset[] = {0, -10, 10, -30, 0};
    mf_key out[8];
    int64_t next, base = mf_store_now_ms(f->store) + SOON;
    for (unsigned i = 1; i <= 4; i++)
        put_until(f, i, i == 2 ? MF_STATUS_PENDING : MF_STATUS_ACTIVE, base + offset[i]);
    put_until(f, 5, MF_STATUS_ACTIVE, base + 60000);
    put_until(f, 6, MF_STATUS_ACTIVE, 0);
    cr_assert(eq(sz, expired(f, 8, out, &next), 0));
    cr_assert(eq(i64, next, base - 30));
    turn_clock(f, LATER);
    uint64_t before = fingerprint(f);
    for (int again = 0; again < 2; again++) {
        cr_assert(eq(sz, expired(f, 8, out, &next), 4));
        for (size_t i = 0; i < 4; i++) {
            mf_key want = key_of(MF_KIND_TASK, order[i]);
            cr_assert(mf_key_eq(&out[i], &want), "place %zu: %s", i, out[i].text);
        }
        cr_assert(eq(i64, next, base + 60000));
    }
    cr_assert(eq(u64, fingerprint(f), before));
    cr_assert(eq(sz, expired(f, 3, out, &next), 3));
    cr_assert(le(i64, next, mf_store_now_ms(f->store)));    /* there is one more: at once */
}

STORE_TEST(store_deadline, a_write_moves_the_deadline_and_takes_it_away)
{
    mf_key out[2], key = key_of(MF_KIND_TASK, 1);
    int64_t next, now = mf_store_now_ms(f->store);
    put_until(f, 1, MF_STATUS_ACTIVE, now + 60000);
    put_until(f, 2, MF_STATUS_ACTIVE, now + 50000);
    write_state(f, &key, (mf_state){.status = MF_STATUS_ACTIVE, .deadline_ms = now + 40000});
    expired(f, 2, out, &next);
    cr_assert(eq(i64, next, now + 40000));
    cr_assert(eq(i64, state_of(f, &key).deadline_ms, now + 40000));
    write_state(f, &key, (mf_state){.version = 1, .status = MF_STATUS_SUSPENDED});
    expired(f, 2, out, &next);
    cr_assert(eq(i64, next, now + 50000));
    must_commit(f, &(mf_batch){.removals = &(mf_removal){.key = key_of(MF_KIND_TASK, 2)}, .removal_count = 1});
    expired(f, 2, out, &next);
    cr_assert(eq(i64, next, INT64_MAX));
}

STORE_TEST(store_deadline, what_has_ended_is_forgotten_past_its_deadline)
{
    mf_key out[4];
    int64_t next, until = mf_store_now_ms(f->store) + SOON;
    put_until(f, 1, MF_STATUS_DONE, until);
    put_until(f, 2, MF_STATUS_FAILED, until);
    put_until(f, 3, MF_STATUS_CANCELED, until + 60000);
    put_until(f, 4, MF_STATUS_DONE, 0);
    put_until(f, 5, MF_STATUS_ACTIVE, until);
    cr_assert(eq(sz, expired(f, 4, out, &next), 0));
    cr_assert(has_task(f, 1) && has_task(f, 2));
    turn_clock(f, LATER);
    cr_assert(eq(sz, expired(f, 4, out, &next), 1));
    cr_assert(not(has_task(f, 1)));
    cr_assert(not(has_task(f, 2)));
    cr_assert(has_task(f, 3) && has_task(f, 4) && has_task(f, 5));
    cr_assert(eq(i64, next, until + 60000));
    cr_assert(eq(sz, expired(f, 0, NULL, &next), 0));
}

/* A chain of two tasks, the records 2n and 2n + 1, one of them active. Gives its spec, to put. */
static mf_spec *chain_of_two(fixture *f, unsigned n, int64_t until)
{
    const mf_allocator *a = &f->counting.allocator;
    mf_spec *spec = spec_of(f, MF_KIND_CHAIN, n, NULL);
    spec->steps = a->alloc(a->user, 2 * sizeof(mf_item));
    spec->step_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        spec->steps[i] = (mf_item){spec_of(f, MF_KIND_TASK, 2 * n + i, &spec->key), NULL};
        put(f, mf_spec_ref(spec->steps[i].spec),
            &(mf_state){.status = i == 0 ? MF_STATUS_DONE : MF_STATUS_ACTIVE, .deadline_ms = until == 0 ? 0 : until - i});
    }
    return spec;
}

/* As a removal without callbacks: what stands in it goes; what is listed is there. */
STORE_TEST(store_deadline, what_is_forgotten_takes_what_stands_in_it)
{
    const mf_allocator *a = &f->counting.allocator;
    mf_key out[4], chain = key_of(MF_KIND_CHAIN, 1);
    int64_t next, until = mf_store_now_ms(f->store) + SOON;
    mf_spec *spec = chain_of_two(f, 1, until);
    spec->on_success = a->alloc(a->user, sizeof(mf_key));
    spec->on_success[0] = key_of(MF_KIND_TASK, 9);
    spec->on_success_count = 1;
    put(f, spec, &(mf_state){.status = MF_STATUS_CANCELED, .deadline_ms = until});
    put_until(f, 9, MF_STATUS_PENDING, 0);
    turn_clock(f, LATER);
    for (size_t call = 0; call < 2; call++)
        for (size_t got = expired(f, 4, out, &next); got > 0; got--)
            cr_assert(has_record(f, &out[got - 1]), "%s was listed and is gone", out[got - 1].text);
    cr_assert(not(has_record(f, &chain)));
    size_t left;
    is_status(mf_store_list(f->store, NULL, NULL, 4, out, &left, NULL), MF_OK);
    cr_assert(eq(sz, left, 1));
    cr_assert(not(has_task(f, 2)));
    cr_assert(not(has_task(f, 3)));
    cr_assert(has_task(f, 9));
    cr_assert(eq(i64, next, INT64_MAX));
}

STORE_TEST(store_deadline, many_are_forgotten_in_several_calls)
{
    enum { MANY = 600, CHAINS = 150 };
    mf_key out[1];
    int64_t next, until = mf_store_now_ms(f->store) + SOON;
    for (unsigned i = 0; i < MANY; i++)
        put_until(f, 1000 + i, MF_STATUS_DONE, until - (int64_t)(i % 50));
    for (unsigned i = 0; i < CHAINS; i++)
        put(f, chain_of_two(f, i, 0), &(mf_state){.status = MF_STATUS_CANCELED, .deadline_ms = until - (int64_t)(i % 50)});
    turn_clock(f, LATER);
    size_t calls = 0;
    do {
        cr_assert(eq(sz, expired(f, 1, out, &next), 0));
        cr_assert(lt(sz, calls++, MANY));
    } while (next != INT64_MAX);
    size_t left;
    is_status(mf_store_list(f->store, NULL, NULL, 1, out, &left, NULL), MF_OK);
    cr_assert(eq(sz, left, 0));
}
