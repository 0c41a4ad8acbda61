/* Signatures as records: saved, loaded, duplicated; when they start, and how long they live. */
#include "kit.h"

FLOW_TEST(flow_stored, what_was_saved_starts_by_its_key_once)
{
    mf_signature *chain = CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL));
    mf_key key = mf_signature_key(chain);
    is_status(mf_signature_save(chain, &f->err), MF_OK);
    is_status(mf_signature_save(chain, &f->err), MF_E_STATE);
    is_word(count(f, &key).status, MF_STATUS_PENDING);
    mf_signature_destroy(chain);
    mf_signature *loaded = mf_signature_load(f->mage, &key, &f->err), *second = mf_signature_load(f->mage, &key, &f->err);
    ends_done(f, start(f, loaded, "{\"n\":1}"), "3");
    cr_assert(eq(ptr, mf_start(second, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_STATE);
    mf_signature_destroy(second);
    bool done = false;
    is_status(mf_is_done(f->mage, &key, &done, &f->err), MF_OK);
    cr_assert(done);
    memset(key.text + 6, 'a', 25);
    cr_assert(eq(ptr, mf_signature_load(f->mage, &key, &f->err), NULL));
    is_status(f->err.status, MF_E_NOT_FOUND);
}

FLOW_TEST(flow_stored, a_duplicate_is_the_same_flow_with_keys_of_its_own)
{
    mf_signature *each = on_success(f, sign(f, "add", "{\"by\":2}"), sign(f, "note", "{\"item\":true}"));
    mf_signature *inner = CHAIN(f, sign(f, "add", NULL), each);
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.on_success = sign(f, "note", "{\"all\":true}")), inner,
                                sign(f, "add", "{\"n\":7}"));
    mf_key key = mf_signature_key(swarm);
    is_status(mf_signature_save(swarm, &f->err), MF_OK);
    mf_signature *copies[2];
    is_status(mf_signature_duplicate_many(f->mage, &key, 2, copies, &f->err), MF_OK);
    for (int i = 0; i < 2; i++) {
        mf_key copy = mf_signature_key(copies[i]);
        cr_assert(not(mf_key_eq(&copy, &key)));
        ends_done(f, start(f, copies[i], "{\"n\":1}"), "[4,8]");
    }
    wait_calls(f, "note", 4);
    is_word(count(f, &key).status, MF_STATUS_PENDING);
    ends_done(f, start(f, swarm, "{\"n\":1}"), "[4,8]");
    wait_calls(f, "note", 6);
    mf_signature *late = mf_signature_duplicate(f->mage, &key, &f->err);      /* of one that has ended */
    ends_done(f, start(f, late, "{\"n\":2}"), "[5,8]");
}

