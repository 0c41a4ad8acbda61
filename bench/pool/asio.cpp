// Boost.Asio's thread_pool. It counts nothing: whoever waits counts the jobs that ran, each worker its own.
#include "contestant.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/version.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

struct alignas(128) Count {
    std::atomic<size_t> n{0};
};

struct Pool {
    boost::asio::thread_pool threads;
    std::vector<Count>       done;
    std::atomic<unsigned>    joined{0};
    std::atomic<size_t>      submitted{0};

    explicit Pool(unsigned workers) : threads(workers), done(workers) {}
};

// A process has one pool at a time, so a thread's slot is its own for ever.
thread_local Count *own;

void ran(Pool *pool)
{
    if (own == nullptr)
        own = &pool->done[pool->joined.fetch_add(1) % pool->done.size()];
    own->n.store(own->n.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

const char *version()
{
    static const std::string text = std::to_string(BOOST_VERSION / 100000) + "." + std::to_string(BOOST_VERSION / 100 % 1000);
    return text.c_str();
}

void *create(unsigned workers)
{
    return new Pool(workers);
}

void submit(void *at, bench_fn *fn, void *arg)
{
    Pool *pool = static_cast<Pool *>(at);
    pool->submitted.fetch_add(1, std::memory_order_relaxed);
    boost::asio::post(pool->threads, [pool, fn, arg] {
        fn(arg);
        ran(pool);
    });
}

void wait(void *at)
{
    Pool *pool = static_cast<Pool *>(at);
    for (;;) {
        size_t sum = 0;
        for (const Count &count : pool->done)
            sum += count.n.load(std::memory_order_acquire);
        if (sum >= pool->submitted.load(std::memory_order_relaxed))
            return;
        std::this_thread::yield();
    }
}

void destroy(void *at)
{
    Pool *pool = static_cast<Pool *>(at);
    pool->threads.join();
    delete pool;
}

}  // namespace

extern "C" const contestant bench_asio = {"Boost.Asio", version, create, submit, nullptr, wait, destroy, false, nullptr, nullptr};
