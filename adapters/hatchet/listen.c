/* The stream of actions, and the heartbeat.
 *
 * A worker that is deaf learns it in three ways: the stream ends (also in good order: the engine hands over), a heartbeat is
 * refused because the engine sees no stream, or because it does not know the worker any more. The first two open the stream
 * again, the last one registers again, and tells the definitions again, since the engine may have a new, empty database; all of
 * it on the I/O thread, which no task can hold up. */
#include "hatchet.h"

#include "clock.h"
#include "memory.h"

#define BEAT_EVERY mf_milliseconds(2500)        /* the engine sends nothing more to one that is 5 s old */
#define BEAT_SOON mf_milliseconds(300)          /* after a stream was opened again */
#define BEAT_WITHIN mf_seconds(5)
#define SHORTLY_GRACE mf_seconds(1)             /* in which what the engine sent before it ended a stream arrives */
#define DEFINE_AGAIN_AFTER mf_seconds(2)
#define START_STEP_RUN 0
#define CANCEL_STEP_RUN 1

static bool copy_worker_id(hatchet *h, char id[HATCHET_ID_MAX])
{
    pthread_mutex_lock(&h->lock);
    bool attached = h->attached;
    memcpy(id, h->worker_id, HATCHET_ID_MAX);
    pthread_mutex_unlock(&h->lock);
    return attached;
}

static bool is_leaving(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool leaving = h->leaving || !h->attached;
    pthread_mutex_unlock(&h->lock);
    return leaving;
}

static bool is_gone(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool gone = h->gone;
    pthread_mutex_unlock(&h->lock);
    return gone;
}

/* ---- registering again ------------------------------------------------------------------------------------------------ */

static void registered(void *user, mf_str message)
{
    hatchet *h = user;
    HatchetPb__Registered *r = hatchet_pb__registered__unpack(NULL, message.len, (const uint8_t *)message.at);
    if (r != NULL && r->worker_id != NULL && strlen(r->worker_id) < HATCHET_ID_MAX) {
        pthread_mutex_lock(&h->lock);
        memcpy(h->worker_id, r->worker_id, strlen(r->worker_id) + 1);
        pthread_mutex_unlock(&h->lock);
    }
    hatchet_pb__registered__free_unpacked(r, NULL);
}

static void registering_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    h->registering = false;
    if (end->status != MF_OK && !is_leaving(h) && !io_token_refused(h, end))
        hatchet_log(h, MF_LOG_WARN, "cannot register again: %s", end->err->text);
    h->listen_ns = mfi_now_ns(h->clock) + (end->status == MF_OK ? 0 : mfi_retry_next(&h->listen_retry, NULL));
    mfi_rpc_poke(h->rpc);
}

static void defined(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    if (end->status == MF_OK || is_leaving(h))
        return;
    hatchet_log(h, MF_LOG_WARN, "a task could not be defined again: %s", end->err->text);
    bool later = end->code == MFI_RPC_UNAVAILABLE || end->code == MFI_RPC_DEADLINE_EXCEEDED || end->code == MFI_RPC_RESOURCE_EXHAUSTED;
    if (later && h->define_ns == 0) {
        h->define_ns = mfi_now_ns(h->clock) + DEFINE_AGAIN_AFTER;
        mfi_rpc_poke(h->rpc);
    }
}

static void define_again(hatchet *h)
{
    mf_error err = {0};
    h->define_ns = 0;
    if (io_define_again(h, defined, &err) != MF_OK) {
        hatchet_log(h, MF_LOG_WARN, "the tasks could not be defined again: %s", err.text);
        h->define_ns = mfi_now_ns(h->clock) + DEFINE_AGAIN_AFTER;
    }
}

static void register_again(hatchet *h)
{
    hatchet_bytes bytes;
    if (h->registering || hatchet_register_pack(h, &bytes, NULL) != MF_OK)
        return;
    hatchet_log(h, MF_LOG_WARN, "the engine does not know this worker any more: it registers again");
    h->registering = mfi_rpc_begin(h->rpc, &(mfi_rpc_spec){.method = "/Dispatcher/Register", .request = hatchet_str(&bytes),
                                   .within = mf_seconds(30), .message = registered, .ended = registering_ended, .user = h},
                                   NULL, NULL) == MF_OK;
    hatchet_bytes_free(&bytes);
    if (h->registering)
        define_again(h);
    if (h->registering && h->listen != NULL)
        mfi_rpc_cancel(h->listen);
}

/* ---- the stream ------------------------------------------------------------------------------------------------------- */

static void on_action(void *user, mf_str message)
{
    hatchet *h = user;
    HatchetPb__Action *action = hatchet_pb__action__unpack(NULL, message.len, (const uint8_t *)message.at);
    if (action == NULL || action->task_run_external_id == NULL || strlen(action->task_run_external_id) >= HATCHET_ID_MAX) {
        hatchet_log(h, MF_LOG_ERROR, "an action that cannot be read");
        hatchet_pb__action__free_unpacked(action, NULL);
        return;
    }
    mfi_retry_reset(&h->listen_retry);
    if (action->action_type == START_STEP_RUN) {
        io_start(h, action);
    } else if (action->action_type == CANCEL_STEP_RUN) {
        io_cancel(h, action);
    } else {
        hatchet_log(h, MF_LOG_WARN, "an action of the type %d, which is none of ours", (int)action->action_type);
        hatchet_pb__action__free_unpacked(action, NULL);
    }
}

