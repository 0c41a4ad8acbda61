#include <openssl/evp.h>
#include <stdio.h>

#include "memory.h"
#include "redis_impl.h"

/* Redis names a script by the SHA-1 of its source. */
static bool name_script(mfi_redis_script *script)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(script->source, script->len, digest, &len, EVP_sha1(), NULL) != 1 || len != 20)
        return false;
    for (unsigned i = 0; i < len; i++)
        snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
    return true;
}

static const mfi_redis_script *find(const mfi_redis *redis, mf_str source)
{
    const mfi_redis_script *s = atomic_load_explicit(&redis->scripts, memory_order_acquire);
    while (s != NULL && !mf_str_eq(mf_str_of(s->source, s->len), source))
        s = s->next;
    return s;
}

static void load(mfi_redis *redis, const mfi_redis_script *script)
{
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("SCRIPT"), MF_STR_LIT("LOAD"), mf_str_of(script->source, script->len));
    /* If that fails the first call finds out, and loads it. */
    mf_status st = mfi_redis_submit(redis, rq, MFI_REDIS_HOW(.idempotent = true), NULL, NULL);
    (void)st;
}

const mfi_redis_script *mfi_redis_script_add(mfi_redis *redis, mf_str source)
{
    pthread_mutex_lock(&redis->lock);
    const mfi_redis_script *known = find(redis, source);
    mfi_redis_script *fresh = NULL;
    bool up = redis->up;
    if (known == NULL)
        fresh = mfi_alloc(redis->allocator, sizeof *fresh + source.len + 1);
    if (fresh != NULL) {
        fresh->len = source.len;
        memcpy(fresh->source, source.at, source.len);
        fresh->source[source.len] = '\0';
        if (name_script(fresh)) {
            fresh->next = atomic_load_explicit(&redis->scripts, memory_order_relaxed);
            /* Release: the I/O thread walks the list when it greets. */
            atomic_store_explicit(&redis->scripts, fresh, memory_order_release);
            known = fresh;
        } else {
            mfi_release(redis->allocator, fresh, sizeof *fresh + source.len + 1);
            fresh = NULL;
        }
    }
    pthread_mutex_unlock(&redis->lock);
    if (fresh != NULL && up)        /* else the greeting does it */
        load(redis, fresh);
    return known;
}
