/* Flows through the engine: what the runtime publishes becomes runs, and what comes back from the engine a unit of a flow again.
 *
 * A message of a flow is a run of the workflow of the task it calls, so that the engine's tools show it under the task's name. What
 * is tried again, put off or paused is the runtime's business: it publishes anew, and the run that was there is COMPLETED. The
 * engine hands a run out once more only when its worker is gone; the claim in the store then tells whether there is anything left
 * to do, so that a run that is sent twice does no harm either.
 *
 * An engine that does not know a workflow may accept a run of it and forget it (it looks at names only where it has no room to begin
 * at once). So a process that publishes sees to it that the names are known: what a worker on the same store serves is, and of the
 * rest it tells the definitions itself. */
#include "hatchet.h"

#include <stdio.h>

#include "memory.h"
#include "random.h"

#define SPACE MF_STR_LIT("hatchet")         /* notes of the store */
#define NAME MF_STR_LIT("store")
#define TASKS MF_STR_LIT("task")            /* what workers on the store serve: the runtime's */
#define WITHIN mf_seconds(20)
#define BULK_MAX 500
#define BULK_BYTES ((size_t)3 << 20)        /* the engine takes 4 MiB */
#define TRIES_MAX 20

/* ---- which store ------------------------------------------------------------------------------------------------------ */

static mf_status read_id(hatchet *h, char id[HATCHET_ID_MAX], mf_error *err)
{
    mf_message *note = NULL;
    mf_str text;
    mf_status st = mf_store_read_note(h->store, SPACE, NAME, &note, err);
    if (st == MF_OK && (mf_value_str(mf_message_value(note), &text) != MF_OK || text.len == 0 || text.len >= HATCHET_ID_MAX))
        st = mf_fail(err, MF_E_MALFORMED, "the store's note of its id holds none");
    if (st == MF_OK) {
        memcpy(id, text.at, text.len);
        id[text.len] = '\0';
    }
    mf_message_unref(note);
    return st;
}

static mf_status make_id(hatchet *h, mf_error *err)
{
    unsigned char bytes[16];
    char id[2 * sizeof bytes + 1];
    mf_refusal refusal;
    mf_status st = mfi_random_fill(NULL, bytes, sizeof bytes);
    if (st != MF_OK)
        return mf_fail(err, st, "no random bytes for an id");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    mf_note note = {.space = SPACE, .name = NAME, .value = mf_msg("s", id), .fresh = true};
    st = mf_message_status(note.value);
    if (st == MF_OK)
        st = mf_store_commit(h->store, &(mf_batch){.notes = &note, .note_count = 1}, &refusal, err);
    mf_message_unref(note.value);
    return st == MF_E_CONFLICT ? MF_OK : st;        /* somebody else was faster: his it is */
}

mf_status hatchet_store_known(hatchet *h, mf_error *err)
{
    char id[HATCHET_ID_MAX];
    pthread_mutex_lock(&h->lock);
    bool known = h->store_id[0] != '\0';
    pthread_mutex_unlock(&h->lock);
    if (known)
        return MF_OK;
    mf_status st = read_id(h, id, err);
    if (st == MF_E_NOT_FOUND)
        st = make_id(h, err);
    else if (st != MF_OK)
        return st;
    if (st == MF_OK)
        st = read_id(h, id, err);
    if (st != MF_OK)
        return st;
    pthread_mutex_lock(&h->lock);
    memcpy(h->store_id, id, sizeof id);
    pthread_mutex_unlock(&h->lock);
    return MF_OK;
}

/* ---- known names ------------------------------------------------------------------------------------------------------ */

static bool is_served(hatchet *h, mf_str name)
{
    mf_message *definition = NULL;
    bool served = mf_store_read_note(h->store, TASKS, name, &definition, NULL) == MF_OK;
    mf_message_unref(definition);
    return served;
}

