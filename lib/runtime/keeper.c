/* One thread that takes no user lock, runs no task and draws from no source (an on_end callback it may call, where a timeout
 * ends a run): it sleeps until a timeout, a delayed message or a failed
 * publish is due. It is started by the first of them, or when the client begins to serve, and wakes for nothing else.
 *
 *    somebody new to wait for           the keeper
 *    S1  note it, under its lock        K1  look at everything, find the next time
 *    S2  unpark                         K2  park until then
 *
 * What is noted after K1 looked at it leaves a token, so that K2 does not sleep. */
#include "runtime.h"

#include "clock.h"
#include "here.h"

#define PUBLISH_RETRY mf_milliseconds(500)
#define LOOK_AGAIN_MS 100                           /* at what could not be finished this time */
#define GATHER_EVERY mf_milliseconds(5)              /* looks at outcomes that wait for others, while there are such */
#define ROUND_MS (5 * INT64_C(60) * 1000)           /* the first look at something new is not later than this */
#define ELSEWHERE_EVERY mf_milliseconds(100)        /* looks at what others may have ended or stopped, at most */

void mfi_keeper_init(mfi_keeper *k)
{
    pthread_mutex_init(&k->lock, NULL);
    k->delayed_ms = INT64_MAX;
    k->started = k->retry = k->elsewhere = k->stop = false;
    k->looked_ns = INT64_MIN;
    atomic_init(&k->left_ms, 0);
    k->left_known = false;
    atomic_init(&k->gathers, false);
    k->rounds = 0;
    k->gather_ns = INT64_MIN;
    mfi_parker_init(&k->bed);
}

#define EXPIRED_PAGE 64

/* Records that are alive past their time are told so. Nobody waits for that: one that is locked hears it later, and until then
 * it is told again at each look. */
static int64_t tick_expired(mf_client *client, int64_t now_ms)
{
    mf_key keys[EXPIRED_PAGE];
    size_t got = 0;
    int64_t next_ms = INT64_MAX;
    mf_error err = {0};
    mf_status st = mf_store_expired(client->store, EXPIRED_PAGE, keys, &got, &next_ms, &err);
    for (size_t i = 0; st == MF_OK && i < got; i++) {
        mfi_flow_event event = {.kind = MFI_EV_EXPIRE};
        mfi_dispatch(client, &keys[i], &event, false, NULL);
    }
    if (st != MF_OK)
        mfi_log_about(client, MF_LOG_WARN, NULL, err.text, "cannot look for expired records, trying again");
    if (st == MF_OK && got == EXPIRED_PAGE)
        return now_ms + 1;      /* there are more */
    return st == MF_OK && next_ms > now_ms ? next_ms : now_ms + LOOK_AGAIN_MS;
}

