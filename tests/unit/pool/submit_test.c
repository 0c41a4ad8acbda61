#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "gate.h"

#include <pthread.h>

static mf_pool *pool;
static gate door;

static void make(unsigned workers, size_t capacity, mf_pool_full when_full)
{
    gate_init(&door);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .capacity = capacity, .when_full = when_full),
                                     &pool, NULL), MF_OK));
}

static void stand_at_gate(int jobs)
{
    for (int i = 0; i < jobs; i++)
        cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
    gate_await(&door, jobs);
}

Test(pool_submit, a_full_queue_fails_and_the_job_does_not_run)
{
    atomic_long ran = 0;
    make(1, 4, MF_POOL_FULL_FAIL);
    stand_at_gate(1);
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_E_FULL));
    mf_pool_counts counts;
    cr_assert(eq(int, mf_pool_stats(pool, &counts), MF_OK));
    cr_assert(eq(sz, counts.queued, 4));
    cr_assert(eq(uint, counts.running, 1));
    cr_assert(eq(uint, counts.workers, 1));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(long, ran, 4));
    mf_pool_destroy(pool);
}

Test(pool_submit, a_batch_tells_how_many_were_queued)
{
    atomic_long ran = 0;
    mf_job jobs[100];
    size_t queued;
    for (int i = 0; i < 100; i++)
        jobs[i] = (mf_job){count_job, &ran};
    make(1, 64, MF_POOL_FULL_FAIL);
    stand_at_gate(1);
    cr_assert(eq(int, mf_pool_submit_batch(pool, jobs, 100, &queued), MF_E_FULL));
    cr_assert(eq(sz, queued, 64));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(long, ran, 64));
    cr_assert(eq(int, mf_pool_submit_batch(pool, jobs, 50, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_submit_batch(pool, jobs, 0, &queued), MF_OK));
    jobs[1].fn = NULL;
    cr_assert(eq(int, mf_pool_submit_batch(pool, jobs, 2, &queued), MF_E_INVALID));
    cr_assert(eq(sz, queued, 0));
    cr_assert(eq(int, mf_pool_submit(pool, NULL, NULL), MF_E_INVALID));
    mf_pool_destroy(pool);
    cr_assert(eq(long, ran, 114));
}

Test(pool_submit, a_growing_queue_takes_everything)
{
    atomic_long ran = 0;
    make(1, 4, MF_POOL_FULL_GROW);
    stand_at_gate(1);
    for (int i = 0; i < 10000; i++)
        cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_OK));
    mf_pool_counts counts;
    cr_assert(eq(int, mf_pool_stats(pool, &counts), MF_OK));
    cr_assert(eq(sz, counts.queued, 10000));
    gate_open(&door, 1);
    mf_pool_destroy(pool);
    cr_assert(eq(long, ran, 10000));
}

static mf_status waiter_status;
static sem_t waiter_began;
static atomic_long waiter_ran;

static void *wait_for_room(void *arg)
{
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, mf_pool_submit(pool, count_job, &waiter_ran), MF_OK));
    sem_post(&waiter_began);
    waiter_status = mf_pool_submit(pool, count_job, &waiter_ran);
    return arg;
}

Test(pool_submit, a_submitter_waits_for_room_and_gets_it)
{
    pthread_t waiter;
    sem_init(&waiter_began, 0, 0);
    make(1, 4, MF_POOL_FULL_WAIT);
    stand_at_gate(1);
    pthread_create(&waiter, NULL, wait_for_room, NULL);
    gate_sem_wait(&waiter_began);
    gate_open(&door, 1);
    pthread_join(waiter, NULL);
    cr_assert(eq(int, waiter_status, MF_OK));
    mf_pool_destroy(pool);
    cr_assert(eq(long, waiter_ran, 5));
}

Test(pool_submit, a_submitter_that_waits_for_room_learns_of_the_end)
{
    pthread_t waiter;
    sem_init(&waiter_began, 0, 0);
    make(1, 4, MF_POOL_FULL_WAIT);
    stand_at_gate(1);
    pthread_create(&waiter, NULL, wait_for_room, NULL);
    gate_sem_wait(&waiter_began);
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    pthread_join(waiter, NULL);
    cr_assert(eq(int, waiter_status, MF_E_CLOSED));
    gate_open(&door, 1);
    mf_pool_destroy(pool);
    cr_assert(eq(long, waiter_ran, 4));
}

static void submit_many(void *arg)
{
    for (int i = 0; i < 100; i++)
        if (mf_pool_submit(pool, count_job, arg) != MF_OK)
            abort();
}

