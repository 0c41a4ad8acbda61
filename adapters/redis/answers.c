/* What comes in on a connection: bytes to answers, answers to the requests that wait for them, in order. */
#include "clock.h"
#include "redis_impl.h"

static mfi_replies *answers_for(mfi_conn *c, mfi_redis_request *rq)
{
    mfi_redis *redis = c->redis;
    if (rq->replies != NULL)
        return rq->replies;
    mfi_replies **spare = rq->ghost ? &redis->trash : &redis->spare;
    mfi_replies *r = *spare;
    *spare = NULL;
    if (r != NULL && !mfi_replies_reset(r, rq->commands)) {
        mfi_redis_replies_destroy(&r->public);
        r = NULL;
    } else if (r == NULL) {
        r = mfi_replies_create(redis->allocator, rq->commands, redis->reply_max);
    }
    rq->replies = r;
    return r;
}

/* Where the next answer to rq goes: in a second sending, each script's load and call answer in turn. */
static mfi_redis_reply *slot_for(mfi_conn *c, mfi_redis_request *rq, mfi_replies *answers)
{
    if (rq->wire == rq->bytes)
        return &answers->slots[rq->answered];
    uint32_t pair = rq->answered / 2, i = 0;
    while (!rq->calls[i].missing || pair-- > 0)
        i++;
    mfi_redis_reply *slot = &answers->slots[rq->calls[i].index];
    /* A load that failed says more than the call after it. */
    return rq->answered % 2 == 1 && slot->type == MFI_REDIS_ERROR ? &c->scrap : slot;
}

/* Which of the scripts that were called does the server not know? */
static bool scripts_missing(mfi_redis_request *rq)
{
    bool any = false;
    for (size_t i = 0; i < rq->call_count; i++) {
        rq->calls[i].missing = mfi_redis_is_error(&rq->replies->slots[rq->calls[i].index], "NOSCRIPT");
        any |= rq->calls[i].missing;
    }
    return any && rq->reloads < 3;
}

static void look_at(mfi_conn *c, const mfi_redis_replies *replies)
{
    for (size_t i = 0; i < replies->count; i++) {
        const mfi_redis_reply *r = &replies->at[i];
        if (r->type != MFI_REDIS_ERROR)
            continue;
        /* A fresh connection may lead to the new primary. Not more than once a second, for it may as well not. */
        if (mfi_redis_is_error(r, "READONLY") && mfi_now_ns(c->redis->clock) - c->up_since >= mf_seconds(1))
            c->renew = true;
    }
}

/* All answers to the first in flight are there. */
static void answered(mfi_conn *c)
{
    mfi_redis_request *rq = mfi_list_pop(&c->flight);
    if (rq->ghost) {
        mfi_redis_finish(c->redis, rq, MF_E_TIMEOUT, NULL);
        return;
    }
    if (rq->call_count > 0 && scripts_missing(rq) && mfi_request_reload(rq)) {
        mfi_list_push_front(&c->queue, rq);
        return;
    }
    mf_error err;
    look_at(c, &rq->replies->public);
    mf_status st = mfi_redis_explain_all(c->redis->text, &rq->replies->public, &err);
    mfi_redis_finish(c->redis, rq, st, st != MF_OK ? &err : NULL);
}

static mf_status greeted(mfi_conn *c, int64_t now, mf_error *err)
{
    mfi_redis_request *rq = mfi_list_pop(&c->flight);
    mf_status st = mfi_greeting_read(c, &rq->replies->public, err);
    mfi_redis_finish(c->redis, rq, st, err);
    if (st != MF_OK)
        return st;
    c->state = CONN_UP;
    c->up_since = c->heard_at = now;
    c->why.status = MF_OK;
    MFI_COUNT(c->redis, connects, 1);
    mfi_redis_changed(c->redis);
    return MF_OK;
}

