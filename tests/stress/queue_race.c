/* Races of the queues alone: nothing lost, nothing twice, in order where order is promised, across the wrap-around. */
#include "scenario.h"

#include "counting_allocator.h"
#include "lanes.h"
#include "open_run.h"
#include "ring.h"

#include <pthread.h>
#include <sched.h>

enum { PUSHERS = 3, POPPERS_MAX = 3, BATCH_MAX = 5 };

struct queue {
    mfi_ring  *ring;      /* one of the two */
    mfi_lanes *lanes;
};

static _Thread_local mfi_popper popping;      /* of lanes */

static size_t queue_push(struct queue *q, const mfi_item *items, size_t n)
{
    return q->ring != NULL ? mfi_ring_push(q->ring, items, n) : mfi_lanes_push(q->lanes, NULL, items, n);
}

static bool queue_pop(struct queue *q, mfi_item *out)
{
    if (q->ring != NULL)
        return mfi_ring_pop(q->ring, out);
    if (popping.guard == NULL)
        CHECK(mfi_popper_init(&popping, q->lanes));
    return mfi_lanes_pop(q->lanes, &popping, out, 1, 1) == 1;
}

struct race {
    struct queue   queue;
    long           each;                       /* items per pusher, at most */
    int            poppers;
    bool           in_order;                   /* what one popper gets from one pusher is in order */
    int64_t        began_s;
    long           pushed_by[PUSHERS];         /* in the end */
    atomic_int     pushing;                    /* pushers that are not through */
    atomic_long    pushed, popped;
    atomic_uint   *seen;                       /* how often each item came out */
};

struct thread {
    struct race *race;
    int          number;
    pthread_t    id;
};

/* Both words beside the value change now and then, for the lanes hold of an item only what is not as before. */
static mfi_item item_of(int number, uintptr_t value)
{
    return (mfi_item){{(uintptr_t)number + PUSHERS * (value / 30 % 3 == 0 ? value % 7 : 0), value, value / 40 % 4 == 0 ? ~value : 5}};
}

static void *pusher(void *arg)
{
    struct thread *me = arg;
    struct race *race = me->race;
    mfi_item items[BATCH_MAX];
    long next = 0;
    while (next < race->each && !scenario_is_enough(race->began_s)) {
        size_t n = 1 + (size_t)(next * 7 + me->number) % BATCH_MAX;
        if ((long)n > race->each - next)
            n = (size_t)(race->each - next);
        for (size_t i = 0; i < n; i++)
            items[i] = item_of(me->number, (uintptr_t)next + i);
        size_t done = queue_push(&race->queue, items, n);
        CHECK(done <= n);
        next += (long)done;
        if (done == 0)
            sched_yield();
    }
    race->pushed_by[me->number] = next;
    atomic_fetch_add(&race->pushed, next);
    atomic_fetch_sub(&race->pushing, 1);
    return NULL;
}

static bool is_through(struct race *race)
{
    return atomic_load(&race->pushing) == 0 && atomic_load(&race->popped) == atomic_load(&race->pushed);
}

static void *popper(void *arg)
{
    struct thread *me = arg;
    struct race *race = me->race;
    long last[PUSHERS] = {-1, -1, -1};
    while (!is_through(race)) {
        mfi_item item;
        if (!queue_pop(&race->queue, &item)) {
            sched_yield();
            continue;
        }
        int from = (int)(item.word[0] % PUSHERS);
        mfi_item whole = item_of(from, item.word[1]);
        CHECK_EQ(item.word[0], whole.word[0]);
        CHECK_EQ(item.word[2], whole.word[2]);
        CHECK(!race->in_order || (long)item.word[1] > last[from]);
        last[from] = (long)item.word[1];
        atomic_fetch_add_explicit(&race->seen[from * race->each + (long)item.word[1]], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&race->popped, 1, memory_order_relaxed);
    }
    mfi_popper_fini(&popping);
    return NULL;
}

static void race_run(struct queue queue, int poppers, bool in_order)
{
    long each = scenario_rounds(30000);
    struct race race = {.queue = queue, .each = each, .poppers = poppers, .in_order = in_order, .began_s = scenario_now_s(),
                        .pushing = PUSHERS};
    race.seen = calloc((size_t)(each * PUSHERS), sizeof *race.seen);
    CHECK(race.seen != NULL);
    struct thread threads[PUSHERS + POPPERS_MAX];
    for (int i = 0; i < PUSHERS + poppers; i++) {
        threads[i].race = &race;
        threads[i].number = i < PUSHERS ? i : i - PUSHERS;
        CHECK_EQ(pthread_create(&threads[i].id, NULL, i < PUSHERS ? pusher : popper, &threads[i]), 0);
    }
    for (int i = 0; i < PUSHERS + poppers; i++)
        pthread_join(threads[i].id, NULL);
    for (long i = 0; i < each * PUSHERS; i++)
        CHECK_EQ(race.seen[i], i % each < race.pushed_by[i / each]);
    mfi_item none;
    CHECK(!queue_pop(&race.queue, &none));
    free(race.seen);
}

