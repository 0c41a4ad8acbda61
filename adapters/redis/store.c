/* The Redis store's object: opening and closing it, its clock, running a script. */
#include "store_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "store_lua.h"

#define CLOCK_GOOD_FOR mf_seconds(1)
#define ARGUMENTS_MAX (1024u * 1024u)    /* of one command, in every Redis */

static void health(mf_store *base, mf_link_health *out)
{
    mfi_redis_health_read(mfi_rs_of(base)->link, out);
}

static const mf_store_ops redis_ops;     /* filled in below the functions it names */

struct mfi_rs *mfi_rs_of(mf_store *base)
{
    assert(base->ops == &redis_ops);     /* the one cast, checked */
    return (struct mfi_rs *)base;
}

mfi_redis *mfi_redis_store_link(mf_store *store)
{
    return mfi_rs_of(store)->link;
}

void mfi_redis_store_carry(mf_store *store, const mfi_redis_courier *courier)
{
    mfi_rs_of(store)->courier = *courier;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* What the store's users may expect: that it did not happen now, and may be tried again. */
static mf_status passing(mf_status st, mf_error *err)
{
    if (st != MF_E_TIMEOUT && st != MF_E_AGAIN && st != MF_E_CLOSED && st != MF_E_FULL && st != MF_E_STATE)
        return st;
    if (err != NULL)
        err->status = MF_E_IO;
    return MF_E_IO;
}

mf_status mfi_rs_damaged(const struct mfi_rs *s, mf_error *err)
{
    return mf_fail(err, MF_E_IO, "%s: the store is damaged: somebody else writes under %s*", mfi_redis_text(s->link),
                   MFI_RS_PREFIX);
}

/* Everything here may be sent again: it reads, or is done once, or is as good done twice. */
mf_status mfi_rs_ask(struct mfi_rs *s, mfi_redis_request *rq, mfi_redis_replies **out, mf_error *err)
{
    mf_status st = mfi_redis_call(s->link, rq, MFI_REDIS_HOW(.within = s->timeout, .idempotent = true), out, err);
    if (st == MF_OK)
        return MF_OK;
    mfi_redis_replies_destroy(*out);
    *out = NULL;
    return passing(st, err);
}

mf_status mfi_rs_run(struct mfi_rs *s, mfi_rs_script script, struct mfi_rs_args *args, mfi_redis_replies **out, mf_error *err)
{
    *out = NULL;
    /* Beyond that Redis closes the connection: three stand before them. */
    bool too_many = args->count > ARGUMENTS_MAX - 3;
    mf_status st = args->st == MF_OK && too_many ? MF_E_TOO_BIG : args->st;
    mfi_redis_request *rq = NULL;
    if (st == MF_OK) {
        rq = mfi_redis_request_create(s->link);
        mfi_redis_add_script(rq, s->scripts[script], 0, args->count, args->at);
    }
    mfi_rs_args_fini(args);
    bool sent = st == MF_OK;
    if (sent)
        st = mfi_rs_ask(s, rq, out, err);
    else
        mf_fail(err, st, "store: %s", st == MF_E_NOMEM ? "no memory" : too_many ? "too much for one batch" : mf_status_text(st));
    /* One in doubt may still be on its way, and would meet another's answer there: its slot is not used again. */
    if (args->once && (st == MF_OK || !sent))
        mfi_rs_slot_give(s, &args->slot);
    if (st == MF_OK && (*out)->at[0].type != MFI_REDIS_ARRAY) {
        mfi_redis_replies_destroy(*out);
        *out = NULL;
        return mfi_rs_damaged(s, err);
    }
    return st;
}

int64_t mfi_rs_int(const mfi_redis_reply *r)
{
    return r->type == MFI_REDIS_INTEGER ? r->integer : r->text.at != NULL ? strtoll(r->text.at, NULL, 10) : 0;
}

uint64_t mfi_rs_uint(const mfi_redis_reply *r)
{
    return r->type == MFI_REDIS_INTEGER ? (uint64_t)r->integer : r->text.at != NULL ? strtoull(r->text.at, NULL, 10) : 0;
}

int64_t mfi_rs_time(const mfi_redis_reply *r)
{
    return r->text.len == 0 ? INT64_MAX : mfi_rs_int(r);
}

void mfi_rs_key(const mfi_redis_reply *r, mf_key *out)
{
    memset(out, 0, sizeof *out);
    if (r->text.len < sizeof out->text && r->text.len > 0)
        memcpy(out->text, r->text.at, r->text.len);
}

/* ---- the clock -------------------------------------------------------------------------------------------------- */

/* Asked for once a second at most. */
static int64_t now_ms(mf_store *base)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_redis_replies *r = NULL;
    int64_t now = mfi_wall_ms(s->clock);      /* near enough while the server cannot be asked */
    if (s->clock != NULL)
        return now;
    int64_t here_ns = mfi_now_ns(NULL);
    pthread_mutex_lock(&s->lock);
    struct mfi_server_clock known = s->server_clock;
    pthread_mutex_unlock(&s->lock);
    if (known.ns != 0 && here_ns - known.ns < CLOCK_GOOD_FOR)
        return mfi_server_clock_us(&known, here_ns) / 1000;
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_add(rq, MF_STR_LIT("TIME"));
    if (mfi_rs_ask(s, rq, &r, NULL) == MF_OK && r->at[0].type == MFI_REDIS_ARRAY && r->at[0].count == 2) {
        int64_t us = mfi_rs_int(&r->at[0].items[0]) * 1000000 + mfi_rs_int(&r->at[0].items[1]);
        pthread_mutex_lock(&s->lock);
        mfi_server_clock_heard(&s->server_clock, us, here_ns, mfi_now_ns(NULL));
        now = s->server_clock.us / 1000;
        pthread_mutex_unlock(&s->lock);
    }
    mfi_redis_replies_destroy(r);
    return now;
}

