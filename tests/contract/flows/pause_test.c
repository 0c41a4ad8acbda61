/* Suspend, interrupt, resume: nothing starts, nothing is lost, and it goes on where it stood. */
#include "kit.h"

static mf_key keyed(mf_signature *sig)
{
    return mf_signature_key(sig);
}

FLOW_TEST(flow_pause, a_suspended_chain_ends_its_step_and_goes_no_further)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", NULL), sign(f, "note", NULL));
    mf_key key = keyed(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    is_word(count(f, &key).status, MF_STATUS_SUSPENDED);
    open_gate(f);
    settle_down(f);
    called(f, "echo", 0);
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "gate", 1);
    called(f, "echo", 1);
    called(f, "note", 1);
}

FLOW_TEST(flow_pause, a_chain_suspended_in_its_last_step_ends_when_it_is_resumed)
{
    mf_signature *chain = on_success(f, CHAIN(f, sign(f, "echo", NULL), sign(f, "gate", NULL)), sign(f, "note", NULL));
    mf_key key = keyed(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    open_gate(f);
    settle_down(f);
    called(f, "note", 0);
    is_word(count(f, &key).status, MF_STATUS_SUSPENDED);
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    wait_calls(f, "note", 1);
}

FLOW_TEST(flow_pause, a_chain_whose_step_fails_meanwhile_fails_when_it_is_resumed)
{
    mf_signature *failing = sign(f, "fail", NULL);
    mf_key step = keyed(failing);
    mf_signature *chain = on_error(f, CHAIN(f, sign(f, "gate", NULL), failing), sign(f, "note", NULL));
    mf_key key = keyed(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &step, &f->err), MF_OK);
    open_gate(f);
    settle_down(f);
    called(f, "fail", 0);                                           /* the step itself waits, its chain runs */
    is_word(count(f, &key).status, MF_STATUS_ACTIVE);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    is_status(mf_resume(f->mage, &step, &f->err), MF_OK);
    settle_down(f);
    called(f, "fail", 0);                                           /* now for its chain */
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    ends_failed(f, run, "Boom: it broke");
    wait_calls(f, "note", 1);
}

FLOW_TEST(flow_pause, a_suspended_swarm_counts_on_and_starts_nothing)
{
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.max_concurrency = 2), sign(f, "gate", "{\"i\":0}"),
                                sign(f, "gate", "{\"i\":1}"), sign(f, "gate", "{\"i\":2}"), sign(f, "gate", "{\"i\":3}"));
    mf_key key = keyed(swarm);
    mf_run *run = start(f, swarm, NULL);
    wait_calls(f, "gate", 2);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    open_gate(f);
    settle_down(f);
    called(f, "gate", 2);
    is_text(counted(f, &key), "suspended: total 4, running 0, done 2, failed 0, canceled 0");
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[{\"i\":0},{\"i\":1},{\"i\":2},{\"i\":3}]");
    called(f, "gate", f->maker->quirks.twice ? calls_of(f, "gate") : 4);
}

FLOW_TEST(flow_pause, what_is_suspended_before_it_starts_waits_to_start)
{
    mf_signature *task = sign(f, "add", "{\"by\":5}");
    mf_key key = keyed(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    cr_assert(eq(ptr, mf_start(task, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_STATE);
    has_text(f->err.text, "is suspended");
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    ends_done(f, start(f, task, "{\"n\":1}"), "6");
}

FLOW_TEST(flow_pause, a_swarm_inside_a_suspended_chain_starts_when_that_is_resumed)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), SWARM(f, NULL, sign(f, "note", NULL), sign(f, "note", NULL)));
    mf_key key = keyed(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_OK);
    open_gate(f);
    settle_down(f);
    called(f, "note", 0);
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[null,null]");
    called(f, "note", 2);
}

FLOW_TEST(flow_pause, an_interrupted_task_stops_and_runs_again_as_the_same_attempt)
{
    mf_signature *chain = CHAIN(f, sign(f, "interruptible", NULL), sign(f, "note", NULL));
    mf_key key = keyed(chain);
    mf_run *run = start(f, chain, "{\"a\":1}");
    wait_calls(f, "interruptible", 1);
    is_status(mf_interrupt(f->mage, &key, &f->err), MF_OK);
    settle_down(f);
    called(f, "interruptible", 1);
    is_word(count(f, &key).status, MF_STATUS_INTERRUPTED);
    open_gate(f);
    is_status(mf_resume(f->mage, &key, &f->err), MF_OK);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "interruptible", 2);
    cr_assert(eq(u32, call_of(f, "interruptible", 1).attempt, 1));
    is_value(call_of(f, "interruptible", 1).in, "{\"a\":1}");
}

FLOW_TEST(flow_pause, a_cancel_ends_what_is_suspended_with_all_it_held_back)
{
    mf_signature *inner = CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL));
    mf_key in = keyed(inner);
    mf_signature *outer = SWARM(f, NULL, inner, sign(f, "note", NULL));
    mf_key out = keyed(outer);
    mf_run *run = start(f, outer, NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_suspend(f->mage, &in, &f->err), MF_OK);
    open_gate(f);
    settle_down(f);
    is_status(mf_cancel(f->mage, &out, &f->err), MF_OK);
    ends_canceled(f, run);
    settle_down(f);
    is_word(count(f, &in).status, MF_STATUS_CANCELED);      /* although nothing of it could be claimed any more */
    is_text(counted(f, &out), "canceled: total 2, running 0, done 1, failed 0, canceled 1");
    called(f, "note", 1);
    size_t waiting, claimed;
    mf_store_load_counts(&f->store->base, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 0));
}

FLOW_TEST(flow_pause, verbs_that_do_not_fit_say_how_it_stands)
{
    mf_signature *task = sign(f, "gate", NULL);
    mf_key key = keyed(task), none = key;
    memset(none.text + 5, 'a', 25);
    mf_run *run = start(f, task, NULL);
    is_status(mf_resume(f->mage, &key, &f->err), MF_E_STATE);
    has_text(f->err.text, "cannot resume");
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    mf_status (*const verbs[])(mf_client *, const mf_key *, mf_error *) = {mf_suspend, mf_interrupt, mf_resume, mf_cancel};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        is_status(verbs[i](f->mage, &key, &f->err), MF_E_STATE);
        has_text(f->err.text, "has ended already, it is done");
        is_status(verbs[i](f->mage, &none, &f->err), MF_E_NOT_FOUND);
        has_text(f->err.text, "there is no signature");
    }
}
