/* worker.c: `mageflow worker`: serve the tasks of modules until a signal says to leave.
 *
 * Leaving: nothing new is taken, what has not begun is given back, and what runs has 25 s to end by itself; then it is asked to
 * stop, and 3 s later the process goes without it, whose lease ends. A second signal skips the wait.
 *
 * The watchdog of the service manager is answered unless every thread hangs in a call that ignores its timeout, which a new
 * process mends; what it does not mend, a server that is away, is told by /health and not by being killed with the tasks that
 * run. An answer comes after a look at the client's own locks, so that a deadlock is silent. */
#include "command.h"
#include "isolate.h"
#include "launch.h"
#include "log.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MAY_END_S 25
#define MUST_END_S 3
#define LEFT SIGUSR1       /* the thread that leaves tells the main one so */

enum { EXIT_ASKED = 3, EXIT_FORCED = 4 };

static const struct usage usage = {
    .takes = OPTION_LOAD | OPTION_FOREIGN | OPTION_THREADS | OPTION_SLOTS | OPTION_HEALTH | OPTION_LOG | OPTION_ISOLATION,
    .arguments = "[OPTION...]",
    .before = "Serve the tasks that the loaded modules declare, until SIGTERM or SIGINT.",
    .after = "On the first signal nothing new is taken, what has not begun is given back to the others, and what runs\n"
             "has 25 s to end; then it is asked to stop, and 3 s later the process goes without it. A second signal\n"
             "skips the wait.\n"
             "Exit codes: 0 everything ended, 1 it could not serve, 2 wrong usage, 3 tasks were asked to stop,\n"
             "4 some did not, and run again elsewhere when their lease is over.\n"
             "With --isolation process a task that crashes or exits fails its attempt alone, and one that ignores its stop\n"
             "request is killed 2 s later. It costs some 20 us a task (docs/operations.md).\n"
             "With --health the port answers on loopback: /health with 200 while work can be taken, else 503 and the reason;\n"
             "/metrics for Prometheus. Under systemd (NOTIFY_SOCKET, WATCHDOG_USEC) it tells when it is ready and that it lives.\n"
             "\n"
             "  mageflow worker --url URL --load ./basic_tasks.so --slots 64\n",
};

struct leaving {
    mf_client *client;
    pthread_t  main;
};

static void *leave(void *arg)
{
    struct leaving *l = arg;
    (void)mf_unserve(l->client);
    pthread_kill(l->main, LEFT);
    return NULL;
}

/* The next of these signals, or 0 after so many seconds (0: wait for ever). */
static int next_signal(const sigset_t *set, double seconds)
{
    struct timespec most = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    for (;;) {
        int got = sigtimedwait(set, NULL, seconds > 0 ? &most : NULL);
        if (got > 0)
            return got;
        if (errno == EAGAIN)
            return 0;
    }
}

/* From the first signal to the exit code. */
static int leave_in_order(mf_client *client, const sigset_t *set)
{
    struct leaving l = {client, pthread_self()};
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave, &l) != 0) {
        tell(MF_LOG_ERROR, "no thread to leave with; going at once");
        _exit(EXIT_FORCED);
    }
    int code = EXIT_DONE;
    if (next_signal(set, MAY_END_S) != LEFT) {
        tell(MF_LOG_WARN, "asking the tasks that still run to stop");
        mf_stop_calls(client);
        code = EXIT_ASKED;
        if (next_signal(set, MUST_END_S) != LEFT) {
            tell(MF_LOG_ERROR, "some tasks do not stop; leaving without them");
            _exit(EXIT_FORCED);     /* their threads still run our code: nothing may be freed under them */
        }
    }
    pthread_join(thread, NULL);
    return code;
}

