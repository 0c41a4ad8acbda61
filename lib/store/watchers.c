/* A watcher is marked busy while it is called, and one that is going away is unlinked only when it is not: so remove returns
 * after the last call, and whoever walks the list finds the node it stands on still in it. */
#include "watchers.h"

#include "memory.h"

struct mfi_watcher {
    struct mfi_watcher *next;
    mf_store_watch      watch;
    unsigned            calls;    /* running now */
    bool                gone;     /* not to be called any more */
};

void mfi_watchers_init(struct mfi_watchers *w, const mf_allocator *allocator)
{
    w->allocator = allocator;
    w->first = NULL;
    mfi_mutex_init(&w->lock);
    mfi_event_init(&w->idle);
}

void mfi_watchers_fini(struct mfi_watchers *w)
{
    while (w->first != NULL) {
        struct mfi_watcher *at = w->first;
        w->first = at->next;
        mf_delete(w->allocator, at);
    }
}

mf_status mfi_watchers_add(struct mfi_watchers *w, const mf_store_watch *watch)
{
    struct mfi_watcher *at = mf_new(w->allocator, struct mfi_watcher);
    if (at == NULL)
        return MF_E_NOMEM;
    at->watch = *watch;
    mfi_mutex_lock(&w->lock);
    at->next = w->first;
    w->first = at;
    mfi_mutex_unlock(&w->lock);
    return MF_OK;
}

/* Under the lock. The next one of that user. */
static struct mfi_watcher **find(struct mfi_watchers *w, const void *user)
{
    struct mfi_watcher **link = &w->first;
    while (*link != NULL && (*link)->watch.user != user)
        link = &(*link)->next;
    return link;
}

void mfi_watchers_remove(struct mfi_watchers *w, const void *user)
{
    mfi_mutex_lock(&w->lock);
    struct mfi_watcher **link;
    while (*(link = find(w, user)) != NULL) {
        struct mfi_watcher *at = *link;
        at->gone = true;
        if (at->calls > 0) {
            uint32_t prepared = mfi_event_prepare(&w->idle);
            mfi_mutex_unlock(&w->lock);
            mfi_event_wait(&w->idle, prepared, INT64_MAX);
            mfi_event_finish(&w->idle);
            mfi_mutex_lock(&w->lock);
            continue;    /* the list may be another one by now */
        }
        *link = at->next;
        mf_delete(w->allocator, at);
    }
    mfi_mutex_unlock(&w->lock);
}

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static bool concerns(const mf_store_watch *watch, const struct mfi_news *news)
{
    return (news->ready > 0 && watch->ready != NULL) || (news->delayed_ms != INT64_MAX && watch->delayed != NULL)
        || (news->ended_count > 0 && watch->ended != NULL) || (news->elsewhere && watch->elsewhere != NULL);
}

static void call(const mf_store_watch *watch, const struct mfi_news *news)
{
    if (news->ready > 0 && watch->ready != NULL)
        watch->ready(watch->user, news->ready);
    if (news->delayed_ms != INT64_MAX && watch->delayed != NULL)
        watch->delayed(watch->user, news->delayed_ms);
    for (size_t i = 0; watch->ended != NULL && i < news->ended_count; i++)
        watch->ended(watch->user, news->ended[i]);
    if (news->elsewhere && watch->elsewhere != NULL)
        watch->elsewhere(watch->user);
}

void mfi_watchers_tell(struct mfi_watchers *w, const struct mfi_news *news)
{
    if (news->ready == 0 && news->delayed_ms == INT64_MAX && news->ended_count == 0 && !news->elsewhere)
        return;
    mfi_mutex_lock(&w->lock);
    for (struct mfi_watcher *at = w->first; at != NULL; at = at->next) {
        if (at->gone || !concerns(&at->watch, news))
            continue;
        at->calls++;
        mfi_mutex_unlock(&w->lock);
        call(&at->watch, news);
        mfi_mutex_lock(&w->lock);
        if (--at->calls == 0 && at->gone)
            mfi_event_notify(&w->idle, UINT32_MAX);
    }
    mfi_mutex_unlock(&w->lock);
}

void mfi_watchers_tell_ready(struct mfi_watchers *w, size_t n)
{
    if (n > 0)
        mfi_watchers_tell(w, &(struct mfi_news){.ready = n, .delayed_ms = INT64_MAX});
}
