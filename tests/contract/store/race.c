#include "race.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16, IN_FLIGHT = 64, THREADS_MAX = 16 };

typedef struct race {
    mf_store     *store;
    mf_spec      *record, *call;
    unsigned      units;
    atomic_uint  *runs;            /* one each unit */
    atomic_uint   done, ready, ended;
    atomic_bool   finished;
    pthread_barrier_t together;    /* so that nobody is through before the others begin */
    const char   *_Atomic problem;
} race;

static void problem(race *r, const char *what)
{
    atomic_store(&r->problem, what);
    atomic_store(&r->finished, true);
}

/* ---- the swarm: whoever takes a batch publishes as many as ended ------------------------------------------------- */

static void on_ready(void *user, size_t n)
{
    atomic_fetch_add(&((race *)user)->ready, (unsigned)n);
}

static void on_ended(void *user, const mf_key *key)
{
    race *r = user;
    (void)key;
    atomic_fetch_add(&r->ended, 1);
}

typedef struct work {
    mf_taken   taken[BATCH];
    mf_outcome outcomes[BATCH];
    uint64_t   settles[BATCH];
    mf_entry   entries[BATCH];
    size_t     got;
} work;

static void run_batch(race *r, work *w)
{
    for (size_t i = 0; i < w->got; i++) {
        uint64_t index = w->taken[i].entry.unit.index;
        if (w->taken[i].claim.status != MF_OK)
            problem(r, "a claim was refused");
        if (atomic_fetch_add(&r->runs[index], 1) != 0)
            problem(r, "a unit ran twice");
        w->outcomes[i] = (mf_outcome){index, MF_STATUS_DONE, NULL};
        w->settles[i] = w->taken[i].claim.token;
        mf_entry_release(&w->taken[i].entry);
    }
}

/* One attempt over the state as it is now. */
static mf_status finish_batch(race *r, work *w, mf_refusal *refusal)
{
    mf_record record;
    mf_status st = mf_store_load(r->store, &r->record->key, 1, &record, NULL);
    if (st != MF_OK)
        return st;
    mf_state state = record.state;
    uint64_t left = r->units - state.next;
    size_t more = left < w->got ? (size_t)left : w->got;
    for (size_t i = 0; i < more; i++)
        w->entries[i] = (mf_entry){.spec = r->call, .unit = {r->record->key, state.next + i, 0}, .attempt = 1};
    state.next += more;
    state.done += w->got;
    state.running = state.running + more - w->got;
    if (state.done == r->units)
        state.status = MF_STATUS_DONE;
    mf_batch batch = {.key = r->record->key, .version = state.version, .state = &state,
                      .outcomes = w->outcomes, .outcome_count = w->got, .settles = w->settles, .settle_count = w->got,
                      .entries = w->entries, .entry_count = more};
    st = mf_store_commit(r->store, &batch, refusal, NULL);
    mf_record_release(&record);
    if (st == MF_OK && state.done == r->units)
        atomic_store(&r->finished, true);
    return st;
}

static void *worker(void *arg)
{
    race *r = arg;
    work w;
    int64_t next_due;
    pthread_barrier_wait(&r->together);
    while (!atomic_load(&r->finished)) {
        if (mf_store_take(r->store, BATCH, w.taken, &w.got, &next_due, NULL) != MF_OK)
            problem(r, "take failed");
        if (w.got == 0) {
            sched_yield();
            continue;
        }
        run_batch(r, &w);
        mf_refusal refusal;
        mf_status st;
        do {
            st = finish_batch(r, &w, &refusal);
            if (st == MF_E_CONFLICT && refusal.guard != MF_GUARD_VERSION)
                problem(r, "an outcome or a token was refused");
        } while (st == MF_E_CONFLICT && !atomic_load(&r->finished));
        if (st != MF_OK && st != MF_E_CONFLICT)
            problem(r, "a commit failed");
    }
    return NULL;
}

static mf_status begin(race *r)
{
    mf_entry entries[IN_FLIGHT];
    mf_state state = {.status = MF_STATUS_ACTIVE, .total = r->units, .next = IN_FLIGHT, .running = IN_FLIGHT};
    for (size_t i = 0; i < IN_FLIGHT; i++)
        entries[i] = (mf_entry){.spec = r->call, .unit = {r->record->key, i, 0}, .attempt = 1};
    return mf_store_commit(r->store, &(mf_batch){.puts = &(mf_put){r->record, &state}, .put_count = 1, .entries = entries,
                                                 .entry_count = IN_FLIGHT}, NULL, NULL);
}

