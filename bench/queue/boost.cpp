// Boost.Lockfree's queue, which takes a node from its own list for each item.
#include "queue.h"

#include <boost/lockfree/queue.hpp>

namespace {

using Queue = boost::lockfree::queue<queue_item>;

void *create() { return new Queue(1024); }
void destroy(void *queue) { delete static_cast<Queue *>(queue); }
void push(void *queue, const queue_item *item) { static_cast<Queue *>(queue)->push(*item); }
size_t pop(void *queue, queue_item *out, size_t) { return static_cast<Queue *>(queue)->pop(*out) ? 1 : 0; }

}  // namespace

extern "C" const queue_contestant queue_boost = {
    "Boost.Lockfree", "queue, a node an item", true, false, false, create, nullptr, nullptr, nullptr, nullptr, push, pop, destroy,
};
