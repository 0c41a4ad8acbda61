/* Answers. hiredis reads the bytes; its "object functions" are ours, so that an answer of a thousand elements is built in a
 * few blocks of memory, may be kept and freed on any thread, and obeys a bound: an array's elements are 48 bytes each before
 * the first of them has arrived, and a hostile "*999999999" must cost nothing. */
#include <assert.h>
#include <hiredis.h>
#include <stdio.h>

#include "memory.h"
#include "redis_impl.h"

struct block {
    struct block *next;
    size_t        size, used;        /* of data */
    max_align_t   data[];
};

#define FIRST_BLOCK 1024u
#define ALIGN       sizeof(void *)
#define TRIM_ABOVE  ((size_t)1 << 20)

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void *take(mfi_replies *r, size_t size)
{
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (size > r->max - r->used)
        return NULL;
    struct block *b = r->blocks;
    if (b == NULL || size > b->size - b->used) {
        size_t room = b == NULL ? FIRST_BLOCK : b->size * 2 < 256 * 1024 ? b->size * 2 : 256 * 1024;
        if (room < size)
            room = size;
        struct block *more = mfi_alloc(r->allocator, sizeof *more + room);
        if (more == NULL)
            return NULL;
        *more = (struct block){b, room, 0};
        r->blocks = b = more;
    }
    void *at = (char *)b->data + b->used;
    b->used += size;
    r->used += size;
    return at;
}

static void release_blocks(mfi_replies *r, bool all)
{
    while (r->blocks != NULL && (all || r->blocks->next != NULL)) {
        struct block *b = r->blocks;
        r->blocks = b->next;
        mfi_release(r->allocator, b, sizeof *b + b->size);
    }
}

bool mfi_replies_reset(mfi_replies *r, size_t count)
{
    release_blocks(r, false);
    if (r->blocks != NULL)
        r->blocks->used = 0;
    r->used = 0;
    r->home = NULL;
    r->slots = count > r->max / sizeof *r->slots ? NULL : take(r, count * sizeof *r->slots);
    if (r->slots == NULL)
        return false;
    memset(r->slots, 0, count * sizeof *r->slots);
    r->public = (mfi_redis_replies){count, r->slots};
    return true;
}

mfi_replies *mfi_replies_create(const mf_allocator *a, size_t count, size_t max)
{
    mfi_replies *r = mf_new(a, mfi_replies);
    if (r == NULL)
        return NULL;
    r->allocator = a;
    r->max = max;
    if (mfi_replies_reset(r, count))
        return r;
    mfi_redis_replies_destroy(&r->public);
    return NULL;
}

static mfi_replies *replies_of(mfi_redis_replies *public)
{
    return (mfi_replies *)public;
}

void mfi_redis_replies_keep(mfi_redis_replies *replies)
{
    *replies_of(replies)->home = NULL;
}

void mfi_redis_replies_destroy(mfi_redis_replies *replies)
{
    if (replies == NULL)
        return;
    mfi_replies *r = replies_of(replies);
    release_blocks(r, true);
    mf_delete(r->allocator, r);
}

/* ---- what hiredis calls ----------------------------------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static mfi_redis_reply *slot_of(const redisReadTask *task)
{
    const mfi_parser *p = task->privdata;
    if (task->parent == NULL)
        return p->slot;
    const mfi_redis_reply *array = task->parent->obj;
    /* Made by make_array, which had the right to write there. */
    return (mfi_redis_reply *)(uintptr_t)&array->items[task->idx];
}

static void *refuse(const redisReadTask *task, size_t size)
{
    mfi_parser *p = task->privdata;
    p->too_big = size > p->into->max - p->into->used;
    return NULL;        /* hiredis calls that "out of memory" and stops */
}

