/* Ends that somebody asks for. */
#include "kit.h"

static void cancel(fixture *f, const mf_key *key)
{
    cr_assert(eq(int, mf_cancel(f->mage, key, &f->err), MF_OK), "%s: %s", f->maker->name, f->err.text);
}

/* Every thread is at the gate: what is started next can be sent, and cannot begin. */
static void block_threads(fixture *f, mf_run **runs)
{
    for (int i = 0; i < THREADS; i++)
        runs[i] = start(f, sign(f, "gate", NULL), NULL);
    wait_calls(f, "gate", THREADS);
}

static void release_threads(fixture *f, mf_run **runs)
{
    open_gate(f);
    for (int i = 0; i < THREADS; i++)
        ends_done(f, runs[i], "null");
}

FLOW_TEST(flow_cancel, a_task_canceled_before_it_runs_never_does)
{
    mf_run *blocked[THREADS];
    block_threads(f, blocked);
    mf_run *run = start(f, on_error(f, on_success(f, sign(f, "add", NULL), sign(f, "echo", NULL)), sign(f, "echo", NULL)), NULL);
    mf_key key = mf_run_key(run);
    cancel(f, &key);
    ends_canceled(f, run);
    release_threads(f, blocked);
    settle_down(f);
    called(f, "add", 0);
    called(f, "echo", 0);
    is_word(count(f, &key).status, MF_STATUS_CANCELED);
}

FLOW_TEST(flow_cancel, a_swarm_canceled_before_its_items_run_starts_none)
{
    mf_run *blocked[THREADS];
    block_threads(f, blocked);
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (int i = 0; i < 10; i++)
        swarm = mf_swarm_add(swarm, sign(f, "add", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    mf_key key = mf_run_key(run);
    cancel(f, &key);
    ends_canceled(f, run);
    release_threads(f, blocked);
    settle_down(f);
    called(f, "add", 0);
}

FLOW_TEST(flow_cancel, a_running_task_is_asked_to_stop)
{
    mf_run *run = start(f, sign(f, "linger", NULL), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);     /* comes to an end, for linger sleeps until it is asked to stop */
    called(f, "linger", 1);
}

FLOW_TEST(flow_cancel, it_is_not_tried_again)
{
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "flaky", NULL)), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 1);
    cancel(f, &key);
    open_gate(f);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "flaky", 0);
}

FLOW_TEST(flow_cancel, of_a_chain_ends_the_running_step_and_starts_no_other)
{
    mf_signature *chain = CHAIN(f, sign(f, "echo", NULL), sign(f, "linger", NULL), sign(f, "note", NULL));
    mf_run *run = start(f, on_error(f, on_success(f, chain, sign(f, "note", NULL)), sign(f, "note", NULL)), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "note", 0);
    is_text(counted(f, &key), "canceled: total 3, running 0, done 1, failed 0, canceled 1");
}

FLOW_TEST(flow_cancel, of_a_swarm_ends_its_items_and_starts_no_other)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 2), &f->err);
    for (int i = 0; i < 8; i++)
        swarm = mf_swarm_add(swarm, sign(f, "linger", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 2);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "linger", 2);
    is_text(counted(f, &key), "canceled: total 8, running 0, done 0, failed 0, canceled 2");
}

FLOW_TEST(flow_cancel, reaches_what_runs_far_below)
{
    mf_signature *deep = SWARM(f, NULL, sign(f, "linger", NULL), CHAIN(f, sign(f, "linger", NULL), sign(f, "note", NULL)));
    mf_signature *outer = CHAIN(f, sign(f, "echo", NULL), SWARM(f, NULL, deep), sign(f, "note", NULL));
    mf_run *run = start(f, outer, NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 2);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_cancel, of_a_part_leaves_the_rest_running)
{
    mf_signature *inner = CHAIN(f, sign(f, "linger", NULL), sign(f, "note", NULL));
    mf_key key = mf_signature_key(inner);
    mf_run *run = start(f, SWARM(f, NULL, inner, sign(f, "gate", NULL)), NULL);
    mf_key swarm = mf_run_key(run);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    open_gate(f);
    ends_done(f, run, "[null,null]");
    settle_down(f);
    called(f, "note", 0);
    is_text(counted(f, &swarm), "done: total 2, running 0, done 1, failed 0, canceled 1");
}

