/* Hearing of what others do.
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
    mfi_watchers_tell(&s->watchers, &(struct mfi_news){.delayed_ms = INT64_MAX, .elsewhere = true});
}

static void hear_deaths(struct listener *l)
{
    size_t ready = 0;
    if (mfi_sq_revive(l->s, &ready, NULL) == MF_OK)
        mfi_watchers_tell_ready(&l->s->watchers, ready);
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

/* Under listener_lock. Without a descriptor for it nothing is listened to, which costs a look every MFI_POLL_MS. */
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
    pthread_mutex_lock(&s->listener_lock);
    if (!s->listening)
        s->listening = listener_start(s);
    bool listening = s->listening;
    pthread_mutex_unlock(&s->listener_lock);
    return listening ? mfi_watchers_add(&s->watchers, watch) : MF_E_NOMEM;
}

void mfi_sqlite_unwatch(mf_store *base, void *user)
{
    mfi_watchers_remove(&mfi_sqlite_of(base)->watchers, user);
}

void mfi_sq_watch_fini(struct mfi_sqlite *s)
{
    listener_stop(s);
    mfi_watchers_fini(&s->watchers);
}
