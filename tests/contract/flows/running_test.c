/* Swarms that are added to while they run, and how many they take. */
#include "kit.h"

static mf_key start_open(fixture *f, const mf_swarm_options *options, mf_run **run)
{
    mf_signature *swarm = mf_swarm(f->mage, "open", options, &f->err);
    mf_key key = mf_signature_key(swarm);
    *run = start(f, swarm, "{\"by\":10}");
    return key;
}

FLOW_TEST(flow_running, an_open_swarm_runs_what_is_added_and_ends_when_it_is_closed)
{
    mf_run *run;
    mf_key key = start_open(f, NULL, &run);
    settle_down(f);
    is_text(counted(f, &key), "active: total 0, running 0, done 0, failed 0, canceled 0");
    mf_signature *items[] = {sign(f, "add", "{\"n\":1}"), sign(f, "add", "{\"n\":2}")};
    is_status(mf_items_add(f->mage, &key, items, 2, &f->err), MF_OK);
    wait_calls(f, "add", 2);
    settle_down(f);
    is_text(counted(f, &key), "active: total 2, running 0, done 2, failed 0, canceled 0");
    mf_signature *third = sign(f, "add", "{\"n\":3}");
    is_status(mf_items_add(f->mage, &key, &third, 1, &f->err), MF_OK);
    is_status(mf_items_close(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[11,12,13]");
    third = sign(f, "add", NULL);
    is_status(mf_items_add(f->mage, &key, &third, 1, &f->err), MF_E_STATE);
}

FLOW_TEST(flow_running, signatures_of_their_own_are_added_with_what_stands_below_them)
{
    mf_run *run;
    mf_key key = start_open(f, NULL, &run);
    mf_signature *items[] = {sign(f, "add", "{\"n\":1}"),
                             CHAIN(f, sign(f, "add", "{\"n\":2,\"by\":1}"), sign(f, "add", NULL)),
                             on_success(f, sign(f, "add", "{\"n\":4}"), sign(f, "note", NULL))};
    is_status(mf_items_add(f->mage, &key, items, 3, &f->err), MF_OK);
    mf_signature *more = SWARM(f, NULL, sign(f, "add", "{\"n\":5}"));
    is_status(mf_items_add(f->mage, &key, &more, 1, &f->err), MF_OK);
    is_status(mf_items_close(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[11,4,14,[15]]");
    wait_calls(f, "note", 1);
}

FLOW_TEST(flow_running, its_handle_adds_and_closes_where_it_is_stored)
{
    mf_signature *swarm = mf_swarm(f->mage, "open", NULL, &f->err);
    mf_run *run = mf_start(swarm, NULL, &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    swarm = mf_swarm_add(swarm, sign(f, "add", NULL), &f->err);
    swarm = mf_swarm_close(swarm, &f->err);
    cr_assert(ne(ptr, swarm, NULL), "%s", f->err.text);
    ends_done(f, run, "[1]");
    cr_assert(eq(ptr, mf_swarm_add(swarm, sign(f, "add", NULL), &f->err), NULL));
    is_status(f->err.status, MF_E_STATE);
}

FLOW_TEST(flow_running, a_swarm_takes_its_most_and_no_more)
{
    mf_run *run;
    mf_key key = start_open(f, MF_SWARM_OPTIONS(.max_items = 2), &run);
    mf_signature *items[] = {sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL)};
    is_status(mf_items_add(f->mage, &key, items, 3, &f->err), MF_E_FULL);
    cr_assert(eq(u64, count(f, &key).total, 0));
    mf_signature *two[] = {sign(f, "add", NULL), sign(f, "add", NULL)};
    is_status(mf_items_add(f->mage, &key, two, 2, &f->err), MF_OK);
    mf_signature *third = sign(f, "add", NULL);
    is_status(mf_items_add(f->mage, &key, &third, 1, &f->err), MF_E_FULL);
    is_status(mf_items_close(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[10,10]");
}

FLOW_TEST(flow_running, one_that_closes_on_its_most_ends_by_itself)
{
    mf_run *run;
    mf_key key = start_open(f, MF_SWARM_OPTIONS(.max_items = 2, .close_on_max = true), &run);
    for (int i = 0; i < 2; i++) {
        mf_signature *item = sign(f, "add", NULL);
        is_status(mf_items_add(f->mage, &key, &item, 1, &f->err), MF_OK);
    }
    ends_done(f, run, "[10,10]");
    mf_signature *swarm = mf_swarm(f->mage, "made", MF_SWARM_OPTIONS(.max_items = 1, .close_on_max = true), &f->err);
    swarm = mf_swarm_add(swarm, sign(f, "add", NULL), &f->err);
    ends_done(f, start(f, swarm, NULL), "[1]");
}

FLOW_TEST(flow_running, what_is_closed_is_added_to_no_more)
{
    mf_signature *swarm = SWARM(f, NULL, sign(f, "gate", NULL));
    mf_key key = mf_signature_key(swarm);
    mf_run *run = start(f, swarm, NULL);
    wait_calls(f, "gate", 1);
    mf_signature *item = sign(f, "add", NULL);
    is_status(mf_items_add(f->mage, &key, &item, 1, &f->err), MF_E_CLOSED);
    has_text(f->err.text, "is closed");
    open_gate(f);
    ends_done(f, run, "[null]");
    called(f, "add", 0);
}

FLOW_TEST(flow_running, a_cancelled_swarm_takes_nothing)
{
    mf_run *run;
    mf_key key = start_open(f, NULL, &run);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    mf_signature *item = sign(f, "add", NULL);
    is_status(mf_items_add(f->mage, &key, &item, 1, &f->err), MF_E_STATE);
    has_text(f->err.text, "it is canceled");
    ends_canceled(f, run);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_E_STATE);
}

FLOW_TEST(flow_running, one_message_goes_to_all_or_each_has_its_own)
{
    mf_message *one[] = {msg("{\"n\":1}")};
    mf_signature *two[] = {sign(f, "add", NULL), sign(f, "add", "{\"by\":5}")};
    mf_signature *swarm = mf_swarm_add_many(mf_swarm(f->mage, "s", NULL, &f->err), two, 2, one, 1, &f->err);
    ends_done(f, start(f, mf_swarm_close(swarm, &f->err), NULL), "[2,6]");

    mf_message *each[] = {msg("{\"n\":1}"), msg("{\"n\":2}")};
    mf_signature *again[] = {sign(f, "add", NULL), CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL))};
    swarm = mf_swarm_add_many(mf_swarm(f->mage, "s", NULL, &f->err), again, 2, each, 2, &f->err);
    ends_done(f, start(f, mf_swarm_close(swarm, &f->err), NULL), "[2,3]");

    mf_message *wrong[] = {msg("{}"), msg("{}")};
    mf_signature *three[] = {sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL)};
    cr_assert(eq(ptr, mf_swarm_add_many(mf_swarm(f->mage, "s", NULL, &f->err), three, 3, wrong, 2, &f->err), NULL));
    is_status(f->err.status, MF_E_INVALID);
    has_text(f->err.text, "one for each of 3 items, got 2");
}

FLOW_TEST(flow_running, many_are_added_to_one_that_runs_all_or_none)
{
    mf_signature *swarm = mf_swarm(f->mage, "open", MF_SWARM_OPTIONS(.max_items = 3), &f->err);
    mf_key key = mf_signature_key(swarm);
    mf_run *run = mf_start(swarm, msg("{\"by\":10}"), &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    mf_message *each[] = {msg("{\"n\":1}"), msg("{\"n\":2}")}, *one[] = {msg("{\"n\":5}")};
    mf_signature *two[] = {sign(f, "add", NULL), on_success(f, sign(f, "add", NULL), sign(f, "note", NULL))};
    swarm = mf_swarm_add_many(swarm, two, 2, each, 2, &f->err);
    cr_assert(ne(ptr, swarm, NULL), "%s", f->err.text);
    mf_signature *more[] = {sign(f, "add", NULL), sign(f, "add", NULL)};
    cr_assert(eq(ptr, mf_swarm_add_many(swarm, more, 2, one, 1, &f->err), NULL));
    is_status(f->err.status, MF_E_FULL);
    cr_assert(eq(u64, count(f, &key).total, 2));
    is_status(mf_items_close(f->mage, &key, &f->err), MF_OK);
    ends_done(f, run, "[11,12]");
    wait_calls(f, "note", 1);
}

FLOW_TEST(flow_running, a_swarms_message_goes_whole_into_the_return_field_where_that_is_asked)
{
    mf_signature *swarm = mf_swarm(f->mage, "s", MF_SWARM_OPTIONS(.message_as_result = true), &f->err);
    swarm = mf_swarm_close(mf_swarm_add(swarm, sign(f, "echo", "{\"k\":1}"), &f->err), &f->err);
    ends_done(f, start(f, swarm, "{\"a\":1}"), "[{\"mageflow_results\":{\"a\":1},\"k\":1}]");
}