static int64_t lease_ms(mf_store *base)
{
    return mfi_rs_of(base)->lease_ms;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------- */

/* Ids and tokens begin at a random number, so that one from before the server was emptied is nobody's afterwards. */
/* NOPERM names no key, since that might be a secret; which are ours is none. */
static mf_status explain_keys(mf_status st, mf_error *err)
{
    if (err == NULL || strstr(err->text, "NOPERM") == NULL)
        return st;
    mf_error why = *err;
    return mf_fail(err, st, "%.300s: where flows are kept the user needs the keys ~" MFI_RS_PREFIX "* (or store= names another place)",
                   why.text);
}

static mf_status prepare(struct mfi_rs *s, mf_error *err)
{
    uint64_t random[3];
    mf_status st = mfi_random_fill(NULL, random, sizeof random);
    if (st != MF_OK)
        return mf_fail(err, st, "store: no random bytes");
    snprintf(s->caller, sizeof s->caller, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
    char first[24];
    int len = snprintf(first, sizeof first, "%llu", (unsigned long long)(random[2] >> 16));
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT(MFI_RS_PREFIX "ids"), mf_str_of(first, (size_t)len), MF_STR_LIT("NX"));
    mfi_redis_add(rq, MF_STR_LIT("SET"), MF_STR_LIT(MFI_RS_PREFIX "tokens"), mf_str_of(first, (size_t)len), MF_STR_LIT("NX"));
    mfi_redis_add(rq, MF_STR_LIT("GET"), MF_STR_LIT(MFI_RS_PREFIX "x"));
    mfi_redis_replies *r;
    st = mfi_rs_ask(s, rq, &r, err);
    if (st == MF_OK)
        atomic_store_explicit(&s->commits_seen, mfi_rs_uint(&r->at[2]), memory_order_relaxed);
    mfi_redis_replies_destroy(r);
    return st == MF_E_INVALID ? explain_keys(st, err) : st;
}

static mf_status add_scripts(struct mfi_rs *s, mf_error *err)
{
    for (size_t i = 0; i < MFI_RS_SCRIPTS; i++) {
        s->scripts[i] = mfi_redis_script_add(s->link, mfi_rs_lua(i));
        if (s->scripts[i] == NULL)
            return mf_fail(err, MF_E_NOMEM, "store: no memory for its scripts");
    }
    return MF_OK;
}

static void destroy(mf_store *base)
{
    struct mfi_rs *s = mfi_rs_of(base);
    mfi_rs_watch_fini(s);
    mfi_redis_destroy(s->link, 0);
    pthread_cond_destroy(&s->listen);
    pthread_cond_destroy(&s->listener_ended);
    pthread_mutex_destroy(&s->listener_lock);
    pthread_mutex_destroy(&s->lock);
    mfi_release(s->allocator, s->slots, s->slot_capacity * sizeof *s->slots);
    mf_delete(s->allocator, s);
}

static void init_locks(struct mfi_rs *s)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->listener_lock, NULL);
    pthread_cond_init(&s->listener_ended, &attr);
    pthread_cond_init(&s->listen, &attr);
    pthread_condattr_destroy(&attr);
}

