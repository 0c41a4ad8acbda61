/* The calls that run in this process: asking them to stop, and what happens when their time is over.
 *
 * A call out of time is asked to stop; if it has not returned 3 s later, the keeper tells its outcome in its place, the
 * claim is void, and another thread takes the place of the one that is stuck. Whoever moves `owner` away from RUNNING
 * tells the outcome, so it is told once. */
#include "runtime.h"

#include "clock.h"
#include "futex.h"
#include "here.h"
#include "memory.h"

#define GRACE           mf_seconds(3)
#define MAX_CONTAINERS  32

void mfi_control_init(mfi_control *c)
{
    mfi_mutex_init(&c->lock);
    c->running = NULL;
    c->closing = false;
    atomic_init(&c->stops, 0);
    atomic_init(&c->stopping, 0);
    c->next_ns = INT64_MAX;
    c->renew_ns = 0;
}

_Thread_local struct mfi_here mfi_here;

mfi_running *mfi_control_current(void)
{
    return mfi_here.running;
}

void mfi_control_enter(mf_client *client, mfi_running *running)
{
    running->below = mfi_here.running;
    mfi_here.running = running;
    running->share = mfi_here.share != 0 ? mfi_here.share : mfi_stats_share();
    mfi_control *c = &client->control;
    bool timed = running->deadline_ns != INT64_MAX;
    if (timed)
        running->thread_mark = mf_adapter_thread_mark(client->adapter);
    mfi_mutex_lock(&c->lock);
    running->prev = NULL;
    running->next = c->running;
    if (c->running != NULL)
        c->running->prev = running;
    c->running = running;
    if (c->closing)
        mfi_call_stop(&running->call, MFI_STOP_CLOSING);
    bool earlier = running->deadline_ns < c->next_ns;
    if (running->deadline_ns < c->next_ns)
        c->next_ns = running->deadline_ns;
    mfi_mutex_unlock(&c->lock);
    if (earlier)
        mfi_keeper_look(client);
}

bool mfi_control_leave(mf_client *client, mfi_running *running)
{
    mfi_here.running = running->below;
    mfi_control *c = &client->control;
    mfi_mutex_lock(&c->lock);
    if (running->prev != NULL)
        running->prev->next = running->next;
    else
        c->running = running->next;
    if (running->next != NULL)
        running->next->prev = running->prev;
    bool ours = running->owner == MFI_CALL_RUNNING;
    if (ours)
        running->owner = MFI_CALL_RETURNED;
    mfi_mutex_unlock(&c->lock);
    if (ours)
        return true;
    while (atomic_load_explicit(&running->released, memory_order_acquire) == 0)
        mfi_futex_wait(&running->released, 0, INT64_MAX);
    if (running->replaced)
        mf_adapter_replace_thread(client->adapter, running->thread_mark, false);
    return false;
}

void mfi_control_counts(mf_client *client, unsigned *running, unsigned *stuck, int64_t *newest_ns)
{
    mfi_control *c = &client->control;
    *running = *stuck = 0;
    *newest_ns = 0;
    mfi_mutex_lock(&c->lock);
    for (mfi_running *r = c->running; r != NULL; r = r->next) {
        int64_t began_ns = atomic_load_explicit(&r->began_ns, memory_order_relaxed);
        (*running)++;
        if (r->owner == MFI_CALL_VOIDED)
            (*stuck)++;
        if (began_ns == 0)
            *newest_ns = INT64_MAX;
        else if (began_ns > *newest_ns)
            *newest_ns = began_ns;
    }
    mfi_mutex_unlock(&c->lock);
}

size_t mfi_control_calls(mf_client *client, mfi_call_seen *out, size_t max, size_t *all)
{
    mfi_control *c = &client->control;
    size_t n = 0;
    *all = 0;
    mfi_mutex_lock(&c->lock);
    for (mfi_running *r = c->running; r != NULL; r = r->next, ++*all) {
        const mf_delivery *d = r->call.delivery;
        if (n < max && r->owner != MFI_CALL_VOIDED)
            out[n++] = (mfi_call_seen){.task = r->task->name, .unit = d->unit, .attempt = d->attempt};
    }
    mfi_mutex_unlock(&c->lock);
    return n;
}

/* ---- stop -------------------------------------------------------------------------------------------------------- */

mf_record mfi_load_record(mf_client *client, const mf_key *key)
{
    mf_record record = {0};
    mf_error err = {0};
    mf_status st;
    unsigned tries = 0;
    while ((st = mf_store_load(client->store, key, 1, &record, &err)) != MF_OK)
        mfi_pause_before_retry(client, st, &err, &tries);
    return record;
}

/* Whether the unit stands in `key` or below it: a walk up through the records. */
static bool stands_below(mf_client *client, mf_key at, const mf_key *key)
{
    for (int i = 0; i < MAX_CONTAINERS && mf_key_is_set(&at); i++) {
        if (mf_key_eq(&at, key))
            return true;
        mf_record record = mfi_load_record(client, &at);
        mf_key above = {{0}};
        if (record.spec != NULL)
            above = record.spec->container;
        mf_record_release(&record);
        at = above;
    }
    return false;
}

