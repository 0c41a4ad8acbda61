/* worker_metrics.c: what /metrics answers: numbers in the text format of Prometheus, and whether work can be taken. */
#include "worker.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

bool worker_is_ready(struct worker *worker, mf_health *health, char *text, size_t size)
{
    *health = (mf_health){.struct_size = sizeof *health};
    mf_status st = mf_health_read(worker->client, health);
    if (st != MF_OK)
        snprintf(text, size, "%s", mf_status_text(st));
    else if (atomic_load(&worker->leaving))
        snprintf(text, size, "leaving: nothing new is taken");
    else if (health->trouble != MF_TROUBLE_NONE)
        snprintf(text, size, "%s", health->text);
    else
        return true;
    return false;
}

static void head(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *to, const char *name, const char *type, const char *help, double value)
{
    head(to, name, type, help);
    fprintf(to, "%s %.17g\n", name, value);
}

/* A label's value: \, " and line ends are escaped. */
static void label(FILE *to, mf_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\n')
            fputs("\\n", to);
        else if (c == '\\' || c == '"')
            fprintf(to, "\\%c", c);
        else
            fputc(c, to);
    }
}

/* ---- tasks --------------------------------------------------------------------------------------------------------- */

/* Call show for every task. */
static void each_task(struct worker *worker, FILE *to, void (*show)(FILE *to, const mf_task_stats *task))
{
    mf_task_stats page[16];
    mf_str after = {NULL, 0};
    size_t n;
    while ((n = mf_stats_tasks(worker->client, after, page, 16)) > 0) {
        for (size_t i = 0; i < n; i++)
            show(to, &page[i]);
        after = page[n - 1].task;
    }
}

static void show_started(FILE *to, const mf_task_stats *task)
{
    fputs("mageflow_task_calls_started_total{task=\"", to);
    label(to, task->task);
    fprintf(to, "\"} %" PRIu64 "\n", task->started);
}

static void show_ended(FILE *to, const mf_task_stats *task)
{
    const struct {
        const char *outcome;
        uint64_t    n;
    } ends[] = {{"succeeded", task->succeeded}, {"failed", task->failed}, {"retried", task->retried},
                {"canceled", task->canceled}, {"put_back", task->put_back}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        fputs("mageflow_task_calls_ended_total{task=\"", to);
        label(to, task->task);
        fprintf(to, "\",outcome=\"%s\"} %" PRIu64 "\n", ends[i].outcome, ends[i].n);
    }
}

static void show_durations(FILE *to, const mf_task_stats *task)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= MF_STATS_BOUNDS; i++) {
        sum += task->within[i];
        fputs("mageflow_task_duration_seconds_bucket{task=\"", to);
        label(to, task->task);
        if (i < MF_STATS_BOUNDS)
            fprintf(to, "\",le=\"%g\"} %" PRIu64 "\n", (double)mf_stats_bound(i) / 1e9, sum);
        else
            fprintf(to, "\",le=\"+Inf\"} %" PRIu64 "\n", sum);
    }
    fputs("mageflow_task_duration_seconds_sum{task=\"", to);
    label(to, task->task);
    fprintf(to, "\"} %.9f\nmageflow_task_duration_seconds_count{task=\"", (double)task->spent_ns / 1e9);
    label(to, task->task);
    fprintf(to, "\"} %" PRIu64 "\n", sum);
}

/* ---- links --------------------------------------------------------------------------------------------------------- */

static void link_numbers(FILE *to, const mf_health *h)
{
    const struct {
        const char *name, *type, *help;
        double      manager, store;
    } rows[] = {
        {"mageflow_link_connected", "gauge", "Whether the link to the server is up.", h->manager.link.connected, h->store.connected},
        {"mageflow_link_connects_total", "counter", "Connections that came up.", (double)h->manager.link.connects,
         (double)h->store.connects},
        {"mageflow_link_drops_total", "counter", "Connections that were lost.", (double)h->manager.link.drops,
         (double)h->store.drops},
        {"mageflow_link_requests_total", "counter", "Questions that the server answered.", (double)h->manager.link.requests,
         (double)h->store.requests},
        {"mageflow_link_sent_bytes_total", "counter", "Bytes written to the server.", (double)h->manager.link.bytes_out,
         (double)h->store.bytes_out},
        {"mageflow_link_received_bytes_total", "counter", "Bytes read from the server.", (double)h->manager.link.bytes_in,
         (double)h->store.bytes_in},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        head(to, rows[i].name, rows[i].type, rows[i].help);
        fprintf(to, "%s{link=\"manager\"} %.17g\n%s{link=\"store\"} %.17g\n", rows[i].name, rows[i].manager, rows[i].name,
                rows[i].store);
    }
}

