/* Ending what waits in the server, without losing what it may be about to answer: CLIENT UNBLOCK over the other connection,
 * and where that does not help, closing this one. */
#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "redis_impl.h"

struct unblock {
    mfi_conn *conn;
    uint64_t  number;
};

static void unblocked(void *user, mf_status st, mfi_redis_replies *replies, const mf_error *err)
{
    struct unblock *u = user;
    mfi_conn *c = u->conn;
    (void)err;
    if (c->state == CONN_UP && c->number == u->number && c->flight.first != NULL && c->cut_at != INT64_MAX) {
        int64_t now = mfi_now_ns(c->redis->clock);
        if (st != MF_OK)
            c->cut_at = now;                             /* not allowed to, or not connected: close it */
        else if (replies->at[0].integer == 0)
            c->unblock_at = now + mf_milliseconds(5);    /* the command has not arrived yet */
    }
    mf_delete(c->redis->allocator, u);
}

static void send_unblock(mfi_conn *c, int64_t now)
{
    mfi_redis *redis = c->redis;
    char id[24];
    int digits = snprintf(id, sizeof id, "%lld", (long long)c->client_id);
    c->unblock_at = INT64_MAX;
    if (redis->main.state != CONN_UP && c->client_id != 0) {
        c->unblock_at = now + mf_milliseconds(5);            /* it is being connected; until cut_at there is time */
        return;
    }
    struct unblock *u = c->client_id != 0 ? mf_new(redis->allocator, struct unblock) : NULL;
    mfi_redis_request *rq = u != NULL ? mfi_redis_request_create(redis) : NULL;
    mfi_redis_add(rq, MF_STR_LIT("CLIENT"), MF_STR_LIT("UNBLOCK"), mf_str_of(id, (size_t)digits));
    if (rq == NULL || rq->failed) {
        mfi_redis_request_destroy(rq);
        if (u != NULL)
            mf_delete(redis->allocator, u);
        c->cut_at = now;
        return;
    }
    *u = (struct unblock){c, c->number};
    rq->internal = true;
    rq->done = unblocked;
    rq->user = u;
    rq->deadline = c->cut_at;
    mfi_request_rewind(rq);
    mfi_conn_add(&redis->main, rq);
}

void mfi_conn_interrupt(mfi_conn *c, int64_t now)
{
    mf_error err;
    mf_fail(&err, MF_E_CANCELED, "%s: interrupted; not sent", c->redis->text);
    mfi_request_list waiting;
    mfi_list_init(&waiting);
    mfi_list_append(&waiting, &c->queue);
    if (c->flight.first != NULL && c->state == CONN_UP && c->cut_at == INT64_MAX) {
        mf_duration patience = c->redis->answer_timeout < mf_seconds(2) ? c->redis->answer_timeout : mf_seconds(2);
        c->cut_at = now + patience;
        c->unblock_at = now;
    }
    mfi_conn_end(c, &waiting, MF_E_CANCELED, &err);
}

bool mfi_conn_interrupting(mfi_conn *c, int64_t now)
{
    if (c->flight.first == NULL)
        c->cut_at = c->unblock_at = INT64_MAX;
    if (now >= c->unblock_at)
        send_unblock(c, now);
    if (now < c->cut_at)
        return true;
    mf_error err;
    mf_fail(&err, MF_E_CANCELED, "%s: interrupted; not known whether the server had something for it", c->redis->text);
    mfi_conn_drop(c, now, MF_E_CANCELED, &err);
    return false;
}
