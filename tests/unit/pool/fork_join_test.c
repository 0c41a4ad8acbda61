#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "gate.h"
#include "threads_rest.h"

#include <mageflow/fork_join.h>
#include <mageflow/mageflow.h>      /* both at once: no word of the one is the other's */

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static mf_pool *pool;

static void make(unsigned workers)
{
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = workers), &pool, NULL), MF_OK));
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

MF_SPAWNABLE(uint64_t, fib, int, n)
{
    if (n < 2)
        return (uint64_t)n;
    MF_SPAWN(fib, n - 1);
    uint64_t b = MF_CALL(fib, n - 2);
    return MF_SYNC(fib) + b;
}

Test(fork_join, one_that_calls_itself_twice)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        make(workers);
        uint64_t value = 0;
        cr_assert(eq(int, fib_run(pool, &value, 24), MF_OK));
        cr_assert(eq(u64, value, 46368));
        mf_pool_destroy(pool);
    }
}

MF_VOID_SPAWNABLE(mark, unsigned char *, at)
{
    (*at)++;
}

/* Spawns in a loop: `n` are there at once, and synced the last one first. */
MF_VOID_SPAWNABLE(mark_all, unsigned char *, marks, int, n)
{
    for (int i = 0; i < n; i++)
        MF_SPAWN(mark, &marks[i]);
    for (int i = 0; i < n; i++)
        MF_SYNC(mark);
}

Test(fork_join, each_of_many_spawned_in_a_loop_runs_once)
{
    enum { N = 100000 };
    static unsigned char marks[N];
    make(4);
    cr_assert(eq(int, mark_all_run(pool, marks, N), MF_OK));
    for (int i = 0; i < N; i++)
        cr_assert(eq(int, marks[i], 1), "spawn %d", i);
    mf_pool_destroy(pool);
}

/* Two that spawn each other, with a struct as value and six arguments. */
struct sums {
    long even, odd;
};

MF_SPAWNABLE_DECLARE(struct sums, odd_level, long, a, long, b, int, depth, char, c, short, d, double, e)

MF_SPAWNABLE(struct sums, even_level, long, a, long, b, int, depth, char, c, short, d, double, e)
{
    if (depth == 0)
        return (struct sums){a + b + c + d + (long)e, 0};
    MF_SPAWN(odd_level, a + 1, b, depth - 1, c, d, e);
    MF_SPAWN(odd_level, a, b + 2, depth - 1, c, d, e);
    struct sums right = MF_SYNC(odd_level), left = MF_SYNC(odd_level);
    return (struct sums){left.even + right.even, left.odd + right.odd + 1};
}

MF_SPAWNABLE_BODY(struct sums, odd_level, long, a, long, b, int, depth, char, c, short, d, double, e)
{
    if (depth == 0)
        return (struct sums){a + b + c + d + (long)e, 0};
    MF_SPAWN(even_level, a + 1, b, depth - 1, c, d, e);
    struct sums right = MF_CALL(even_level, a, b + 2, depth - 1, c, d, e);
    struct sums left = MF_SYNC(even_level);
    return (struct sums){left.even + right.even, left.odd + right.odd + 1};
}

Test(fork_join, two_that_spawn_each_other_with_many_arguments)
{
    make(3);
    struct sums value;
    cr_assert(eq(int, even_level_run(pool, &value, 0, 0, 12, 1, 2, 3.0), MF_OK));
    /* 2^12 leaves, each with 6 of constants; each level adds 1 to half and 2 to the other half of them. */
    cr_assert(eq(long, value.even, 4096 * 6 + 12 * 4096 / 2 * 3));
    cr_assert(eq(long, value.odd, 4095));
    mf_pool_destroy(pool);
}

MF_VOID_SPAWNABLE(nothing)
{
}

MF_SPAWNABLE(int, spawns_nothing_much)
{
    MF_SPAWN(nothing);
    MF_CALL(nothing);
    MF_SYNC(nothing);
    return 7;
}

