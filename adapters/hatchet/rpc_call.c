/* One call: a stream of the connection it is on.
 *
 *   queue ──start──▶ connection ──close──▶ gone        A call that was told of its end before its stream is closed stays with the
 *     ▲                  │                             connection, as the stream's own, until nghttp2 lets it go.
 *     └──── unseen ──────┘
 *
 * A unary call keeps its message until it ended, so that it can be begun again where the server has not seen it. A stream does
 * not: who opens one opens it again by himself. */
#include <assert.h>
#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "rpc_impl.h"

/* ---- messages out ------------------------------------------------------------------------------------------------ */

rpc_out *rpc_out_create(const mf_allocator *a, mf_str message)
{
    size_t size = sizeof(rpc_out) + MFI_RPC_HEAD + message.len;
    rpc_out *out = mfi_alloc(a, size);
    if (out == NULL)
        return NULL;
    out->next = NULL;
    out->size = size;
    out->len = MFI_RPC_HEAD + message.len;
    unsigned char head[MFI_RPC_HEAD];
    mfi_rpc_head_write(head, message.len);
    memcpy(out->bytes, head, sizeof head);
    if (message.len > 0)
        memcpy(out->bytes + MFI_RPC_HEAD, message.at, message.len);
    return out;
}

void rpc_out_free(const mf_allocator *a, rpc_out *out)
{
    while (out != NULL) {
        rpc_out *next = out->next;
        mfi_release(a, out, out->size);
        out = next;
    }
}

void rpc_call_add(mfi_rpc_call *call, rpc_out *message, bool complete)
{
    if (message != NULL) {
        *call->last = message;
        call->last = &message->next;
        if (call->at == NULL) {
            call->at = message;
            call->at_byte = 0;
        }
    }
    call->complete = call->complete || complete;
    if (call->conn != NULL && call->stream > 0 && !call->told)
        (void)nghttp2_session_resume_data(call->conn->session, call->stream);     /* refused where it is not deferred */
}

/* A stream's messages go once they are written. */
static void drop_written(mfi_rpc_call *call)
{
    if (!call->open)
        return;
    while (call->first != call->at) {
        rpc_out *gone = call->first;
        call->first = gone->next;
        if (call->first == NULL)
            call->last = &call->first;
        mfi_release(call->allocator, gone, gone->size);
    }
}

static ssize_t provide(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    (void)session, (void)stream, (void)user;
    mfi_rpc_call *call = source->ptr;
    size_t put = 0;
    while (call->at != NULL && put < room) {
        size_t piece = call->at->len - call->at_byte < room - put ? call->at->len - call->at_byte : room - put;
        memcpy(to + put, call->at->bytes + call->at_byte, piece);
        put += piece;
        call->at_byte += piece;
        if (call->at_byte == call->at->len) {
            call->at = call->at->next;
            call->at_byte = 0;
        }
    }
    drop_written(call);
    if (call->at == NULL && call->complete)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (put == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)put;
}

/* ---- beginning and ending ---------------------------------------------------------------------------------------- */

mfi_rpc_call *rpc_call_create(mfi_rpc *rpc, const mfi_rpc_spec *spec, mf_error *err)
{
    mfi_rpc_call *call = mf_new(rpc->allocator, mfi_rpc_call);
    rpc_out *first = spec->bare ? NULL : rpc_out_create(rpc->allocator, spec->request);
    if (call == NULL || (first == NULL && !spec->bare)) {
        if (call != NULL)
            mf_delete(rpc->allocator, call);
        rpc_out_free(rpc->allocator, first);
        mf_fail(err, MF_E_NOMEM, "%s: %s: no memory", rpc->what, spec->method);
        return NULL;
    }
    mfi_refcount_init(&call->holders);
    call->rpc = rpc;
    call->allocator = rpc->allocator;
    call->method = spec->method;
    call->message = spec->message;
    call->ended = spec->ended;
    call->user = spec->user;
    call->open = spec->open;
    call->send_max = rpc->send_max;
    call->complete = !spec->open;
    call->last = &call->first;
    call->answer.grpc = -1;
    mfi_rpc_framer_init(&call->framer, rpc->allocator, rpc->receive_max);
    rpc_call_add(call, first, false);
    return call;
}

void mfi_rpc_call_unref(mfi_rpc_call *call)
{
    if (call == NULL || !mfi_refcount_unref(&call->holders))
        return;
    const mf_allocator *a = call->allocator;
    rpc_out_free(a, call->first);
    mfi_rpc_framer_fini(&call->framer);
    mf_delete(a, call);
}

