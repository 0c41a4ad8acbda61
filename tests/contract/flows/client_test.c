/* The client around the flows: logs and progress, calls by name, draining, closing, forking. */
#include "kit.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- what a task says ------------------------------------------------------------------------------------------------ */

static mf_status talker(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out;
    fixture *f = user;
    mf_message *progress = mf_msg("{s:i}", "percent", 50);
    mf_status st = mf_context_log(ctx, "line %d of %s", 1, "two");
    if (st == MF_OK)
        st = mf_context_log(ctx, "%s", "a second one");
    if (st == MF_OK)
        st = mf_context_progress(ctx, progress);
    mf_message_unref(progress);
    progress = mf_msg("{oops");
    if (mf_context_progress(ctx, progress) != MF_E_INVALID)
        st = MF_E_FINAL;
    mf_message_unref(progress);
    note_call(f, ctx, in);
    return st;
}

FLOW_TEST(flow_client, a_tasks_log_is_read_back_line_by_line)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "talker", .run = talker, .user = f), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "talker", NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "null");
    char *line = NULL;
    is_status(mf_log_line(f->mage, &key, 0, &line), MF_OK);
    is_text(line, "line 1 of two");
    mf_text_free(f->mage, line);
    is_status(mf_log_line(f->mage, &key, 1, &line), MF_OK);
    is_text(line, "a second one");
    mf_text_free(f->mage, line);
    is_status(mf_log_line(f->mage, &key, 2, &line), MF_E_NOT_FOUND);
    mf_text_free(f->mage, NULL);
}

FLOW_TEST(flow_client, the_last_progress_can_be_asked_for)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "talker", .run = talker, .user = f), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "talker", NULL), NULL), *silent = start(f, sign(f, "add", NULL), NULL);
    mf_key key = mf_run_key(run), quiet = mf_run_key(silent);
    ends_done(f, run, "null");
    ends_done(f, silent, "1");
    mf_message *progress = NULL;
    is_status(mf_progress(f->mage, &key, &progress), MF_OK);
    is_json(progress, "{\"percent\":50}");
    mf_message_unref(progress);
    is_status(mf_progress(f->mage, &quiet, &progress), MF_E_NOT_FOUND);
}

/* ---- calls by name --------------------------------------------------------------------------------------------------- */

FLOW_TEST(flow_workflow, runs_by_name_and_gives_the_result)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL, *in = msg("{\"n\":4,\"by\":3}");
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "add", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, in, PATIENCE, &result, &f->err), MF_OK);
    is_json(result, "7");
    mf_key key = call_of(f, "add", 0).signature;
    cr_assert(not(mf_key_is_set(&key)));
    mf_message_unref(result);
    mf_message_unref(in);
    mf_workflow_destroy(w);
}

FLOW_TEST(flow_workflow, a_failure_is_told_with_its_text)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "fail", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, PATIENCE, &result, &f->err), MF_E_TASK_FAILED);
    is_text(f->err.text, "Boom: it broke");
    mf_workflow_destroy(w);
}

FLOW_TEST(flow_workflow, a_retry_is_waited_for)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL, *in = msg("{\"good\":3}");
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "flaky", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, in, PATIENCE, &result, &f->err), MF_OK);
    is_json(result, "3");
    called(f, "flaky", 3);
    mf_message_unref(in);
    mf_message_unref(result);
    mf_workflow_destroy(w);
}

FLOW_TEST(flow_workflow, waiting_has_a_deadline_and_a_late_answer_harms_nobody)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "gate", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, mf_milliseconds(1), &result, &f->err), MF_E_TIMEOUT);
    open_gate(f);
    settle_down(f);
    mf_workflow_destroy(w);
}

