/* Running in order, under a clock that the test moves. */
#include "kit_support.h"

static void runs(void)
{
    open_test(true);
}

TestSuite(testing_run, .init = runs, .fini = close_test);

Test(testing_run, tasks_run_when_the_test_says_so_in_the_order_they_were_sent)
{
    begin(sign("c", NULL), NULL);
    begin(sign("a", NULL), NULL);
    begin(sign("b", NULL), NULL);
    is_text(calls, "");
    is_status(mf_test_run(t, &err), MF_OK);
    is_text(calls, "c a b ");
}

Test(testing_run, a_chain_goes_to_its_end)
{
    mf_key key = begin(chain3(), mf_msg("{s:i}", "n", 1));
    cr_assert(eq(int, status_of(&key), MF_STATUS_PENDING));
    is_status(mf_test_run(t, &err), MF_OK);
    cr_assert(eq(int, status_of(&key), MF_STATUS_DONE));
    is_text(calls, "a b c ");
    is_status(mf_test_task_dispatched(t, "b", mf_msg("{s:{s:i}}", "mageflow_results", "n", 1), MF_TEST_EXACTLY, &err), MF_OK);
}

Test(testing_run, waiting_runs_what_is_there)
{
    mf_signature *swarm = swarm3();
    mf_run *run = mf_start(swarm, mf_msg("{s:i}", "n", 7), &err);
    mf_message *result = NULL;
    is_status(mf_run_wait(run, mf_seconds(1), &result, &err), MF_OK);
    cr_assert(eq(sz, mf_value_count(mf_message_value(result)), 3));
    is_text(calls, "a b b ");
    mf_message_unref(result);
    mf_run_destroy(run);
    mf_signature_destroy(swarm);
}

Test(testing_run, what_is_delayed_waits_for_the_clock)
{
    mf_key key = begin(sign("stumble", NULL), NULL);
    is_status(mf_test_run(t, &err), MF_OK);
    is_status(mf_test_task_dispatched(t, "stumble", NULL, MF_TEST_AT_LEAST, &err), MF_OK);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 2));        /* the second attempt, in 10 s */
    is_status(mf_test_advance(t, mf_seconds(9), &err), MF_OK);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 2));
    is_status(mf_test_advance(t, mf_seconds(1), &err), MF_OK);
    cr_assert(eq(sz, mf_test_dispatch_count(t), 3));        /* the third one 20 s later */
    is_text(calls, "");
    is_status(mf_test_advance(t, mf_seconds(20), &err), MF_OK);
    is_text(calls, "stumble ");
    cr_assert(eq(int, status_of(&key), MF_STATUS_DONE));
    cr_assert(eq(i64, mf_test_now(t), mf_seconds(30)));
}

Test(testing_run, finish_lets_the_clock_jump)
{
    mf_key key = begin(sign("nap", NULL), NULL);
    is_status(mf_test_run(t, &err), MF_OK);
    cr_assert(eq(int, status_of(&key), MF_STATUS_ACTIVE));
    cr_assert(eq(i64, mf_test_now(t), 0));
    is_status(mf_test_finish(t, &err), MF_OK);
    cr_assert(eq(int, status_of(&key), MF_STATUS_DONE));
    cr_assert(ge(i64, mf_test_now(t), mf_minutes(10)));
}

Test(testing_run, a_timeout_strikes_in_the_tests_time)
{
    mf_signature *sig = sign("deaf", NULL);
    mf_run *run = mf_start(sig, NULL, &err);
    is_status(mf_test_advance(t, mf_seconds(29), &err), MF_OK);
    is_status(mf_run_poll(run, NULL, &err), MF_E_AGAIN);
    is_status(mf_test_advance(t, mf_seconds(2), &err), MF_OK);
    is_status(mf_run_poll(run, NULL, &err), MF_E_TASK_FAILED);
    is_text(err.text, "Timeout: the task did not end within its timeout");
    mf_run_destroy(run);
    mf_signature_destroy(sig);
}

Test(testing_run, who_waits_longer_than_there_is_time_is_told_at_that_time)
{
    mf_signature *sig = sign("nap", NULL);
    mf_run *run = mf_start(sig, NULL, &err);
    is_status(mf_run_wait(run, mf_minutes(3), NULL, &err), MF_E_TIMEOUT);
    cr_assert(eq(i64, mf_test_now(t), mf_minutes(3)));
    is_status(mf_run_wait(run, mf_minutes(8), NULL, &err), MF_OK);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
}

Test(testing_run, a_cancel_stops_what_sleeps)
{
    mf_key key = begin(sign("nap", NULL), NULL);
    is_status(mf_test_run(t, &err), MF_OK);
    is_status(mf_cancel(mage, &key, &err), MF_OK);
    is_status(mf_test_run(t, &err), MF_OK);
    cr_assert(eq(int, status_of(&key), MF_STATUS_CANCELED));
    is_text(calls, "");
    cr_assert(eq(i64, mf_test_now(t), 0));
}

Test(testing_run, the_wall_clock_is_the_tests_too)
{
    cr_assert(eq(i64, mf_clock_default()->wall_ms(mf_clock_default()->user), 1700000000000));
    is_status(mf_test_advance(t, mf_seconds(5), &err), MF_OK);
    cr_assert(eq(i64, mf_clock_default()->wall_ms(mf_clock_default()->user), 1700000005000));
    is_status(mf_test_advance(t, -1, &err), MF_E_INVALID);
}

Test(testing_run, what_did_not_run_is_gone_with_the_test)
{
    begin(chain3(), NULL);
    begin(sign("nap", NULL), NULL);
    is_status(mf_test_advance(t, mf_seconds(1), &err), MF_OK);
    begin(sign("a", NULL), NULL);
    calls[0] = '\0';
    close_test();
    is_text(calls, "");
}
