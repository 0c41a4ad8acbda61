/* The actions under way: found by their runs, the newest first, however many there are. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "hatchet.h"

#define MANY 5000
#define ATTEMPTS 3      /* of each run */

static hatchet fake;        /* no engine, no threads */
static HatchetPb__Action actions[MANY * ATTEMPTS];
static char runs[MANY][HATCHET_ID_MAX];
static hatchet_job jobs[MANY * ATTEMPTS];

static void link_all(const mf_allocator *allocator)
{
    fake.allocator = allocator;
    for (size_t i = 0; i < MANY; i++)
        snprintf(runs[i], sizeof runs[i], "0199a7c0-0000-7000-8000-%012zx", i);
    for (size_t i = 0; i < MANY * ATTEMPTS; i++) {
        hatchet_pb__action__init(&actions[i]);
        actions[i].task_run_external_id = runs[i % MANY];
        jobs[i].action = &actions[i];
        jobs[i].retry_count = (int32_t)(i / MANY);
        hatchet_job_link(&fake, &jobs[i]);
    }
}

static void newest_first(void)
{
    cr_assert(eq(sz, fake.job_count, MANY * ATTEMPTS));
    for (size_t i = 0; i < MANY; i++) {
        hatchet_job *job = hatchet_job_newest(&fake, runs[i]);
        for (size_t attempt = ATTEMPTS; attempt-- > 0; job = hatchet_job_older(job))
            cr_assert(job == &jobs[attempt * MANY + i], "run %zu, attempt %zu", i, attempt);
        cr_assert(job == NULL);
    }
    cr_assert(hatchet_job_newest(&fake, "another") == NULL);
}

static void in_any_order(void)
{
    static bool gone[MANY * ATTEMPTS];
    for (size_t n = 0; n < MANY * ATTEMPTS; n++) {
        size_t i = n * 7919 % (MANY * ATTEMPTS);        /* a prime: each comes once */
        hatchet_job_unlink(&fake, &jobs[i]);
        gone[i] = true;
        size_t attempt = ATTEMPTS;
        while (attempt > 0 && gone[(attempt - 1) * MANY + i % MANY])
            attempt--;
        cr_assert(hatchet_job_newest(&fake, runs[i % MANY]) == (attempt > 0 ? &jobs[(attempt - 1) * MANY + i % MANY] : NULL), "%zu", i);
    }
    cr_assert(eq(sz, fake.job_count, 0));
    cr_assert(fake.jobs == NULL);
}

Test(hatchet_jobs, each_is_found_by_its_run_until_it_ends)
{
    link_all(NULL);
    newest_first();
    in_any_order();
    cr_assert(ge(sz, fake.chain_count, MANY * ATTEMPTS / 2), "chains have grown with what hangs in them");
    hatchet_jobs_drop(&fake);
}

/* Grants the first tables, and then nothing any more. */
static void *grant_few(void *user, size_t size)
{
    (void)user;
    return size > 4096 ? NULL : malloc(size);
}

static void release(void *user, void *at, size_t size)
{
    (void)user, (void)size;
    free(at);
}

Test(hatchet_jobs, without_memory_for_a_larger_table_all_are_found_too)
{
    const mf_allocator few = {.alloc = grant_few, .release = release};
    link_all(&few);
    newest_first();
    in_any_order();
    hatchet_jobs_drop(&fake);
}
