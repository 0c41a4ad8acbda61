/* Who waits for an end in this process: every mf_run stands under its key, and the store tells when that record ends. */
#define HASH_NONFATAL_OOM 1
#include "run_handle.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "futex.h"
#include "memory.h"

/* The runs of one key. */
struct mfi_watch {
    mf_key         key;
    mf_run        *first;
    UT_hash_handle hh;
};

void mfi_observers_init(mfi_observers *o)
{
    pthread_mutex_init(&o->lock, NULL);
    atomic_init(&o->called, 0);
    o->watches = NULL;
}

void mfi_observers_fini(mfi_observers *o)
{
    pthread_mutex_destroy(&o->lock);
}

mf_status mfi_observe_run(mf_run *run)
{
    mf_client *client = run->client;
    mfi_observers *o = &client->observers;
    mfi_watch *watch = NULL;
    pthread_mutex_lock(&o->lock);
    HASH_FIND(hh, o->watches, &run->key, sizeof run->key, watch);
    if (watch == NULL) {
        watch = mf_new(client->allocator, mfi_watch);
        if (watch != NULL) {
            watch->key = run->key;
            HASH_ADD(hh, o->watches, key, sizeof watch->key, watch);
            if (watch->hh.tbl == NULL) {
                mf_delete(client->allocator, watch);
                watch = NULL;
            }
        }
    }
    if (watch != NULL) {
        run->next = watch->first;
        watch->first = run;
    }
    pthread_mutex_unlock(&o->lock);
    return watch != NULL ? MF_OK : MF_E_NOMEM;
}

void mfi_run_stored(mf_run *run)
{
    mfi_observers *o = &run->client->observers;
    pthread_mutex_lock(&o->lock);
    run->stored = true;
    pthread_mutex_unlock(&o->lock);
}

void mfi_unobserve_run(mf_run *run)
{
    mf_client *client = run->client;
    mfi_observers *o = &client->observers;
    mfi_watch *watch = NULL;
    pthread_mutex_lock(&o->lock);
    /* Its callback may be running: its user pointer must outlive that. From inside the callback there is no waiting. */
    while (run->calling && run->caller != mfi_thread_self()) {
        uint32_t seen = atomic_load_explicit(&o->called, memory_order_relaxed);     /* it grows under the lock */
        pthread_mutex_unlock(&o->lock);
        mfi_futex_wait(&o->called, seen, INT64_MAX);
        pthread_mutex_lock(&o->lock);
    }
    HASH_FIND(hh, o->watches, &run->key, sizeof run->key, watch);
    if (watch != NULL) {
        mf_run **at = &watch->first;
        while (*at != NULL && *at != run)
            at = &(*at)->next;
        if (*at != NULL)
            *at = run->next;
        if (watch->first == NULL) {
            HASH_DEL(o->watches, watch);
            mf_delete(client->allocator, watch);
        }
    }
    pthread_mutex_unlock(&o->lock);
}

/* With the lock held, which is given up around the callback. */
static void call_on_end(mfi_observers *o, mf_run *run)
{
    mfi_run_end_fn *fn = run->on_end;
    if (fn == NULL)
        return;
    void *user = run->on_end_user;
    mf_key key = run->key;
    run->on_end = NULL;
    run->calling = true;
    run->caller = mfi_thread_self();
    bool gone = false;
    run->gone = &gone;      /* set if the callback destroys its own run */
    pthread_mutex_unlock(&o->lock);
    fn(user, &key);
    pthread_mutex_lock(&o->lock);
    if (!gone) {
        run->calling = false;
        run->gone = NULL;
        atomic_fetch_add_explicit(&o->called, 1, memory_order_relaxed);
        mfi_futex_wake(&o->called, UINT32_MAX);
    }
}

