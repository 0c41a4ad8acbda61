/* Threads over what waits and comes back: leases that end while their claims are settled, messages that are parked while
 * their record is suspended and resumed, names that everybody wants, records that go while others look up to them. */
#include "race.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 16, LEASE_MS = 10 };

typedef struct waits {
    mf_store             *store;
    mf_spec              *record, *call;
    unsigned              threads, units;
    atomic_uint          *ends;          /* one each unit */
    atomic_uint           left, turn;
    atomic_llong          now_ns;
    atomic_bool           finished;
    pthread_barrier_t     together;
    const char *_Atomic   problem;
} waits;

static void problem(waits *w, const char *what)
{
    atomic_store(&w->problem, what);
    atomic_store(&w->finished, true);
}

static int64_t read_ns(void *user)
{
    return atomic_load(&((waits *)user)->now_ns);
}

static int64_t read_ms(void *user)
{
    return read_ns(user) / 1000000;
}

typedef struct thread {
    waits    *w;
    void    (*body)(waits *w, unsigned number);
    unsigned  number;
} thread;

static void *run_thread(void *arg)
{
    thread *t = arg;
    pthread_barrier_wait(&t->w->together);
    t->body(t->w, t->number);
    return NULL;
}

/* Thread 0 runs `first`, the others run `body`. */
static const char *run(waits *w, void (*first)(waits *, unsigned), void (*body)(waits *, unsigned))
{
    pthread_t ids[THREADS_MAX];
    thread threads[THREADS_MAX];
    pthread_barrier_init(&w->together, NULL, w->threads);
    for (unsigned i = 0; i < w->threads; i++) {
        threads[i] = (thread){w, i == 0 ? first : body, i};
        if (pthread_create(&ids[i], NULL, run_thread, &threads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < w->threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&w->together);
    return atomic_load(&w->problem);
}

static const char *each_ended_once(waits *w)
{
    size_t waiting, claimed;
    mf_store_load_counts(w->store, &waiting, &claimed);
    if (waiting != 0 || claimed != 0)
        return "something waits or is claimed at the end";
    for (unsigned i = 0; i < w->units; i++)
        if (atomic_load(&w->ends[i]) != 1)
            return "a unit did not end exactly once";
    return NULL;
}

static void send_unit(waits *w, uint64_t index, const mf_key *parked)
{
    mf_entry entry = {.spec = w->call, .unit = {w->record->key, index, 0}, .attempt = 1};
    if (parked != NULL)
        entry.parked = *parked;
    if (mf_store_commit(w->store, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, NULL) != MF_OK)
        problem(w, "an entry was refused");
}

/* Settled: it ended. A token that is not current any more: somebody else has it, or will. */
static void settle(waits *w, const mf_taken *taken)
{
    mf_refusal refusal;
    mf_status st = mf_store_commit(w->store, &(mf_batch){.settles = &taken->claim.token, .settle_count = 1}, &refusal, NULL);
    if (st == MF_OK) {
        atomic_fetch_add(&w->ends[taken->entry.unit.index], 1);
        if (atomic_fetch_sub(&w->left, 1) == 1)
            atomic_store(&w->finished, true);
    } else if (st != MF_E_CONFLICT || refusal.guard != MF_GUARD_SETTLE) {
        problem(w, "a settlement was refused for another reason");
    }
}

static bool take(waits *w, mf_taken *taken)
{
    size_t got = 0;
    int64_t next_due;
    if (mf_store_take(w->store, 1, taken, &got, &next_due, NULL) != MF_OK)
        problem(w, "take failed");
    if (got == 1)
        mf_entry_release(&taken->entry);
    return got == 1;
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

static void take_and_tarry(waits *w, unsigned number)
{
    mf_taken taken;
    for (unsigned dice = number; !atomic_load(&w->finished); dice = dice * 1103515245 + 12345) {
        unsigned side = dice >> 16 & 7;
        if (!take(w, &taken)) {
            atomic_fetch_add(&w->now_ns, 1000000);    /* whoever holds the rest may have dropped it */
            sched_yield();
        } else if (side == 0) {
            if (mf_store_give_back(w->store, &taken.claim.token, 1, NULL) != MF_OK)
                problem(w, "give_back failed");
        } else if (side == 1) {
            atomic_fetch_add(&w->now_ns, LEASE_MS * INT64_C(1000000));    /* it and all others end */
            settle(w, &taken);
        } else if (side != 2) {    /* 2: it dies */
            uint64_t token = taken.claim.token;
            if (mf_store_renew(w->store, &token, 1, NULL) != MF_OK)
                problem(w, "renew failed");
            settle(w, &taken);
        }
    }
}

static const char *leases(waits *w)
{
    for (unsigned i = 0; i < w->units; i++)
        send_unit(w, i, NULL);
    const char *found = run(w, take_and_tarry, take_and_tarry);
    return found != NULL ? found : each_ended_once(w);
}

/* ---- parking ----------------------------------------------------------------------------------------------------- */

static void set_status(waits *w, mf_signature_status status, bool resume)
{
    mf_record record;
    if (mf_store_load(w->store, &w->record->key, 1, &record, NULL) != MF_OK)
        problem(w, "load failed");
    mf_state state = record.state;
    mf_batch batch = {.key = w->record->key, .version = state.version, .state = &state};
    state.status = status;
    if (resume)
        batch.resume = w->record->key;
    if (mf_store_commit(w->store, &batch, NULL, NULL) != MF_OK)
        problem(w, "the only writer was refused");
    mf_record_release(&record);
}

static void stop_and_go(waits *w, unsigned number)
{
    (void)number;
    while (!atomic_load(&w->finished)) {
        set_status(w, MF_STATUS_SUSPENDED, false);
        sched_yield();
        set_status(w, MF_STATUS_ACTIVE, true);
    }
}

static void send_and_take(waits *w, unsigned number)
{
    mf_taken taken;
    (void)number;
    for (unsigned i; (i = atomic_fetch_add(&w->turn, 1)) < w->units;) {
        send_unit(w, i, &w->record->key);
        if (take(w, &taken))
            settle(w, &taken);
    }
    while (!atomic_load(&w->finished))
        if (take(w, &taken))
            settle(w, &taken);
        else
            sched_yield();
}

static const char *parking(waits *w)
{
    const char *found = run(w, stop_and_go, send_and_take);
    return found != NULL ? found : each_ended_once(w);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void want_all_names(waits *w, unsigned number)
{
    char name[16];
    (void)number;
    for (unsigned i = 0; i < w->units; i++) {
        mf_refusal refusal;
        snprintf(name, sizeof name, "%u", i);
        mf_note note = {.space = MF_STR_LIT("race"), .name = mf_cstr(name), .value = mf_message_nil(), .fresh = true};
        mf_status st = mf_store_commit(w->store, &(mf_batch){.notes = &note, .note_count = 1}, &refusal, NULL);
        if (st == MF_OK)
            atomic_fetch_add(&w->ends[i], 1);
        else if (st != MF_E_CONFLICT || refusal.guard != MF_GUARD_NOTE)
            problem(w, "a note was refused for another reason");
    }
}

static const char *names(waits *w)
{
    const char *found = run(w, want_all_names, want_all_names);
    return found != NULL ? found : each_ended_once(w);
}

/* ---- removals ---------------------------------------------------------------------------------------------------- */

/* The record comes and goes; what stands in it is claimed meanwhile, which looks up to it. */
static void come_and_go(waits *w, unsigned number)
{
    mf_state state = {.status = MF_STATUS_ACTIVE, .deadline_ms = 1};
    mf_removal removal = {.key = w->record->key};
    (void)number;
    for (unsigned i = 0; i < w->units; i++) {
        mf_status out = mf_store_commit(w->store, &(mf_batch){.removals = &removal, .removal_count = 1}, NULL, NULL);
        mf_status in = mf_store_commit(w->store, &(mf_batch){.puts = &(mf_put){w->record, &state}, .put_count = 1}, NULL, NULL);
        if (out != MF_OK || in != MF_OK)
            problem(w, "the record did not go or did not come");
    }
    atomic_store(&w->finished, true);
}

static void look_up(waits *w, unsigned number)
{
    mf_spec *spec = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("below"));
    char text[64];
    snprintf(text, sizeof text, "task-%025u", number);
    if (spec == NULL || mf_key_parse(mf_cstr(text), &spec->key, NULL) != MF_OK)
        abort();
    spec->container = w->record->key;
    spec->numbered = true;
    if (mf_store_commit(w->store, &(mf_batch){.puts = &(mf_put){spec, &(mf_state){0}}, .put_count = 1}, NULL, NULL) != MF_OK)
        problem(w, "a put was refused");
    while (!atomic_load(&w->finished)) {
        mf_claim claims[] = {{.unit = {spec->key, 1, 0}}, {.unit = {w->record->key, number, 0}}};
        if (mf_store_claim(w->store, claims, 2, NULL) != MF_OK || claims[0].status != MF_OK)
            problem(w, "claim failed");
        if (claims[1].status != MF_OK && claims[1].status != MF_E_NOT_FOUND)
            problem(w, "a claim was refused for another reason");
        if (claims[0].above != MF_STATUS_ACTIVE)
            problem(w, "somebody above does not run");
        size_t got;
        int64_t next;
        mf_key key;
        if (mf_store_expired(w->store, 1, &key, &got, &next, NULL) != MF_OK)
            problem(w, "expired failed");
        uint64_t tokens[] = {claims[0].token, claims[1].token};
        mf_batch batch = {.settles = tokens, .settle_count = claims[1].token != 0 ? 2 : 1};
        if (mf_store_commit(w->store, &batch, NULL, NULL) != MF_OK)
            problem(w, "a claim of what is gone could not be settled");
    }
    mf_spec_unref(spec);
}

static const char *removals(waits *w)
{
    return run(w, come_and_go, look_up);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static const char *over(const store_maker *maker, unsigned threads, unsigned units, bool leased,
                        const char *(*scenario)(waits *w))
{
    waits w = {.threads = threads, .units = units, .ends = calloc(units, sizeof *w.ends)};
    const mf_clock clock = {read_ns, read_ms, &w};
    mf_state state = {.status = MF_STATUS_ACTIVE};
    mf_error err;
    const char *found = "could not begin";
    atomic_init(&w.left, units);
    atomic_init(&w.now_ns, 1000000000);
    w.call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    w.record = mf_spec_create(NULL, MF_KIND_SWARM, MF_STR_LIT("race"));
    if (w.ends == NULL || w.call == NULL || w.record == NULL ||
        mf_key_parse(MF_STR_LIT("swarm-0000000000000000000000001"), &w.record->key, &err) != MF_OK)
        abort();
    mf_status st = leased ? maker->create_leased(NULL, &clock, LEASE_MS, &w.store, &err) :
                            maker->create(NULL, maker->advance == NULL ? &clock : NULL, &w.store, &err);
    if (st == MF_OK &&
        mf_store_commit(w.store, &(mf_batch){.puts = &(mf_put){w.record, &state}, .put_count = 1}, NULL, NULL) == MF_OK)
        found = scenario(&w);
    mf_store_destroy(w.store);
    if (maker->clean != NULL)
        maker->clean();
    mf_spec_unref(w.call);
    mf_spec_unref(w.record);
    free(w.ends);
    return found;
}

/* Asked of stores whose clock the threads can turn. */
const char *race_leases_end_while_claims_are_settled(const store_maker *maker, unsigned threads, unsigned units)
{
    bool can = maker->create_leased != NULL && maker->advance == NULL;
    return can ? over(maker, threads, units, true, leases) : NULL;
}

const char *race_nothing_stays_parked(const store_maker *maker, unsigned threads, unsigned units)
{
    return over(maker, threads, units, false, parking);
}

const char *race_one_of_all_gets_the_name(const store_maker *maker, unsigned threads, unsigned units)
{
    return over(maker, threads, units, false, names);
}

const char *race_a_record_goes_while_others_look_up_to_it(const store_maker *maker, unsigned threads, unsigned units)
{
    return over(maker, threads, units, false, removals);
}
