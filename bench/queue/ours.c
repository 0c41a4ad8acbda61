/* The pool's two queues: the one that grows, and the ring. */
#include "queue.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "ring.h"

_Static_assert(sizeof(queue_item) == sizeof(mfi_item), "the same three words");

static void *lanes_create(void)
{
    mfi_lanes *q = aligned_alloc(128, (sizeof *q + 127) / 128 * 128);
    if (q == NULL || !mfi_lanes_init(q, mf_allocator_default(), 0, 8))
        abort();
    return q;
}

static void lanes_destroy(void *queue)
{
    mfi_lanes_fini(queue);
    free(queue);
}

typedef struct popper {
    mfi_lanes *queue;
    mfi_popper own;
} popper;

static void *lanes_consumer(void *queue)
{
    popper *p = calloc(1, sizeof *p);
    if (p == NULL || !mfi_popper_init(&p->own, queue))
        abort();
    p->queue = queue;
    return p;
}

static void lanes_consumer_end(void *consumer)
{
    mfi_popper_fini(&((popper *)consumer)->own);
    free(consumer);
}

static void lanes_push(void *queue, const queue_item *item)
{
    if (!mfi_lanes_push_one(queue, item->word[0], item->word[1], item->word[2]))
        abort();
}

static size_t lanes_pop(void *consumer, queue_item *out, size_t most)
{
    popper *p = consumer;
    return mfi_lanes_pop(p->queue, &p->own, (mfi_item *)(void *)out, most, 1);
}

const queue_contestant queue_lanes = {
    .name = "mageflow, growing", .note = "a lane for each thread that pushes; no order between those", .grows = true, .bulk = true,
    .create = lanes_create, .consumer = lanes_consumer, .consumer_end = lanes_consumer_end, .push = lanes_push, .pop = lanes_pop,
    .destroy = lanes_destroy,
};

static void *ring_create(void)
{
    mfi_ring *ring = aligned_alloc(128, (sizeof *ring + 127) / 128 * 128);
    if (ring == NULL || !mfi_ring_init(ring, mf_allocator_default(), QUEUE_CELLS, 0))
        abort();
    return ring;
}

static void ring_destroy(void *queue)
{
    mfi_ring_fini(queue);
    free(queue);
}

static void ring_push(void *queue, const queue_item *item)
{
    while (mfi_ring_push(queue, (const mfi_item *)(const void *)item, 1) != 1)
        sched_yield();
}

static size_t ring_pop(void *queue, queue_item *out, size_t most)
{
    (void)most;
    return mfi_ring_pop(queue, (mfi_item *)(void *)out);
}

const queue_contestant queue_ring = {
    .name = "mageflow, ring", .note = "65,536 cells; lock-free at both ends, also when a thread is halted inside", .create = ring_create,
    .push = ring_push, .pop = ring_pop, .destroy = ring_destroy,
};
