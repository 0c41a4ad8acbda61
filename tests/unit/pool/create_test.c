#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "gate.h"

#include <pthread.h>

static const struct { mf_pool_full when_full; const char *name; } modes[] = {
    {MF_POOL_FULL_FAIL, "fail"}, {MF_POOL_FULL_WAIT, "wait"}, {MF_POOL_FULL_GROW, "grow"},
};
#define MODES (sizeof modes / sizeof modes[0])

Test(pool_create, defaults_make_a_pool_that_runs_jobs)
{
    mf_pool *pool;
    atomic_long ran = 0;
    cr_assert(eq(int, mf_pool_create(NULL, &pool, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(long, ran, 1), "destroy runs what was queued");
}

Test(pool_create, options_that_break_a_rule_are_named)
{
    mf_pool *pool = NULL;
    mf_error err;
    mf_pool_options zero = {0};
    cr_assert(eq(int, mf_pool_create(&zero, &pool, &err), MF_E_INVALID));
    cr_assert(ne(ptr, strstr(err.text, "struct_size"), NULL));
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 100000), &pool, &err), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.max_spares = 100000), &pool, &err), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.when_full = (mf_pool_full)9), &pool, &err), MF_E_INVALID));
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.capacity = SIZE_MAX), &pool, &err), MF_E_NOMEM));
    cr_assert(eq(ptr, pool, NULL));
}

Test(pool_create, a_newer_header_is_served_unless_it_asks_for_more)
{
    struct { mf_pool_options known; long newer; } wide = {{.struct_size = sizeof wide, .workers = 1}, 0};
    mf_pool *pool;
    cr_assert(eq(int, mf_pool_create(&wide.known, &pool, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    wide.newer = 1;
    cr_assert(eq(int, mf_pool_create(&wide.known, &pool, NULL), MF_E_UNSUPPORTED));
    mf_pool_options shorter = {.struct_size = offsetof(mf_pool_options, capacity), .workers = 1, .capacity = SIZE_MAX};
    cr_assert(eq(int, mf_pool_create(&shorter, &pool, NULL), MF_OK), "fields beyond struct_size are not read");
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
}

static void note_cpus(void *user, unsigned index)
{
    cpu_set_t *sets = user;
    pthread_getaffinity_np(pthread_self(), sizeof sets[index], &sets[index]);
}

Test(pool_create, pinned_workers_have_a_cpu_each_by_turns)
{
    cpu_set_t may, sets[3], both;
    mf_pool *pool;
    pthread_getaffinity_np(pthread_self(), sizeof may, &may);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 3, .pin_workers = true, .on_worker_start = note_cpus, .user = sets), &pool,
                                     NULL), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    for (int i = 0; i < 3; i++) {
        cr_assert(eq(int, CPU_COUNT(&sets[i]), 1));
        CPU_AND(&both, &sets[i], &may);
        bool allowed = CPU_EQUAL(&both, &sets[i]);
        cr_assert(allowed, "one that the process may use");
    }
    bool same = CPU_EQUAL(&sets[0], &sets[1]);
    cr_assert(eq(int, same, CPU_COUNT(&may) == 1));
}

Test(pool_create, each_allocation_may_fail)
{
    for (size_t m = 0; m < MODES; m++) {
        for (long n = 1; ; n++) {
            counting_allocator counter;
            counting_init(&counter);
            atomic_store(&counter.fail_at, n);
            mf_pool *pool = NULL;
            mf_error err = {0};
            mf_status st = mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 2,
                                                          .capacity = 16, .when_full = modes[m].when_full), &pool, &err);
            if (st == MF_OK) {
                cr_assert(gt(long, n, 3), "%s", modes[m].name);
                cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
            } else {
                cr_assert(eq(int, st, MF_E_NOMEM), "%s, call %ld", modes[m].name, n);
                cr_assert(eq(int, err.status, MF_E_NOMEM));
                cr_assert(eq(ptr, pool, NULL));
            }
            cr_assert(zero(long, atomic_load(&counter.live)), "%s, call %ld", modes[m].name, n);
            cr_assert(zero(long, atomic_load(&counter.wrong_size)), "%s, call %ld", modes[m].name, n);
            if (st == MF_OK)
                break;
        }
    }
}

Test(pool_create, submitting_allocates_nothing_in_a_steady_state)
{
    for (size_t m = 0; m < MODES; m++) {
        counting_allocator counter;
        counting_init(&counter);
        mf_pool *pool;
        atomic_long ran = 0;
        cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.allocator = &counter.allocator, .workers = 2, .capacity = 64,
                                                         .when_full = modes[m].when_full), &pool, NULL), MF_OK));
        long calls = 0;
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < 40; i++)
                cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_OK));
            cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
            if (round == 100)
                calls = atomic_load(&counter.calls);
        }
        cr_assert(eq(long, atomic_load(&counter.calls), calls), "%s", modes[m].name);
        cr_assert(eq(long, ran, 200 * 40));
        cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
        cr_assert(zero(long, atomic_load(&counter.live)));
    }
}

Test(pool_destroy, nothing_is_a_pool_too)
{
    cr_assert(eq(int, mf_pool_destroy(NULL), MF_OK));
}

struct inside {
    mf_pool *pool;
    mf_status destroy, drain, stop, submit;
};

static void from_inside(void *arg)
{
    struct inside *in = arg;
    in->destroy = mf_pool_destroy(in->pool);
    in->drain = mf_pool_drain(in->pool);
    in->stop = mf_pool_stop(in->pool);
    in->submit = mf_pool_submit(in->pool, from_inside, in);
}

Test(pool_destroy, inside_a_job_it_answers_instead_of_hanging)
{
    struct inside in;
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1), &in.pool, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_submit(in.pool, from_inside, &in), MF_OK));
    cr_assert(eq(int, mf_pool_drain(in.pool), MF_OK));
    cr_assert(eq(int, in.destroy, MF_E_STATE));
    cr_assert(eq(int, in.drain, MF_E_STATE));
    cr_assert(eq(int, in.stop, MF_OK));
    cr_assert(eq(int, in.submit, MF_E_CLOSED));
    cr_assert(eq(int, mf_pool_destroy(in.pool), MF_OK));
}

static atomic_int begun, ended;
static char names[8][16];

static void begin_hook(void *user, unsigned index)
{
    cr_assert(eq(ptr, user, &begun));
    pthread_getname_np(pthread_self(), names[index], sizeof names[0]);
    atomic_fetch_add(&begun, 1);
}

static void end_hook(void *user, unsigned index)
{
    (void)user;
    (void)index;
    atomic_fetch_add(&ended, 1);
}

Test(pool_create, workers_are_named_and_hooks_called_on_each)
{
    mf_pool *pool;
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 3, .thread_name = "a-very-long-prefix", .user = &begun,
                                                     .on_worker_start = begin_hook, .on_worker_stop = end_hook),
                                     &pool, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(pool), MF_OK));
    cr_assert(eq(int, begun, 3));
    cr_assert(eq(int, ended, 3));
    cr_assert(eq(str, names[2], "a-very-lon-2"));
}
