/* Durable tasks: a body that is called again does nothing twice. */
#include "kit.h"

typedef struct body {
    fixture    *f;
    atomic_uint steps;      /* how often a step's function ran */
    unsigned    way;        /* a scenario's own */
} body;

static mf_status count_up(mf_context *ctx, mf_message **out, void *user)
{
    body *b = user;
    (void)ctx;
    *out = mf_msg("i", (int)atomic_fetch_add(&b->steps, 1) + 1);
    return MF_OK;
}

static void declare(fixture *f, body *b, mf_task_fn *run, unsigned retries)
{
    b->f = f;
    is_status(mf_durable_task(f->mage, MF_TASK_DEF(.name = "durable", .run = run, .user = b, .retries = retries,
                                                   .backoff = mf_milliseconds(1)), &f->err), MF_OK);
}

/* Calls of the body. A message that arrives twice may call it once more: that costs a replay, and no step. */
static void called_once_each(fixture *f, size_t n)
{
    if (f->maker->quirks.twice)
        cr_assert(ge(sz, calls_of(f, "durable"), n));
    else
        called(f, "durable", n);
}

/* ---- steps ----------------------------------------------------------------------------------------------------------- */

static mf_status two_steps_then_fail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    mf_message *one = NULL, *two = NULL;
    note_call(b->f, ctx, in);
    mf_status st = mf_step(ctx, "one", count_up, b, &one);
    if (st == MF_OK)
        st = mf_step(ctx, "two", count_up, b, &two);
    if (st == MF_OK && mf_context_execution_info(ctx)->attempt_number < 3)
        st = mf_task_fail(ctx, MF_RETRY, "NotYet", "attempt %u", mf_context_execution_info(ctx)->attempt_number);
    if (st == MF_OK)
        *out = mf_msg("[m,m]", one, two);
    mf_message_unref(one);
    mf_message_unref(two);
    return st;
}

FLOW_TEST(flow_durable, steps_are_done_once_over_all_attempts)
{
    body b = {0};
    declare(f, &b, two_steps_then_fail, 3);
    ends_done(f, start(f, sign(f, "durable", NULL), NULL), "[1,2]");
    called_once_each(f, 3);
    cr_assert(eq(u32, atomic_load(&b.steps), 2));
}

static mf_status failing_step(mf_context *ctx, mf_message **out, void *user)
{
    body *b = user;
    (void)out;
    return atomic_fetch_add(&b->steps, 1) == 0 ? mf_task_fail(ctx, MF_RETRY, "NotYet", "no") : MF_OK;
}

static mf_status one_step(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out;
    return mf_step(ctx, "one", failing_step, user, NULL);
}

FLOW_TEST(flow_durable, a_step_that_failed_is_not_remembered)
{
    body b = {0};
    declare(f, &b, one_step, 1);
    ends_done(f, start(f, sign(f, "durable", NULL), NULL), "null");
    cr_assert(eq(u32, atomic_load(&b.steps), 2));
}

static mf_status another_way(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    (void)in, (void)out;
    mf_status st = mf_step(ctx, mf_context_execution_info(ctx)->attempt_number == 1 ? "left" : "right", count_up, b, NULL);
    return st == MF_OK ? mf_task_fail(ctx, MF_RETRY, "Again", "once more") : st;
}

FLOW_TEST(flow_durable, a_replay_that_differs_fails_for_good_and_names_both)
{
    body b = {0};
    declare(f, &b, another_way, 5);
    ends_failed(f, start(f, sign(f, "durable", NULL), NULL), "ReplayDiffers: verb 1 was step \"left\" and is step \"right\" now: a "
                "durable task must come to the same verbs in the same order");
    cr_assert(eq(u32, atomic_load(&b.steps), 1));
}

static mf_status step_in_step(mf_context *ctx, mf_message **out, void *user)
{
    return mf_step(ctx, "inner", count_up, user, out);
}

static mf_status sleep_in_step(mf_context *ctx, mf_message **out, void *user)
{
    (void)out, (void)user;
    return mf_sleep(ctx, 1);
}

static mf_status wait_in_step(mf_context *ctx, mf_message **out, void *user)
{
    (void)user;
    return mf_wait_event(ctx, "event", 1, out);
}

static mf_status verb_in_step(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    static mf_step_fn *const ways[] = {step_in_step, sleep_in_step, wait_in_step};
    body *b = user;
    (void)in;
    return mf_step(ctx, "outer", ways[b->way], b, out);
}