/* Several poppers: one that stops for a whole lap has its item taken by the next lap's, which may have taken newer ones. */
static void ring_race(size_t capacity, uint64_t first, int poppers)
{
    counting_allocator counter;
    counting_init(&counter);
    mfi_ring ring;
    CHECK(mfi_ring_init(&ring, &counter.allocator, capacity, first));
    race_run((struct queue){.ring = &ring}, poppers, poppers == 1);
    CHECK(mfi_ring_empty(&ring));
    mfi_ring_fini(&ring);
    CHECK_EQ(counter.live, 0);
}

static void ring_smallest(void)     { ring_race(4, 0, POPPERS_MAX); }
static void ring_wide(void)         { ring_race(1024, 0, POPPERS_MAX); }
static void ring_wraps_around(void) { ring_race(8, UINT64_MAX - 5000, POPPERS_MAX); }
static void ring_keeps_order(void)  { ring_race(8, 0, 1); }

static void lanes_race(size_t cells)
{
    counting_allocator counter;
    counting_init(&counter);
    mfi_lanes q;
    CHECK(mfi_lanes_init(&q, &counter.allocator, cells, 2));     /* fewer guards than threads */
    popping = (mfi_popper){0};                                   /* this thread's, of the queue before */
    race_run((struct queue){.lanes = &q}, POPPERS_MAX, true);
    CHECK(mfi_lanes_empty(&q));
    CHECK_EQ(mfi_lanes_size(&q), 0);
    mfi_lanes_fini(&q);
    CHECK_EQ(counter.live, 0);
    CHECK_EQ(counter.wrong_size, 0);
}

static void lanes_tiny_segments(void)  { lanes_race(1); }
static void lanes_small_segments(void) { lanes_race(4); }
static void lanes_usual_segments(void) { lanes_race(0); }

/* ---- a run that its owner fills, and others steal from ------------------------------------------------------------- */

enum { STEALERS = 2 };

static mfi_run run;
static atomic_long taken, taken_sum;
static atomic_bool filled_all;

static void count_taken(const mfi_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(items[i].word[1], ~items[i].word[0]);
        CHECK_EQ(items[i].word[2], items[i].word[0] * 3);
        atomic_fetch_add_explicit(&taken_sum, (long)items[i].word[0], memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&taken, (long)n, memory_order_relaxed);
}

static void *stealer(void *arg)
{
    mfi_item items[MFI_RUN_MAX];
    while (!atomic_load(&filled_all)) {
        size_t n = mfi_run_steal(&run, items);
        count_taken(items, n);
        if (n == 0)
            sched_yield();
    }
    return arg;
}

static void run_race(void)
{
    pthread_t threads[STEALERS];
    long rounds = scenario_rounds(30000), next = 0, sum = 0;
    mfi_run_init(&run);
    atomic_store(&taken, 0);
    atomic_store(&taken_sum, 0);
    atomic_store(&filled_all, false);
    for (int i = 0; i < STEALERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, stealer, NULL), 0);
    for (long round = 0; round < rounds; round++) {
        mfi_item items[MFI_RUN_MAX];
        size_t n = 1 + (size_t)round % MFI_RUN_MAX;
        for (size_t i = 0; i < n; i++, next++) {
            items[i] = (mfi_item){{(uintptr_t)next, ~(uintptr_t)next, (uintptr_t)next * 3}};
            sum += next;
        }
        mfi_run_fill(&run, items, n);
        if (round % 7 == 0)
            sched_yield();
        for (const mfi_run_slot *slot; (slot = mfi_run_take(&run)) != NULL; ) {
            mfi_item item = mfi_run_item(slot);
            count_taken(&item, 1);
        }
    }
    atomic_store(&filled_all, true);
    for (int i = 0; i < STEALERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&taken), next);
    CHECK_EQ(atomic_load(&taken_sum), sum);
}

const scenario scenarios[] = {
    {"ring of four cells loses nothing", ring_smallest},
    {"wide ring loses nothing", ring_wide},
    {"ring's counters wrap around unnoticed", ring_wraps_around},
    {"ring with one popper keeps each pusher's order", ring_keeps_order},
    {"lanes with segments of one item lose nothing and keep order", lanes_tiny_segments},
    {"lanes with segments of four items lose nothing and keep order", lanes_small_segments},
    {"lanes with segments of the usual size lose nothing and keep order", lanes_usual_segments},
    {"a run that others steal from loses nothing", run_race},
    {NULL, NULL},
};