struct keys {
    mf_key *at;
    size_t  count, capacity;
};

/* The keys of the calls that run here, each once as far as they stand together. */
static struct keys running_keys(mf_client *client)
{
    struct keys keys = {0};
    mfi_mutex_lock(&client->control.lock);
    for (mfi_running *r = client->control.running; r != NULL; r = r->next) {
        const mf_key *key = &r->call.delivery->unit.key;
        if (keys.count > 0 && mf_key_eq(&keys.at[keys.count - 1], key))
            continue;
        if (!mfi_array_reserve(client->allocator, (void **)&keys.at, &keys.capacity, keys.count + 1, sizeof *keys.at))
            break;      /* without memory the rest is not told; it ends by itself, and its outcome counts no more */
        keys.at[keys.count++] = *key;
    }
    mfi_mutex_unlock(&client->control.lock);
    return keys;
}

/* Ask the calls of one record to stop. */
static void stop_calls(mf_client *client, const mf_key *key, unsigned bits)
{
    mfi_control *c = &client->control;
    mfi_mutex_lock(&c->lock);
    for (mfi_running *r = c->running; r != NULL; r = r->next)
        if (mf_key_eq(&r->call.delivery->unit.key, key))
            mfi_call_stop(&r->call, bits);
    mfi_mutex_unlock(&c->lock);
}

/* Records are not read under the lock, so the keys come first. */
static void stop_below(mf_client *client, const mf_key *key, unsigned bits)
{
    struct keys keys = running_keys(client);
    for (size_t i = 0; i < keys.count; i++)
        if (stands_below(client, keys.at[i], key))
            stop_calls(client, &keys.at[i], bits);
    mfi_release(client->allocator, keys.at, keys.capacity * sizeof *keys.at);
    mf_adapter_wake_helpers(client->adapter);       /* a call that waits inside sees its stop, too */
    mf_adapter_request_stop(client->adapter, &(mf_unit){.key = *key});
}

/* From a record upward: the first that has ended, or else the first that is paused, and whose status that is. What is gone has
 * ended. */
static mf_signature_status standing_from(mf_client *client, mf_key at, mf_key *blocker)
{
    mf_signature_status first = MF_STATUS_ACTIVE;
    memset(blocker, 0, sizeof *blocker);
    for (int i = 0; i < MAX_CONTAINERS && mf_key_is_set(&at); i++) {
        mf_record record = mfi_load_record(client, &at);
        mf_signature_status status = MF_STATUS_CANCELED;
        mf_key above = {{0}};
        if (record.spec != NULL) {
            status = record.state.status;
            above = record.spec->container;
        }
        mf_record_release(&record);
        if (!mf_signature_status_runs(status) && (mf_signature_status_runs(first) || mf_signature_status_ended(status))) {
            *blocker = at;
            first = status;
        }
        if (mf_signature_status_ended(status))
            break;
        at = above;
    }
    return first;
}

mf_signature_status mfi_control_standing(mf_client *client, const mf_key *key, mf_key *blocker)
{
    return standing_from(client, *key, blocker);
}

mf_signature_status mfi_control_standing_above(mf_client *client, const mf_key *key, mf_key *blocker)
{
    mf_record record = mfi_load_record(client, key);
    mf_key above = {{0}};
    if (record.spec != NULL)
        above = record.spec->container;
    mf_record_release(&record);
    return standing_from(client, above, blocker);
}

/* A stop against calls that were claimed before it:
 *
 *    stop                              call
 *    S1  stopping += 1                 C0  mark = stops, then claim
 *    S2  commit: the record has ended  C1  enter the list of running calls
 *    S3  stops += 1                    C2  read stops and stopping
 *    S4  look through the list         C3  neither moved: run; else read the records again
 *    S5  stopping -= 1
 *
 * Invariant  what begins after S2 reads the records again, or is found by S4; so nothing runs on unnoticed.
 * Why        C1 and S4 are ordered by the list's lock: S4 sees the call, or C2 sees S3. Between S2 and S3 C2 sees S1. */
void mfi_control_stop_begin(mf_client *client, unsigned bits)
{
    mfi_here.owes_stop = bits;
    atomic_fetch_add_explicit(&client->control.stopping, 1, memory_order_seq_cst);
}

void mfi_control_ended(mf_client *client, const mf_key *key)
{
    unsigned bits = mfi_here.owes_stop;
    if (bits == 0)
        return;
    mfi_here.owes_stop = 0;
    atomic_fetch_add_explicit(&client->control.stops, 1, memory_order_seq_cst);
    stop_below(client, key, bits);
}

void mfi_control_stop_end(mf_client *client, const mf_key *key, bool committed)
{
    if (committed)
        mfi_control_ended(client, key);
    mfi_here.owes_stop = 0;
    atomic_fetch_sub_explicit(&client->control.stopping, 1, memory_order_seq_cst);
}

