/* Edits of stored signatures, and locks on them. */
#include "kit.h"

FLOW_TEST(flow_edit, kwargs_are_merged_deeply_and_win)
{
    mf_signature *step = sign(f, "echo", "{\"a\":{\"x\":1,\"y\":2}}");
    mf_key key = mf_signature_key(step);
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), step), NULL);
    wait_calls(f, "gate", 1);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"a\":{\"y\":3},\"b\":1}"), &f->err), MF_OK);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"c\":true}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    open_gate(f);
    ends_done(f, run, "{\"mageflow_results\":null,\"a\":{\"x\":1,\"y\":3},\"b\":1,\"c\":true}");
}

FLOW_TEST(flow_edit, a_containers_kwargs_reach_what_starts_after_the_edit)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", NULL));
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"k\":1}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    open_gate(f);
    ends_done(f, run, "{\"mageflow_results\":null,\"k\":1}");
}

FLOW_TEST(flow_edit, many_signatures_change_together_or_not_at_all)
{
    mf_signature *one = sign(f, "echo", "{\"v\":1}"), *two = sign(f, "echo", "{\"v\":2}");
    mf_key first = mf_signature_key(one), second = mf_signature_key(two), none = first;
    memset(none.text + 5, 'a', 25);
    is_status(mf_signature_save(one, &f->err), MF_OK);
    is_status(mf_signature_save(two, &f->err), MF_OK);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &first, msg("{\"v\":10}"), &f->err), MF_OK);
    is_status(mf_edit_kwargs(edit, &none, msg("{\"v\":10}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_E_NOT_FOUND);
    edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &second, msg("{\"v\":20}"), &f->err), MF_OK);
    is_status(mf_edit_kwargs(edit, &first, msg("{\"w\":1}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    ends_done(f, start(f, one, NULL), "{\"v\":1,\"w\":1}");
    ends_done(f, start(f, two, NULL), "{\"v\":20}");
}

FLOW_TEST(flow_edit, kwargs_that_break_the_tasks_fields_are_refused_by_name)
{
    mf_signature *task = sign(f, "path", "{\"path\":\"a\"}");
    mf_key key = mf_signature_key(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"width\":\"wide\"}"), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_E_INVALID);
    has_text(f->err.text, "task \"path\"");
    has_text(f->err.text, "width");
    ends_done(f, start(f, task, NULL), "\"a\"");
}

FLOW_TEST(flow_edit, dropped_changes_nothing)
{
    mf_signature *task = sign(f, "echo", NULL);
    mf_key key = mf_signature_key(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_kwargs(edit, &key, msg("{\"a\":1}"), &f->err), MF_OK);
    is_status(mf_edit_priority(edit, &key, 3, &f->err), MF_OK);
    mf_edit_drop(edit);
    mf_edit_drop(NULL);
    ends_done(f, start(f, task, NULL), "null");
}

/* ---- locks ----------------------------------------------------------------------------------------------------------- */

FLOW_TEST(flow_lock, nobody_changes_what_is_locked_and_what_ends_meanwhile_waits)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL));
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    uint64_t lock = 0, other = 0;
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_OK);
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &other, &f->err), MF_E_STATE);
    has_text(f->err.text, "is locked for");
    is_status(mf_cancel(f->mage, &key, &f->err), MF_E_STATE);
    is_status(mf_suspend(f->mage, &key, &f->err), MF_E_STATE);
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ALL, &f->err), MF_E_STATE);
    open_gate(f);
    /* The gate's end is known by now or soon, and must not move the chain. */
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_OK);
    is_text(counted(f, &key), "active: total 2, running 1, done 0, failed 0, canceled 0");
    called(f, "note", 0);
    is_status(mf_unlock(f->mage, &key, lock, &f->err), MF_OK);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "note", 1);
    is_status(mf_unlock(f->mage, &key, lock, &f->err), MF_E_STALE);
}

FLOW_TEST(flow_lock, a_lease_that_is_over_holds_nothing)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL));
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(f, chain, NULL);
    wait_calls(f, "gate", 1);
    uint64_t lock = 0;
    is_status(mf_lock(f->mage, &key, mf_milliseconds(80), &lock, &f->err), MF_OK);
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    called(f, "note", 1);
}

FLOW_TEST(flow_lock, a_locked_task_does_not_start)
{
    mf_signature *task = sign(f, "note", NULL);
    mf_key key = mf_signature_key(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    uint64_t lock = 0;
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_OK);
    mf_run *run = mf_start(task, NULL, &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    is_word(count(f, &key).status, MF_STATUS_PENDING);
    called(f, "note", 0);
    is_status(mf_unlock(f->mage, &key, lock, &f->err), MF_OK);
    ends_done(f, run, "null");
    mf_signature_destroy(task);
}

/* Who held it too short is told so, since it may have changed meanwhile. */
FLOW_TEST(flow_lock, a_lease_that_is_over_is_not_begun_anew)
{
    mf_signature *task = sign(f, "note", NULL);
    mf_key key = mf_signature_key(task);
    is_status(mf_signature_save(task, &f->err), MF_OK);
    uint64_t lock = 0, other = 0;
    is_status(mf_lock(f->mage, &key, mf_milliseconds(1), &lock, &f->err), MF_OK);
    int64_t until = mf_store_now_ms(&f->store->base) + 1000 * PATIENCE_S;
    while (mf_lock(f->mage, &key, mf_minutes(1), &other, &f->err) == MF_E_STATE && mf_store_now_ms(&f->store->base) < until)
        sched_yield();
    cr_assert(ne(u64, other, 0));
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_E_STATE);       /* another's now */
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &other, &f->err), MF_OK);
    is_status(mf_unlock(f->mage, &key, other, &f->err), MF_OK);
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_E_STALE);
    ends_done(f, start(f, task, NULL), "null");
}

FLOW_TEST(flow_lock, what_has_ended_can_be_locked_against_its_removal_and_edits)
{
    mf_signature *task = sign(f, "echo", NULL);
    mf_key key = mf_signature_key(task);
    ends_done(f, start(f, task, NULL), "null");
    uint64_t lock = 0;
    is_status(mf_lock(f->mage, &key, mf_minutes(1), &lock, &f->err), MF_OK);
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ALONE, &f->err), MF_E_STATE);
    has_text(f->err.text, "is locked for");
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_ttl(edit, &key, mf_minutes(1), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_E_STATE);
    has_text(f->err.text, "is locked for");
    is_status(mf_unlock(f->mage, &key, lock, &f->err), MF_OK);
    is_status(mf_remove(f->mage, &key, MF_REMOVE_ALONE, &f->err), MF_OK);
}
