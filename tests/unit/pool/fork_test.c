#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "gate.h"

#include <sys/wait.h>
#include <unistd.h>

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

/* In the child: the number of the first answer that is not MF_E_FORKED. */
static int answers_in_child(mf_pool *pool, mf_group *group)
{
    mf_pool_counts counts;
    atomic_long ran = 0;
    if (mf_pool_submit(pool, count_job, &ran) != MF_E_FORKED)
        return 1;
    if (mf_pool_submit_batch(pool, &(mf_job){count_job, &ran}, 1, NULL) != MF_E_FORKED)
        return 2;
    if (mf_group_submit(group, count_job, &ran) != MF_E_FORKED || mf_group_wait(group) != MF_E_FORKED)
        return 3;
    if (mf_pool_drain(pool) != MF_E_FORKED || mf_pool_stop(pool) != MF_E_FORKED)
        return 4;
    if (mf_pool_stats(pool, &counts) != MF_E_FORKED || mf_pool_on_worker(pool))
        return 5;
    if (mf_pool_help_until(pool, yes, NULL, 0) != MF_E_FORKED || mf_pool_current_worker() != NULL)
        return 6;
    mf_pool_wake_helpers(pool);
    if (mf_pool_destroy(pool) != MF_OK)
        return 7;
    mf_pool *own;
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = 2), &own, NULL) != MF_OK
        || mf_pool_submit(own, count_job, &ran) != MF_OK || mf_pool_destroy(own) != MF_OK || ran != 1)
        return 8;
    return 0;
}

static int exit_of(pid_t child)
{
    int status = -1;
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

Test(pool_fork, a_child_is_answered_and_may_free_the_pool_and_make_another)
{
    for (int mode = MF_POOL_FULL_FAIL; mode <= MF_POOL_FULL_GROW; mode++) {
        mf_pool *pool;
        mf_group group;
        gate door;
        gate_init(&door);
        cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 2, .when_full = (mf_pool_full)mode), &pool, NULL),
                     MF_OK));
        mf_group_init(&group, pool);
        /* Both workers stand still: a thread that is being started, or allocates, may hold a lock of a sanitizer's runtime,
         * which the child would inherit without its holder. */
        for (int i = 0; i < 2; i++)
            cr_assert(eq(int, mf_pool_submit(pool, gate_job, &door), MF_OK));
        gate_await(&door, 2);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(answers_in_child(pool, &group));
        }
        cr_assert(zero(int, exit_of(child)), "mode %d", mode);
        gate_open(&door, 2);
        cr_assert(eq(int, mf_pool_destroy(pool), MF_OK), "the parent's goes on");
    }
}

static mf_pool *forking_pool;
static int child_said;
static sem_t has_said;      /* the main thread stands still, too */

static void fork_inside(void *arg)
{
    mf_group *group = arg;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(answers_in_child(forking_pool, group));
    }
    int status = -1;
    waitpid(child, &status, 0);
    child_said = WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
    sem_post(&has_said);
}

Test(pool_fork, a_child_of_a_job_is_answered_too)
{
    mf_group group;
    cr_assert(eq(int, mf_pool_create(MF_POOL_OPTIONS(.workers = 1), &forking_pool, NULL), MF_OK));
    mf_group_init(&group, forking_pool);
    sem_init(&has_said, 0, 0);
    cr_assert(eq(int, mf_pool_submit(forking_pool, fork_inside, &group), MF_OK));
    gate_sem_wait(&has_said);
    cr_assert(eq(int, mf_pool_destroy(forking_pool), MF_OK));
    cr_assert(zero(int, child_said));
}
