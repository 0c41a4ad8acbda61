/* Starting a signature: one that is being made, one that was saved, or one that a durable body started before. */
#include "run_handle.h"

#include "compose.h"
#include "lifecycle.h"
#include "record.h"
#include "sign.h"

#define START_TRIES 16          /* against others who write the same record */

struct start {
    mf_signature    *sig;
    mf_message      *message;
    mf_start_options options;
    mfi_unique       unique;    /* count 0: none */
    const mf_note   *notes;     /* of who starts it, in place of those: borrowed; */
    size_t           note_count;    /* 0: none */
    mfi_plan         plan;      /* its one entry is the beginning (with a foreign task's end of its timeout), and all notes */
    bool             joined;    /* `key` is the run that is there */
    mf_key           key;
};

/* ---- the beginning ------------------------------------------------------------------------------------------------- */

/* What the start says goes before what an edit said. */
static int32_t priority_of(const struct start *s, const mf_state *state)
{
    return s->options.priority != 0 ? s->options.priority : state->priority;
}

static mf_status plan_beginning(struct start *s, const mf_spec *spec, const mf_state *state, mf_error *err)
{
    mf_client *client = s->sig->client;
    mfi_plan_reset(&s->plan);
    s->plan.now_ms = mf_store_now_ms(client->store);
    s->plan.random = mfi_client_random(client);
    mf_state begins = *state;
    begins.priority = priority_of(s, state);
    mfi_flow_start_entry(spec, &begins, &(mfi_start){.key = spec->key, .message = s->message}, &s->plan);
    if (s->plan.status != MF_OK)
        return mf_fail(err, s->plan.status, "%s", s->plan.error.text);
    int64_t delay_ms = mfi_span_ms(s->options.delay, 0);
    if (delay_ms > 0)
        mfi_plan_put_off(&s->plan, 0, 0, delay_ms);
    const mfi_task *task = s->sig->task;
    const mf_message *sent = s->plan.entries[0].message;
    mf_error why;
    mf_status st = MF_OK;
    if (task != NULL && task->def.in != NULL)
        st = mf_fields_validate(task->def.in, sent != NULL ? sent : mf_message_nil(), &why);
    return st == MF_OK ? st : mf_fail(err, st, "task \"%s\": %s", task->def.name, why.text);
}

/* What else is noted with the beginning. */
static mf_status plan_notes(struct start *s, const mf_note *notes, size_t n, mf_error *err)
{
    for (size_t i = 0; i < n; i++)
        mfi_plan_note(&s->plan, &notes[i]);
    return s->plan.status == MF_OK ? MF_OK : mf_fail(err, s->plan.status, "%s", s->plan.error.text);
}

/* The state once the beginning is on its way. */
static mf_state sent_state(const struct start *s, const mf_spec *spec, mf_state state)
{
    int64_t begins_ms = s->plan.entries[0].due_ms > 0 ? s->plan.entries[0].due_ms : s->plan.now_ms;
    state.started_ms = s->plan.now_ms;
    state.priority = priority_of(s, &state);
    state.input = s->message;       /* borrowed: the store takes its own reference */
    if (state.deadline_ms != 0 || !mf_key_is_set(&spec->parent))
        state.deadline_ms = mfi_deadline_begun(spec, &state, begins_ms);
    return state;
}

/* ---- unique runs --------------------------------------------------------------------------------------------------- */

/* The run that is there under the name: joined, or an error that names it. MF_E_NOT_FOUND: none is. */
static mf_status meet_unique(struct start *s, mf_error *err)
{
    mf_status st = mfi_find_unique(s->sig->client, s->options.unique, &s->key, err);
    if (st == MF_OK && !s->options.join)
        st = mf_fail(err, MF_E_EXISTS, "unique run \"%s\": %s is there already", s->options.unique, s->key.text);
    s->joined = st == MF_OK;
    return st;
}

static mf_status prepare_unique(struct start *s, mf_error *err)
{
    const char *name = s->options.unique;
    if (name == NULL)
        return MF_OK;
    size_t len = strlen(name);
    if (len == 0 || len > 255)
        return mf_fail(err, MF_E_INVALID, "unique run: expected a name of 1 to 255 bytes, got %zu", len);
    mf_status st = meet_unique(s, err);
    return st == MF_E_NOT_FOUND ? mfi_unique_take(s->sig->client, name, &s->sig->own.spec->key, s->options.unique_window, &s->unique, err) : st;
}