FLOW_TEST(flow_workflow, many_are_sent_at_once)
{
    mf_workflow *w = NULL;
    mf_message *in = msg("{\"a\":1}");
    const mf_message *many[] = {in, NULL, in, in, NULL};
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "note", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_many(w, many, 5, 0, &f->err), MF_OK);
    is_status(mf_workflow_run_many(w, NULL, 0, 0, &f->err), MF_OK);
    is_status(mf_workflow_run(w, in, &f->err), MF_OK);
    mf_message_unref(in);
    mf_workflow_destroy(w);
    settle_down(f);
    called(f, "note", 6);
    size_t nil = 0;
    for (size_t i = 0; i < 6; i++)
        nil += strcmp(call_of(f, "note", i).in, f->maker->quirks.maps ? "{}" : "null") == 0;
    cr_assert(eq(sz, nil, 2));
}

FLOW_TEST(flow_workflow, a_delayed_one_comes_when_it_is_due)
{
    mf_workflow *w = NULL;
    serve_fixture(f);
    is_status(mf_workflow_open(f->mage, "note", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_many(w, (const mf_message *const[]){NULL}, 1, mf_milliseconds(50), &f->err), MF_OK);
    spy_sent sent;
    if (f->maker->quirks.outside) {
        wait_calls(f, "note", 1);
        mf_workflow_destroy(w);
        return;
    }
    cr_assert(spy_store_sent(f->store, "note", 1, &sent));
    cr_assert(all(gt(i64, sent.due_ms, 0), le(i64, sent.delay_ms, 50)));
    wait_calls(f, "note", 1);
    cr_assert(mf_store_now_ms(&f->store->base) >= sent.due_ms || !exact_clock(f));
    mf_workflow_destroy(w);
}

FLOW_TEST(flow_workflow, a_name_nobody_declared_is_refused)
{
    mf_workflow *w = NULL;
    is_status(mf_workflow_open(f->mage, "resize", &w, &f->err), MF_E_UNKNOWN_TASK);
    cr_assert(eq(ptr, w, NULL));
}

/* ---- the worker ------------------------------------------------------------------------------------------------------ */

FLOW_TEST(flow_client, drain_waits_for_everything_that_is_due)
{
    is_status(mf_drain(f->mage, 0), MF_OK);     /* nothing was started */
    mf_run_destroy(start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", NULL), sign(f, "note", NULL)), NULL));
    wait_calls(f, "gate", 1);
    is_status(mf_drain(f->mage, mf_milliseconds(1)), MF_E_TIMEOUT);
    open_gate(f);
    is_status(mf_drain(f->mage, PATIENCE), MF_OK);
    called(f, "note", 1);
}

typedef struct hooks {
    unsigned starts, stops;
} hooks;

static void on_start(void *user)
{
    ((hooks *)user)->starts++;
}

static void on_stop(void *user)
{
    ((hooks *)user)->stops++;
}

FLOW_TEST(flow_client, a_worker_is_started_once_and_its_hooks_are_called)
{
    hooks h = {0};
    is_status(mf_serve(f->mage, &(mf_worker_options){.struct_size = 0}, &f->err), MF_E_INVALID);
    if (f->maker->quirks.outside) {
        serve_fixture(f);
        is_status(mf_serve(f->mage, MF_WORKER_OPTIONS(.threads = 2), &f->err), MF_E_STATE);
        return;
    }
    is_status(mf_serve(f->mage, MF_WORKER_OPTIONS(.threads = 2, .on_start = on_start, .on_stop = on_stop, .user = &h), &f->err),
              MF_OK);
    is_status(mf_serve(f->mage, NULL, &f->err), MF_E_STATE);
    ends_done(f, start(f, sign(f, "add", NULL), NULL), "1");
    cr_assert(all(eq(uint, h.starts, 1), eq(uint, h.stops, 0)));
    mf_client_destroy(f->mage);
    f->mage = NULL;
    cr_assert(all(eq(uint, h.starts, 1), eq(uint, h.stops, 1)));
}

FLOW_TEST(flow_client, tells_whether_unfinished_work_ends_with_this_process)
{
    cr_assert(ne(int, mf_client_in_process(f->mage), f->maker->quirks.outside));
    if (f->maker->quirks.outside)
        return;
    cr_assert(eq(int, mf_client_durable(f->mage), f->maker->store != NULL));
}

FLOW_TEST(flow_client, destroying_it_asks_what_runs_to_stop_and_frees_what_waits)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.max_concurrency = 3), &f->err);
    for (int i = 0; i < 20; i++)
        swarm = mf_swarm_add(swarm, sign(f, "linger", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), "{\"a\":1}");
    mf_run_destroy(start(f, sign(f, "flaky", NULL), "{\"good\":3}"));
    wait_calls(f, "linger", 3);
    mf_run_destroy(run);
    mf_client_destroy(f->mage);
    f->mage = NULL;
}

