/* Groups: a count of jobs and a flag "somebody waits", in one futex word that lies in the caller's memory.
 *
 *     count << 1 | waiting
 *
 * Invariant  the thread that takes the count to zero clears the flag in the same operation, and wakes if it was set; a
 *            waiter sets the flag while the count is not zero, in one operation too. One word: neither misses the other.
 * Lifetime   the moment the count is zero a waiter may return and free the group. So the last job touches nothing of
 *            it afterwards: it wakes the address without reading it, and has taken the pool's pointer before.
 */
#include "pool_impl.h"

#include "clock.h"
#include "futex.h"

#define WAITING 1u
#define ONE_JOB 2u

/* The word is declared plain so that the public header is C++ too; all access is through here. */
static _Atomic uint32_t *word_of(mf_group *group)
{
    _Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "the atomic word must fit into mf_group");
    return (_Atomic uint32_t *)&group->word[0];
}

void mf_group_init(mf_group *group, mf_pool *pool)
{
    group->pool = pool;
    group->word[1] = 0;
    atomic_init(word_of(group), 0);
}

/* Count jobs before they are queued. Relaxed: whoever adds has the group's count above zero, or nobody waits yet. */
mf_status mfi_group_add(mf_group *group, size_t jobs)
{
    uint32_t seen = atomic_load_explicit(word_of(group), memory_order_relaxed);
    do
        if (jobs > (UINT32_MAX - seen) / ONE_JOB)
            return MF_E_FULL;
    while (!atomic_compare_exchange_weak_explicit(word_of(group), &seen, seen + (uint32_t)jobs * ONE_JOB,
                                                  memory_order_relaxed, memory_order_relaxed));
    return MF_OK;
}

void mfi_group_done(mf_group *group, size_t jobs)
{
    mf_pool *pool = group->pool;
    _Atomic uint32_t *word = word_of(group);
    uint32_t seen = atomic_load_explicit(word, memory_order_relaxed), left;
    do {
        left = seen - (uint32_t)jobs * ONE_JOB;
        if (left == WAITING)
            left = 0;
        /* Release: what the job wrote. Acquire: what the others wrote, for whoever is woken by this. */
    } while (!atomic_compare_exchange_weak_explicit(word, &seen, left, memory_order_acq_rel, memory_order_relaxed));
    /* From here on the group may be gone. */
    if (left == 0 && (seen & WAITING)) {
        mfi_futex_wake(word, UINT32_MAX);
        mf_pool_wake_helpers(pool);
    }
}

static mf_status submit(mf_group *group, const mf_job *jobs, size_t count, size_t *queued)
{
    *queued = 0;
    if (mfi_pool_forked(group->pool))
        return MF_E_FORKED;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].fn == NULL)
            return MF_E_INVALID;
    if (count == 0)
        return MF_OK;
    mf_status st = mfi_group_add(group, count);
    if (st != MF_OK)
        return st;
    st = mfi_pool_enqueue(group->pool, NULL, group, jobs, count, queued);
    if (*queued < count)
        mfi_group_done(group, count - *queued);
    return st;
}

mf_status mf_group_submit(mf_group *group, mf_job_fn *fn, void *arg)
{
    size_t queued;
    return submit(group, &(mf_job){fn, arg}, 1, &queued);
}

mf_status mf_group_submit_batch(mf_group *group, const mf_job *jobs, size_t count, size_t *queued)
{
    size_t ignored;
    return submit(group, jobs, count, queued != NULL ? queued : &ignored);
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

/* Whether all is done; if not, the flag is set and the last job will wake. *seen is the word then. */
static bool done_or_waiting(mf_group *group, uint32_t *seen)
{
    /* Acquire: pairs with mfi_group_done. */
    *seen = atomic_load_explicit(word_of(group), memory_order_acquire);
    while (*seen >= ONE_JOB) {
        if (*seen & WAITING)
            return false;
        if (atomic_compare_exchange_weak_explicit(word_of(group), seen, *seen | WAITING, memory_order_acquire,
                                                  memory_order_acquire)) {
            *seen |= WAITING;
            return false;
        }
    }
    return true;
}

static bool group_is_done(void *arg)
{
    uint32_t seen;
    return done_or_waiting(arg, &seen);
}

mf_status mf_group_wait_until(mf_group *group, int64_t deadline_ns)
{
    if (mfi_pool_forked(group->pool))
        return MF_E_FORKED;
    if (mfi_worker_of(group->pool) != NULL)
        return mf_pool_help_until(group->pool, group_is_done, group, deadline_ns);
    uint32_t seen;
    while (!done_or_waiting(group, &seen))
        if (!mfi_futex_wait(word_of(group), seen, deadline_ns))
            return group_is_done(group) ? MF_OK : MF_E_TIMEOUT;
    return MF_OK;
}

mf_status mf_group_wait(mf_group *group)
{
    return mf_group_wait_until(group, MF_FOREVER);
}
