/* Races of the queues alone: nothing lost, nothing twice, in order where order is promised, across the wrap-around. */
#include "scenario.h"

#include "counting_allocator.h"
#include "ring.h"
#include "segq.h"

#include <pthread.h>
#include <sched.h>

enum { PUSHERS = 3, POPPERS_MAX = 3, BATCH_MAX = 5 };

struct queue {
    mfi_ring *ring;      /* one of the two */
    mfi_segq *segq;
};

static size_t queue_push(struct queue *q, const mfi_item *items, size_t n)
{
    return q->ring != NULL ? mfi_ring_push(q->ring, items, n) : mfi_segq_push(q->segq, NULL, items, n);
}

static bool queue_pop(struct queue *q, mfi_item *out)
{
    return q->ring != NULL ? mfi_ring_pop(q->ring, out) : mfi_segq_pop(q->segq, NULL, out);
}

struct race {
    struct queue   queue;
    long           each;                       /* items per pusher */
    int            poppers;
    bool           in_order;                   /* what one popper gets from one pusher is in order */
    atomic_long    popped;
    atomic_uint   *seen;                       /* how often each item came out */
};

struct thread {
    struct race *race;
    int          number;
    pthread_t    id;
};

static void *pusher(void *arg)
{
    struct thread *me = arg;
    struct race *race = me->race;
    mfi_item items[BATCH_MAX];
    for (long next = 0; next < race->each; ) {
        size_t n = 1 + (size_t)(next * 7 + me->number) % BATCH_MAX;
        if ((long)n > race->each - next)
            n = (size_t)(race->each - next);
        for (size_t i = 0; i < n; i++) {
            uintptr_t value = (uintptr_t)(next + (long)i);
            items[i] = (mfi_item){{(uintptr_t)me->number, value, ~value}};
        }
        size_t done = queue_push(&race->queue, items, n);
        CHECK(done <= n);
        next += (long)done;
        if (done == 0)
            sched_yield();
    }
    return NULL;
}

static void *popper(void *arg)
{
    struct thread *me = arg;
    struct race *race = me->race;
    long last[PUSHERS] = {-1, -1, -1};
    while (atomic_load_explicit(&race->popped, memory_order_relaxed) < race->each * PUSHERS) {
        mfi_item item;
        if (!queue_pop(&race->queue, &item)) {
            sched_yield();
            continue;
        }
        CHECK(item.word[0] < PUSHERS);
        CHECK_EQ(item.word[2], ~item.word[1]);
        CHECK(!race->in_order || (long)item.word[1] > last[item.word[0]]);
        last[item.word[0]] = (long)item.word[1];
        atomic_fetch_add_explicit(&race->seen[(long)item.word[0] * race->each + (long)item.word[1]], 1,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&race->popped, 1, memory_order_relaxed);
    }
    return NULL;
}

static void race_run(struct queue queue, int poppers, bool in_order)
{
    long each = scenario_rounds(30000);
    struct race race = {.queue = queue, .each = each, .poppers = poppers, .in_order = in_order};
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
        CHECK_EQ(race.seen[i], 1);
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

static void segq_race(size_t cells)
{
    counting_allocator counter;
    counting_init(&counter);
    mfi_segq q;
    CHECK(mfi_segq_init(&q, &counter.allocator, cells, 2));     /* fewer guards than threads */
    race_run((struct queue){.segq = &q}, POPPERS_MAX, true);
    CHECK(mfi_segq_empty(&q, NULL));
    CHECK_EQ(mfi_segq_size(&q, NULL), 0);
    mfi_segq_fini(&q);
    CHECK_EQ(counter.live, 0);
    CHECK_EQ(counter.wrong_size, 0);
}

static void segq_tiny_segments(void)  { segq_race(1); }
static void segq_small_segments(void) { segq_race(4); }
static void segq_usual_segments(void) { segq_race(0); }

const scenario scenarios[] = {
    {"ring of four cells loses nothing", ring_smallest},
    {"wide ring loses nothing", ring_wide},
    {"ring's counters wrap around unnoticed", ring_wraps_around},
    {"ring with one popper keeps each pusher's order", ring_keeps_order},
    {"segments of one cell lose nothing and keep order", segq_tiny_segments},
    {"segments of four cells lose nothing and keep order", segq_small_segments},
    {"segments of the usual size lose nothing and keep order", segq_usual_segments},
    {NULL, NULL},
};