/* again: the engine says that it does not know it. */
static mf_status make_known(hatchet *h, const mf_entry *e, bool again, mf_error *err)
{
    pthread_mutex_lock(&h->lock);
    hatchet_task *task = e->spec->foreign ? NULL : hatchet_task_find(h, e->spec->name);
    bool defined = task == NULL || task->defined;
    pthread_mutex_unlock(&h->lock);
    if (task == NULL || (defined && !again))
        return MF_OK;
    bool own = e->spec->name.len > 9 && memcmp(e->spec->name.at, "mageflow.", 9) == 0;
    mf_status st = !own && !again && is_served(h, e->spec->name) ? MF_OK : hatchet_define(h, task, err);
    pthread_mutex_lock(&h->lock);
    task->defined = st == MF_OK;
    pthread_mutex_unlock(&h->lock);
    return st;
}

/* ---- sending ---------------------------------------------------------------------------------------------------------- */

/* An entry as the engine takes it. */
typedef struct parcel {
    HatchetPb__Trigger trigger;
    const mf_entry    *entry;
    size_t             input_len, metadata_len;
} parcel;

static void parcel_fini(hatchet *h, parcel *p)
{
    hatchet_text_free(h, p->trigger.name);
    mf_json_free(h->allocator, p->trigger.input, p->input_len);
    mf_json_free(h->allocator, p->trigger.additional_metadata, p->metadata_len);
}

/* The engine knows three, and gives 1 to what has none. */
static int32_t priority_of(const mf_entry *e)
{
    return e->priority <= 0 ? 1 : e->priority == 1 ? 2 : 3;
}

/* A task of others carries no metadata: its run is like any other there. */
static mf_status parcel_init(hatchet *h, parcel *p, const mf_entry *e, mf_error *err)
{
    hatchet_form form;
    memset(p, 0, sizeof *p);
    hatchet_pb__trigger__init(&p->trigger);
    p->entry = e;
    p->trigger.has_priority = true;
    p->trigger.priority = priority_of(e);
    p->trigger.name = hatchet_workflow_name(h, e->spec->name);
    mf_status st = p->trigger.name != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "no memory to send a message");
    if (st == MF_OK)
        st = hatchet_input_write(h, e->message, e->spec->foreign, &p->trigger.input, &p->input_len, &form, err);
    if (st == MF_OK && !e->spec->foreign && mf_key_is_set(&e->unit.key))
        st = hatchet_meta_write(h, e, form, &p->trigger.additional_metadata, &p->metadata_len, err);
    return st;
}

static size_t size_of(const parcel *p)
{
    return p->input_len + p->metadata_len + 512;
}

/* What no second try can send ends as failed, and holds up nothing else. */
static void give_up(hatchet *h, const mf_entry *e, const char *type, const mf_error *why)
{
    hatchet_log(h, MF_LOG_ERROR, "a message for \"%.*s\" cannot be sent: %s", (int)e->spec->name.len, e->spec->name.at, why->text);
    if (!mf_key_is_set(&e->unit.key))
        return;
    hatchet_refuse_unit(h, e, type, why->text);
}

static bool is_refusal(mfi_rpc_code code)
{
    return code == MFI_RPC_INVALID_ARGUMENT || code == MFI_RPC_NOT_FOUND || code == MFI_RPC_ALREADY_EXISTS;
}

/* Those that others serve are watched from here on; of the others drain knows. */
static mf_status sent(hatchet *h, const parcel *parcels, char *const *runs, size_t n, mf_error *err)
{
    const mf_entry *entries[BULK_MAX];
    char *foreign[BULK_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!parcels[i].entry->spec->foreign) {
            hatchet_sent_run(h, parcels[i].entry->spec->name, runs[i]);
            continue;
        }
        if (runs[i] == NULL || runs[i][0] == '\0' || strlen(runs[i]) >= HATCHET_ID_MAX)
            return mf_fail(err, MF_E_MALFORMED, "%s: a run without an id", h->what);
        entries[count] = parcels[i].entry;
        foreign[count++] = runs[i];
    }
    return count > 0 ? hatchet_observe_runs(h, entries, foreign, count, err) : MF_OK;
}

