// moodycamel: threads on a BlockingConcurrentQueue; a token per producer and per worker, and workers take up to 32 at once.
#include "contestant.h"

#include <atomic>
#include <concurrentqueue/blockingconcurrentqueue.h>
#include <memory>
#include <thread>
#include <vector>

namespace {

struct Job {
    bench_fn *fn;
    void     *arg;
};

using Queue = moodycamel::BlockingConcurrentQueue<Job>;

struct alignas(64) Count {
    std::atomic<size_t> n{0};
};

struct Pool {
    Queue                    queue;
    std::vector<Count>       done;
    std::vector<std::thread> threads;
    std::atomic<size_t>      submitted{0};

    explicit Pool(unsigned workers) : done(workers)
    {
        for (unsigned i = 0; i < workers; i++)
            threads.emplace_back([this, i] { work(i); });
    }

    // A job without a function ends its worker.
    void work(unsigned self)
    {
        moodycamel::ConsumerToken token(queue);
        Job jobs[32];
        for (;;) {
            size_t n = queue.wait_dequeue_bulk(token, jobs, 32);
            for (size_t i = 0; i < n; i++) {
                if (jobs[i].fn == nullptr) {
                    // Ends that were taken along are others'.
                    for (size_t rest = i + 1; rest < n; rest++)
                        queue.enqueue(jobs[rest]);
                    return;
                }
                jobs[i].fn(jobs[i].arg);
                done[self].n.store(done[self].n.load(std::memory_order_relaxed) + 1, std::memory_order_release);
            }
        }
    }

    size_t ran() const
    {
        size_t sum = 0;
        for (const Count &c : done)
            sum += c.n.load(std::memory_order_acquire);
        return sum;
    }
};

// A token belongs to one producer and one queue, and must go before the queue does: producers end before the pool, but for the
// thread that destroys it.
thread_local std::unique_ptr<moodycamel::ProducerToken> token;

moodycamel::ProducerToken &token_of(Pool *pool)
{
    if (!token)
        token = std::make_unique<moodycamel::ProducerToken>(pool->queue);
    return *token;
}

const char *version()
{
    return "1.0.3, BlockingConcurrentQueue with tokens, taken 32 at a time";
}

void *create(unsigned workers)
{
    return new Pool(workers);
}

void submit(void *at, bench_fn *fn, void *arg)
{
    Pool *pool = static_cast<Pool *>(at);
    pool->queue.enqueue(token_of(pool), Job{fn, arg});
    pool->submitted.fetch_add(1, std::memory_order_relaxed);
}

void submit_many(void *at, bench_fn *fn, void *arg, size_t n)
{
    Pool *pool = static_cast<Pool *>(at);
    Job jobs[256];
    for (Job &job : jobs)
        job = Job{fn, arg};
    pool->submitted.fetch_add(n, std::memory_order_relaxed);
    for (size_t most = 256; n > 0; n -= n < most ? n : most)
        pool->queue.enqueue_bulk(token_of(pool), jobs, n < most ? n : most);
}

void wait(void *at)
{
    Pool *pool = static_cast<Pool *>(at);
    while (pool->ran() < pool->submitted.load(std::memory_order_relaxed))
        std::this_thread::yield();
}

void destroy(void *at)
{
    Pool *pool = static_cast<Pool *>(at);
    for (size_t i = 0; i < pool->threads.size(); i++)
        pool->queue.enqueue(Job{nullptr, nullptr});
    for (std::thread &thread : pool->threads)
        thread.join();
    token.reset();
    delete pool;
}

}  // namespace

extern "C" const contestant bench_moodycamel = {"moodycamel", version, create, submit, submit_many, wait, destroy, false, nullptr, nullptr};
