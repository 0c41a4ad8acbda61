/* A thread is halted at each named step of every operation that is claimed lock-free, while the others go on.
 *
 * The queues are compiled into this program with -DMFI_STEPS; nothing else about them differs. Per step: a victim pushes
 * and pops until it stands at that step, and stays there. Two others must then move 100,000 items. Then the victim goes
 * on, and nothing was lost, nothing came twice, and memory stayed bounded. A fourth thread, and the victim on its way,
 * dawdle at other steps, so that the rare paths (a passed pusher, a stolen item, a skipped cell) are reached too.
 *
 * The list of steps comes from the program itself: a step that is never reached fails the test.
 */
#include "counting_allocator.h"
#include "lanes.h"
#include "open_run.h"
#include "ring.h"
#include "scenario.h"
#include "step.h"

#include <mageflow/pool.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

enum { JOBS = 100000, WORKERS = 2, DAWDLE = 60 };

extern const char *const __start_mfi_steps[], *const __stop_mfi_steps[];

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static _Thread_local bool is_victim, is_dawdler, in_haste;      /* in haste: halts, but does not dawdle on its way */
static const char *halt_at;                /* written while no victim runs */
static atomic_bool halted;
static sem_t arrived, released;
static atomic_long moved;                  /* items that the others have popped */

/* Let the others get ahead now and then, as if preempted. */
static void dawdle(void)
{
    static _Thread_local unsigned calls;
    if (++calls % 5 != 0)
        return;
    long until = atomic_load(&moved) + DAWDLE;
    while (atomic_load(&moved) < until)
        sched_yield();
}

void mfi_step(const char *name)
{
    if (is_victim && !atomic_load(&halted) && strcmp(name, halt_at) == 0) {
        atomic_store(&halted, true);
        sem_post(&arrived);
        while (sem_wait(&released) != 0)
            ;
    } else if (!in_haste && (is_dawdler || (is_victim && !atomic_load(&halted)))) {
        dawdle();
    }
}

/* Each name once, of those that begin with the prefix. */
static size_t steps_named(const char *prefix, const char **names, size_t max)
{
    size_t n = 0;
    for (const char *const *s = __start_mfi_steps; s < __stop_mfi_steps; s++) {
        bool known = strncmp(*s, prefix, strlen(prefix)) != 0;
        for (size_t i = 0; i < n; i++)
            known |= strcmp(names[i], *s) == 0;
        if (!known) {
            CHECK(n < max);
            names[n++] = *s;
        }
    }
    return n;
}

/* ---- the queues by themselves --------------------------------------------------------------------------------- */

static mfi_ring ring;
static mfi_lanes lanes;
static _Thread_local mfi_popper popping;
static bool use_ring;
static atomic_bool others_stop, dawdler_stop;
static atomic_long pushed, popped, pushed_sum, popped_sum;

/* The words beside the value change now and then, for the lanes hold of an item only what is not as before. */
static mfi_item item_of(uintptr_t value)
{
    return (mfi_item){{value / 40 % 2 == 0 ? ~value : 3, value, value / 64 % 3 == 0 ? value + 1 : 7}};
}

static void push_one(long value)
{
    mfi_item item = item_of((uintptr_t)value);
    size_t done = use_ring ? mfi_ring_push(&ring, &item, 1)
                : value % 2 ? mfi_lanes_push_one(&lanes, item.word[0], item.word[1], item.word[2])
                           : mfi_lanes_push(&lanes, NULL, &item, 1);
    atomic_fetch_add(&pushed, (long)done);
    atomic_fetch_add(&pushed_sum, done > 0 ? value : 0);
}

static bool pop_one(void)
{
    mfi_item item;
    if (!use_ring && popping.guard == NULL)
        CHECK(mfi_popper_init(&popping, &lanes));
    bool got = use_ring ? mfi_ring_pop(&ring, &item)
                        : mfi_lanes_pop(&lanes, &popping, &item, 1, 1) == 1;
    if (got) {
        mfi_item whole = item_of(item.word[1]);
        CHECK_EQ(item.word[0], whole.word[0]);
        CHECK_EQ(item.word[2], whole.word[2]);
        atomic_fetch_add(&popped, 1);
        atomic_fetch_add(&popped_sum, (long)item.word[1]);
    }
    return got;
}

static void *other(void *arg)
{
    for (long i = 1; !atomic_load(&others_stop); i++) {
        push_one(i + (long)(intptr_t)arg);
        if (pop_one())
            atomic_fetch_add(&moved, 1);
    }
    mfi_popper_fini(&popping);
    return NULL;
}

