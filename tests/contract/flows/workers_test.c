/* Who serves tells the others, until it takes that back or its word is too old. */
#include "kit.h"

#include <mageflow/inspect.h>
#include <mageflow/workers.h>

#include <sched.h>

static size_t count_workers(fixture *f)
{
    mf_worker_note notes[4];
    size_t got;
    is_status(mf_workers_page(f->mage, NULL, 4, notes, &got, &f->err), MF_OK);
    for (size_t i = 0; i < got; i++)
        mf_message_unref(notes[i].told);
    return got;
}

static bool names(mf_value list, const char *name)
{
    mf_value item;
    mf_str text;
    for (mf_iter iter = mf_value_iter(list); mf_iter_next(&iter, NULL, &item);)
        if (mf_value_str(item, &text) == MF_OK && mf_str_eq(text, mf_cstr(name)))
            return true;
    return false;
}

/* A client that serves, with a call of "gate" that runs; false: its store has nobody to tell. */
static bool serve_a_gate(fixture *f, mf_run **run)
{
    *run = start(f, sign(f, "gate", NULL), NULL);
    if (mf_serve(f->mage, NULL, &f->err) != MF_OK)
        is_status(f->err.status, MF_E_STATE);       /* the start did */
    wait_calls(f, "gate", 1);
    if (f->store->ops.shared)
        return true;
    is_status(mf_workers_announce(f->mage, mf_minutes(1), &f->err), MF_E_UNSUPPORTED);
    is_status(mf_workers_renounce(f->mage, &f->err), MF_OK);
    return false;
}

FLOW_TEST(flow_workers, who_serves_tells_its_tasks_and_what_it_runs_until_it_takes_that_back)
{
    mf_run *run;
    mf_worker_note note;
    size_t got;
    if (serve_a_gate(f, &run)) {
        mf_key key = mf_run_key(run);
        is_status(mf_workers_announce(f->mage, mf_minutes(1), &f->err), MF_OK);
        is_status(mf_workers_announce(f->mage, mf_minutes(1), &f->err), MF_OK);
        is_status(mf_workers_page(f->mage, NULL, 1, &note, &got, &f->err), MF_OK);
        cr_assert(eq(sz, got, 1));
        cr_assert(gt(i64, note.expires_ms, mf_inspect_now_ms(f->mage)));
        uint64_t running = 0, attempt = 0;
        int64_t told_ms = 0;
        mf_str task, of;
        mf_value tasks;
        is_status(mf_message_scan(note.told, &f->err, "{s:I, s:U, s:[{s:S, s:S, s:U}], s:v}", "told_ms", &told_ms, "running",
                                  &running, "calls", "task", &task, "key", &of, "attempt", &attempt, "tasks", &tasks), MF_OK);
        is_past(f, told_ms);
        cr_assert(all(eq(u64, running, 1), eq(u64, attempt, 1)));
        cr_assert(mf_str_eq(task, MF_STR_LIT("gate")));
        cr_assert(mf_str_eq(of, mf_cstr(key.text)));
        cr_assert(names(tasks, "flaky"));
        char after[sizeof note.name];
        memcpy(after, note.name, sizeof after);
        mf_message_unref(note.told);
        is_status(mf_workers_page(f->mage, after, 1, &note, &got, &f->err), MF_OK);
        cr_assert(eq(sz, got, 0));
        is_status(mf_workers_renounce(f->mage, &f->err), MF_OK);
        cr_assert(eq(sz, count_workers(f), 0));
    }
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
}

FLOW_TEST(flow_workers, what_is_not_told_again_is_not_believed_for_long)
{
    mf_run *run;
    if (serve_a_gate(f, &run)) {
        is_status(mf_workers_announce(f->mage, mf_milliseconds(1), &f->err), MF_OK);
        while (count_workers(f) > 0)
            sched_yield();
    }
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
}

FLOW_TEST(flow_workers, who_does_not_serve_has_nothing_to_tell)
{
    is_status(mf_workers_announce(f->mage, 0, &f->err), MF_E_INVALID);
    is_status(mf_workers_announce(f->mage, MF_FOREVER, &f->err), MF_E_INVALID);
    if (f->store->ops.shared && !f->maker->quirks.outside)
        is_status(mf_workers_announce(f->mage, mf_minutes(1), &f->err), MF_E_STATE);
    cr_assert(eq(sz, count_workers(f), 0));
}
