/* What an item costs in one SQLite file: a swarm of ours, as it comes and with more at once, and a queue written by hand.
 *
 *     bench_sqlite [--quick] [DIRECTORY]     the tables; the files lie in DIRECTORY (default: the current one), whose disk counts
 *     bench_sqlite --one default|wide|hand ITEMS DIRECTORY
 *
 * Each run is a process of its own on a new file. Both wait for the disk (WAL, synchronous=FULL). Syncs and bytes written are
 * counted by a file system between SQLite and the real one, in ours and in the other alike.
 *
 * A new file's first use (its log, each statement's first preparation) costs the same whether 1000 items follow or a million.
 * So each round runs an empty one as well, which is told apart and taken from what an item costs. */
#include "apart.h"
#include "counting_source.h"
#include "hand_queue.h"
#include "report.h"
#include "shim.h"

#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDE_THREADS = 16, WIDE_CONCURRENCY = 256, ROUNDS_MAX = 5, SIZES = 3 };
static const unsigned long long sizes[SIZES] = {1000, 10000, 100000};

typedef struct figures {
    double ns, cpu_ns, syncs, file_bytes;    /* of the whole run */
    double opening_cpu_ns;                   /* before it: the file and its tables are made */
} figures;

/* ---- ours --------------------------------------------------------------------------------------------------------- */

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)user;
    *out = mf_message_ref(in);    /* a result of some bytes */
    return MF_OK;
}

static mf_status run_swarm(mf_client *client, counting_source *source, unsigned concurrency, figures *out, mf_error *err)
{
    mf_counts counts = {.done = 0};
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "nothing", .run = nothing), err);
    if (st == MF_OK)
        st = mf_source(client, MF_SOURCE_DEF(.name = "numbers", .next = counting_source_next, .user = source), err);
    if (st != MF_OK)
        return st;
    long syncs = atomic_load(&shim.syncs);
    double begin = report_now_ns(), cpu = report_cpu_ns();
    mf_signature *map = mf_map(client, "map", "numbers", mf_sign(client, "nothing", NULL, err),
                               MF_SWARM_OPTIONS(.max_concurrency = concurrency), err);
    mf_run *run = mf_start(map, NULL, err);
    mf_signature_destroy(map);
    if (run == NULL)
        return err->status;
    st = mf_run_wait(run, MF_FOREVER, NULL, err);
    out->ns = report_now_ns() - begin;
    out->cpu_ns = report_cpu_ns() - cpu;
    out->syncs = (double)(atomic_load(&shim.syncs) - syncs);
    mf_key key = mf_run_key(run);
    mf_run_destroy(run);
    if (st == MF_OK)
        st = mf_count(client, &key, &counts, err);
    if (st == MF_OK && counts.done != source->total)
        st = mf_fail(err, MF_E_STATE, "%llu of %llu items are done", (unsigned long long)counts.done,
                     (unsigned long long)source->total);
    return st;
}

/* 0 threads, 0 at once: as they are by default, one thread a CPU and 30. */
static bool run_ours(const char *path, unsigned threads, unsigned concurrency, unsigned long long items, figures *out)
{
    char url[512];
    mf_client *client = NULL;
    mf_error err = {.text = ""};
    mf_message *item = mf_msg("{s:i, s:s}", "width", 640, "owner", "alice");
    counting_source source = {.total = items, .item = item};
    if (threads > 0)
        snprintf(url, sizeof url, "local:?threads=%u&store=sqlite:%s", threads, path);
    else
        snprintf(url, sizeof url, "local:?store=sqlite:%s", path);
    double cpu = report_cpu_ns();
    mf_status st = mf_open(url, NULL, &client, &err);
    out->opening_cpu_ns = report_cpu_ns() - cpu;
    if (st == MF_OK)
        st = run_swarm(client, &source, concurrency, out, &err);
    mf_client_destroy(client);
    mf_message_unref(item);
    if (st != MF_OK)
        fprintf(stderr, "bench_sqlite: ours, %llu items: %s\n", items, err.text);
    return st == MF_OK;
}

static bool run_default(const char *path, unsigned long long items, figures *out)
{
    return run_ours(path, 0, 0, items, out);
}

static bool run_wide(const char *path, unsigned long long items, figures *out)
{
    return run_ours(path, WIDE_THREADS, WIDE_CONCURRENCY, items, out);
}

/* ---- the other ---------------------------------------------------------------------------------------------------- */

static bool run_hand(const char *path, unsigned long long items, figures *out)
{
    double cpu = report_cpu_ns();
    hand_queue *q = hand_queue_open(path, items);
    if (q == NULL)
        return false;
    long syncs = atomic_load(&shim.syncs);
    double begin = report_now_ns();
    bool good = hand_queue_drain(q) == items;
    out->ns = report_now_ns() - begin;
    out->cpu_ns = report_cpu_ns() - cpu;
    out->syncs = (double)(atomic_load(&shim.syncs) - syncs);
    hand_queue_close(q);
    return good;
}

/* ---- a run in a process of its own -------------------------------------------------------------------------------- */

typedef bool run_fn(const char *path, unsigned long long items, figures *out);

static const struct {
    const char *word, *name;
    run_fn     *run;
    bool        all_sizes;
} contestants[] = {
    {"default", "mageflow, a swarm, nothing set", run_default, true},
    {"wide", "mageflow, 16 threads, 256 at once", run_wide, true},
    {"hand", "a queue by hand, one transaction an item", run_hand, false},   /* its cost is the disk's, the same at every size; opened and filled while its clock runs */
};
enum { CONTESTANTS = 3 };

