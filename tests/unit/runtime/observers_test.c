/* Who waits for an end: handles of records that the test ends by hand. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "bench.h"
#include "run_handle.h"

static bench b;
static mf_key key;

static void init(void)
{
    cr_assert(bench_open(&b));
    key = bench_key(MF_KIND_TASK, 1);
    cr_assert(eq(int, bench_put(&b, bench_spec(&b, MF_KIND_TASK, "task", 1), &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK));
}

static void fini(void)
{
    cr_assert(eq(ptr, b.client->observers.watches, NULL));
    cr_assert(bench_close(&b));
}

TestSuite(runtime_observers, .init = init, .fini = fini, .timeout = 60);

static mf_run *open_run(void)
{
    mf_error err;
    mf_run *run = mf_run_open(b.client, &key, &err);
    cr_assert(ne(ptr, run, NULL));
    return run;
}

static void end_it(void)
{
    mfi_flow_event event = {.kind = MFI_EV_ITEM_DONE, .value = mf_msg("i", 5)};
    cr_assert(eq(int, mfi_dispatch_wait(b.client, &key, &event, true), MF_OK));
}

static unsigned called;

static void count_call(void *user, const mf_key *ended)
{
    (void)user;
    called += mf_key_eq(ended, &key);
}

Test(runtime_observers, every_handle_is_told_once)
{
    mf_run *runs[3] = {open_run(), open_run(), open_run()};
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, mf_run_on_end(runs[i], count_call, NULL), MF_OK));
    end_it();
    cr_assert(eq(uint, called, 3));
    mfi_observers_ended(b.client, &key);     /* a store may say it again */
    cr_assert(eq(uint, called, 3));
    for (int i = 0; i < 3; i++)
        mf_run_destroy(runs[i]);
}

Test(runtime_observers, a_handle_let_go_is_not_told)
{
    mf_run *run = open_run(), *other = open_run();
    cr_assert(eq(int, mf_run_on_end(run, count_call, NULL), MF_OK));
    mf_run_destroy(run);
    end_it();
    cr_assert(eq(uint, called, 0));
    mf_run_destroy(other);
}

static mf_run *all[4];

static void destroy_all(void *user, const mf_key *ended)
{
    (void)user;
    called += mf_key_eq(ended, &key);
    for (int i = 0; i < 4; i++)
        mf_run_destroy(all[i]);
    memset(all, 0, sizeof all);
}

Test(runtime_observers, a_callback_may_destroy_its_own_run_and_all_the_others)
{
    for (int i = 0; i < 4; i++) {
        all[i] = open_run();
        cr_assert(eq(int, mf_run_on_end(all[i], destroy_all, NULL), MF_OK));
    }
    end_it();
    cr_assert(eq(uint, called, 1));
}

static void open_another(void *user, const mf_key *ended)
{
    (void)user;
    mf_error err;
    mf_run *run = mf_run_open(b.client, ended, &err);
    called += run != NULL && mf_run_poll(run, NULL, &err) == MF_OK;
    mf_run_destroy(run);
}

Test(runtime_observers, a_callback_may_open_the_same_again)
{
    mf_run *run = open_run();
    cr_assert(eq(int, mf_run_on_end(run, open_another, NULL), MF_OK));
    end_it();
    cr_assert(eq(uint, called, 1));
    mf_run_destroy(run);
}

Test(runtime_observers, an_end_between_opening_and_looking_is_not_missed)
{
    end_it();
    mf_run *run = open_run();
    mf_error err;
    mf_message *result = NULL;
    int64_t n = 0;
    cr_assert(eq(int, mf_run_poll(run, &result, &err), MF_OK));
    cr_assert(eq(int, mf_value_int(mf_message_value(result), &n), MF_OK));
    cr_assert(eq(i64, n, 5));
    mf_message_unref(result);
    mf_run_destroy(run);
}

/* A start makes its handle first, so that no end is missed; whoever looks meanwhile finds no record. */
Test(runtime_observers, what_is_not_stored_yet_has_not_ended)
{
    mf_error err;
    mf_key other = bench_key(MF_KIND_TASK, 2);
    mf_run *run = mfi_run_create(b.client, &other, &err);
    cr_assert(ne(ptr, run, NULL));
    mfi_observers_look(b.client);
    cr_assert(eq(int, mf_run_poll(run, NULL, &err), MF_E_AGAIN));
    mfi_run_stored(run);
    mfi_observers_look(b.client);       /* but what was there and is not any more is gone */
    cr_assert(eq(int, mf_run_poll(run, NULL, &err), MF_E_NOT_FOUND));
    mf_run_destroy(run);
}

Test(runtime_observers, without_memory_no_handle_is_made)
{
    for (long n = 1;; n++) {
        mf_error err = {0};
        long before = atomic_load(&b.counting.calls);
        atomic_store(&b.counting.fail_at, before + n);
        mf_run *run = mf_run_open(b.client, &key, &err);
        atomic_store(&b.counting.fail_at, 0);
        bool reached = atomic_load(&b.counting.calls) - before >= n;
        cr_assert(eq(int, run == NULL, reached));
        mf_run_destroy(run);
        if (!reached)
            break;
        cr_assert(eq(int, err.status, MF_E_NOMEM));
    }
}
