#include "doorbell.h"

#include "barrier.h"

#include <assert.h>

#define SEARCHING 1ull
#define SLEEPER   (1ull << 32)

enum { AWAKE, LISTED, RUNG, CALLED };

static uint32_t searching_of(uint64_t counts) { return (uint32_t)counts; }
static uint32_t sleepers_of(uint64_t counts)  { return (uint32_t)(counts >> 32); }

bool mfi_doorbell_init(mfi_doorbell *bell)
{
    atomic_init(&bell->counts, 0);
    bell->top = NULL;
    bell->period = 1;
    atomic_init(&bell->passed, 0);
    mfi_barrier_init();
    return pthread_mutex_init(&bell->lock, NULL) == 0;
}

void mfi_doorbell_fini(mfi_doorbell *bell)
{
    assert(bell->top == NULL);
    pthread_mutex_destroy(&bell->lock);
}

void mfi_sleeper_init(mfi_sleeper *s)
{
    mfi_parker_init(&s->parker);
    atomic_init(&s->state, AWAKE);
    s->helper = false;
    s->next = s->prev = NULL;
}

static void list_add(mfi_doorbell *bell, mfi_sleeper *s)
{
    s->prev = NULL;
    s->next = bell->top;
    if (bell->top != NULL)
        bell->top->prev = s;
    bell->top = s;
}

/* Take s out of the list and say why. Its worker may run on from here; s stays valid, for it belongs to the pool. */
static void list_end(mfi_doorbell *bell, mfi_sleeper *s, uint32_t why)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        bell->top = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    if (bell->top == NULL)
        bell->period++;
    /* Release: pairs with the load in mfi_doorbell_sleep, which reads it without the lock. */
    atomic_store_explicit(&s->state, why, memory_order_release);
}

/* ---- ringing -------------------------------------------------------------------------------------------------- */

static bool nobody_to_wake(uint64_t counts)
{
    return sleepers_of(counts) == 0 || searching_of(counts) > 0;
}

/* False: there was none. */
static bool wake_one(mfi_doorbell *bell, bool while_searching)
{
    mfi_sleeper *s = NULL;
    pthread_mutex_lock(&bell->lock);
    /* Again under the lock: of many that ring at once, the first makes a searcher and the others see it here. */
    uint64_t counts = atomic_load_explicit(&bell->counts, memory_order_seq_cst);
    if (while_searching ? sleepers_of(counts) > 0 : !nobody_to_wake(counts)) {
        s = bell->top;
        /* Counted before it can know: it may be awake, and would take back what we have not counted yet. */
        atomic_fetch_add_explicit(&bell->counts, SEARCHING - SLEEPER, memory_order_seq_cst);
        list_end(bell, s, RUNG);
    }
    pthread_mutex_unlock(&bell->lock);
    if (s != NULL)
        mfi_parker_unpark(&s->parker);
    return s != NULL;
}

void mfi_doorbell_ring(mfi_doorbell *bell)
{
    /* S2, seq_cst: pairs with W1 in mfi_doorbell_lie_down. */
    if (sleepers_of(atomic_load_explicit(&bell->counts, memory_order_seq_cst)) == 0)
        return;                                     /* no barrier, no system call */
    mfi_barrier_here();
    /* S3, seq_cst: pairs with F1 in mfi_doorbell_found. */
    if (nobody_to_wake(atomic_load_explicit(&bell->counts, memory_order_seq_cst)))
        return;                                     /* no system call */
    wake_one(bell, false);
}

void mfi_doorbell_wake(mfi_doorbell *bell, unsigned n)
{
    while (n-- > 0 && sleepers_of(atomic_load_explicit(&bell->counts, memory_order_relaxed)) > 0 && wake_one(bell, true))
        ;
}

/* ---- searching ------------------------------------------------------------------------------------------------ */

bool mfi_doorbell_search(mfi_doorbell *bell, unsigned workers)
{
    /* A hint only: two that come at once may both pass, which costs some spinning. */
    if (2 * searching_of(atomic_load_explicit(&bell->counts, memory_order_relaxed)) >= workers)
        return false;
    atomic_fetch_add_explicit(&bell->counts, SEARCHING, memory_order_seq_cst);
    return true;
}

