// atomic_queue's AtomicQueue2: a ring whose cells are waited for, so a halted thread stops the others.
#include "queue.h"

#include <atomic_queue/atomic_queue.h>
#include <sched.h>

namespace {

using Queue = atomic_queue::AtomicQueue2<queue_item, QUEUE_CELLS>;

void *create() { return new Queue; }
void destroy(void *queue) { delete static_cast<Queue *>(queue); }

void push(void *queue, const queue_item *item)
{
    while (!static_cast<Queue *>(queue)->try_push(*item))
        sched_yield();
}

size_t pop(void *queue, queue_item *out, size_t) { return static_cast<Queue *>(queue)->try_pop(*out) ? 1 : 0; }

}  // namespace

extern "C" const queue_contestant queue_atomic_queue = {
    "atomic_queue", "65,536 cells; a halted thread stops others", false, false, false, create, nullptr, nullptr, nullptr, nullptr, push, pop, destroy,
};
