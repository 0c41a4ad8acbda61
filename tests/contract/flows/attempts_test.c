/* Retries, and time that is over. */
#include "kit.h"

#include <sched.h>

/* A message that comes again after its attempt has failed is one more attempt: there the calls are no fixed number. */
static void attempts_made(fixture *f, size_t n)
{
    if (f->maker->quirks.twice)
        cr_assert(ge(sz, calls_of(f, "flaky"), n));
    else
        called(f, "flaky", n);
}

FLOW_TEST(flow_retries, a_failed_attempt_is_tried_again_and_knows_its_number)
{
    ends_done(f, start(f, sign(f, "flaky", NULL), "{\"good\":3}"), "3");
    attempts_made(f, 3);
    for (size_t i = 0; i < 3 && !f->maker->quirks.twice; i++) {
        cr_assert(eq(uint, call_of(f, "flaky", i).attempt, (unsigned)i + 1));
        is_value(call_of(f, "flaky", i).in, "{\"good\":3}");
    }
}

FLOW_TEST(flow_retries, three_retries_are_four_calls)
{
    mf_run *run = start(f, on_error(f, sign(f, "flaky", NULL), sign(f, "note", NULL)), "{\"good\":9}");
    ends_failed(f, run, "Flaky: attempt 4 failed");
    settle_down(f);
    attempts_made(f, 4);
    called(f, "note", 1);
    has_text(call_of(f, "note", 0).error, "\"attempt\":4");
}

FLOW_TEST(flow_retries, each_waits_twice_as_long_as_the_one_before)
{
    static const int64_t waits[] = {0, 10, 20, 40};
    if (f->maker->quirks.twice)
        return;     /* there are more of them */
    ends_failed(f, start(f, sign(f, "flaky", NULL), "{\"good\":9}"), "Flaky: attempt 4 failed");
    settle_down(f);
    for (size_t i = 0; i < 4; i++) {
        spy_sent sent;
        cr_assert(spy_store_sent(f->store, "flaky", (uint32_t)i + 1, &sent), "attempt %zu was not sent", i + 1);
        cr_assert(le(i64, sent.delay_ms, waits[i]));
        if (i > 0)
            cr_assert(ge(i64, sent.due_ms - call_of(f, "flaky", i - 1).begun_ms, waits[i]), "attempt %zu", i + 1);
    }
}

FLOW_TEST(flow_retries, a_final_failure_is_not_tried_again)
{
    ends_failed(f, start(f, sign(f, "fail", NULL), NULL), "Boom: it broke");
    ends_failed(f, start(f, CHAIN(f, sign(f, "fail", NULL), sign(f, "add", NULL)), NULL), "Boom: it broke");
    settle_down(f);
    called(f, "fail", 2);
}

FLOW_TEST(flow_retries, a_step_and_an_item_are_tried_again_too)
{
    mf_signature *chain = CHAIN(f, sign(f, "flaky", "{\"good\":2}"), sign(f, "echo", NULL));
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "flaky", "{\"good\":3}"), chain), NULL), "[3,{\"mageflow_results\":2}]");
    attempts_made(f, 5);
    called(f, "echo", 1);
}

static mf_status status_only(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    return MF_E_IO;
}

FLOW_TEST(flow_retries, another_status_than_ok_fails_with_its_name)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "io", .run = status_only, .user = f), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "io", NULL), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "MF_E_IO: ");
    has_text(f->err.text, mf_status_text(MF_E_IO));
    mf_run_destroy(run);
    called(f, "io", 1);
}

/* ---- timeouts -------------------------------------------------------------------------------------------------------- */

static mf_status sleeper(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    return mf_context_sleep(ctx, MF_FOREVER);
}

FLOW_TEST(flow_timeouts, a_task_out_of_time_is_asked_to_stop_and_fails)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "sleeper", .run = sleeper, .user = f, .timeout = mf_milliseconds(30)),
                      &f->err), MF_OK);
    mf_signature *sig = on_error(f, sign(f, "sleeper", NULL), sign(f, "note", NULL));
    ends_failed(f, start(f, sig, NULL), "Timeout: the task did not end within its timeout");
    settle_down(f);
    called(f, "sleeper", 1);
    called(f, "note", 1);
}

FLOW_TEST(flow_timeouts, a_timeout_is_tried_again_like_an_error)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "sleeper", .run = sleeper, .user = f, .timeout = mf_milliseconds(20),
                                           .retries = 1, .backoff = mf_milliseconds(1)), &f->err), MF_OK);
    ends_failed(f, start(f, sign(f, "sleeper", NULL), NULL), "Timeout: the task did not end within its timeout");
    called(f, "sleeper", 2);
}

