/* bench_queue [--quick]: queues alone, without a pool around them: so many threads push and so many pop, until everything
 * was popped; ns an item. Whoever finds nothing yields. What came out is added up: nothing may be lost or come twice. */
#include "apart.h"
#include "queue.h"
#include "report.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const queue_contestant *const contestants[] = {
    &queue_lanes,
    &queue_ring,
#ifdef BENCH_MOODYCAMEL
    &queue_moodycamel,
#endif
#ifdef BENCH_TBB
    &queue_tbb,
#endif
#ifdef BENCH_BOOST
    &queue_boost,
#endif
#ifdef BENCH_ATOMIC_QUEUE
    &queue_atomic_queue,
#endif
#ifdef BENCH_CK
    &queue_ck,
#endif
#ifdef BENCH_URCU
    &queue_urcu,
#endif
    &queue_mutex,
};
enum { CONTESTANTS = sizeof contestants / sizeof contestants[0], SIDE_MAX = 4 };
_Static_assert(sizeof contestants / sizeof contestants[0] <= (size_t)REPORT_ROWS_MAX, "a row each");

typedef struct round {
    const queue_contestant *c;
    void                   *queue;
    size_t                  each, all;      /* items of one producer, and of all */
    size_t                  most;           /* popped at once */
    atomic_size_t           popped;
    _Atomic uint64_t        sum;
    pthread_barrier_t       begin;
} round_t;

typedef struct side {
    round_t *round;
    size_t   first;     /* what the producer's items are counted from */
} side;

static void *produce(void *arg)
{
    side *s = arg;
    const queue_contestant *c = s->round->c;
    void *at = c->producer != NULL ? c->producer(s->round->queue) : s->round->queue;
    pthread_barrier_wait(&s->round->begin);
    for (size_t i = 0; i < s->round->each; i++) {
        queue_item item = {{s->first + i, 1, 2}};
        c->push(at, &item);
    }
    if (c->producer_end != NULL)
        c->producer_end(at);
    return NULL;
}

static void *consume(void *arg)
{
    round_t *r = ((side *)arg)->round;
    void *at = r->c->consumer != NULL ? r->c->consumer(r->queue) : r->queue;
    queue_item items[QUEUE_BULK];
    uint64_t sum = 0;
    pthread_barrier_wait(&r->begin);
    while (atomic_load_explicit(&r->popped, memory_order_relaxed) < r->all) {
        size_t n, taken = 0;
        while ((n = r->c->pop(at, items, r->most)) > 0) {
            for (size_t i = 0; i < n; i++)
                sum += items[i].word[0];
            taken += n;
        }
        if (taken > 0)
            atomic_fetch_add_explicit(&r->popped, taken, memory_order_relaxed);
        else
            sched_yield();
    }
    atomic_fetch_add(&r->sum, sum);
    if (r->c->consumer_end != NULL)
        r->c->consumer_end(at);
    return NULL;
}

typedef struct order {
    const queue_contestant *c;
    unsigned                threads;
    size_t                  items, most;
} order;

static void run(const void *arg, cost *out)
{
    const order *o = arg;
    const queue_contestant *c = o->c;
    unsigned threads = o->threads;
    round_t r = {.c = c, .queue = c->create(), .each = o->items / threads, .all = o->items / threads * threads, .most = o->most};
    side sides[SIDE_MAX];
    pthread_t all[2 * SIDE_MAX];
    pthread_barrier_init(&r.begin, NULL, 2 * threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        sides[i] = (side){&r, i * r.each};
        if (pthread_create(&all[2 * i], NULL, produce, &sides[i]) != 0 || pthread_create(&all[2 * i + 1], NULL, consume, &sides[i]) != 0)
            abort();
    }
    double begin = report_now_ns(), cpu = report_cpu_ns();
    pthread_barrier_wait(&r.begin);
    for (unsigned i = 0; i < 2 * threads; i++)
        pthread_join(all[i], NULL);
    out->value = (report_now_ns() - begin) / (double)r.all;
    out->cpu = (report_cpu_ns() - cpu) / (double)r.all;
    pthread_barrier_destroy(&r.begin);
    c->destroy(r.queue);
    if (atomic_load(&r.sum) != (uint64_t)r.all * (r.all - 1) / 2) {
        fprintf(stderr, "bench_queue: %s lost an item, or gave one twice\n", c->name);
        exit(1);
    }
}

static void bench(unsigned threads, int rounds, size_t items, bool bulk)
{
    report_row rows[CONTESTANTS] = {{0}};
    char title[96];
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    int count = 0;
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        count = 0;
        for (int i = 0; i < CONTESTANTS; i++) {
            if ((bulk && !contestants[i]->bulk) || (contestants[i]->halts && 2 * threads > cpus))
                continue;
            cost got = run_apart(run, &(order){contestants[i], threads, items, bulk ? QUEUE_BULK : 1}, contestants[i]->name);
            report_put_cost(&rows[count++], contestants[i]->name, r, got.value, got.cpu, got.peak_mib);
        }
    }
    snprintf(title, sizeof title, "%u to %u threads, %s", threads, threads, bulk ? "popped up to 32 at a time" : "one by one");
    report_table(title, "ns per item", rows, count, rounds, REPORT_COST);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 9;
    size_t items = quick ? 100000 : 1000000;
    printf("## Queues alone\n\n");
    report_machine(quick ? "script/bench --quick queue" : "script/bench queue");
    for (int i = 0; i < CONTESTANTS; i++)
        printf("- %s: %s\n", contestants[i]->name, contestants[i]->note);
#ifdef BENCH_MISSING
    printf("- missing: %s, not found when this was built\n", BENCH_MISSING);
#endif
    printf("- %zu items of three words a round, %d interleaved rounds\n", items, rounds);
    for (int bulk = 0; bulk < 2; bulk++)
        for (unsigned threads = 1; threads <= SIDE_MAX; threads *= 2)
            bench(threads, rounds, items, bulk);
    return 0;
}