static void *dawdler(void *arg)
{
    is_dawdler = true;
    for (long i = 1; !atomic_load(&dawdler_stop); i++) {
        push_one(i);
        pop_one();
    }
    mfi_popper_fini(&popping);
    return arg;
}

static void *victim(void *arg)
{
    is_victim = true;
    for (long i = 1; !atomic_load(&halted); i++) {
        push_one(i);
        pop_one();
    }
    mfi_popper_fini(&popping);
    return arg;
}

static void halt_once(const char *step, counting_allocator *counter)
{
    pthread_t others[WORKERS], slow, stuck;
    halt_at = step;
    atomic_store(&halted, false);
    atomic_store(&others_stop, false);
    atomic_store(&dawdler_stop, false);
    for (intptr_t i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&others[i], NULL, other, (void *)i), 0);
    CHECK_EQ(pthread_create(&slow, NULL, dawdler, NULL), 0);
    CHECK_EQ(pthread_create(&stuck, NULL, victim, NULL), 0);

    while (sem_wait(&arrived) != 0)      /* a step that is never reached ends here, by the alarm */
        ;
    long until = atomic_load(&moved) + JOBS;
    while (atomic_load(&moved) < until)
        sched_yield();
    CHECK(atomic_load(&counter->live) < 64);

    sem_post(&released);
    pthread_join(stuck, NULL);
    atomic_store(&dawdler_stop, true);
    pthread_join(slow, NULL);
    atomic_store(&others_stop, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(others[i], NULL);
    while (pop_one())
        ;
    CHECK_EQ(atomic_load(&popped), atomic_load(&pushed));
    CHECK_EQ(atomic_load(&popped_sum), atomic_load(&pushed_sum));
}

static void halt_each(const char *prefix)
{
    const char *names[64];
    size_t n = steps_named(prefix, names, 64);
    CHECK(n >= 8);
    sem_init(&arrived, 0, 0);
    sem_init(&released, 0, 0);
    counting_allocator counter;
    counting_init(&counter);
    use_ring = strcmp(prefix, "ring.") == 0;
    if (use_ring)
        CHECK(mfi_ring_init(&ring, &counter.allocator, 8, UINT64_MAX - 100000));
    else
        CHECK(mfi_lanes_init(&lanes, &counter.allocator, 4, 8));
    for (size_t i = 0; i < n; i++) {
        printf("    %s\n", names[i]);
        fflush(stdout);
        halt_once(names[i], &counter);
    }
    if (use_ring)
        mfi_ring_fini(&ring);
    else
        mfi_lanes_fini(&lanes);
    CHECK_EQ(counter.live, 0);
}

static void halt_in_ring(void) { halt_each("ring."); }
static void halt_in_lanes(void) { halt_each("lanes."); }

/* ---- a run of one thread that others take from ------------------------------------------------------------------- */

static mfi_run run;
static bool owner_halts;

static void count_taken(const mfi_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(items[i].word[1], ~items[i].word[0]);
        atomic_fetch_add(&popped_sum, (long)items[i].word[0]);
    }
    atomic_fetch_add(&popped, (long)n);
    atomic_fetch_add(&moved, (long)n);
}

static void *run_owner(void *arg)
{
    is_victim = owner_halts;
    in_haste = true;
    mfi_item items[MFI_RUN_MAX];
    for (long next = 1; !atomic_load(&others_stop); ) {
        for (size_t i = 0; i < MFI_RUN_MAX; i++, next++) {
            items[i] = (mfi_item){{(uintptr_t)next, ~(uintptr_t)next, 7}};
            atomic_fetch_add(&pushed_sum, next);
        }
        atomic_fetch_add(&pushed, MFI_RUN_MAX);
        mfi_run_fill(&run, items, MFI_RUN_MAX);
        for (const mfi_run_slot *slot; (slot = mfi_run_take(&run)) != NULL; ) {
            mfi_item item = mfi_run_item(slot);
            count_taken(&item, 1);
        }
    }
    return arg;
}

static void *run_thief(void *arg)
{
    is_victim = arg != NULL && !owner_halts;
    in_haste = true;
    mfi_item items[MFI_RUN_MAX];
    while (!atomic_load(&others_stop) && !(is_victim && atomic_load(&halted)))
        count_taken(items, mfi_run_steal(&run, items));
    return NULL;
}

