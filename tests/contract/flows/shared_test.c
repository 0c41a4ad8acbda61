/* Several clients on one store: each a handle of its own, as if they were processes. */
#include "kit.h"

#ifdef MFT_SQLITE
#include "sqlite_create.h"

typedef struct pair {
    fixture    f;           /* declares the kit's tasks and serves them */
    mf_client *other;       /* declares nothing */
} pair;

static mf_status open_at(const char *path, const mf_allocator *allocator, mf_client **out, mf_error *err)
{
    mf_store *store = NULL;
    mf_status st = mfi_sqlite_store_create(path, allocator, NULL, &store, err);
    return st != MF_OK ? st : mf_open("local:", MF_OPTIONS(.allocator = allocator, .store = store, .threads = 2), out, err);
}

static void open_pair(pair *p)
{
    size_t maker = 0;
    while (maker < flow_maker_count && strcmp(flow_makers[maker].name, "local in one file") != 0)
        maker++;
    cr_assert(lt(sz, maker, flow_maker_count));
    open_fixture(&p->f, maker);
    is_status(mf_serve(p->f.mage, NULL, &p->f.err), MF_OK);
    cr_assert(eq(int, open_at(flow_store_path(), &p->f.counting.allocator, &p->other, &p->f.err), MF_OK), "%s", p->f.err.text);
}

static void close_pair(pair *p)
{
    mf_client_destroy(p->other);
    close_fixture(&p->f);
}

Test(flow_shared, a_process_without_the_function_signs_by_name_with_validation, .timeout = 120)
{
    pair p;
    open_pair(&p);
    mf_error *err = &p.f.err;
    cr_assert(eq(ptr, mf_sign(p.other, "nobody", NULL, err), NULL));
    is_status(err->status, MF_E_UNKNOWN_TASK);
    cr_assert(eq(ptr, mf_sign(p.other, "path", msg("{\"path\":\"a\",\"width\":1000}"), err), NULL));
    is_status(err->status, MF_E_INVALID);
    has_text(err->text, "field \"width\": expected an integer from 1 to 100, got the integer 1000");
    mf_signature *task = mf_sign(p.other, "path", NULL, err);
    cr_assert(eq(ptr, mf_start(task, NULL, err), NULL));
    is_status(err->status, MF_E_INVALID);
    has_text(err->text, "field \"path\": required, but missing");
    mf_run *run = mf_start(task, msg("{\"path\":\"a\"}"), err);
    cr_assert(ne(ptr, run, NULL), "%s", err->text);
    mf_signature_destroy(task);
    ends_done(&p.f, run, "\"a\"");
    called(&p.f, "path", 1);
    /* Its return field is known, too: a result goes where the task wants it. */
    mf_signature *chain = mf_chain(p.other, "chain", NULL, err);
    chain = mf_chain_add(mf_chain_add(chain, mf_sign(p.other, "add", NULL, err), err), mf_sign(p.other, "add", NULL, err), err);
    run = mf_start(chain, msg("{\"n\":5}"), err);
    mf_signature_destroy(chain);
    ends_done(&p.f, run, "7");
    close_pair(&p);
}