FLOW_TEST(flow_cancel, of_a_step_with_a_key_cancels_its_chain)
{
    mf_signature *step = on_success(f, sign(f, "linger", NULL), sign(f, "note", NULL));
    mf_key key = mf_signature_key(step);
    mf_run *run = start(f, CHAIN(f, sign(f, "echo", NULL), step, sign(f, "note", NULL)), NULL);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_cancel, comes_too_late_after_the_end)
{
    mf_run *run = start(f, sign(f, "add", NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "1");
    is_status(mf_cancel(f->mage, &key, &f->err), MF_E_STATE);
    has_text(f->err.text, "has ended already");
    is_word(count(f, &key).status, MF_STATUS_DONE);
}

FLOW_TEST(flow_cancel, the_second_one_comes_too_late)
{
    mf_run *run = start(f, sign(f, "linger", NULL), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_E_STATE);
    ends_canceled(f, run);
}

FLOW_TEST(flow_cancel, a_key_nobody_knows_is_not_found)
{
    mf_key key;
    is_status(mf_key_parse(MF_STR_LIT("chain-0000000000000000000000000"), &key, &f->err), MF_OK);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_E_NOT_FOUND);
    is_text(f->err.text, "there is no signature chain-0000000000000000000000000");
    cr_assert(eq(ptr, mf_run_open(f->mage, &key, &f->err), NULL));
    is_status(f->err.status, MF_E_NOT_FOUND);
    mf_counts counts;
    is_status(mf_count(f->mage, &key, &counts, &f->err), MF_E_NOT_FOUND);
}

/* ---- by the task itself ---------------------------------------------------------------------------------------------- */

static mf_status cancels_itself(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    if (mf_context_cancel(ctx) != MF_OK || !mf_context_stop_requested(ctx))
        return MF_OK;
    return mf_task_fail(ctx, MF_RETRY, "Ignored", "what it returns counts as canceled");
}

FLOW_TEST(flow_cancel, a_task_that_cancels_itself_is_canceled_without_a_retry)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "self", .run = cancels_itself, .user = f, .retries = 3), &f->err), MF_OK);
    mf_signature *sig = on_error(f, on_success(f, sign(f, "self", NULL), sign(f, "note", NULL)), sign(f, "note", NULL));
    mf_run *run = start(f, sig, NULL);
    mf_key key = mf_run_key(run);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "self", 1);
    called(f, "note", 0);
    is_word(count(f, &key).status, MF_STATUS_CANCELED);
}

FLOW_TEST(flow_cancel, a_step_that_cancels_itself_cancels_its_chain)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "self", .run = cancels_itself, .user = f), &f->err), MF_OK);
    ends_canceled(f, start(f, CHAIN(f, sign(f, "self", NULL), sign(f, "note", NULL)), NULL));
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_cancel, an_item_that_cancels_itself_is_one_canceled_item)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "self", .run = cancels_itself, .user = f), &f->err), MF_OK);
    mf_run *run = start(f, SWARM(f, MF_SWARM_OPTIONS(.stop_after_failures = 1), sign(f, "self", NULL), sign(f, "add", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[null,1]");
    is_text(counted(f, &key), "done: total 2, running 0, done 1, failed 0, canceled 1");
}

FLOW_TEST(flow_cancel, a_step_canceled_before_its_turn_ends_its_chain)
{
    mf_signature *second = sign(f, "add", NULL);
    mf_key key = mf_signature_key(second);
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), second), NULL);
    wait_calls(f, "gate", 1);
    cancel(f, &key);
    open_gate(f);
    ends_canceled(f, run);
    settle_down(f);
    called(f, "add", 0);
}

static void cancel_again(void *user, const mf_key *key)
{
    fixture *f = user;
    mf_error err;
    (void)!mf_cancel(f->mage, key, &err);
}

FLOW_TEST(flow_cancel, a_callback_of_the_end_may_cancel_and_does_not_wait_for_itself)
{
    mf_run *run = start(f, sign(f, "linger", NULL), NULL);
    mf_key key = mf_run_key(run);
    is_status(mf_run_on_end(run, cancel_again, f), MF_OK);
    wait_calls(f, "linger", 1);
    cancel(f, &key);
    ends_canceled(f, run);
    settle_down(f);
}
