/* file_hash.h: the SHA-256 of a file's content, read piece by piece; what two of the examples share. */
#ifndef EXAMPLES_FILE_HASH_H
#define EXAMPLES_FILE_HASH_H

#include <mageflow/task.h>

#define FILE_HASH_SIZE 32

struct file_hash {
    uint64_t      bytes;
    unsigned char sha256[FILE_HASH_SIZE];
};

/** What can go wrong with a file besides an errno, which is positive. */
enum { FILE_NOT_REGULAR = -1, FILE_CHANGED = -2, FILE_STOPPED = -3, FILE_NO_HASH = -4 };

/** Hash what the descriptor of a regular file holds; it stays open. 0: done; FILE_CHANGED: the file did so meanwhile;
 * FILE_STOPPED: the task was asked to stop; else what went wrong, as above. */
int file_hash(mf_context *ctx, int fd, struct file_hash *out);

/** Fail the task for what file_hash answered, or for the errno of open: FileNotFound, PermissionDenied, NotRegular,
 * FileChanged, ReadFailed, HashFailed. before stands in front of the text. */
mf_status file_fail(mf_context *ctx, const char *before, int problem);

#endif
