/* Waiting for an end, in every way there is. */
#include "kit.h"

#include <poll.h>

/* ---- from outside ---------------------------------------------------------------------------------------------------- */

FLOW_TEST(flow_run, waiting_with_a_deadline_tells_that_it_still_runs)
{
    mf_run *run = start(f, sign(f, "gate", NULL), NULL);
    is_status(mf_run_wait(run, mf_milliseconds(1), NULL, &f->err), MF_E_TIMEOUT);
    has_text(f->err.text, "did not end in time; it still runs");
    is_status(mf_run_wait(run, -1, NULL, &f->err), MF_E_INVALID);
    is_status(mf_run_poll(run, NULL, &f->err), MF_E_AGAIN);
    open_gate(f);
    ends_done(f, run, "null");
}

FLOW_TEST(flow_run, a_result_can_be_had_as_often_as_wanted)
{
    mf_run *run = start(f, sign(f, "add", NULL), NULL);
    mf_message *result = NULL, *again = NULL;
    is_status(mf_run_wait(run, PATIENCE, &result, &f->err), MF_OK);
    is_status(mf_run_poll(run, &again, &f->err), MF_OK);
    is_json(result, "1");
    is_json(again, "1");
    is_status(mf_run_wait(run, 0, NULL, &f->err), MF_OK);
    mf_message_unref(result);
    mf_message_unref(again);
    mf_run_destroy(run);
}

FLOW_TEST(flow_run, how_it_failed_can_be_had_whole)
{
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "fail", NULL)), NULL);
    mf_message *error = NULL;
    is_status(mf_run_error(run, &error), MF_E_AGAIN);
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_TASK_FAILED);
    is_status(mf_run_error(run, &error), MF_OK);
    has_text(json_of(error), "\"final\":true,\"index\":1,\"key\":\"chain-");
    has_text(json_of(error), "\"text\":\"it broke\",\"type\":\"Boom\"}");
    mf_message_unref(error);
    mf_run_destroy(run);
    run = start(f, sign(f, "add", NULL), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    error = NULL;
    is_status(mf_run_error(run, &error), MF_E_NOT_FOUND);
    mf_run_destroy(run);
}

FLOW_TEST(flow_run, a_second_handle_finds_it_while_it_runs_and_after_its_end)
{
    mf_run *run = start(f, sign(f, "gate", NULL), "{\"a\":1}");
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 1);
    mf_run *second = mf_run_open(f->mage, &key, &f->err);
    cr_assert(ne(ptr, second, NULL), "%s", f->err.text);
    open_gate(f);
    ends_done(f, second, "{\"a\":1}");
    ends_done(f, run, "{\"a\":1}");
    ends_done(f, mf_run_open(f->mage, &key, &f->err), "{\"a\":1}");
}

FLOW_TEST(flow_run, goes_on_when_its_handle_is_let_go)
{
    mf_run *run = start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL)), NULL);
    mf_key key = mf_run_key(run);
    mf_run_destroy(run);
    open_gate(f);
    ends_done(f, mf_run_open(f->mage, &key, &f->err), "null");
    called(f, "note", 1);
}

typedef struct ended {
    fixture *f;
    mf_run  *run;
    mf_key   key;
    unsigned times;
    bool     destroys;
} ended;

static void on_end(void *user, const mf_key *key)
{
    ended *e = user;
    if (e->destroys)
        mf_run_destroy(e->run);
    pthread_mutex_lock(&e->f->lock);
    e->key = *key;
    e->times++;
    pthread_cond_broadcast(&e->f->changed);
    pthread_mutex_unlock(&e->f->lock);
}

static void wait_ended(ended *e)
{
    pthread_mutex_lock(&e->f->lock);
    while (e->times == 0)
        pthread_cond_wait(&e->f->changed, &e->f->lock);
    pthread_mutex_unlock(&e->f->lock);
}

FLOW_TEST(flow_run, calls_back_once_at_its_end)
{
    mf_run *run = start(f, sign(f, "gate", NULL), NULL);
    ended e = {.f = f};
    mf_key key = mf_run_key(run);
    is_status(mf_run_on_end(run, on_end, &e), MF_OK);
    is_status(mf_run_on_end(run, on_end, &e), MF_E_STATE);
    cr_assert(eq(uint, e.times, 0));
    open_gate(f);
    wait_ended(&e);
    ends_done(f, run, "null");
    settle_down(f);
    cr_assert(eq(uint, e.times, 1));
    is_text(e.key.text, key.text);
}

FLOW_TEST(flow_run, calls_back_at_once_when_it_has_ended_already)
{
    mf_run *run = start(f, sign(f, "add", NULL), NULL);
    ended e = {.f = f};
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    is_status(mf_run_on_end(run, on_end, &e), MF_OK);
    cr_assert(eq(uint, e.times, 1));
    mf_run_destroy(run);
}

FLOW_TEST(flow_run, may_be_destroyed_by_its_own_callback)
{
    ended e = {.f = f, .destroys = true};
    e.run = start(f, sign(f, "gate", NULL), NULL);
    is_status(mf_run_on_end(e.run, on_end, &e), MF_OK);
    open_gate(f);
    wait_ended(&e);
    ended late = {.f = f, .destroys = true};
    late.run = start(f, sign(f, "add", NULL), NULL);
    is_status(mf_run_wait(late.run, PATIENCE, NULL, &f->err), MF_OK);
    is_status(mf_run_on_end(late.run, on_end, &late), MF_OK);
    cr_assert(eq(uint, late.times, 1));
    settle_down(f);
}

