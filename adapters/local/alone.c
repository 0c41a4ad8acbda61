/* Small jobs are run by one worker alone, the runner, where that is as fast.
 *
 * Two workers that share a stream of jobs hand each other cache lines, a dozen an item, 100 ns each, and wake each other. Where
 * a job itself is a few hundred nanoseconds, that costs more than a second CPU brings; where each batch of them waits for the
 * disk, the second one only makes the batches smaller. So what the runner takes while it runs is kept for itself, and the other
 * workers sleep.
 *
 * Nobody says how long a job will be: both ways are measured, in wall time a job, and the other one is tried again 2 ms later,
 * or later yet the more often that was in vain. Alone may be an eighth slower, since it takes half the processor time; and it is
 * tried with calls of less than 3 µs only, so that nobody waits behind a long one for an experiment.
 *
 * What is kept is nobody else's, so the runner must come back for it soon:
 *
 *    it waits inside a call, and helps       what is kept goes to the pool at once (local_slot_release)
 *    it is in a long call                    the host looks every 5 ms (local_due): no job ended since, so all goes to the pool
 *    there are more jobs for it to take      others leave that to the runner (`owed`), which looks when its job ends
 *    it has run 4096 jobs                    what is kept goes to the pool, which may hold jobs that wait for a worker
 *
 * Somebody becomes the runner with the last job that is queued, so that nothing older waits elsewhere. */
#include "local.h"

#include "clock.h"
#include "thread.h"

#define TRIAL        4                      /* windows that are measured, after one that is not */
#define SMALL_NS     3000                   /* a call, or a job with all that comes with it */
#define TRY_FIRST_NS INT64_C(2000000)
#define TRY_LAST_NS  INT64_C(1000000000)
#define TURN         4096                   /* jobs of a runner before others get its thread */

enum { SHARED, ALONE };

/* ---- which way is faster ----------------------------------------------------------------------------------------- */

void local_alone_window(local *l)
{
    l->alone.ended = 0;
    l->alone.since_ns = mfi_now_ns(NULL);
}

/* Go the other way: try it, or go back. */
static void change(struct local_alone *a, bool back)
{
    bool on = atomic_load_explicit(&a->on, memory_order_relaxed);
    a->windows = back ? 1 + TRIAL : 0;
    atomic_store_explicit(&a->on, !on, memory_order_relaxed);
}

static void try_later(struct local_alone *a, int64_t now_ns, int64_t wait_ns)
{
    a->wait_ns = wait_ns < TRY_FIRST_NS ? TRY_FIRST_NS : wait_ns < TRY_LAST_NS ? wait_ns : TRY_LAST_NS;
    a->try_ns = now_ns + a->wait_ns;
}

/* What a job took this way in the last windows, the older the less. The first one, in which workers wake up or lie down, counts
 * until there is another. */
static void measure(struct local_alone *a, int64_t *each_ns, int64_t ns)
{
    int64_t each = ns / LOCAL_WINDOW, known = a->windows < 4 * TRIAL ? (int64_t)a->windows : 4 * TRIAL;
    *each_ns = a->windows < 2 ? each : *each_ns + (each - *each_ns) / known;
    a->windows++;
}

static bool alone_pays(const struct local_alone *a)
{
    return a->each_ns[ALONE] <= a->each_ns[SHARED] + a->each_ns[SHARED] / 8;
}

/* A window is over. */
void local_alone_compare(local *l)
{
    struct local_alone *a = &l->alone;
    int way = atomic_load_explicit(&a->on, memory_order_relaxed) ? ALONE : SHARED;
    int64_t now = mfi_now_ns(NULL), ns = now - a->since_ns;
    a->ended = 0;
    a->since_ns = now;
    if (way == ALONE && a->runner == 0)
        return;
    measure(a, &a->each_ns[way], ns);
    bool known = a->each_ns[way == ALONE ? SHARED : ALONE] != 0, worse = known && alone_pays(a) != (way == ALONE);
    bool may_try = way == ALONE || a->each_ns[SHARED] < SMALL_NS || a->call_ns < SMALL_NS;
    if (!known && may_try) {
        try_later(a, now, 0);
        change(a, false);
    } else if (a->windows == 1 + TRIAL) {
        try_later(a, now, worse ? a->wait_ns * 2 : 0);
        if (worse)
            change(a, true);
    } else if (a->windows > 1 + TRIAL && may_try && (worse || now >= a->try_ns)) {
        change(a, false);
    }
}