/* One failure of the parser; a too big answer is the fault of what was asked, and is not asked again. */
static void broken_answer(mfi_conn *c, int64_t now, mf_status st, mf_error *err)
{
    mf_error told;
    mf_fail(&told, st, "%s: %.*s", c->redis->text, (int)sizeof told.text - 200, err->text);
    mfi_redis_request *rq = NULL;
    if (st == MF_E_TOO_BIG && !c->flight.first->internal && c->flight.first != c->cursor)
        rq = mfi_list_pop(&c->flight);
    mfi_conn_drop(c, now, st, &told);
    if (rq != NULL)
        mfi_redis_finish(c->redis, rq, rq->ghost ? MF_E_TIMEOUT : st, &told);
}

static bool unasked(mfi_conn *c, int64_t now)
{
    mf_error err;
    mf_fail(&err, MF_E_MALFORMED, "%s: the server answered what nobody had asked", c->redis->text);
    mfi_conn_drop(c, now, MF_E_MALFORMED, &err);
    return false;
}

/* false: the connection was dropped. */
static bool take_answers(mfi_conn *c, int64_t now)
{
    while (c->flight.first != NULL) {
        mfi_redis_request *rq = c->flight.first;
        mf_error err;
        mfi_replies *answers = answers_for(c, rq);
        mf_status st = answers == NULL ? mf_fail(&err, MF_E_NOMEM, "no memory for an answer") :
                       mfi_parser_next(&c->parser, answers, slot_for(c, rq, answers), &err);
        if (st == MF_E_AGAIN)
            return true;
        if (st != MF_OK) {
            broken_answer(c, now, st, &err);
            return false;
        }
        MFI_COUNT(c->redis, commands, 1);
        if (++rq->answered < rq->expected)
            continue;
        if (rq == c->cursor)
            return unasked(c, now);
        if (c->state == CONN_UP) {
            answered(c);
        } else if ((st = greeted(c, now, &err)) != MF_OK) {
            mfi_conn_drop(c, now, st, &err);
            return false;
        }
    }
    return mfi_parser_has_bytes(&c->parser) ? unasked(c, now) : true;
}

/* A server that closes during the greeting may have said why (its clients are too many, it is in protected mode); one that
 * speaks TLS says nothing. */
static mf_status early_end(mfi_conn *c, mf_status st, mf_error *err)
{
    if (c->state == CONN_GREETING && c->flight.first->answered > 0) {
        mf_status said = mfi_redis_explain(c->redis->text, &c->flight.first->replies->slots[0], err);
        if (said != MF_OK)
            return said;
    }
    if (c->state != CONN_GREETING || c->heard || c->redis->address->tls || (st != MF_E_CLOSED && st != MF_E_IO))
        return st;
    mf_error why = *err;
    return mf_fail(err, MF_E_IO, "%.*s before it said anything; is this a port with TLS (rediss:)?",
                   (int)sizeof why.text - 100, why.text);
}

bool mfi_conn_receive(mfi_conn *c, int64_t now)
{
    for (;;) {
        size_t got;
        mf_error err;
        mf_status st = mfi_link_read(c->link, c->redis->in, MFI_REDIS_OUT, &got, &err);
        if (st == MF_E_AGAIN)
            return true;
        if (st != MF_OK) {
            st = early_end(c, st, &err);
            mfi_conn_drop(c, now, st == MF_E_CLOSED ? MF_E_IO : st, &err);
            return false;
        }
        MFI_COUNT(c->redis, reads, 1);
        MFI_COUNT(c->redis, bytes_in, got);
        if (!c->heard && c->redis->in[0] == 0x15) {     /* an alert */
            mf_fail(&err, MF_E_INVALID, "%s: this port speaks TLS: use rediss:", c->redis->text);
            mfi_conn_drop(c, now, MF_E_INVALID, &err);
            return false;
        }
        c->heard = true;
        c->heard_at = now;
        if (mfi_parser_feed(&c->parser, c->redis->in, got) != MF_OK) {
            mf_fail(&err, MF_E_NOMEM, "%s: no memory for an answer", c->redis->text);
            mfi_conn_drop(c, now, MF_E_NOMEM, &err);
            return false;
        }
        if (!take_answers(c, now))
            return false;
        mfi_parser_trim(&c->parser);
        if (got < MFI_REDIS_OUT)
            return true;
    }
}
