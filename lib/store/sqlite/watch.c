/* Telling our own watchers, with no lock held, and hearing of what others do.
 *
 * A watcher is marked busy while it is called, and one that is going away is unlinked only when it is not: so unwatch
 * returns after the last call, and whoever walks the list finds the node it stands on still in it.
 *
 * The listener is a thread that sleeps on an inotify of FILE-lock, begun with the first watcher:
 *
 *     touched   somebody committed: if the count of commits that are not ours moved, `elsewhere` is told
 *     closed    somebody left or died: what dead owners hold is due again. The kernel tells of the close a moment before
 *               it gives up the lock, so whoever seems to live is looked at again after 10, 50 and 250 ms
 *
 * Idle, it does not wake up at all. Where the system has no inotify left to give, it looks every MFI_POLL_MS instead. */
#include "sqlite_store.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

struct mfi_sq_watcher {
    struct mfi_sq_watcher *next;
    mf_store_watch      watch;
    unsigned            calls;    /* running now */
    bool                gone;     /* not to be called any more */
};

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static void call(const mf_store_watch *watch, const struct mfi_sq_news *news)
{
    if (news->ready > 0 && watch->ready != NULL)
        watch->ready(watch->user, news->ready);
    if (news->delayed_ms != INT64_MAX && watch->delayed != NULL)
        watch->delayed(watch->user, news->delayed_ms);
    for (size_t i = 0; i < news->ended_count && watch->ended != NULL; i++)
        watch->ended(watch->user, &news->ended[i]);
    if (news->elsewhere && watch->elsewhere != NULL)
        watch->elsewhere(watch->user);
}

void mfi_sq_watch_tell(struct mfi_sqlite *s, const struct mfi_sq_news *news)
{
    if (news->ready == 0 && news->delayed_ms == INT64_MAX && news->ended_count == 0 && !news->elsewhere)
        return;
    pthread_mutex_lock(&s->watch_lock);
    for (struct mfi_sq_watcher *w = s->watchers; w != NULL; w = w->next) {
        if (w->gone)
            continue;
        w->calls++;
        pthread_mutex_unlock(&s->watch_lock);
        call(&w->watch, news);
        pthread_mutex_lock(&s->watch_lock);
        if (--w->calls == 0 && w->gone)
            pthread_cond_broadcast(&s->watch_idle);
    }
    pthread_mutex_unlock(&s->watch_lock);
}

/* ---- hearing ------------------------------------------------------------------------------------------------------ */

struct listener {
    struct mfi_sqlite *s;
    int64_t            others_commits;    /* as they were told last */
    unsigned           looks;             /* still to come after somebody closed the file */
};

static void hear_commits(struct listener *l)
{
    struct mfi_sqlite *s = l->s;
    struct mfi_sq_db *db;
    struct mfi_sq_meta meta = {0};
    if (mfi_sq_reader_borrow(s, false, &db, NULL) != MF_OK)
        return;
    /* Read in this order, a commit of ours in between is taken for another's at most: told once too often. */
    int64_t ours = atomic_load_explicit(&s->own_commits, memory_order_relaxed);
    mf_status st = mfi_sq_meta_read(db, &meta, NULL);
    mfi_sq_reader_return(s, db);
    if (st != MF_OK || meta.commits - ours == l->others_commits)
        return;
    l->others_commits = meta.commits - ours;
    mfi_sq_watch_tell(s, &(struct mfi_sq_news){.delayed_ms = INT64_MAX, .elsewhere = true});
}

static void hear_deaths(struct listener *l)
{
    size_t ready = 0;
    if (mfi_sq_revive(l->s, &ready, NULL) == MF_OK)
        mfi_sq_watch_tell(l->s, &(struct mfi_sq_news){.ready = ready, .delayed_ms = INT64_MAX});
}

