/* Leaving: a worker that stops takes what the engine had for it, and is not seen by then.
 *
 * The engine's scheduler assigns from a list of free slots that it renews every 1.0 to 1.5 s and trusts for 1.5 s (0.99.1,
 * pkg/scheduling/v1). Whoever ends his stream at once is assigned tasks for so long: the engine finds nobody to send them to,
 * counts an attempt of each, and assigns them once more. And what was on its way just then is lost for 30 s. So the stream of actions
 * stays open, and
 *
 *   1. the engine is made to take us for inactive, from where on its list has no slots of ours. It does so at the end of any stream
 *      of ours: a second one is opened for a moment (glimpse). About every other time it misses that end (it compares the time at which
 *      the stream began, in nanoseconds, with what its database has rounded to milliseconds), which a heartbeat tells: it is
 *      refused while we are inactive. So there is one glimpse after the other until it is;
 *   2. we linger until the old list is forgotten; what still comes is run like any other;
 *   3. what runs ends. An inactive worker's heartbeats do not count, and at 30 s without one the engine gives its tasks to another, also
 *      those that still run. So every 10 s it is seen for a moment again, and goes out of sight again as before;
 *   4. Unsubscribe: nothing is sent any more, and what is on its way arrives. Only then does the stream end.
 *
 * A glimpse is ended by its deadline, which the engine keeps, too: unlike a canceled stream it loses nothing. */
#include "hatchet.h"

#include <time.h>

#include "clock.h"

#define LOOK_EVERY mf_milliseconds(50)
#define LOOK_WITHIN mf_seconds(2)
#define GLIMPSE mf_milliseconds(100)        /* a busy engine gets longer ones: twice, four and eight times */
#define HIDE_WITHIN mf_seconds(6)           /* beside the time that is lingered */
#define SILENT_MAX 3                        /* looks in a row without an answer */
#define AWAY_MAX 20                         /* and without a connection */
#define SEEN_EVERY mf_seconds(10)           /* at 30 s without a heartbeat the engine takes us for dead */
#define SETTLE mf_milliseconds(100)

typedef enum sight { SEEN, UNSEEN, SILENT } sight;

static void pause_for(mf_duration span)
{
    struct timespec t = {span / 1000000000, span % 1000000000};
    nanosleep(&t, NULL);
}

static void copy_id(hatchet *h, char id[HATCHET_ID_MAX])
{
    pthread_mutex_lock(&h->lock);
    memcpy(id, h->worker_id, HATCHET_ID_MAX);
    pthread_mutex_unlock(&h->lock);
}

/* A heartbeat: it counts if we are seen. */
static sight look(hatchet *h)
{
    char id[HATCHET_ID_MAX];
    HatchetPb__Timestamp now = hatchet_now(h);
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    mfi_rpc_code code = MFI_RPC_OK;
    copy_id(h, id);
    w.worker_id = id;
    w.heartbeat_at = &now;
    if (hatchet_call(h, "/Dispatcher/Heartbeat", &w.base, LOOK_WITHIN, NULL, NULL, &code, NULL) == MF_OK)
        return SEEN;
    return code == MFI_RPC_FAILED_PRECONDITION || code == MFI_RPC_NOT_FOUND ? UNSEEN : SILENT;
}

/* The n-th in a row. */
static void glimpse(hatchet *h, unsigned n)
{
    mf_duration span = GLIMPSE << (n < 3 ? n : 3);
    if (hatchet_listen_shortly(h, span) == MF_OK)
        pause_for(span);
}

/* Until the engine has not seen us for `span`. False: it does, or says nothing. */
static bool hide(hatchet *h, mf_duration span)
{
    int64_t now = mfi_now_ns(NULL), until = mfi_deadline_ns(now, span + HIDE_WITHIN), unseen_since = -1;
    unsigned silent = 0, away = 0, glimpses = 0;
    while (now < until && silent < SILENT_MAX && away < AWAY_MAX) {
        if (!hatchet_is_connected(h)) {
            away++;
            pause_for(LOOK_EVERY);
            now = mfi_now_ns(NULL);
            continue;
        }
        away = 0;
        sight s = look(h);
        now = mfi_now_ns(NULL);
        silent = s == SILENT ? silent + 1 : 0;
        if (s == UNSEEN && unseen_since < 0)
            unseen_since = now;
        if (s == UNSEEN && now - unseen_since >= span)
            return true;
        if (s == SEEN) {
            unseen_since = -1;      /* also after a glimpse that began late, on a busy engine */
            glimpse(h, glimpses++);
        }
        pause_for(LOOK_EVERY);
    }
    return false;
}

/* A heartbeat counts. */
static void show(hatchet *h)
{
    if (hatchet_listen_shortly(h, GLIMPSE << 3) != MF_OK)
        return;
    for (unsigned i = 0; i < 16 && hatchet_is_connected(h) && look(h) == UNSEEN; i++)
        pause_for(LOOK_EVERY);
}

static bool ends_within(hatchet *h, mf_duration span)
{
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), span);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    bool late = false;
    pthread_mutex_lock(&h->lock);
    while (!late && h->job_count > 0)
        late = pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0;
    bool ended = h->job_count == 0;
    pthread_mutex_unlock(&h->lock);
    return ended;
}

static void unsubscribe(hatchet *h)
{
    HatchetPb__Worker w = HATCHET_PB__WORKER__INIT;
    char id[HATCHET_ID_MAX];
    mf_error err = {0};
    copy_id(h, id);
    w.worker_id = id;
    if (hatchet_call(h, "/Dispatcher/Unsubscribe", &w.base, LOOK_WITHIN, NULL, NULL, NULL, &err) != MF_OK)
        hatchet_log(h, MF_LOG_WARN, "no good-bye: %s", err.text);
}

void hatchet_leave(hatchet *h)
{
    bool hidden = hide(h, h->options.linger);
    pthread_mutex_lock(&h->lock);
    h->serving = false;         /* from here on what has not begun is for others, but for what comes now */
    pthread_mutex_unlock(&h->lock);
    mf_pool_wake_helpers(h->pool);
    while (!ends_within(h, SEEN_EVERY)) {
        show(h);
        hidden = hide(h, h->options.linger);
    }
    bool there = hatchet_is_connected(h);       /* one that is gone gives nothing to anybody */
    if (!hidden && there)
        hatchet_log(h, MF_LOG_WARN, "the engine does not say that this worker is inactive: what it sends here in the next seconds "
                    "runs 30 s later");
    if (there) {
        unsubscribe(h);
        pause_for(SETTLE);
    }
    pthread_mutex_lock(&h->lock);
    h->gone = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
    while (!ends_within(h, SEEN_EVERY)) {       /* what came last */
    }
}
