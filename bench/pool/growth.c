#include "workloads.h"

#include <stdio.h>

#include "report.h"

void growth_bench(int rounds, size_t most)
{
    for (size_t jobs = 1000; jobs <= most; jobs *= 10) {
        report_row rows[REPORT_ROWS_MAX] = {{0}};
        char title[96];
        for (int r = -1; r < rounds; r++)
            for (int i = 0; i < contestant_count; i++)
                report_put(&rows[i], contestants[i]->name, r, submit_round_of(contestants[i], 2, jobs, SINGLY));
        snprintf(title, sizeof title, "Growth: %zu jobs, 2 workers", jobs);
        report_table(title, "ns per job", rows, contestant_count, rounds, false);
    }
}