bool mfi_control_stopped_since(mf_client *client, uint64_t mark)
{
    mfi_control *c = &client->control;
    return atomic_load_explicit(&c->stopping, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&c->stops, memory_order_seq_cst) != mark;
}

/* What is suspended lets a call that was claimed before go on. */
static unsigned stop_for(mf_signature_status standing)
{
    if (standing == MF_STATUS_INTERRUPTED)
        return MFI_STOP_INTERRUPT;
    return mf_signature_status_ended(standing) ? MFI_STOP_CANCEL : 0;
}

unsigned mfi_control_overtaken(mf_client *client, const mfi_running *running)
{
    const mf_key *at = &running->call.delivery->unit.key;
    mf_key blocker;
    if (!mf_key_is_set(at) || !mfi_control_stopped_since(client, running->mark))
        return 0;
    return stop_for(mfi_control_standing(client, at, &blocker));
}

void mfi_control_look(mf_client *client)
{
    struct keys keys = running_keys(client);
    for (size_t i = 0; i < keys.count; i++) {
        mf_key blocker;
        unsigned bits = mf_key_is_set(&keys.at[i]) ? stop_for(mfi_control_standing(client, &keys.at[i], &blocker)) : 0;
        if (bits != 0)
            stop_calls(client, &keys.at[i], bits);
    }
    if (keys.count > 0)
        mf_adapter_wake_helpers(client->adapter);
    mfi_release(client->allocator, keys.at, keys.capacity * sizeof *keys.at);
}

void mfi_control_stop_id(mf_client *client, mf_str id)
{
    mfi_control *c = &client->control;
    mfi_mutex_lock(&c->lock);
    for (mfi_running *r = c->running; r != NULL; r = r->next)
        if (mf_str_eq(r->call.delivery->id, id))
            mfi_call_stop(&r->call, MFI_STOP_CANCEL);
    mfi_mutex_unlock(&c->lock);
    mf_adapter_wake_helpers(client->adapter);
}

void mfi_control_close(mf_client *client)
{
    mfi_control *c = &client->control;
    mfi_mutex_lock(&c->lock);
    c->closing = true;
    for (mfi_running *r = c->running; r != NULL; r = r->next)
        mfi_call_stop(&r->call, MFI_STOP_CLOSING);
    mfi_mutex_unlock(&c->lock);
    mf_adapter_wake_helpers(client->adapter);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

mf_status mfi_control_refresh(mf_client *client, mfi_call *call, mf_duration more)
{
    mfi_running *running = (mfi_running *)(void *)call;     /* its first member */
    mf_status st = MF_OK;
    mfi_mutex_lock(&client->control.lock);
    if (running->out_of_time)
        st = MF_E_STATE;
    else if (running->deadline_ns != INT64_MAX)
        running->deadline_ns = mfi_deadline_ns(mfi_now_ns(client->clock), more);
    mfi_mutex_unlock(&client->control.lock);
    if (st == MF_OK)
        mfi_keeper_look(client);
    return st;
}

static void tell_timeout(mf_client *client, mfi_running *running)
{
    mfi_log_about(client, MF_LOG_WARN, running->call.delivery, NULL,
                  "ignores its timeout; its outcome is a timeout and its thread is replaced");
    running->replaced = mf_adapter_replace_thread(client->adapter, running->thread_mark, true) == MF_OK;
    const mf_delivery *d = running->call.delivery;
    mfi_attempt_failed(client, d, running->token, running->task, "Timeout",
                       "the task did not end within its timeout, nor 3 s after it was asked to stop", false);
    atomic_store_explicit(&running->released, 1, memory_order_release);
    mfi_futex_wake(&running->released, UINT32_MAX);
}

int64_t mfi_control_tick(mf_client *client, int64_t now_ns)
{
    mfi_control *c = &client->control;
    int64_t next;
    mfi_running *voided;
    bool asked = false;
    do {
        next = INT64_MAX;
        voided = NULL;
        mfi_mutex_lock(&c->lock);
        for (mfi_running *r = c->running; r != NULL && voided == NULL; r = r->next) {
            if (r->deadline_ns <= now_ns && !r->out_of_time) {
                r->out_of_time = true;
                r->deadline_ns = mfi_deadline_ns(now_ns, GRACE);
                mfi_call_stop(&r->call, MFI_STOP_TIMEOUT);
                asked = true;
            } else if (r->deadline_ns <= now_ns) {
                r->deadline_ns = INT64_MAX;
                if (r->owner == MFI_CALL_RUNNING) {
                    r->owner = MFI_CALL_VOIDED;
                    voided = r;
                }
            }
            if (r->deadline_ns < next)
                next = r->deadline_ns;
        }
        c->next_ns = next;
        mfi_mutex_unlock(&c->lock);
        if (voided != NULL)
            tell_timeout(client, voided);
    } while (voided != NULL);
    if (asked)
        mf_adapter_wake_helpers(client->adapter);
    return next;
}
