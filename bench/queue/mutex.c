/* The naive one: a mutex around a ring that doubles. */
#include "queue.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct locked {
    pthread_mutex_t lock;
    queue_item     *cells;
    size_t          room, head, tail;       /* positions; room is a power of two */
} locked;

static void *create(void)
{
    locked *q = calloc(1, sizeof *q);
    if (q == NULL || (q->cells = malloc(1024 * sizeof *q->cells)) == NULL)
        abort();
    q->room = 1024;
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

static void grow(locked *q)
{
    queue_item *cells = malloc(2 * q->room * sizeof *cells);
    if (cells == NULL)
        abort();
    for (size_t at = q->head; at != q->tail; at++)
        cells[at & (2 * q->room - 1)] = q->cells[at & (q->room - 1)];
    free(q->cells);
    q->cells = cells;
    q->room *= 2;
}

static void push(void *queue, const queue_item *item)
{
    locked *q = queue;
    pthread_mutex_lock(&q->lock);
    if (q->tail - q->head == q->room)
        grow(q);
    q->cells[q->tail++ & (q->room - 1)] = *item;
    pthread_mutex_unlock(&q->lock);
}

static size_t pop(void *queue, queue_item *out, size_t most)
{
    locked *q = queue;
    size_t n = 0;
    pthread_mutex_lock(&q->lock);
    for (; n < most && q->head != q->tail; n++)
        out[n] = q->cells[q->head++ & (q->room - 1)];
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void destroy(void *queue)
{
    locked *q = queue;
    pthread_mutex_destroy(&q->lock);
    free(q->cells);
    free(q);
}

const queue_contestant queue_mutex = {
    .name = "mutex", .note = "written here, around a ring that doubles", .grows = true, .bulk = true, .create = create, .push = push, .pop = pop,
    .destroy = destroy,
};