void local_alone_called(local *l, int64_t ns)
{
    l->alone.call_ns = l->alone.call_ns == 0 ? ns : (l->alone.call_ns + ns) / 2;
}

/* ---- the runner -------------------------------------------------------------------------------------------------- */

void local_alone_begin(local *l)
{
    struct local_alone *a = &l->alone;
    if (!atomic_load_explicit(&a->on, memory_order_relaxed))
        return;
    mfi_mutex_lock(&l->lock);
    bool begins = a->runner == 0 && l->helping == 0 && l->serving, look = begins && !a->looked_at;
    if (begins) {
        a->runner = mfi_thread_self();
        a->left = TURN;
        a->looked_at = true;
        local_alone_window(l);
    }
    mfi_mutex_unlock(&l->lock);
    if (look)
        l->host->ops->look(l->host, LOCAL_LOOK_MS);
}

bool local_alone_here(const local *l)
{
    return l->alone.runner != 0 && l->alone.runner == mfi_thread_self();
}

/* What others take goes to the pool, where it would be overtaken by what is taken after it and kept: so nothing is taken by others
 * while something is kept, and nothing kept while something is queued (local_alone_may_keep). A worker leaves it to the runner in
 * any case, or two of them would share the stream again. */
bool local_alone_leaves_it(local *l)
{
    struct local_alone *a = &l->alone;
    return a->owed = a->runner != 0 && !local_alone_here(l) && (a->kept > 0 || mf_pool_on_worker(l->pool));
}

bool local_alone_may_keep(const local *l)
{
    return local_alone_here(l) && atomic_load_explicit(&l->queued, memory_order_relaxed) == l->alone.kept;
}

void local_alone_keep(local *l, local_job *job)
{
    struct local_alone *a = &l->alone;
    job->next = NULL;
    if (a->first != NULL)
        a->last->next = job;
    else
        a->first = job;
    a->last = job;
    a->kept++;
}

static local_job *next_kept(struct local_alone *a)
{
    local_job *job = a->first;
    if (job != NULL) {
        a->first = job->next;
        a->kept--;
    }
    return job;
}

void local_alone_leave(local *l)
{
    struct local_alone *a = &l->alone;
    local_job *jobs = a->first;
    a->first = NULL;
    a->kept = 0;
    a->runner = 0;
    local_submit_list(l, jobs);
}

local_job *local_alone_runs_next(local *l)
{
    struct local_alone *a = &l->alone;
    if (!local_alone_here(l))
        return NULL;
    a->steps++;
    if (a->first == NULL)
        a->runner = 0;
    else if (--a->left == 0 || !atomic_load_explicit(&a->on, memory_order_relaxed))
        local_alone_leave(l);
    else
        return next_kept(a);
    return NULL;
}

/* ---- the host's look --------------------------------------------------------------------------------------------- */

bool local_alone_look(local *l)
{
    struct local_alone *a = &l->alone;
    if (a->runner == 0)
        return a->looked_at = false;
    if (a->steps == a->seen && (a->first != NULL || a->owed)) {
        int64_t now = mfi_now_ns(NULL);
        if (atomic_load_explicit(&a->on, memory_order_relaxed))
            change(a, true);
        a->each_ns[ALONE] = (now - a->since_ns) / (1 + a->ended);       /* what was measured before did not know of such calls */
        try_later(a, now, a->wait_ns * 2);
        local_alone_leave(l);
    }
    a->seen = a->steps;
    return true;
}
