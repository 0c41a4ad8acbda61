/* One connection: bytes between the link and nghttp2's session, which does HTTP/2.
 *
 *   OPENING ──link up──▶ GREETING ──SETTINGS──▶ UP ──GOAWAY──▶ LEAVING ──last call──▶ DEAD
 *
 * Whatever fails goes to DEAD through rpc_conn_drop; the loop frees it, since that may happen inside a callback of nghttp2's. Calls
 * begin only once the server's SETTINGS are there: what answers at a wrong port has said something else by then, and no call
 * is in doubt. */
#include <assert.h>
#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "rpc_impl.h"

#define READS 16        /* before others get their turn */

/* ---- create and destroy ------------------------------------------------------------------------------------------ */

mf_status rpc_link_create(mfi_rpc *rpc, mfi_link **out, mf_error *err)
{
    return mfi_link_create(&(mfi_link_options){
        .allocator = rpc->allocator, .clock = rpc->clock, .what = rpc->what, .host = rpc->host, .port = rpc->port, .tls = rpc->tls,
        .ca = rpc->ca, .cert = rpc->cert, .key = rpc->key, .protocol = rpc->tls ? "h2" : NULL,
    }, out, err);
}

void rpc_conn_destroy(rpc_conn *c)
{
    if (c == NULL)
        return;
    assert(c->calls.first == NULL);
    nghttp2_session_del(c->session);
    mfi_link_destroy(c->link);
    mfi_release(c->rpc->allocator, c->out, RPC_BUFFER);
    mf_delete(c->rpc->allocator, c);
}