FLOW_TEST(flow_stored, a_duplicate_has_the_kwargs_as_they_were_edited)
{
    mf_signature *task = sign(f, "echo", "{\"a\":1}");
    mf_key key = mf_signature_key(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"b\":2}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    ends_done(f, start(f, mf_signature_duplicate(f->mage, &key, &f->err), NULL), "{\"a\":1,\"b\":2}");
    mf_signature_destroy(task);
}

/* However wide it is: what stands beside each other does not stand within each other. */
FLOW_TEST(flow_stored, a_duplicate_is_as_deep_as_what_it_was_made_of)
{
    mf_signature *swarm = mf_swarm(f->mage, "wide", NULL, &f->err);
    for (int i = 0; i < 40; i++)
        swarm = mf_swarm_add(swarm, CHAIN(f, sign(f, "echo", NULL), on_success(f, sign(f, "echo", NULL), sign(f, "note", NULL))), &f->err);
    cr_assert(ne(ptr, swarm, NULL), "%s", f->err.text);
    mf_key key = mf_signature_key(swarm);
    is_status(mf_signature_save(swarm, &f->err), MF_OK);
    mf_signature *wide = mf_signature_duplicate(f->mage, &key, &f->err);
    wide = mf_chain_add(mf_chain(f->mage, "outer", NULL, &f->err), wide, &f->err);
    cr_assert(ne(ptr, wide, NULL), "%s", f->err.text);

    mf_signature_destroy(wide);
    mf_signature_destroy(swarm);

    mf_signature *deep = mf_swarm(f->mage, "deep", NULL, &f->err);
    for (int i = 0; i < 30; i++)
        deep = mf_swarm_add(mf_swarm(f->mage, "deep", NULL, &f->err), deep, &f->err);
    key = mf_signature_key(deep);
    is_status(mf_signature_save(deep, &f->err), MF_OK);
    mf_signature *copy = mf_signature_duplicate(f->mage, &key, &f->err);
    cr_assert(eq(ptr, mf_swarm_add(mf_swarm(f->mage, "deeper", NULL, &f->err), copy, &f->err), NULL));
    is_status(f->err.status, MF_E_TOO_BIG);
    mf_signature_destroy(deep);
}

/* ---- how it starts --------------------------------------------------------------------------------------------------- */

/* sig's handle is let go. NULL: err tells why. */
static mf_run *start_with(fixture *f, mf_signature *sig, const mf_start_options *options)
{
    mf_run *run = mf_start_with(sig, NULL, options, &f->err);
    mf_signature_destroy(sig);
    return run;
}

FLOW_TEST(flow_start, a_delay_puts_the_beginning_off)
{
    mf_signature *task = sign(f, "note", NULL);
    mf_run *run = mf_start_with(task, NULL, MF_START_OPTIONS(.delay = mf_milliseconds(60)), &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    spy_sent sent;
    cr_assert(spy_store_sent(f->store, "note", 1, &sent));
    cr_assert(all(gt(i64, sent.due_ms, 0), le(i64, sent.delay_ms, 60)));
    ends_done(f, run, "null");
    cr_assert(mf_store_now_ms(&f->store->base) >= sent.due_ms || !exact_clock(f));
    mf_signature_destroy(task);
}

FLOW_TEST(flow_start, a_stagger_puts_each_start_off_by_less_than_its_span)
{
    mf_signature *items[8];
    for (int i = 0; i < 8; i++)
        items[i] = mf_stagger(sign(f, "note", NULL), mf_milliseconds(40), &f->err);
    mf_run *run = start(f, swarm_of(f, NULL, 8, items), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    spy_sent sent;
    cr_assert(spy_store_sent(f->store, "note", 1, &sent));
    cr_assert(all(gt(i64, sent.due_ms, 0), lt(i64, sent.delay_ms, 40)));
}

FLOW_TEST(flow_start, a_unique_run_is_there_once)
{
    mf_signature *first = sign(f, "gate", NULL), *second = sign(f, "gate", NULL), *third = sign(f, "gate", NULL);
    const mf_start_options *once = MF_START_OPTIONS(.unique = "nightly", .unique_window = mf_minutes(1));
    mf_run *run = mf_start_with(first, NULL, once, &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    mf_key key = mf_run_key(run);
    cr_assert(eq(ptr, mf_start_with(second, NULL, once, &f->err), NULL));
    is_status(f->err.status, MF_E_EXISTS);
    has_text(f->err.text, key.text);
    mf_run *joined = mf_start_with(second, NULL, MF_START_OPTIONS(.unique = "nightly", .join = true), &f->err);
    mf_key same = mf_run_key(joined);
    cr_assert(mf_key_eq(&same, &key));
    open_gate(f);
    ends_done(f, joined, "null");
    ends_done(f, run, "null");
    called(f, "gate", 1);
    run = mf_start_with(third, NULL, MF_START_OPTIONS(.unique = "another"), &f->err);
    ends_done(f, run, "null");
    mf_signature_destroy(first);
    mf_signature_destroy(second);
    mf_signature_destroy(third);
}

static mf_run *start_once(fixture *f, mf_signature *sig)
{
    return start_with(f, sig, MF_START_OPTIONS(.unique = "nightly"));
}

/* Whether it has ended or not: it is the removal that gives the name back. */
FLOW_TEST(flow_start, the_name_of_a_unique_run_that_was_removed_is_free_at_once)
{
    mf_run *first = start_once(f, sign(f, "gate", NULL));
    cr_assert(ne(ptr, first, NULL), "%s", f->err.text);
    mf_key key = mf_run_key(first);
    wait_calls(f, "gate", 1);
    cr_assert(eq(ptr, start_once(f, sign(f, "note", NULL)), NULL));
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ALL, &f->err), MF_OK);
    mf_run_destroy(first);
    for (int i = 0; i < 2; i++) {
        mf_run *next = start_once(f, sign(f, "note", NULL));
        cr_assert(ne(ptr, next, NULL), "%s", f->err.text);
        key = mf_run_key(next);
        ends_done(f, next, "null");
        cr_assert(eq(ptr, start_once(f, sign(f, "note", NULL)), NULL));
        is_status(f->err.status, MF_E_EXISTS);
        is_status(mf_remove(f->mage, &key, MF_REMOVE_ALL, &f->err), MF_OK);
    }
    open_gate(f);
}

FLOW_TEST(flow_start, what_is_more_urgent_goes_first)
{
    /* Four gates hold every thread; what waits behind them is started in the wrong order. */
    mf_signature *gates[THREADS];
    for (int i = 0; i < THREADS; i++)
        gates[i] = sign(f, "gate", NULL);
    mf_run *run = start(f, swarm_of(f, NULL, THREADS, gates), NULL);
    wait_calls(f, "gate", THREADS);
    mf_signature *sigs[3];
    for (int i = 0; i < 3; i++) {
        char json[32];
        snprintf(json, sizeof json, "{\"p\":%d}", i);
        sigs[i] = sign(f, "note", json);
        mf_run *r = mf_start_with(sigs[i], NULL, MF_START_OPTIONS(.priority = i), &f->err);
        cr_assert(ne(ptr, r, NULL), "%s", f->err.text);
        mf_key key = mf_run_key(r);
        mf_record record = {0};
        is_status(mf_store_load(&f->store->base, &key, 1, &record, NULL), MF_OK);
        cr_assert(eq(i32, record.state.priority, i));
        mf_record_release(&record);
        mf_run_destroy(r);
        mf_signature_destroy(sigs[i]);
    }
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    wait_calls(f, "note", 3);
}

FLOW_TEST(flow_start, mf_call_starts_waits_and_lets_go)
{
    mf_message *result = NULL;
    mf_signature *task = sign(f, "add", "{\"by\":4}"), *failing = sign(f, "fail", NULL);
    is_status(mf_call(task, msg("{\"n\":1}"), PATIENCE, &result, &f->err), MF_OK);
    is_json(result, "5");
    mf_message_unref(result);
    is_status(mf_call(failing, NULL, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    is_text(f->err.text, "Boom: it broke");
    is_status(mf_call(task, NULL, PATIENCE, NULL, &f->err), MF_E_STATE);
    mf_signature_destroy(task);
    mf_signature_destroy(failing);
}

/* The window of a name is over some time, and nobody has to look for that; who joins what has ended is given its result. */
FLOW_TEST(flow_start, a_unique_name_is_free_when_its_window_is_over_and_an_ended_run_can_be_joined)
{
    mf_run *first = start_with(f, sign(f, "add", NULL), MF_START_OPTIONS(.unique = "nightly"));
    ends_done(f, first, "1");
    first = start_with(f, sign(f, "add", "{\"n\":5}"), MF_START_OPTIONS(.unique = "nightly", .join = true));
    ends_done(f, first, "1");
    called(f, "add", 1);
    mf_run *next = start_with(f, sign(f, "gate", NULL), MF_START_OPTIONS(.unique = "hourly", .unique_window = mf_milliseconds(20)));
    cr_assert(ne(ptr, next, NULL), "%s", f->err.text);
    mf_run *another = NULL;
    int64_t until = mf_store_now_ms(&f->store->base) + 60000;
    while (another == NULL && mf_store_now_ms(&f->store->base) < until)
        another = start_with(f, sign(f, "add", NULL), MF_START_OPTIONS(.unique = "hourly"));
    ends_done(f, another, "1");
    open_gate(f);
    ends_done(f, next, "null");
}

/* ---- how urgent it is ------------------------------------------------------------------------------------------------ */

static void is_sent_with(fixture *f, const char *task, int32_t priority)
{
    spy_sent sent;
    int64_t until = mf_store_now_ms(&f->store->base) + 1000 * PATIENCE_S;
    while (!spy_store_sent(f->store, task, 1, &sent)) {      /* it is noted behind the commit */
        cr_assert(lt(i64, mf_store_now_ms(&f->store->base), until), "%s was not sent", task);
        sched_yield();
    }
    cr_assert(eq(i32, sent.priority, priority), "%s: %s", f->maker->name, task);
}

FLOW_TEST(flow_start, its_priority_is_that_of_everything_below_it)
{
    mf_signature *keyed = on_success(f, sign(f, "echo", NULL), sign(f, "note", NULL));
    mf_signature *chain = CHAIN(f, keyed, SWARM(f, NULL, sign(f, "add", NULL)), sign(f, "path", "{\"path\":\"a\"}"));
    ends_done(f, start_with(f, chain, MF_START_OPTIONS(.priority = 5)), "\"a\"");
    wait_calls(f, "note", 1);
    is_sent_with(f, "mageflow.run_flow", 5);
    is_sent_with(f, "echo", 5);
    is_sent_with(f, "note", 5);
    is_sent_with(f, "mageflow.on_chain_done", 5);
    is_sent_with(f, "add", 5);
    is_sent_with(f, "path", 5);
}

FLOW_TEST(flow_start, an_edited_priority_holds_for_what_it_sends_and_a_start_may_say_another)
{
    static const struct {
        const char *first, *second;
        int32_t     start, sent;
    } cases[] = {{"echo", "note", 0, 7}, {"add", "path", 9, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mf_signature *chain = CHAIN(f, sign(f, cases[i].first, NULL), sign(f, cases[i].second, "{\"path\":\"a\"}"));
        mf_key key = mf_signature_key(chain);
        is_status(mf_signature_save(chain, &f->err), MF_OK);
        mf_edit *edit = mf_edit_begin(f->mage, &f->err);
        is_status(mf_edit_priority(edit, &key, 7, &f->err), MF_OK);
        is_status(mf_edit_commit(edit, &f->err), MF_OK);
        mf_run *run = start_with(f, chain, MF_START_OPTIONS(.priority = cases[i].start));
        cr_assert(eq(int, mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK), "%s", f->err.text);
        mf_run_destroy(run);
        is_sent_with(f, cases[i].first, cases[i].sent);
        is_sent_with(f, cases[i].second, cases[i].sent);
    }
}

FLOW_TEST(flow_start, a_step_that_was_edited_is_more_urgent_than_its_chain)
{
    mf_signature *step = sign(f, "note", NULL);
    mf_key key = mf_signature_key(step);
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), step, sign(f, "add", NULL)), NULL);
    wait_calls(f, "gate", 1);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_priority(edit, &key, 3, &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    is_sent_with(f, "note", 3);
    is_sent_with(f, "add", 0);
}

/* ---- how long it lives ----------------------------------------------------------------------------------------------- */

FLOW_TEST(flow_ttl, what_outlives_its_time_fails_with_its_callbacks_and_a_dead_letter)
{
    mf_signature *chain = mf_ttl(CHAIN(f, sign(f, "linger", NULL), sign(f, "note", NULL)), mf_milliseconds(60), 0, &f->err);
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, on_error(f, chain, sign(f, "note", "{\"late\":true}")), "{\"a\":1}");
    ends_failed(f, run, "Expired: its time to live was over before it ended");
    wait_calls(f, "note", 1);
    has_text(call_of(f, "note", 0).error, "Expired");
    mf_message *dead = NULL;
    is_status(mf_store_read_note(&f->store->base, MF_STR_LIT("dead"), mf_cstr(key.text), &dead, NULL), MF_OK);
    has_text(json_of(dead), "\"reason\":\"Expired\"");
    has_text(json_of(dead), "\"message\":{\"a\":1}");
    mf_message_unref(dead);
    settle_down(f);
}

FLOW_TEST(flow_ttl, what_has_ended_is_forgotten_after_its_time)
{
    mf_signature *task = mf_ttl(sign(f, "echo", NULL), 0, mf_milliseconds(1), &f->err);
    mf_key key = mf_signature_key(task);
    mf_run_destroy(start(f, task, NULL));
    mf_counts counts;
    mf_status st;
    int64_t until = mf_store_now_ms(&f->store->base) + 60000;
    while ((st = mf_count(f->mage, &key, &counts, &f->err)) == MF_OK && mf_store_now_ms(&f->store->base) < until)
        sched_yield();
    is_status(st, MF_E_NOT_FOUND);
}

FLOW_TEST(flow_ttl, what_is_suspended_does_not_expire)
{
    mf_signature *chain = mf_ttl(CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL)), mf_minutes(2), 0, &f->err);
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    mf_record record = {0};
    is_status(mf_store_load(&f->store->base, &key, 1, &record, NULL), MF_OK);
    cr_assert(eq(i64, record.state.deadline_ms, 0));
    mf_record_release(&record);
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
}

