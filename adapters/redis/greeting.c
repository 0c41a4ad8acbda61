/* What a new connection says before anything else, all in one write: who we are (AUTH), where (SELECT), our name, the
 * scripts; and it asks what kind of server this is. Its answers decide whether the connection is of use.
 *
 * A user that may not do some of this (NOPERM) is no failure: only AUTH, SELECT and the kind of server decide. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "redis_impl.h"

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* The file's first line. */
static mf_status read_password(const mfi_redis *redis, char *at, size_t size, mf_error *err)
{
    const char *path = redis->address->password_file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    if (fd >= 0) {
        size_t len = 0;
        while (len < size && (n = read(fd, at + len, size - len)) != 0) {
            if (n < 0 && errno != EINTR)
                break;
            len += n > 0 ? (size_t)n : 0;
        }
        int error = errno;
        close(fd);
        errno = error;
        if (n >= 0) {
            char *end = memchr(at, '\n', len);
            len = end != NULL ? (size_t)(end - at) : len;
            len -= len > 0 && at[len - 1] == '\r';
            if (len == 0 || len >= size || memchr(at, '\0', len) != NULL)
                return mf_fail(err, MF_E_INVALID, "%s: password_file %s: expected a line of 1 to %zu bytes", redis->text, path,
                               size - 1);
            at[len] = '\0';
            return MF_OK;
        }
    }
    char text[128];
    return mf_fail(err, MF_E_INVALID, "%s: password_file %s: %s", redis->text, path, strerror_r(errno, text, sizeof text));
}

static mf_status add_auth(mfi_redis *redis, mfi_redis_request *rq, mf_error *err)
{
    const mfi_redis_address *address = redis->address;
    char from_file[MFI_REDIS_PASSWORD_MAX];
    const char *password = address->password;
    if (address->password_file[0] != '\0') {
        mf_status st = read_password(redis, from_file, sizeof from_file, err);
        if (st != MF_OK)
            return st;
        password = from_file;
    }
    if (address->user[0] != '\0')
        mfi_redis_add(rq, MF_STR_LIT("AUTH"), mf_cstr(address->user), mf_cstr(password));
    else if (password[0] != '\0')
        mfi_redis_add(rq, MF_STR_LIT("AUTH"), mf_cstr(password));
    explicit_bzero(from_file, sizeof from_file);
    return MF_OK;
}

/* In the order of the answers; scripts come last. */
struct parts {
    bool auth, select;
};

static struct parts parts_of(const mfi_redis *redis)
{
    const mfi_redis_address *a = redis->address;
    return (struct parts){.auth = a->user[0] != '\0' || a->password[0] != '\0' || a->password_file[0] != '\0',
                          .select = a->db != 0};
}

mfi_redis_request *mfi_greeting_create(mfi_conn *c, mf_error *err)
{
    mfi_redis *redis = c->redis;
    struct parts parts = parts_of(redis);
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    if (rq != NULL && parts.auth && add_auth(redis, rq, err) != MF_OK) {
        mfi_redis_request_destroy(rq);
        return NULL;
    }
    char db[16];
    int digits = snprintf(db, sizeof db, "%u", redis->address->db);
    if (parts.select)
        mfi_redis_add(rq, MF_STR_LIT("SELECT"), mf_str_of(db, (size_t)digits));
    mfi_redis_add(rq, MF_STR_LIT("CLIENT"), MF_STR_LIT("SETNAME"), mf_cstr(redis->name));
    mfi_redis_add(rq, MF_STR_LIT("CLIENT"), MF_STR_LIT("ID"));
    mfi_redis_add(rq, MF_STR_LIT("INFO"), MF_STR_LIT("server"));
    mfi_redis_add(rq, MF_STR_LIT("PING"));
    if (!c->blocking)
        for (const mfi_redis_script *s = atomic_load_explicit(&redis->scripts, memory_order_acquire); s != NULL; s = s->next)
            mfi_redis_add(rq, MF_STR_LIT("SCRIPT"), MF_STR_LIT("LOAD"), mf_str_of(s->source, s->len));
    if (rq == NULL || rq->failed) {
        mfi_redis_request_destroy(rq);
        mf_fail(err, MF_E_NOMEM, "%s: out of memory", redis->text);
        return NULL;
    }
    rq->internal = true;
    rq->deadline = INT64_MAX;
    mfi_request_rewind(rq);
    return rq;
}

/* ---- understanding ---------------------------------------------------------------------------------------------- */

static mf_status read_auth(const mfi_redis *redis, const mfi_redis_reply *r, mf_error *err)
{
    mf_status st = mfi_redis_explain(redis->text, r, err);
    if (st != MF_E_INVALID || mfi_redis_is_error(r, "WRONGPASS") || mfi_redis_is_error(r, "NOPERM"))
        return st;
    /* "ERR AUTH <password> called without any password configured for the default user." */
    if (memmem(r->text.at, r->text.len, "without any password", 20) != NULL)
        return mf_fail(err, st, "%s: the server has no password for its default user: leave the password out, or name a user",
                       redis->text);
    return mf_fail(err, st, "%s: the server refuses AUTH", redis->text);
}

static mf_status read_kind(const mfi_redis *redis, const mfi_redis_reply *r, mf_error *err)
{
    if (r->type != MFI_REDIS_STRING)
        return MF_OK;
    if (memmem(r->text.at, r->text.len, "redis_mode:cluster", 18) != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "%s: this is a node of a cluster (cluster_enabled), which mageflow does not speak "
                       "to: name a single server", redis->text);
    if (memmem(r->text.at, r->text.len, "redis_mode:sentinel", 19) != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "%s: this is a sentinel, which keeps no data: name the server it watches",
                       redis->text);
    return MF_OK;
}

/* What must not fail for others than want of permission. */
static mf_status read_rest(const mfi_redis *redis, const mfi_redis_reply *r, mf_error *err)
{
    return mfi_redis_is_error(r, "NOPERM") ? MF_OK : mfi_redis_explain(redis->text, r, err);
}

mf_status mfi_greeting_read(mfi_conn *c, const mfi_redis_replies *replies, mf_error *err)
{
    const mfi_redis *redis = c->redis;
    struct parts parts = parts_of(redis);
    const mfi_redis_reply *r = replies->at;
    mf_status st = MF_OK;
    if (parts.auth)
        st = read_auth(redis, r++, err);
    const mfi_redis_reply *chosen = parts.select ? r++ : NULL;
    const mfi_redis_reply *id = r + 1, *info = r + 2, *ping = r + 3;
    /* A cluster has one database: that it is one says more than that there is no other. */
    if (st == MF_OK)
        st = read_kind(redis, info, err);
    if (st == MF_OK && chosen != NULL) {
        st = mfi_redis_explain(redis->text, chosen, err);
        if (memmem(chosen->text.at, chosen->text.len, "out of range", 12) != NULL)
            st = mf_fail(err, MF_E_INVALID, "%s: there is no database %u (the server's `databases` says how many there are)",
                         redis->text, redis->address->db);
    }
    if (st == MF_OK)
        st = read_rest(redis, info, err);
    if (st == MF_OK)
        st = read_rest(redis, ping, err);
    if (st == MF_OK)
        c->client_id = id->type == MFI_REDIS_INTEGER ? id->integer : 0;
    return st;
}