/* ---- queues -------------------------------------------------------------------------------------------------------- */

/* As the task manager tells them; nothing where it does not answer, or has no queues. */
static void queue_numbers(FILE *to, struct worker *worker)
{
    mf_queue_numbers queues[16];
    size_t count = 0;
    if (mf_queues_read(worker->client, queues, sizeof queues / sizeof queues[0], &count, NULL) != MF_OK || count == 0)
        return;
    count = count < sizeof queues / sizeof queues[0] ? count : sizeof queues / sizeof queues[0];
    const struct {
        const char *name, *help;
        size_t      at;
    } rows[] = {
        {"mageflow_queue_waiting", "Messages that no worker has taken yet.", offsetof(mf_queue_numbers, waiting)},
        {"mageflow_queue_held", "Messages taken by a worker, and not ended.", offsetof(mf_queue_numbers, held)},
        {"mageflow_queue_delayed", "Messages that are not due yet.", offsetof(mf_queue_numbers, delayed)},
        {"mageflow_queue_dead", "Dead letters.", offsetof(mf_queue_numbers, dead)},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        head(to, rows[r].name, "gauge", rows[r].help);
        for (size_t i = 0; i < count; i++) {
            int64_t value;
            memcpy(&value, (const char *)&queues[i] + rows[r].at, sizeof value);
            if (value < 0)
                continue;
            fprintf(to, "%s{queue=\"", rows[r].name);
            label(to, mf_cstr(queues[i].name));
            fprintf(to, "\"} %" PRId64 "\n", value);
        }
    }
}

/* ---- the process --------------------------------------------------------------------------------------------------- */

static void process_numbers(FILE *to, const struct worker *worker)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        one(to, "process_cpu_seconds_total", "counter", "CPU time of this process, user and system.",
            (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    unsigned long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL && fscanf(statm, "%lu %lu", &pages, &resident) == 2)
        one(to, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)resident * (double)sysconf(_SC_PAGESIZE));
    if (statm != NULL)
        fclose(statm);
    DIR *fds = opendir("/proc/self/fd");
    if (fds != NULL) {
        unsigned n = 0;
        for (const struct dirent *entry; (entry = readdir(fds)) != NULL;)
            n += entry->d_name[0] != '.';
        closedir(fds);
        one(to, "process_open_fds", "gauge", "Open file descriptors.", n - 1);      /* but for the one that looked */
    }
    one(to, "process_start_time_seconds", "gauge", "When the worker started, seconds since 1970-01-01 UTC.",
        (double)worker->started_ms / 1e3);
}

void worker_metrics(struct worker *worker, FILE *to)
{
    mf_health h;
    char why[400];
    bool ready = worker_is_ready(worker, &h, why, sizeof why);
    mf_stats stats = {.struct_size = sizeof stats};
    (void)mf_stats_read(worker->client, &stats);

    head(to, "mageflow_build_info", "gauge", "The version that runs; always 1.");
    fprintf(to, "mageflow_build_info{version=\"%s\"} 1\n", MF_VERSION);
    one(to, "mageflow_worker_ready", "gauge", "Whether work can be taken, as /health says.", ready);
    one(to, "mageflow_worker_threads", "gauge", "Threads that run calls.", h.manager.threads);
    one(to, "mageflow_worker_slots", "gauge", "Messages held at once, at most.", h.manager.slots);
    one(to, "mageflow_worker_held", "gauge", "Messages held, running or about to.", h.manager.held);
    one(to, "mageflow_worker_running", "gauge", "Calls of tasks at this moment.", h.running);
    one(to, "mageflow_worker_stuck", "gauge", "Calls that ignore their timeout and were given up.", h.stuck);
    one(to, "mageflow_unknown_tasks_total", "counter", "Messages for tasks that no module declared.", (double)stats.unknown);
    one(to, "mageflow_store_commits_total", "counter", "Batches that the store took.", (double)stats.commits);
    one(to, "mageflow_store_conflicts_total", "counter", "Batches made anew, since somebody else was first.",
        (double)stats.conflicts);
    one(to, "mageflow_store_refusals_total", "counter", "Batches that the store could not keep.", (double)stats.refusals);
    head(to, "mageflow_task_calls_started_total", "counter", "Calls of the task's function.");
    each_task(worker, to, show_started);
    head(to, "mageflow_task_calls_ended_total", "counter", "Calls by how they ended.");
    each_task(worker, to, show_ended);
    head(to, "mageflow_task_duration_seconds", "histogram", "Time inside the task's function.");
    each_task(worker, to, show_durations);
    link_numbers(to, &h);
    queue_numbers(to, worker);
    process_numbers(to, worker);
}
