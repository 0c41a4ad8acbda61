// oneTBB's concurrent_queue.
#include "queue.h"

#include <tbb/concurrent_queue.h>

namespace {

using Queue = tbb::concurrent_queue<queue_item>;

void *create() { return new Queue; }
void destroy(void *queue) { delete static_cast<Queue *>(queue); }
void push(void *queue, const queue_item *item) { static_cast<Queue *>(queue)->push(*item); }
size_t pop(void *queue, queue_item *out, size_t) { return static_cast<Queue *>(queue)->try_pop(*out) ? 1 : 0; }

}  // namespace

extern "C" const queue_contestant queue_tbb = {
    "oneTBB", "concurrent_queue", true, false, false, create, nullptr, nullptr, nullptr, nullptr, push, pop, destroy,
};
