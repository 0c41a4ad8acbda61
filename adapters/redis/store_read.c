/* Records, items, outcomes, lists. */
#include "store_impl.h"

#include <stdio.h>

#include "record.h"
#include "record_codec.h"

/* "mageflow:<what>:<key>" */
static mf_str name_of(char *at, size_t size, const char *what, const mf_key *key)
{
    int len = snprintf(at, size, MFI_RS_PREFIX "%s:%s", what, key->text);
    return mf_str_of(at, (size_t)len);
}

/* sp, st, v, s, ls, sm, cm: what the state's bytes say, but for what the server changes without them. */
static mf_status read_record(const struct mfi_rs *s, const mfi_redis_reply *r, mf_record *out, mf_error *err)
{
    *out = (mf_record){0};
    if (r->type != MFI_REDIS_ARRAY || r->count != 7)
        return mfi_rs_damaged(s, err);
    if (r->items[0].type == MFI_REDIS_NIL)
        return MF_OK;
    mf_status st = mfi_spec_decode(r->items[0].text, s->allocator, &out->spec, err);
    if (st != MF_OK)
        return st;
    st = mfi_state_decode(r->items[1].text, s->allocator, &out->state, err);
    if (st != MF_OK) {
        mf_spec_unref(out->spec);
        *out = (mf_record){0};
        return st;
    }
    out->state.version = mfi_rs_uint(&r->items[2]);
    out->state.status = (mf_signature_status)mfi_rs_uint(&r->items[3]);
    out->state.last_status = (mf_signature_status)mfi_rs_uint(&r->items[4]);
    out->state.started_ms = mfi_rs_int(&r->items[5]);
    out->state.created_ms = mfi_rs_int(&r->items[6]);
    return MF_OK;
}

mf_status mfi_rs_load(mf_store *base, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r;
    if (n == 0) {
        mfi_redis_request_destroy(rq);
        return MF_OK;
    }
    for (size_t i = 0; i < n; i++) {
        char name[64];
        mfi_redis_add(rq, MF_STR_LIT("HMGET"), name_of(name, sizeof name, "r", &keys[i]), MF_STR_LIT("sp"), MF_STR_LIT("st"),
                      MF_STR_LIT("v"), MF_STR_LIT("s"), MF_STR_LIT("ls"), MF_STR_LIT("sm"), MF_STR_LIT("cm"));
    }
    mf_status st = mfi_rs_ask(s, rq, &r, err);
    if (st != MF_OK)
        return st;
    size_t i = 0;
    for (; st == MF_OK && i < n; i += st == MF_OK)
        st = read_record(s, &r->at[i], &out[i], err);
    while (st != MF_OK && i > 0)
        mf_record_release(&out[--i]);
    mfi_redis_replies_destroy(r);
    return st;
}

static mf_status no_record(const mf_key *key, mf_error *err)
{
    return mf_fail(err, MF_E_NOT_FOUND, "store: no record %s", key->text);
}

static mf_status read_item(const struct mfi_rs *s, const mfi_redis_reply *r, mf_item *out, mf_error *err)
{
    mf_entry entry;
    mf_status st = mfi_entry_decode(r->text, s->allocator, &entry, err);
    if (st == MF_OK)
        *out = (mf_item){entry.spec, entry.message};
    return st;
}