/* From "serving" to the first signal. */
static void serve_until_signal(struct worker *worker, const sigset_t *set)
{
    double every = notify_watchdog();
    for (;;) {
        int got = next_signal(set, every);
        if (got != 0 && got != LEFT)
            return;
        mf_health h = {.struct_size = sizeof h};
        if (got == 0 && mf_health_read(worker->client, &h) == MF_OK && h.trouble != MF_TROUBLE_STUCK)
            notify_tell("WATCHDOG=1\n%s%.*s\n", "STATUS=", (int)sizeof h.text - 1,
                        h.trouble == MF_TROUBLE_NONE ? "serving" : h.text);
    }
}

/* The health port comes first, and is there until the end. */
static int serve_and_leave(struct worker *worker, const struct options *options, const sigset_t *set)
{
    struct http *http = NULL;
    mf_error err;
    mf_stats_measure(worker->client, options->health);
    mf_status st = options->health ? http_start(worker, options->health_port, &http, &err) : MF_OK;
    if (st == MF_OK)
        st = mf_serve(worker->client, MF_WORKER_OPTIONS(.threads = options->threads, .slots = options->slots), &err);
    if (st != MF_OK) {
        complain("%s", err.text);
        http_stop(http);
        return st == MF_E_INVALID || st == MF_E_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
    }
    if (http != NULL)
        printf("health: http://127.0.0.1:%u/health\n", http_port(http));
    if (options->modules == NULL)
        tell(MF_LOG_WARN, "no module was loaded (--load): no task is declared here but mageflow's own");
    puts("serving");
    fflush(stdout);
    tell(MF_LOG_INFO, "serving");
    notify_tell("READY=1\nSTATUS=serving\n");
    struct announcer *announcer = announce_start(worker->client);
    serve_until_signal(worker, set);
    atomic_store(&worker->leaving, true);
    announce_leaving(announcer);
    tell(MF_LOG_INFO, "leaving: nothing new is taken, and what runs has %d s to end", MAY_END_S);
    notify_tell("STOPPING=1\nSTATUS=leaving: waiting for what runs\n");
    int code = leave_in_order(worker->client, set);
    announce_end(announcer);
    http_stop(http);
    tell(MF_LOG_INFO, "left: %s", code == EXIT_DONE ? "everything ended" : "some tasks were asked to stop");
    return code;
}

static int try_isolation(struct isolation *isolation)
{
    mf_error err;
    mf_status st = isolation_try(isolation, &err);
    if (st == MF_OK)
        return EXIT_DONE;
    tell(MF_LOG_ERROR, "%s", err.text);
    return st == MF_E_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
}

static int worker_with(const struct options *options)
{
    sigset_t set;
    struct worker worker = {.started_ms = mf_clock_default()->wall_ms(mf_clock_default()->user)};
    if (options->count > 0) {
        complain("worker: expected no arguments, got \"%s\": see mageflow worker --help", options->arguments[0]);
        return EXIT_USAGE;
    }
    log_from(MF_LOG_INFO);
    if (options->log_json)
        log_as_json(NULL);
    tell(MF_LOG_INFO, "mageflow %s starts", MF_VERSION);
    /* Before there are threads, so that none of them takes the signal. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, LEFT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct isolation *isolation = options->isolated ? isolation_create(options) : NULL;
    if (options->isolated && isolation == NULL) {
        tell(MF_LOG_ERROR, "no memory");
        return EXIT_FAILED;
    }
    int code = client_open_calling(options, isolation != NULL ? isolation_call : NULL, isolation, &worker.client);
    if (code != EXIT_DONE && code != EXIT_USAGE)    /* 3 and 4 tell of tasks here */
        code = EXIT_FAILED;
    if (code == EXIT_DONE && isolation != NULL)
        code = try_isolation(isolation);
    if (code == EXIT_DONE)
        code = serve_and_leave(&worker, options, &set);
    mf_client_destroy(worker.client);
    isolation_destroy(isolation);
    return code;
}

static int worker_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, worker_with);
}

const verb worker_verb = {"worker", "serve the tasks of modules until a signal", worker_run};