static mf_status send_alone(hatchet *h, parcel *p, mf_error *err)
{
    ProtobufCMessage *answer = NULL;
    mfi_rpc_code code = MFI_RPC_OK;
    mf_error why = {0};
    mf_status st = MF_OK;
    for (int i = 0; i < 2; i++) {
        st = hatchet_call(h, "/WorkflowService/TriggerWorkflow", &p->trigger.base, WITHIN, &hatchet_pb__triggered__descriptor, &answer,
                          &code, &why);
        if (i > 0 || st == MF_OK || code != MFI_RPC_INVALID_ARGUMENT || strstr(why.text, "names not found") == NULL)
            break;
        if ((st = make_known(h, p->entry, true, &why)) != MF_OK)
            return mf_fail(err, st, "%s", why.text);
    }
    if (st != MF_OK && (st == MF_E_TOO_BIG || is_refusal(code))) {
        give_up(h, p->entry, st == MF_E_TOO_BIG ? "MessageTooBig" : "Refused", &why);
        return MF_OK;
    }
    if (st == MF_OK)
        st = sent(h, p, &((HatchetPb__Triggered *)answer)->workflow_run_id, 1, &why);
    if (answer != NULL)
        protobuf_c_message_free_unpacked(answer, NULL);
    return st == MF_OK ? MF_OK : mf_fail(err, st, "%s", why.text);
}

static mf_status send_together(hatchet *h, parcel *parcels, size_t n, mf_error *err)
{
    HatchetPb__Trigger *list[BULK_MAX];
    HatchetPb__BulkTrigger bulk = HATCHET_PB__BULK_TRIGGER__INIT;
    ProtobufCMessage *answer = NULL;
    mfi_rpc_code code = MFI_RPC_OK;
    mf_status st;
    for (size_t i = 0; i < n; i++)
        list[i] = &parcels[i].trigger;
    bulk.n_workflows = n;
    bulk.workflows = list;
    st = n > 1 ? hatchet_call(h, "/WorkflowService/BulkTriggerWorkflow", &bulk.base, WITHIN, &hatchet_pb__bulk_triggered__descriptor,
                              &answer, &code, err) : MF_E_TOO_BIG;
    if (st == MF_E_TOO_BIG || is_refusal(code)) {       /* one of them is at fault: each for itself */
        st = MF_OK;
        for (size_t i = 0; st == MF_OK && i < n; i++)
            st = send_alone(h, &parcels[i], err);
        return st;
    }
    if (st != MF_OK)
        return st;
    const HatchetPb__BulkTriggered *runs = (HatchetPb__BulkTriggered *)answer;
    if (runs->n_workflow_run_ids != n)
        st = mf_fail(err, MF_E_MALFORMED, "%s: BulkTriggerWorkflow: %zu ids for %zu runs", h->what, runs->n_workflow_run_ids, n);
    else
        st = sent(h, parcels, runs->workflow_run_ids, n, err);
    protobuf_c_message_free_unpacked(answer, NULL);
    return st;
}

/* As many as go into one call. */
static mf_status send_parcels(hatchet *h, parcel *parcels, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t from = 0, to; st == MF_OK && from < n; from = to) {
        size_t bytes = 0;
        for (to = from; to < n && to - from < BULK_MAX && (to == from || bytes + size_of(&parcels[to]) < BULK_BYTES); to++)
            bytes += size_of(&parcels[to]);
        st = send_together(h, parcels + from, to - from, err);
    }
    return st;
}

mf_status hatchet_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err)
{
    hatchet *h = hatchet_of(base);
    mf_status st = n > 0 ? hatchet_store_known(h, err) : MF_OK;
    if (st != MF_OK || n == 0)
        return st;
    parcel *parcels = mfi_alloc_array(h->allocator, n, sizeof *parcels);
    size_t made = 0;
    if (parcels == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory to send messages");
    (void)mf_pool_block_begin();        /* on a thread of a pool another one takes its place */
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        mf_error why = {0};
        st = make_known(h, &entries[i], false, err);
        if (st != MF_OK)
            break;
        mf_status written = parcel_init(h, &parcels[made], &entries[i], &why);
        if (written == MF_OK) {
            made++;
            continue;
        }
        parcel_fini(h, &parcels[made]);
        if (written == MF_E_NOMEM)
            st = mf_fail(err, written, "%s", why.text);
        else
            give_up(h, &entries[i], "InvalidMessage", &why);
    }
    hatchet_sending(h);
    if (st == MF_OK)
        st = send_parcels(h, parcels, made, err);
    hatchet_sending_ended(h);
    mf_pool_block_end();
    for (size_t i = 0; i < made; i++)
        parcel_fini(h, &parcels[i]);
    mfi_release(h->allocator, parcels, n * sizeof *parcels);
    return st;
}

