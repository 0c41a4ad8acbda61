/* Telling others, with no lock held.
 *
 * A watcher is marked busy while it is called, and one that is going away is unlinked only when it is not: so unwatch
 * returns after the last call, and whoever walks the list finds the node it stands on still in it. */
#include "memory_store.h"

struct mfi_watcher {
    struct mfi_watcher *next;
    mf_store_watch      watch;
    unsigned            calls;    /* running now */
    bool                gone;     /* not to be called any more */
};

mf_status mfi_memory_watch(mf_store *base, const mf_store_watch *watch)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_watcher *w = mf_new(m->allocator, struct mfi_watcher);
    if (w == NULL)
        return MF_E_NOMEM;
    w->watch = *watch;
    mfi_mutex_lock(&m->watch_lock);
    w->next = m->watchers;
    m->watchers = w;
    mfi_mutex_unlock(&m->watch_lock);
    return MF_OK;
}

/* Under watch_lock. The next one that nobody else takes away already. */
static struct mfi_watcher **find(struct mfi_memory *m, const void *user)
{
    struct mfi_watcher **link = &m->watchers;
    while (*link != NULL && (*link)->watch.user != user)
        link = &(*link)->next;
    return link;
}

void mfi_memory_unwatch(mf_store *base, void *user)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->watch_lock);
    struct mfi_watcher **link;
    while (*(link = find(m, user)) != NULL) {
        struct mfi_watcher *w = *link;
        w->gone = true;
        if (w->calls > 0) {
            uint32_t prepared = mfi_event_prepare(&m->watch_idle);
            mfi_mutex_unlock(&m->watch_lock);
            mfi_event_wait(&m->watch_idle, prepared, INT64_MAX);
            mfi_event_finish(&m->watch_idle);
            mfi_mutex_lock(&m->watch_lock);
            continue;    /* the list may be another one by now */
        }
        *link = w->next;
        mf_delete(m->allocator, w);
    }
    mfi_mutex_unlock(&m->watch_lock);
}

static void call(const mf_store_watch *watch, const struct mfi_news *news)
{
    if (news->ready > 0 && watch->ready != NULL)
        watch->ready(watch->user, news->ready);
    if (news->delayed_ms != INT64_MAX && watch->delayed != NULL)
        watch->delayed(watch->user, news->delayed_ms);
    for (size_t i = 0; news->ended && watch->ended != NULL && i < news->written_count; i++)
        if (news->written[i].ended != NULL)
            watch->ended(watch->user, news->written[i].ended);
}

static bool concerns(const mf_store_watch *watch, const struct mfi_news *news)
{
    return (news->ready > 0 && watch->ready != NULL) || (news->delayed_ms != INT64_MAX && watch->delayed != NULL) ||
           (news->ended && watch->ended != NULL);
}

void mfi_watch_tell(struct mfi_memory *m, const struct mfi_news *news)
{
    if (news->ready == 0 && news->delayed_ms == INT64_MAX && !news->ended)
        return;
    mfi_mutex_lock(&m->watch_lock);
    for (struct mfi_watcher *w = m->watchers; w != NULL; w = w->next) {
        if (w->gone || !concerns(&w->watch, news))
            continue;
        w->calls++;
        mfi_mutex_unlock(&m->watch_lock);
        call(&w->watch, news);
        mfi_mutex_lock(&m->watch_lock);
        if (--w->calls == 0 && w->gone)
            mfi_event_notify(&m->watch_idle, UINT32_MAX);
    }
    mfi_mutex_unlock(&m->watch_lock);
}

void mfi_watch_ready(struct mfi_memory *m, size_t n)
{
    if (n > 0)
        mfi_watch_tell(m, &(struct mfi_news){.ready = n, .delayed_ms = INT64_MAX});
}

void mfi_watch_fini(struct mfi_memory *m)
{
    while (m->watchers != NULL) {
        struct mfi_watcher *w = m->watchers;
        m->watchers = w->next;
        mf_delete(m->allocator, w);
    }
}
