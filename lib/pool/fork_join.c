/* The half of mageflow/fork_join.h that is not inline: who may take whose spawns, and how to wait for one that was taken.
 *
 * Each worker has a stack of spawns, an array that its own calls go up and down. It is split:
 *
 *     spawns    tail             split             top
 *       | taken   | for anybody    | the worker's    |  free
 *
 * Above `split` the worker works without atomics. tail and split are one word, `public`. A thief takes the oldest spawn by
 * a compare-and-swap that moves tail up; the worker moves split up when it was asked (mf_fork_publish), and down when
 * its own calls have come down to it (mf_fork_take_back), each in one operation on that word. So a spawn is taken by one.
 *
 * Invariant  tail <= split <= top. A slot between tail and split is written before the operation that moved split past
 *            it (release), read after the one that moved tail past it (acquire), and written again only when its taker
 *            has said that it is done (state, below).
 *
 * A spawn's state, 0 in a slot that nobody has taken:
 *
 *     thief         stack of whoever runs it; written by the thief a moment after it took it
 *     thief|WAITING its owner sleeps, or is about to
 *     DONE          the value is in the slot; the thief touches it no more
 *
 * Sleeping. An idle worker is the doorbell's; it looks here, too, before it sleeps (W2, mfi_fork_stealable), and asks:
 *
 *     worker with spawns                        one that is idle, or waits for a spawn of its own
 *     P1  public: split up                      I1  counted by the doorbell / state |= WAITING
 *     P2  asked = no                            I2  asked = yes
 *     P3  ring; wake the owner of the spawn     I3  look at public
 *         that runs here, if WAITING            I4  sleep
 *
 * Invariant  P3 sees the sleeper, or I3 sees the spawns; never neither: each side writes, then reads the other's,
 *            all seq_cst.
 *            P2 may wipe out an I2 of the same moment: then I3 comes after P1, or P3 after I1.
 *            `asked` and split, as the inline half sees them, are one word, `limit`: split, or a place behind all spawns, so that a
 *            sync compares once. An I2 that comes while the worker moves split is kept (set_split).
 * Not kept   that a worker notices `asked` at once: it looks at its next spawn or sync. Before that it had nothing to give
 *            away but what lies above split already.
 *
 * A worker that waits takes spawns of its thief only (leapfrogging): these are, but for what its thief had begun before,
 * pieces of the spawn it waits for. Nobody can wait in a circle: whoever waits at the top of its stack waits for a spawn
 * spawned after everything beneath.
 *
 * Checked    tests/stress/fork_join_race.c, tests/model/fork_join.pml
 * Rejected   a deque of pointers (Chase and Lev): each spawn would be an allocation or a second write, and a fence; the sync
 *            of a pointer cannot be a direct call.
 */
#include "fork_join.h"

#include "backoff.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SPAWNS = 1 << 20 };

#define DONE    ((uintptr_t)1)
#define WAITING ((uintptr_t)2)
#define FLAGS   (DONE | WAITING)

/* The first page of a mapping; the spawns come behind it, and behind these a page that nobody may touch.
 * I set when made · O the worker that runs here · A atomic */
struct mfi_fork_stack {
    mf_fork                 inline_half;   /* A  First: the inline half knows nothing else */
    MFI_APART(apart_public);
    _Atomic uint64_t        public;        /* A  split << 32 | tail, as indexes */
    MFI_APART(apart_rest);
    mf_pool_worker         *worker;        /* I */
    mf_spawn               *spawns;        /* I */
    mf_spawn               *split;         /* O  as in `public` */
    struct mfi_fork_stack  *below;         /* O  one in use already; see stack_enter */
    struct mfi_fork_stack  *above;         /* O  one more, made before and free now */
    mf_spawn               *serving;       /* O  the spawn of another stack that runs here; the innermost */
    mf_pool_worker         *serving_whom;  /* O */
    bool                    used;          /* O */
};

typedef struct mfi_fork_stack stack;

_Static_assert(sizeof(mf_spawn) == MFI_CACHE_LINE, "a spawn is a cache line");

static uint64_t word_of(uint64_t tail, uint64_t split)
{
    return split << 32 | tail;
}

