/* A worker that waits for something runs other jobs meanwhile, and sleeps when there are none.
 *
 * It sleeps by the doorbell as an idle worker does, so that a new job wakes it; and somebody may say that its condition
 * has changed:
 *
 *    whoever changes the condition              worker that waits
 *    C1  change it                              H1  helpers += 1   (on the word)
 *    C2  calls += 1   (on the same word)        H2  ask done() once more; true: get up
 *        and read helpers; 0: done              H3  sleep
 *    C3  wake every helper that sleeps
 *
 * Invariant  C2 sees the helper, or H2 sees the condition; never neither.
 * Why        C2 and H1 write the same word, so one of them comes second and reads what the first wrote: C2 second: it
 *            counts the helper; H1 second: it acquires what C2 released, C1 with it. No order is asked of C1 or of
 *            done(), which are the caller's code: that is why C2 always writes, and does not only load.
 *            Between H1 and H3 the helper is in the doorbell's list, where C3 finds it.
 * Checked    tests/model/help.pml, tests/stress/pool
 *
 * A helper runs jobs on top of its own stack, and these may help in turn. So a chain of jobs that each wait for the next
 * needs the stack of all of them, and a job that waits for one beneath it on the same stack waits for ever.
 */
#include "pool_impl.h"

#include "clock.h"

#define CALL    (1ull << 16)
#define HELPERS (CALL - 1)

void mf_pool_wake_helpers(mf_pool *pool)
{
    if (mfi_pool_forked(pool))
        return;
    /* C2, release for C1 and acquire for what helpers wrote. */
    uint64_t before = atomic_fetch_add_explicit(&pool->helpers, CALL, memory_order_acq_rel);
    if ((before & HELPERS) > 0)
        mfi_doorbell_call_helpers(&pool->bell);
}

/* True: woken, or there was no need to sleep; *searching tells how. False: the deadline is over. */
static bool sleep_helping(mf_pool_worker *self, mf_done_fn *done, void *arg, int64_t deadline_ns, bool *searching)
{
    mf_pool *pool = self->pool;
    mfi_wake why = MFI_WAKE_CALLED;
    mfi_doorbell_lie_down(&pool->bell, &self->sleeper, *searching, true);
    /* H1, acquire: pairs with C2. */
    atomic_fetch_add_explicit(&pool->helpers, 1, memory_order_acq_rel);
    /* W2 of the doorbell, and H2. */
    if (!mfi_worker_finds_nothing(self) || done(arg)) {
        mfi_doorbell_get_up(&pool->bell, &self->sleeper);
        why = MFI_WAKE_RUNG;
    } else {
        why = mfi_doorbell_sleep(&pool->bell, &self->sleeper, deadline_ns);
    }
    atomic_fetch_sub_explicit(&pool->helpers, 1, memory_order_relaxed);
    *searching = why == MFI_WAKE_RUNG;
    return why != MFI_WAKE_TIMEOUT;
}

mf_status mf_pool_help_until(mf_pool *pool, mf_done_fn *done, void *arg, int64_t deadline_ns)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    mf_pool_worker *self = mfi_worker_of(pool);
    if (self == NULL)
        return MF_E_STATE;
    bool searching = false, in_time = true;
    mf_status st = MF_OK;
    while (!done(arg)) {
        mfi_item job;
        if (!in_time || (deadline_ns != MF_FOREVER && mfi_now_ns(NULL) >= deadline_ns)) {
            st = MF_E_TIMEOUT;
            break;
        }
        if (!mfi_worker_take(self, &job)) {
            in_time = sleep_helping(self, done, arg, deadline_ns, &searching);
            continue;
        }
        if (searching)
            mfi_worker_found(self);
        searching = false;
        mfi_worker_run(self, &job);
    }
    if (searching)
        mfi_worker_found(self);
    return st;
}
