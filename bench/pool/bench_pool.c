/* bench_pool [--quick]: this pool beside others, all of them in turn in each round, so that a disturbance of the machine
 * meets everybody.
 *
 * Contestants are linked in, or programs of their own (external.h). Each measured round has a process of its own.
 *
 *     submit   one outside thread submits empty jobs, then waits for all; ns per job
 *     batch    the same, 256 at a time, of those that have batches
 *     producers  four outside threads submit, two workers
 *     hogs     four workers beside two processes that never sleep
 *     wake     an idle pool gets one job; µs from the submit until it runs, median of many; and the CPU used meanwhile
 *     blocking   jobs that sleep, 64 workers; µs per job, and the CPU of each
 *     lanes    a swarm's shape: very many items, 30 in flight, results kept
 *     memory   jobs that wait in the queue; bytes each, and what is kept afterwards
 *     growth   from 10^3 jobs to 10^7
 *
 *     bench_pool --one CONTESTANT submit|batch|producers|blocking WORKERS JOBS    one round and nothing else, for ./counts: "ns cpu_ns"
 */
#include "workloads.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_one(char **words)
{
    static const char *const names[] = {"submit", "batch", "producers", "blocking"};
    const contestant *c = contestant_named(words[0]);
    unsigned workers = (unsigned)atoi(words[2]);
    size_t jobs = strtoul(words[3], NULL, 10);
    for (int how = SINGLY; c != NULL && how <= BY_PRODUCERS + 1; how++)
        if (strcmp(words[1], names[how]) == 0) {
            double ns, cpu;
            if (how <= BY_PRODUCERS)
                submit_once(c, workers, jobs, (submit_how)how, &ns, &cpu);
            else
                blocking_once(c, workers, jobs, &ns, &cpu);
            printf("%.1f %.1f\n", ns, cpu);
            return 0;
        }
    fprintf(stderr, "bench_pool: no contestant %s, or no workload %s\n", words[0], words[1]);
    return 2;
}

static int list(void)
{
    for (int i = 0; i < contestant_count; i++)
        printf("%s\n", contestants[i]->name);
    return 0;
}

int main(int argc, char **argv)
{
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    if (argc == 6 && strcmp(argv[1], "--one") == 0)
        return run_one(argv + 2);
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: bench_pool [--quick] | --list | --one CONTESTANT submit|batch|producers|blocking WORKERS JOBS\n");
        return 2;
    }
    int rounds = 7;
    size_t jobs = quick ? 100000 : 300000;
    printf("## The pool beside others\n\n");
    report_machine(quick ? "script/bench --quick pool" : "script/bench pool");
    print_contestants();
    printf("- %zu jobs a round, %d interleaved rounds, each in a process of its own\n", jobs, rounds);
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        submit_bench(workers, rounds, jobs, SINGLY);
        submit_bench(workers, rounds, jobs, IN_BATCHES);
    }
    submit_bench(2, rounds, jobs, BY_PRODUCERS);
    hogs_bench(rounds, jobs);
    wake_bench(2, rounds, quick ? 150 : 1000);
    lanes_bench(1, rounds, quick ? 100000 : 1000000);
    lanes_bench(2, rounds, quick ? 100000 : 1000000);
    blocking_bench(rounds, quick ? 1000 : 10000);
    memory_bench(quick ? 1000000 : 10000000);
    growth_bench(rounds, quick ? 10000 : 10000000);
    return 0;
}
