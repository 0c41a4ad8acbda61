/* Which processes live: by a lock that the kernel takes away from whoever dies, however it dies.
 *
 * Beside FILE lies FILE-lock. Each open store has a number that is never given again, and for as long as it is open the
 * byte at that offset of FILE-lock is locked (the file itself may well be shorter). A claim names its owner's number, so
 * whether a claim is still good is one question to the kernel, and needs neither a lease nor a clock.
 *
 * The lock belongs to the open file description (OFD), not to the process: two stores in one process do not take it from
 * each other. The descriptor is CLOEXEC, and a child that forks without exec closes it at once (pthread_atfork): else the
 * lock would live on in a child of the dead process. Nor can such a child open the file again: what SQLite remembers of the
 * locks on a file is the process's, and the child has the memory without the locks.
 *
 * The same file tells others that something happened: whoever commits while others have it open touches its time
 * (futimens), which needs no room on a full disk, and whoever dies closes it; inotify hears of both (watch.c).
 *
 * FILE-lock stays when the last one leaves: to take it away would race with the next one who opens it. */
#include "sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- fork --------------------------------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t    lock;
    pthread_once_t     once;
    struct mfi_sqlite *first;
    struct mfi_sqlite *inherited;    /* in a child: what was open when it was forked */
} open_stores = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_ONCE_INIT, NULL, NULL};

static void before_fork(void)
{
    pthread_mutex_lock(&open_stores.lock);
}

static void after_fork_here(void)
{
    pthread_mutex_unlock(&open_stores.lock);
}

static void after_fork_there(void)
{
    for (struct mfi_sqlite *s = open_stores.first; s != NULL; s = s->next_open) {
        close(s->lock_fd);
        s->forked = true;
        if (s->next_open == NULL) {
            s->next_open = open_stores.inherited;
            break;
        }
    }
    if (open_stores.first != NULL)
        open_stores.inherited = open_stores.first;
    open_stores.first = NULL;
    pthread_mutex_unlock(&open_stores.lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_here, after_fork_there);
}

static void list_enter(struct mfi_sqlite *s)
{
    pthread_once(&open_stores.once, watch_forks);
    pthread_mutex_lock(&open_stores.lock);
    s->next_open = open_stores.first;
    open_stores.first = s;
    pthread_mutex_unlock(&open_stores.lock);
}

static void list_leave(struct mfi_sqlite *s)
{
    pthread_mutex_lock(&open_stores.lock);
    struct mfi_sqlite **link = &open_stores.first;
    while (*link != NULL && *link != s)
        link = &(*link)->next_open;
    if (*link != NULL)
        *link = s->next_open;
    pthread_mutex_unlock(&open_stores.lock);
}

static mf_status forked(const char *path, mf_error *err)
{
    return mf_fail(err, MF_E_FORKED, "store %s: was opened before a fork, and can be used in the child after an exec alone",
                   path);
}

mf_status mfi_sq_owner_check(const struct mfi_sqlite *s, mf_error *err)
{
    return s->forked ? forked(s->path, err) : MF_OK;
}

mf_status mfi_sq_owner_may_open(const char *path, mf_error *err)
{
    struct stat file;
    bool found = false;
    if (stat(path, &file) != 0)
        return MF_OK;
    pthread_mutex_lock(&open_stores.lock);
    for (const struct mfi_sqlite *s = open_stores.inherited; s != NULL && !found; s = s->next_open)
        found = s->device == file.st_dev && s->inode == file.st_ino;
    pthread_mutex_unlock(&open_stores.lock);
    return found ? forked(path, err) : MF_OK;
}

/* ---- locks -------------------------------------------------------------------------------------------------------- */

static struct flock byte_of(int64_t owner)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1};
}