typedef struct wait_seen {
    fixture  *f;
    mf_status run;
} wait_seen;

/* Waits, as a task, for what ends by being asked to stop and then has no outcome. */
static mf_status waits_for_linger(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    wait_seen *seen = user;
    mf_error err;
    (void)ctx, (void)in, (void)out;
    mf_signature *sig = mf_sign(seen->f->mage, "linger", NULL, &err);
    mf_run *run = mf_start(sig, NULL, &err);
    mf_signature_destroy(sig);
    seen->run = mf_run_wait(run, MF_FOREVER, NULL, &err);
    mf_run_destroy(run);
    return MF_OK;
}

FLOW_TEST(flow_client, destroying_it_ends_the_waits_of_its_tasks)
{
    wait_seen seen = {.f = f};
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "waits", .run = waits_for_linger, .user = &seen), &f->err), MF_OK);
    mf_run_destroy(start(f, sign(f, "waits", NULL), NULL));
    wait_calls(f, "linger", 1);
    mf_client_destroy(f->mage);
    f->mage = NULL;
    is_status(seen.run, MF_E_CANCELED);
}

FLOW_TEST(flow_client, a_task_that_waits_hears_that_it_is_canceled)
{
    wait_seen seen = {.f = f};
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "waits", .run = waits_for_linger, .user = &seen), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "waits", NULL), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "linger", 1);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_CANCELED);
    mf_run_destroy(run);
    mf_client_destroy(f->mage);     /* ends what it waited for, which still ran */
    f->mage = NULL;
    is_status(seen.run, MF_E_CANCELED);
}

FLOW_TEST(flow_client, destroying_it_under_load_loses_no_memory)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (size_t i = 0; i < many(f, 500); i++)
        swarm = mf_swarm_add(swarm, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), &f->err);
    mf_run_destroy(start(f, mf_swarm_close(swarm, &f->err), "{\"n\":1}"));
    wait_calls(f, "add", 20);
    mf_client_destroy(f->mage);
    f->mage = NULL;
}

