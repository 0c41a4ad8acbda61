/* The world: one loop that enters a strand, chosen by the seed among those that can go on, until none can.
 *
 * Time passes in small steps, and jumps to the next deadline when nobody can go on, or, now and then, although somebody
 * could: a timer may always be the faster one. */
#include "sim_private.h"

#include "memory_lease.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP_LIMIT   200000
#define FIRST_NS     1000000000
#define WALL_MS      INT64_C(1700000000000)
#define STEP_NS      50000      /* a step takes up to so long */
#define EARLY_MAX_NS INT64_C(10000000000)    /* nobody who could go on stands still for longer */
#define QUIET_NS     INT64_C(4000000000)
#define EARLY_TIMER  400        /* one step in so many jumps to the next deadline */

/* ---- what a thread takes from the system ---------------------------------------------------------------------------- */

static mfi_sim *sim_of_world(mfi_world *world)
{
    return (mfi_sim *)(void *)world;
}

static int64_t sim_monotonic_ns(void *user)
{
    return ((mfi_sim *)user)->now_ns;
}

static int64_t sim_wall_ms(void *user)
{
    const mfi_sim *sim = user;
    return (sim->config.wall_ms != 0 ? sim->config.wall_ms : WALL_MS) + (sim->now_ns - FIRST_NS) / 1000000;
}

static mf_status sim_fill(void *user, void *at, size_t len)
{
    mfi_sim *sim = user;
    for (size_t done = 0; done < len; done += 8) {
        uint64_t bytes = mfi_prng_next(&sim->bytes);
        memcpy((char *)at + done, &bytes, len - done < 8 ? len - done : 8);
    }
    return MF_OK;
}

static bool world_wait(mfi_world *world, const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    return mfi_strand_wait(sim_of_world(world), word, seen, deadline_ns);
}

static uintptr_t world_self(mfi_world *world)
{
    mfi_sim *sim = sim_of_world(world);
    return (uintptr_t)(sim->current != NULL ? (void *)sim->current : (void *)sim);
}

static void *world_start(mfi_world *world, void *(*run)(void *arg), void *arg)
{
    mfi_sim *sim = sim_of_world(world);
    return mfi_strand_start(sim, sim->current != NULL ? sim->current->process : sim->processes[0], "keeper", run, arg);
}

static void world_join(mfi_world *world, void *strand)
{
    mfi_strand *s = strand;
    while (atomic_load_explicit(&s->ended, memory_order_relaxed) == 0)
        mfi_strand_wait(sim_of_world(world), &s->ended, 0, INT64_MAX);
}

/* ---- strands ------------------------------------------------------------------------------------------------------- */

void *mfi_sim_new(mfi_sim *sim, size_t size)
{
    unsigned refuse = sim->arena.refuse;
    sim->arena.refuse = 0;
    void *at = sim->arena.allocator.alloc(&sim->arena, size);
    sim->arena.refuse = refuse;
    if (at == NULL) {
        fputs("simulator: no memory\n", stderr);
        abort();
    }
    sim->arena.live--;      /* the simulator's own is not counted: it goes with the arena */
    memset(at, 0, size);
    return at;
}

static void strand_main(void *arg)
{
    mfi_strand *s = arg;
    s->run(s->arg);
    atomic_store_explicit(&s->ended, 1, memory_order_relaxed);
    s->gone = true;
    mfi_fiber_leave(s->fiber, true);
}

mfi_strand *mfi_strand_start(mfi_sim *sim, mfi_process *process, const char *name, void *(*run)(void *arg), void *arg)
{
    mfi_strand *s = mfi_sim_new(sim, sizeof *s);
    s->fiber = mfi_fiber_create(strand_main, s);
    if (s->fiber == NULL)
        return NULL;
    s->sim = sim;
    s->process = process;
    s->name = name;
    s->number = ++sim->strand_number;
    s->run = run;
    s->arg = arg;
    s->next = sim->strands;
    sim->strands = s;
    sim->strand_count++;
    return s;
}

struct outside {
    const _Atomic uint32_t *word;
    uint32_t                seen;
};

static bool word_changed(void *arg)
{
    const struct outside *o = arg;
    return atomic_load_explicit(o->word, memory_order_relaxed) != o->seen;
}

/* Who waits without a strand lets them go on. Where nothing is left that could end the wait, only time can. */
static bool wait_outside(mfi_sim *sim, const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    struct outside outside = {word, seen};
    mf_status st = mfi_sim_settle_until(sim, word_changed, &outside, deadline_ns, NULL);
    if (word_changed(&outside))
        return true;
    if (st != MF_OK || deadline_ns == INT64_MAX) {
        fprintf(stderr, "mageflow/testing: a wait that nothing is left to end%s%s\n", st != MF_OK ? ": " : "",
                st != MF_OK ? sim->why.text : "");
        abort();        /* there is nobody to return to: whoever waits here would wait again */
    }
    sim->now_ns = deadline_ns > sim->now_ns ? deadline_ns : sim->now_ns;
    return false;
}

