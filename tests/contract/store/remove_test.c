/* Removals: a record goes with everything that stands in it, and what is on its way finds nothing. */
#include "contract.h"

enum { CALLBACKS = 100 };

static void set_callbacks(fixture *f, mf_spec *spec, unsigned success, unsigned error)
{
    const mf_allocator *a = &f->counting.allocator;
    if (success != 0) {
        spec->on_success = a->alloc(a->user, sizeof(mf_key));
        spec->on_success[0] = key_of(MF_KIND_TASK, success);
        spec->on_success_count = 1;
    }
    if (error != 0) {
        spec->on_error = a->alloc(a->user, sizeof(mf_key));
        spec->on_error[0] = key_of(MF_KIND_TASK, error);
        spec->on_error_count = 1;
    }
}

static void remove_one(fixture *f, const mf_key *key, bool on_success, bool on_error)
{
    must_commit(f, &(mf_batch){.removals = &(mf_removal){*key, on_success, on_error}, .removal_count = 1});
}

/* A task with callbacks 100 + n for success and 200 + n for an error. */
static void put_task(fixture *f, unsigned n, const mf_key *container, bool callbacks)
{
    mf_spec *spec = spec_of(f, MF_KIND_TASK, n, container);
    if (callbacks)
        set_callbacks(f, spec, CALLBACKS + n, 2 * CALLBACKS + n);
    put(f, spec, &(mf_state){0});
}

static bool has_task(fixture *f, unsigned n)
{
    mf_key key = key_of(MF_KIND_TASK, n);
    return has_record(f, &key);
}

STORE_TEST(store_remove, a_record_is_gone_and_its_key_free)
{
    mf_key key = world_key(NUMBERED), nobody = key_of(MF_KIND_TASK, 99);
    char *text;
    size_t len, got;
    mf_item item;
    mf_message *progress;
    world_make(f);
    is_status(mf_store_log(f->store, &key, MF_STR_LIT("a line")), MF_OK);
    mf_removal removals[] = {{.key = nobody}, {.key = key}, {.key = key}};    /* what is not there is passed over */
    must_commit(f, &(mf_batch){.removals = removals, .removal_count = 3});
    cr_assert(not(has_record(f, &key)));
    is_status(mf_store_items(f->store, &key, 0, 1, &item, &got, NULL), MF_E_NOT_FOUND);
    is_status(mf_store_read_log(f->store, &key, 0, NULL, &text, &len), MF_E_NOT_FOUND);
    is_status(mf_store_read_progress(f->store, &key, &progress), MF_E_NOT_FOUND);
    mf_state state = {.status = MF_STATUS_DONE};
    must_refuse(f, &(mf_batch){.key = key, .state = &state}, MF_GUARD_VERSION, 0);
    put(f, spec_of(f, MF_KIND_TASK, NUMBERED, NULL), &(mf_state){.total = 3});
    cr_assert(eq(u64, state_of(f, &key).total, 3));
    is_status(mf_store_read_log(f->store, &key, 0, NULL, &text, &len), MF_E_NOT_FOUND);
}

STORE_TEST(store_remove, its_own_callbacks_go_as_told)
{
    for (unsigned i = 0; i < 4; i++) {
        bool success = i & 1, error = i & 2;
        mf_key key = key_of(MF_KIND_TASK, 10 + i);
        put_task(f, 10 + i, NULL, true);
        put_task(f, CALLBACKS + 10 + i, NULL, false);
        put_task(f, 2 * CALLBACKS + 10 + i, NULL, false);
        remove_one(f, &key, success, error);
        cr_assert(not(has_task(f, 10 + i)));
        cr_assert(eq(int, has_task(f, CALLBACKS + 10 + i), !success), "case %u", i);
        cr_assert(eq(int, has_task(f, 2 * CALLBACKS + 10 + i), !error), "case %u", i);
    }
}

STORE_TEST(store_remove, callbacks_go_with_all_of_theirs)
{
    mf_key key = key_of(MF_KIND_TASK, 1), bystander = key_of(MF_KIND_CHAIN, 1);
    put_task(f, 1, NULL, true);
    put_task(f, 101, NULL, false);
    mf_spec *error = spec_of(f, MF_KIND_TASK, 201, NULL);
    set_callbacks(f, error, 5, 6);
    put(f, error, &(mf_state){0});
    put_task(f, 5, NULL, true);
    put_task(f, 6, NULL, false);
    put_task(f, 205, NULL, false);
    put(f, spec_of(f, MF_KIND_CHAIN, 1, NULL), &(mf_state){0});
    remove_one(f, &key, false, true);
    static const unsigned gone[] = {1, 201, 5, 6, 205};
    for (size_t i = 0; i < 5; i++)
        cr_assert(not(has_task(f, gone[i])), "task %u", gone[i]);
    cr_assert(has_task(f, 101));
    cr_assert(has_record(f, &bystander));
}

