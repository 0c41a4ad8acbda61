/* Beside two processes that never sleep: a pool may then lose its turn at any moment, and none of its threads may make the others
 * wait for it. Quiet and disturbed rounds alternate, so that the last table is a ratio of neighbours. */
#include "workloads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"

enum { HOGS = 2, WORKERS = 4 };

static void start_hogs(pid_t pids[HOGS])
{
    fflush(stdout);
    for (int i = 0; i < HOGS; i++)
        if ((pids[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (volatile unsigned n = 0;; n++)
                ;
        } else if (pids[i] < 0) {
            abort();
        }
}

static void end_hogs(const pid_t pids[HOGS])
{
    for (int i = 0; i < HOGS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}

struct order {
    const contestant *c;
    size_t            jobs;
};

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    submit_once(o->c, WORKERS, o->jobs, SINGLY, &out->value, &out->cpu);
}

void hogs_bench(int rounds, size_t jobs)
{
    report_row beside[REPORT_ROWS_MAX] = {{0}}, ratios[REPORT_ROWS_MAX] = {{0}};
    for (int r = -1; r < rounds; r++)
        for (int i = 0; i < contestant_count; i++) {
            pid_t hogs[HOGS];
            struct order order = {contestants[i], jobs};
            const char *name = contestants[i]->name;
            cost quiet = run_apart(run, &order, name);
            start_hogs(hogs);
            cost got = run_apart(run, &order, name);
            end_hogs(hogs);
            report_put_cost(&beside[i], name, r, got.value, got.cpu, got.peak_mib);
            report_put(&ratios[i], name, r, got.value / quiet.value);
        }
    report_table("Beside two CPU hogs: one by one, 4 workers", "ns per job", beside, contestant_count, rounds, REPORT_COST);
    report_table("Beside two CPU hogs, to its own quiet round", "times", ratios, contestant_count, rounds, REPORT_VALUES);
}
