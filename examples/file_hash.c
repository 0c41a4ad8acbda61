/* file_hash.c: streaming SHA-256 with OpenSSL. */
#include "file_hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536    /* read at once; a small file touches only what it fills */

mf_status file_fail(mf_context *ctx, const char *before, int error)
{
    char reason[128];
    const char *text = strerror_r(error, reason, sizeof reason);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return mf_task_fail(ctx, MF_FINAL, "FileNotFound", "%s%s", before, text);
    case EACCES:
    case EPERM:
        return mf_task_fail(ctx, MF_FINAL, "PermissionDenied", "%s%s", before, text);
    case ELOOP:     /* a symbolic link, opened with O_NOFOLLOW */
    case ENXIO:     /* a socket */
    case EISDIR:
        return mf_task_fail(ctx, MF_FINAL, "NotRegular", "%snot a regular file", before);
    default:
        return mf_task_fail(ctx, MF_FINAL, "ReadFailed", "%s%s", before, text);
    }
}

/* The second read, which would tell the end, is saved where the size tells it; a size of 0 is not to be believed (/proc). */
static mf_status read_and_digest(mf_context *ctx, int fd, EVP_MD_CTX *digest, uint64_t size, uint64_t *bytes)
{
    unsigned char piece[PIECE];
    for (*bytes = 0; size == 0 || *bytes < size;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got == 0)
            return MF_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(ctx, "", errno);
        if (EVP_DigestUpdate(digest, piece, (size_t)got) != 1)
            return mf_task_fail(ctx, MF_FINAL, "HashFailed", "SHA-256 refused %zd bytes", got);
        *bytes += (uint64_t)got;
        if (mf_context_stop_requested(ctx))
            return MF_E_CANCELED;
    }
    return MF_OK;
}

static mf_status digest_file(mf_context *ctx, int fd, uint64_t size, struct file_hash *out)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        return mf_task_fail(ctx, MF_RETRY, "HashFailed", "SHA-256 cannot be started");
    }
    mf_status st = read_and_digest(ctx, fd, digest, size, &out->bytes);
    if (st == MF_OK && EVP_DigestFinal_ex(digest, out->sha256, NULL) != 1)
        st = mf_task_fail(ctx, MF_FINAL, "HashFailed", "SHA-256 cannot be finished");
    EVP_MD_CTX_free(digest);
    return st;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

mf_status file_hash(mf_context *ctx, int fd, struct file_hash *out)
{
    struct stat before, after;
    if (fstat(fd, &before) != 0)
        return file_fail(ctx, "", errno);
    if (!S_ISREG(before.st_mode))
        return mf_task_fail(ctx, MF_FINAL, "NotRegular", "not a regular file");
    mf_status st = digest_file(ctx, fd, (uint64_t)before.st_size, out);
    if (st != MF_OK)
        return st;
    if (fstat(fd, &after) != 0)
        return file_fail(ctx, "", errno);
    if ((uint64_t)after.st_size != out->bytes || !same_time(before.st_mtim, after.st_mtim))
        return mf_task_fail(ctx, MF_FINAL, "FileChanged", "changed while it was read");
    return MF_OK;
}