/* A chain whose steps are a task with callbacks, a plain item, and a swarm; the swarm's items are records, too. */
STORE_TEST(store_remove, a_container_takes_everything_that_stands_in_it)
{
    const mf_allocator *a = &f->counting.allocator;
    mf_key chain = key_of(MF_KIND_CHAIN, 1), swarm = key_of(MF_KIND_SWARM, 1);
    mf_spec *spec = spec_of(f, MF_KIND_CHAIN, 1, NULL);
    set_callbacks(f, spec, 90, 91);
    spec->steps = a->alloc(a->user, 3 * sizeof(mf_item));
    spec->step_count = 3;
    spec->steps[0] = (mf_item){spec_of(f, MF_KIND_TASK, 1, &chain), NULL};
    spec->steps[1] = (mf_item){mf_spec_ref(f->call), say(f, 1)};
    spec->steps[2] = (mf_item){spec_of(f, MF_KIND_SWARM, 1, &chain), NULL};
    set_callbacks(f, spec->steps[0].spec, 101, 201);
    put(f, mf_spec_ref(spec->steps[0].spec), &(mf_state){0});
    put(f, mf_spec_ref(spec->steps[2].spec), &(mf_state){0});
    put(f, spec, &(mf_state){0});
    static const unsigned others[] = {101, 201, 90, 91};
    for (size_t i = 0; i < 4; i++)
        put_task(f, others[i], NULL, false);
    mf_item items[3] = {{f->call, NULL}};
    items[1].spec = spec_of(f, MF_KIND_TASK, 2, &swarm);
    items[2].spec = spec_of(f, MF_KIND_TASK, 3, &swarm);
    set_callbacks(f, items[2].spec, 103, 0);
    put(f, mf_spec_ref(items[1].spec), &(mf_state){0});
    put(f, mf_spec_ref(items[2].spec), &(mf_state){0});
    put_task(f, 103, NULL, false);
    must_commit(f, &(mf_batch){.key = swarm, .items = items, .item_count = 3});
    mf_spec_unref(items[1].spec);
    mf_spec_unref(items[2].spec);
    remove_one(f, &chain, false, false);
    cr_assert(not(has_record(f, &chain)));
    cr_assert(not(has_record(f, &swarm)));
    static const unsigned gone[] = {1, 2, 3, 101, 201, 103};
    for (size_t i = 0; i < 6; i++)
        cr_assert(not(has_task(f, gone[i])), "task %u", gone[i]);
    cr_assert(has_task(f, 90));
    cr_assert(has_task(f, 91));
}

STORE_TEST(store_remove, a_swarm_takes_the_numbered_callbacks_of_its_task)
{
    mf_key swarm = key_of(MF_KIND_SWARM, 1);
    mf_spec *spec = spec_of(f, MF_KIND_SWARM, 1, NULL);
    spec->each.spec = mf_spec_create(&f->counting.allocator, MF_KIND_TASK, MF_STR_LIT("each"));
    set_callbacks(f, spec->each.spec, 1, 2);
    mf_item items[] = {{spec->each.spec, NULL}, {spec->each.spec, NULL}};
    put(f, mf_spec_ref(spec), &(mf_state){0});
    for (unsigned i = 1; i <= 2; i++) {
        mf_spec *numbered = spec_of(f, MF_KIND_TASK, i, NULL);
        numbered->numbered = true;
        put(f, numbered, &(mf_state){0});
    }
    must_commit(f, &(mf_batch){.key = swarm, .items = items, .item_count = 2});
    mf_spec_unref(spec);
    remove_one(f, &swarm, false, false);
    cr_assert(not(has_task(f, 1)));
    cr_assert(not(has_task(f, 2)));
}

STORE_TEST(store_remove, a_circle_of_callbacks_ends)
{
    mf_key key = key_of(MF_KIND_TASK, 1);
    for (unsigned i = 1; i <= 3; i++) {
        mf_spec *spec = spec_of(f, MF_KIND_TASK, i, NULL);
        set_callbacks(f, spec, i % 3 + 1, i);
        put(f, spec, &(mf_state){0});
    }
    remove_one(f, &key, true, true);
    for (unsigned i = 1; i <= 3; i++)
        cr_assert(not(has_task(f, i)));
}

STORE_TEST(store_remove, a_batch_may_end_a_record_and_take_it_away)
{
    mf_key key = world_key(SWARM);
    mf_state done = {.status = MF_STATUS_DONE};
    mf_removal removal = {.key = key};
    world_make(f);
    mf_outcome outcome = {20, MF_STATUS_DONE, NULL};
    must_commit(f, &(mf_batch){.key = key, .version = 5, .state = &done, .outcomes = &outcome, .outcome_count = 1,
                               .removals = &removal, .removal_count = 1});
    cr_assert(not(has_record(f, &key)));
    mf_key left = world_key(NUMBERED);
    cr_assert(has_record(f, &left));
}

