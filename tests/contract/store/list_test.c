/* Lists of records: the newest first, by pages, of those that are asked for. */
#include "contract.h"

static size_t list(fixture *f, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out)
{
    size_t got = 99;
    is_status(mf_store_list(f->store, filter, after, max, out, &got, NULL), MF_OK);
    return got;
}

static void is_list(fixture *f, const mf_filter *filter, const mf_key *want, size_t n)
{
    mf_key out[16];
    cr_assert(eq(sz, list(f, filter, NULL, 16, out), n));
    for (size_t i = 0; i < n; i++)
        cr_assert(mf_key_eq(&out[i], &want[i]), "place %zu: %s, not %s", i, out[i].text, want[i].text);
}

STORE_TEST(store_list, an_empty_store_lists_nothing)
{
    mf_key out[1];
    cr_assert(eq(sz, list(f, NULL, NULL, 1, out), 0));
    cr_assert(eq(sz, list(f, NULL, NULL, 0, NULL), 0));
}

STORE_TEST(store_list, the_newest_come_first_whatever_was_written_since)
{
    mf_key want[4], swarm = world_key(SWARM);
    world_make(f);
    for (unsigned i = 0; i < 4; i++)
        want[i] = world_key(4 - i);
    is_list(f, NULL, want, 4);
    write_state(f, &swarm, (mf_state){.version = 5, .status = MF_STATUS_ACTIVE, .created_ms = INT64_MAX});
    is_list(f, NULL, want, 4);
}

STORE_TEST(store_list, kind_status_and_roots_choose)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK), numbered = world_key(NUMBERED),
           callback = key_of(MF_KIND_TASK, 9);
    world_make(f);
    mf_spec *spec = spec_of(f, MF_KIND_TASK, 9, NULL);
    spec->parent = swarm;
    put(f, spec, &(mf_state){.status = MF_STATUS_DONE});
    const struct { mf_filter filter; size_t n; mf_key want[3]; } cases[] = {
        {{.kind = MF_KIND_TASK}, 3, {callback, numbered, task}},
        {{.kind = MF_KIND_CHAIN}, 1, {chain}},
        {{.statuses = 1u << MF_STATUS_ACTIVE}, 2, {chain, swarm}},
        {{.statuses = 1u << MF_STATUS_DONE | 1u << MF_STATUS_PENDING}, 3, {callback, numbered, task}},
        {{.kind = MF_KIND_TASK, .statuses = 1u << MF_STATUS_PENDING}, 2, {numbered, task}},
        {{.roots = true}, 2, {numbered, swarm}},
        {{.kind = MF_KIND_SWARM, .statuses = 1u << MF_STATUS_FAILED}, 0, {{""}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        is_list(f, &cases[i].filter, cases[i].want, cases[i].n);
}

STORE_TEST(store_list, pages_continue_where_the_last_one_ended)
{
    enum { MANY = 50, PAGE = 7 };
    mf_key out[PAGE], after = {""};
    unsigned next = MANY;
    size_t got;
    for (unsigned i = 0; i < MANY; i++)
        put(f, spec_of(f, i % 2 ? MF_KIND_TASK : MF_KIND_CHAIN, i, NULL), &(mf_state){0});
    const mf_filter filter = {.kind = MF_KIND_TASK};
    while ((got = list(f, &filter, mf_key_is_set(&after) ? &after : NULL, PAGE, out)) > 0) {
        for (size_t i = 0; i < got; i++) {
            next -= next == MANY ? 1 : 2;
            mf_key want = key_of(MF_KIND_TASK, next);
            cr_assert(mf_key_eq(&out[i], &want), "%s, not %s", out[i].text, want.text);
        }
        after = out[got - 1];
    }
    cr_assert(eq(uint, next, 1));
}

STORE_TEST(store_list, a_page_after_what_is_gone_is_to_be_begun_anew)
{
    mf_key out[4], chain = world_key(CHAIN), numbered = world_key(NUMBERED);
    size_t got;
    world_make(f);
    mf_removal removal = {.key = chain};
    must_commit(f, &(mf_batch){.removals = &removal, .removal_count = 1});
    is_status(mf_store_list(f->store, NULL, &chain, 4, out, &got, NULL), MF_E_NOT_FOUND);
    cr_assert(eq(sz, got, 0));
    cr_assert(eq(sz, list(f, NULL, &numbered, 4, out), 2));
}

STORE_TEST(store_list, a_record_tells_when_it_was_made)
{
    mf_key first = key_of(MF_KIND_TASK, 1), second = key_of(MF_KIND_TASK, 2);
    put(f, spec_of(f, MF_KIND_TASK, 1, NULL), &(mf_state){.created_ms = 5});
    turn_clock(f, SOON);
    put(f, spec_of(f, MF_KIND_TASK, 2, NULL), &(mf_state){0});
    int64_t made = state_of(f, &first).created_ms;
    cr_assert(ne(i64, made, 5));
    cr_assert(ge(i64, state_of(f, &second).created_ms, made + SOON));
    cr_assert(le(i64, state_of(f, &second).created_ms, mf_store_now_ms(f->store)));
    write_state(f, &first, (mf_state){.created_ms = 9});
    cr_assert(eq(i64, state_of(f, &first).created_ms, made));
}