static void *make_string(const redisReadTask *task, char *text, size_t len)
{
    const mfi_parser *p = task->privdata;
    mfi_redis_reply *r = slot_of(task);
    char *copy = len > p->into->max ? NULL : take(p->into, len + 1);
    if (copy == NULL)
        return refuse(task, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    r->type = task->type == REDIS_REPLY_ERROR ? MFI_REDIS_ERROR :
              task->type == REDIS_REPLY_STATUS ? MFI_REDIS_STATUS : MFI_REDIS_STRING;
    r->text = mf_str_of(copy, len);
    return r;
}

static void *make_array(const redisReadTask *task, element_count count)
{
    const mfi_parser *p = task->privdata;
    mfi_redis_reply *r = slot_of(task), *items = NULL;
    if (count > 0) {
        size_t size;
        if (__builtin_mul_overflow((size_t)count, sizeof *items, &size))
            return refuse(task, SIZE_MAX);
        items = take(p->into, size);
        if (items == NULL)
            return refuse(task, size);
        memset(items, 0, size);
    }
    r->type = MFI_REDIS_ARRAY;
    r->count = (size_t)count;
    r->items = items;
    return r;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    mfi_redis_reply *r = slot_of(task);
    r->type = MFI_REDIS_INTEGER;
    r->integer = value;
    return r;
}

static void *make_nil(const redisReadTask *task)
{
    mfi_redis_reply *r = slot_of(task);
    r->type = MFI_REDIS_NIL;
    return r;
}

static void free_nothing(void *reply)
{
    (void)reply;        /* the blocks go together */
}

/* ---- the parser ------------------------------------------------------------------------------------------------- */

mf_status mfi_parser_init(mfi_parser *p)
{
    static redisReplyObjectFunctions functions = {
        .createString = make_string,
        .createArray = make_array,
        .createInteger = make_integer,
        .createNil = make_nil,
        .freeObject = free_nothing,
    };
    *p = (mfi_parser){0};
    p->reader = redisReaderCreateWithFunctions(&functions);
    if (p->reader == NULL)
        return MF_E_NOMEM;
    p->reader->privdata = p;
    /* Whenever it is empty and above this size, hiredis 0.14 frees its buffer, makes a new one, and asserts that there was
     * memory for it: the one place where it would abort. */
    p->reader->maxbuf = 0;
    return MF_OK;
}

void mfi_parser_fini(mfi_parser *p)
{
    if (p->reader != NULL)
        redisReaderFree(p->reader);
    p->reader = NULL;
}

mf_status mfi_parser_feed(mfi_parser *p, const char *at, size_t len)
{
    return redisReaderFeed(p->reader, at, len) == REDIS_OK ? MF_OK : MF_E_NOMEM;
}

void mfi_parser_trim(mfi_parser *p)
{
    if (mfi_parser_has_bytes(p) || p->reader->ridx != -1 || sdsalloc(p->reader->buf) < TRIM_ABOVE)
        return;
    mfi_parser fresh;
    if (mfi_parser_init(&fresh) != MF_OK)
        return;
    mfi_parser_fini(p);
    *p = fresh;
    p->reader->privdata = p;
}

bool mfi_parser_has_bytes(const mfi_parser *p)
{
    return p->reader->pos < p->reader->len;
}

mf_status mfi_parser_next(mfi_parser *p, mfi_replies *into, mfi_redis_reply *slot, mf_error *err)
{
    void *reply = NULL;
    p->into = into;
    p->slot = slot;
    p->too_big = false;
    int rc = redisReaderGetReply(p->reader, &reply);
    if (rc == REDIS_OK && reply != NULL)
        return MF_OK;
    if (rc == REDIS_OK) {
        /* A string is kept by hiredis until all of it is there. */
        if (p->reader->len - p->reader->pos <= into->max)
            return MF_E_AGAIN;
        p->too_big = true;
    }
    if (p->too_big)
        return mf_fail(err, MF_E_TOO_BIG, "an answer of more than %zu bytes", into->max);
    if (p->reader->err == REDIS_ERR_OOM)
        return mf_fail(err, MF_E_NOMEM, "no memory for an answer");
    return mf_fail(err, MF_E_MALFORMED, "what came is not RESP: %s", p->reader->errstr);
}
