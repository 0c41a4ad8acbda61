/* Hearing of what others do.
 *
 * Each commit moves a counter in the server, and its answer says how far. One that others may wait for (a status changed,
 * a message became due) also writes into a stream of one entry. A thread, begun with the first watcher who asks for it, waits
 * for that on the link's second connection; then, and every s->poll in any case, it looks at the counter: if it moved beyond
 * what our own commits were told, somebody else's did it. While nothing moves the looks become rarer, down to one in
 * QUIET_MOST times that: what begins anything writes into the stream. Results of a swarm's items wake nobody. */
#include "store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"

#define QUIET_MOST 8

/* ---- hearing ---------------------------------------------------------------------------------------------------- */

void mfi_rs_committed(struct mfi_rs *s, uint64_t count)
{
    /* Ours alone moves it by one. A greater step is left for the listener to find: between may be others' commits, or ours
     * whose answers are still on their way, for which one needless call is cheap. */
    uint64_t before = count - 1;
    atomic_compare_exchange_strong_explicit(&s->commits_seen, &before, count, memory_order_relaxed, memory_order_relaxed);
}

/* Ours may move it on while we ask; then it is asked again. */
static bool moved(struct mfi_rs *s)
{
    for (int tries = 0; tries < 4; tries++) {
        mfi_redis_request *rq = mfi_redis_request_create(s->link);
        mfi_redis_replies *r;
        mfi_redis_add(rq, MF_STR_LIT("GET"), MF_STR_LIT(MFI_RS_PREFIX "x"));
        uint64_t before = atomic_load_explicit(&s->commits_seen, memory_order_relaxed);
        if (mfi_rs_ask(s, rq, &r, NULL) != MF_OK)
            return false;
        uint64_t count = mfi_rs_uint(&r->at[0]);
        mfi_redis_replies_destroy(r);
        if (count == before)
            return false;
        if (atomic_compare_exchange_strong_explicit(&s->commits_seen, &before, count, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return true;    /* a needless look is cheap */
}

/* Where the stream stands: what comes after it is news. */
static void find_last(struct mfi_rs *s, char last[48])
{
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r = NULL;
    snprintf(last, 48, "0-0");
    mfi_redis_add(rq, MF_STR_LIT("XREVRANGE"), MF_STR_LIT(MFI_RS_WAKE), MF_STR_LIT("+"), MF_STR_LIT("-"), MF_STR_LIT("COUNT"),
                  MF_STR_LIT("1"));
    if (mfi_rs_ask(s, rq, &r, NULL) == MF_OK && r->at[0].count == 1 && r->at[0].items[0].count == 2)
        snprintf(last, 48, "%s", r->at[0].items[0].items[0].text.at);
    mfi_redis_replies_destroy(r);
}

/* Until something is written there (*news), or that time is over. False: it cannot be waited for (no permission, no
 * connection). */
static bool wait_for_news(struct mfi_rs *s, mf_duration time, char last[48], bool *news)
{
    char block[24];
    mfi_redis_request *rq = mfi_redis_request_create(s->link);
    mfi_redis_replies *r = NULL;
    mfi_redis_add(rq, MF_STR_LIT("XREAD"), MF_STR_LIT("BLOCK"),
                  mf_str_of(block, (size_t)snprintf(block, sizeof block, "%lld", (long long)(time / 1000000))),
                  MF_STR_LIT("STREAMS"), MF_STR_LIT(MFI_RS_WAKE), mf_cstr(last));
    mf_status st = mfi_redis_call(s->link, rq, MFI_REDIS_HOW(.within = MF_FOREVER, .blocking = true, .blocks = time), &r, NULL);
    *news = st == MF_OK && r->at[0].type == MFI_REDIS_ARRAY && r->at[0].count == 1 && r->at[0].items[0].count == 2;
    if (*news) {
        const mfi_redis_reply *entries = &r->at[0].items[0].items[1];
        if (entries->count > 0 && entries->items[entries->count - 1].count == 2)
            snprintf(last, 48, "%s", entries->items[entries->count - 1].items[0].text.at);
    }
    mfi_redis_replies_destroy(r);
    return st == MF_OK;
}

/* The lock is held. */
static void pause_until(struct mfi_rs *s, int64_t until)
{
    struct timespec at = {until / 1000000000, until % 1000000000};
    while (!s->closing && pthread_cond_timedwait(&s->listen, &s->listener_lock, &at) != ETIMEDOUT)
        ;
}

static void *listen(void *arg)
{
    struct mfi_rs *s = arg;
    char last[48];
    mf_duration time = s->poll;
    find_last(s, last);
    pthread_mutex_lock(&s->listener_lock);
    while (!s->closing) {       /* the first look is for what came before the stream was looked at */
        pthread_mutex_unlock(&s->listener_lock);
        int64_t looked = mfi_now_ns(NULL);
        bool news = false, others = moved(s);
        if (others)
            mfi_watchers_tell(&s->watchers, &(struct mfi_news){.delayed_ms = INT64_MAX, .elsewhere = true});
        time = others ? s->poll : time < QUIET_MOST * s->poll ? 2 * time : time;
        bool waited = wait_for_news(s, time, last, &news);
        pthread_mutex_lock(&s->listener_lock);
        if (!waited) {
            time = s->poll;
            pause_until(s, mfi_now_ns(NULL) + mf_milliseconds(MFI_RS_POLL_MS));
        } else if (news) {      /* many commits of others are one piece of news; the first after a while is looked at at once */
            pause_until(s, looked + mf_milliseconds(MFI_RS_REST_MS));
        }
    }
    s->listened = true;
    pthread_cond_broadcast(&s->listener_ended);
    pthread_mutex_unlock(&s->listener_lock);
    return NULL;
}

/* The interrupt may come before the wait that it is to end. */
static void stop_listening(struct mfi_rs *s)
{
    pthread_mutex_lock(&s->listener_lock);
    s->closing = true;
    pthread_cond_broadcast(&s->listen);
    bool listening = s->listening;
    while (listening && !s->listened) {
        pthread_mutex_unlock(&s->listener_lock);
        mfi_redis_interrupt(s->link);
        pthread_mutex_lock(&s->listener_lock);
        int64_t until = mfi_now_ns(NULL) + mf_milliseconds(20);
        struct timespec at = {until / 1000000000, until % 1000000000};
        if (!s->listened)
            pthread_cond_timedwait(&s->listener_ended, &s->listener_lock, &at);
    }
    pthread_mutex_unlock(&s->listener_lock);
    if (listening)
        pthread_join(s->listener, NULL);
}

/* ---- watchers --------------------------------------------------------------------------------------------------- */

static bool listener_start(struct mfi_rs *s)
{
    pthread_mutex_lock(&s->listener_lock);
    if (!s->listening)
        s->listening = pthread_create(&s->listener, NULL, listen, s) == 0;
    bool listening = s->listening;
    pthread_mutex_unlock(&s->listener_lock);
    return listening;
}

mf_status mfi_rs_watch(mf_store *base, const mf_store_watch *watch)
{
    struct mfi_rs *s = mfi_rs_of(base);
    if (watch->elsewhere != NULL && !listener_start(s))
        return MF_E_NOMEM;
    return mfi_watchers_add(&s->watchers, watch);
}

void mfi_rs_unwatch(mf_store *base, void *user)
{
    mfi_watchers_remove(&mfi_rs_of(base)->watchers, user);
}

void mfi_rs_watch_fini(struct mfi_rs *s)
{
    stop_listening(s);
    mfi_watchers_fini(&s->watchers);
}
