#include "rpc.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "parker.h"
#include "rpc_impl.h"

/* ---- create and destroy ------------------------------------------------------------------------------------------ */

static void release_text(const mf_allocator *a, char *text)
{
    if (text != NULL)
        mfi_release(a, text, strlen(text) + 1);
}

/* The header that carries the token; NULL: no memory. */
static char *bearer(const mf_allocator *a, const char *token)
{
    size_t size = strlen(token) + sizeof "bearer ";
    char *header = mfi_alloc(a, size);
    if (header != NULL)
        snprintf(header, size, "bearer %s", token);
    return header;
}

static void forget(const mf_allocator *a, char *secret)
{
    size_t size = strlen(secret) + 1;
    explicit_bzero(secret, size - 1);
    mfi_release(a, secret, size);
}

static void rpc_free(mfi_rpc *rpc)
{
    const mf_allocator *a = rpc->allocator;
    if (rpc->authorization != NULL)
        forget(a, rpc->authorization);
    char *texts[] = {rpc->what, rpc->host, rpc->ca, rpc->cert, rpc->key, rpc->authority};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        release_text(a, texts[i]);
    nghttp2_session_callbacks_del(rpc->callbacks);
    nghttp2_option_del(rpc->http);
    if (rpc->in != NULL)
        mfi_release(a, rpc->in, RPC_BUFFER);
    if (rpc->wake_fd >= 0)
        close(rpc->wake_fd);
    pthread_cond_destroy(&rpc->changed);
    pthread_mutex_destroy(&rpc->lock);
    mf_delete(a, rpc);
}

static bool init_waiting(mfi_rpc *rpc)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bool ok = pthread_cond_init(&rpc->changed, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (ok && pthread_mutex_init(&rpc->lock, NULL) != 0) {
        pthread_cond_destroy(&rpc->changed);
        ok = false;
    }
    return ok;
}

static mf_duration or_else(mf_duration given, mf_duration fallback)
{
    return given > 0 ? given : fallback;
}

static bool copy_texts(mfi_rpc *rpc, const mfi_rpc_options *o)
{
    const mf_allocator *a = rpc->allocator;
    char authority[300];
    bool brackets = strchr(o->host, ':') != NULL;
    snprintf(authority, sizeof authority, "%s%s%s:%u", brackets ? "[" : "", o->host, brackets ? "]" : "", o->port);
    rpc->host = mfi_copy_text(a, mf_cstr(o->host));
    rpc->what = mfi_copy_text(a, mf_cstr(o->what != NULL ? o->what : authority));
    rpc->ca = mfi_copy_text(a, mf_cstr(o->ca));
    rpc->cert = mfi_copy_text(a, mf_cstr(o->cert));
    rpc->key = mfi_copy_text(a, mf_cstr(o->key));
    rpc->authority = mfi_copy_text(a, mf_cstr(o->server_name != NULL && o->server_name[0] != '\0' ? o->server_name : authority));
    bool ok = rpc->host != NULL && rpc->what != NULL && rpc->ca != NULL && rpc->cert != NULL && rpc->key != NULL && rpc->authority != NULL;
    if (ok && o->token != NULL && o->token[0] != '\0')
        ok = (rpc->authorization = bearer(a, o->token)) != NULL;
    return ok;
}

static void take_numbers(mfi_rpc *rpc, const mfi_rpc_options *o)
{
    rpc->port = o->port;
    rpc->tls = o->tls;
    rpc->connect_timeout = or_else(o->connect_timeout, mf_seconds(5));
    rpc->call_timeout = or_else(o->call_timeout, mf_seconds(30));
    rpc->ping_every = or_else(o->ping_every, mf_seconds(10));
    rpc->ping_timeout = or_else(o->ping_timeout, mf_seconds(10));
    rpc->send_max = o->send_max != 0 ? o->send_max : (size_t)4 << 20;
    rpc->receive_max = o->receive_max != 0 ? o->receive_max : (size_t)4 << 20;
    rpc->calls_max = o->calls_max != 0 ? o->calls_max : 65536;
    rpc->observe = o->observe;
    rpc->tick = o->tick;
    rpc->user = o->user;
    rpc->retry = (mfi_retry){mf_milliseconds(100), mf_seconds(5), 0};
    rpc->next_deadline = INT64_MAX;
}