static mf_state state_of(fixture *f, const mf_key *key)
{
    mf_record record = {0};
    is_status(mf_store_load(&f->store->base, key, 1, &record, NULL), MF_OK);
    cr_assert(ne(ptr, record.spec, NULL));
    mf_state state = record.state;
    mf_record_release(&record);
    return state;       /* its numbers; the references are gone */
}

static void lives_about(fixture *f, const mf_key *key, int64_t minutes)
{
    mf_state state = state_of(f, key);
    int64_t lives_ms = state.deadline_ms - state.created_ms;
    cr_assert(all(gt(i64, lives_ms, (minutes - 10) * 60000), lt(i64, lives_ms, (minutes + 10) * 60000)), "%s: %lld ms", key->text,
              (long long)lives_ms);
}

FLOW_TEST(flow_ttl, each_kind_has_its_own)
{
    mf_signature *sigs[] = {sign(f, "echo", NULL), CHAIN(f, sign(f, "echo", NULL), sign(f, "echo", NULL)), SWARM(f, NULL, sign(f, "echo", NULL)),
                            mf_ttl(SWARM(f, NULL, sign(f, "echo", NULL)), mf_minutes(20), 0, &f->err)};
    static const int64_t minutes[] = {TASK_TTL_MIN, CHAIN_TTL_MIN, SWARM_TTL_MIN, 20};
    for (int i = 0; i < 4; i++) {
        mf_key key = mf_signature_key(sigs[i]);
        is_status(mf_signature_save(sigs[i], &f->err), MF_OK);
        lives_about(f, &key, minutes[i]);
        if (i == 2) {
            ends_done(f, start(f, sigs[i], NULL), "[null]");
            mf_state state = state_of(f, &key);
            cr_assert(eq(i64, state.deadline_ms - state.ended_ms, SWARM_KEEP_MIN * INT64_C(60000)));
        } else {
            mf_signature_destroy(sigs[i]);
        }
    }
}

