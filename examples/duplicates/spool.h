/* spool.h: the list of files, kept on disk, so that the memory of a run does not grow with the length of its paths.
 *
 *   header   "mfdups1\n", length of root (4 bytes), length of shown (4), both texts
 *   record   length of name (4), kind (1), error (1), name below the root
 *   ...
 *   END      a record without a name; behind it report writes what it found, see groups.h
 *
 * Numbers are little-endian. Names are bytes. A record is found by its offset: that is what a message carries.
 *
 * Threads   a spool may be shared by any number of readers; it has one writer at a time.
 */
#ifndef DUPLICATES_SPOOL_H
#define DUPLICATES_SPOOL_H

#include <mageflow/base.h>

#define SPOOL_NAME_MAX (1u << 20)    /* longer than any path a file system can be walked to */

enum spool_kind { SPOOL_END, SPOOL_FILE, SPOOL_DIRECTORY, SPOOL_UNLISTED /* a directory that could not be read */ };

struct spool_record {
    uint64_t        offset, next;
    enum spool_kind kind;
    int             error;     /* of SPOOL_UNLISTED: the errno */
    mf_str          name;      /* in the caller's struct spool_text; ends in NUL */
};

/** Room for a name, reused from record to record. Zero-initialise; release with spool_text_fini. */
struct spool_text {
    char  *at;
    size_t room;
};
void spool_text_fini(struct spool_text *text);

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct spool {
    int      fd;        /* the spool */
    int      root;      /* the directory that names are below */
    char    *shown;     /* the directory as the user wrote it */
    uint64_t first;     /* offset of the first record */
    char    *path;
    unsigned refs;      /* under the lock in spool.c: callers of spool_open, and the cache */
};

/** The spool at path, shared: the one opened last stays open, since a worker asks for it once per file. spool_close gives
 * it back. MF_E_IO, MF_E_MALFORMED, MF_E_NOMEM. */
MF_NODISCARD mf_status spool_open(mf_str path, struct spool **out, mf_error *err);
void spool_close(struct spool *spool);
/** Close the file that is kept open, too. Harmless at any time. */
void spool_forget(void);

/** The record at offset. MF_E_MALFORMED: there is none. */
MF_NODISCARD mf_status spool_read(int fd, uint64_t offset, struct spool_record *out, struct spool_text *name, mf_error *err);

/** A part of the spool in memory, for reading record after record. Zero-initialise; release with spool_window_fini. */
struct spool_window {
    unsigned char *bytes;
    uint64_t       at;
    size_t         have;
};
MF_NODISCARD mf_status spool_scan(int fd, struct spool_window *window, uint64_t offset, struct spool_record *out,
                                  struct spool_text *name, mf_error *err);
void spool_window_fini(struct spool_window *window);

/** Note in the record of a directory why it could not be read. */
mf_status spool_set_unlisted(int fd, uint64_t offset, int error, mf_error *err);

/* ---- writing ------------------------------------------------------------------------------------------------------- */

struct spool_writer {
    int            fd;
    bool           owned;             /* fd is the writer's to close */
    uint64_t       flushed, end;      /* what is in the file; what was written in all */
    unsigned char *buffer;
};

/** Begin a list in the file at path, which must be there: empty, or an earlier list. MF_E_EXISTS: it holds something else.
 * spool_writer_fini in any case. */
mf_status spool_writer_init(struct spool_writer *writer, mf_str path, mf_str root, mf_str shown, mf_error *err);
/** Go on in an open spool, from offset on. spool_writer_fini in any case. */
mf_status spool_writer_resume(struct spool_writer *writer, int fd, uint64_t offset, mf_error *err);
/** Write a record. */
mf_status spool_write(struct spool_writer *writer, enum spool_kind kind, mf_str name, mf_error *err);
/** Write anything else. */
mf_status spool_put(struct spool_writer *writer, const void *bytes, size_t len, mf_error *err);
mf_status spool_flush(struct spool_writer *writer, mf_error *err);
void      spool_writer_fini(struct spool_writer *writer);

#endif