void rpc_call_forget(mfi_rpc_call *call)
{
    assert(call->told);
    call->conn = NULL;
    mfi_rpc_call_unref(call);
}

void rpc_call_tell(mfi_rpc_call *call, mfi_rpc_code code, mf_status st, bool unseen, const mf_error *err)
{
    if (call->told)
        return;
    mfi_rpc *rpc = call->rpc;
    call->told = true;
    atomic_store_explicit(&call->over, true, memory_order_release);
    atomic_fetch_sub_explicit(&rpc->calls, 1, memory_order_relaxed);
    RPC_COUNT(rpc, calls, 1);
    mfi_rpc_end end = {.code = code, .status = st, .unseen = unseen, .err = st == MF_OK ? NULL : err};
    if (call->ended != NULL)
        call->ended(call->user, &end);
}

void rpc_call_fail(mfi_rpc_call *call, mfi_rpc_code code, mf_status st, const char *fmt, ...)
{
    char text[MF_ERROR_TEXT_MAX];
    va_list args;
    if (call->told)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    mf_error err;
    mf_fail(&err, st, "%s: %s: %s", call->rpc->what, call->method, text);
    if (call->conn != NULL && call->conn->session != NULL && call->stream > 0)
        (void)nghttp2_submit_rst_stream(call->conn->session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    rpc_call_tell(call, code, st, !call->sent, &err);
}

bool rpc_call_rewind(mfi_rpc_call *call)
{
    bool again = (!call->open || !call->sent) && ++call->sends < RPC_SENDS;
    call->conn = NULL;
    call->stream = 0;
    call->sent = false;
    call->at = call->first;
    call->at_byte = 0;
    call->answer = (rpc_answer){.grpc = -1};
    return again;
}

/* ---- the request's headers --------------------------------------------------------------------------------------- */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name), .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = strlen(value), .flags = NGHTTP2_NV_FLAG_NONE};
}

bool rpc_call_start(mfi_rpc_call *call, rpc_conn *c, int64_t now)
{
    mfi_rpc *rpc = c->rpc;
    char timeout[16];
    nghttp2_nv nva[10];
    size_t n = 0;
    nva[n++] = header(":method", "POST");
    nva[n++] = header(":scheme", rpc->tls ? "https" : "http");
    nva[n++] = header(":path", call->method);
    nva[n++] = header(":authority", rpc->authority);
    nva[n++] = header("te", "trailers");
    nva[n++] = header("content-type", "application/grpc");
    nva[n++] = header("user-agent", "grpc-c-mageflow/" MF_VERSION);
    if (call->deadline != INT64_MAX) {
        rpc_timeout_write(call->deadline - call->grace - now, timeout);
        nva[n++] = header("grpc-timeout", timeout);
    }
    if (rpc->authorization != NULL) {
        nva[n] = header("authorization", rpc->authorization);
        nva[n++].flags = NGHTTP2_NV_FLAG_NO_INDEX;      /* what stands between us and the server must not keep it in a table */
    }
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = provide};
    int32_t stream = nghttp2_submit_request(c->session, NULL, nva, n, &body, call);
    if (stream < 0)
        return false;
    call->conn = c;
    call->stream = stream;
    return true;
}

int rpc_on_sent(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    (void)user;
    mfi_rpc_call *call = f->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(s, f->hd.stream_id) : NULL;
    if (call != NULL)
        call->sent = true;
    return 0;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static bool is_name(const uint8_t *name, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(name, text, len) == 0;
}

/* A number of at most three digits; -1: it is none. */
static int small_number(const uint8_t *at, size_t len)
{
    int n = 0;
    if (len == 0 || len > 3)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        n = n * 10 + (at[i] - '0');
    }
    return n;
}

static void read_content_type(rpc_answer *answer, mf_str value)
{
    static const char grpc[] = "application/grpc";
    size_t len = sizeof grpc - 1;
    answer->is_grpc = value.len >= len && memcmp(value.at, grpc, len) == 0 &&
                      (value.len == len || value.at[len] == '+' || value.at[len] == ';');
    rpc_percent_decode(value, answer->content_type, sizeof answer->content_type);
}

int rpc_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value,
                  size_t value_len, uint8_t flags, void *user)
{
    (void)flags, (void)user;
    mfi_rpc_call *call = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    if (call == NULL || call->told)
        return 0;
    rpc_answer *answer = &call->answer;
    mf_str text = mf_str_of((const char *)value, value_len);
    if (is_name(name, name_len, ":status")) {
        answer->http = small_number(value, value_len);
    } else if (is_name(name, name_len, "content-type")) {
        if (answer->content_type[0] == '\0')
            read_content_type(answer, text);
    } else if (is_name(name, name_len, "grpc-status")) {
        answer->grpc = small_number(value, value_len);
        if (answer->grpc < 0)
            answer->grpc = MFI_RPC_UNKNOWN;
    } else if (is_name(name, name_len, "grpc-message")) {
        rpc_percent_decode(text, answer->message, sizeof answer->message);
    }
    return 0;
}