/* ---- three ways to start --------------------------------------------------------------------------------------------- */

/* A durable body that comes here again finds what it started the first time, or some of it. */
static mf_status meet_replay(struct start *s, mf_error *err)
{
    mf_status st = mfi_meet_replay(s->sig, err);
    s->joined = st == MF_OK;
    s->key = s->sig->own.spec->key;
    return st == MF_E_NOT_FOUND ? MF_OK : st;
}

static mf_status start_new(struct start *s, mf_error *err)
{
    mf_signature *sig = s->sig;
    mf_state state = mfi_draft_state(sig->client, &sig->own, true);
    mf_status st = plan_beginning(s, sig->own.spec, &state, err);
    if (st != MF_OK)
        return st;
    if (mfi_durable_is_here()) {
        st = meet_replay(s, err);
        if (st != MF_OK || s->joined)
            return st;
    }
    st = prepare_unique(s, err);
    if (st != MF_OK || s->joined)
        return st;
    st = s->note_count > 0 ? plan_notes(s, s->notes, s->note_count, err) : plan_notes(s, s->unique.notes, s->unique.count, err);
    if (st != MF_OK)
        return st;
    mfi_storing storing;
    if ((st = mfi_storing_begin(sig, &storing, err)) != MF_OK)
        return st;
    /* From the first record on there is no second start: what is stored stands, and must not be changed any more. */
    sig->started = sig->stored = true;
    st = mfi_store_below(sig, &storing, err);
    state = sent_state(s, sig->own.spec, state);
    if (st == MF_OK)
        st = mfi_store_own(sig, &storing, &state, s->plan.entries, s->plan.entry_count,
                           s->plan.notes, s->plan.note_count, err);
    if (st != MF_OK)
        mfi_storing_failed(&storing);
    mfi_storing_fini(&storing);
    if (st == MF_E_EXISTS && s->note_count > 0)         /* somebody else was faster */
        mfi_unstore(sig);
    if (st == MF_E_EXISTS && s->unique.count > 0) {
        (void)mfi_unstore_below(sig);
        st = meet_unique(s, err);
    }
    return st;
}

/* The same of one that it saved before, and may have started since. */
static mf_status meet_saved(struct start *s, mf_error *err)
{
    mf_record record = {0};
    mf_status st = mf_store_load(s->sig->client->store, &s->sig->own.spec->key, 1, &record, err);
    s->joined = st == MF_OK && record.spec != NULL && record.state.started_ms != 0;
    s->key = s->sig->own.spec->key;
    mf_record_release(&record);
    return st;
}

static mf_status start_stored(struct start *s, mf_error *err)
{
    mf_client *client = s->sig->client;
    const mf_key *key = &s->sig->own.spec->key;
    mf_status st = s->sig->replayed ? meet_saved(s, err) : MF_OK;
    if (st == MF_OK && !s->joined)
        st = prepare_unique(s, err);
    for (int i = 0; i < START_TRIES && st == MF_OK && !s->joined; i++) {
        mf_record record = {0};
        mf_refusal refusal = {0};
        st = mf_store_load(client->store, key, 1, &record, err);
        if (st == MF_OK && record.spec == NULL)
            st = mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
        else if (st == MF_OK && (record.state.started_ms != 0 || record.state.status != MF_STATUS_PENDING))
            st = mf_fail(err, MF_E_STATE, "%s was started already, or is %s", key->text,
                         mf_signature_status_name(record.state.status));
        if (st == MF_OK)
            st = plan_beginning(s, record.spec, &record.state, err);
        if (st == MF_OK)
            st = plan_notes(s, s->unique.notes, s->unique.count, err);
        if (st == MF_OK) {
            mf_state state = sent_state(s, record.spec, record.state);
            mf_batch batch = {.key = *key, .version = record.state.version, .state = &state, .entries = s->plan.entries,
                              .entry_count = s->plan.entry_count, .notes = s->plan.notes,
                              .note_count = s->plan.note_count};
            st = mfi_commit(client, &batch, &refusal, err);
        }
        mf_record_release(&record);
        if (st == MF_E_CONFLICT && refusal.guard == MF_GUARD_NOTE)
            return meet_unique(s, err);
        if (st == MF_OK) {
            s->sig->started = true;
            return MF_OK;
        }
        if (st == MF_E_CONFLICT)
            st = MF_OK;
    }
    return st == MF_OK && !s->joined ? mf_fail(err, MF_E_CONFLICT, "%s is changed all the time by others", key->text) : st;
}

