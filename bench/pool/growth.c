#include "workloads.h"

#include <stdio.h>

#include "apart.h"

enum { ROUND_S = 3 };       /* who would take longer for a round of ten times as many is left out of that table */

struct order {
    const contestant *c;
    size_t            jobs;
};

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    submit_once(o->c, 2, o->jobs, SINGLY, &out->value, &out->cpu);
}

void growth_bench(int rounds, size_t most)
{
    double last[REPORT_ROWS_MAX] = {0};
    for (size_t jobs = 1000; jobs <= most; jobs *= 10) {
        report_row rows[REPORT_ROWS_MAX] = {{0}};
        char title[96];
        int count = 0;
        for (int r = -1; r < rounds; r++) {
            count = 0;
            for (int i = 0; i < contestant_count; i++) {
                if (last[i] * (double)jobs > ROUND_S * 1e9)
                    continue;
                cost got = run_apart(run, &(struct order){contestants[i], jobs}, contestants[i]->name);
                report_put_cost(&rows[count++], contestants[i]->name, r, got.value, got.cpu, got.peak_mib);
            }
        }
        snprintf(title, sizeof title, "Growth: %zu jobs, 2 workers", jobs);
        report_table(title, "ns per job", rows, count, rounds, REPORT_COST);
        for (int i = 0, row = 0; i < contestant_count; i++)
            if (row < count && rows[row].name == contestants[i]->name)
                last[i] = report_summarize(&rows[row++], rounds).median;
            else
                printf("\nLeft out, it would take more than %d s a round: %s.\n", ROUND_S, contestants[i]->name);
    }
}