/* The program's signals are its own threads'. */
static int start_thread(mfi_rpc *rpc)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&rpc->thread, NULL, rpc_io, rpc);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* A header's value must be visible ASCII; whatever else it holds would be refused by the peer, with nobody to say why. */
static mf_status check_token(const char *token, mf_error *err)
{
    for (const char *c = token; c != NULL && *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return mf_fail(err, MF_E_INVALID, "token: expected visible ASCII characters alone: a blank or a line end is in it");
    return MF_OK;
}

bool mfi_rpc_token_set(mfi_rpc *rpc, const char *token)
{
    const mf_allocator *a = rpc->allocator;
    char *header = check_token(token, NULL) == MF_OK ? bearer(a, token) : NULL;
    if (header == NULL)
        return false;
    bool another = rpc->authorization == NULL || strcmp(rpc->authorization, header) != 0;
    char *gone = another ? rpc->authorization : header;
    if (another)
        rpc->authorization = header;
    if (gone != NULL)
        forget(a, gone);
    return another;
}

mf_status mfi_rpc_create(const mfi_rpc_options *options, mfi_rpc **out, mf_error *err)
{
    mf_status st = check_token(options->token, err);
    if (st != MF_OK)
        return st;
    if (options->host == NULL || options->host[0] == '\0' || options->port == 0)
        return mf_fail(err, MF_E_INVALID, "rpc: expected a host and a port");
    mfi_rpc *rpc = mf_new(options->allocator, mfi_rpc);
    if (rpc == NULL)
        return mf_fail(err, MF_E_NOMEM, "rpc: no memory");
    rpc->allocator = options->allocator;
    rpc->clock = options->clock;
    rpc->random = options->random;
    rpc->wake_fd = -1;
    atomic_init(&rpc->within_max, INT64_MAX);
    if (!mfi_fork_watch() || !init_waiting(rpc)) {
        mf_delete(options->allocator, rpc);
        return mf_fail(err, MF_E_NOMEM, "rpc: no memory");
    }
    rpc->fork_generation = mfi_fork_generation();
    take_numbers(rpc, options);
    rpc->in = mfi_alloc(rpc->allocator, RPC_BUFFER);
    rpc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mfi_link *probe = NULL;
    if (rpc->in == NULL || rpc->wake_fd < 0 || !copy_texts(rpc, options) || rpc_callbacks_make(rpc) != MF_OK) {
        st = mf_fail(err, MF_E_NOMEM, "rpc: no memory or no eventfd");
        goto fail;
    }
    mf_fail(&rpc->why, MF_E_AGAIN, "%s: still connecting", rpc->what);
    st = rpc_link_create(rpc, &probe, err);         /* a file that is of no use is told here, not at some attempt */
    mfi_link_destroy(probe);
    if (st == MF_OK && start_thread(rpc) != 0)
        st = mf_fail(err, MF_E_NOMEM, "rpc: no thread to be had");
    if (st != MF_OK)
        goto fail;
    *out = rpc;
    return MF_OK;

fail:
    rpc_free(rpc);
    return st;
}

/* What came between the thread's last look and its end, and what callbacks tried since. */
static void end_inbox(mfi_rpc *rpc)
{
    mf_error err;
    mf_fail(&err, MF_E_CLOSED, "%s: closed", rpc->what);
    rpc_ask *ask = atomic_exchange_explicit(&rpc->inbox, NULL, memory_order_acquire);
    while (ask != NULL) {
        rpc_ask *next = ask->next;
        mfi_rpc_call *call = ask->call;
        if (ask->kind == RPC_BEGIN) {
            rpc_call_tell(call, MFI_RPC_CANCELLED, MF_E_CLOSED, true, &err);
            rpc_call_forget(call);
        } else {
            rpc_out_free(rpc->allocator, ask->message);
            mf_delete(rpc->allocator, ask);
            mfi_rpc_call_unref(call);
        }
        ask = next;
    }
}

void mfi_rpc_destroy(mfi_rpc *rpc, mf_duration drain)
{
    if (rpc == NULL || mfi_rpc_is_forked(rpc))
        return;
    assert(!rpc_here(rpc));
    rpc->drain = drain;
    atomic_store_explicit(&rpc->closing, 1, memory_order_seq_cst);
    rpc_ring(rpc);
    pthread_join(rpc->thread, NULL);
    end_inbox(rpc);
    rpc_free(rpc);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

bool mfi_rpc_is_forked(const mfi_rpc *rpc)
{
    return rpc->fork_generation != mfi_fork_generation();
}

static void push(mfi_rpc *rpc, rpc_ask *ask)
{
    rpc_ask *top = atomic_load_explicit(&rpc->inbox, memory_order_relaxed);
    do
        ask->next = top;
    while (!atomic_compare_exchange_weak_explicit(&rpc->inbox, &top, ask, memory_order_seq_cst, memory_order_relaxed));
    rpc_ring(rpc);
}

mf_status mfi_rpc_begin(mfi_rpc *rpc, const mfi_rpc_spec *spec, mfi_rpc_call **out, mf_error *err)
{
    if (spec->request.len > rpc->send_max)
        return mf_fail(err, MF_E_TOO_BIG, "%s: %s: a message of %zu bytes, more than the %zu that are allowed", rpc->what, spec->method,
                       spec->request.len, rpc->send_max);
    if (mfi_rpc_is_forked(rpc))
        return mf_fail(err, MF_E_FORKED, "%s: %s: this connection is the parent process's; open one in the child", rpc->what, spec->method);
    if (atomic_load_explicit(&rpc->closing, memory_order_acquire) != 0)
        return mf_fail(err, MF_E_CLOSED, "%s: %s: the connection is being closed", rpc->what, spec->method);
    mfi_rpc_call *call = rpc_call_create(rpc, spec, err);
    if (call == NULL)
        return MF_E_NOMEM;
    if (atomic_fetch_add_explicit(&rpc->calls, 1, memory_order_relaxed) >= rpc->calls_max) {
        atomic_fetch_sub_explicit(&rpc->calls, 1, memory_order_relaxed);
        mfi_rpc_call_unref(call);
        return mf_fail(err, MF_E_FULL, "%s: %s: %zu calls wait for their end", rpc->what, spec->method, rpc->calls_max);
    }
    call->deadline = spec->within == MF_FOREVER ? INT64_MAX :
                     mfi_deadline_ns(mfi_now_ns(rpc->clock), or_else(spec->within, rpc->call_timeout));
    call->grace = spec->grace;
    call->begin = (rpc_ask){.call = call, .kind = RPC_BEGIN};
    if (out != NULL) {
        mfi_refcount_ref(&call->holders);
        *out = call;
    }
    push(rpc, &call->begin);
    return MF_OK;
}

/* After its end the link may be gone too: then nothing is asked. A handle's holder must not use it beside mfi_rpc_destroy. */
static mf_status ask_of(mfi_rpc_call *call, rpc_ask_kind kind, rpc_out *message)
{
    rpc_ask *ask = mf_new(call->allocator, rpc_ask);
    if (ask == NULL)
        return MF_E_NOMEM;
    *ask = (rpc_ask){.call = call, .kind = kind, .message = message};
    mfi_refcount_ref(&call->holders);
    push(call->rpc, ask);
    return MF_OK;
}

mf_status mfi_rpc_send(mfi_rpc_call *call, mf_str message)
{
    if (message.len > call->send_max)
        return MF_E_TOO_BIG;
    if (atomic_load_explicit(&call->over, memory_order_acquire))
        return MF_OK;
    if (mfi_rpc_is_forked(call->rpc))
        return MF_E_FORKED;
    rpc_out *out = rpc_out_create(call->allocator, message);
    mf_status st = out != NULL ? ask_of(call, RPC_SEND, out) : MF_E_NOMEM;
    if (st != MF_OK)
        rpc_out_free(call->allocator, out);
    return st;
}

void mfi_rpc_send_end(mfi_rpc_call *call)
{
    if (!atomic_load_explicit(&call->over, memory_order_acquire) && !mfi_rpc_is_forked(call->rpc))
        (void)ask_of(call, RPC_SEND_END, NULL);
}

void mfi_rpc_cancel(mfi_rpc_call *call)
{
    if (!atomic_load_explicit(&call->over, memory_order_acquire) && !mfi_rpc_is_forked(call->rpc))
        (void)ask_of(call, RPC_CANCEL, NULL);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

/* Shared by who waits and who answers: the one may go when its time is over, while the other still has it. */
struct waiter {
    mfi_refcount        holders;     /* the caller; the call */
    const mf_allocator *allocator;
    mfi_parker          parker;
    _Atomic bool        over;
    unsigned            messages;    /* from here on: written before over */
    mfi_rpc_bytes       reply;
    mfi_rpc_code        code;
    mf_status           st;
    mf_error            err;
};

void mfi_rpc_bytes_free(mfi_rpc_bytes *bytes)
{
    if (bytes->at != NULL)
        mfi_release(bytes->allocator, bytes->at, bytes->len + 1);
    *bytes = (mfi_rpc_bytes){NULL, NULL, 0};
}

static void let_go(struct waiter *w)
{
    if (!mfi_refcount_unref(&w->holders))
        return;
    mfi_rpc_bytes_free(&w->reply);
    mf_delete(w->allocator, w);
}

static void keep_reply(void *user, mf_str message)
{
    struct waiter *w = user;
    if (w->messages++ > 0)
        return;
    w->reply.allocator = w->allocator;
    w->reply.at = mfi_copy_text(w->allocator, message);
    w->reply.len = w->reply.at != NULL ? message.len : 0;
}

static void wake(void *user, const mfi_rpc_end *end)
{
    struct waiter *w = user;
    w->code = end->code;
    w->st = end->status;
    if (end->err != NULL)
        w->err = *end->err;
    atomic_store_explicit(&w->over, true, memory_order_release);
    mfi_parker_unpark(&w->parker);
    let_go(w);
}

static mf_status read_waiter(mfi_rpc *rpc, const char *method, struct waiter *w, mfi_rpc_bytes *reply, mfi_rpc_code *code, mf_error *err)
{
    *code = w->code;
    if (w->st != MF_OK) {
        if (err != NULL)
            *err = w->err;
        return w->st;
    }
    if (w->messages != 1 || w->reply.at == NULL) {
        *code = MFI_RPC_INTERNAL;
        return w->messages == 1 ? mf_fail(err, MF_E_NOMEM, "%s: %s: no memory for the answer", rpc->what, method) :
               mf_fail(err, MF_E_IO, "%s: %s: %s", rpc->what, method, w->messages == 0 ? "it is done, and no answer came" :
                       "more than one answer came");
    }
    if (reply != NULL) {
        *reply = w->reply;
        w->reply.at = NULL;
    }
    return MF_OK;
}

mf_status mfi_rpc_unary(mfi_rpc *rpc, const char *method, mf_str request, mf_duration within, mfi_rpc_bytes *reply,
                        mfi_rpc_code *code, mf_error *err)
{
    mfi_rpc_code unused;
    code = code != NULL ? code : &unused;
    *code = MFI_RPC_UNKNOWN;
    if (reply != NULL)
        *reply = (mfi_rpc_bytes){NULL, NULL, 0};
    if (rpc_here(rpc))
        return mf_fail(err, MF_E_STATE, "%s: %s: a callback cannot wait", rpc->what, method);
    struct waiter *w = mf_new(rpc->allocator, struct waiter);
    if (w == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: %s: no memory", rpc->what, method);
    mfi_refcount_init(&w->holders);
    mfi_refcount_ref(&w->holders);
    w->allocator = rpc->allocator;
    mfi_parker_init(&w->parker);
    /* The I/O thread keeps the deadline, and knows more to say; it is late only while it resolves a name. */
    within = within == MF_FOREVER ? within : or_else(within, rpc->call_timeout);
    int64_t until = within == MF_FOREVER ? INT64_MAX :
                    mfi_deadline_ns(mfi_deadline_ns(mfi_now_ns(NULL), within), mf_milliseconds(500));
    mf_status st = mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = method, .request = request, .within = within, .message = keep_reply,
                                                      .ended = wake, .user = w}, NULL, err);
    if (st != MF_OK) {
        mfi_refcount_unref(&w->holders);
        let_go(w);
        return st;
    }
    bool over;
    while (!(over = atomic_load_explicit(&w->over, memory_order_acquire)))
        if (!mfi_parker_park(&w->parker, until))
            break;
    if (!over && !atomic_load_explicit(&w->over, memory_order_acquire)) {
        *code = MFI_RPC_DEADLINE_EXCEEDED;
        st = mf_fail(err, MF_E_TIMEOUT, "%s: %s: no answer in time; not known whether it was done", rpc->what, method);
    } else {
        st = read_waiter(rpc, method, w, reply, code, err);
    }
    let_go(w);
    return st;
}

mf_status mfi_rpc_wait_up(mfi_rpc *rpc, mf_duration timeout, mf_error *err)
{
    if (rpc_here(rpc))
        return mf_fail(err, MF_E_STATE, "%s: a callback cannot wait", rpc->what);
    if (mfi_rpc_is_forked(rpc))     /* its lock may be held by a thread that is not here */
        return mf_fail(err, MF_E_FORKED, "%s: this connection is the parent process's", rpc->what);
    int64_t until = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    struct timespec at = {until / 1000000000, until % 1000000000};
    mf_status st = MF_OK;
    pthread_mutex_lock(&rpc->lock);
    while (!rpc->up && !rpc->refused && st == MF_OK) {
        int rc = timeout == MF_FOREVER ? pthread_cond_wait(&rpc->changed, &rpc->lock) :
                 pthread_cond_timedwait(&rpc->changed, &rpc->lock, &at);
        if (rc == ETIMEDOUT)
            st = MF_E_TIMEOUT;
    }
    if (rpc->up)
        st = MF_OK;
    else
        st = mf_fail(err, rpc->refused ? rpc->why.status : MF_E_TIMEOUT, "%s", rpc->why.text);
    pthread_mutex_unlock(&rpc->lock);
    return st;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

void mfi_rpc_hurry(mfi_rpc *rpc, mf_duration within)
{
    if (mfi_rpc_is_forked(rpc))
        return;
    atomic_store_explicit(&rpc->within_max, within, memory_order_relaxed);
    atomic_store_explicit(&rpc->hurried, 1, memory_order_seq_cst);      /* releases within_max to the I/O thread */
    rpc_ring(rpc);
}

void mfi_rpc_poke(mfi_rpc *rpc)
{
    if (mfi_rpc_is_forked(rpc))
        return;
    atomic_store_explicit(&rpc->poked, 1, memory_order_seq_cst);
    rpc_ring(rpc);
}

const char *mfi_rpc_text(const mfi_rpc *rpc)
{
    return rpc->what;
}

void mfi_rpc_stats_read(const mfi_rpc *rpc, mfi_rpc_stats *out)
{
#define READ(counter) out->counter = atomic_load_explicit(&rpc->stats.counter, memory_order_relaxed)
    READ(connects);
    READ(drops);
    READ(goaways);
    READ(calls);
    READ(resent);
    READ(writes);
    READ(reads);
    READ(bytes_out);
    READ(bytes_in);
    READ(pings);
#undef READ
}