static uint64_t tail_of(uint64_t word)
{
    return word & UINT32_MAX;
}

static uint64_t split_of(uint64_t word)
{
    return word >> 32;
}

/* Plain in the public header, so that it is C++ too. */
static _Atomic uintptr_t *state_of(mf_spawn *spawn)
{
    _Static_assert(sizeof(_Atomic uintptr_t) == sizeof(uintptr_t), "the atomic word must fit into mf_spawn");
    return (_Atomic uintptr_t *)&spawn->state;
}

static _Atomic uintptr_t *limit_of(stack *s)
{
    return (_Atomic uintptr_t *)&s->inline_half.limit;
}

static uintptr_t asked_limit(const stack *s)
{
    return (uintptr_t)(s->spawns + SPAWNS) + 1;
}

/* I2. A load first: many may ask, and the line is the victim's. */
static void ask(stack *s)
{
    if (atomic_load_explicit(limit_of(s), memory_order_relaxed) != asked_limit(s))
        atomic_store_explicit(limit_of(s), asked_limit(s), memory_order_seq_cst);
}

static bool asked(stack *s)
{
    return atomic_load_explicit(limit_of(s), memory_order_relaxed) == asked_limit(s);
}

/* Its owner, who has changed `public`. */
static void set_split(stack *s, mf_spawn *split)
{
    s->split = split;
    if (atomic_exchange_explicit(limit_of(s), (uintptr_t)split, memory_order_relaxed) == asked_limit(s))
        atomic_store_explicit(limit_of(s), asked_limit(s), memory_order_relaxed);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t header_size(void)
{
    size_t page = page_size();
    return (sizeof(stack) + page - 1) / page * page;
}

static size_t mapping_size(void)
{
    return header_size() + SPAWNS * sizeof(mf_spawn) + page_size();
}

static stack *stack_make(mf_pool_worker *worker)
{
    size_t size = mapping_size();
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (mprotect(at + size - page_size(), page_size(), PROT_NONE) != 0) {
        munmap(at, size);
        return NULL;
    }
    stack *s = (stack *)at;
    s->worker = worker;
    s->spawns = (mf_spawn *)(at + header_size());
    s->split = s->spawns;
    atomic_init(limit_of(s), (uintptr_t)s->spawns);
    return s;
}

/* The stack that a worker may use from its first slot on. It has one, and needs a second if a spawn runs a job, which runs a
 * spawn: how far the first is filled only its own calls know. NULL: no memory. */
static stack *stack_enter(mf_pool_worker *worker)
{
    /* Relaxed: written by this thread alone. */
    stack *s = atomic_load_explicit(&worker->forks, memory_order_relaxed);
    if (s == NULL || s->used) {
        stack *more = s != NULL && s->above != NULL ? s->above : stack_make(worker);
        if (more == NULL)
            return NULL;
        if (s != NULL)
            s->above = more;
        more->below = s;
        s = more;
        /* Release: a thief may read what stack_make wrote. */
        atomic_store_explicit(&worker->forks, s, memory_order_release);
        if (atomic_load_explicit(&worker->pool->forking, memory_order_relaxed) == 0)
            atomic_store_explicit(&worker->pool->forking, 1, memory_order_release);
    }
    s->used = true;
    return s;
}

static void stack_leave(stack *s)
{
    s->used = false;
    if (s->below != NULL)
        atomic_store_explicit(&s->worker->forks, s->below, memory_order_release);
}

void mfi_fork_free(mf_pool_worker *worker)
{
    stack *s = atomic_load_explicit(&worker->forks, memory_order_relaxed);
    while (s != NULL && s->above != NULL)
        s = s->above;
    for (stack *below; s != NULL; s = below) {
        below = s->below;
        munmap(s, mapping_size());
    }
}

/* ---- taking ------------------------------------------------------------------------------------------------------ */

static mf_spawn *take_from(stack *victim)
{
    /* seq_cst: I3. */
    uint64_t word = atomic_load_explicit(&victim->public, memory_order_seq_cst);
    while (tail_of(word) < split_of(word))
        /* Acquire: pairs with the release in mf_fork_publish. Release: what later takes order themselves by. */
        if (atomic_compare_exchange_weak_explicit(&victim->public, &word, word + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return &victim->spawns[tail_of(word)];
    return NULL;
}

/* Take one, or ask for one. */
static mf_spawn *take_or_ask(stack *victim)
{
    mf_spawn *spawn = take_from(victim);
    if (spawn == NULL)
        ask(victim);
    return spawn;
}

/* Run a spawn of victim on s, whose first free slot is top. */
static void run_taken(stack *s, mf_spawn *top, stack *victim, mf_spawn *spawn)
{
    mf_pool_worker *owner = victim->worker;
    mf_spawn *serving = s->serving;
    mf_pool_worker *whom = s->serving_whom;
    s->serving = spawn;
    s->serving_whom = owner;
    /* Release: the owner reads this stack through it. */
    atomic_store_explicit(state_of(spawn), (uintptr_t)s, memory_order_release);
    spawn->steal(&s->inline_half, top, spawn);
    s->serving = serving;
    s->serving_whom = whom;
    /* Release: the value. From here on the slot is its owner's again. */
    if (atomic_exchange_explicit(state_of(spawn), DONE, memory_order_acq_rel) & WAITING)
        mfi_parker_unpark(&owner->fork_bed);
}

/* A job: run what was just taken. */
static void run_taken_job(void *arg)
{
    mf_pool_worker *self = mfi_worker_current();
    stack *s = self->fork_room;
    run_taken(s, s->spawns, self->fork_victim, arg);
    stack_leave(s);
}

bool mfi_fork_take(mf_pool_worker *self, mfi_item *job)
{
    mf_pool *pool = self->pool;
    if (atomic_load_explicit(&pool->forking, memory_order_acquire) == 0)
        return false;
    stack *room = NULL;
    unsigned n = mfi_pool_started(pool);
    /* Not all from the first: each begins behind itself. */
    for (unsigned i = 1; i < n; i++) {
        stack *victim = atomic_load_explicit(&pool->threads[(self->index + i) % n].forks, memory_order_acquire);
        if (victim == NULL)
            continue;
        /* Room first: what was taken has to be run. */
        if (room == NULL && (room = stack_enter(self)) == NULL)
            return false;
        mf_spawn *spawn = take_or_ask(victim);
        if (spawn == NULL)
            continue;
        self->fork_room = room;
        self->fork_victim = victim;
        *job = (mfi_item){{(uintptr_t)run_taken_job, (uintptr_t)spawn, 0}};
        return true;
    }
    if (room != NULL)
        stack_leave(room);
    return false;
}

bool mfi_fork_stealable(mf_pool_worker *self)
{
    mf_pool *pool = self->pool;
    if (atomic_load_explicit(&pool->forking, memory_order_acquire) == 0)
        return false;
    for (unsigned i = 0, n = mfi_pool_started(pool); i < n; i++) {
        stack *victim = atomic_load_explicit(&pool->threads[i].forks, memory_order_acquire);
        if (victim == NULL || &pool->threads[i] == self)
            continue;
        /* I2, I3. */
        atomic_store_explicit(limit_of(victim), asked_limit(victim), memory_order_seq_cst);
        uint64_t word = atomic_load_explicit(&victim->public, memory_order_seq_cst);
        if (tail_of(word) < split_of(word))
            return true;
    }
    return false;
}

/* ---- giving ------------------------------------------------------------------------------------------------------ */

void mf_fork_publish(mf_fork *self, mf_spawn *end)
{
    stack *s = (stack *)self;
    size_t mine = (size_t)(end - s->split);
    if (mine == 0)
        return;      /* still asked: at the next spawn */
    size_t given = (mine + 1) / 2;
    s->split += given;
    /* P1, P2, P3. */
    atomic_fetch_add_explicit(&s->public, word_of(0, given), memory_order_seq_cst);
    atomic_store_explicit(limit_of(s), (uintptr_t)s->split, memory_order_seq_cst);
    mfi_doorbell_ring(&s->worker->pool->bell);
    if (s->serving != NULL && (atomic_load_explicit(state_of(s->serving), memory_order_seq_cst) & WAITING))
        mfi_parker_unpark(&s->serving_whom->fork_bed);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

/* Sleep until the spawn is done or its thief has something to give. */
static void sleep_for(stack *s, mf_spawn *spawn, uintptr_t seen)
{
    /* I1; a thief that is done by now changes the word first, and there is no sleep. */
    if (!atomic_compare_exchange_strong_explicit(state_of(spawn), &seen, seen | WAITING, memory_order_seq_cst,
                                                 memory_order_acquire))
        return;
    stack *thief = (stack *)seen;
    atomic_store_explicit(limit_of(thief), asked_limit(thief), memory_order_seq_cst);
    uint64_t word = atomic_load_explicit(&thief->public, memory_order_seq_cst);
    if (tail_of(word) >= split_of(word))
        mfi_parker_park(&s->worker->fork_bed, INT64_MAX);
    seen |= WAITING;
    /* Awake; unless it is done, which nobody takes back. */
    atomic_compare_exchange_strong_explicit(state_of(spawn), &seen, seen & ~WAITING, memory_order_acq_rel,
                                            memory_order_acquire);
}

static void await(stack *s, mf_spawn *spawn)
{
    mfi_backoff wait = MFI_BACKOFF;
    for (;;) {
        /* Acquire: pairs with run_taken. */
        uintptr_t state = atomic_load_explicit(state_of(spawn), memory_order_acquire);
        if (state == DONE)
            return;
        stack *thief = (stack *)(state & ~FLAGS);
        mf_spawn *piece = thief != NULL ? take_or_ask(thief) : NULL;
        if (piece != NULL) {
            run_taken(s, spawn + 1, thief, piece);
            wait = MFI_BACKOFF;
        } else if (!mfi_backoff_once(&wait)) {
            if (thief != NULL)
                sleep_for(s, spawn, state);
            else
                sched_yield();      /* taken, but its thief has not written its name yet */
            wait = MFI_BACKOFF;
        }
    }
}

bool mf_fork_take_back(mf_fork *self, mf_spawn *spawn)
{
    stack *s = (stack *)self;
    if (asked(s))
        mf_fork_publish(self, spawn);
    if (spawn >= s->split)
        return true;
    uint64_t index = (uint64_t)(spawn - s->spawns);
    uint64_t word = atomic_load_explicit(&s->public, memory_order_relaxed);
    while (tail_of(word) <= index) {
        /* Half of what nobody took stays for others: somebody wanted it. */
        uint64_t split = tail_of(word) + (index - tail_of(word)) / 2;
        /* Acquire: what thieves did before with slots that are ours now. */
        if (atomic_compare_exchange_weak_explicit(&s->public, &word, word_of(tail_of(word), split), memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            set_split(s, s->spawns + split);
            return true;
        }
    }
    await(s, spawn);
    atomic_store_explicit(state_of(spawn), 0, memory_order_relaxed);
    /* It was the last that others could take: tail and split are behind it. A thief that still looks at the old word finds it
     * changed. */
    atomic_store_explicit(&s->public, word_of(index, index), memory_order_release);
    set_split(s, spawn);
    return false;
}

/* ---- from outside ------------------------------------------------------------------------------------------------ */

struct root {
    mf_spawn *spawn;
    mf_status     st;
};

static void run_root(void *arg)
{
    struct root *root = arg;
    stack *s = stack_enter(mfi_worker_current());
    root->st = s != NULL ? MF_OK : MF_E_NOMEM;
    if (s == NULL)
        return;
    /* Whoever sleeps asked nobody yet. */
    atomic_store_explicit(limit_of(s), asked_limit(s), memory_order_relaxed);
    root->spawn->steal(&s->inline_half, s->spawns, root->spawn);
    stack_leave(s);
}

mf_status mf_fork_run(mf_pool *pool, mf_spawn *spawn)
{
    if (mfi_pool_forked(pool))
        return MF_E_FORKED;
    struct root root = {spawn, MF_OK};
    if (mfi_worker_of(pool) != NULL) {
        run_root(&root);
        return root.st;
    }
    mf_group group;
    mf_group_init(&group, pool);
    mf_status st = mf_group_submit(&group, run_root, &root);
    if (st == MF_OK)
        st = mf_group_wait(&group);
    return st == MF_OK ? root.st : st;
}
