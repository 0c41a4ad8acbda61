// oneTBB: task_arena::enqueue into a task_group of `workers` threads, none of them the caller.
#include "contestant.h"

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

}  // namespace

extern "C" const contestant bench_tbb = {"oneTBB", version, create, submit, nullptr, wait, destroy, false};