bool mfi_strand_wait(mfi_sim *sim, const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    mfi_strand *s = sim->current;
    if (s == NULL)
        return wait_outside(sim, word, seen, deadline_ns);
    s->word = word;
    s->seen = seen;
    s->deadline_ns = deadline_ns;
    mfi_fiber_leave(s->fiber, false);
    return s->in_time;
}

void mfi_sim_yield(mfi_sim *sim)
{
    mfi_strand *s = sim->current;
    if (s == NULL)
        return;
    s->word = NULL;
    mfi_fiber_leave(s->fiber, false);
}

static bool can_go_on(const mfi_strand *s, int64_t now_ns)
{
    if (s->process != NULL && s->process->paused_until_ns > now_ns)
        return false;
    return s->word == NULL || atomic_load_explicit(s->word, memory_order_relaxed) != s->seen || s->deadline_ns <= now_ns;
}

static void enter(mfi_sim *sim, mfi_strand *s)
{
    s->in_time = s->word == NULL || atomic_load_explicit(s->word, memory_order_relaxed) != s->seen || s->deadline_ns > sim->now_ns;
    s->word = NULL;
    s->turn = sim->steps + 1;
    sim->current = s;
    mfi_here = s->here;
    mfi_fiber_enter(s->fiber);
    s->here = mfi_here;
    memset(&mfi_here, 0, sizeof mfi_here);
    sim->current = NULL;
}

static void forget_gone(mfi_sim *sim)
{
    for (mfi_strand **at = &sim->strands; *at != NULL;) {
        mfi_strand *s = *at;
        if (!s->gone) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        mfi_fiber_drop(s->fiber);       /* the strand itself may still be joined */
        s->fiber = NULL;
        sim->strand_count--;
    }
}

/* ---- the loop ------------------------------------------------------------------------------------------------------- */

/* Whose turn was the longest ago. */
static mfi_strand *choose_oldest(mfi_sim *sim)
{
    mfi_strand *oldest = NULL;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next)
        if (can_go_on(s, sim->now_ns) && (oldest == NULL || s->turn < oldest->turn))
            oldest = s;
    return oldest;
}

static mfi_strand *choose(mfi_sim *sim)
{
    unsigned ready = 0;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next)
        ready += can_go_on(s, sim->now_ns);
    if (ready == 0)
        return NULL;
    if (sim->config.in_order)
        return choose_oldest(sim);
    unsigned pick = mfi_prng_below(&sim->order, ready);
    mfi_strand *s = sim->strands;
    while (!can_go_on(s, sim->now_ns) || pick-- > 0)
        s = s->next;
    return s;
}

/* When a strand that cannot go on now can for time's sake alone. */
static int64_t wakes_ns(const mfi_strand *s)
{
    int64_t paused_ns = s->process != NULL ? s->process->paused_until_ns : 0;
    if (s->word == NULL || atomic_load_explicit(s->word, memory_order_relaxed) != s->seen)
        return paused_ns;
    return s->deadline_ns > paused_ns ? s->deadline_ns : paused_ns;
}

/* False: nobody waits for a time up to `until_ns`. */
static bool jump(mfi_sim *sim, int64_t until_ns)
{
    int64_t next = INT64_MAX;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next)
        if (!can_go_on(s, sim->now_ns) && wakes_ns(s) < next)
            next = wakes_ns(s);
    if (next == INT64_MAX || next > until_ns)
        return false;
    sim->now_ns = next > sim->now_ns ? next : sim->now_ns;
    return true;
}

mf_status mfi_sim_settle_until(mfi_sim *sim, bool (*done)(void *arg), void *arg, int64_t until_ns, mf_error *err)
{
    mfi_world *outer = mfi_world_here;
    struct mfi_here outer_here = mfi_here;
    memset(&mfi_here, 0, sizeof mfi_here);
    mfi_world_here = &sim->world;
    uint64_t limit = sim->steps + (sim->config.step_limit != 0 ? sim->config.step_limit : STEP_LIMIT);
    while (!sim->broken && (done == NULL || !done(arg))) {
        if (!sim->config.in_order && mfi_prng_one_in(&sim->order, EARLY_TIMER))
            jump(sim, until_ns < sim->now_ns + EARLY_MAX_NS ? until_ns : sim->now_ns + EARLY_MAX_NS);
        mfi_strand *s = choose(sim);
        if (s == NULL) {
            if (!jump(sim, until_ns))
                break;
            continue;
        }
        enter(sim, s);
        mfi_audit_step(sim);
        if (s->gone)
            forget_gone(sim);
        if (!sim->config.in_order)
            sim->now_ns += mfi_prng_below(&sim->order, STEP_NS);
        if (++sim->steps >= limit)
            mfi_why_endless(sim);
    }
    mfi_world_here = outer;
    mfi_here = outer_here;
    if (sim->broken && err != NULL)
        *err = sim->why;
    return sim->broken ? sim->why.status : MF_OK;
}

