/* Concurrency Kit's ring, many producers and many consumers. */
#include "queue.h"

#include <sched.h>
#include <stdlib.h>

#include <ck_ring.h>

CK_RING_PROTOTYPE(items, queue_item)

typedef struct ring {
    ck_ring_t  ring;
    queue_item cells[QUEUE_CELLS];
} ring;

static void *create(void)
{
    ring *q = calloc(1, sizeof *q);
    if (q == NULL)
        abort();
    ck_ring_init(&q->ring, QUEUE_CELLS);
    return q;
}

static void push(void *queue, const queue_item *item)
{
    ring *q = queue;
    queue_item copy = *item;
    while (!CK_RING_ENQUEUE_MPMC(items, &q->ring, q->cells, &copy))
        sched_yield();
}

static size_t pop(void *queue, queue_item *out, size_t most)
{
    ring *q = queue;
    (void)most;
    return CK_RING_DEQUEUE_MPMC(items, &q->ring, q->cells, out);
}

const queue_contestant queue_ck = {
    .name = "Concurrency Kit", .note = "ck_ring, 65,535 cells; not run with more threads than CPUs, where a halted one makes a round take seconds",
    .halts = true, .create = create, .push = push, .pop = pop,
    .destroy = free,
};
