/* The shape of a swarm without the swarm: very many items, 30 in flight, every result kept where its item was. A task for each
 * item, or 30 tasks that take items by turns. */
#include "workloads.h"

#include <stdio.h>
#include <stdlib.h>

#include "external.h"

enum { FLIGHT = 30 };

/* Not inlined: an item is a call of something. */
__attribute__((noinline)) uint64_t lanes_item(size_t index)
{
    return (uint64_t)index * 0x9e3779b97f4a7c15U ^ (uint64_t)index >> 7;
}

struct order {
    const contestant *c;
    unsigned          workers;
    size_t            items;
    bool              lanes;
};

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    bench_swarm swarm = {calloc(o->items, sizeof *swarm.results), o->items, FLIGHT}, few = {swarm.results, o->items / 10, FLIGHT};
    void (*go)(void *, const bench_swarm *) = o->lanes ? o->c->swarm_lanes : o->c->swarm_tasks;
    void *pool = o->c->create(o->workers);
    if (swarm.results == NULL)
        abort();
    go(pool, &few);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    go(pool, &swarm);
    out->value = (report_now_ns() - begin) / (double)o->items;
    out->cpu = (report_cpu_ns() - cpu) / (double)o->items;
    for (size_t i = 0; i < o->items; i++)
        if (swarm.results[i] != lanes_item(i)) {
            fprintf(stderr, "bench_pool: %s has no result of item %zu\n", o->c->name, i);
            exit(1);
        }
    o->c->destroy(pool);
    free(swarm.results);
}

static int linked_round(report_row *rows, int count, struct order order, int r)
{
    for (int i = 0; i < contestant_count; i++) {
        order.c = contestants[i];
        if ((order.lanes ? order.c->swarm_lanes : order.c->swarm_tasks) == NULL)
            continue;
        cost got = run_apart(run, &order, order.c->name);
        report_put_cost(&rows[count++], order.c->name, r, got.value, got.cpu, got.peak_mib);
    }
    return count;
}

static void bench(bool lanes, unsigned workers, int rounds, size_t items)
{
    const char *workload = lanes ? "lanes" : "swarm";
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    static external outside[EXTERNALS_MAX];
    int outside_count = externals(workload, outside), count = 0;
    char title[128], w[16], n[24];
    snprintf(w, sizeof w, "%u", workers);
    snprintf(n, sizeof n, "%zu", items);
    for (int r = -1; r < rounds; r++) {
        count = linked_round(rows, 0, (struct order){NULL, workers, items, lanes}, r);
        for (int i = 0; i < outside_count && count < REPORT_ROWS_MAX; i++) {
            cost got = external_round(&outside[i], workload, w, n);
            report_put_cost(&rows[count++], outside[i].name, r, got.value, got.cpu, got.peak_mib);
        }
    }
    snprintf(title, sizeof title, "Swarm shape, %s, %d in flight, %u worker%s", lanes ? "items in place by lanes" : "a task an item",
             FLIGHT, workers, workers == 1 ? "" : "s");
    report_table(title, "ns per item", rows, count, rounds, REPORT_COST);
}

void lanes_bench(unsigned workers, int rounds, size_t items)
{
    bench(false, workers, rounds, items);
    bench(true, workers, rounds, items);
}