FLOW_TEST(flow_durable, a_verb_within_a_step_fails_at_once_and_not_in_its_replay)
{
    static const char *const verbs[] = {"mf_step", "mf_sleep", "mf_wait_event"};
    body b = {0};
    declare(f, &b, verb_in_step, 5);
    for (b.way = 0; b.way < 3; b.way++) {
        char want[160];
        snprintf(want, sizeof want, "VerbInStep: %s within a step, which is remembered as a whole: do them one after the other", verbs[b.way]);
        ends_failed(f, start(f, sign(f, "durable", NULL), NULL), want);
    }
    cr_assert(eq(u32, atomic_load(&b.steps), 0));
}

static mf_status plain_verbs(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in;
    mf_message *none = NULL;
    *out = mf_msg("[s,s,s]", mf_status_name(mf_step(ctx, "once", count_up, user, &none)), mf_status_name(mf_sleep(ctx, 1)),
                  mf_status_name(mf_wait_event(ctx, "event", 1, &none)));
    return MF_OK;
}

FLOW_TEST(flow_durable, its_verbs_are_not_for_other_tasks)
{
    body b = {.f = f};
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "plain", .run = plain_verbs, .user = &b), &f->err), MF_OK);
    ends_done(f, start(f, sign(f, "plain", NULL), NULL), "[\"MF_E_UNSUPPORTED\",\"MF_E_UNSUPPORTED\",\"MF_E_UNSUPPORTED\"]");
    cr_assert(eq(u32, atomic_load(&b.steps), 0));
}

/* ---- sleep ----------------------------------------------------------------------------------------------------------- */

static mf_status sleepy(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    note_call(b->f, ctx, in);
    mf_status st = mf_step(ctx, "before", count_up, b, NULL);
    if (st == MF_OK)
        st = mf_sleep(ctx, b->way == 0 ? mf_milliseconds(30) : mf_seconds(600));
    if (st == MF_OK)
        st = mf_sleep(ctx, mf_milliseconds(30));
    if (st == MF_OK)
        st = mf_step(ctx, "after", count_up, b, out);
    return st;
}

FLOW_TEST(flow_durable, it_sleeps_without_a_thread_and_goes_on)
{
    body b = {0};
    declare(f, &b, sleepy, 0);
    int64_t began = mf_store_now_ms(&f->store->base);
    ends_done(f, start(f, sign(f, "durable", NULL), "{\"a\":1}"), "2");
    cr_assert(mf_store_now_ms(&f->store->base) - began >= 60 || !exact_clock(f));
    called_once_each(f, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert(eq(u32, call_of(f, "durable", i).attempt, 1));
        is_value(call_of(f, "durable", i).in, "{\"a\":1}");
    }
}

FLOW_TEST(flow_durable, inside_a_chain_and_a_swarm_it_hands_its_result_on)
{
    body b = {0};
    declare(f, &b, sleepy, 0);
    ends_done(f, start(f, CHAIN(f, sign(f, "durable", NULL), sign(f, "add", NULL)), NULL), "3");
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "durable", NULL)), NULL), "[4]");
}

