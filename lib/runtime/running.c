/* Which calls run here. Each thread has a seat, and on it the innermost of its calls; the others are below.
 *
 *    a call that begins or ends              who looks at the calls that run
 *    A1  publish the seat's top              B1  take the lock, looking = 1
 *    A2  begins: read `closing`, `stops`;    B2  a barrier everywhere
 *        ends: read `looking`; is it 1,      B3  read each seat's top, and walk down
 *        wait for the lock                   B4  looking = 0, leave the lock
 *
 * Invariant  what B3 sees does not end before B4; and what it does not see begins after what was written before B1, which A2 sees,
 *            or has ended.
 * Why        sync/barrier.h: A2 sees B1, or B3 sees A1. So beginning and ending cost two plain stores, and threads that run calls
 *            share no line, where a list under a lock was 30 ns and a line from thread to thread for each of the two.
 * Rejected   a list and a lock for each thread: no line is shared either, but the locked instructions stay. */
#include "runtime.h"

#include "barrier.h"
#include "futex.h"
#include "here.h"
#include "memory.h"

#include <assert.h>

struct mfi_seat {
    _Atomic uint64_t top;       /* A  the address of a mfi_running; 0: none */
    uintptr_t        thread;    /* I  whose it is */
    mfi_seat        *next;      /* I */
    char             apart[104];    /* two threads write to no line in common */
};

_Thread_local struct mfi_here mfi_here;

mfi_running *mfi_control_current(void)
{
    return mfi_here.running;
}

/* ---- seats --------------------------------------------------------------------------------------------------------- */

void mfi_seats_init(mfi_seats *s)
{
    static _Atomic uint64_t last;
    s->number = 1 + atomic_fetch_add_explicit(&last, 1, memory_order_relaxed);
    s->first = NULL;
    atomic_init(&s->looking, 0);
}

void mfi_seats_fini(mf_client *client)
{
    mfi_seats *s = &client->control.seats;
    while (s->first != NULL) {
        mfi_seat *next = s->first->next;
        mf_delete(client->allocator, s->first);
        s->first = next;
    }
}

static mfi_seat *find(const mfi_seats *s, uintptr_t thread)
{
    mfi_seat *seat = s->first;
    while (seat != NULL && seat->thread != thread)
        seat = seat->next;
    return seat;
}

/* A thread that ended leaves its seat to one that is known by the same number. The barrier is there before the first seat is seen, and
 * costs a client that only sends nothing. */
static mfi_seat *make(mf_client *client, uintptr_t thread)
{
    mfi_barrier_init();
    mfi_seats *s = &client->control.seats;
    mf_error err = {.status = MF_E_NOMEM, .text = "no memory for a thread's seat"};
    mfi_seat *seat;
    unsigned tries = 0;
    while ((seat = mf_new(client->allocator, mfi_seat)) == NULL)
        mfi_pause_before_retry(client, MF_E_NOMEM, &err, &tries);
    seat->thread = thread;
    mfi_mutex_lock(&client->control.lock);
    seat->next = s->first;
    s->first = seat;
    mfi_mutex_unlock(&client->control.lock);
    return seat;
}

static mfi_seat *sit_down(mf_client *client)
{
    uintptr_t self = mfi_thread_self();
    mfi_mutex_lock(&client->control.lock);
    mfi_seat *seat = find(&client->control.seats, self);
    mfi_mutex_unlock(&client->control.lock);
    mfi_here.seat = seat != NULL ? seat : make(client, self);
    mfi_here.seat_of = client->control.seats.number;
    return mfi_here.seat;
}

static mfi_running *running_at(uint64_t top)
{
    return (mfi_running *)(uintptr_t)top;
}

/* ---- a call ---------------------------------------------------------------------------------------------------------- */

/* The keeper hears of a deadline that is earlier than what it knows. */
static void note_deadline(mf_client *client, int64_t deadline_ns)
{
    mfi_control *c = &client->control;
    mfi_mutex_lock(&c->lock);
    bool earlier = deadline_ns < c->next_ns;
    if (earlier)
        c->next_ns = deadline_ns;
    mfi_mutex_unlock(&c->lock);
    if (earlier)
        mfi_keeper_look(client);
}

