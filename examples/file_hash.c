/* file_hash.c: streaming SHA-256 with OpenSSL. */
#include "file_hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536    /* read at once; a small file touches only what it fills */

/* The second read, which would tell the end, is saved where the size tells it; a size of 0 is not to be believed (/proc). */
static int read_and_digest(mf_context *ctx, int fd, EVP_MD_CTX *digest, uint64_t size, uint64_t *bytes)
{
    unsigned char piece[PIECE];
    for (*bytes = 0; size == 0 || *bytes < size;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (EVP_DigestUpdate(digest, piece, (size_t)got) != 1)
            return FILE_NO_HASH;
        *bytes += (uint64_t)got;
        if (mf_context_stop_requested(ctx))
            return FILE_STOPPED;
    }
    return 0;
}

static int digest_file(mf_context *ctx, int fd, uint64_t size, struct file_hash *out)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int problem = FILE_NO_HASH;
    if (digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1)
        problem = read_and_digest(ctx, fd, digest, size, &out->bytes);
    if (problem == 0 && EVP_DigestFinal_ex(digest, out->sha256, NULL) != 1)
        problem = FILE_NO_HASH;
    EVP_MD_CTX_free(digest);
    return problem;
}

static bool changed(const struct stat *before, const struct stat *after, uint64_t bytes)
{
    return before->st_size != after->st_size || before->st_mtim.tv_sec != after->st_mtim.tv_sec ||
           before->st_mtim.tv_nsec != after->st_mtim.tv_nsec || (before->st_size > 0 && (uint64_t)before->st_size != bytes);
}

int file_hash(mf_context *ctx, int fd, struct file_hash *out)
{
    struct stat before, after;
    if (fstat(fd, &before) != 0)
        return errno;
    if (!S_ISREG(before.st_mode))
        return FILE_NOT_REGULAR;
    int problem = digest_file(ctx, fd, (uint64_t)before.st_size, out);
    if (problem != 0)
        return problem;
    if (fstat(fd, &after) != 0)
        return errno;
    return changed(&before, &after, out->bytes) ? FILE_CHANGED : 0;
}

mf_status file_fail(mf_context *ctx, const char *before, int problem)
{
    char reason[128];
    const char *text = problem > 0 ? strerror_r(problem, reason, sizeof reason) : "";
    switch (problem) {
    case ENOENT:
    case ENOTDIR:
        return mf_task_fail(ctx, MF_FINAL, "FileNotFound", "%s%s", before, text);
    case EACCES:
    case EPERM:
        return mf_task_fail(ctx, MF_FINAL, "PermissionDenied", "%s%s", before, text);
    case ELOOP:     /* a symbolic link, opened with O_NOFOLLOW */
    case ENXIO:     /* a socket */
    case EISDIR:
    case FILE_NOT_REGULAR:
        return mf_task_fail(ctx, MF_FINAL, "NotRegular", "%snot a regular file", before);
    case FILE_CHANGED:
        return mf_task_fail(ctx, MF_FINAL, "FileChanged", "%schanged while it was read", before);
    case FILE_NO_HASH:
        return mf_task_fail(ctx, MF_FINAL, "HashFailed", "%sSHA-256 failed", before);
    case FILE_STOPPED:
        return MF_E_CANCELED;
    default:
        return mf_task_fail(ctx, MF_FINAL, "ReadFailed", "%s%s", before, text);
    }
}
