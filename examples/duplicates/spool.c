/* spool.c: see spool.h for the format. */
#include "spool.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC       "mfdups1\n"
#define MAGIC_SIZE  8
#define RECORD_HEAD (4 + 1 + 1)
#define AT_ONCE     512        /* read with the head: most names come along */
#define BUFFER      65536

static void put32(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* Up to len bytes; less only at the end of the file. Negative: errno. */
static ssize_t read_at(int fd, void *buffer, size_t len, uint64_t offset)
{
    size_t have = 0;
    while (have < len) {
        ssize_t got = pread(fd, (char *)buffer + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static mf_status write_at(int fd, const void *bytes, size_t len, uint64_t offset, mf_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t put = pwrite(fd, (const char *)bytes + done, len - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mf_fail(err, MF_E_IO, "the list of files cannot be written: %s", strerror(errno));
        done += (size_t)put;
    }
    return MF_OK;
}

static char *terminated(mf_str text)
{
    char *copy = malloc(text.len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

static char *text_room(struct spool_text *text, size_t len)
{
    if (text->room < len) {
        char *grown = realloc(text->at, len);
        if (grown == NULL)
            return NULL;
        text->at = grown;
        text->room = len;
    }
    return text->at;
}

void spool_text_fini(struct spool_text *text)
{
    free(text->at);
    *text = (struct spool_text){0};
}

/* ---- records --------------------------------------------------------------------------------------------------------- */

static mf_status torn(uint64_t offset, mf_error *err)
{
    return mf_fail(err, MF_E_MALFORMED, "the list of files holds no record at %llu", (unsigned long long)offset);
}

/* The record whose bytes these are, as far as they were read. */
static mf_status decode(int fd, uint64_t offset, const unsigned char *bytes, size_t got, struct spool_record *out,
                        struct spool_text *name, mf_error *err)
{
    if (got < RECORD_HEAD)
        return torn(offset, err);
    size_t len = get32(bytes);
    size_t here = got - RECORD_HEAD;
    if (len > SPOOL_NAME_MAX || bytes[4] > SPOOL_UNLISTED)
        return torn(offset, err);
    if (text_room(name, len + 1) == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for a name of %zu bytes", len);
    if (here > len)
        here = len;
    memcpy(name->at, bytes + RECORD_HEAD, here);
    if (here < len && read_at(fd, name->at + here, len - here, offset + RECORD_HEAD + here) != (ssize_t)(len - here))
        return torn(offset, err);
    name->at[len] = '\0';
    *out = (struct spool_record){.offset = offset, .next = offset + RECORD_HEAD + len, .kind = bytes[4], .error = bytes[5],
                                 .name = mf_str_of(name->at, len)};
    return MF_OK;
}

static mf_status unread(mf_error *err)
{
    return mf_fail(err, MF_E_IO, "the list of files cannot be read: %s", strerror(errno));
}

mf_status spool_read(int fd, uint64_t offset, struct spool_record *out, struct spool_text *name, mf_error *err)
{
    unsigned char bytes[AT_ONCE];
    ssize_t got = read_at(fd, bytes, sizeof bytes, offset);
    return got < 0 ? unread(err) : decode(fd, offset, bytes, (size_t)got, out, name, err);
}

mf_status spool_scan(int fd, struct spool_window *window, uint64_t offset, struct spool_record *out, struct spool_text *name,
                     mf_error *err)
{
    if (window->bytes == NULL)
        window->bytes = malloc(BUFFER);
    if (window->bytes == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory to read the list of files");
    if (offset < window->at || offset + AT_ONCE > window->at + window->have) {
        ssize_t got = read_at(fd, window->bytes, BUFFER, offset);
        if (got < 0)
            return unread(err);
        window->at = offset;
        window->have = (size_t)got;
    }
    size_t before = (size_t)(offset - window->at);
    return decode(fd, offset, window->bytes + before, window->have - before, out, name, err);
}

void spool_window_fini(struct spool_window *window)
{
    free(window->bytes);
    *window = (struct spool_window){0};
}

mf_status spool_set_unlisted(int fd, uint64_t offset, int error, mf_error *err)
{
    unsigned char changed[2] = {SPOOL_UNLISTED, (unsigned char)error};
    return write_at(fd, changed, sizeof changed, offset + 4, err);
}

/* ---- opening, shared --------------------------------------------------------------------------------------------------- */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct spool   *shared;      /* the one opened last */

static void spool_free(struct spool *spool)
{
    if (spool == NULL)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    if (spool->root >= 0)
        close(spool->root);
    free(spool->shown);
    free(spool->path);
    free(spool);
}

static mf_status read_header(struct spool *spool, char **root, mf_error *err)
{
    unsigned char head[MAGIC_SIZE + 8];
    if (read_at(spool->fd, head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head, MAGIC, MAGIC_SIZE) != 0)
        return mf_fail(err, MF_E_MALFORMED, "%s is no list of files", spool->path);
    uint32_t root_len = get32(head + MAGIC_SIZE), shown_len = get32(head + MAGIC_SIZE + 4);
    if (root_len > SPOOL_NAME_MAX || shown_len > SPOOL_NAME_MAX)
        return mf_fail(err, MF_E_MALFORMED, "%s is no list of files", spool->path);
    *root = calloc(1, (size_t)root_len + 1);
    spool->shown = calloc(1, (size_t)shown_len + 1);
    if (*root == NULL || spool->shown == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for the list of files");
    spool->first = sizeof head + (uint64_t)root_len + shown_len;
    if (read_at(spool->fd, *root, root_len, sizeof head) != (ssize_t)root_len ||
        read_at(spool->fd, spool->shown, shown_len, sizeof head + root_len) != (ssize_t)shown_len)
        return mf_fail(err, MF_E_MALFORMED, "%s is no list of files", spool->path);
    return MF_OK;
}

static mf_status open_files(struct spool *spool, mf_error *err)
{
    spool->fd = open(spool->path, O_RDWR | O_CLOEXEC);
    if (spool->fd < 0)
        return mf_fail(err, MF_E_IO, "the list of files %s cannot be opened: %s", spool->path, strerror(errno));
    char *root = NULL;
    mf_status st = read_header(spool, &root, err);
    if (st == MF_OK) {
        spool->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (spool->root < 0)
            st = mf_fail(err, MF_E_IO, "%s: %s", root, strerror(errno));
    }
    free(root);
    return st;
}

static mf_status open_new(mf_str path, struct spool **out, mf_error *err)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for the list of files");
    spool->fd = spool->root = -1;
    spool->refs = 2;      /* the caller, the cache */
    spool->path = terminated(path);
    mf_status st = spool->path == NULL ? mf_fail(err, MF_E_NOMEM, "no memory for the list of files") : open_files(spool, err);
    if (st != MF_OK) {
        spool_free(spool);
        return st;
    }
    *out = spool;
    return MF_OK;
}

static void unref_locked(struct spool *spool)
{
    if (spool != NULL && --spool->refs == 0)
        spool_free(spool);
}

mf_status spool_open(mf_str path, struct spool **out, mf_error *err)
{
    mf_status st = MF_OK;
    pthread_mutex_lock(&shared_lock);
    if (shared != NULL && mf_str_eq(mf_cstr(shared->path), path)) {
        shared->refs++;
        *out = shared;
    } else {
        st = open_new(path, out, err);
        if (st == MF_OK) {
            unref_locked(shared);
            shared = *out;
        }
    }
    pthread_mutex_unlock(&shared_lock);
    return st;
}

void spool_close(struct spool *spool)
{
    pthread_mutex_lock(&shared_lock);
    unref_locked(spool);
    pthread_mutex_unlock(&shared_lock);
}

void spool_forget(void)
{
    pthread_mutex_lock(&shared_lock);
    unref_locked(shared);
    shared = NULL;
    pthread_mutex_unlock(&shared_lock);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

mf_status spool_flush(struct spool_writer *writer, mf_error *err)
{
    mf_status st = write_at(writer->fd, writer->buffer, writer->end - writer->flushed, writer->flushed, err);
    if (st == MF_OK)
        writer->flushed = writer->end;
    return st;
}

mf_status spool_put(struct spool_writer *writer, const void *bytes, size_t len, mf_error *err)
{
    if (writer->end - writer->flushed + len > BUFFER) {
        mf_status st = spool_flush(writer, err);
        if (st != MF_OK)
            return st;
    }
    if (len > BUFFER) {
        mf_status st = write_at(writer->fd, bytes, len, writer->end, err);
        if (st == MF_OK)
            writer->flushed = writer->end += len;
        return st;
    }
    if (len > 0)
        memcpy(writer->buffer + (writer->end - writer->flushed), bytes, len);
    writer->end += len;
    return MF_OK;
}

/* A message names the file to write over: it must be empty, or a list of ours. */
static bool may_overwrite(int fd)
{
    char magic[MAGIC_SIZE];
    ssize_t got = read_at(fd, magic, sizeof magic, 0);
    return got == 0 || (got == MAGIC_SIZE && memcmp(magic, MAGIC, MAGIC_SIZE) == 0);
}

static mf_status open_for_writing(struct spool_writer *writer, mf_str path, mf_error *err)
{
    char *name = terminated(path);
    if (name == NULL || writer->buffer == NULL) {
        free(name);
        return mf_fail(err, MF_E_NOMEM, "no memory for the list of files");
    }
    mf_status st = MF_OK;
    writer->fd = open(name, O_RDWR | O_CLOEXEC);
    if (writer->fd < 0)
        st = mf_fail(err, MF_E_IO, "the list of files %s cannot be opened: %s", name, strerror(errno));
    else if (!may_overwrite(writer->fd))
        st = mf_fail(err, MF_E_EXISTS, "%s holds something else than a list of files", name);
    else if (ftruncate(writer->fd, 0) != 0)
        st = mf_fail(err, MF_E_IO, "the list of files %s cannot be emptied: %s", name, strerror(errno));
    free(name);
    return st;
}

mf_status spool_writer_init(struct spool_writer *writer, mf_str path, mf_str root, mf_str shown, mf_error *err)
{
    *writer = (struct spool_writer){.fd = -1, .owned = true, .buffer = malloc(BUFFER)};
    unsigned char head[MAGIC_SIZE + 8];
    memcpy(head, MAGIC, MAGIC_SIZE);
    put32(head + MAGIC_SIZE, (uint32_t)root.len);
    put32(head + MAGIC_SIZE + 4, (uint32_t)shown.len);
    mf_status st = open_for_writing(writer, path, err);
    if (st == MF_OK)
        st = spool_put(writer, head, sizeof head, err);
    if (st == MF_OK)
        st = spool_put(writer, root.at, root.len, err);
    return st == MF_OK ? spool_put(writer, shown.at, shown.len, err) : st;
}

mf_status spool_writer_resume(struct spool_writer *writer, int fd, uint64_t offset, mf_error *err)
{
    *writer = (struct spool_writer){.fd = fd, .flushed = offset, .end = offset, .buffer = malloc(BUFFER)};
    return writer->buffer != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "no memory to write the list of files");
}

mf_status spool_write(struct spool_writer *writer, enum spool_kind kind, mf_str name, mf_error *err)
{
    unsigned char head[RECORD_HEAD] = {0};
    if (name.len > SPOOL_NAME_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "a path of %zu bytes", name.len);
    put32(head, (uint32_t)name.len);
    head[4] = (unsigned char)kind;
    mf_status st = spool_put(writer, head, sizeof head, err);
    return st == MF_OK ? spool_put(writer, name.at, name.len, err) : st;
}

void spool_writer_fini(struct spool_writer *writer)
{
    if (writer->owned && writer->fd >= 0)
        close(writer->fd);
    free(writer->buffer);
    *writer = (struct spool_writer){.fd = -1};
}
