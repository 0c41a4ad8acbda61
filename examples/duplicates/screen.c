/* screen.c: one line at the bottom that is written over, and wiped whenever somebody has something to say. */
#include "screen.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool            terminal;
static bool            dirty;        /* under lock: there is a line to wipe */

void screen_init(void)
{
    const char *term = getenv("TERM");
    terminal = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

bool screen_is_terminal(void)
{
    return terminal;
}

static void wipe_locked(void)
{
    if (dirty)
        fputs("\r\033[K", stderr);
    dirty = false;
}

void screen_wipe(void)
{
    pthread_mutex_lock(&lock);
    wipe_locked();
    pthread_mutex_unlock(&lock);
}

void screen_say(const char *line)
{
    pthread_mutex_lock(&lock);
    wipe_locked();
    fprintf(stderr, "%s\n", line);
    pthread_mutex_unlock(&lock);
}

/* Cut to the width of the terminal, or it would not be one line. */
static void show(const char *line)
{
    struct winsize size;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
    pthread_mutex_lock(&lock);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    dirty = true;
    pthread_mutex_unlock(&lock);
}

void screen_listing(uint64_t files)
{
    char line[64] = "listing files";
    if (files > 0)
        snprintf(line, sizeof line, "listing files: %" PRIu64, files);
    show(line);
}

void screen_hashing(const mf_counts *counts, double seconds)
{
    char bar[BAR_WIDTH + 1], line[160], failures[40] = "";
    uint64_t ended = counts->done + counts->failed;
    uint64_t of = counts->expected > ended ? counts->expected : ended;
    size_t filled = of == 0 ? 0 : (size_t)(ended * BAR_WIDTH / of);
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    if (counts->failed > 0)
        snprintf(failures, sizeof failures, "  %" PRIu64 " failed", counts->failed);
    double rate = seconds > 0 ? (double)ended / seconds : 0;
    snprintf(line, sizeof line, "[%s] %" PRIu64 "/%" PRIu64 " files%s  %.0f/s", bar, ended, of, failures, rate);
    show(line);
}