static const char *check(race *r)
{
    size_t waiting, claimed;
    mf_store_load_counts(r->store, &waiting, &claimed);
    if (waiting != 0 || claimed != 0)
        return "something waits or is claimed at the end";
    for (unsigned i = 0; i < r->units; i++)
        if (atomic_load(&r->runs[i]) != 1)
            return "a unit did not run exactly once";
    if (atomic_load(&r->ended) != 1)
        return "the end was not told exactly once";
    return atomic_load(&r->ready) == r->units ? NULL : "ready did not count every entry once";
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

/* The winner's claim stays, so that everybody who comes later finds it held. */
static void *claimer(void *arg)
{
    race *r = arg;
    pthread_barrier_wait(&r->together);
    for (unsigned i = 0; i < r->units; i += BATCH) {
        mf_claim claims[BATCH];
        unsigned n = r->units - i < BATCH ? r->units - i : BATCH;
        for (unsigned j = 0; j < n; j++)
            claims[j] = (mf_claim){.unit = {r->record->key, i + j, 0}, .attempt = 1};
        if (mf_store_claim(r->store, claims, n, NULL) != MF_OK)
            problem(r, "claim failed");
        for (unsigned j = 0; j < n; j++)
            if (claims[j].status == MF_OK)
                atomic_fetch_add(&r->runs[i + j], 1);
            else if (claims[j].status != MF_E_EXISTS)
                problem(r, "a claim was refused for another reason");
    }
    return NULL;
}

static mf_status begin_numbered(race *r)
{
    mf_state state = {.status = MF_STATUS_PENDING};
    return mf_store_commit(r->store, &(mf_batch){.puts = &(mf_put){r->record, &state}, .put_count = 1}, NULL, NULL);
}

static const char *check_claims(race *r)
{
    for (unsigned i = 0; i < r->units; i++)
        if (atomic_load(&r->runs[i]) != 1)
            return "not exactly one thread got the claim";
    return NULL;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static const char *run(race *r, unsigned threads, mf_status (*start)(race *), void *(*body)(void *),
                       const char *(*verify)(race *))
{
    pthread_t ids[THREADS_MAX];
    const mf_store_watch watch = {.ready = on_ready, .ended = on_ended, .user = r};
    if (mf_store_watch_start(r->store, &watch) != MF_OK || start(r) != MF_OK)
        return "could not begin";
    pthread_barrier_init(&r->together, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, body, r) != 0)
            abort();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&r->together);
    mf_store_watch_stop(r->store, r);
    const char *found = atomic_load(&r->problem);
    return found != NULL ? found : verify(r);
}

static const char *race_on(const store_maker *maker, unsigned threads, unsigned units, bool numbered)
{
    race r = {.units = units, .runs = calloc(units, sizeof *r.runs)};
    mf_error err;
    const char *found = "no store";
    r.call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    r.record = mf_spec_create(NULL, numbered ? MF_KIND_TASK : MF_KIND_SWARM, MF_STR_LIT("race"));
    if (r.runs == NULL || r.call == NULL || r.record == NULL)
        abort();
    r.record->numbered = numbered;
    if (mf_key_parse(MF_STR_LIT("swarm-0000000000000000000000001"), &r.record->key, &err) != MF_OK)
        abort();
    if (maker->create(NULL, NULL, &r.store, &err) == MF_OK)
        found = numbered ? run(&r, threads, begin_numbered, claimer, check_claims) : run(&r, threads, begin, worker, check);
    mf_store_destroy(r.store);
    if (maker->clean != NULL)
        maker->clean();
    mf_spec_unref(r.call);
    mf_spec_unref(r.record);
    free(r.runs);
    return found;
}

const char *race_each_unit_runs_once(const store_maker *maker, unsigned threads, unsigned units)
{
    return race_on(maker, threads, units, false);
}

const char *race_one_of_all_gets_the_claim(const store_maker *maker, unsigned threads, unsigned units)
{
    return race_on(maker, threads, units, true);
}

const race_scenario race_scenarios[RACE_SCENARIOS] = {
    {"each unit runs once", race_each_unit_runs_once, 100000},
    {"one of all gets the claim", race_one_of_all_gets_the_claim, 20000},
    {"leases end while claims are settled", race_leases_end_while_claims_are_settled, 10000},
    {"nothing stays parked", race_nothing_stays_parked, 20000},
    {"one of all gets the name", race_one_of_all_gets_the_name, 5000},
    {"a record goes while others look up to it", race_a_record_goes_while_others_look_up_to_it, 5000},
};