Test(pool_submit, a_lone_worker_that_waits_for_room_makes_it_itself)
{
    atomic_long ran = 0;
    make(1, 4, MF_POOL_FULL_WAIT);
    cr_assert(eq(int, mf_pool_submit(pool, submit_many, &ran), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(long, ran, 100));
    mf_pool_destroy(pool);
}

Test(pool_stop, what_is_queued_still_runs_and_nothing_new_does)
{
    atomic_long ran = 0;
    make(1, 16, MF_POOL_FULL_FAIL);
    stand_at_gate(1);
    for (int i = 0; i < 10; i++)
        cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_OK));
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    cr_assert(eq(int, mf_pool_stop(pool), MF_OK));
    size_t queued = 7;
    cr_assert(eq(int, mf_pool_submit(pool, count_job, &ran), MF_E_CLOSED));
    cr_assert(eq(int, mf_pool_submit_batch(pool, &(mf_job){count_job, &ran}, 1, &queued), MF_E_CLOSED));
    cr_assert(eq(sz, queued, 0));
    gate_open(&door, 1);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(eq(long, ran, 10));
    mf_pool_destroy(pool);
}

static atomic_long leaves;

static void tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        atomic_fetch_add(&leaves, 1);
    for (int i = 0; i < 2 && depth > 0; i++)
        if (mf_pool_submit(pool, tree, (void *)(depth - 1)) != MF_OK)
            abort();
}

Test(pool_drain, waits_for_jobs_that_jobs_have_submitted)
{
    make(2, 0, MF_POOL_FULL_GROW);
    for (int round = 1; round <= 50; round++) {
        cr_assert(eq(int, mf_pool_submit(pool, tree, (void *)8), MF_OK));
        cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
        cr_assert(eq(long, leaves, round * 256));
    }
    mf_pool_destroy(pool);
}

Test(pool_drain, an_unused_pool_is_drained)
{
    make(2, 0, MF_POOL_FULL_FAIL);
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    mf_pool_destroy(pool);
}

static void where(void *arg)
{
    bool *on = arg;
    on[0] = mf_pool_on_worker(pool);
    on[1] = mf_pool_current_worker() != NULL;
}

Test(pool_on_worker, tells_workers_of_this_pool_from_all_others)
{
    bool on[2] = {false, false};
    mf_pool *another;
    make(1, 0, MF_POOL_FULL_FAIL);
    cr_assert(not(mf_pool_on_worker(pool)));
    cr_assert(eq(ptr, mf_pool_current_worker(), NULL));
    cr_assert(eq(int, mf_pool_submit(pool, where, on), MF_OK));
    cr_assert(eq(int, mf_pool_drain(pool), MF_OK));
    cr_assert(on[0]);
    cr_assert(on[1]);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1), &another, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_submit(another, where, on), MF_OK));
    cr_assert(eq(int, mf_pool_destroy(another), MF_OK));
    cr_assert(not(on[0]), "a worker, but of another pool");
    cr_assert(on[1]);
    mf_pool_destroy(pool);
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

enum { LINE_JOBS = 300 };

static int line_seen[LINE_JOBS], line_count;

static void see(void *arg)
{
    line_seen[line_count++] = (int)(intptr_t)arg;      /* one worker */
}

/* Two threads that live at the same time: the lane of one that has ended would be the next one's, and in order anyhow. */
struct turns {
    mf_pool_line *line;
    int           first;             /* 0 or 3: this thread's three of every six */
    sem_t        *mine, *other;
};

static void *submit_turns(void *arg)
{
    struct turns *t = arg;
    for (int n = t->first; n < LINE_JOBS; n += 6) {
        mf_job jobs[3];
        for (int i = 0; i < 3; i++)
            jobs[i] = (mf_job){see, (void *)(intptr_t)(n + i)};
        size_t queued = 0;
        gate_sem_wait(t->mine);
        cr_assert(eq(int, mf_pool_line_submit(t->line, jobs, 3, &queued), MF_OK));
        cr_assert(eq(sz, queued, 3));
        sem_post(t->other);
    }
    return NULL;
}

static void line_keeps_order(mf_pool_full when_full)
{
    mf_pool *made;
    mf_pool_line *line;
    gate g;
    line_count = 0;
    gate_init(&g);
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1, .when_full = when_full), &made, NULL), MF_OK));
    cr_assert(eq(int, mf_pool_line_open(made, &line), MF_OK));
    cr_assert(eq(int, mf_pool_submit(made, gate_job, &g), MF_OK));
    gate_await(&g, 1);
    sem_t turn[2];
    pthread_t threads[2];
    struct turns turns[2];
    for (int i = 0; i < 2; i++)
        sem_init(&turn[i], 0, i == 0);
    for (int i = 0; i < 2; i++) {
        turns[i] = (struct turns){line, 3 * i, &turn[i], &turn[1 - i]};
        cr_assert(zero(int, pthread_create(&threads[i], NULL, submit_turns, &turns[i])));
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    gate_open(&g, 1);
    cr_assert(eq(int, mf_pool_destroy(made), MF_OK));
    cr_assert(eq(int, line_count, LINE_JOBS));
    for (int i = 0; i < LINE_JOBS; i++)
        cr_assert(eq(int, line_seen[i], i));
}

Test(pool_line, keeps_the_order_of_threads_that_take_turns)
{
    line_keeps_order(MF_POOL_FULL_GROW);
    line_keeps_order(MF_POOL_FULL_FAIL);
}
