/* Removal: a record goes, with what stands in it; branches that will not be taken go by themselves. */
#include "kit.h"

static void is_there(fixture *f, const mf_key *key, bool there)
{
    mf_counts counts;
    is_status(mf_count(f->mage, key, &counts, &f->err), there ? MF_OK : MF_E_NOT_FOUND);
}

FLOW_TEST(flow_removal, success_takes_the_error_branch_away_and_failure_the_success_branch)
{
    for (int fails = 0; fails < 2; fails++) {
        mf_signature *well = sign(f, "note", NULL), *badly = CHAIN(f, sign(f, "note", NULL), sign(f, "echo", NULL));
        mf_key on_well = mf_signature_key(well), on_bad = mf_signature_key(badly);
        mf_signature *task = on_error(f, on_success(f, sign(f, fails ? "fail" : "echo", NULL), well), badly);
        mf_run *run = start(f, task, NULL);
        is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), fails ? MF_E_TASK_FAILED : MF_OK);
        mf_run_destroy(run);
        settle_down(f);
        is_there(f, &on_well, !fails);
        is_there(f, &on_bad, fails);
    }
    called(f, "note", 2);
}

FLOW_TEST(flow_removal, a_cancel_takes_both_branches_away)
{
    mf_signature *well = sign(f, "note", NULL), *badly = sign(f, "note", NULL);
    mf_key on_well = mf_signature_key(well), on_bad = mf_signature_key(badly);
    mf_signature *task = on_error(f, on_success(f, sign(f, "linger", NULL), well), badly);
    mf_key key = mf_signature_key(task);
    mf_run *run = start(f, task, NULL);
    wait_calls(f, "linger", 1);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    ends_canceled(f, run);
    is_there(f, &on_well, false);
    is_there(f, &on_bad, false);
    settle_down(f);
    called(f, "note", 0);
}

FLOW_TEST(flow_removal, what_runs_is_stopped_and_goes_with_everything_in_it)
{
    mf_signature *step = sign(f, "note", NULL);
    mf_key inside = mf_signature_key(step);
    mf_signature *well = sign(f, "note", NULL);
    mf_key callback = mf_signature_key(well);
    mf_signature *chain = on_success(f, CHAIN(f, sign(f, "linger", NULL), step), well);
    mf_key key = mf_signature_key(chain);
    mf_run_destroy(start(f, chain, NULL));
    wait_calls(f, "linger", 1);
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ERROR, &f->err), MF_OK);
    settle_down(f);
    is_there(f, &key, false);
    is_there(f, &inside, false);
    is_there(f, &callback, true);       /* it was not named: it can still be started by its key */
    mf_signature *left = mf_signature_load(f->mage, &callback, &f->err);
    ends_done(f, start(f, left, NULL), "null");
    called(f, "note", 1);
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ALL, &f->err), MF_E_NOT_FOUND);
}

FLOW_TEST(flow_removal, callbacks_go_along_where_that_is_asked)
{
    static const mf_removes ways[] = {MF_REMOVE_ALONE, MF_REMOVE_SUCCESS, MF_REMOVE_ERROR, MF_REMOVE_ALL};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        mf_signature *well = sign(f, "note", NULL), *badly = sign(f, "note", NULL);
        mf_key on_well = mf_signature_key(well), on_bad = mf_signature_key(badly);
        mf_signature *task = on_error(f, on_success(f, sign(f, "echo", NULL), well), badly);
        mf_key key = mf_signature_key(task);
        is_status(mf_signature_save(task, &f->err), MF_OK);
        is_status(mf_remove(f->mage, &key, ways[i], &f->err), MF_OK);
        is_there(f, &key, false);
        is_there(f, &on_well, (ways[i] & MF_REMOVE_SUCCESS) == 0);
        is_there(f, &on_bad, (ways[i] & MF_REMOVE_ERROR) == 0);
        mf_signature_destroy(task);
    }
}

FLOW_TEST(flow_removal, a_step_that_was_removed_fails_its_chain)
{
    mf_signature *step = sign(f, "note", NULL);
    mf_key inside = mf_signature_key(step);
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), step), NULL);
    wait_calls(f, "gate", 1);
    is_status(mf_remove(f->mage, &inside, MF_REMOVE_ALL, &f->err), MF_OK);
    open_gate(f);
    ends_failed(f, run, "Removed: the signature was removed before it ended");
    called(f, "note", 0);
}

FLOW_TEST(flow_removal, an_item_that_was_removed_while_it_ran_has_failed)
{
    mf_signature *item = sign(f, "linger", NULL);
    mf_key inside = mf_signature_key(item);
    mf_signature *swarm = SWARM(f, NULL, item, sign(f, "add", NULL));
    mf_key key = mf_signature_key(swarm);
    mf_run *run = start(f, swarm, NULL);
    wait_calls(f, "linger", 1);
    is_status(mf_remove(f->mage, &inside, MF_REMOVE_ALL, &f->err), MF_OK);
    ends_done(f, run, "[null,1]");
    is_text(counted(f, &key), "done: total 2, running 0, done 1, failed 1, canceled 0");
}
