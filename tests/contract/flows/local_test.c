/* Promises of local threads alone. */
#include "kit.h"

#include "local_adapter.h"
#include "runtime.h"

static mf_status deaf(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    (void)out;
    note_call(f, ctx, in);
    pthread_mutex_lock(&f->lock);
    while (!f->open)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
    return MF_OK;
}

/* A client of its own with one thread, beside the fixture's. */
static mf_client *one_thread(fixture *f)
{
    mf_client *mage = NULL;
    is_status(mf_open("local:?threads=1", MF_OPTIONS(.allocator = &f->counting.allocator), &mage, &f->err), MF_OK);
    const mfi_task *add = mfi_registry_task(&f->mage->registry, MF_STR_LIT("add"));
    is_status(mf_task(mage, &add->def, &f->err), MF_OK);
    return mage;
}

Test(flow_local, a_thread_that_a_deaf_task_holds_is_replaced, .timeout = 60)
{
    fixture f;
    open_fixture(&f, 0);
    mf_client *mage = one_thread(&f);
    is_status(mf_task(mage, MF_TASK_DEF(.name = "deaf", .run = deaf, .user = &f, .timeout = mf_milliseconds(10)), &f.err), MF_OK);
    mf_run *stuck = start(&f, mf_sign(mage, "deaf", NULL, &f.err), NULL);
    wait_calls(&f, "deaf", 1);
    ends_done(&f, start(&f, mf_sign(mage, "add", NULL, &f.err), NULL), "1");     /* the only thread is still held */
    ends_failed(&f, stuck, "Timeout: the task did not end within its timeout, nor 3 s after it was asked to stop");
    open_gate(&f);
    is_status(mf_drain(mage, PATIENCE), MF_OK);
    ends_done(&f, start(&f, mf_sign(mage, "add", NULL, &f.err), NULL), "1");
    mf_client_destroy(mage);
    close_fixture(&f);
}

Test(flow_local, one_thread_runs_a_whole_flow, .timeout = 60)
{
    fixture f;
    open_fixture(&f, 0);
    mf_client *mage = one_thread(&f);
    mf_signature *swarm = mf_swarm(mage, "swarm", NULL, &f.err);
    for (int i = 0; i < 5; i++) {
        mf_signature *chain = mf_chain_add(mf_chain(mage, "c", NULL, &f.err), mf_sign(mage, "add", NULL, &f.err), &f.err);
        swarm = mf_swarm_add(swarm, mf_chain_add(chain, mf_sign(mage, "add", NULL, &f.err), &f.err), &f.err);
    }
    ends_done(&f, start(&f, mf_swarm_close(swarm, &f.err), "{\"n\":1}"), "[3,3,3,3,3]");
    mf_client_destroy(mage);
    close_fixture(&f);
}

/* What passes the adapter, in both directions: the fast path settles with the commit, calls by name with the manager. */
Test(flow_local, the_recording_adapter_sees_each_delivery, .timeout = 60)
{
    fixture f;
    size_t maker = 0;
    while (strcmp(flow_makers[maker].name, "recording around local") != 0)
        maker++;
    open_fixture(&f, maker);
    size_t first = mf_recording_count(f.mage->adapter);
    mf_run *run = start(&f, CHAIN(&f, sign(&f, "add", NULL), sign(&f, "note", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(&f, run, "null");
    settle_down(&f);
    static const char *const names[] = {"mageflow.run_flow", "add", "note"};
    mf_record_line line;
    for (size_t i = 0; i < 3; i++) {
        is_status(mf_recording_line(f.mage->adapter, first + i, &line), MF_OK);
        is_text(line.name, names[i]);
        cr_assert(eq(int, line.what, MF_RECORDED_DELIVERY));
        is_text(line.unit.key.text, key.text);
        cr_assert(eq(u64, line.unit.index, i == 2));
    }
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    is_status(mf_workflow_open(f.mage, "note", &w, &f.err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, PATIENCE, &result, &f.err), MF_OK);
    mf_message_unref(result);
    mf_workflow_destroy(w);
    settle_down(&f);
    is_status(mf_recording_line(f.mage->adapter, mf_recording_count(f.mage->adapter) - 1, &line), MF_OK);
    cr_assert(eq(int, line.what, MF_RECORDED_SETTLE));
    is_word(line.status, MF_STATUS_DONE);
    close_fixture(&f);
}

struct stopper {
    mf_client  *mage;
    atomic_bool over;
};

static void *stops_calls(void *arg)
{
    struct stopper *s = arg;
    while (!atomic_load(&s->over))
        mf_stop_calls(s->mage);     /* wakes who waits inside of the pool */
    return NULL;
}

Test(flow_local, a_pool_goes_while_others_look_for_it, .timeout = 60)
{
    fixture f;
    open_fixture(&f, 0);
    struct stopper s = {.mage = one_thread(&f)};
    pthread_t thread;
    cr_assert(zero(int, pthread_create(&thread, NULL, stops_calls, &s)));
    for (int i = 0; i < 100; i++) {
        is_status(mf_serve(s.mage, MF_WORKER_OPTIONS(.threads = 2), &f.err), MF_OK);
        is_status(mf_unserve(s.mage), MF_OK);
    }
    atomic_store(&s.over, true);
    pthread_join(thread, NULL);
    mf_client_destroy(s.mage);
    close_fixture(&f);
}
