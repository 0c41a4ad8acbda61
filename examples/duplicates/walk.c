/* walk.c: one directory after the other, without recursion and without a descriptor a level.
 *
 * A directory that is met goes into the spool like a file; its offset waits on a stack until its turn. So neither the
 * depth of the tree nor the length of its paths costs memory, and no working directory is changed under other threads. */
#include "walk.h"

#include "names.h"
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_EVERY 4096    /* files, between two words about progress */

struct walk {
    mf_context         *ctx;
    int                 root;
    struct spool_writer spool;
    dev_t               spool_device;
    ino_t               spool_inode;
    uint64_t           *waiting;      /* offsets of directories */
    size_t              waiting_count, waiting_room;
    struct spool_text   directory;    /* name of the one being read */
    struct spool_text   path;
    struct walk_result  found;
};

static mf_status no_memory(mf_error *err)
{
    return mf_fail(err, MF_E_NOMEM, "no memory to list files");
}

static mf_status push(struct walk *walk, uint64_t offset, mf_error *err)
{
    if (walk->waiting_count == walk->waiting_room) {
        size_t room = walk->waiting_room * 2 + 64;
        uint64_t *grown = realloc(walk->waiting, room * sizeof *grown);
        if (grown == NULL)
            return no_memory(err);
        walk->waiting = grown;
        walk->waiting_room = room;
    }
    walk->waiting[walk->waiting_count++] = offset;
    return MF_OK;
}

static mf_status add_directory(struct walk *walk, mf_str path, mf_error *err)
{
    uint64_t offset = walk->spool.end;
    mf_status st = spool_write(&walk->spool, SPOOL_DIRECTORY, path, err);
    return st == MF_OK ? push(walk, offset, err) : st;
}

static void report_progress(struct walk *walk)
{
    mf_message *progress = mf_msg("{s:U}", "files", walk->found.files);
    (void)mf_context_progress(walk->ctx, progress);
    mf_message_unref(progress);
}

static mf_status add_file(struct walk *walk, mf_str path, mf_error *err)
{
    walk->found.files++;
    if (walk->found.files % REPORT_EVERY == 0)
        report_progress(walk);
    return spool_write(&walk->spool, SPOOL_FILE, path, err);
}

/* directory/entry, in walk->path. */
static mf_status join(struct walk *walk, mf_str directory, const char *entry, mf_str *out, mf_error *err)
{
    size_t slash = directory.len > 0 ? 1 : 0, len = strlen(entry);
    size_t need = directory.len + slash + len;
    if (walk->path.room < need) {
        char *grown = realloc(walk->path.at, need * 2);
        if (grown == NULL)
            return no_memory(err);
        walk->path.at = grown;
        walk->path.room = need * 2;
    }
    memcpy(walk->path.at, directory.at, directory.len);
    if (slash > 0)
        walk->path.at[directory.len] = '/';
    memcpy(walk->path.at + directory.len + slash, entry, len);
    *out = mf_str_of(walk->path.at, need);
    return MF_OK;
}

/* What an entry is. File systems that do not tell are asked; whatever is gone already is nothing. */
static unsigned char type_of(int fd, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return S_ISREG(info.st_mode) ? DT_REG : S_ISDIR(info.st_mode) ? DT_DIR : DT_UNKNOWN;
}

/* The spool may lie in the tree it lists. */
static bool is_spool(const struct walk *walk, int fd, const struct dirent *entry)
{
    struct stat info;
    return entry->d_ino == walk->spool_inode && fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           info.st_dev == walk->spool_device;
}

static mf_status add_entry(struct walk *walk, int fd, mf_str directory, const struct dirent *entry, mf_error *err)
{
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return MF_OK;
    unsigned char type = type_of(fd, entry);
    if ((type != DT_REG && type != DT_DIR) || is_spool(walk, fd, entry))
        return MF_OK;
    mf_str path;
    mf_status st = join(walk, directory, entry->d_name, &path, err);
    if (st != MF_OK)
        return st;
    return type == DT_DIR ? add_directory(walk, path, err) : add_file(walk, path, err);
}

/* MF_E_IO with errno in *unread: this directory could not be read; anything else ends the walk. */
static mf_status read_entries(struct walk *walk, DIR *stream, mf_str directory, int *unread, mf_error *err)
{
    mf_status st = MF_OK;
    while (st == MF_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            *unread = errno;
            return MF_OK;
        }
        st = mf_context_stop_requested(walk->ctx) ? MF_E_CANCELED : add_entry(walk, dirfd(stream), directory, entry, err);
    }
    return st;
}

static mf_status read_directory(struct walk *walk, mf_str directory, int *unread, mf_error *err)
{
    int fd = name_open(walk->root, directory.at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        *unread = errno;
        if (fd >= 0)
            close(fd);
        return MF_OK;
    }
    mf_status st = read_entries(walk, stream, directory, unread, err);
    closedir(stream);
    return st;
}

static mf_status visit(struct walk *walk, uint64_t offset, mf_error *err)
{
    struct spool_record record;
    int unread = 0;
    mf_status st = spool_flush(&walk->spool, err);
    if (st == MF_OK)
        st = spool_read(walk->spool.fd, offset, &record, &walk->directory, err);
    if (st == MF_OK)
        st = read_directory(walk, record.name, &unread, err);
    if (st != MF_OK)
        return st;
    walk->found.directories++;
    if (unread == 0)
        return MF_OK;
    if (record.name.len == 0)
        return mf_fail(err, MF_E_IO, "the directory cannot be read: %s", strerror(unread));
    walk->found.files++;
    return spool_set_unlisted(walk->spool.fd, offset, unread, err);
}

static mf_status walk_all(struct walk *walk, mf_error *err)
{
    mf_status st = add_directory(walk, mf_str_of("", 0), err);
    while (st == MF_OK && walk->waiting_count > 0)
        st = visit(walk, walk->waiting[--walk->waiting_count], err);
    if (st == MF_OK)
        st = spool_write(&walk->spool, SPOOL_END, mf_str_of("", 0), err);
    return st == MF_OK ? spool_flush(&walk->spool, err) : st;
}

static mf_status open_all(struct walk *walk, mf_str dir, mf_str shown, mf_str spool, mf_error *err)
{
    struct stat info;
    char *root = strndup(dir.at, dir.len);
    if (root == NULL)
        return no_memory(err);
    mf_status st = MF_OK;
    walk->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (walk->root < 0)
        st = mf_fail(err, MF_E_IO, "the directory cannot be opened: %s", strerror(errno));
    free(root);
    if (st == MF_OK)
        st = spool_writer_init(&walk->spool, spool, dir, shown, err);
    if (st == MF_OK && fstat(walk->spool.fd, &info) == 0) {
        walk->spool_device = info.st_dev;
        walk->spool_inode = info.st_ino;
    }
    return st;
}

mf_status walk_tree(mf_context *ctx, mf_str dir, mf_str shown, mf_str spool, struct walk_result *out)
{
    mf_error err;
    struct walk walk = {.ctx = ctx, .root = -1, .spool.fd = -1};
    mf_status st = open_all(&walk, dir, shown, spool, &err);
    if (st == MF_OK)
        st = walk_all(&walk, &err);
    if (walk.root >= 0)
        close(walk.root);
    spool_writer_fini(&walk.spool);
    spool_text_fini(&walk.directory);
    spool_text_fini(&walk.path);
    free(walk.waiting);
    *out = walk.found;
    if (st == MF_OK || st == MF_E_CANCELED)
        return st;
    return mf_task_fail(ctx, MF_FINAL, "ListFailed", "%s", err.text);
}
