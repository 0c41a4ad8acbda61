/* Watchers: told after the commit, with nothing locked, and not at all once they are taken away. */
#include "contract.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

typedef struct seen {
    mf_store *store;
    size_t    ready_calls, ready, delayed_calls, ended;
    int64_t   delayed_ms;
    mf_key    last;
} seen;

/* Asking the store from inside shows that nothing is locked. */
static void on_ready(void *user, size_t n)
{
    seen *s = user;
    size_t waiting, claimed;
    mf_store_load_counts(s->store, &waiting, &claimed);
    cr_assert(ge(sz, waiting, n));
    s->ready_calls++;
    s->ready += n;
}

static void on_delayed(void *user, int64_t due_ms)
{
    seen *s = user;
    s->delayed_calls++;
    s->delayed_ms = due_ms;
}

static void on_ended(void *user, const mf_key *key)
{
    seen *s = user;
    mf_record record;
    is_status(mf_store_load(s->store, key, 1, &record, NULL), MF_OK);
    cr_assert(mf_signature_status_ended(record.state.status));
    mf_record_release(&record);
    s->ended++;
    s->last = *key;
}

static void start(fixture *f, seen *s)
{
    *s = (seen){.store = f->store};
    const mf_store_watch watch = {.ready = on_ready, .delayed = on_delayed, .ended = on_ended, .user = s};
    is_status(mf_store_watch_start(f->store, &watch), MF_OK);
}

STORE_TEST(store_watch, ready_counts_what_is_due_and_delayed_names_the_first_that_is_not)
{
    mf_key key = world_key(NUMBERED);
    mf_entry entries[6];
    seen s;
    world_make(f);
    start(f, &s);
    int64_t now = mf_store_now_ms(f->store);
    for (uint64_t i = 0; i < 6; i++) {
        entries[i] = entry_for(f, &key, i);
        entries[i].due_ms = (int64_t[]){0, now + 30, 0, now + 20, now, now + 40}[i];
    }
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = 6});
    cr_assert(eq(sz, s.ready_calls, 1));
    cr_assert(eq(sz, s.ready, 3));
    cr_assert(eq(sz, s.delayed_calls, 1));
    cr_assert(eq(i64, s.delayed_ms, now + 20));
    turn_clock(f, 100);
    mf_taken taken;
    cr_assert(take_one(f, &taken));
    must_commit(f, &(mf_batch){0});
    cr_assert(eq(sz, s.ready_calls, 1));    /* becoming due and being taken are no commits that add */
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, a_refused_batch_is_not_told)
{
    mf_key key = world_key(SWARM);
    seen s;
    world_make(f);
    start(f, &s);
    mf_entry entry = entry_for(f, &key, 0);
    mf_state state = {.status = MF_STATUS_DONE};
    must_refuse(f, &(mf_batch){.key = key, .version = 1, .state = &state, .entries = &entry, .entry_count = 1},
                MF_GUARD_VERSION, 0);
    cr_assert(eq(sz, s.ready_calls + s.delayed_calls + s.ended, 0));
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, ended_is_told_once)
{
    static const mf_signature_status way[] = {MF_STATUS_ACTIVE, MF_STATUS_SUSPENDED, MF_STATUS_FAILED, MF_STATUS_FAILED,
                                              MF_STATUS_CANCELED};
    mf_key key = world_key(SWARM);
    seen s;
    world_make(f);
    start(f, &s);
    for (size_t i = 0; i < sizeof way / sizeof way[0]; i++) {
        write_state(f, &key, (mf_state){.version = 5 + i, .status = way[i]});
        cr_assert(eq(sz, s.ended, i >= 2), "step %zu", i);
    }
    cr_assert(mf_key_eq(&s.last, &key));
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, ended_is_told_of_every_record_that_a_batch_writes)
{
    mf_key swarm = world_key(SWARM), chain = world_key(CHAIN), task = world_key(TASK), numbered = world_key(NUMBERED);
    mf_state done = {.status = MF_STATUS_DONE}, active = {.status = MF_STATUS_ACTIVE};
    mf_write writes[] = {{task, 0, &active}, {chain, 0, &done}, {numbered, 0, &done}};
    seen s;
    world_make(f);
    start(f, &s);
    must_commit(f, &(mf_batch){.key = swarm, .version = 5, .state = &done, .writes = writes, .write_count = 3});
    cr_assert(eq(sz, s.ended, 3));
    for (size_t i = 0; i < 3; i++)
        writes[i].version++;
    must_commit(f, &(mf_batch){.writes = writes, .write_count = 3});    /* they had ended before */
    cr_assert(eq(sz, s.ended, 3));
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, a_deadline_that_is_the_first_of_all_is_told)
{
    mf_key key = key_of(MF_KIND_TASK, 7);
    seen s;
    world_make(f);
    start(f, &s);
    int64_t now = mf_store_now_ms(f->store);
    put(f, spec_of(f, MF_KIND_TASK, 7, NULL), &(mf_state){.deadline_ms = now + 60000});
    cr_assert(eq(sz, s.delayed_calls, 1));
    cr_assert(eq(i64, s.delayed_ms, now + 60000));
    put(f, spec_of(f, MF_KIND_TASK, 8, NULL), &(mf_state){.deadline_ms = now + 50000});
    cr_assert(eq(i64, s.delayed_ms, now + 50000));
    write_state(f, &key, (mf_state){.deadline_ms = now + 40000});
    cr_assert(eq(i64, s.delayed_ms, now + 40000));
    mf_entry entry = entry_for(f, &key, 0);
    entry.due_ms = now + 30000;
    mf_state state = {.deadline_ms = now + 35000};
    must_commit(f, &(mf_batch){.key = key, .version = 1, .state = &state, .entries = &entry, .entry_count = 1});
    cr_assert(eq(i64, s.delayed_ms, now + 30000));
    cr_assert(eq(sz, s.delayed_calls, 4));
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, ready_counts_what_is_resumed_let_go_or_given_back)
{
    mf_key numbered = world_key(NUMBERED), still = key_of(MF_KIND_TASK, 7);
    mf_entry entries[4];
    seen s;
    world_make(f);
    put(f, spec_of(f, MF_KIND_TASK, 7, NULL), &(mf_state){.status = MF_STATUS_SUSPENDED});
    start(f, &s);
    for (uint64_t i = 0; i < 4; i++) {
        entries[i] = entry_for(f, &numbered, i);
        entries[i].parked = still;
        entries[i].due_ms = i == 0 ? mf_store_now_ms(f->store) + SOON : 0;
    }
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = 2});
    cr_assert(eq(sz, s.ready_calls + s.delayed_calls, 0));
    must_commit(f, &(mf_batch){.resume = still});
    cr_assert(eq(sz, s.ready, 2));
    must_commit(f, &(mf_batch){.entries = entries + 2, .entry_count = 2});
    cr_assert(eq(sz, s.ready, 2));
    must_commit(f, &(mf_batch){.removals = &(mf_removal){.key = still}, .removal_count = 1});
    cr_assert(eq(sz, s.ready, 4));
    uint64_t tokens[] = {take_item(f, 0).claim.token, take_item(f, 1).claim.token, 7};
    is_status(mf_store_give_back(f->store, tokens, 3, NULL), MF_OK);
    cr_assert(eq(sz, s.ready, 6));
    mf_store_watch_stop(f->store, &s);
}

