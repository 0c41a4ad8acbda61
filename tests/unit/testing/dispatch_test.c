/* What was dispatched, and what is said where it was not. */
#include "kit_support.h"

static void record(void)
{
    open_test(false);
}

TestSuite(testing_dispatch, .init = record, .fini = close_test);

Test(testing_dispatch, at_first_there_is_nothing)
{
    is_status(mf_test_nothing_dispatched(t, &err), MF_OK);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 0));
}

Test(testing_dispatch, a_task_is_found_with_at_least_or_exactly_its_fields)
{
    begin(sign("a", mf_msg("{s:i}", "order", 17)), mf_msg("{s:s}", "by", "me"));
    is_status(mf_test_task_dispatched(t, "a", NULL, MF_TEST_AT_LEAST, &err), MF_OK);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:i}", "order", 17), MF_TEST_AT_LEAST, &err), MF_OK);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:s, s:i}", "by", "me", "order", 17), MF_TEST_EXACTLY, &err), MF_OK);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:i}", "order", 17), MF_TEST_EXACTLY, &err), MF_E_CONFLICT);
    is_text(err.text, "task \"a\" was dispatched 1 time, never with exactly these fields; the first: field \"by\": not expected, "
                      "got \"me\"");
}

Test(testing_dispatch, of_several_any_may_match_and_the_first_is_told)
{
    begin(sign("a", mf_msg("{s:i}", "n", 1)), NULL);
    begin(sign("a", mf_msg("{s:i}", "n", 2)), NULL);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:i}", "n", 2), MF_TEST_EXACTLY, &err), MF_OK);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:i, s:b}", "n", 3, "x", 1), MF_TEST_AT_LEAST, &err), MF_E_CONFLICT);
    is_text(err.text, "task \"a\" was dispatched 2 times, never with at least these fields; the first: field \"n\": expected 3, "
                      "got 1; field \"x\": expected true, missing");
}

Test(testing_dispatch, a_name_that_was_not_sent_is_told_with_those_that_were)
{
    is_status(mf_test_task_dispatched(t, "a", NULL, MF_TEST_AT_LEAST, &err), MF_E_NOT_FOUND);
    is_text(err.text, "task \"a\" was not dispatched; dispatched tasks: none");
    begin(sign("b", NULL), NULL);
    begin(sign("c", NULL), NULL);
    begin(chain3(), NULL);
    is_status(mf_test_task_dispatched(t, "a", NULL, MF_TEST_AT_LEAST, &err), MF_E_NOT_FOUND);
    is_text(err.text, "task \"a\" was not dispatched; dispatched tasks: \"b\", \"c\"");
    is_status(mf_test_swarm_dispatched(t, "images", NULL, 0, &err), MF_E_NOT_FOUND);
    is_text(err.text, "swarm \"images\" was not dispatched; dispatched swarms: none");
}

Test(testing_dispatch, a_chain_is_found_with_its_steps_in_their_order)
{
    begin(chain3(), mf_msg("{s:i}", "n", 1));
    is_status(mf_test_chain_dispatched(t, "order", NULL, 0, &err), MF_OK);
    is_status(mf_test_chain_dispatched(t, "order", (const char *[]){"a", "b", "c"}, 3, &err), MF_OK);
    is_status(mf_test_chain_dispatched(t, "order", (const char *[]){"b", "a", "c"}, 3, &err), MF_E_CONFLICT);
    is_text(err.text, "chain \"order\" was dispatched, but it holds \"a\", \"b\", \"c\"; expected \"b\", \"a\", \"c\"");
    is_status(mf_test_chain_dispatched(t, "order", (const char *[]){"a", "b"}, 2, &err), MF_E_CONFLICT);
}

Test(testing_dispatch, a_swarm_is_found_with_items_each_as_often_as_asked_for)
{
    begin(swarm3(), NULL);
    is_status(mf_test_swarm_dispatched(t, "images", (const char *[]){"b", "a"}, 2, &err), MF_OK);
    is_status(mf_test_swarm_dispatched(t, "images", (const char *[]){"b", "b", "a"}, 3, &err), MF_OK);
    is_status(mf_test_swarm_dispatched(t, "images", (const char *[]){"a", "a"}, 2, &err), MF_E_CONFLICT);
    is_text(err.text, "swarm \"images\" was dispatched, but it holds \"a\", \"b\", \"b\"; expected \"a\", \"a\"");
}

