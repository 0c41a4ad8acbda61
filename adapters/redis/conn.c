/* One connection, driven by the I/O thread: what waits (queue), what is under way (flight), the bytes between.
 *
 *   queue ──fill──▶ flight ──answers──▶ done            drop: idempotent ones go back to the front of the queue, and so do
 *     ▲               │                                 those of which the server cannot have seen a byte; the others end
 *     └─────drop──────┘                                 with MF_E_IO, for nobody knows
 *
 * A request whose time is over while it is in flight is told so and stays there as a ghost, for its answer will come and must
 * not be taken for the next one's. */
#include <assert.h>

#include "clock.h"
#include "memory.h"
#include "redis_impl.h"

mf_status mfi_conn_init(mfi_conn *c, mfi_redis *redis, bool blocking, mf_error *err)
{
    const mfi_redis_address *a = redis->address;
    memset(c, 0, sizeof *c);
    c->redis = redis;
    c->blocking = blocking;
    c->state = blocking ? CONN_IDLE : CONN_WAITING;
    c->retry = (mfi_retry){mf_milliseconds(50), mf_seconds(2), 0};
    c->next_deadline = c->cut_at = c->unblock_at = INT64_MAX;
    mfi_list_init(&c->queue);
    mfi_list_init(&c->flight);
    c->out = mfi_alloc(redis->allocator, MFI_REDIS_OUT);
    if (c->out == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: out of memory", redis->text);
    if (!blocking)
        mf_fail(&c->why, MF_E_AGAIN, "%s: still connecting", redis->text);
    return mfi_link_create(&(mfi_link_options){
        .allocator = redis->allocator, .clock = redis->clock, .what = redis->text, .host = a->host, .port = a->port,
        .socket = a->socket, .tls = a->tls, .ca = a->ca, .cert = a->cert, .key = a->key,
    }, &c->link, err);
}

static void end_parsing(mfi_conn *c)
{
    if (c->parsing)
        mfi_parser_fini(&c->parser);
    c->parsing = false;
}

void mfi_conn_fini(mfi_conn *c)
{
    if (c->redis == NULL)
        return;
    assert(c->queue.first == NULL && c->flight.first == NULL);
    end_parsing(c);
    mfi_link_destroy(c->link);
    mfi_release(c->redis->allocator, c->out, MFI_REDIS_OUT);
}

void mfi_conn_add(mfi_conn *c, mfi_redis_request *rq)
{
    mfi_list_push(&c->queue, rq);
    if (rq->deadline < c->next_deadline)
        c->next_deadline = rq->deadline;
    if (c->state == CONN_IDLE) {
        c->state = CONN_WAITING;
        c->retry_at = 0;
    }
}

bool mfi_conn_busy(const mfi_conn *c)
{
    if (c->queue.first != NULL)
        return true;
    for (const mfi_redis_request *rq = c->flight.first; rq != NULL; rq = rq->next)
        if (!rq->ghost && !rq->internal)
            return true;
    return false;
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

void mfi_conn_end(mfi_conn *c, mfi_request_list *list, mf_status st, const mf_error *err)
{
    mfi_redis_request *rq;
    while ((rq = mfi_list_pop(list)) != NULL)
        mfi_redis_finish(c->redis, rq, st, err);
}

void mfi_conn_end_all(mfi_conn *c, mf_status st, const mf_error *err)
{
    mfi_request_list all;
    mfi_list_init(&all);
    mfi_list_append(&all, &c->flight);
    mfi_list_append(&all, &c->queue);
    c->cursor = NULL;
    c->next_deadline = INT64_MAX;
    mfi_conn_end(c, &all, st, err);
}

/* The blocking one connects when there is something for it. */
static void rest_if_idle(mfi_conn *c)
{
    if (!c->blocking || c->state != CONN_WAITING || c->queue.first != NULL)
        return;
    c->state = CONN_IDLE;
    c->why.status = MF_OK;
}

/* An error text that begins with another one's. */
static mf_status because(mf_error *out, mf_status st, const mf_error *why, const char *then)
{
    return mf_fail(out, st, "%.*s; %s", (int)sizeof out->text - 120, why->text, then);
}

/* What was in flight: back to the front of the queue, or ended. */
static void settle_flight(mfi_conn *c, bool over, mfi_request_list *ended)
{
    mfi_request_list back;
    mfi_list_init(&back);
    mfi_redis_request *rq;
    while ((rq = mfi_list_pop(&c->flight)) != NULL) {
        bool unseen = rq->starts_at >= c->written;
        if (rq->internal || rq->ghost || over || !(unseen || (rq->idempotent && rq->sends < MFI_REDIS_SENDS))) {
            mfi_list_push(ended, rq);
            continue;
        }
        if (!unseen)
            MFI_COUNT(c->redis, resent, 1);
        mfi_request_rewind(rq);
        mfi_list_push(&back, rq);
    }
    mfi_list_append(&back, &c->queue);
    mfi_list_append(&c->queue, &back);
}

void mfi_conn_drop(mfi_conn *c, int64_t now, mf_status st, const mf_error *err)
{
    mfi_redis *redis = c->redis;
    bool was_up = c->state == CONN_UP, refused = st == MF_E_INVALID || st == MF_E_UNSUPPORTED;
    bool over = st == MF_E_CANCELED || st == MF_E_CLOSED;      /* on purpose */
    mf_error doubt, why = *err;
    why.status = st;
    mfi_link_close(c->link);
    end_parsing(c);
    mfi_request_list ended;
    mfi_list_init(&ended);
    settle_flight(c, over, &ended);
    c->cursor = NULL;
    c->cut_at = c->unblock_at = INT64_MAX;
    if (!over)
        c->why = why;
    if (was_up) {
        MFI_COUNT(redis, drops, 1);
        if (now - c->up_since >= mf_seconds(1))
            mfi_retry_reset(&c->retry);
    }
    c->state = CONN_WAITING;
    if (c->renew)
        c->retry_at = now;
    else if (st == MF_E_AGAIN)      /* loading: it is there, and may be ready at any moment */
        c->retry_at = now + mfi_retry_next(&(mfi_retry){mf_milliseconds(100), mf_milliseconds(100), 0}, redis->random);
    else
        c->retry_at = now + mfi_retry_next(&c->retry, redis->random);
    c->renew = false;
    rest_if_idle(c);
    mfi_redis_changed(redis);
    if (over)
        doubt = why;
    else
        because(&doubt, MF_E_IO, &why, "sent and not answered: not known whether it was done");
    mfi_conn_end(c, &ended, doubt.status, &doubt);
    if (refused) {
        mfi_request_list waiting;
        mfi_list_init(&waiting);
        mfi_list_append(&waiting, &c->queue);
        mfi_conn_end(c, &waiting, st, &why);
    }
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static void expire_queue(mfi_conn *c, int64_t now, mfi_request_list *over)
{
    mfi_request_list rest;
    mfi_list_init(&rest);
    mfi_redis_request *rq;
    while ((rq = mfi_list_pop(&c->queue)) != NULL) {
        mfi_list_push(rq->deadline <= now ? over : &rest, rq);
        if (rq->deadline > now && rq->deadline < c->next_deadline)
            c->next_deadline = rq->deadline;
    }
    mfi_list_append(&c->queue, &rest);
}

static void expire(mfi_conn *c, int64_t now)
{
    if (now < c->next_deadline)
        return;
    mfi_request_list over;
    mfi_list_init(&over);
    c->next_deadline = INT64_MAX;
    expire_queue(c, now, &over);

    mf_error err;
    mf_fail(&err, MF_E_TIMEOUT, "%s: sent and not answered in time: not known whether it was done", c->redis->text);
    for (mfi_redis_request *rq = c->flight.first; rq != NULL; rq = rq->next) {
        if (rq->ghost || rq->internal)
            continue;
        if (rq->deadline > now) {
            if (rq->deadline < c->next_deadline)
                c->next_deadline = rq->deadline;
            continue;
        }
        rq->ghost = true;
        atomic_fetch_sub_explicit(&c->redis->outstanding, 1, memory_order_relaxed);
        MFI_COUNT(c->redis, requests, 1);
        if (rq->done != NULL)
            rq->done(rq->user, MF_E_TIMEOUT, NULL, &err);
    }
    if (over.first == NULL)
        return;
    if (c->state == CONN_UP)
        mf_fail(&err, MF_E_TIMEOUT, "%s: not sent in time: the server is slower than what is asked of it", c->redis->text);
    else if (c->why.status == MF_OK)
        mf_fail(&err, MF_E_TIMEOUT, "%s: not sent in time: still connecting", c->redis->text);
    else
        because(&err, MF_E_TIMEOUT, &c->why, "not sent in time");
    mfi_conn_end(c, &over, MF_E_TIMEOUT, &err);
}

/* When a server that says nothing counts as dead. */
static int64_t dead_at(const mfi_conn *c)
{
    if (c->flight.first == NULL)
        return INT64_MAX;
    mf_duration patience = mfi_deadline_ns(c->redis->answer_timeout, c->flight.first->blocks);
    return mfi_deadline_ns(c->heard_at, patience);
}

int64_t mfi_conn_due(const mfi_conn *c)
{
    int64_t due = c->next_deadline;
#define EARLIER(at) due = (at) < due ? (at) : due
    switch (c->state) {
    case CONN_WAITING:  EARLIER(c->retry_at); break;
    case CONN_OPENING:  EARLIER(mfi_link_due(c->link)); break;
    case CONN_GREETING: EARLIER(c->open_until); break;
    case CONN_UP:       EARLIER(dead_at(c)); EARLIER(c->cut_at); EARLIER(c->unblock_at); break;
    case CONN_IDLE:     break;
    }
#undef EARLIER
    return due;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Take from the queue what fits into the buffer. */
static void fill(mfi_conn *c, int64_t now)
{
    for (;;) {
        if (c->cursor == NULL) {
            size_t window = c->blocking ? 1 : MFI_REDIS_WINDOW;
            if (c->state != CONN_UP || c->renew || c->flight.count >= window || c->queue.first == NULL ||
                c->out_len == MFI_REDIS_OUT)
                return;
            mfi_redis_request *rq = mfi_list_pop(&c->queue);
            if (c->flight.first == NULL)
                c->heard_at = now;
            rq->starts_at = c->filled;
            rq->sends++;
            mfi_list_push(&c->flight, rq);
            c->cursor = rq;
            c->cursor_at = 0;
        }
        size_t left = c->cursor->wire_len - c->cursor_at, room = MFI_REDIS_OUT - c->out_len;
        size_t n = left < room ? left : room;
        memcpy(c->out + c->out_len, c->cursor->wire + c->cursor_at, n);
        c->out_len += n;
        c->filled += n;
        c->cursor_at += n;
        if (n < left)
            return;
        c->cursor = NULL;
    }
}

/* false: the connection was dropped. */
static bool send_out(mfi_conn *c, int64_t now)
{
    for (;;) {
        if (c->out_at == c->out_len)
            c->out_at = c->out_len = 0;
        fill(c, now);
        if (c->out_at == c->out_len)
            return true;
        size_t put;
        mf_error err;
        mf_status st = mfi_link_write(c->link, c->out + c->out_at, c->out_len - c->out_at, &put, &err);
        if (st == MF_E_AGAIN)
            return true;
        if (st != MF_OK) {
            mfi_conn_drop(c, now, st, &err);
            return false;
        }
        c->out_at += put;
        c->written += put;
        MFI_COUNT(c->redis, writes, 1);
        MFI_COUNT(c->redis, bytes_out, put);
    }
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void greet(mfi_conn *c, int64_t now)
{
    mf_error err;
    end_parsing(c);
    if (mfi_parser_init(&c->parser) != MF_OK) {
        mf_fail(&err, MF_E_NOMEM, "%s: out of memory", c->redis->text);
        mfi_conn_drop(c, now, MF_E_NOMEM, &err);
        return;
    }
    c->parsing = true;
    mfi_redis_request *rq = mfi_greeting_create(c, &err);
    if (rq == NULL) {
        mfi_conn_drop(c, now, err.status, &err);
        return;
    }
    c->state = CONN_GREETING;
    c->number++;
    c->heard = false;
    c->heard_at = now;
    c->client_id = 0;
    c->out_at = c->out_len = 0;
    c->filled = c->written = 0;
    mfi_list_push(&c->flight, rq);
    c->cursor = rq;
    c->cursor_at = 0;
    send_out(c, now);
}

static void opened(mfi_conn *c, int64_t now, mf_status st, const mf_error *err)
{
    if (st == MF_OK)
        greet(c, now);
    else if (st != MF_E_AGAIN)
        mfi_conn_drop(c, now, st, err);
}

static void open_it(mfi_conn *c, int64_t now)
{
    mf_error err;
    c->state = CONN_OPENING;
    c->open_until = mfi_deadline_ns(now, c->redis->connect_timeout);
    mf_status st = mfi_link_connect(c->link, c->open_until, &err);
    opened(c, mfi_now_ns(c->redis->clock), st, &err);
}

/* ---- driving ---------------------------------------------------------------------------------------------------- */

static void drive_up(mfi_conn *c, int64_t now)
{
    mf_error err;
    if (c->renew && c->flight.first == NULL) {
        mf_fail(&err, MF_E_STATE, "%s: READONLY: connecting again, to find the primary", c->redis->text);
        mfi_conn_drop(c, now, MF_E_STATE, &err);
        return;
    }
    if (!mfi_conn_interrupting(c, now) || !send_out(c, now))
        return;
    if (now >= dead_at(c)) {
        mf_fail(&err, MF_E_TIMEOUT, "%s: no answer for %lld ms", c->redis->text, (long long)((now - c->heard_at) / 1000000));
        mfi_conn_drop(c, now, MF_E_TIMEOUT, &err);
    }
}

void mfi_conn_drive(mfi_conn *c, int64_t now)
{
    mf_error err;
    expire(c, now);
    switch (c->state) {
    case CONN_IDLE:
        break;
    case CONN_WAITING:
        rest_if_idle(c);
        if (c->state == CONN_IDLE)
            mfi_redis_changed(c->redis);
        else if (now >= c->retry_at)
            open_it(c, now);
        break;
    case CONN_OPENING:
        if (now >= mfi_link_due(c->link))
            opened(c, now, mfi_link_step(c->link, &err), &err);
        break;
    case CONN_GREETING:
        if (now >= c->open_until) {
            mf_fail(&err, MF_E_TIMEOUT, "%s: connected, but the server does not answer", c->redis->text);
            mfi_conn_drop(c, now, MF_E_TIMEOUT, &err);
        }
        break;
    case CONN_UP:
        drive_up(c, now);
        break;
    }
}

void mfi_conn_ready(mfi_conn *c, int64_t now)
{
    mf_error err;
    if (c->state == CONN_OPENING) {
        mf_status st = mfi_link_step(c->link, &err);
        opened(c, now, st, &err);
    } else if (c->state == CONN_GREETING || c->state == CONN_UP) {
        if (mfi_conn_receive(c, now))
            send_out(c, now);
    }
}

bool mfi_conn_wants(const mfi_conn *c, int *fd, short *events)
{
    if (c->state == CONN_IDLE || c->state == CONN_WAITING)
        return false;
    *fd = mfi_link_fd(c->link);
    *events = mfi_link_events(c->link, true, c->out_at < c->out_len);
    return true;
}