mf_status mfi_rs_items(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r;
    char record[64], items[64], first[24], last[24];
    if (from > MFI_INDEX_MAX)
        from = (uint64_t)MFI_INDEX_MAX + 1;
    if (n > MFI_INDEX_MAX)
        n = MFI_INDEX_MAX;
    int first_len = snprintf(first, sizeof first, "%llu", (unsigned long long)from);
    int last_len = snprintf(last, sizeof last, "%llu", (unsigned long long)(from + (n > 0 ? n : 1) - 1));
    mfi_redis_add(rq, MF_STR_LIT("EXISTS"), name_of(record, sizeof record, "r", key));
    mfi_redis_add(rq, MF_STR_LIT("LRANGE"), name_of(items, sizeof items, "i", key), mf_str_of(first, (size_t)first_len),
                  mf_str_of(last, (size_t)last_len));
    mf_status st = mfi_rs_ask(s, rq, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *list = &r->at[1];
    if (r->at[0].integer == 0)
        st = no_record(key, err);
    size_t count = list->count < n ? list->count : n, i = 0;
    for (; st == MF_OK && i < count; i += st == MF_OK)
        st = read_item(s, &list->items[i], &out[i], err);
    for (size_t k = 0; st != MF_OK && k < i; k++)
        mfi_item_unref(&out[k]);
    *got = st == MF_OK ? i : 0;
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_outcomes(mf_store *base, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add_key(&args, key);
    mfi_rs_add_uint(&args, from <= MFI_INDEX_MAX ? from : (uint64_t)MFI_INDEX_MAX + 1);
    mfi_rs_add_uint(&args, n <= MFI_INDEX_MAX ? n : MFI_INDEX_MAX);
    mf_status st = mfi_rs_run(s, MFI_RS_OUTCOMES, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == 0 || !mf_str_eq(a->items[0].text, MF_STR_LIT("ok")))
        st = no_record(key, err);
    size_t i = 0;
    for (; st == MF_OK && i < n && i + 1 < a->count; i += st == MF_OK) {
        out[i] = (mf_outcome){.index = from + i, .status = MF_STATUS_PENDING};
        if (a->items[i + 1].text.len > 0)
            st = mfi_outcome_decode(a->items[i + 1].text, s->allocator, &out[i], err);
        out[i].index = from + i;
    }
    for (size_t k = 0; st != MF_OK && k < i; k++)
        mf_message_unref(out[k].value);
    *got = st == MF_OK ? i : 0;
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_list(mf_store *base, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                      mf_error *err)
{
    static const char *const prefixes[] = {[MF_KIND_NONE] = "", [MF_KIND_TASK] = "task-", [MF_KIND_CHAIN] = "chain-",
                                           [MF_KIND_SWARM] = "swarm-"};
    static const mf_key none;
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, mf_cstr(filter->kind <= MF_KIND_SWARM ? prefixes[filter->kind] : "-"));
    mfi_rs_add_uint(&args, filter->statuses);
    mfi_rs_add_uint(&args, filter->roots);
    mfi_rs_add_key(&args, after != NULL ? after : &none);
    mfi_rs_add_uint(&args, max);
    mf_status st = mfi_rs_run(s, MFI_RS_LIST, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == 0 || !mf_str_eq(a->items[0].text, MF_STR_LIT("ok")))
        st = mf_fail(err, MF_E_NOT_FOUND, "store: the record %s is gone; begin the list anew", after != NULL ? after->text : "");
    for (size_t i = 1; st == MF_OK && i < a->count && *got < max; i++)
        mfi_rs_key(&a->items[i], &out[(*got)++]);
    mfi_redis_replies_destroy(r);
    return st;
}

void mfi_rs_load_counts(mf_store *base, size_t *waiting, size_t *claimed)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r;
    *waiting = *claimed = 0;
    /* One transaction, so that a message is counted once. */
    mfi_redis_add(rq, MF_STR_LIT("MULTI"));
    mfi_redis_add(rq, MF_STR_LIT("HLEN"), MF_STR_LIT(MFI_RS_PREFIX "m"));
    mfi_redis_add(rq, MF_STR_LIT("HLEN"), MF_STR_LIT(MFI_RS_PREFIX "t"));
    mfi_redis_add(rq, MF_STR_LIT("HLEN"), MF_STR_LIT(MFI_RS_PREFIX "c"));
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    if (mfi_rs_ask(s, rq, &r, NULL) != MF_OK)
        return;
    const mfi_redis_reply *counts = &r->at[4];
    if (counts->count == 3) {
        *waiting = (size_t)(counts->items[0].integer - counts->items[1].integer);
        *claimed = (size_t)counts->items[2].integer;
    }
    mfi_redis_replies_destroy(r);
}