STORE_TEST(store_watch, several_watchers_each_are_told_until_they_go)
{
    mf_key key = world_key(NUMBERED);
    seen a, b;
    world_make(f);
    start(f, &a);
    start(f, &b);
    is_status(mf_store_watch_start(f->store, &(mf_store_watch){.user = &a}), MF_OK);    /* every call is optional */
    send(f, entry_for(f, &key, 0));
    mf_store_watch_stop(f->store, &a);
    send(f, entry_for(f, &key, 1));
    mf_store_watch_stop(f->store, &a);    /* nobody of that name: nothing happens */
    mf_store_watch_stop(f->store, &b);
    send(f, entry_for(f, &key, 2));
    cr_assert(eq(sz, a.ready, 1));
    cr_assert(eq(sz, b.ready, 2));
}

/* ---- taking a watcher away while it is called -------------------------------------------------------------------- */

typedef struct slow {
    fixture    *f;
    sem_t       inside, go_on, stopped;
    atomic_bool returned, stopped_early;
} slow;

static void slow_ready(void *user, size_t n)
{
    slow *s = user;
    (void)n;
    sem_post(&s->inside);
    sem_wait(&s->go_on);
    /* unwatch has been called, or is about to be, and must not return while this call runs: for a moment it is let try. */
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 50000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    while (sem_timedwait(&s->stopped, &soon) != 0 && errno == EINTR)
        continue;
    atomic_store(&s->returned, true);
}

static void *commit_one(void *arg)
{
    slow *s = arg;
    mf_key key = world_key(NUMBERED);
    send(s->f, entry_for(s->f, &key, 0));
    return NULL;
}

static void *stop_watching(void *arg)
{
    slow *s = arg;
    mf_store_watch_stop(s->f->store, s);
    atomic_store(&s->stopped_early, !atomic_load(&s->returned));
    sem_post(&s->stopped);
    return NULL;
}

STORE_TEST(store_watch, unwatch_waits_for_a_running_call)
{
    slow s = {.f = f};
    seen other;
    pthread_t committing, stopping;
    world_make(f);
    sem_init(&s.inside, 0, 0);
    sem_init(&s.go_on, 0, 0);
    sem_init(&s.stopped, 0, 0);
    is_status(mf_store_watch_start(f->store, &(mf_store_watch){.ready = slow_ready, .user = &s}), MF_OK);
    start(f, &other);
    pthread_create(&committing, NULL, commit_one, &s);
    sem_wait(&s.inside);
    pthread_create(&stopping, NULL, stop_watching, &s);
    mf_store_watch_stop(f->store, &other);    /* nobody runs that one: at once */
    sem_post(&s.go_on);
    pthread_join(committing, NULL);
    pthread_join(stopping, NULL);
    cr_assert(not(atomic_load(&s.stopped_early)));
    mf_key key = world_key(NUMBERED);
    send(f, entry_for(f, &key, 1));    /* would wait for ever if it were still called */
}