Test(testing_dispatch, each_can_be_looked_at)
{
    mf_dispatch d;
    mf_key key = begin(chain3(), mf_msg("{s:i}", "n", 5));
    begin(sign("mail", mf_msg("{s:s}", "to", "me")), NULL);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 2));
    is_status(mf_test_dispatch(t, 0, &d), MF_OK);
    cr_assert(eq(int, d.kind, MF_KIND_CHAIN));
    is_text(d.name, "order");
    is_text(d.key.text, key.text);
    cr_assert(eq(sz, d.task_count, 3));
    is_text(d.tasks[2], "c");
    int n = 0;
    is_status(mf_message_scan(d.message, NULL, "{s:i}", "n", &n), MF_OK);
    cr_assert(eq(int, n, 5));
    is_status(mf_test_dispatch(t, 1, &d), MF_OK);
    cr_assert(eq(int, d.kind, MF_KIND_TASK));
    cr_assert(eq(u32, d.attempt, 1));
    is_status(mf_test_dispatch(t, 2, &d), MF_E_NOT_FOUND);
}

Test(testing_dispatch, a_trigger_by_name_is_a_dispatch_and_its_message_is_checked)
{
    mf_workflow *mail = NULL;
    is_status(mf_workflow_open(mage, "mail", &mail, &err), MF_OK);
    mf_message *message = mf_msg("{s:i}", "copies", 99);
    is_status(mf_workflow_run_many(mail, (const mf_message *[]){message}, 1, mf_seconds(3), &err), MF_OK);
    mf_message_unref(message);
    mf_workflow_destroy(mail);
    mf_dispatch d;
    is_status(mf_test_dispatch(t, 0, &d), MF_OK);
    cr_assert(eq(i64, d.delay_ms, 3000));
    is_status(mf_test_task_dispatched(t, "mail", NULL, MF_TEST_AT_LEAST, &err), MF_E_INVALID);
    is_text(err.text, "task \"mail\" was dispatched with a message that it refuses: field \"copies\": expected an "
                      "integer from 1 to 9, got the integer 99");
}

Test(testing_dispatch, what_breaks_its_field_table_is_refused_when_it_is_signed_or_started)
{
    cr_assert(eq(ptr, mf_sign(mage, "mail", mf_msg("{s:i}", "copies", 99), &err), NULL));
    is_text(err.text, "task \"mail\": field \"copies\": expected an integer from 1 to 9, got the integer 99");
    mf_signature *mail = sign("mail", NULL);
    cr_assert(eq(ptr, mf_start(mail, NULL, &err), NULL));
    is_text(err.text, "task \"mail\": field \"to\": required, but missing");
    mf_signature_destroy(mail);
    is_status(mf_test_nothing_dispatched(t, &err), MF_OK);
}

Test(testing_dispatch, clear_forgets)
{
    begin(sign("a", NULL), NULL);
    begin(chain3(), NULL);
    is_status(mf_test_nothing_dispatched(t, &err), MF_E_CONFLICT);
    is_text(err.text, "expected no dispatch, got 2; tasks: \"a\"; chains: \"order\"; swarms: none");
    mf_test_clear(t);
    is_status(mf_test_nothing_dispatched(t, &err), MF_OK);
    begin(sign("b", NULL), NULL);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 1));
}

Test(testing_dispatch, expected_fields_that_are_none_are_told)
{
    begin(sign("a", NULL), NULL);
    is_status(mf_test_task_dispatched(t, "a", mf_msg("[i]", 1), MF_TEST_AT_LEAST, &err), MF_E_INVALID);
    is_text(err.text, "the expected fields: expected a map, got an array");
    is_status(mf_test_task_dispatched(t, "a", mf_msg("{s:"), MF_TEST_AT_LEAST, &err), MF_E_INVALID);
}

Test(testing_dispatch, nothing_runs_and_who_waits_is_told)
{
    mf_signature *sig = sign("a", NULL);
    mf_run *run = mf_start(sig, NULL, &err);
    is_status(mf_run_wait(run, MF_FOREVER, NULL, &err), MF_E_TIMEOUT);
    is_status(mf_test_run(t, &err), MF_E_STATE);
    is_status(mf_test_finish(t, &err), MF_E_STATE);
    is_status(mf_test_advance(t, mf_minutes(5), &err), MF_OK);
    is_text(calls, "");
    mf_run_destroy(run);
    mf_signature_destroy(sig);
}

Test(testing_dispatch, one_test_a_thread)
{
    mf_test *second = NULL;
    is_status(mf_test_create(NULL, &second, &err), MF_E_STATE);
    is_status(mf_test_create(&(mf_test_options){0}, &second, &err), MF_E_INVALID);
    close_test();
    is_status(mf_test_create(NULL, &second, &err), MF_OK);
    mf_test_destroy(second);
    mf_test_destroy(NULL);
}