rpc_conn *rpc_conn_create(mfi_rpc *rpc, mf_error *err)
{
    rpc_conn *c = mf_new(rpc->allocator, rpc_conn);
    if (c == NULL) {
        mf_fail(err, MF_E_NOMEM, "%s: no memory", rpc->what);
        return NULL;
    }
    int64_t now = mfi_now_ns(rpc->clock);
    c->rpc = rpc;
    c->open_until = mfi_deadline_ns(now, rpc->connect_timeout);
    c->heard_at = now;
    c->pinged_at = INT64_MAX;
    c->out = mfi_alloc(rpc->allocator, RPC_BUFFER);
    mf_status st = c->out != NULL ? rpc_link_create(rpc, &c->link, err) : mf_fail(err, MF_E_NOMEM, "%s: no memory", rpc->what);
    if (st == MF_OK)
        st = mfi_link_connect(c->link, c->open_until, err);
    if (st != MF_OK && st != MF_E_AGAIN) {
        rpc_conn_destroy(c);
        return NULL;
    }
    return c;
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

void rpc_conn_drop(rpc_conn *c, int64_t now, mf_status st, const mf_error *err)
{
    mfi_rpc *rpc = c->rpc;
    if (c->state == RPC_DEAD)
        return;
    bool was_up = c->state == RPC_UP, over = st == MF_E_CLOSED && atomic_load_explicit(&rpc->closing, memory_order_relaxed) == 2;
    mf_error why = *err;
    why.status = st;
    c->state = RPC_DEAD;
    mfi_link_close(c->link);
    if (was_up)
        RPC_COUNT(rpc, drops, 1);
    if (c == rpc->conn && !over) {
        if (was_up && now - c->up_since >= mf_seconds(1))
            mfi_retry_reset(&rpc->retry);
        rpc->retry_at = now + mfi_retry_next(&rpc->retry, rpc->random);
        rpc_changed(rpc, &why);
    }
    rpc_list back = {NULL, NULL, 0};
    mfi_rpc_call *call;
    while ((call = c->calls.first) != NULL) {
        rpc_list_remove(&c->calls, call);
        call->stream = 0;
        if (!call->told && !over && !call->sent && rpc_call_rewind(call)) {
            rpc_list_push(&back, call);
            continue;
        }
        if (!call->told && over)
            rpc_call_tell(call, MFI_RPC_CANCELLED, MF_E_CLOSED, !call->sent, &why);
        mf_error doubt;
        mf_fail(&doubt, MF_E_IO, "%.*s; %s: %s", MF_ERROR_TEXT_MAX - 200, why.text, call->method,
                call->answer.http != 0 ? "the call was cut off" : "sent and not answered: not known whether it was done");
        rpc_call_tell(call, MFI_RPC_UNAVAILABLE, MF_E_IO, !call->sent, &doubt);
        rpc_call_forget(call);
    }
    while ((call = back.last) != NULL) {
        rpc_list_remove(&back, call);
        rpc_list_push_front(&rpc->queue, call);
        RPC_COUNT(rpc, resent, 1);
    }
}

static void drop_saying(rpc_conn *c, int64_t now, mf_status st, const char *text)
{
    mf_error err;
    mf_fail(&err, st, "%s: %s", c->rpc->what, text);
    rpc_conn_drop(c, now, st, &err);
}

/* ---- what nghttp2 tells ------------------------------------------------------------------------------------------ */

static void on_goaway(rpc_conn *c, const nghttp2_goaway *goaway)
{
    if (goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM && c->rpc->ping_every < mf_minutes(5))
        c->rpc->ping_every *= 2;
    if (c->state != RPC_UP)
        return;
    c->state = RPC_LEAVING;
    RPC_COUNT(c->rpc, goaways, 1);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    rpc_conn *c = user;
    (void)s;
    if (f->hd.type == NGHTTP2_SETTINGS && (f->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        c->settled = true;
    else if (f->hd.type == NGHTTP2_GOAWAY)
        on_goaway(c, &f->goaway);
    return 0;
}

/* A request that a GOAWAY overtook: nobody has seen it. */
static int on_not_sent(nghttp2_session *s, const nghttp2_frame *f, int error, void *user)
{
    rpc_conn *c = user;
    (void)error;
    mfi_rpc_call *call = f->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(s, f->hd.stream_id) : NULL;
    if (call == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(s, f->hd.stream_id, NULL);
    rpc_list_remove(&c->calls, call);
    call->stream = 0;
    if (!call->told && rpc_call_rewind(call)) {
        rpc_list_push_front(&c->rpc->queue, call);
        RPC_COUNT(c->rpc, resent, 1);
        return 0;
    }
    call->conn = NULL;
    rpc_call_fail(call, MFI_RPC_UNAVAILABLE, MF_E_IO, "every connection goes away before it is sent");
    rpc_call_forget(call);
    return 0;
}

mf_status rpc_callbacks_make(mfi_rpc *rpc)
{
    if (nghttp2_session_callbacks_new(&rpc->callbacks) != 0 || nghttp2_option_new(&rpc->http) != 0)
        return MF_E_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback(rpc->callbacks, rpc_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(rpc->callbacks, rpc_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(rpc->callbacks, rpc_on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(rpc->callbacks, rpc_on_sent);
    nghttp2_session_callbacks_set_on_frame_recv_callback(rpc->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(rpc->callbacks, on_not_sent);
    return MF_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void greet(rpc_conn *c, int64_t now)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, RPC_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 64 * 1024},
    };
    if (nghttp2_session_client_new2(&c->session, c->rpc->callbacks, c, c->rpc->http) != 0 ||
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, RPC_LINK_WINDOW) != 0) {
        drop_saying(c, now, MF_E_NOMEM, "no memory");
        return;
    }
    c->state = RPC_GREETING;
    c->heard_at = now;
}

static void open_further(rpc_conn *c, int64_t now)
{
    mf_error err = {0};
    mf_status st = mfi_link_step(c->link, &err);
    if (st == MF_OK)
        greet(c, now);
    else if (st != MF_E_AGAIN)
        rpc_conn_drop(c, now, st, &err);
}

static void came_up(rpc_conn *c, int64_t now)
{
    c->state = RPC_UP;
    c->up_since = now;
    RPC_COUNT(c->rpc, connects, 1);
    rpc_changed(c->rpc, NULL);
}

bool rpc_conn_has_room(const rpc_conn *c)
{
    return c->state == RPC_UP &&
           c->calls.count < nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The first bytes say who is there. false: dropped. */
static bool recognise(rpc_conn *c, const char *at, size_t len, int64_t now)
{
    if (c->head_len == sizeof c->head)
        return true;
    size_t piece = sizeof c->head - c->head_len < len ? sizeof c->head - c->head_len : len;
    memcpy(c->head + c->head_len, at, piece);
    c->head_len += piece;
    const char *wrong = rpc_first_words(c->head, c->head_len, c->rpc->tls);
    if (wrong != NULL)
        drop_saying(c, now, MF_E_INVALID, wrong);
    return wrong == NULL;
}

static void closed_by_peer(rpc_conn *c, int64_t now, mf_status st, mf_error *err)
{
    mf_error mine;
    if (!c->settled && st == MF_E_CLOSED) {
        mf_fail(&mine, st, "%s; it said %s: is this a gRPC port?", err->text, c->heard ? "nothing that is HTTP/2" : "nothing");
        err = &mine;
    }
    rpc_conn_drop(c, now, st == MF_E_CLOSED ? MF_E_IO : st, err);
}

void rpc_conn_read(rpc_conn *c, int64_t now)
{
    mfi_rpc *rpc = c->rpc;
    if (c->session == NULL)
        return;
    for (int i = 0; i < READS && c->state != RPC_DEAD; i++) {
        mf_error err = {0};
        size_t got = 0;
        mf_status st = mfi_link_read(c->link, rpc->in, RPC_BUFFER, &got, &err);
        if (st == MF_E_AGAIN)
            return;
        if (st != MF_OK) {
            closed_by_peer(c, now, st, &err);
            return;
        }
        RPC_COUNT(rpc, reads, 1);
        RPC_COUNT(rpc, bytes_in, got);
        c->heard = true;
        c->heard_at = now;
        c->pinged_at = INT64_MAX;
        if (!recognise(c, rpc->in, got, now))
            return;
        ssize_t used = nghttp2_session_mem_recv(c->session, (const uint8_t *)rpc->in, got);
        if (used < 0) {
            char text[160];
            snprintf(text, sizeof text, "what the server sent is not HTTP/2 as it should be: %s", nghttp2_strerror((int)used));
            drop_saying(c, now, used == NGHTTP2_ERR_NOMEM ? MF_E_NOMEM : MF_E_IO, text);
            return;
        }
        if (c->state == RPC_GREETING && c->settled)
            came_up(c, now);
        if (got < RPC_BUFFER)
            return;
    }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Frames into the buffer, as many as fit. */
static bool fill(rpc_conn *c, int64_t now)
{
    if (c->out_at > 0 && c->out_at == c->out_len)
        c->out_at = c->out_len = 0;
    while (c->out_len < RPC_BUFFER) {
        if (c->rest_len == 0) {
            ssize_t n = nghttp2_session_mem_send(c->session, &c->rest);
            if (n < 0) {
                drop_saying(c, now, MF_E_NOMEM, "no memory to send");
                return false;
            }
            if (n == 0)
                return true;
            c->rest_len = (size_t)n;
        }
        size_t piece = c->rest_len < RPC_BUFFER - c->out_len ? c->rest_len : RPC_BUFFER - c->out_len;
        memcpy(c->out + c->out_len, c->rest, piece);
        c->out_len += piece;
        c->rest += piece;
        c->rest_len -= piece;
    }
    return true;
}

static void write_all(rpc_conn *c, int64_t now)
{
    while (fill(c, now) && c->out_at < c->out_len) {
        mf_error err = {0};
        size_t put = 0;
        mf_status st = mfi_link_write(c->link, c->out + c->out_at, c->out_len - c->out_at, &put, &err);
        if (st == MF_E_AGAIN)
            return;
        if (st != MF_OK) {
            rpc_conn_drop(c, now, st == MF_E_CLOSED ? MF_E_IO : st, &err);
            return;
        }
        c->out_at += put;
        RPC_COUNT(c->rpc, writes, 1);
        RPC_COUNT(c->rpc, bytes_out, put);
    }
}

static void look_alive(rpc_conn *c, int64_t now)
{
    if (c->pinged_at != INT64_MAX && now - c->pinged_at >= c->rpc->ping_timeout) {
        drop_saying(c, now, MF_E_IO, "no answer to a PING: the connection is dead");
    } else if (c->pinged_at == INT64_MAX && now - c->heard_at >= c->rpc->ping_every) {
        c->pinged_at = now;
        RPC_COUNT(c->rpc, pings, 1);
        (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
    }
}

static void finish_leaving(rpc_conn *c, int64_t now)
{
    if (c->calls.first == NULL)
        drop_saying(c, now, MF_E_IO, "the server closed the connection in good order");
}

void rpc_conn_drive(rpc_conn *c, int64_t now)
{
    if (c->state == RPC_OPENING)
        open_further(c, now);
    if (c->state == RPC_GREETING && now >= c->open_until)
        drop_saying(c, now, MF_E_TIMEOUT, c->heard ? "what answers there sent no SETTINGS in time: is this a gRPC port?" :
                    "connected, and no word came in time: is this a gRPC port?");
    if (c->state == RPC_UP || c->state == RPC_LEAVING)
        look_alive(c, now);
    if (c->state == RPC_LEAVING)
        finish_leaving(c, now);
    if (c->state == RPC_GREETING && c->heard_at == now)
        rpc_conn_read(c, now);      /* TLS 1.3 refuses us after the handshake: its alert says more than the write that fails */
    if (c->state == RPC_DEAD || c->session == NULL)
        return;
    write_all(c, now);
    if (c->state != RPC_DEAD && !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session))
        drop_saying(c, now, MF_E_IO, "what the server sent is not HTTP/2 as it should be");
}

bool rpc_conn_wants(rpc_conn *c, int *fd, short *events)
{
    if (c->state == RPC_DEAD)
        return false;
    *fd = mfi_link_fd(c->link);
    bool writing = c->session != NULL && (c->out_at < c->out_len || c->rest_len > 0);
    *events = mfi_link_events(c->link, true, writing);
    return true;
}

int64_t rpc_conn_due(const rpc_conn *c)
{
    switch (c->state) {
    case RPC_OPENING:  return mfi_link_due(c->link);
    case RPC_GREETING: return c->open_until;
    case RPC_DEAD:     return 0;
    default:
        return c->pinged_at != INT64_MAX ? mfi_deadline_ns(c->pinged_at, c->rpc->ping_timeout) :
               mfi_deadline_ns(c->heard_at, c->rpc->ping_every);
    }
}
