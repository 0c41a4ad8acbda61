/* file_hash.h: the SHA-256 of a file's content, read piece by piece; what two of the examples share. */
#ifndef EXAMPLES_FILE_HASH_H
#define EXAMPLES_FILE_HASH_H

#include <mageflow/task.h>

#define FILE_HASH_SIZE 32

struct file_hash {
    uint64_t      bytes;
    unsigned char sha256[FILE_HASH_SIZE];
};

/** Fail the task for a file that could not be opened: FileNotFound, PermissionDenied, NotRegular, ReadFailed. before stands
 * in front of the text. */
mf_status file_fail(mf_context *ctx, const char *before, int error);

/** Hash what the descriptor holds; it stays open. Not a regular file, or one that changes meanwhile: the task fails with
 * NotRegular or FileChanged. MF_E_CANCELED: the task was asked to stop. */
mf_status file_hash(mf_context *ctx, int fd, struct file_hash *out);

#endif
