/* Who may run what, and for how long: see lua/judge.lua for the rules. */
#include "store_impl.h"

#include "record_codec.h"

static mf_signature_status word(const mfi_redis_reply *r)
{
    uint64_t n = mfi_rs_uint(r);
    return n <= MF_STATUS_CANCELED ? (mf_signature_status)n : MF_STATUS_PENDING;
}

/* Token, status, head, above, blocker. */
static void read_claim(const mfi_redis_reply *r, mf_claim *claim)
{
    claim->token = mfi_rs_uint(&r[0]);
    claim->status = (mf_status)mfi_rs_int(&r[1]);
    claim->head = word(&r[2]);
    claim->above = word(&r[3]);
    mfi_rs_key(&r[4], &claim->blocker);
}

mf_status mfi_rs_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_once(&args, s);
    mfi_rs_add_uint(&args, n);
    for (size_t i = 0; i < n; i++) {
        mfi_rs_add_key(&args, &claims[i].unit.key);
        mfi_rs_add_uint(&args, claims[i].unit.index);
        mfi_rs_add_uint(&args, claims[i].unit.epoch);
        mfi_rs_add_uint(&args, claims[i].attempt);
    }
    atomic_store_explicit(&s->claims, true, memory_order_relaxed);
    mf_status st = mfi_rs_run(s, MFI_RS_CLAIM, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == 1 + 5 * n) {
        for (size_t i = 0; i < n; i++)
            read_claim(&a->items[1 + 5 * i], &claims[i]);
        mfi_watchers_tell_ready(&s->watchers, (size_t)mfi_rs_uint(&a->items[0]));
    } else {
        st = mfi_rs_damaged(s, err);
    }
    mfi_redis_replies_destroy(r);
    return st;
}

/* Id, due, deaths, bytes. */
static mf_status read_entry(const struct mfi_rs *s, const mfi_redis_reply *r, mf_entry *out, mf_error *err)
{
    mf_status st = mfi_entry_decode(r[3].text, s->allocator, out, err);
    if (st != MF_OK)
        return st;
    out->id = mfi_rs_uint(&r[0]);
    out->due_ms = mfi_rs_int(&r[1]);
    out->deaths = (uint32_t)mfi_rs_uint(&r[2]);
    memset(&out->parked, 0, sizeof out->parked);
    return MF_OK;
}

/* What was taken and could not be read out is due again at once. */
static void untake(struct mfi_rs *s, const mfi_redis_reply *a, mf_taken *out, size_t read)
{
    for (size_t i = 0; i < read; i++)
        mf_entry_release(&out[i].entry);
    size_t n = (a->count - 1) / 9;
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, MF_STR_LIT("back"));
    mfi_rs_add_uint(&args, n);
    for (size_t i = 0; i < n; i++)
        mfi_rs_add(&args, a->items[1 + 9 * i].text);
    /* If that fails too, their leases end. */
    if (mfi_rs_run(s, MFI_RS_LEASE, &args, &r, NULL) == MF_OK)
        mfi_redis_replies_destroy(r);
}

mf_status mfi_rs_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_once(&args, s);
    mfi_rs_add_uint(&args, max);
    mf_status st = mfi_rs_run(s, MFI_RS_TAKE, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == 0 || (a->count - 1) % 9 != 0 || (a->count - 1) / 9 > max) {
        mfi_redis_replies_destroy(r);
        return mfi_rs_damaged(s, err);
    }
    size_t n = 0;
    for (; n < (a->count - 1) / 9; n++) {
        const mfi_redis_reply *one = &a->items[1 + 9 * n];
        st = read_entry(s, one + 5, &out[n].entry, err);
        if (st != MF_OK)
            break;
        out[n].claim = (mf_claim){.unit = out[n].entry.unit, .attempt = out[n].entry.attempt};
        read_claim(one, &out[n].claim);
    }
    if (st == MF_OK) {
        *got = n;
        *next_due_ms = mfi_rs_time(&a->items[0]);
    } else {
        untake(s, a, out, n);
    }
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add_uint(&args, max);
    mf_status st = mfi_rs_run(s, MFI_RS_OUTBOX, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == 0 || (a->count - 1) % 4 != 0 || (a->count - 1) / 4 > max) {
        mfi_redis_replies_destroy(r);
        return mfi_rs_damaged(s, err);
    }
    size_t n = 0;
    for (; st == MF_OK && n < (a->count - 1) / 4; n += st == MF_OK)
        st = read_entry(s, &a->items[1 + 4 * n], &out[n], err);
    if (st == MF_OK) {
        *got = n;
        *next_due_ms = mfi_rs_time(&a->items[0]);
    }
    for (size_t i = 0; st != MF_OK && i < n; i++)     /* they come again by themselves */
        mf_entry_release(&out[i]);
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, MF_STR_LIT("renew"));
    mfi_rs_add_uint(&args, n);
    for (size_t i = 0; i < n; i++)
        mfi_rs_add_uint(&args, tokens[i]);
    mf_status st = mfi_rs_run(s, MFI_RS_LEASE, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count == n + 1) {
        for (size_t i = 0; i < n; i++)
            tokens[i] = mfi_rs_uint(&a->items[1 + i]);
        mfi_watchers_tell_ready(&s->watchers, (size_t)mfi_rs_uint(&a->items[0]));
    } else {
        st = mfi_rs_damaged(s, err);
    }
    mfi_redis_replies_destroy(r);
    return st;
}

mf_status mfi_rs_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add(&args, MF_STR_LIT("back"));
    mfi_rs_add_uint(&args, n);
    for (size_t i = 0; i < n; i++)
        mfi_rs_add_uint(&args, tokens[i]);
    mf_status st = mfi_rs_run(s, MFI_RS_LEASE, &args, &r, err);
    if (st != MF_OK)
        return st;
    if (r->at[0].count > 0)
        mfi_watchers_tell_ready(&s->watchers, (size_t)mfi_rs_uint(&r->at[0].items[0]));
    mfi_redis_replies_destroy(r);
    return MF_OK;
}

mf_status mfi_rs_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r;
    mfi_rs_args_init(&args, s);
    mfi_rs_add_uint(&args, max);
    mf_status st = mfi_rs_run(s, MFI_RS_EXPIRED, &args, &r, err);
    if (st != MF_OK)
        return st;
    const mfi_redis_reply *a = &r->at[0];
    if (a->count >= 2 && a->count - 2 <= max) {
        for (; *got < a->count - 2; (*got)++)
            mfi_rs_key(&a->items[2 + *got], &out[*got]);
        *next_ms = mfi_rs_time(&a->items[1]);
        mfi_watchers_tell_ready(&s->watchers, (size_t)mfi_rs_uint(&a->items[0]));
    } else {
        st = mfi_rs_damaged(s, err);
    }
    mfi_redis_replies_destroy(r);
    return st;
}