/* Something is being stored, or was, by a process that has died. */
static bool is_storing(mfi_sim *sim)
{
    mf_note note;
    size_t got = 0;
    if (mf_store_notes(sim->store, MF_STR_LIT("storing"), MF_STR_LIT(""), 1, &note, &got, NULL) != MF_OK || got == 0)
        return false;
    mf_note_release(sim->store, &note);
    return true;
}

/* Leases are renewed for ever: there, nothing left to do is not nothing that could go on. */
static bool is_quiet(void *arg)
{
    mfi_sim *sim = arg;
    size_t waiting = 0, claimed = 0;
    for (const mfi_program *p = sim->programs; p != NULL; p = p->next)
        if (!p->finished)
            return false;
    mf_store_load_counts(sim->store, &waiting, &claimed);
    return sim->parcels == NULL && waiting == 0 && claimed == 0 && !is_storing(sim);
}

/* Quiet, and still so after a while, in which whatever waits for its time had it. */
static mf_status settle_with_leases(mfi_sim *sim, mf_error *err)
{
    mf_status st;
    do {
        st = mfi_sim_settle_until(sim, is_quiet, sim, INT64_MAX, err);
        if (st == MF_OK)
            st = mfi_sim_settle_until(sim, NULL, NULL, sim->now_ns + QUIET_NS, err);
    } while (st == MF_OK && !is_quiet(sim));
    return st;
}

mf_status mfi_sim_settle(mfi_sim *sim, mf_error *err)
{
    return sim->config.lease_ms != 0 ? settle_with_leases(sim, err) : mfi_sim_settle_until(sim, NULL, NULL, INT64_MAX, err);
}

void mfi_sim_enter(mfi_sim *sim)
{
    mfi_world_here = &sim->world;
}

void mfi_sim_leave(mfi_sim *sim)
{
    (void)sim;
    mfi_world_here = NULL;
}

/* ---- telling -------------------------------------------------------------------------------------------------------- */

void mfi_sim_trace(mfi_sim *sim, const char *fmt, ...)
{
    if (sim->config.line == NULL)
        return;
    char line[512];
    const mfi_strand *s = sim->current;
    int len = snprintf(line, sizeof line, "%6llu %8.3f ms  ", (unsigned long long)sim->steps, (double)sim->now_ns / 1e6);
    if (s != NULL && s->process != NULL)
        len += snprintf(line + len, sizeof line - (size_t)len, "p%u.%u %s %u: ", s->process->slot, s->process->life, s->name,
                        s->number);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + len, sizeof line - (size_t)len, fmt, args);
    va_end(args);
    sim->config.line(sim->config.line_user, line);
}

void mfi_sim_break(mfi_sim *sim, const char *fmt, ...)
{
    if (sim->broken)
        return;
    va_list args;
    va_start(args, fmt);
    mf_failv(&sim->why, MF_E_TASK_FAILED, fmt, args);
    va_end(args);
    sim->broken = true;
    mfi_sim_trace(sim, "BROKEN: %s", sim->why.text);
}

bool mfi_sim_is_broken(const mfi_sim *sim)
{
    return sim->broken;
}

bool mfi_sim_traces(const mfi_sim *sim)
{
    return sim->config.line != NULL;
}

mf_store *mfi_sim_store(mfi_sim *sim)
{
    return sim->store;
}

const mf_allocator *mfi_sim_allocator(mfi_sim *sim)
{
    return sim->world.allocator;
}

unsigned mfi_sim_crashes(const mfi_sim *sim)
{
    return sim->crashes;
}

unsigned mfi_sim_restarts(const mfi_sim *sim)
{
    return sim->restarts;
}

unsigned mfi_sim_lapsed(const mfi_sim *sim)
{
    return sim->lapsed;
}

unsigned mfi_sim_answers(const mfi_sim *sim)
{
    return sim->answers;
}

unsigned mfi_sim_overtaken(const mfi_sim *sim)
{
    return sim->overtaken;
}

unsigned mfi_sim_dead_letters(const mfi_sim *sim)
{
    return sim->dead_letters;
}

unsigned mfi_sim_faults(const mfi_sim *sim)
{
    return sim->faults_met;
}

bool mfi_sim_lost_claims(const mfi_sim *sim)
{
    return sim->lost_claims;
}

uint64_t mfi_sim_steps(const mfi_sim *sim)
{
    return sim->steps;
}