/* ---- the calls ------------------------------------------------------------------------------------------------------- */

static mf_run *open_joined(struct start *s, mf_run *run, mf_error *err)
{
    if (!s->joined)
        return run;
    mf_client *client = s->sig->client;
    mf_run_destroy(run);
    return mf_run_open(client, &s->key, err);
}

static mf_run *start(struct start *s, mf_error *err)
{
    mf_signature *sig = s->sig;
    mf_client *client = sig->client;
    mf_run *run = NULL;
    pthread_mutex_lock(&sig->lock);
    mf_status st = MF_OK;
    if (sig->started)
        st = mf_fail(err, MF_E_STATE, "%s was started already", sig->own.spec->key.text);
    else if (!sig->stored)
        st = mfi_signature_freeze(sig, err);
    if (st == MF_OK && (run = mfi_run_create(client, &sig->own.spec->key, err)) == NULL)
        st = MF_E_NOMEM;
    if (st == MF_OK)
        st = sig->stored ? start_stored(s, err) : start_new(s, err);
    pthread_mutex_unlock(&sig->lock);
    if (st != MF_OK) {
        mf_run_destroy(run);
        return NULL;
    }
    mfi_run_stored(run);
    return open_joined(s, run, err);
}

/* The message is consumed. */
static mf_run *start_checked(struct start *s, mf_status st, mf_error *err)
{
    mf_run *run = NULL;
    if (st == MF_OK)
        st = mfi_check_kwargs("the message", &s->message, err);
    if (st == MF_OK && s->note_count == 0)
        st = mfi_serve_here(s->sig->client, err);
    if (st == MF_OK) {
        mfi_plan_init(&s->plan, s->sig->client->allocator, &s->sig->client->limits, &s->sig->client->framework);
        run = start(s, err);
        mfi_plan_fini(&s->plan);
        mfi_unique_release(&s->unique);
    }
    mf_message_unref(s->message);
    return run;
}

mf_run *mfi_start_noted(mf_signature *sig, mf_message *message, int32_t priority, const mf_note *notes, size_t n, mf_error *err)
{
    struct start s = {.sig = sig, .message = message, .options.priority = priority, .notes = notes, .note_count = n};
    return start_checked(&s, mfi_client_check(sig->client, err), err);
}

mf_run *mf_start_with(mf_signature *sig, mf_message *message, const mf_start_options *options, mf_error *err)
{
    struct start s = {.sig = sig, .message = message};
    mf_status st = sig == NULL ? MF_E_INVALID : mfi_client_check(sig->client, err);
    if (st == MF_OK && options != NULL && options->struct_size == 0)
        st = mf_fail(err, MF_E_INVALID, "start: struct_size is 0; make the options with MF_START_OPTIONS(...)");
    if (st == MF_OK && options != NULL)
        memcpy(&s.options, options, options->struct_size < sizeof s.options ? options->struct_size : sizeof s.options);
    if (st == MF_OK && (s.options.delay < 0 || s.options.delay == MF_FOREVER || s.options.unique_window < 0))
        st = mf_fail(err, MF_E_INVALID, "start: expected a delay and a window of 0 or more");
    return start_checked(&s, st, err);
}

mf_run *mf_start(mf_signature *sig, mf_message *message, mf_error *err)
{
    return mf_start_with(sig, message, NULL, err);
}

mf_status mf_call(mf_signature *sig, mf_message *message, mf_duration timeout, mf_message **result, mf_error *err)
{
    mf_error why = {.status = MF_E_INVALID};     /* a NULL signature: the call that made it none told err why */
    mf_run *run = mf_start(sig, message, &why);
    if (run == NULL && sig != NULL && err != NULL)
        *err = why;
    if (run == NULL)
        return why.status;
    mf_status st = mf_run_wait(run, timeout, result, err);
    mf_run_destroy(run);
    return st;
}