/* ---- handing back ----------------------------------------------------------------------------------------------------- *
 * The engine gives a run to another worker only when ours is gone for 30 s, and not for ever. What was not run, because we stop, goes out
 * as a new run instead, and the old one is told as ended once that is there. */

typedef struct returned {
    hatchet      *owner;
    hatchet_bytes request;
    unsigned      tries;
    int32_t       retry_count;
    char          run[HATCHET_ID_MAX];
} returned;

static mf_status send_back(returned *r);

static void returned_end(returned *r)
{
    hatchet *h = r->owner;
    hatchet_bytes_free(&r->request);
    mf_delete(h->allocator, r);
    pthread_mutex_lock(&h->lock);
    h->returning--;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void sent_back(void *user, const mfi_rpc_end *end)
{
    returned *r = user;
    hatchet *h = r->owner;
    if (end->status == MF_OK) {
        hatchet_tell_run(h, r->run, r->retry_count, HATCHET_COMPLETED, false, MF_STR_LIT("{\"mageflow\":\"sent again\"}"));
    } else if (end->status != MF_E_CLOSED && ++r->tries < TRIES_MAX && send_back(r) == MF_OK) {
        return;
    } else {
        hatchet_log(h, MF_LOG_WARN, "a message of a flow could not be handed back: it runs again once this worker is gone");
    }
    returned_end(r);
}

static mf_status send_back(returned *r)
{
    return mfi_rpc_begin(r->owner->rpc, &(mfi_rpc_spec){.method = "/WorkflowService/TriggerWorkflow", .request = hatchet_str(&r->request),
                         .within = mf_seconds(10), .ended = sent_back, .user = r}, NULL, NULL);
}

void hatchet_hand_back(hatchet_job *job, bool died)
{
    hatchet *h = job->owner;
    HatchetPb__Trigger t = HATCHET_PB__TRIGGER__INIT;
    returned *r = mf_new(h->allocator, returned);
    char *name = hatchet_workflow_name(h, mf_cstr(job->task->name)), *input = NULL, *metadata = NULL;
    size_t len = 0, metadata_len = 0;
    mf_value value;
    if (r == NULL || name == NULL || !mf_value_get(mf_message_value(job->payload), MF_STR_LIT("input"), &value) ||
        hatchet_meta_again(h, job->action->additional_metadata, job->returns + died, &metadata, &metadata_len, NULL) != MF_OK ||
        mf_value_to_json(value, h->allocator, &input, &len, NULL) != MF_OK) {
        mf_delete(h->allocator, r);
        mf_json_free(h->allocator, metadata, metadata_len);
        hatchet_text_free(h, name);
        return;
    }
    r->owner = h;
    t.name = name;
    t.input = input;
    t.additional_metadata = metadata;
    t.has_priority = true;
    t.priority = job->action->priority >= 1 && job->action->priority <= 3 ? job->action->priority : 1;
    snprintf(r->run, sizeof r->run, "%s", job->action->task_run_external_id);
    pthread_mutex_lock(&h->lock);
    r->retry_count = job->retry_count;
    h->returning++;
    pthread_mutex_unlock(&h->lock);
    if (hatchet_pack(h, &t.base, &r->request, NULL) != MF_OK || send_back(r) != MF_OK)
        returned_end(r);
    mf_json_free(h->allocator, input, len);
    mf_json_free(h->allocator, metadata, metadata_len);
    hatchet_text_free(h, name);
}
