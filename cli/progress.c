/* progress.c: {"done": 3, "total": 10} becomes "3/10 (30 %)"; any other progress is shown as JSON, cut to the line. A chain
 * or swarm, which reports nothing itself, is counted. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_init(struct progress *progress)
{
    const char *term = getenv("TERM");
    progress->shown = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    progress->dirty = false;
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

static void print_line(struct progress *progress, const char *text)
{
    fprintf(stderr, "\r\033[K%.*s", columns(), text);
    fflush(stderr);
    progress->dirty = true;
}

static void print_progress(struct progress *progress, const mf_message *state)
{
    uint64_t done, total;
    char line[128];
    if (mf_message_scan(state, NULL, "{s:U, s:U}", "done", &done, "total", &total) == MF_OK && total > 0) {
        snprintf(line, sizeof line, "%" PRIu64 "/%" PRIu64 " (%.0f %%)", done, total, 100.0 * (double)done / (double)total);
        print_line(progress, line);
        return;
    }
    char *json;
    size_t len;
    if (mf_message_to_json(state, NULL, &json, &len, NULL) != MF_OK)
        return;
    print_line(progress, json);
    mf_json_free(NULL, json, len);
}

static void print_counts(struct progress *progress, const mf_counts *counts)
{
    char line[160];
    uint64_t total = counts->expected > counts->total ? counts->expected : counts->total;
    uint64_t ended = counts->done + counts->failed + counts->canceled;
    int len = snprintf(line, sizeof line, "%" PRIu64 "/%" PRIu64 " (%.0f %%), %" PRIu64 " running", ended, total,
                       100.0 * (double)ended / (double)total, counts->running);
    if (counts->failed > 0)
        snprintf(line + len, sizeof line - (size_t)len, ", %" PRIu64 " failed", counts->failed);
    print_line(progress, line);
}

void progress_show(struct progress *progress, mf_client *client, const mf_key *key)
{
    mf_message *state;
    mf_counts counts;
    if (!progress->shown)
        return;
    if (mf_progress(client, key, &state) == MF_OK) {
        print_progress(progress, state);
        mf_message_unref(state);
    } else if (mf_count(client, key, &counts, NULL) == MF_OK && counts.total > 1) {
        print_counts(progress, &counts);
    }
}

void progress_wipe(struct progress *progress)
{
    if (progress->dirty)
        fprintf(stderr, "\r\033[K");
    progress->dirty = false;
}
