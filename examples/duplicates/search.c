/* search.c: a chain of list → a map swarm of hashes → report. */
#include "search.h"

#include "duplicates_tasks.h"
#include "names.h"
#include "screen.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS 100                  /* between two looks at the counts, on a terminal */
#define GRACE   mf_seconds(10)       /* for callbacks, and for what was canceled */

/* ---- signals ----------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;
static int                   caught_fd = -1;

static void note_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    caught = number;
    ssize_t written = write(caught_fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

mf_status search_catch_signals(mf_error *err)
{
    caught_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (caught_fd < 0)
        return mf_fail(err, MF_E_IO, "no eventfd for signals: %s", strerror(errno));
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return MF_OK;
}

int search_signal(void)
{
    return caught;
}

/* ---- building ---------------------------------------------------------------------------------------------------------- */

static mf_message *list_kwargs(const struct search *search)
{
    mf_message *dir = name_message(mf_cstr(search->root));
    mf_message *shown = name_message(mf_cstr(search->directory));
    mf_message *spool = name_message(mf_cstr(search->spool));
    mf_message *kwargs = mf_msg("{s:m, s:m, s:m}", "dir", dir, "shown", shown, "spool", spool);
    mf_message_unref(dir);
    mf_message_unref(shown);
    mf_message_unref(spool);
    return kwargs;
}

static mf_message *spool_kwargs(const struct search *search)
{
    mf_message *spool = name_message(mf_cstr(search->spool));
    mf_message *kwargs = mf_msg("{s:m}", "spool", spool);
    mf_message_unref(spool);
    return kwargs;
}

/* The chain; *swarm is the key of its middle, to be counted. Errors are left to mf_start. */
static mf_signature *build(mf_client *client, const struct search *search, mf_key *swarm, mf_error *err)
{
    mf_signature *hash = mf_sign(client, TASK_HASH, spool_kwargs(search), err);
    hash = mf_on_error(hash, mf_sign(client, TASK_FAILED, spool_kwargs(search), err), err);
    const mf_swarm_options *options = MF_SWARM_OPTIONS(.max_concurrency = search->max_concurrency,
                                                       .stop_after_failures = search->stop_after_failures);
    mf_signature *files = mf_map(client, "hash every file", SOURCE_FILES, hash, options, err);
    if (files != NULL)
        *swarm = mf_signature_key(files);

    mf_signature *chain = mf_chain(client, "duplicates", NULL, err);
    chain = mf_chain_add(chain, mf_sign(client, TASK_LIST, list_kwargs(search), err), err);
    chain = mf_chain_add(chain, files, err);
    return mf_chain_add(chain, mf_sign(client, TASK_REPORT, spool_kwargs(search), err), err);
}

/* ---- starting ---------------------------------------------------------------------------------------------------------- */

/* A program that was killed left its run in the store, under the name that it would have again. A name whose run was shown and
 * taken away stays taken for a while: then the next one is tried. */
static mf_run *start(mf_signature *chain, const struct search *search, mf_error *err)
{
    char name[96];
    if (search->name == NULL || chain == NULL)
        return mf_start(chain, NULL, err);
    for (unsigned n = 0;; n++) {
        snprintf(name, sizeof name, "%s %u", search->name, n);
        mf_run *run = mf_start_with(chain, NULL, MF_START_OPTIONS(.unique = name, .join = true), err);
        if (run != NULL || err->status != MF_E_NOT_FOUND)
            return run;
    }
}

/* ---- watching ---------------------------------------------------------------------------------------------------------- */

struct watch {
    mf_client *client;
    mf_run    *run;
    mf_key     swarm;
    int64_t    hashing_since;      /* 0: not yet */
};

static int64_t now_ns(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

static uint64_t listed_so_far(const struct watch *watch)
{
    mf_key key = mf_run_key(watch->run);
    mf_message *progress;
    uint64_t files = 0;
    if (mf_progress(watch->client, &key, &progress) != MF_OK)
        return 0;
    (void)!mf_message_scan(progress, NULL, "{s:U}", "files", &files);
    mf_message_unref(progress);
    return files;
}

static void show_progress(struct watch *watch)
{
    mf_counts counts;
    if (!mf_key_is_set(&watch->swarm) || mf_count(watch->client, &watch->swarm, &counts, NULL) != MF_OK)
        return;
    if (counts.expected == 0 && counts.total == 0) {
        screen_listing(listed_so_far(watch));
        return;
    }
    if (watch->hashing_since == 0)
        watch->hashing_since = now_ns();
    screen_hashing(&counts, (double)(now_ns() - watch->hashing_since) / 1e9);
}

/* Until the run ends or a signal comes. */
static void watch_run(struct watch *watch)
{
    struct pollfd fds[2] = {{.fd = mf_run_fd(watch->run), .events = POLLIN}, {.fd = caught_fd, .events = POLLIN}};
    while (caught == 0 && mf_run_poll(watch->run, NULL, NULL) == MF_E_AGAIN) {
        if (screen_is_terminal())
            show_progress(watch);
        poll(fds, 2, screen_is_terminal() ? TICK_MS : -1);
    }
    screen_wipe();
}

/* ---- ending ------------------------------------------------------------------------------------------------------------ */

static mf_status failure(const struct watch *watch, const struct search *search, mf_status st, mf_error *err)
{
    mf_counts counts;
    if (st == MF_E_NOT_FOUND && search->name != NULL)
        return mf_fail(err, st, "another duplicates worked on the same search, and has shown what was found");
    if (st != MF_E_TASK_FAILED || mf_count(watch->client, &watch->swarm, &counts, NULL) != MF_OK)
        return st;
    if (search->stop_after_failures == 0 || counts.failed < search->stop_after_failures)
        return st;
    return mf_fail(err, st, "stopped: %" PRIu64 " of %" PRIu64 " files could not be read, and --stop-after-failures is %" PRIu64,
                   counts.failed, counts.expected, search->stop_after_failures);
}

static mf_status finish(const struct watch *watch, const struct search *search, struct groups_summary *out, mf_error *err)
{
    mf_message *result = NULL;
    if (caught != 0) {
        mf_key key = mf_run_key(watch->run);
        (void)mf_cancel(watch->client, &key, NULL);
        (void)mf_drain(watch->client, GRACE);
        return mf_fail(err, MF_E_CANCELED, "interrupted");
    }
    mf_status st = mf_run_poll(watch->run, &result, err);
    (void)mf_drain(watch->client, GRACE);      /* the lines about the last failures */
    if (st == MF_OK)
        st = groups_of_message(result, out, err);
    else
        st = failure(watch, search, st, err);
    mf_message_unref(result);
    return st;
}

mf_status search_run(mf_client *client, const struct search *search, mf_key *key, struct groups_summary *out, mf_error *err)
{
    struct watch watch = {.client = client};
    mf_signature *chain = build(client, search, &watch.swarm, err);
    mf_key ours = mf_signature_key(chain);
    watch.run = start(chain, search, err);
    mf_signature_destroy(chain);
    if (watch.run == NULL)
        return err->status;
    *key = mf_run_key(watch.run);
    if (!mf_key_eq(key, &ours)) {      /* another program's: its parts have other keys */
        watch.swarm = (mf_key){{0}};
        screen_say("duplicates: going on where the last search was interrupted");
    }
    watch_run(&watch);
    mf_status st = finish(&watch, search, out, err);
    mf_run_destroy(watch.run);
    return st;
}

void search_forget(mf_client *client, const mf_key *key)
{
    (void)mf_remove(client, key, MF_REMOVE_ALL, NULL);
}