/* As gate, but with a timeout of its own. */
static mf_status deaf(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    note_call(f, ctx, in);
    pthread_mutex_lock(&f->lock);
    while (!f->open)
        pthread_cond_wait(&f->changed, &f->lock);
    f->most++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    *out = mf_msg("s", "too late");
    return MF_OK;
}

FLOW_TEST(flow_timeouts, a_deaf_task_times_out_all_the_same_and_its_return_counts_no_more)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "deaf", .run = deaf, .user = f, .timeout = mf_milliseconds(10)), &f->err), MF_OK);
    mf_signature *sig = on_error(f, on_success(f, sign(f, "deaf", NULL), sign(f, "linger", NULL)), sign(f, "note", NULL));
    mf_run *run = start(f, sig, NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "deaf", 1);
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), NULL), "2");    /* others go on */
    ends_failed(f, run, "Timeout: the task did not end within its timeout, nor 3 s after it was asked to stop");
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL),
                                sign(f, "add", NULL), sign(f, "add", NULL)), NULL), "[1,1,1,1,1]");
    open_gate(f);
    settle_down(f);
    cr_assert(eq(uint, f->most, 1));
    is_word(count(f, &key).status, MF_STATUS_FAILED);
    called(f, "deaf", 1);
    called(f, "note", 1);
    called(f, "linger", 0);
}

static mf_status needs_more(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    if (mf_context_refresh_timeout(ctx, -1) != MF_E_INVALID)
        return mf_task_fail(ctx, MF_FINAL, "Negative", "a negative time was accepted");
    mf_status st = mf_context_refresh_timeout(ctx, mf_seconds(100));
    if (st == MF_OK)
        st = mf_context_sleep(ctx, mf_milliseconds(1300));
    *out = mf_msg("s", mf_status_name(st));
    return st;
}

FLOW_TEST(flow_timeouts, a_task_that_asks_for_more_time_gets_it)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "more", .run = needs_more, .user = f, .timeout = mf_seconds(1)), &f->err), MF_OK);
    ends_done(f, start(f, sign(f, "more", NULL), NULL), "\"MF_OK\"");
}

static mf_status asks_too_late(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    (void)mf_context_sleep(ctx, MF_FOREVER);
    *out = mf_msg("s", mf_status_name(mf_context_refresh_timeout(ctx, mf_seconds(1))));
    return MF_OK;
}

FLOW_TEST(flow_timeouts, more_time_cannot_be_had_when_it_is_over)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "late", .run = asks_too_late, .user = f, .timeout = mf_milliseconds(20)),
                      &f->err), MF_OK);
    ends_done(f, start(f, sign(f, "late", NULL), NULL), "\"MF_E_STATE\"");     /* it ended well, within the grace */
}

static mf_status asks_without(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    *out = mf_msg("[s,s]", mf_status_name(mf_context_refresh_timeout(ctx, 1)),
                  mf_status_name(mf_context_sleep(ctx, mf_milliseconds(5))));
    return MF_OK;
}

FLOW_TEST(flow_timeouts, without_a_timeout_asking_for_more_does_nothing)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "without", .run = asks_without, .user = f), &f->err), MF_OK);
    ends_done(f, start(f, sign(f, "without", NULL), NULL), "[\"MF_OK\",\"MF_OK\"]");
}

/* ---- a task's own concurrency ---------------------------------------------------------------------------------------- */

static mf_status narrow(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    (void)out;
    pthread_mutex_lock(&f->lock);
    if (++f->inside > f->most)
        f->most = f->inside;
    pthread_mutex_unlock(&f->lock);
    note_call(f, ctx, in);
    for (int i = 0; i < 20; i++)
        sched_yield();
    pthread_mutex_lock(&f->lock);
    f->inside--;
    pthread_mutex_unlock(&f->lock);
    return MF_OK;
}

FLOW_TEST(flow_concurrency, no_more_calls_of_a_task_run_at_once_than_it_declares)
{
    mf_status st = mf_task(f->mage, MF_TASK_DEF(.name = "narrow", .run = narrow, .user = f, .max_concurrency = 2), &f->err);
    if (!fixture_can(f, MF_CAP_CONCURRENCY)) {
        is_status(st, MF_E_UNSUPPORTED);
        has_text(f->err.text, "task \"narrow\": ");
        has_text(f->err.text, "max_concurrency");
        cr_assert(eq(ptr, mf_sign(f->mage, "narrow", NULL, &f->err), NULL));
        return;
    }
    is_status(st, MF_OK);
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 100), &f->err);
    size_t all = many(f, 100);
    for (size_t i = 0; i < all; i++)
        swarm = mf_swarm_add(swarm, sign(f, i % 2 == 0 ? "narrow" : "add", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "narrow", all / 2);
    called(f, "add", all / 2);
    cr_assert(le(uint, f->most, 2));
}
