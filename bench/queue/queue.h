/* bench/queue/queue.h: what every queue under comparison offers. An item is three words, as in the pool's own queues. */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QUEUE_BULK = 32, QUEUE_CELLS = 65536 };     /* taken at once, where that is offered; of the bounded ones */

typedef struct queue_item {
    uintptr_t word[3];
} queue_item;

typedef struct queue_contestant {
    const char *name;
    const char *note;                                   /* what the reader must know of it */
    bool grows;                                         /* false: QUEUE_CELLS, and a push waits for room */
    bool halts;                                         /* whoever is halted inside halts the others: not run with more threads than CPUs */
    bool bulk;                                          /* pop takes up to `most`; one at a time otherwise */
    void *(*create)(void);
    void *(*producer)(void *queue);                     /* what a thread pushes through; NULL: the queue itself */
    void (*producer_end)(void *producer);
    void *(*consumer)(void *queue);
    void (*consumer_end)(void *consumer);
    void (*push)(void *producer, const queue_item *item);
    size_t (*pop)(void *consumer, queue_item *out, size_t most);       /* 0: empty */
    void (*destroy)(void *queue);                       /* it is empty */
} queue_contestant;

extern const queue_contestant queue_lanes, queue_ring, queue_mutex, queue_moodycamel, queue_tbb, queue_boost, queue_atomic_queue, queue_ck,
    queue_urcu;

#ifdef __cplusplus
}
#endif
#endif
