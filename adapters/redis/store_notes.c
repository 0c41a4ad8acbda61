/* Small values by name; and what a signature tells of itself. */
#include "store_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "record_codec.h"

#define LINE_NUMBER_MAX ((uint64_t)1 << 53)     /* beyond it the server's scripts do not count */

/* "expires:value" */
static mf_status read_value(const struct mfi_rs *s, mf_str stored, int64_t *expires_ms, mf_message **out, mf_error *err)
{
    const char *colon = stored.len == 0 ? NULL : memchr(stored.at, ':', stored.len);
    if (colon == NULL)
        return mfi_rs_damaged(s, err);
    *expires_ms = strtoll(stored.at, NULL, 10);
    return mfi_message_decode(mf_str_of(colon + 1, (size_t)(stored.at + stored.len - colon - 1)), s->allocator, out, err);
}

static mf_status read_one(const struct mfi_rs *s, mf_str space, const mfi_redis_reply *r, mf_note *out, mf_error *err)
{
    *out = (mf_note){0};
    mf_status st = read_value(s, r[1].text, &out->expires_ms, &out->value, err);
    if (st != MF_OK)
        return st;
    char *its_space = mfi_copy_text(s->allocator, space), *name = mfi_copy_text(s->allocator, r[0].text);
    out->space = mf_str_of(its_space, its_space != NULL ? space.len : 0);
    out->name = mf_str_of(name, name != NULL ? r[0].text.len : 0);
    return its_space != NULL && name != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "store: no memory to read notes");
}

mf_status mfi_rs_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, space);
    mfi_rs_add(&args, after);
    mfi_rs_add_uint(&args, max <= UINT32_MAX ? max : UINT32_MAX);
    mf_status st = mfi_rs_run(s, MFI_RS_NOTES, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    for (size_t i = 0; st == MF_OK && i + 1 < a->count && *got < max; i += 2) {
        st = read_one(s, space, &a->items[i], &out[*got], err);
        (*got)++;
    }
    while (st != MF_OK && *got > 0)
        mf_note_release(base, &out[--*got]);
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, space);
    mfi_rs_add(&args, name);
    mf_status st = mfi_rs_run(s, MFI_RS_READ_NOTE, &args, &r, err);
    if (st != MF_OK)
        return st;
    int64_t expires;
    if (r->at[0].count == 1)
        st = read_value(s, r->at[0].items[0].text, &expires, out, err);
    else
        st = mf_fail(err, MF_E_NOT_FOUND, "store: no note \"%.*s\" in \"%.*s\"", (int)name.len, name.at, (int)space.len, space.at);
    mfi_redis_replies_destroy(r);
    return st;
}

/* ---- logs and progress ------------------------------------------------------------------------------------------ */

static mf_status tell(mf_store *base, const mf_key *key, mf_str what, mf_str value)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_once(&args, s);
    mfi_rs_add_key(&args, key);
    mfi_rs_add(&args, what);
    mfi_rs_add(&args, value);
    mfi_rs_add_int(&args, MFI_RS_LINES_MAX);
    mf_status st = mfi_rs_run(s, MFI_RS_TELL, &args, &r, NULL);
    if (st != MF_OK)
        return st;
    if (r->at[0].count != 1 || !mf_str_eq(r->at[0].items[0].text, MF_STR_LIT("ok")))
        st = MF_E_NOT_FOUND;
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_log(mf_store *base, const mf_key *key, mf_str line)
{
    return tell(base, key, MF_STR_LIT("log"), line);
}

mf_status mfi_rs_progress(mf_store *base, const mf_key *key, const mf_message *progress)
{
    return tell(base, key, MF_STR_LIT("progress"), progress != NULL ? mf_message_bytes(progress) : mf_str_of("", 0));
}

mf_status mfi_rs_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text, size_t *len)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r;
    char name[64], number[24];
    if (n >= MFI_RS_LINES_MAX) {
        mfi_redis_request_destroy(rq);
        return MF_E_NOT_FOUND;
    }
    int name_len = snprintf(name, sizeof name, MFI_RS_PREFIX "g:%s", key->text);
    int number_len = snprintf(number, sizeof number, "%llu", (unsigned long long)n);
    mfi_redis_add(rq, MF_STR_LIT("LINDEX"), mf_str_of(name, (size_t)name_len), mf_str_of(number, (size_t)number_len));
    mf_status st = mfi_rs_ask(s, rq, &r, NULL);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *line = &r->at[0];
    if (line->type != MFI_REDIS_STRING) {
        st = MF_E_NOT_FOUND;
    } else {
        char *copy = mfi_copy_text(allocator, line->text);
        if (copy != NULL) {
            *text = copy;
            *len = line->text.len;
        } else {
            st = MF_E_NOMEM;
        }
    }
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                            mf_line *out, size_t *got, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add_key(&args, key);
    mfi_rs_add_uint(&args, from <= LINE_NUMBER_MAX ? from : LINE_NUMBER_MAX);
    mfi_rs_add_uint(&args, n < MFI_RS_LINES_MAX ? n : MFI_RS_LINES_MAX);
    mf_status st = mfi_rs_run(s, MFI_RS_LINES, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count < 2 || !mf_str_eq(a->items[0].text, MF_STR_LIT("ok")))
        st = mf_fail(err, MF_E_NOT_FOUND, "store: no record %s", key->text);
    for (; st == MF_OK && *got + 2 < a->count && *got < n; ++*got) {
        mf_str line = a->items[2 + *got].text;
        out[*got] = (mf_line){.number = mfi_rs_uint(&a->items[1]) + *got, .text = mfi_copy_text(allocator, line), .len = line.len};
        if (out[*got].text == NULL) {
            st = mf_fail(err, MF_E_NOMEM, "store: no memory to read a log");
            break;
        }
    }
    while (st != MF_OK && *got > 0) {
        --*got;
        mfi_release(allocator, out[*got].text, out[*got].len + 1);
    }
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_read_progress(mf_store *base, const mf_key *key, mf_message **out)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r;
    char name[64];
    int name_len = snprintf(name, sizeof name, MFI_RS_PREFIX "r:%s", key->text);
    mfi_redis_add(rq, MF_STR_LIT("HMGET"), mf_str_of(name, (size_t)name_len), MF_STR_LIT("k"), MF_STR_LIT("pr"));
    mf_status st = mfi_rs_ask(s, rq, &r, NULL);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *fields = &r->at[0];
    *out = NULL;
    if (fields->count != 2 || fields->items[0].type == MFI_REDIS_NIL)
        st = MF_E_NOT_FOUND;
    else if (fields->items[1].text.len > 0)
        st = mfi_message_decode(fields->items[1].text, s->allocator, out, NULL);
    mfi_redis_replies_destroy(r);
    return st;
}