/* Which of the two happened, as a mask. */
static uint32_t read_events(int fd)
{
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    uint32_t mask = 0;
    ssize_t len;
    while ((len = read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *event = (const void *)(buffer + at);
            mask |= event->mask;
            at += (ssize_t)(sizeof *event + event->len);
        }
    return mask;
}

static int next_look_ms(const struct listener *l)
{
    static const int after_close[] = {250, 50, 10};    /* by how many are still to come */
    if (l->s->inotify_fd < 0)
        return MFI_POLL_MS;
    return l->looks == 0 ? -1 : after_close[l->looks - 1];
}

static void *listen_to_others(void *arg)
{
    struct mfi_sqlite *s = arg;
    struct listener l = {.s = s, .others_commits = s->others_at_start};
    struct pollfd fds[] = {{.fd = s->stop_fd, .events = POLLIN}, {.fd = s->inotify_fd, .events = POLLIN}};
    hear_commits(&l);    /* between the opening and now */
    hear_deaths(&l);
    for (;;) {
        int n = poll(fds, 2, next_look_ms(&l));
        if (fds[0].revents != 0)
            return NULL;
        if (n < 0)
            continue;
        uint32_t mask = n > 0 ? read_events(s->inotify_fd) : 0;
        if ((mask & IN_CLOSE_WRITE) != 0)
            l.looks = 3;
        else if (n == 0 && l.looks > 0)
            l.looks--;
        if (n == 0 || (mask & IN_CLOSE_WRITE) != 0)
            hear_deaths(&l);
        hear_commits(&l);
    }
}

/* Under watch_lock. Without a descriptor for it nothing is listened to, which costs a look every MFI_POLL_MS. */
static bool listener_start(struct mfi_sqlite *s)
{
    char name[64];
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop_fd < 0)
        return false;
    s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(name, sizeof name, "/proc/self/fd/%d", s->lock_fd);    /* the file we have, wherever its name leads by now */
    if (s->inotify_fd >= 0 && inotify_add_watch(s->inotify_fd, name, IN_ATTRIB | IN_CLOSE_WRITE) < 0) {
        close(s->inotify_fd);
        s->inotify_fd = -1;
    }
    if (pthread_create(&s->listener, NULL, listen_to_others, s) != 0) {
        if (s->inotify_fd >= 0)
            close(s->inotify_fd);
        close(s->stop_fd);
        return false;
    }
    return true;
}

static void listener_stop(struct mfi_sqlite *s)
{
    uint64_t one = 1;
    if (!s->listening)
        return;
    while (write(s->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(s->listener, NULL);
    if (s->inotify_fd >= 0)
        close(s->inotify_fd);
    close(s->stop_fd);
}

/* ---- watchers ----------------------------------------------------------------------------------------------------- */

mf_status mfi_sqlite_watch(mf_store *base, const mf_store_watch *watch)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_watcher *w = mf_new(s->allocator, struct mfi_sq_watcher);
    if (w == NULL)
        return MF_E_NOMEM;
    w->watch = *watch;
    pthread_mutex_lock(&s->watch_lock);
    if (!s->listening)
        s->listening = listener_start(s);
    bool listening = s->listening;
    if (listening) {
        w->next = s->watchers;
        s->watchers = w;
    }
    pthread_mutex_unlock(&s->watch_lock);
    if (!listening)
        mf_delete(s->allocator, w);
    return listening ? MF_OK : MF_E_NOMEM;
}

/* Under watch_lock. The next one that nobody else takes away already. */
static struct mfi_sq_watcher **find(struct mfi_sqlite *s, const void *user)
{
    struct mfi_sq_watcher **link = &s->watchers;
    while (*link != NULL && (*link)->watch.user != user)
        link = &(*link)->next;
    return link;
}

void mfi_sqlite_unwatch(mf_store *base, void *user)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    pthread_mutex_lock(&s->watch_lock);
    struct mfi_sq_watcher **link;
    while (*(link = find(s, user)) != NULL) {
        struct mfi_sq_watcher *w = *link;
        w->gone = true;
        if (w->calls > 0) {
            pthread_cond_wait(&s->watch_idle, &s->watch_lock);
            continue;    /* the list may be another one by now */
        }
        *link = w->next;
        mf_delete(s->allocator, w);
    }
    pthread_mutex_unlock(&s->watch_lock);
}

void mfi_sq_watch_fini(struct mfi_sqlite *s)
{
    listener_stop(s);
    while (s->watchers != NULL) {
        struct mfi_sq_watcher *w = s->watchers;
        s->watchers = w->next;
        mf_delete(s->allocator, w);
    }
}