FLOW_TEST(flow_durable, a_cancel_while_it_sleeps_ends_it)
{
    body b = {.way = 1};    /* for so long that the cancel comes before its end on any machine */
    declare(f, &b, sleepy, 0);
    mf_signature *task = sign(f, "durable", NULL);
    mf_key key = mf_signature_key(task);
    mf_run *run = start(f, task, NULL);
    wait_calls(f, "durable", 1);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    ends_canceled(f, run);
    settle_down(f);
    cr_assert(eq(u32, atomic_load(&b.steps), 1));
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static mf_status waits(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    note_call(b->f, ctx, in);
    mf_status st = mf_wait_event(ctx, "order.paid", b->way == 0 ? MF_FOREVER : mf_milliseconds(30), out);
    if (st == MF_E_TIMEOUT) {
        *out = mf_msg("s", "too late");
        return MF_OK;
    }
    return st;
}

/* Until somebody waits. */
static size_t send_until_heard(fixture *f, const char *json)
{
    size_t woken = 0;
    mf_message *message = msg(json);
    for (int64_t until = mf_store_now_ms(&f->store->base) + 1000 * PATIENCE_S; woken == 0 && mf_store_now_ms(&f->store->base) < until;)
        is_status(mf_event_send(f->mage, "order.paid", message, &woken, &f->err), MF_OK);
    mf_message_unref(message);
    return woken;
}

FLOW_TEST(flow_durable, an_event_wakes_who_waits_for_it_with_its_message)
{
    body b = {0};
    declare(f, &b, waits, 0);
    size_t woken = 1;
    is_status(mf_event_send(f->mage, "order.paid", NULL, &woken, &f->err), MF_OK);
    cr_assert(eq(sz, woken, 0));        /* before anybody waits it is told to nobody */
    mf_run *run = start(f, sign(f, "durable", NULL), NULL);
    wait_calls(f, "durable", 1);
    cr_assert(eq(sz, send_until_heard(f, "{\"amount\":5}"), 1));
    ends_done(f, run, "{\"amount\":5}");
    called_once_each(f, 2);
    is_status(mf_event_send(f->mage, "order.paid", NULL, &woken, &f->err), MF_OK);
    cr_assert(eq(sz, woken, 0));
}

FLOW_TEST(flow_durable, an_event_that_does_not_come_is_over)
{
    body b = {.way = 1};
    declare(f, &b, waits, 0);
    ends_done(f, start(f, sign(f, "durable", NULL), NULL), "\"too late\"");
    called_once_each(f, 2);
}

FLOW_TEST(flow_durable, one_event_wakes_all_who_wait)
{
    mf_run *runs[100];
    size_t all = many(f, 100);
    body b = {0};
    declare(f, &b, waits, 0);
    for (size_t i = 0; i < all; i++)
        runs[i] = start(f, sign(f, "durable", NULL), NULL);
    wait_calls(f, "durable", all);
    settle_down(f);
    cr_assert(eq(sz, send_until_heard(f, "7"), all));
    for (size_t i = 0; i < all; i++)
        ends_done(f, runs[i], "7");
}

/* ---- signatures inside ----------------------------------------------------------------------------------------------- */

static mf_status starts_a_chain(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    mf_error err;
    (void)in;
    mf_signature *chain = mf_chain(b->f->mage, "inner", NULL, &err);
    chain = mf_chain_add(chain, mf_sign(b->f->mage, "add", NULL, &err), &err);
    chain = mf_chain_add(chain, mf_sign(b->f->mage, "add", NULL, &err), &err);
    mf_run *run = mf_start(chain, NULL, &err);
    mf_status st = mf_run_wait(run, PATIENCE, out, &err);
    mf_run_destroy(run);
    mf_signature_destroy(chain);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Inner", "%s", err.text);
    if (mf_context_execution_info(ctx)->attempt_number < 3)
        return mf_task_fail(ctx, MF_RETRY, "NotYet", "again");
    return MF_OK;
}

FLOW_TEST(flow_durable, a_flow_started_inside_is_started_once)
{
    body b = {0};
    declare(f, &b, starts_a_chain, 3);
    ends_done(f, start(f, sign(f, "durable", NULL), NULL), "2");
    called(f, "add", 2);
}

/* Saved by the first call, started by the second, under a unique name, and found by the others. */
static mf_status saves_and_starts(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    body *b = user;
    mf_error err = {.text = ""};
    (void)in;
    mf_signature *chain = mf_chain(b->f->mage, "inner", NULL, &err);
    chain = mf_chain_add(chain, mf_sign(b->f->mage, "add", NULL, &err), &err);
    chain = mf_chain_add(chain, mf_sign(b->f->mage, "add", NULL, &err), &err);
    uint32_t attempt = mf_context_execution_info(ctx)->attempt_number;
    mf_signature *swarm = mf_swarm(b->f->mage, b->way == 1 && attempt > 1 ? "other" : "outer", NULL, &err);
    swarm = mf_swarm_close(mf_swarm_add(swarm, chain, &err), &err);
    mf_status st = mf_signature_save(swarm, &err);
    if (st == MF_OK && attempt == 1) {
        mf_signature_destroy(swarm);
        return mf_task_fail(ctx, MF_RETRY, "NotYet", "saved, not started");
    }
    mf_run *run = st == MF_OK ? mf_start_with(swarm, NULL, MF_START_OPTIONS(.unique = "once"), &err) : NULL;
    st = run != NULL ? mf_run_wait(run, PATIENCE, out, &err) : st;
    mf_signature_destroy(swarm);
    mf_run_destroy(run);
    if (run == NULL || st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "Inner", "%s", err.text);
    return attempt < 4 ? mf_task_fail(ctx, MF_RETRY, "NotYet", "again") : MF_OK;
}

FLOW_TEST(flow_durable, a_flow_saved_inside_is_saved_and_started_once)
{
    body b = {0};
    declare(f, &b, saves_and_starts, 3);
    ends_done(f, start(f, sign(f, "durable", NULL), NULL), "[2]");
    called(f, "add", 2);
    b.way = 1;
    mf_run *run = start(f, sign(f, "durable", NULL), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "was \"outer\" and is \"other\" now");
    mf_run_destroy(run);
    called(f, "add", 2);
}