bool mfi_doorbell_found(mfi_doorbell *bell)
{
    /* F1, seq_cst: pairs with S3. While others search, one of them will be the last. */
    uint64_t before = atomic_fetch_sub_explicit(&bell->counts, SEARCHING, memory_order_seq_cst);
    assert(searching_of(before) > 0);
    return searching_of(before) == 1 && sleepers_of(before) > 0;
}

/* ---- sleeping ------------------------------------------------------------------------------------------------- */

void mfi_doorbell_lie_down(mfi_doorbell *bell, mfi_sleeper *self, bool searching, bool helper)
{
    pthread_mutex_lock(&bell->lock);
    self->helper = helper;
    list_add(bell, self);
    atomic_store_explicit(&self->state, LISTED, memory_order_relaxed);
    /* W1, seq_cst: pairs with S2. One operation, so that no submitter sees us neither searching nor asleep. */
    atomic_fetch_add_explicit(&bell->counts, searching ? SLEEPER - SEARCHING : SLEEPER, memory_order_seq_cst);
    uint64_t period = bell->period;
    pthread_mutex_unlock(&bell->lock);
    /* Acquire: the barrier of whoever stored it comes before our W2. */
    if (atomic_load_explicit(&bell->passed, memory_order_acquire) == period)
        return;
    mfi_barrier_everywhere();
    /* One of an older period may come late and hide a newer one: that costs a barrier. */
    atomic_store_explicit(&bell->passed, period, memory_order_release);
}

/* Leave the list if still there; tells how it ended, or that we left by ourselves (LISTED). */
static uint32_t leave(mfi_doorbell *bell, mfi_sleeper *self, uint64_t change)
{
    pthread_mutex_lock(&bell->lock);
    uint32_t state = atomic_load_explicit(&self->state, memory_order_relaxed);
    if (state == LISTED) {
        list_end(bell, self, AWAKE);
        atomic_fetch_add_explicit(&bell->counts, change, memory_order_seq_cst);
    }
    pthread_mutex_unlock(&bell->lock);
    return state;
}

mfi_wake mfi_doorbell_sleep(mfi_doorbell *bell, mfi_sleeper *self, int64_t deadline_ns)
{
    uint32_t state;
    /* A token may be left from a waker that came late to an earlier sleep: only the state tells. */
    while ((state = atomic_load_explicit(&self->state, memory_order_acquire)) == LISTED) {
        if (mfi_parker_park(&self->parker, deadline_ns))
            continue;
        state = leave(bell, self, -SLEEPER);
        if (state == LISTED)
            return MFI_WAKE_TIMEOUT;
        break;
    }
    return state == RUNG ? MFI_WAKE_RUNG : MFI_WAKE_CALLED;
}

void mfi_doorbell_get_up(mfi_doorbell *bell, mfi_sleeper *self)
{
    /* Whoever rang for us has counted us as searching already. */
    if (leave(bell, self, SEARCHING - SLEEPER) == CALLED)
        atomic_fetch_add_explicit(&bell->counts, SEARCHING, memory_order_seq_cst);
}

/* ---- calling -------------------------------------------------------------------------------------------------- */

static void call_locked(mfi_doorbell *bell, mfi_sleeper *s)
{
    atomic_fetch_sub_explicit(&bell->counts, SLEEPER, memory_order_seq_cst);
    list_end(bell, s, CALLED);
    mfi_parker_unpark(&s->parker);
}

void mfi_doorbell_call(mfi_doorbell *bell, mfi_sleeper *who)
{
    pthread_mutex_lock(&bell->lock);
    if (atomic_load_explicit(&who->state, memory_order_relaxed) == LISTED)
        call_locked(bell, who);
    pthread_mutex_unlock(&bell->lock);
}

static void call_each(mfi_doorbell *bell, bool helpers_only)
{
    pthread_mutex_lock(&bell->lock);
    for (mfi_sleeper *s = bell->top, *next; s != NULL; s = next) {
        next = s->next;
        if (s->helper || !helpers_only)
            call_locked(bell, s);
    }
    pthread_mutex_unlock(&bell->lock);
}

void mfi_doorbell_call_helpers(mfi_doorbell *bell)
{
    call_each(bell, true);
}

void mfi_doorbell_call_all(mfi_doorbell *bell)
{
    call_each(bell, false);
}
