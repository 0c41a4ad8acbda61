/* sim [--seeds N] [--first SEED] [--jobs N] [--require N]
 * sim --seed SEED [--trace]
 *
 * Runs N schedules (10 000), one a seed, on as many processes as there are CPUs, and prints what met what. With --require
 * every possible cell of the matrix must have been hit so often. One that breaks prints the line that replays it. */
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "matrix.h"

typedef struct options {
    uint64_t seeds, first, seed, require;
    unsigned jobs;
    bool     one, trace;
} options;

static void print_line(void *user, const char *text)
{
    (void)user;
    puts(text);
}

static int replay(const char *program, const options *o)
{
    schedule_result result;
    mf_error err = {0};
    mfi_cells cells = {{0}};
    bool fine = schedule_run(o->seed, &cells, o->trace ? print_line : NULL, NULL, &result, &err);
    mfi_fiber_fini();
    printf("%s: seed %llu: %u items, %u faults, %u crashes, %llu steps: %s\n", program, (unsigned long long)o->seed, result.items,
           result.faults, result.crashes, (unsigned long long)result.steps, fine ? "fine" : err.text);
    return fine ? 0 : 1;
}

/* ---- many seeds ---------------------------------------------------------------------------------------------------------- */

static report run_share(const options *o, unsigned share)
{
    report r = {.first_broken = UINT64_MAX};
    for (uint64_t i = share; i < o->seeds; i += o->jobs) {
        schedule_result result;
        mf_error err = {0};
        uint64_t seed = o->first + i;
        if (!schedule_run(seed, &r.cells, NULL, NULL, &result, &err)) {
            if (r.broken++ == 0)
                r.first_broken = seed;
            printf("seed %llu: %s\n", (unsigned long long)seed, err.text);
            fflush(stdout);
            if (r.broken >= 20)
                break;
        }
        r.schedules++;
        r.faults += result.faults;
        r.crashes += result.crashes;
        r.restarts += result.restarts;
        r.lapsed += result.lapsed;
        r.answers += result.answers;
        r.dead_letters += result.dead_letters;
        r.overtaken += result.overtaken;
        r.steps += result.steps;
        r.items += result.items;
        r.without_fault += result.faults == 0;
    }
    mfi_fiber_fini();
    return r;
}

static bool write_all(int fd, const void *at, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)at + done, len - done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *at, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)at + done, len - done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static int run_all(const char *program, const options *o)
{
    report all = {.first_broken = UINT64_MAX};
    int pipes[64][2];
    pid_t children[64];
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    fflush(stdout);
    for (unsigned j = 0; j < o->jobs; j++) {
        if (pipe(pipes[j]) != 0 || (children[j] = fork()) < 0) {
            perror("sim");
            return 2;
        }
        if (children[j] == 0) {
            report r = run_share(o, j);
            bool written = write_all(pipes[j][1], &r, sizeof r);
            exit(written ? 0 : 2);
        }
        close(pipes[j][1]);
    }
    bool whole = true;
    for (unsigned j = 0; j < o->jobs; j++) {
        report r;
        int status = 0;
        bool got = read_all(pipes[j][0], &r, sizeof r);
        waitpid(children[j], &status, 0);
        whole = whole && got && status == 0;
        if (got)
            report_add(&all, &r);
        if (!got || status != 0)
            printf("%s: one of the processes ended with status %d\n", program, status);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double seconds = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    bool covered = report_print(&all, o->require, seconds);
    if (all.broken > 0)
        printf("\n%llu broke; replay the first with: %s --seed %llu --trace\n", (unsigned long long)all.broken, program,
               (unsigned long long)all.first_broken);
    return whole && all.broken == 0 && covered ? 0 : 1;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "sim: expected a number, got \"%s\"\n", text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    options o = {.seeds = 10000, .first = 1, .jobs = (unsigned)(cpus < 1 ? 1 : cpus > 64 ? 64 : cpus)};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) {
            o.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0)
            o.seeds = number(next);
        else if (strcmp(argv[i], "--first") == 0)
            o.first = number(next);
        else if (strcmp(argv[i], "--require") == 0)
            o.require = number(next);
        else if (strcmp(argv[i], "--jobs") == 0 && number(next) >= 1 && number(next) <= 64)
            o.jobs = (unsigned)number(next);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = number(next), o.one = true;
        else {
            fprintf(stderr, "usage: sim [--seeds N] [--first SEED] [--jobs N] [--require N] | --seed SEED [--trace]\n");
            return 2;
        }
        i++;
    }
    return o.one ? replay(argv[0], &o) : run_all(argv[0], &o);
}