/* Whether anybody but us holds a lock there. What cannot be told counts as held: a claim is then kept, not given twice. */
static bool held_by_others(const struct mfi_sqlite *s, struct flock range)
{
    return fcntl(s->lock_fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

bool mfi_sq_owner_lives(const struct mfi_sqlite *s, int64_t owner)
{
    return owner == s->owner || held_by_others(s, byte_of(owner));
}

bool mfi_sq_owner_has_company(const struct mfi_sqlite *s)
{
    return held_by_others(s, (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 0});
}

void mfi_sq_owner_tell(const struct mfi_sqlite *s)
{
    if (s->owner != 0 && mfi_sq_owner_has_company(s))
        (void)futimens(s->lock_fd, NULL);    /* should it fail, others look by themselves within MFI_POLL_MS or at their next use */
}

/* ---- still there -------------------------------------------------------------------------------------------------- */

/* Whether the name still leads to the file that is open here. What cannot be told counts as such. */
static bool leads_to(const char *path, dev_t device, ino_t inode)
{
    struct stat file;
    if (inode == 0)
        return true;
    if (stat(path, &file) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return file.st_dev == device && file.st_ino == inode;
}

/* A file without a name takes every write and syncs it, and all is gone with the last who has it open; without its log it lacks
 * what was committed last; and beside another FILE-lock those who open it find everybody dead who holds the first one. */
mf_status mfi_sq_owner_in_place(const struct mfi_sqlite *s, mf_error *err)
{
    struct stat lock;
    const char *gone = NULL;
    if (!leads_to(s->full_path, s->device, s->inode))
        gone = "";
    else if (!leads_to(sqlite3_filename_wal(s->full_path), s->device, s->log_inode))
        gone = "-wal";
    else if (s->lock_fd >= 0 && fstat(s->lock_fd, &lock) == 0 && lock.st_nlink == 0)
        gone = "-lock";
    if (gone == NULL)
        return MF_OK;
    return mf_fail(err, MF_E_IO, "store %s: %s%s was deleted or replaced while it was open; nothing was changed: put back what was "
                   "there, or end the programs that have it open and start them again", s->path, s->path, gone);
}

/* ---- in and out --------------------------------------------------------------------------------------------------- */

mf_status mfi_sq_owner_open(struct mfi_sqlite *s, mf_error *err)
{
    char *path = sqlite3_mprintf("%s-lock", s->full_path);    /* the same by whatever name FILE is called */
    struct stat file, log;
    if (path == NULL)
        return mf_fail(err, MF_E_NOMEM, "store %s: no memory", s->path);
    if (stat(s->full_path, &file) != 0)
        memset(&file, 0, sizeof file);
    s->device = file.st_dev;
    s->inode = file.st_ino;
    s->log_inode = stat(sqlite3_filename_wal(s->full_path), &log) == 0 && log.st_dev == file.st_dev ? log.st_ino : 0;
    mode_t mode = file.st_mode != 0 ? file.st_mode & 0666 : 0600;    /* who may use the database may use this */
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    mf_status st = s->lock_fd >= 0 ? MF_OK : mf_fail(err, MF_E_IO, "store %s: cannot open %s: %s", s->path, path, strerror(errno));
    sqlite3_free(path);
    if (st != MF_OK)
        return st;
    (void)!fchmod(s->lock_fd, mode);    /* the umask had its say; only who made it may, and only that one needs to */
    list_enter(s);
    return MF_OK;
}

mf_status mfi_sq_owner_enter(struct mfi_sqlite *s, int64_t owner, mf_error *err)
{
    struct flock byte = byte_of(owner);
    if (fcntl(s->lock_fd, F_OFD_SETLK, &byte) != 0)
        return mf_fail(err, MF_E_IO, "store %s: cannot lock %s-lock: %s", s->path, s->path, strerror(errno));
    s->owner = owner;
    return MF_OK;
}

void mfi_sq_owner_leave(struct mfi_sqlite *s)
{
    if (s->lock_fd < 0)
        return;
    list_leave(s);
    close(s->lock_fd);
    s->lock_fd = -1;
}