STORE_TEST(store_remove, a_refused_batch_takes_nothing_away)
{
    mf_removal removal = {.key = world_key(SWARM)};
    uint64_t token = 77;
    world_make(f);
    must_refuse(f, &(mf_batch){.removals = &removal, .removal_count = 1, .settles = &token, .settle_count = 1},
                MF_GUARD_SETTLE, 0);
}

/* ---- what is on its way ------------------------------------------------------------------------------------------ */

STORE_TEST(store_remove, messages_of_what_is_gone_are_delivered_and_find_nothing)
{
    mf_key key = world_key(SWARM);
    mf_taken taken;
    world_make(f);
    send(f, entry_for(f, &key, 20));
    send(f, entry_for(f, &key, 21));
    mf_taken before = take_item(f, 20);
    remove_one(f, &key, false, false);
    is_load(f, 1, 1);
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_E_NOT_FOUND);
    cr_assert(ne(u64, taken.claim.token, 0));
    settle(f, taken.claim.token);
    settle(f, before.claim.token);    /* a claim of what is gone is still its own to settle */
    is_load(f, 0, 0);
}

STORE_TEST(store_remove, a_claim_of_what_is_gone_is_in_nobodys_way)
{
    mf_key key = world_key(NUMBERED);
    world_make(f);
    mf_claim old = claim_one(f, &key, 3, 0);
    remove_one(f, &key, false, false);
    is_status(claim_one(f, &key, 3, 0).status, MF_E_NOT_FOUND);
    mf_spec *numbered = spec_of(f, MF_KIND_TASK, NUMBERED, NULL);
    numbered->numbered = true;
    put(f, numbered, &(mf_state){0});
    mf_claim again = claim_one(f, &key, 3, 0);
    is_status(again.status, MF_OK);
    settle(f, old.token);
    is_status(claim_one(f, &key, 3, 0).status, MF_E_EXISTS);
    settle(f, again.token);
}

STORE_TEST(store_remove, what_is_given_back_after_its_record_is_gone_finds_nothing)
{
    mf_key key = world_key(SWARM);
    mf_taken taken;
    world_make(f);
    send(f, entry_for(f, &key, 20));
    mf_taken before = take_item(f, 20);
    remove_one(f, &key, false, false);
    is_status(mf_store_give_back(f->store, &before.claim.token, 1, NULL), MF_OK);
    cr_assert(take_one(f, &taken));
    is_status(taken.claim.status, MF_E_NOT_FOUND);
    settle(f, taken.claim.token);
}

/* The way up is looked at anew: a record that came back under the same key counts, and one that is gone does not. */
STORE_TEST(store_remove, a_container_that_is_gone_is_not_in_the_way)
{
    mf_key swarm = world_key(SWARM), task = world_key(TASK), chain = world_key(CHAIN);
    world_make(f);
    write_state(f, &swarm, (mf_state){.version = 5, .status = MF_STATUS_SUSPENDED});
    mf_claim claim = claim_one(f, &task, 0, 0);
    is_word(claim.above, MF_STATUS_SUSPENDED);
    settle(f, claim.token);
    remove_one(f, &swarm, false, false);    /* neither the chain nor the task is an item of it */
    claim = claim_one(f, &task, 0, 0);
    is_word(claim.above, MF_STATUS_ACTIVE);
    settle(f, claim.token);
    put(f, spec_of(f, MF_KIND_SWARM, SWARM, NULL), &(mf_state){.status = MF_STATUS_INTERRUPTED});
    claim = claim_one(f, &task, 0, 0);
    is_word(claim.above, MF_STATUS_INTERRUPTED);
    cr_assert(mf_key_eq(&claim.blocker, &swarm));
    cr_assert(has_record(f, &chain));
}

STORE_TEST(store_remove, many_come_and_go)
{
    enum { MANY = 500, ROUNDS = 4 };
    static mf_removal removals[MANY];
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            put(f, spec_of(f, MF_KIND_TASK, i, NULL), &(mf_state){.total = round, .cursor = {1, {7}}});
            removals[i] = (mf_removal){.key = key_of(MF_KIND_TASK, i)};
        }
        must_commit(f, &(mf_batch){.removals = removals, .removal_count = MANY - 1});
        cr_assert(not(has_task(f, 0)));
        cr_assert(has_task(f, MANY - 1));
        must_commit(f, &(mf_batch){.removals = removals + MANY - 1, .removal_count = 1});
    }
}
