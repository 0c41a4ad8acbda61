#include "order.h"

#include "report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench_task [--url URL] --load FILE.so [OPTION...] TASK\n"
    "\n"
    "Measure a task of your own on your task manager: how many a second, what handing one over costs, how long one takes\n"
    "when nothing else runs, and the processor time. This process sends and serves it; nobody else should serve the same queue.\n"
    "\n"
    "  --url URL       the task manager, as everywhere: local: (if nothing is said), taskiq+redis://HOST/, hatchet://HOST\n"
    "  --load FILE.so  the module that declares the task (MF_MODULE)\n"
    "  --message JSON  what the task is sent; without: nothing\n"
    "  --threads N     that serve; without: one per CPU\n"
    "  --tasks N       a round; without: as many as fit the time\n"
    "  --rounds N      from 1 to 31; without: 7\n"
    "  --seconds S     for all rounds together, roughly; without: 10\n"
    "\n"
    "Where BENCH_JSON names a file, the figures of every round are there afterwards.\n";

static bool number(const char *option, const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out >= least && *out <= most)
        return true;
    fprintf(stderr, "bench_task: --%s: expected a number from %g to %g, got \"%s\"\n", option, least, most, text);
    return false;
}

/* A bare name is a file here, as everywhere on a command line, and not one of the system's libraries. */
static const char *as_path(const char *file)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file);
    return path;
}

bool order_read(int argc, char **argv, order *out, int *code)
{
    enum { URL, LOAD, MESSAGE, THREADS, TASKS, ROUNDS, SECONDS, HELP };
    static const struct option options[] = {
        {"url", required_argument, NULL, URL}, {"load", required_argument, NULL, LOAD},
        {"message", required_argument, NULL, MESSAGE}, {"threads", required_argument, NULL, THREADS},
        {"tasks", required_argument, NULL, TASKS}, {"rounds", required_argument, NULL, ROUNDS},
        {"seconds", required_argument, NULL, SECONDS}, {"help", no_argument, NULL, HELP}, {NULL, 0, NULL, 0},
    };
    double threads = 0, tasks = 0, rounds = 7, seconds = 10;
    const char *load = NULL;
    bool good = true;
    *out = (order){.url = "local:"};
    *code = 2;
    for (int which; (which = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (which) {
        case URL: out->url = optarg; break;
        case LOAD: load = optarg; break;
        case MESSAGE: out->message = optarg; break;
        case THREADS: good &= number("threads", optarg, 1, 1024, &threads); break;
        case TASKS: good &= number("tasks", optarg, 1, 1e8, &tasks); break;
        case ROUNDS: good &= number("rounds", optarg, 1, REPORT_ROUNDS_MAX, &rounds); break;
        case SECONDS: good &= number("seconds", optarg, 0.1, 86400, &seconds); break;
        case HELP: fputs(usage, stdout); *code = 0; return false;
        default: fputs("Try --help.\n", stderr); return false;
        }
    if (good && load == NULL)
        fputs("bench_task: no module: --load FILE.so names the one that declares the task. Try --help.\n", stderr);
    else if (good && argc - optind != 1)
        fprintf(stderr, "bench_task: expected the name of one TASK, got %d arguments. Try --help.\n", argc - optind);
    if (!good || load == NULL || argc - optind != 1)
        return false;
    out->task = argv[optind];
    out->load = as_path(load);
    out->threads = (unsigned)threads;
    out->tasks = (unsigned long)tasks;
    out->rounds = (unsigned)rounds;
    out->seconds = seconds;
    return true;
}
