/* Which way the outcomes took: the same scenario must not secretly run over another way than its name says. */
#include "kit.h"

#include "queue_manager.h"
#include "runtime.h"

static size_t sent_for(fixture *f, const char *task)
{
    spy_sent sent;
    return spy_store_sent(f->store, task, 1, &sent);
}

FLOW_TEST(flow_path, outcomes_of_plain_items_travel_as_messages_where_that_was_asked_for)
{
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "fail", NULL)), NULL), "[1,null]");
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), NULL), "2");
    ends_failed(f, start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "fail", NULL)), NULL), "Boom: it broke");
    settle_down(f);
    size_t expected = f->maker->quirks.by_message ? 1 : 0;
    cr_assert(eq(sz, sent_for(f, "mageflow.on_swarm_item_done"), expected));
    cr_assert(eq(sz, sent_for(f, "mageflow.on_swarm_item_error"), expected));
    cr_assert(eq(sz, sent_for(f, "mageflow.on_chain_done"), expected));
    cr_assert(eq(sz, sent_for(f, "mageflow.on_chain_error"), expected));
    cr_assert(eq(sz, sent_for(f, "mageflow.run_flow"), 1));
    cr_assert(eq(sz, sent_for(f, "mageflow.swarm_fill"), 1));
}

FLOW_TEST(flow_path, messages_are_published_where_the_manager_has_a_queue_and_claimed_when_they_come)
{
    ends_done(f, start(f, CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)), NULL), "2");
    settle_down(f);
    bool takes = fixture_can(f, MF_CAP_TAKES);
    cr_assert(eq(int, atomic_load(&f->store->claims) > 0, !takes));
    if (!takes)
        cr_assert(eq(ulong, queue_manager_published(f->mage->adapter), 3));     /* the start, and two steps */
    size_t waiting = 0, claimed = 0;
    mf_store_load_counts(&f->store->base, &waiting, &claimed);
    cr_assert(all(eq(sz, waiting, 0), eq(sz, claimed, 0)), "%s: %zu waiting, %zu claimed", f->maker->name, waiting, claimed);
}

FLOW_TEST(flow_path, nothing_is_left_in_the_store_that_waits_or_is_claimed)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", MF_SWARM_OPTIONS(.stop_after_failures = 2), &f->err);
    for (int i = 0; i < 30; i++)
        swarm = mf_swarm_add(swarm, sign(f, i % 4 == 0 ? "fail" : "add", NULL), &f->err);
    mf_run *run = start(f, mf_swarm_close(swarm, &f->err), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    mf_run_destroy(run);
    settle_down(f);
    size_t waiting = 0, claimed = 0;
    mf_store_load_counts(&f->store->base, &waiting, &claimed);
    cr_assert(all(eq(sz, waiting, 0), eq(sz, claimed, 0)), "%s: %zu waiting, %zu claimed", f->maker->name, waiting, claimed);
}

Test(flow_path, a_manager_that_was_not_reachable_gets_its_messages_later, .timeout = 120)
{
    fixture f;
    open_fixture(&f, 0);
    mf_adapter *queue = NULL;
    mf_store *memory = NULL;
    mf_client *mage = NULL;
    is_status(queue_manager_create(&f.counting.allocator, &(queue_manager_options){.refusals = 2}, &queue, &f.err), MF_OK);
    is_status(mf_memory_store_create(&f.counting.allocator, NULL, &memory, &f.err), MF_OK);
    is_status(mf_client_create(queue, memory, MF_OPTIONS(.allocator = &f.counting.allocator, .threads = 2), &mage, &f.err), MF_OK);
    const mfi_task *add = mfi_registry_task(&f.mage->registry, MF_STR_LIT("add"));
    is_status(mf_task(mage, &add->def, &f.err), MF_OK);
    ends_done(&f, start(&f, mf_sign(mage, "add", NULL, &f.err), "{\"n\":5}"), "6");
    cr_assert(eq(ulong, queue_manager_published(queue), 1));
    mf_client_destroy(mage);
    close_fixture(&f);
}

static void refuse_outcomes(fixture *f, int times, mf_status with)
{
    atomic_store(&f->store->refusal, with);
    atomic_store(&f->store->refusals, times);
}

FLOW_TEST(flow_path, a_store_that_does_not_answer_for_a_while_loses_nothing)
{
    refuse_outcomes(f, 3, MF_E_IO);
    ends_done(f, start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "add", NULL), sign(f, "add", NULL)), NULL), "[1,1,1]");
    cr_assert(eq(int, atomic_load(&f->store->refusals), 0));
}

FLOW_TEST(flow_path, what_a_store_refuses_for_good_ends_the_flow_with_its_reason)
{
    refuse_outcomes(f, 1000, MF_E_TOO_BIG);
    ends_failed(f, start(f, SWARM(f, NULL, sign(f, "add", NULL), sign(f, "add", NULL)), NULL),
                "MF_E_TOO_BIG: refused on purpose");
    atomic_store(&f->store->refusals, 0);
    settle_down(f);
}