static mf_status own(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

Test(flow_shared, who_serves_other_tasks_leaves_it_to_who_can, .timeout = 120)
{
    pair p;
    open_pair(&p);
    is_status(mf_task(p.other, MF_TASK_DEF(.name = "own", .run = own), &p.f.err), MF_OK);
    is_status(mf_serve(p.other, NULL, &p.f.err), MF_OK);
    for (int i = 0; i < 10; i++) {
        mf_signature *task = mf_sign(p.other, "add", NULL, &p.f.err);
        mf_run *run = mf_start(task, msg("{\"n\":1}"), &p.f.err);
        cr_assert(ne(ptr, run, NULL), "%s", p.f.err.text);
        mf_signature_destroy(task);
        ends_done(&p.f, run, "2");
    }
    close_pair(&p);
}

Test(flow_shared, a_stop_from_elsewhere_reaches_a_task_that_runs, .timeout = 120)
{
    pair p;
    open_pair(&p);
    mf_signature *task = sign(&p.f, "linger", NULL);
    mf_key key = mf_signature_key(task);
    mf_run *run = start(&p.f, task, NULL);
    wait_calls(&p.f, "linger", 1);
    is_status(mf_cancel(p.other, &key, &p.f.err), MF_OK);
    ends_canceled(&p.f, run);
    settle_down(&p.f);      /* which the lingering call has to end for */
    close_pair(&p);
}

Test(flow_shared, one_of_two_resumes_it, .timeout = 120)
{
    pair p;
    open_pair(&p);
    mf_signature *chain = CHAIN(&p.f, sign(&p.f, "gate", NULL), sign(&p.f, "note", NULL));
    mf_key key = mf_signature_key(chain);
    mf_run *run = start(&p.f, chain, NULL);
    wait_calls(&p.f, "gate", 1);
    is_status(mf_suspend(p.other, &key, &p.f.err), MF_OK);
    open_gate(&p.f);
    settle_down(&p.f);
    called(&p.f, "note", 0);
    mf_status one = mf_resume(p.other, &key, &p.f.err), two = mf_resume(p.f.mage, &key, &p.f.err);
    is_status(one, MF_OK);
    is_status(two, MF_E_STATE);
    is_status(mf_run_wait(run, PATIENCE, NULL, &p.f.err), MF_OK);
    mf_run_destroy(run);
    called(&p.f, "note", 1);
    close_pair(&p);
}

Test(flow_shared, a_run_is_opened_and_waited_for_elsewhere, .timeout = 120)
{
    pair p;
    open_pair(&p);
    mf_signature *task = sign(&p.f, "gate", NULL);
    mf_key key = mf_signature_key(task);
    mf_run_destroy(start(&p.f, task, "{\"a\":1}"));
    mf_run *run = mf_run_open(p.other, &key, &p.f.err);
    cr_assert(ne(ptr, run, NULL), "%s", p.f.err.text);
    wait_calls(&p.f, "gate", 1);
    open_gate(&p.f);
    ends_done(&p.f, run, "{\"a\":1}");
    close_pair(&p);
}

/* ---- the cap ----------------------------------------------------------------------------------------------------------- */

typedef struct census {
    atomic_int inside, most, runs;
} census;

static mf_status counted_task(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    census *c = user;
    (void)in, (void)out;
    int now = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {}
    mf_status st;
    do      /* so that calls overlap if they may: the first ones until two have */
        st = mf_context_sleep(ctx, mf_milliseconds(2));
    while (st == MF_OK && atomic_load(&c->most) < 2);
    atomic_fetch_add(&c->runs, 1);
    atomic_fetch_sub(&c->inside, 1);
    return st;
}

Test(flow_shared, a_swarm_over_two_workers_never_runs_more_than_its_cap, .timeout = 120)
{
    enum { ITEMS = 200, CAP = 3 };
    pair p;
    census c = {0};
    open_pair(&p);
    const mf_task_def *def = MF_TASK_DEF(.name = "counted", .run = counted_task, .user = &c);
    is_status(mf_task(p.f.mage, def, &p.f.err), MF_OK);
    is_status(mf_task(p.other, def, &p.f.err), MF_OK);
    is_status(mf_serve(p.other, NULL, &p.f.err), MF_OK);
    mf_signature *items[ITEMS];
    for (int i = 0; i < ITEMS; i++)
        items[i] = sign(&p.f, "counted", NULL);
    mf_run *run = start(&p.f, swarm_of(&p.f, MF_SWARM_OPTIONS(.max_concurrency = CAP), ITEMS, items), NULL);
    is_status(mf_run_wait(run, PATIENCE, NULL, &p.f.err), MF_OK);
    mf_run_destroy(run);
    cr_assert(eq(int, atomic_load(&c.runs), ITEMS));
    cr_assert(all(ge(int, atomic_load(&c.most), 2), le(int, atomic_load(&c.most), CAP)), "at most %d at once", atomic_load(&c.most));
    close_pair(&p);
}
#endif