/* With the lock held. */
static void mark_ended(mf_run *run)
{
    atomic_store_explicit(&run->ended, 1, memory_order_release);
    mfi_futex_wake(&run->ended, UINT32_MAX);
    if (run->fd >= 0)
        (void)!write(run->fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Everybody who waits is woken before the first callback runs, which may take its time. */
void mfi_observers_ended(mf_client *client, const mf_key *key)
{
    mfi_observers *o = &client->observers;
    mfi_watch *watch = NULL;
    bool any = false;
    pthread_mutex_lock(&o->lock);
    HASH_FIND(hh, o->watches, key, sizeof *key, watch);
    for (mf_run *run = watch != NULL ? watch->first : NULL; run != NULL; run = run->next)
        if (atomic_load_explicit(&run->ended, memory_order_relaxed) == 0) {
            any = true;
            mark_ended(run);
        }
    pthread_mutex_unlock(&o->lock);
    if (!any)
        return;
    mf_adapter_wake_helpers(client->adapter);

    pthread_mutex_lock(&o->lock);
    for (;;) {
        HASH_FIND(hh, o->watches, key, sizeof *key, watch);
        mf_run *run = watch != NULL ? watch->first : NULL;
        while (run != NULL && run->on_end == NULL)
            run = run->next;
        if (run == NULL)
            break;
        call_on_end(o, run);    /* the list may be another one afterwards: look again from its start */
    }
    pthread_mutex_unlock(&o->lock);
}

#define LOOK_PAGE 32

/* One page of the watched keys that come after `*after`, in no order but a stable one, and whether their records were there: a run
 * that is being started is observed before. */
static size_t watched_page(mfi_observers *o, const mf_key *after, mf_key *out, bool *stored)
{
    size_t n = 0;
    mfi_watch *watch = NULL;
    pthread_mutex_lock(&o->lock);
    if (mf_key_is_set(after))
        HASH_FIND(hh, o->watches, after, sizeof *after, watch);
    for (watch = watch != NULL ? watch->hh.next : mf_key_is_set(after) ? NULL : o->watches; watch != NULL && n < LOOK_PAGE;
         watch = watch->hh.next) {
        const mf_run *run = watch->first;
        if (run == NULL)
            continue;
        while (run != NULL && !run->stored)
            run = run->next;
        out[n] = watch->key;
        stored[n++] = run != NULL;
    }
    pthread_mutex_unlock(&o->lock);
    return n;
}

/* What is not there any more has ended, too; but it must have been there before this look, or it is only coming. */
void mfi_observers_look(mf_client *client)
{
    mf_key keys[LOOK_PAGE], after = {{0}};
    bool stored[LOOK_PAGE];
    mf_record records[LOOK_PAGE];
    size_t n;
    while ((n = watched_page(&client->observers, &after, keys, stored)) > 0) {
        after = keys[n - 1];        /* should it be gone by then, the next look sees the rest */
        memset(records, 0, sizeof records);
        if (mf_store_load(client->store, keys, n, records, NULL) != MF_OK)
            return;
        for (size_t i = 0; i < n; i++) {
            if (records[i].spec == NULL ? stored[i] : mf_signature_status_ended(records[i].state.status))
                mfi_observers_ended(client, &keys[i]);
            mf_record_release(&records[i]);
        }
    }
}

mf_status mf_run_on_end(mf_run *run, void (*fn)(void *user, const mf_key *key), void *user)
{
    if (run == NULL || fn == NULL)
        return MF_E_INVALID;
    mfi_observers *o = &run->client->observers;
    mf_status st = mfi_client_check(run->client, NULL);
    if (st != MF_OK)
        return st;
    pthread_mutex_lock(&o->lock);
    if (run->on_end_set) {
        st = MF_E_STATE;
    } else {
        run->on_end_set = true;
        run->on_end = fn;
        run->on_end_user = user;
        if (atomic_load_explicit(&run->ended, memory_order_relaxed) != 0)
            call_on_end(o, run);
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

int mf_run_fd(mf_run *run)
{
    if (run == NULL || mfi_client_check(run->client, NULL) != MF_OK)
        return -1;
    mfi_observers *o = &run->client->observers;
    pthread_mutex_lock(&o->lock);
    if (run->fd < 0) {
        run->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (run->fd >= 0 && atomic_load_explicit(&run->ended, memory_order_relaxed) != 0)
            (void)!write(run->fd, &(uint64_t){1}, sizeof(uint64_t));
    }
    int fd = run->fd;
    pthread_mutex_unlock(&o->lock);
    return fd;
}