Test(fork_join, one_without_arguments)
{
    make(2);
    int value = 0;
    cr_assert(eq(int, nothing_run(pool), MF_OK));
    cr_assert(eq(int, spawns_nothing_much_run(pool, &value), MF_OK));
    cr_assert(eq(int, value, 7));
    mf_pool_destroy(pool);
}

/* ---- others take some -------------------------------------------------------------------------------------------- */

/* Stands still until all of `n` do: needs n workers at once. */
MF_VOID_SPAWNABLE(meet, atomic_int *, here, int, n)
{
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < n)
        sched_yield();
}

MF_VOID_SPAWNABLE(meet_all, atomic_int *, here, int, n)
{
    for (int i = 1; i < n; i++)
        MF_SPAWN(meet, here, n);
    /* Others are told of what they asked for when we spawn or sync; so some more, of nothing. */
    while (atomic_load(here) < n - 1) {
        MF_SPAWN(nothing);
        MF_SYNC(nothing);
    }
    MF_CALL(meet, here, n);
    for (int i = 1; i < n; i++)
        MF_SYNC(meet);
}

Test(fork_join, workers_that_sleep_are_woken_to_take_some, .timeout = 60)
{
    make(4);
    for (int round = 0; round < 200; round++) {
        atomic_int here = 0;
        cr_assert(eq(int, meet_all_run(pool, &here, 4), MF_OK));
    }
    mf_pool_destroy(pool);
}

/* ---- next to jobs ------------------------------------------------------------------------------------------------- */

struct in_job {
    uint64_t  value;
    mf_status st;
};

static void fib_job(void *arg)
{
    struct in_job *job = arg;
    job->st = fib_run(pool, &job->value, 16);
}

Test(fork_join, may_be_started_inside_of_jobs)
{
    enum { N = 32 };
    struct in_job jobs[N] = {{0}};
    make(3);
    for (int i = 0; i < N; i++)
        cr_assert(eq(int, mf_pool_submit(pool, fib_job, &jobs[i]), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    for (int i = 0; i < N; i++) {
        cr_assert(eq(int, jobs[i].st, MF_OK));
        cr_assert(eq(u64, jobs[i].value, 987));
    }
    mf_pool_destroy(pool);
}

/* A function that waits for jobs which spawn: these need a stack of their own, for ours is in use. */
MF_SPAWNABLE(uint64_t, fib_by_jobs, int, n)
{
    MF_SPAWN(fib, n);
    struct in_job jobs[2] = {{0}};
    mf_group group;
    mf_group_init(&group, pool);
    for (int i = 0; i < 2; i++)
        if (mf_group_submit(&group, fib_job, &jobs[i]) != MF_OK)
            abort();
    mf_group_wait(&group);
    return MF_SYNC(fib) + jobs[0].value + jobs[1].value;
}

Test(fork_join, a_spawn_may_wait_for_jobs_that_spawn)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        make(workers);
        for (int round = 0; round < 50; round++) {
            uint64_t value = 0;
            cr_assert(eq(int, fib_by_jobs_run(pool, &value, 16), MF_OK));
            cr_assert(eq(u64, value, 3 * 987));
        }
        mf_pool_destroy(pool);
    }
}

Test(fork_join, a_closed_pool_takes_none)
{
    make(1);
    uint64_t value = 5;
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    cr_assert(eq(int, fib_run(pool, &value, 3), MF_E_CLOSED));
    cr_assert(eq(u64, value, 5));
    mf_pool_destroy(pool);
}

Test(fork_join, a_forked_child_gets_an_answer)
{
    make(2);
    uint64_t value = 5;
    cr_assert(eq(int, fib_run(pool, &value, 20), MF_OK));
    threads_rest();
    pid_t child = fork();
    if (child == 0) {
        mf_status st = fib_run(pool, &value, 3);
        mf_pool_destroy(pool);
        _exit(st == MF_E_FORKED ? 0 : 1);
    }
    int status;
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    cr_assert(eq(int, status, 0));
    mf_pool_destroy(pool);
}