FLOW_TEST(flow_ttl, one_that_was_edited_to_end_later_holds_through_the_start)
{
    mf_signature *task = sign(f, "gate", NULL), *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL));
    mf_key of_task = mf_signature_key(task), of_chain = mf_signature_key(chain);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    is_status(mf_signature_save(chain, &f->err), MF_OK);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_ttl(edit, &of_task, mf_minutes(600), &f->err), MF_OK);
    is_status(mf_edit_ttl(edit, &of_chain, MF_FOREVER, &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    mf_run *run = start(f, task, NULL), *other = start(f, chain, NULL);
    wait_calls(f, "gate", 2);
    lives_about(f, &of_task, 600);
    cr_assert(eq(i64, state_of(f, &of_chain).deadline_ms, 0));
    open_gate(f);
    ends_done(f, run, "null");
    ends_done(f, other, "null");
}

FLOW_TEST(flow_ttl, one_that_runs_can_be_edited_to_end_soon)
{
    mf_signature *chain = CHAIN(f, sign(f, "linger", NULL), sign(f, "note", NULL));
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, chain, NULL);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_ttl(edit, &key, mf_milliseconds(1), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    ends_failed(f, run, "Expired: its time to live was over before it ended");
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_ttl, a_staggered_or_delayed_start_moves_it_along)
{
    mf_signature *task = mf_stagger(mf_ttl(sign(f, "note", NULL), mf_minutes(5), 0, &f->err), mf_milliseconds(40), &f->err);
    mf_key key = mf_signature_key(task);
    mf_run *run = start_with(f, task, MF_START_OPTIONS(.delay = mf_minutes(10)));
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    spy_sent sent;
    cr_assert(spy_store_sent(f->store, "note", 1, &sent));
    cr_assert(gt(i64, sent.delay_ms, 0));
    cr_assert(eq(i64, state_of(f, &key).deadline_ms, sent.due_ms + 5 * 60000));
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    ends_canceled(f, run);
}
