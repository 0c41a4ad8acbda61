/* The actions under way here: all of them, and those of one run.
 *
 * Each action that comes is held against those of its run that are here already, and a worker may hold thousands at once: so
 * they hang in chains by the hash of their run's id, about one in each. A chain has them newest first. The lock is held. */
#include "hatchet.h"

#include "memory.h"

/* FNV-1a: ids are short, and made by the engine. */
static uint32_t hash_of(const char *run)
{
    uint32_t hash = 2166136261u;
    for (; *run != '\0'; run++)
        hash = (hash ^ (unsigned char)*run) * 16777619u;
    return hash;
}

static hatchet_job **chain_of(hatchet *h, uint32_t hash)
{
    return h->chains == NULL ? &h->one_chain : &h->chains[hash & (h->chain_count - 1)];
}

/* Without memory chains grow longer, and nothing else happens. */
static void grow(hatchet *h)
{
    size_t count = h->chain_count == 0 ? HATCHET_CHAINS_MIN : h->chain_count * 2;
    hatchet_job **chains = mfi_alloc(h->allocator, count * sizeof *chains);
    if (chains == NULL)
        return;
    mfi_release(h->allocator, h->chains, h->chain_count * sizeof *chains);
    memset(chains, 0, count * sizeof *chains);
    h->chains = chains;
    h->chain_count = count;
    h->one_chain = NULL;
    hatchet_job *oldest = h->jobs;
    while (oldest != NULL && oldest->next != NULL)
        oldest = oldest->next;
    for (hatchet_job *job = oldest; job != NULL; job = job->prev) {
        hatchet_job **chain = chain_of(h, job->hash);
        job->below = *chain;
        *chain = job;
    }
}

void hatchet_job_link(hatchet *h, hatchet_job *job)
{
    if (h->job_count >= h->chain_count)
        grow(h);
    job->next = h->jobs;
    if (h->jobs != NULL)
        h->jobs->prev = job;
    h->jobs = job;
    h->job_count++;
    job->hash = hash_of(job->action->task_run_external_id);
    hatchet_job **chain = chain_of(h, job->hash);
    job->below = *chain;
    *chain = job;
}

void hatchet_job_unlink(hatchet *h, hatchet_job *job)
{
    hatchet_job **at = chain_of(h, job->hash);
    while (*at != job)
        at = &(*at)->below;
    *at = job->below;
    *(job->prev != NULL ? &job->prev->next : &h->jobs) = job->next;
    if (job->next != NULL)
        job->next->prev = job->prev;
    h->job_count--;
}

static hatchet_job *first_of(hatchet_job *job, const char *run)
{
    while (job != NULL && strcmp(job->action->task_run_external_id, run) != 0)
        job = job->below;
    return job;
}

hatchet_job *hatchet_job_newest(hatchet *h, const char *run)
{
    return first_of(*chain_of(h, hash_of(run)), run);
}

hatchet_job *hatchet_job_older(const hatchet_job *job)
{
    return first_of(job->below, job->action->task_run_external_id);
}