FLOW_TEST(flow_client, a_task_gone_from_this_process_fails_and_says_so)
{
    if (f->maker->quirks.unserved_waits)
        return;
    mf_spec *spec = mf_spec_create(&f->counting.allocator, MF_KIND_TASK, MF_STR_LIT("vanished"));
    mf_refusal refusal;
    mf_run *run = start(f, sign(f, "gate", NULL), NULL);        /* so that somebody serves */
    is_status(mf_key_parse(MF_STR_LIT("task-0000000000000000000000042"), &spec->key, &f->err), MF_OK);
    mf_key key = spec->key;
    mf_state state = {.status = MF_STATUS_PENDING};
    mf_entry entry = {.spec = spec, .unit = {.key = key}, .attempt = 1};
    is_status(mf_store_commit(&f->store->base, &(mf_batch){.puts = &(mf_put){spec, &state}, .put_count = 1, .entries = &entry,
                                                           .entry_count = 1}, &refusal, &f->err), MF_OK);
    mf_spec_unref(spec);
    mf_run *vanished = mf_run_open(f->mage, &key, &f->err);
    is_status(mf_run_wait(vanished, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "UnknownTask: no task \"vanished\" was declared; known: ");
    mf_run_destroy(vanished);
    open_gate(f);
    ends_done(f, run, "null");
}

/* ---- fork ------------------------------------------------------------------------------------------------------------ */

static void forked_end(void *user, const mf_key *key)
{
    (void)user, (void)key;
}

/* Everything a child may try; the number of the first thing that was not refused. */
static int try_all(fixture *f, mf_signature *sig, mf_run *run, const mf_key *key, mf_signature *chain, mf_signature *swarm)
{
    mf_counts counts;
    mf_message *message = NULL;
    mf_workflow *w = NULL;
    mf_results *results = NULL;
    char *line = NULL;
    mf_error err = {0};
    int n = 0;
#define REFUSED(cond) do { n++; if (!(cond)) return n; } while (0)
    REFUSED(mf_start(sig, NULL, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_sign(f->mage, "add", NULL, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_chain(f->mage, "c", NULL, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_swarm(f->mage, "s", NULL, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_run_wait(run, 0, NULL, &err) == MF_E_FORKED);
    REFUSED(mf_run_open(f->mage, key, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_cancel(f->mage, key, &err) == MF_E_FORKED);
    REFUSED(mf_count(f->mage, key, &counts, &err) == MF_E_FORKED);
    REFUSED(mf_progress(f->mage, key, &message) == MF_E_FORKED);
    REFUSED(mf_log_line(f->mage, key, 0, &line) == MF_E_FORKED);
    REFUSED(mf_results_open(f->mage, key, &results, &err) == MF_E_FORKED);
    REFUSED(mf_task(f->mage, MF_TASK_DEF(.name = "x", .run = talker), &err) == MF_E_FORKED);
    REFUSED(mf_serve(f->mage, NULL, &err) == MF_E_FORKED);
    REFUSED(mf_drain(f->mage, 0) == MF_E_FORKED);
    REFUSED(mf_workflow_open(f->mage, "add", &w, &err) == MF_E_FORKED);
    REFUSED(mf_run_poll(run, NULL, &err) == MF_E_FORKED);
    REFUSED(mf_run_on_end(run, forked_end, NULL) == MF_E_FORKED);
    REFUSED(mf_run_fd(run) < 0);
    REFUSED(mf_chain_add(chain, sig, &err) == NULL && err.status == MF_E_FORKED);
    REFUSED(mf_swarm_close(swarm, &err) == NULL && err.status == MF_E_FORKED);
#undef REFUSED
    mf_run_destroy(run);
    mf_client_abandon(f->mage);
    mf_client_destroy(f->mage);     /* does nothing here */
    return 0;
}

FLOW_TEST(flow_client, in_a_forked_child_every_call_is_refused)
{
    mf_run *run = start(f, sign(f, "gate", NULL), NULL);
    mf_key key = mf_run_key(run);
    mf_signature *sig = sign(f, "add", NULL);
    /* Every thread stands still in a task: one that is being started, or allocates, may hold a lock of a sanitizer's
     * runtime, which the child would inherit without its holder. */
    for (int i = 1; i < THREADS; i++)
        mf_run_destroy(start(f, sign(f, "gate", NULL), NULL));
    wait_calls(f, "gate", THREADS);
    mf_signature *chain = mf_chain(f->mage, "c", NULL, &f->err), *swarm = mf_swarm(f->mage, "s", NULL, &f->err);
    pid_t child = fork();
    if (child == 0)
        _exit(try_all(f, sig, run, &key, chain, swarm));
    mf_signature_destroy(chain);
    mf_signature_destroy(swarm);
    int how = 0;
    cr_assert(eq(int, waitpid(child, &how, 0), child));
    cr_assert(eq(int, how, 0), "the first thing that was not refused, times 256, or a signal");
    open_gate(f);
    ends_done(f, run, "null");
    ends_done(f, start(f, sig, NULL), "1");
}