static void gate_opener(void *user, const mf_key *key)
{
    ended *e = user;
    open_gate(e->f);
    on_end(user, key);
}

FLOW_TEST(flow_run, its_callback_may_call_the_library)
{
    mf_run *first = start(f, sign(f, "add", NULL), NULL), *gated = start(f, sign(f, "gate", NULL), NULL);
    ended e = {.f = f};
    is_status(mf_run_on_end(first, gate_opener, &e), MF_OK);
    ends_done(f, gated, "null");
    ends_done(f, first, "1");
}

FLOW_TEST(flow_run, its_descriptor_becomes_readable_at_the_end)
{
    mf_run *run = start(f, sign(f, "gate", NULL), NULL);
    int fd = mf_run_fd(run);
    cr_assert(ge(int, fd, 0));
    cr_assert(eq(int, mf_run_fd(run), fd));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    cr_assert(eq(int, poll(&p, 1, 0), 0));
    open_gate(f);
    cr_assert(eq(int, poll(&p, 1, 1000 * PATIENCE_S), 1));
    is_status(mf_run_poll(run, NULL, &f->err), MF_OK);
    mf_run *late = mf_run_open(f->mage, &(mf_key){0}, &f->err);
    cr_assert(eq(ptr, late, NULL));
    mf_key key = mf_run_key(run);
    late = mf_run_open(f->mage, &key, &f->err);
    p.fd = mf_run_fd(late);
    cr_assert(eq(int, poll(&p, 1, 0), 1));
    mf_run_destroy(late);
    mf_run_destroy(run);
}

FLOW_TEST(flow_run, no_run_answers_without_a_crash)
{
    is_status(mf_run_wait(NULL, 0, NULL, &f->err), MF_E_INVALID);
    is_status(mf_run_poll(NULL, NULL, &f->err), MF_E_INVALID);
    is_status(mf_run_on_end(NULL, on_end, NULL), MF_E_INVALID);
    cr_assert(eq(int, mf_run_fd(NULL), -1));
    mf_key key = mf_run_key(NULL);
    cr_assert(not(mf_key_is_set(&key)));
    mf_run_destroy(NULL);
    mf_signature_destroy(NULL);
}

/* ---- from inside a task ---------------------------------------------------------------------------------------------- */

/* {depth}: starts itself with one less and waits for that, down to 0. Gives how deep it was below. */
static mf_status nested(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    mf_error err;
    int64_t depth = 0, below = -1;
    note_call(f, ctx, in);
    if (mf_message_scan(in, &err, "{s:I}", "depth", &depth) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    if (depth > 0) {
        mf_message *result = NULL;
        mf_signature *sig = mf_sign(f->mage, "nested", mf_msg("{s:I}", "depth", depth - 1), &err);
        mf_run *run = mf_start(sig, NULL, &err);
        mf_status st = mf_run_wait(run, PATIENCE, &result, &err);
        mf_run_destroy(run);
        mf_signature_destroy(sig);
        if (st != MF_OK || mf_value_int(mf_message_value(result), &below) != MF_OK)
            below = -1000;
        mf_message_unref(result);
    }
    *out = mf_msg("I", below + 1);
    return MF_OK;
}

static void declare_nested(fixture *f)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "nested", .run = nested, .user = f), &f->err), MF_OK);
}

FLOW_TEST(flow_run, a_task_may_wait_for_another)
{
    declare_nested(f);
    ends_done(f, start(f, sign(f, "nested", NULL), "{\"depth\":1}"), "1");
    called(f, "nested", 2);
}

FLOW_TEST(flow_run, as_many_tasks_may_wait_as_there_are_threads)
{
    declare_nested(f);
    ends_done(f, start(f, sign(f, "nested", NULL), "{\"depth\":4}"), "4");
    called(f, "nested", THREADS + 1);
}

FLOW_TEST(flow_run, more_tasks_may_wait_than_there_are_threads)
{
    declare_nested(f);
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (int i = 0; i < 3 * THREADS; i++)
        swarm = mf_swarm_add(swarm, sign(f, "nested", NULL), &f->err);
    ends_done(f, start(f, mf_swarm_close(swarm, &f->err), "{\"depth\":3}"), "[3,3,3,3,3,3,3,3,3,3,3,3]");
    called(f, "nested", 3 * THREADS * 4);
}

FLOW_TEST(flow_run, many_threads_may_wait_for_one_end)
{
    enum { HANDLES = 20 };
    mf_run *run = start(f, sign(f, "gate", NULL), NULL), *handles[HANDLES];
    mf_key key = mf_run_key(run);
    ended e[HANDLES];
    for (int i = 0; i < HANDLES; i++) {
        e[i] = (ended){.f = f};
        handles[i] = mf_run_open(f->mage, &key, &f->err);
        is_status(mf_run_on_end(handles[i], on_end, &e[i]), MF_OK);
    }
    mf_run_destroy(handles[0]);     /* its callback will not be called */
    open_gate(f);
    ends_done(f, run, "null");
    for (int i = 1; i < HANDLES; i++) {
        wait_ended(&e[i]);
        mf_run_destroy(handles[i]);
    }
    cr_assert(eq(uint, e[0].times, 0));
}
