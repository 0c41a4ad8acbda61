// oneTBB: task_arena::enqueue into a task_group of `workers` threads, none of them the caller.
#include "contestant.h"

#include <atomic>
#include <memory>
#include <string>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

namespace {

struct Pool {
    tbb::global_control threads;
    tbb::task_arena     arena;
    tbb::task_group     group;

    explicit Pool(unsigned workers)
        : threads(tbb::global_control::max_allowed_parallelism, workers + 1), arena(static_cast<int>(workers), 0)
    {
        arena.initialize();
    }
};

const char *version()
{
    static const std::string text = std::to_string(TBB_VERSION_MAJOR) + "." + std::to_string(TBB_VERSION_MINOR);
    return text.c_str();
}

void *create(unsigned workers)
{
    return new Pool(workers);
}

void submit(void *pool, bench_fn *fn, void *arg)
{
    Pool *p = static_cast<Pool *>(pool);
    p->arena.enqueue(p->group.defer([fn, arg] { fn(arg); }));
}

void wait(void *pool)
{
    static_cast<Pool *>(pool)->group.wait();
}

void destroy(void *pool)
{
    wait(pool);
    delete static_cast<Pool *>(pool);
}

// A task for each item: 30 lanes, each task runs its item and starts the next one of its lane.
struct Lanes {
    tbb::task_group    *group;
    const bench_swarm  *swarm;
    std::atomic<size_t> next{0};
};

void item(Lanes *lanes)
{
    size_t at = lanes->next.fetch_add(1, std::memory_order_relaxed);
    if (at >= lanes->swarm->items)
        return;
    lanes->swarm->results[at] = lanes_item(at);
    lanes->group->run([lanes] { item(lanes); });
}

void loop(Lanes *lanes)
{
    for (size_t at; (at = lanes->next.fetch_add(1, std::memory_order_relaxed)) < lanes->swarm->items;)
        lanes->swarm->results[at] = lanes_item(at);
}

void run_lanes(void *pool, const bench_swarm *swarm, void (*lane)(Lanes *))
{
    Pool *p = static_cast<Pool *>(pool);
    Lanes lanes{&p->group, swarm};
    for (unsigned i = 0; i < swarm->flight; i++)
        p->arena.enqueue(p->group.defer([&lanes, lane] { lane(&lanes); }));
    p->group.wait();
}

void swarm_tasks(void *pool, const bench_swarm *swarm)
{
    run_lanes(pool, swarm, item);
}

void swarm_lanes(void *pool, const bench_swarm *swarm)
{
    run_lanes(pool, swarm, loop);
}

}  // namespace

extern "C" const contestant bench_tbb = {"oneTBB", version, create, submit, nullptr, wait, destroy, false, swarm_tasks, swarm_lanes};
