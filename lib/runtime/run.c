/* A run: a handle on something that was started, and waiting for its end. */
#include "run_handle.h"

#include <unistd.h>

#include "clock.h"
#include "compose.h"
#include "futex.h"
#include "memory.h"
#include "sign.h"

#define LOOK_UP mf_milliseconds(50)   /* how often a waiting task that cannot help looks at its stop */

/* ---- runs -------------------------------------------------------------------------------------------------------- */

mf_run *mfi_run_create(mf_client *client, const mf_key *key, mf_error *err)
{
    mf_run *run = mf_new(client->allocator, mf_run);
    if (run != NULL) {
        run->client = client;
        run->key = *key;
        run->fd = -1;
        if (mfi_observe_run(run) == MF_OK)
            return run;
        mf_delete(client->allocator, run);
    }
    mf_fail(err, MF_E_NOMEM, "run: no memory");
    return NULL;
}

void mf_run_destroy(mf_run *run)
{
    if (run == NULL || mfi_client_check(run->client, NULL) != MF_OK)
        return;
    mfi_unobserve_run(run);
    if (run->gone != NULL)
        *run->gone = true;
    if (run->fd >= 0)
        close(run->fd);
    mf_delete(run->client->allocator, run);
}

mf_run *mf_run_open(mf_client *client, const mf_key *key, mf_error *err)
{
    if (mfi_client_check(client, err) != MF_OK)
        return NULL;
    mf_run *run = mfi_run_create(client, key, err);
    if (run == NULL)
        return NULL;
    mf_record record = {0};
    mf_status st = mf_store_load(client->store, key, 1, &record, err);
    if (st == MF_OK && record.spec == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
    bool ended = st == MF_OK && mf_signature_status_ended(record.state.status);
    mf_record_release(&record);
    if (st != MF_OK) {
        mf_run_destroy(run);
        return NULL;
    }
    mfi_run_stored(run);
    if (ended)
        mfi_observers_ended(client, key);
    return run;
}

mf_key mf_run_key(const mf_run *run)
{
    return run != NULL ? run->key : (mf_key){{0}};
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static mf_status result_of(mf_client *client, const mf_record *record, mf_message **result, mf_error *err)
{
    mf_value list;
    if (record->spec->kind == MF_KIND_SWARM) {
        mf_status st = mfi_gather_results(client, &record->spec->key, result, err);
        if (st == MF_E_TOO_BIG)
            *result = mf_message_nil();
        return st == MF_E_TOO_BIG ? MF_OK : st;
    }
    if (record->state.result == NULL || !mfi_compose_results_of(record->state.result, &list)) {
        *result = mf_message_nil();
        return MF_OK;
    }
    if (list.at == mf_message_value(record->state.result).at) {
        *result = mf_message_ref(record->state.result);
        return MF_OK;
    }
    return mf_message_of_value(list, client->allocator, result, err);
}

static mf_status tell_end(mf_run *run, mf_message **result, mf_error *err)
{
    mf_record record = {0};
    mf_status st = mf_store_load(run->client->store, &run->key, 1, &record, err);
    if (st != MF_OK)
        return st;
    if (record.spec == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "%s is gone", run->key.text);
    else if (record.state.status == MF_STATUS_FAILED)
        st = mfi_compose_failed(record.state.result, err);
    else if (record.state.status == MF_STATUS_CANCELED)
        st = mf_fail(err, MF_E_CANCELED, "%s was canceled", run->key.text);
    else if (result != NULL)
        st = result_of(run->client, &record, result, err);
    mf_record_release(&record);
    return st;
}

static bool has_ended(void *arg)
{
    mf_run *run = arg;
    return atomic_load_explicit(&run->ended, memory_order_acquire) != 0;
}

/* A task that waits for another must still hear that it should stop itself. */
static bool asked_to_stop(void)
{
    const mfi_running *here = mfi_control_current();
    return here != NULL && mf_context_stop_requested(&here->call.ctx);
}

static bool is_over(void *arg)
{
    return has_ended(arg) || asked_to_stop();
}

/* On a thread that cannot help. In a task, whose stop is another word than the one slept on, it looks up now and then. */
static mf_status sleep_until_over(mf_run *run, int64_t deadline)
{
    int64_t now;
    while (!is_over(run) && (now = mfi_now_ns(NULL)) < deadline) {
        int64_t until = mfi_control_current() != NULL ? mfi_deadline_ns(now, LOOK_UP) : deadline;
        mfi_futex_wait(&run->ended, 0, until < deadline ? until : deadline);
    }
    return is_over(run) ? MF_OK : MF_E_TIMEOUT;
}

mf_status mf_run_wait(mf_run *run, mf_duration timeout, mf_message **result, mf_error *err)
{
    if (run == NULL)
        return MF_E_INVALID;    /* err tells why there is none */
    mf_status st = mfi_client_check(run->client, err);
    if (st != MF_OK)
        return st;
    if (timeout < 0)
        return mf_fail(err, MF_E_INVALID, "run: expected a timeout of 0 or more, got %lld ns", (long long)timeout);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    if (!has_ended(run))
        st = mf_adapter_help(run->client->adapter, is_over, run, deadline);
    if (st == MF_E_UNSUPPORTED)
        st = sleep_until_over(run, deadline);
    if (!has_ended(run) && st == MF_OK)
        return mf_fail(err, MF_E_CANCELED, "this task was asked to stop while it waited for %s", run->key.text);
    if (!has_ended(run) && st == MF_E_FULL)
        return mf_fail(err, MF_E_FULL, "too many calls wait on this thread, one on top of the other: wait for fewer at once, "
                       "or let a chain do it");
    if (!has_ended(run))
        return mf_fail(err, MF_E_TIMEOUT, "%s did not end in time; it still runs", run->key.text);
    return tell_end(run, result, err);
}

mf_status mf_run_poll(mf_run *run, mf_message **result, mf_error *err)
{
    if (run == NULL)
        return MF_E_INVALID;
    mf_status st = mfi_client_check(run->client, err);
    if (st == MF_OK && !has_ended(run))
        st = MF_E_AGAIN;
    return st != MF_OK ? st : tell_end(run, result, err);
}

mf_status mf_run_error(mf_run *run, mf_message **out)
{
    if (run == NULL)
        return MF_E_INVALID;
    if (!has_ended(run))
        return MF_E_AGAIN;
    mf_record record = {0};
    mf_status st = mf_store_load(run->client->store, &run->key, 1, &record, NULL);
    if (st == MF_OK && (record.spec == NULL || record.state.status != MF_STATUS_FAILED || record.state.result == NULL))
        st = MF_E_NOT_FOUND;
    if (st == MF_OK)
        *out = mf_message_ref(record.state.result);
    mf_record_release(&record);
    return st;
}