static void remove_files(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm", "-lock"};
    char name[600];
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
}

static bool run_here(int which, const char *directory, unsigned long long items, figures *out)
{
    char path[512];
    struct stat file;
    snprintf(path, sizeof path, "%s/bench-%ld.db", directory, (long)getpid());
    remove_files(path);
    shim_install();
    bool good = contestants[which].run(path, items, out);
    out->file_bytes = stat(path, &file) == 0 ? (double)file.st_size : 0;
    remove_files(path);
    return good;
}

typedef struct order {
    int                which;
    const char        *directory;
    unsigned long long items;
} order;

static bool run(const void *arg, void *out)
{
    const order *o = arg;
    return run_here(o->which, o->directory, o->items, out);
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

/* One round: an empty run, and one of each size. Syncs and CPU of the empty one are not the items'. */
typedef struct round_figures {
    figures empty, sizes[SIZES];
} round_figures;

static bool run_round(int which, const char *directory, int size_count, round_figures *out)
{
    if (!apart(run, &(order){which, directory, 0}, &out->empty, sizeof out->empty, NULL))
        return false;
    for (int s = 0; s < size_count; s++)
        if (!apart(run, &(order){which, directory, sizes[s]}, &out->sizes[s], sizeof out->sizes[s], NULL))
            return false;
    return true;
}

static void print_size(int which, int s, const round_figures *rounds, int n)
{
    double rate[ROUNDS_MAX], cpu[ROUNDS_MAX], syncs[ROUNDS_MAX], bytes[ROUNDS_MAX], items = (double)sizes[s];
    for (int r = 0; r < n; r++) {
        const figures *f = &rounds[r].sizes[s], *empty = &rounds[r].empty;
        rate[r] = items / (f->ns / 1e9);
        cpu[r] = (f->cpu_ns - empty->cpu_ns) / 1e3 / items;
        syncs[r] = (f->syncs - empty->syncs) / items;
        bytes[r] = f->file_bytes / items;
    }
    double middle = report_median(rate, n), cpu_middle = report_median(cpu, n);
    printf("| %s | %llu | **%.0f** | %.0f | %.0f | %.1f | %.1f | %.1f | %.4f | %.0f |\n", contestants[which].name, sizes[s], middle,
           rate[0], rate[n - 1], cpu_middle, cpu[0], cpu[n - 1], report_median(syncs, n), report_median(bytes, n));
}

static void print_empty(int which, const round_figures *rounds, int n)
{
    double opening[ROUNDS_MAX], empty[ROUNDS_MAX], syncs[ROUNDS_MAX];
    for (int r = 0; r < n; r++) {
        opening[r] = rounds[r].empty.opening_cpu_ns / 1e6;
        empty[r] = rounds[r].empty.cpu_ns / 1e6;
        syncs[r] = rounds[r].empty.syncs;
    }
    printf("| %s | %.1f | %.1f | %.0f |\n", contestants[which].name, report_median(opening, n), report_median(empty, n), report_median(syncs, n));
}

static bool tables(const char *directory, int rounds, int size_count)
{
    static round_figures got[CONTESTANTS][ROUNDS_MAX];
    for (int r = 0; r < rounds; r++)
        for (int which = 0; which < CONTESTANTS; which++)
            if (!run_round(which, directory, contestants[which].all_sizes ? size_count : 1, &got[which][r]))
                return false;
    printf("\n| contestant | items | items/s | min | max | CPU, µs an item | min | max | syncs an item | bytes an item in the file |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (int s = 0; s < size_count; s++)
        for (int which = 0; which < CONTESTANTS; which++)
            if (contestants[which].all_sizes || s == 0)
                print_size(which, s, got[which], rounds);
    printf("\nWhat a new file costs whatever follows, taken from the items' CPU and syncs above:\n\n"
           "| contestant | opening, ms CPU | an empty swarm, ms CPU | syncs |\n|---|---|---|---|\n");
    for (int which = 0; which < CONTESTANTS; which++)
        print_empty(which, got[which], rounds);
    return true;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--one") == 0) {
        figures f = {0};
        unsigned long long items = strtoull(argv[3], NULL, 10);
        int which = 0;
        while (which < CONTESTANTS - 1 && strcmp(argv[2], contestants[which].word) != 0)
            which++;
        if (!run_here(which, argv[4], items, &f))
            return 1;
        printf("%.0f items/s, CPU %.1f µs an item, %.4f syncs an item, %.0f bytes an item; in all %.2f ms CPU, %.0f syncs\n",
               (double)items / (f.ns / 1e9), f.cpu_ns / 1e3 / (double)items, f.syncs / (double)items,
               f.file_bytes / (double)items, f.cpu_ns / 1e6, f.syncs);
        return 0;
    }
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *directory = argc > 1 + quick ? argv[1 + quick] : ".";
    if (argc > 2 + quick || directory[0] == '-') {
        fprintf(stderr, "usage: bench_sqlite [--quick] [DIRECTORY] | bench_sqlite --one default|wide|hand ITEMS DIRECTORY\n");
        return 2;
    }
    printf("## Items in one SQLite file\n\n");
    report_machine(quick ? "script/bench --quick sqlite" : "script/bench sqlite");
    printf("- nothing set: one worker thread a CPU, max_concurrency 30; items and results of 20 bytes that do nothing\n");
    return tables(directory, quick ? 3 : ROUNDS_MAX, quick ? 2 : SIZES) ? 0 : 1;
}