void mfi_control_enter(mf_client *client, mfi_running *running)
{
    mfi_control *c = &client->control;
    mfi_seat *seat = mfi_here.seat_of == c->seats.number ? mfi_here.seat : sit_down(client);
    bool timed = running->deadline_ns != INT64_MAX;
    running->below = mfi_here.running;
    mfi_here.running = running;
    running->share = mfi_here.share != 0 ? mfi_here.share : mfi_stats_share();
    if (timed)
        running->thread_mark = mf_adapter_thread_mark(client->adapter);
    running->seat = seat;
    running->under = running_at(atomic_load_explicit(&seat->top, memory_order_relaxed));    /* of this thread alone */
    int64_t deadline_ns = running->deadline_ns;
    mfi_publish(&seat->top, (uintptr_t)running);
    if (atomic_load_explicit(&c->closing, memory_order_seq_cst))
        mfi_call_stop(&running->call, MFI_STOP_CLOSING);
    if (timed)
        note_deadline(client, deadline_ns);
}

bool mfi_control_leave(mf_client *client, mfi_running *running)
{
    mfi_control *c = &client->control;
    assert(running_at(atomic_load_explicit(&running->seat->top, memory_order_relaxed)) == running);
    mfi_here.running = running->below;
    mfi_publish(&running->seat->top, (uintptr_t)running->under);
    if (atomic_load_explicit(&c->seats.looking, memory_order_seq_cst) != 0) {
        mfi_mutex_lock(&c->lock);
        mfi_mutex_unlock(&c->lock);
    }
    /* Nobody else reaches it any more. */
    if (running->owner == MFI_CALL_RUNNING) {
        running->owner = MFI_CALL_RETURNED;
        return true;
    }
    while (atomic_load_explicit(&running->released, memory_order_acquire) == 0)
        mfi_futex_wait(&running->released, 0, INT64_MAX);
    if (running->replaced)
        mf_adapter_replace_thread(client->adapter, running->thread_mark, false);
    return false;
}

/* ---- who looks --------------------------------------------------------------------------------------------------------- */

void mfi_running_look(mf_client *client)
{
    mfi_mutex_lock(&client->control.lock);
    atomic_store_explicit(&client->control.seats.looking, 1, memory_order_seq_cst);
    mfi_barrier_everywhere();
}

void mfi_running_looked(mf_client *client)
{
    /* Release, or stronger: a call that ends and reads it sees what was written to it meanwhile. */
    atomic_store_explicit(&client->control.seats.looking, 0, memory_order_seq_cst);
    mfi_mutex_unlock(&client->control.lock);
}

static mfi_running *from(const mfi_seat *seat)
{
    uint64_t top = 0;
    for (; seat != NULL && top == 0; seat = seat->next)
        top = atomic_load_explicit(&seat->top, memory_order_seq_cst);
    return running_at(top);
}

mfi_running *mfi_running_first(mf_client *client)
{
    return from(client->control.seats.first);
}

mfi_running *mfi_running_next(const mfi_running *running)
{
    return running->under != NULL ? running->under : from(running->seat->next);
}

void mfi_control_counts(mf_client *client, unsigned *running, unsigned *stuck, int64_t *newest_ns)
{
    *running = *stuck = 0;
    *newest_ns = 0;
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r) {
        int64_t began_ns = atomic_load_explicit(&r->began_ns, memory_order_relaxed);
        (*running)++;
        if (r->owner == MFI_CALL_VOIDED)
            (*stuck)++;
        if (began_ns == 0)
            *newest_ns = INT64_MAX;
        else if (began_ns > *newest_ns)
            *newest_ns = began_ns;
    }
    mfi_running_looked(client);
}

size_t mfi_control_calls(mf_client *client, mfi_call_seen *out, size_t max, size_t *all)
{
    size_t n = 0;
    *all = 0;
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r) {
        const mf_delivery *d = r->call.delivery;
        if (n < max && r->owner != MFI_CALL_VOIDED)
            out[n++] = (mfi_call_seen){.task = r->task->name, .unit = d->unit, .attempt = d->attempt};
        ++*all;
    }
    mfi_running_looked(client);
    return n;
}