int64_t mfi_sim_now_ns(const mfi_sim *sim)
{
    return sim->now_ns;
}

void mfi_sim_set_now(mfi_sim *sim, int64_t ns)
{
    sim->now_ns = ns > sim->now_ns ? ns : sim->now_ns;
}

void mfi_sim_calm(mfi_sim *sim)
{
    sim->calm = true;
}

mfi_sim *mfi_sim_here(void)
{
    return mfi_world_here == NULL ? NULL : sim_of_world(mfi_world_here);
}

const char *mfi_sim_strand_name(void)
{
    const mfi_sim *sim = mfi_sim_here();
    return sim == NULL || sim->current == NULL ? NULL : sim->current->name;
}

mf_client *mfi_sim_client(mfi_sim *sim, unsigned slot)
{
    return sim->processes[slot] != NULL ? sim->processes[slot]->client : NULL;
}

mfi_process *mfi_sim_process_here(void)
{
    mfi_sim *sim = mfi_sim_here();
    return sim == NULL || sim->current == NULL ? NULL : sim->current->process;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void told_ready(void *user, size_t n)
{
    mfi_sim *sim = user;
    sim->told.ready += n;
    sim->told.any = true;
}

static void told_delayed(void *user, int64_t due_ms)
{
    mfi_sim *sim = user;
    if (due_ms < sim->told.delayed_ms)
        sim->told.delayed_ms = due_ms;
    sim->told.any = true;
}

static void told_ended(void *user, const mf_key *key)
{
    mfi_sim *sim = user;
    sim->told.ended = *key;
    sim->told.any = true;
}

mf_status mfi_sim_create(const mfi_sim_config *config, mfi_sim **out, mf_error *err)
{
    mfi_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return mf_fail(err, MF_E_NOMEM, "simulator: no memory");
    mfi_arena_init(&sim->arena);
    sim->config = *config;
    sim->clock = (mf_clock){sim_monotonic_ns, sim_wall_ms, sim};
    sim->random = (mfi_random){sim_fill, sim};
    sim->world = (mfi_world){.allocator = sim->config.allocator != NULL ? sim->config.allocator : &sim->arena.allocator, .clock = &sim->clock, .random = &sim->random,
                             .wait = world_wait, .self = world_self, .start = world_start, .join = world_join};
    sim->order = mfi_prng_of(config->seed, 1);
    sim->chance = mfi_prng_of(config->seed, 2);
    sim->bytes = mfi_prng_of(config->seed, 3);
    sim->gather = mfi_prng_of(config->seed, 4);
    sim->gathers = !config->in_order && mfi_prng_one_in(&sim->gather, 2);
    sim->now_ns = FIRST_NS;
    sim->parcels_end = &sim->parcels;
    sim->told.delayed_ms = INT64_MAX;
    sim->faults_left = config->faults;
    sim->audit = mfi_audit_create(sim);
    mf_status st = mf_memory_store_create(sim->world.allocator, &sim->clock, &sim->store, err);
    if (st == MF_OK)
        st = mf_store_watch_start(sim->store, &(mf_store_watch){.ready = told_ready, .delayed = told_delayed,
                                                                .ended = told_ended, .user = sim});
    if (st != MF_OK) {
        mfi_sim_destroy(sim);
        return st;
    }
    for (unsigned i = 0; i < config->processes && i < MFI_PROCESSES_MAX; i++)
        mfi_process_boot(sim, i);
    mfi_memory_set_lease(sim->store, config->lease_ms);
    *out = sim;
    return MF_OK;
}

void mfi_sim_destroy(mfi_sim *sim)
{
    if (sim == NULL)
        return;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next)
        s->gone = true;
    forget_gone(sim);
    mfi_arena_fini(&sim->arena);
    free(sim);
}

static bool close_one(mf_client *client, void *arg)
{
    (void)client;
    return mfi_process_close(arg) == MF_OK;
}

mf_status mfi_sim_close(mfi_sim *sim, mf_error *err)
{
    mf_status st = MF_OK;
    mfi_sim_calm(sim);
    sim->closing = true;
    for (unsigned i = 0; i < MFI_PROCESSES_MAX && st == MF_OK; i++)
        if (sim->processes[i] != NULL) {
            mfi_sim_program(sim, i, "close", close_one, sim->processes[i]);
            st = mfi_sim_settle(sim, err);
        }
    if (st != MF_OK)
        return st;
    mfi_parcels_fini(sim);
    mfi_audit_fini(sim->audit);
    mf_store_destroy(sim->store);
    sim->store = NULL;
    if (sim->crashes == 0 && sim->arena.live != 0)
        return mf_fail(err, MF_E_STATE, "%zu blocks of memory were never released", sim->arena.live);
    return MF_OK;
}
