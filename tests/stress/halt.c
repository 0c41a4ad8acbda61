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

static _Thread_local bool is_victim, is_dawdler;
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
    } else if (is_dawdler || (is_victim && !atomic_load(&halted))) {
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

static void push_one(long value)
{
    mfi_item item = {{(uintptr_t)value, (uintptr_t)~value, 7}};
    size_t done = use_ring ? mfi_ring_push(&ring, &item, 1) : mfi_lanes_push(&lanes, NULL, &item, 1);
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
        CHECK_EQ(item.word[1], ~item.word[0]);
        CHECK_EQ(item.word[2], 7);
        atomic_fetch_add(&popped, 1);
        atomic_fetch_add(&popped_sum, (long)item.word[0]);
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

/* ---- a submitter of the pool ---------------------------------------------------------------------------------- */

static mf_pool *pool;
static atomic_long jobs_run;

static void job(void *arg)
{
    (void)arg;
    atomic_fetch_add(&jobs_run, 1);
    atomic_fetch_add(&moved, 1);
}

/* No faster than they run, more or less: what is queued at the end has to run, too. */
static void submit(void)
{
    if (atomic_load(&pushed) - atomic_load(&jobs_run) > JOBS) {
        sched_yield();
        return;
    }
    mf_status st = mf_pool_submit(pool, job, NULL);
    CHECK(st == MF_OK || st == MF_E_FULL);
    if (st == MF_OK)
        atomic_fetch_add(&pushed, 1);
    else
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
        size_t n = steps_named(grow ? "lanes.push." : "ring.push.", names, 64);
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
    {"a submitter halted anywhere in its push does not stop the pool", halt_submitters},
    {NULL, NULL},
};
