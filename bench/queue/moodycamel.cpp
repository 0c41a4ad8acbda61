// moodycamel's ConcurrentQueue, with tokens. Nothing is said of order between producers, as with our lanes.
#include "queue.h"

#include <concurrentqueue/concurrentqueue.h>

namespace {

using Queue = moodycamel::ConcurrentQueue<queue_item>;

struct Producer {
    Queue                   &queue;
    moodycamel::ProducerToken token;
    explicit Producer(Queue *q) : queue(*q), token(*q) {}
};

struct Consumer {
    Queue                   &queue;
    moodycamel::ConsumerToken token;
    explicit Consumer(Queue *q) : queue(*q), token(*q) {}
};

void *create() { return new Queue; }
void destroy(void *queue) { delete static_cast<Queue *>(queue); }
void *producer(void *queue) { return new Producer(static_cast<Queue *>(queue)); }
void producer_end(void *p) { delete static_cast<Producer *>(p); }
void *consumer(void *queue) { return new Consumer(static_cast<Queue *>(queue)); }
void consumer_end(void *c) { delete static_cast<Consumer *>(c); }

void push(void *at, const queue_item *item)
{
    auto *p = static_cast<Producer *>(at);
    p->queue.enqueue(p->token, *item);
}

size_t pop(void *at, queue_item *out, size_t most)
{
    auto *c = static_cast<Consumer *>(at);
    return c->queue.try_dequeue_bulk(c->token, out, most);
}

}  // namespace

extern "C" const queue_contestant queue_moodycamel = {
    "moodycamel", "with tokens; no order between producers", true, false, true, create, producer, producer_end, consumer, consumer_end, push, pop, destroy,
};