static void halt_in_run_at(const char *step, bool owner)
{
    pthread_t threads[3];
    printf("    %s, %s\n", step, owner ? "its owner" : "a thief");
    fflush(stdout);
    halt_at = step;
    owner_halts = owner;
    atomic_store(&halted, false);
    atomic_store(&others_stop, false);
    mfi_run_init(&run);
    CHECK_EQ(pthread_create(&threads[0], NULL, run_owner, NULL), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, run_thief, &run), 0);
    CHECK_EQ(pthread_create(&threads[2], NULL, run_thief, NULL), 0);
    while (sem_wait(&arrived) != 0)
        ;
    if (owner) {
        /* What it has not taken goes elsewhere, but for one item. */
        while (mfi_run_size(&run) > 0)
            sched_yield();
    } else {
        long until = atomic_load(&moved) + JOBS;
        while (atomic_load(&moved) < until)
            sched_yield();
    }
    atomic_store(&others_stop, true);
    sem_post(&released);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(mfi_run_size(&run), 0);
    CHECK_EQ(atomic_load(&popped), atomic_load(&pushed));
    CHECK_EQ(atomic_load(&popped_sum), atomic_load(&pushed_sum));
}

static void halt_in_run(void)
{
    const char *names[8];
    sem_init(&arrived, 0, 0);
    sem_init(&released, 0, 0);
    size_t of_thieves = steps_named("run.steal.", names, 8);
    CHECK_EQ(of_thieves, 3);
    for (size_t i = 0; i < of_thieves; i++)
        halt_in_run_at(names[i], false);
    halt_in_run_at("run.take.shared", true);
    halt_in_run_at("run.take.asked", true);
}

/* ---- a submitter of the pool ---------------------------------------------------------------------------------- */

static mf_pool *pool;
static atomic_long jobs_run;

static void job(void *arg)
{
    (void)arg;
    atomic_fetch_add(&jobs_run, 1);
    atomic_fetch_add(&moved, 1);
}

/* Another function, so that the lane's first segment is closed soon. */
static void job_too(void *arg)
{
    job(arg);
}

/* No faster than they run, more or less: what is queued at the end has to run, too. */
static void submit(void)
{
    if (atomic_load(&pushed) - atomic_load(&jobs_run) > JOBS) {
        sched_yield();
        return;
    }
    static _Thread_local unsigned calls;
    size_t queued = 1;
    mf_status st = ++calls % 2 ? mf_pool_submit(pool, job, NULL)
                               : mf_pool_submit_batch(pool, (mf_job[]){{job, NULL}, {job_too, NULL}}, 2, &queued);
    CHECK(st == MF_OK || st == MF_E_FULL);
    if (st == MF_OK || calls % 2 == 0)
        atomic_fetch_add(&pushed, (long)queued);
    if (st != MF_OK)
        sched_yield();
}

static void *submit_always(void *arg)
{
    while (!atomic_load(&others_stop))
        submit();
    return arg;
}

static void *submit_until_halted(void *arg)
{
    is_victim = true;
    while (!atomic_load(&halted))
        submit();
    return arg;
}

static void halt_submitter_at(const char *step, mf_pool_full when_full)
{
    pthread_t others[WORKERS], stuck;
    CHECK_EQ(mf_pool_create(MF_POOL_OPTIONS(.workers = 2, .capacity = 64, .when_full = when_full), &pool, NULL), MF_OK);
    halt_at = step;
    atomic_store(&halted, false);
    atomic_store(&others_stop, false);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&others[i], NULL, submit_always, NULL), 0);
    CHECK_EQ(pthread_create(&stuck, NULL, submit_until_halted, NULL), 0);
    while (sem_wait(&arrived) != 0)
        ;
    long until = atomic_load(&jobs_run) + JOBS;
    while (atomic_load(&jobs_run) < until)
        sched_yield();
    atomic_store(&others_stop, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(others[i], NULL);
    sem_post(&released);
    pthread_join(stuck, NULL);
    CHECK_EQ(mf_pool_destroy(pool), MF_OK);
    CHECK_EQ(atomic_load(&jobs_run), atomic_load(&pushed));
}

static void halt_submitters(void)
{
    const char *names[64];
    sem_init(&arrived, 0, 0);
    sem_init(&released, 0, 0);
    atomic_store(&pushed, 0);
    for (int grow = 0; grow < 2; grow++) {
        size_t n = steps_named(grow ? "lanes.push" : "ring.push", names, 64);
        for (size_t i = 0; i < n; i++) {
            printf("    %s\n", names[i]);
            fflush(stdout);
            halt_submitter_at(names[i], grow ? MF_POOL_FULL_GROW : MF_POOL_FULL_FAIL);
        }
    }
}

const scenario scenarios[] = {
    {"a thread halted anywhere in the ring stops nobody", halt_in_ring},
    {"a thread halted anywhere in the growing queue stops nobody", halt_in_lanes},
    {"a thread halted anywhere in a run stops nobody else", halt_in_run},
    {"a submitter halted anywhere in its push does not stop the pool", halt_submitters},
    {NULL, NULL},
};
