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
    mfi_seats_init(&c->seats);
    atomic_init(&c->closing, false);
    atomic_init(&c->stops, 0);
    atomic_init(&c->stopping, 0);
    c->next_ns = INT64_MAX;
    c->renew_ns = 0;
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
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r) {
        const mf_key *key = &r->call.delivery->unit.key;
        if (keys.count > 0 && mf_key_eq(&keys.at[keys.count - 1], key))
            continue;
        if (!mfi_array_reserve(client->allocator, (void **)&keys.at, &keys.capacity, keys.count + 1, sizeof *keys.at))
            break;      /* without memory the rest is not told; it ends by itself, and its outcome counts no more */
        keys.at[keys.count++] = *key;
    }
    mfi_running_looked(client);
    return keys;
}

/* Ask the calls of one record to stop. */
static void stop_calls(mf_client *client, const mf_key *key, unsigned bits)
{
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r)
        if (mf_key_eq(&r->call.delivery->unit.key, key))
            mfi_call_stop(&r->call, bits);
    mfi_running_looked(client);
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
 *    S2  commit: the record has ended  C1  enter (running.c)
 *    S3  stops += 1                    C2  read stops and stopping
 *    S4  look at the calls             C3  neither moved: run; else read the records again
 *    S5  stopping -= 1
 *
 * Invariant  what begins after S2 reads the records again, or is found by S4; so nothing runs on unnoticed.
 * Why        S4 sees the call, or C2 sees S3 (running.c). Between S2 and S3 C2 sees S1. */
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
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r)
        if (mf_str_eq(r->call.delivery->id, id))
            mfi_call_stop(&r->call, MFI_STOP_CANCEL);
    mfi_running_looked(client);
    mf_adapter_wake_helpers(client->adapter);
}

void mfi_control_close(mf_client *client)
{
    atomic_store_explicit(&client->control.closing, true, memory_order_seq_cst);
    mfi_running_look(client);
    MFI_EACH_RUNNING (client, r)
        mfi_call_stop(&r->call, MFI_STOP_CLOSING);
    mfi_running_looked(client);
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
    if (running->deadline_ns < client->control.next_ns)
        client->control.next_ns = running->deadline_ns;
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
    mfi_running *voided;
    bool asked = false;
    mfi_mutex_lock(&c->lock);
    int64_t next = c->next_ns;      /* most calls have no deadline */
    mfi_mutex_unlock(&c->lock);
    if (now_ns < next)
        return next;
    do {
        next = INT64_MAX;
        voided = NULL;
        mfi_running_look(client);
        MFI_EACH_RUNNING (client, r) {
            if (voided != NULL)
                break;
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
        mfi_running_looked(client);
        if (voided != NULL)
            tell_timeout(client, voided);
    } while (voided != NULL);
    if (asked)
        mf_adapter_wake_helpers(client->adapter);
    return next;
}