static void listen_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    int64_t now = mfi_now_ns(h->clock);
    mfi_rpc_call_unref(h->listen);
    h->listen = NULL;
    if (is_leaving(h) || h->registering)
        return;
    if (now - h->listened_ns >= mf_seconds(1))
        mfi_retry_reset(&h->listen_retry);
    h->listen_ns = now + mfi_retry_next(&h->listen_retry, NULL);
    io_is_deaf(h, end->status == MF_OK ? "the stream of actions ended in good order" : end->err->text);
    if (end->code == MFI_RPC_NOT_FOUND)
        register_again(h);
    else if (!io_token_refused(h, end))
        hatchet_log(h, end->status == MF_OK ? MF_LOG_INFO : MF_LOG_WARN, "the stream of actions ended, it is opened again: %s",
                    end->status == MF_OK ? "in good order" : end->err->text);
    mfi_rpc_poke(h->rpc);
}

static void listen_open(hatchet *h, int64_t now)
{
    char id[HATCHET_ID_MAX];
    (void)copy_worker_id(h, id);
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    w.worker_id = id;
    h->listened_ns = now;
    if (hatchet_begin(h, "/Dispatcher/ListenV2", &w.base, MF_FOREVER, on_action, listen_ended, h, &h->listen, NULL) != MF_OK)
        h->listen_ns = now + mfi_retry_next(&h->listen_retry, NULL);
    else if (hatchet_is_deaf(h))
        h->beat_ns = now + BEAT_SOON;       /* which tells whether the engine sees it */
}

mf_status hatchet_listen_shortly(hatchet *h, mf_duration span)
{
    char id[HATCHET_ID_MAX];
    hatchet_bytes bytes;
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    (void)copy_worker_id(h, id);
    w.worker_id = id;
    mf_status st = hatchet_pack(h, &w.base, &bytes, NULL);
    if (st != MF_OK)
        return st;
    st = mfi_rpc_begin(h->rpc, &(mfi_rpc_spec){.method = "/Dispatcher/ListenV2", .request = hatchet_str(&bytes), .message = on_action,
                       .within = span + SHORTLY_GRACE, .grace = SHORTLY_GRACE, .user = h}, NULL, NULL);
    hatchet_bytes_free(&bytes);
    return st;
}

/* ---- the heartbeat ---------------------------------------------------------------------------------------------------- */

static void beat_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    h->beating = false;
    if (is_leaving(h))
        return;
    if (end->status == MF_OK) {
        h->token_told = false;
        if (h->listen != NULL && io_hears(h))
            hatchet_log(h, MF_LOG_INFO, "the engine sees this worker's stream again");
        return;
    }
    io_is_deaf(h, end->err->text);
    if (end->code == MFI_RPC_NOT_FOUND) {
        register_again(h);
    } else if (end->code == MFI_RPC_FAILED_PRECONDITION) {
        /* The engine sees no stream, whatever we see of it. One that was just opened may not be known yet. */
        if (h->listen != NULL && mfi_now_ns(h->clock) - h->listened_ns >= mf_seconds(1))
            mfi_rpc_cancel(h->listen);
    } else if (!io_token_refused(h, end)) {
        hatchet_log(h, MF_LOG_WARN, "a heartbeat did not arrive: %s", end->err->text);
    }
}

static void beat(hatchet *h)
{
    char id[HATCHET_ID_MAX];
    if (!copy_worker_id(h, id) || h->beating)
        return;
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    w.worker_id = id;
    w.heartbeat_at = &now;
    h->beating = hatchet_begin(h, "/Dispatcher/Heartbeat", &w.base, BEAT_WITHIN, NULL, beat_ended, h, NULL, NULL) == MF_OK;
}

int64_t io_listen_tick(hatchet *h, int64_t now)
{
    char id[HATCHET_ID_MAX];
    if (!copy_worker_id(h, id))
        return INT64_MAX;
    if (is_gone(h)) {
        if (h->listen != NULL)
            mfi_rpc_cancel(h->listen);
    } else if (!is_leaving(h) && h->listen == NULL && !h->registering && now >= h->listen_ns) {
        listen_open(h, now);
    }
    if (now >= h->beat_ns) {
        beat(h);
        h->beat_ns = now + BEAT_EVERY;
    }
    if (h->define_ns != 0 && now >= h->define_ns && !is_leaving(h))
        define_again(h);
    int64_t next = h->beat_ns;
    if (h->listen == NULL && !h->registering && !is_leaving(h) && h->listen_ns < next)
        next = h->listen_ns;
    if (h->define_ns != 0 && !is_leaving(h) && h->define_ns < next)
        next = h->define_ns;
    return next;
}
