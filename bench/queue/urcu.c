/* liburcu's wfcqueue: a push is wait-free, pops take a lock. A node an item, from malloc. */
#include "queue.h"

#include <stdlib.h>

#include <urcu/wfcqueue.h>

typedef struct node {
    struct cds_wfcq_node node;      /* first: the queue hands out its address */
    queue_item           item;
} node;

typedef struct queue {
    struct cds_wfcq_tail tail;
    struct cds_wfcq_head head;
} queue;

static void *create(void)
{
    queue *q = aligned_alloc(128, (sizeof *q + 127) / 128 * 128);
    if (q == NULL)
        abort();
    cds_wfcq_init(&q->head, &q->tail);
    return q;
}

static void destroy(void *at)
{
    queue *q = at;
    cds_wfcq_destroy(&q->head, &q->tail);
    free(q);
}

static void push(void *at, const queue_item *item)
{
    queue *q = at;
    node *n = malloc(sizeof *n);
    if (n == NULL)
        abort();
    cds_wfcq_node_init(&n->node);
    n->item = *item;
    cds_wfcq_enqueue(&q->head, &q->tail, &n->node);
}

static size_t pop(void *at, queue_item *out, size_t most)
{
    queue *q = at;
    (void)most;
    node *n = (node *)(void *)cds_wfcq_dequeue_blocking(&q->head, &q->tail);
    if (n == NULL)
        return 0;
    *out = n->item;
    free(n);
    return 1;
}

const queue_contestant queue_urcu = {
    .name = "liburcu", .note = "wfcqueue: a node an item, pops under a lock", .grows = true, .create = create, .push = push, .pop = pop,
    .destroy = destroy,
};
