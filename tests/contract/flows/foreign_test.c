/* Tasks that other programs serve, in flows of ours. */
#include "kit.h"

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

static bool declare(fixture *f, const char *name, mf_duration timeout)
{
    mf_status st = mf_task_foreign(f->mage, MF_TASK_DEF(.name = name, .timeout = timeout), &f->err);
    if (fixture_can(f, MF_CAP_OBSERVES)) {
        is_status(st, MF_OK);
        return true;
    }
    is_status(st, MF_E_UNSUPPORTED);
    has_text(f->err.text, "cannot watch for the ends of other workers' tasks");
    return false;
}

FLOW_TEST(flow_foreign, it_stands_in_chains_and_swarms_like_any_other)
{
    if (f->maker->quirks.outside)       /* who would serve them? tests/live has real ones */
        return;
    if (!declare(f, "double", mf_minutes(1)) || !declare(f, "broken", mf_minutes(1)))
        return;
    ends_done(f, start(f, CHAIN(f, sign(f, "add", "{\"n\":4}"), sign(f, "echo", NULL), sign(f, "add", "{\"n\":1}")), NULL), "2");
    ends_done(f, start(f, sign(f, "double", "{\"n\":4}"), NULL), "8");
    ends_done(f, start(f, CHAIN(f, sign(f, "double", "{\"n\":4}"), sign(f, "add", NULL)), NULL), "9");
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "double", "{\"n\":1}"), sign(f, "broken", NULL), sign(f, "double", "{\"n\":3}")),
                       NULL), "[2,null,6]");
    mf_signature *failing = on_error(f, sign(f, "broken", "{\"a\":1}"), sign(f, "note", NULL));
    ends_failed(f, start(f, failing, NULL), "ForeignError: it is broken there");
    wait_calls(f, "note", 1);
}

/* What was kept of calls for their error callbacks has gone with their ends. A queue outside keeps what nobody served. */
static void nothing_is_kept(fixture *f)
{
    mf_note note;
    size_t got = 0;
    if (!f->maker->quirks.outside)
        settle_down(f);
    is_status(mf_store_notes(&f->store->base, MF_STR_LIT("foreign.sent"), MF_STR_LIT(""), 1, &note, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0));
}

/* Whoever saw the end knew the call alone. */
FLOW_TEST(flow_foreign, an_error_callback_receives_the_message_and_the_whole_error)
{
    char key[64];
    if (f->maker->quirks.outside || !declare(f, "broken", mf_minutes(1)) || !declare(f, "double", mf_minutes(1)))
        return;
    mf_run *run = start(f, on_error(f, sign(f, "broken", "{\"a\":1}"), sign(f, "note", "{\"c\":3}")), "{\"b\":2}");
    snprintf(key, sizeof key, "\"key\":\"%s\"", mf_run_key(run).text);
    ends_failed(f, run, "ForeignError: it is broken there");
    wait_calls(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"b\":2,\"a\":1,\"c\":3}");
    has_text(call_of(f, "note", 0).error, "\"type\":\"ForeignError\"");
    has_text(call_of(f, "note", 0).error, "\"text\":\"it is broken there\"");
    has_text(call_of(f, "note", 0).error, "\"attempt\":1");
    has_text(call_of(f, "note", 0).error, key);
    /* A step, which was handed a result; and one that ends well keeps nothing either. */
    ends_failed(f, start(f, CHAIN(f, sign(f, "add", "{\"n\":4}"), on_error(f, sign(f, "broken", NULL), sign(f, "note", NULL))), NULL),
                "ForeignError: it is broken there");
    ends_done(f, start(f, on_error(f, sign(f, "double", "{\"n\":4}"), sign(f, "note", NULL)), NULL), "8");
    wait_calls(f, "note", 2);
    is_value(call_of(f, "note", 1).in, "{\"mageflow_results\":5}");
    nothing_is_kept(f);
}

FLOW_TEST(flow_foreign, silence_is_a_failure_after_its_timeout)
{
    if (f->maker->quirks.known_names || !declare(f, "silent", mf_milliseconds(50)))
        return;
    mf_run *run = start(f, CHAIN(f, sign(f, "silent", NULL), sign(f, "note", NULL)), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    has_text(f->err.text, "Timeout: no outcome of the foreign task \"silent\" within");
    has_text(f->err.text, "does a worker serve it");
    mf_run_destroy(run);
    called(f, "note", 0);
    run = start(f, on_error(f, sign(f, "silent", "{\"a\":1}"), sign(f, "note", NULL)), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    mf_run_destroy(run);
    wait_calls(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"a\":1}");
    has_text(call_of(f, "note", 0).error, "\"type\":\"Timeout\"");
    nothing_is_kept(f);
}

/* Which of the two is said depends on what the manager had to do at that moment. */
static void tells_of_a_name(const char *text, const char *before)
{
    char refused[32], unknown[32];
    snprintf(refused, sizeof refused, "%sRefused", before);
    snprintf(unknown, sizeof unknown, "%sUnknownRun", before);
    cr_assert(strstr(text, refused) != NULL || strstr(text, unknown) != NULL, "%s", text);
}

FLOW_TEST(flow_foreign, a_name_that_the_manager_does_not_know_is_a_failure_long_before_its_timeout)
{
    if (!f->maker->quirks.known_names || !declare(f, "silent", mf_minutes(60)))
        return;
    mf_run *run = start(f, CHAIN(f, on_error(f, sign(f, "silent", "{\"a\":1}"), sign(f, "note", NULL)), sign(f, "add", NULL)), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    tells_of_a_name(f->err.text, "");
    mf_run_destroy(run);
    wait_calls(f, "note", 1);
    is_value(call_of(f, "note", 0).in, "{\"a\":1}");
    tells_of_a_name(call_of(f, "note", 0).error, "\"type\":\"");
    called(f, "add", 0);
    nothing_is_kept(f);
}

FLOW_TEST(flow_foreign, without_a_timeout_or_with_a_function_it_is_refused)
{
    if (!fixture_can(f, MF_CAP_OBSERVES))
        return;
    is_status(mf_task_foreign(f->mage, MF_TASK_DEF(.name = "x"), &f->err), MF_E_INVALID);
    has_text(f->err.text, "expected a .timeout");
    is_status(mf_task_foreign(f->mage, MF_TASK_DEF(.name = "x", .timeout = 1, .run = nothing), &f->err), MF_E_INVALID);
    has_text(f->err.text, "expected no function");
}