static void fail_no_grpc(mfi_rpc_call *call)
{
    const rpc_answer *a = &call->answer;
    mfi_rpc_code code = rpc_code_of_http(a->http);
    mf_status st = a->http == 200 ? MF_E_MALFORMED : rpc_status_of(code);
    const char *type = a->content_type[0] != '\0' ? a->content_type : "no content type";
    if (a->http == 502 || a->http == 503 || a->http == 504 || a->http == 429)
        rpc_call_fail(call, code, st, "answered HTTP %d with %s: something before the server, which cannot reach it now", a->http, type);
    else
        rpc_call_fail(call, code, st, "answered HTTP %d with %s: this is not a gRPC port", a->http, type);
}

static bool framed(void *user, mf_str message)
{
    mfi_rpc_call *call = user;
    if (call->message != NULL && !atomic_load_explicit(&call->over, memory_order_relaxed))
        call->message(call->user, message);
    return !atomic_load_explicit(&call->over, memory_order_relaxed);
}

int rpc_on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *at, size_t len, void *user)
{
    (void)flags, (void)user;
    mfi_rpc_call *call = nghttp2_session_get_stream_user_data(s, stream);
    if (call == NULL || call->told)
        return 0;
    if (!call->answer.is_grpc) {
        fail_no_grpc(call);
        return 0;
    }
    mf_error why;
    mf_status st = mfi_rpc_framer_feed(&call->framer, (const char *)at, len, framed, call, &why);
    if (st != MF_OK)
        rpc_call_fail(call, st == MF_E_TOO_BIG || st == MF_E_NOMEM ? MFI_RPC_RESOURCE_EXHAUSTED : MFI_RPC_INTERNAL, st, "the server sent %s",
                      why.text);
    return 0;
}

static void end_by_status(mfi_rpc_call *call)
{
    const rpc_answer *a = &call->answer;
    mfi_rpc_code code = a->grpc <= MFI_RPC_UNAUTHENTICATED ? (mfi_rpc_code)a->grpc : MFI_RPC_UNKNOWN;
    mf_status st = rpc_status_of(code);
    const char *colon = a->message[0] != '\0' ? ": " : "";
    if (code == MFI_RPC_OK && !mfi_rpc_framer_is_between(&call->framer))
        rpc_call_fail(call, MFI_RPC_INTERNAL, MF_E_IO, "the stream ended inside a message");
    else if (code == MFI_RPC_OK)
        rpc_call_tell(call, code, MF_OK, false, NULL);
    else if (a->grpc > MFI_RPC_UNAUTHENTICATED)
        rpc_call_fail(call, code, st, "code %d%s%s", a->grpc, colon, a->message);
    else
        rpc_call_fail(call, code, st, "%s%s%s", mfi_rpc_code_name(code), colon, a->message);
}

int rpc_on_close(nghttp2_session *s, int32_t stream, uint32_t error, void *user)
{
    rpc_conn *c = user;
    mfi_rpc_call *call = nghttp2_session_get_stream_user_data(s, stream);
    if (call == NULL)
        return 0;
    rpc_list_remove(&c->calls, call);
    call->stream = 0;
    if (!call->told && call->answer.grpc >= 0 && (call->answer.is_grpc || call->answer.http == 200)) {
        end_by_status(call);            /* also where a reset follows: the server does not wait for the rest of what we send */
    } else if (!call->told && error == NGHTTP2_REFUSED_STREAM) {
        if (rpc_call_rewind(call)) {
            rpc_list_push_front(&c->rpc->queue, call);
            RPC_COUNT(c->rpc, resent, 1);
            return 0;
        }
        rpc_call_fail(call, MFI_RPC_UNAVAILABLE, MF_E_IO, "the server refuses the stream, again and again");
    } else if (!call->told && error != NGHTTP2_NO_ERROR) {
        mfi_rpc_code code = rpc_code_of_reset(error);
        rpc_call_fail(call, code, rpc_status_of(code), "the stream was reset: %s", nghttp2_http2_strerror(error));
    } else if (!call->told && !call->answer.is_grpc && call->answer.http != 0) {
        fail_no_grpc(call);
    } else {
        rpc_call_fail(call, MFI_RPC_INTERNAL, MF_E_IO, "the stream ended without a status");
    }
    rpc_call_forget(call);
    return 0;
}
