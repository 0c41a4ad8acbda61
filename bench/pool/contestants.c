/* Who takes part. */
#include "workloads.h"

#include <stdio.h>
#include <string.h>

const contestant *const contestants[] = {
    &bench_ours,
#ifdef BENCH_MOODYCAMEL
    &bench_moodycamel,
#endif
#ifdef BENCH_TBB
    &bench_tbb,
#endif
#ifdef BENCH_ASIO
    &bench_asio,
#endif
#ifdef BENCH_GLIB
    &bench_glib,
#endif
#ifdef BENCH_UV
    &bench_uv,
#endif
    &bench_mutex,
};
const int contestant_count = sizeof contestants / sizeof contestants[0];
_Static_assert(sizeof contestants / sizeof contestants[0] <= (size_t)REPORT_ROWS_MAX, "a row each");

const contestant *contestant_named(const char *name)
{
    for (int i = 0; i < contestant_count; i++)
        if (strcmp(contestants[i]->name, name) == 0)
            return contestants[i];
    return NULL;
}

void print_contestants(void)
{
    for (int i = 0; i < contestant_count; i++)
        printf("- %s %s\n", contestants[i]->name, contestants[i]->version());
#ifdef BENCH_MISSING
    printf("- missing: %s, not found when this was built\n", BENCH_MISSING);
#endif
    fflush(stdout);
}