/* Delayed messages that are due go to the manager. Returns when the next ones are, in ns of the client's clock. */
static int64_t tick_delayed(mf_client *client, int64_t now_ns)
{
    mfi_keeper *k = &client->keeper;
    int64_t now_ms = mf_store_now_ms(client->store);
    pthread_mutex_lock(&k->lock);
    bool due = k->delayed_ms <= now_ms;
    if (due)
        k->delayed_ms = INT64_MAX;
    pthread_mutex_unlock(&k->lock);
    int64_t next_ms = INT64_MAX;
    if (due) {
        mfi_outbox_publish(client);     /* notes the next due time itself */
        next_ms = mf_adapter_due(client->adapter);
        int64_t at_ms = mfi_dispatcher_tick(client, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        at_ms = tick_expired(client, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        at_ms = mfi_storing_tick(client, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    pthread_mutex_lock(&k->lock);
    if (next_ms < k->delayed_ms)
        k->delayed_ms = next_ms;
    next_ms = k->delayed_ms;
    pthread_mutex_unlock(&k->lock);
    if (next_ms == INT64_MAX)
        return INT64_MAX;
    return now_ns + (next_ms > now_ms ? next_ms - now_ms : 0) * 1000000 + 1;
}

static int64_t tick_retry(mf_client *client, int64_t now_ns)
{
    mfi_keeper *k = &client->keeper;
    pthread_mutex_lock(&k->lock);
    bool retry = k->retry;
    k->retry = false;
    pthread_mutex_unlock(&k->lock);
    return retry ? now_ns + PUBLISH_RETRY : INT64_MAX;
}

/* Others commit often; a look costs as much as runs here. So there is one now and then. */
static int64_t tick_elsewhere(mf_client *client, int64_t now_ns)
{
    mfi_keeper *k = &client->keeper;
    pthread_mutex_lock(&k->lock);
    bool look = k->elsewhere, early = look && k->looked_ns > now_ns - ELSEWHERE_EVERY;
    if (look && !early)
        k->elsewhere = false;
    pthread_mutex_unlock(&k->lock);
    if (early)
        return k->looked_ns + ELSEWHERE_EVERY;
    if (look) {
        k->looked_ns = now_ns;
        mfi_observers_look(client);
        mfi_control_look(client);
        mfi_keeper_delayed(client, mf_store_now_ms(client->store));     /* what they left may be due, or overdue */
    }
    return INT64_MAX;
}

/* Outcomes that wait for a delivery to end, which may take any time, wait for one to two of these looks at most. Where none
 * waited since the last look, there is no next one.
 *
 *    who keeps an outcome back          the keeper
 *    G1  rounds += 1                    L1  gathers = false
 *    G2  read gathers: wake if false    L2  read rounds: go on if there was another
 *
 * All four are seq_cst, so that one of the two sees the other. */
static int64_t tick_gathered(mf_client *client, int64_t now_ns)
{
    mfi_keeper *k = &client->keeper;
    mfi_dispatcher *d = &client->dispatcher;
    if (!atomic_load_explicit(&k->gathers, memory_order_acquire))
        return INT64_MAX;
    if (now_ns < k->gather_ns)
        return k->gather_ns;
    uint32_t rounds = atomic_load_explicit(&d->later_rounds, memory_order_seq_cst);
    if (rounds == k->rounds && atomic_load_explicit(&d->later_count, memory_order_acquire) > 0) {
        mfi_dispatch_flush(client);
    } else if (rounds == k->rounds) {
        atomic_store_explicit(&k->gathers, false, memory_order_seq_cst);
        if (atomic_load_explicit(&d->later_rounds, memory_order_seq_cst) == rounds)
            return INT64_MAX;
        atomic_store_explicit(&k->gathers, true, memory_order_seq_cst);
    }
    k->rounds = rounds;
    k->gather_ns = now_ns + GATHER_EVERY;
    return k->gather_ns;
}

bool mfi_keeper_is_here(void)
{
    return mfi_here.on_keeper;
}

static void *keep(void *arg)
{
    mf_client *client = arg;
    mfi_here.on_keeper = true;
    mfi_keeper *k = &client->keeper;
    int64_t publish_at = INT64_MAX;
    for (;;) {
        pthread_mutex_lock(&k->lock);
        bool stop = k->stop;
        pthread_mutex_unlock(&k->lock);
        if (stop)
            return NULL;
        int64_t now = mfi_now_ns(client->clock);
        if (publish_at <= now) {
            publish_at = INT64_MAX;
            mfi_outbox_publish(client);
        }
        int64_t again = tick_retry(client, now);
        if (again < publish_at)
            publish_at = again;
        int64_t next = publish_at;
        int64_t at = mfi_control_tick(client, now);
        next = at < next ? at : next;
        at = mfi_leases_tick(client, now);
        next = at < next ? at : next;
        at = tick_gathered(client, now);
        next = at < next ? at : next;
        at = tick_elsewhere(client, now);
        next = at < next ? at : next;
        at = tick_delayed(client, now);
        next = at < next ? at : next;
        /* `next` is in the client's time, the bed knows the system's. */
        (void)mfi_parker_park(&k->bed, next == INT64_MAX ? next : mfi_deadline_ns(mfi_now_ns(NULL), next - now));
    }
}

/* Gives false: there is no thread to be had. */
static bool start(mf_client *client)
{
    mfi_keeper *k = &client->keeper;
    pthread_mutex_lock(&k->lock);
    if (!k->started && !k->stop)
        k->started = mfi_thread_start(&k->thread, keep, client);
    bool started = k->started || k->stop;
    pthread_mutex_unlock(&k->lock);
    return started;
}

void mfi_keeper_begin(mf_client *client)
{
    (void)start(client);    /* without a thread now, the first to wait for something asks again */
}

static void changed(mf_client *client)
{
    mfi_keeper *k = &client->keeper;
    if (!start(client))
        mfi_log(client, MF_LOG_ERROR, "no thread for timers: timeouts and delays wait until the next one can be started");
    mfi_parker_unpark(&k->bed);
}

void mfi_keeper_look(mf_client *client)
{
    changed(client);
}

void mfi_keeper_gathers(mf_client *client)
{
    atomic_bool *gathers = &client->keeper.gathers;
    if (!atomic_load_explicit(gathers, memory_order_seq_cst) && !atomic_exchange_explicit(gathers, true, memory_order_seq_cst))
        changed(client);
}

/* A flow that begins may live for a day, and where it ends its record goes after some minutes: so that its end need not wake the
 * keeper once more, the first look is early enough for both. */
void mfi_keeper_delayed(mf_client *client, int64_t due_ms)
{
    mfi_keeper *k = &client->keeper;
    int64_t round_ms = mf_store_now_ms(client->store) + ROUND_MS;
    pthread_mutex_lock(&k->lock);
    bool earlier = due_ms < k->delayed_ms;
    if (earlier)
        k->delayed_ms = due_ms < round_ms ? due_ms : round_ms;
    pthread_mutex_unlock(&k->lock);
    if (earlier)
        changed(client);
}

void mfi_keeper_retry(mf_client *client)
{
    pthread_mutex_lock(&client->keeper.lock);
    client->keeper.retry = true;
    pthread_mutex_unlock(&client->keeper.lock);
    changed(client);
}

void mfi_keeper_elsewhere(mf_client *client)
{
    pthread_mutex_lock(&client->keeper.lock);
    bool known = client->keeper.elsewhere;
    client->keeper.elsewhere = true;
    pthread_mutex_unlock(&client->keeper.lock);
    if (!known)
        changed(client);
}

void mfi_keeper_stop(mf_client *client)
{
    mfi_keeper *k = &client->keeper;
    pthread_mutex_lock(&k->lock);
    bool started = k->started;
    k->stop = true;
    pthread_mutex_unlock(&k->lock);
    if (!started)
        return;
    mfi_parker_unpark(&k->bed);
    mfi_thread_join(&k->thread);
}