static void observe_link(void *user, bool up, const mf_error *why)
{
    struct mfi_rs *s = user;
    char line[MF_ERROR_TEXT_MAX + 32];
    int len = up ? snprintf(line, sizeof line, "the store is connected")
                 : snprintf(line, sizeof line, "the store is not connected: %s", why != NULL ? why->text : "it was lost");
    s->log(s->log_user, up ? MF_LOG_INFO : MF_LOG_WARN, mf_str_of(line, len < (int)sizeof line ? (size_t)len : sizeof line - 1));
}

mf_status mfi_redis_store_create(const mfi_redis_store_options *o, mf_store **out, mf_error *err)
{
    struct mfi_rs *s = mf_new(o->allocator, struct mfi_rs);
    if (s == NULL)
        return mf_fail(err, MF_E_NOMEM, "store: out of memory");
    s->base = (mf_store){.ops = &redis_ops, .allocator = o->allocator};
    s->allocator = o->allocator;
    s->clock = o->clock != mf_clock_default() ? o->clock : NULL;
    s->timeout = o->timeout;
    s->poll = o->poll > 0 ? o->poll : mf_milliseconds(MFI_RS_POLL_MS);
    s->lease_ms = o->lease_ms == 0 ? 30000 : o->lease_ms > 0 ? o->lease_ms : 0;
    s->log = o->log;
    s->log_user = o->log_user;
    init_locks(s);
    mfi_watchers_init(&s->watchers, s->allocator);
    mf_status st = mfi_redis_create(&(mfi_redis_options){.address = o->address, .name = "mageflow-store",
                                                         .observe = o->log != NULL ? observe_link : NULL, .user = s},
                                    &s->link, err);
    if (st == MF_OK)
        st = add_scripts(s, err);
    if (st == MF_OK)
        st = mfi_redis_wait_up(s->link, o->timeout > 0 ? o->timeout : mf_seconds(10), err);
    if (st == MF_OK)
        st = prepare(s, err);
    if (st != MF_OK) {
        destroy(&s->base);
        return st;
    }
    *out = &s->base;
    return MF_OK;
}

static const mf_store_ops redis_ops = {
    .struct_size = sizeof(mf_store_ops), .name = "redis", .durable = true, .shared = true,
    .destroy = destroy, .watch = mfi_rs_watch, .unwatch = mfi_rs_unwatch, .now_ms = now_ms, .load = mfi_rs_load,
    .items = mfi_rs_items, .outcomes = mfi_rs_outcomes, .commit = mfi_rs_commit, .claim = mfi_rs_claim, .take = mfi_rs_take,
    .lease_ms = lease_ms, .renew = mfi_rs_renew, .give_back = mfi_rs_give_back, .outbox = mfi_rs_outbox,
    .expired = mfi_rs_expired, .list = mfi_rs_list, .notes = mfi_rs_notes, .read_note = mfi_rs_read_note,
    .load_counts = mfi_rs_load_counts, .log = mfi_rs_log, .read_log = mfi_rs_read_log, .read_lines = mfi_rs_read_lines,
    .progress = mfi_rs_progress, .read_progress = mfi_rs_read_progress, .health = health, .doctor = mfi_rs_doctor,
};
