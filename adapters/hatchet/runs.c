/* mageflow/hatchet.h: runs by their ids, events, rate limits. What the engine would refuse, or would take and then fail at, is
 * refused here, by name. */
#include "hatchet.h"

#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "merge.h"

#define WITHIN mf_seconds(30)
#define INPUT_MAX (((size_t)4 << 20) - 65536)       /* the engine takes 4 MiB, with what stands around it */
#define IDS_MAX 500
#define NAME_MAX 255

/* ---- checks ----------------------------------------------------------------------------------------------------------- */

static bool is_uuid(const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f') || (text[i] >= 'A' && text[i] <= 'F');
        if (dash ? text[i] != '-' : !hex)
            return false;
    }
    return i == 36;
}

mf_status hatchet_check_priority(const char *what, int priority, mf_error *err)
{
    if (priority >= 0 && priority <= 3)
        return MF_OK;
    return mf_fail(err, MF_E_INVALID, "%s: priorities are 1, 2 and 3, got %d", what, priority);
}

mf_status hatchet_check_text(const char *what, const char *text, mf_error *err)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || len > NAME_MAX)
        return mf_fail(err, MF_E_INVALID, "%s: expected a text of 1 to %d bytes, got %zu", what, NAME_MAX, len);
    return hatchet_is_utf8(text) ? MF_OK : mf_fail(err, MF_E_INVALID, "%s: expected UTF-8", what);
}

/* A map, as JSON; NULL, where it may be: the fallback, or no text at all. */
mf_status hatchet_map_json(hatchet *h, const char *what, const mf_message *message, const char *fallback, char **json, size_t *len,
                           mf_error *err)
{
    mf_error why = {0};
    mf_value value = mf_message_value(message);
    mf_status st = message != NULL ? mf_message_status(message) : MF_OK;
    *json = NULL;
    *len = 0;
    if (st != MF_OK)
        return mf_fail(err, st, "%s: the message failed to build", what);
    if (message == NULL || mf_value_type(value) == MF_TYPE_NIL) {
        if (fallback == NULL)
            return MF_OK;
        *len = strlen(fallback);
        *json = mfi_copy_text(h->allocator, mf_cstr(fallback));
        return *json != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "%s: no memory", what);
    }
    if (mf_value_type(value) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_INVALID, "%s: expected a map, got %s", what, mf_type_name(mf_value_type(value)));
    st = hatchet_object(h, value, json, len, &why);
    if (st == MF_OK && *len > INPUT_MAX) {
        mf_json_free(h->allocator, *json, *len);
        *json = NULL;
        return mf_fail(err, MF_E_TOO_BIG, "%s: %zu bytes as JSON, at most %zu go in one message", what, *len, INPUT_MAX);
    }
    return st == MF_OK ? MF_OK : mf_fail(err, st, "%s: %s", what, why.text);
}

static mf_status take_id(hatchet *h, const char *method, const char *id, mf_hatchet_id *out, mf_error *err)
{
    if (out == NULL)
        return MF_OK;
    if (id == NULL || strlen(id) >= sizeof out->text)
        return mf_fail(err, MF_E_MALFORMED, "%s: %s: no id in the answer", h->what, method);
    memcpy(out->text, id, strlen(id) + 1);
    return MF_OK;
}

/* ---- labels ----------------------------------------------------------------------------------------------------------- */

mf_status hatchet_labels_init(hatchet *h, const mf_hatchet_label *labels, size_t n, bool wanted, hatchet_labels *out, mf_error *err)
{
    *out = (hatchet_labels){.n = n};
    if (n == 0)
        return MF_OK;
    for (size_t i = 0; i < n; i++) {
        mf_status st = hatchet_check_text("a label's key", labels[i].key, err);
        if (st == MF_OK && labels[i].text != NULL && !hatchet_is_utf8(labels[i].text))
            st = mf_fail(err, MF_E_INVALID, "label \"%s\": expected UTF-8", labels[i].key);
        if (st == MF_OK && ((unsigned)labels[i].compare > MF_HATCHET_LESS_OR_EQUAL || labels[i].weight < 0))
            st = mf_fail(err, MF_E_INVALID, "label \"%s\": no such comparison, or a weight below 0", labels[i].key);
        for (size_t k = 0; st == MF_OK && k < i; k++)
            if (strcmp(labels[i].key, labels[k].key) == 0)
                st = mf_fail(err, MF_E_INVALID, "label \"%s\" is there twice", labels[i].key);
        if (st != MF_OK)
            return st;
    }
    out->at = mfi_alloc_array(h->allocator, n, sizeof *out->at);
    if (out->at == NULL)
        return mf_fail(err, MF_E_NOMEM, "labels: no memory");
    for (size_t i = 0; i < n; i++) {
        hatchet_label *l = &out->at[i];
        hatchet_pb__label_entry__init(&l->entry);
        hatchet_pb__label__init(&l->value);
        l->entry.key = (char *)(uintptr_t)labels[i].key;
        l->entry.value = &l->value;
        l->value.str_value = (char *)(uintptr_t)labels[i].text;
        l->value.has_int_value = labels[i].text == NULL;
        l->value.int_value = labels[i].number;
        l->value.has_required = l->value.has_comparator = wanted;
        l->value.required = labels[i].required;
        l->value.comparator = (int32_t)labels[i].compare;
        l->value.has_weight = wanted && labels[i].weight > 0;
        l->value.weight = labels[i].weight;
    }
    out->list = mfi_alloc_array(h->allocator, n, sizeof(HatchetPb__LabelEntry *));
    if (out->list == NULL) {
        hatchet_labels_free(h, out);
        return mf_fail(err, MF_E_NOMEM, "labels: no memory");
    }
    for (size_t i = 0; i < n; i++)
        out->list[i] = &out->at[i].entry;
    return MF_OK;
}

void hatchet_labels_free(hatchet *h, hatchet_labels *l)
{
    if (l->list != NULL)
        mfi_release(h->allocator, l->list, l->n * sizeof *l->list);
    if (l->at != NULL)
        mfi_release(h->allocator, l->at, l->n * sizeof *l->at);
    *l = (hatchet_labels){NULL, NULL, 0};
}

/* ---- runs ------------------------------------------------------------------------------------------------------------- */

/* What a run is made of, in the words of TriggerWorkflow; ScheduleWorkflow has the same in other places. */
typedef struct request {
    HatchetPb__Trigger trigger;
    size_t             input_len, metadata_len;
    hatchet_labels     labels;
} request;

static void request_fini(hatchet *h, request *r)
{
    mf_json_free(h->allocator, r->trigger.input, r->input_len);
    mf_json_free(h->allocator, r->trigger.additional_metadata, r->metadata_len);
    hatchet_text_free(h, r->trigger.name);
    hatchet_labels_free(h, &r->labels);
}

static mf_status fill_parent(hatchet *h, request *r, const mf_hatchet_run_options *o, mf_error *err)
{
    if (o->parent == NULL)
        return o->child_key == NULL ? MF_OK : mf_fail(err, MF_E_INVALID, "child_key: only a run with a parent has one");
    if (o->parent->adapter != &h->base)
        return mf_fail(err, MF_E_INVALID, "parent: a task of another client");
    if (o->child_key != NULL) {
        mf_status st = hatchet_check_text("child_key", o->child_key, err);
        if (st != MF_OK)
            return st;
    }
    hatchet_job *job = hatchet_job_of(o->parent);
    r->trigger.parent_id = job->action->workflow_run_id;
    r->trigger.parent_task_run_external_id = job->action->task_run_external_id;
    r->trigger.child_key = (char *)(uintptr_t)o->child_key;
    r->trigger.has_child_index = true;
    r->trigger.child_index = (int32_t)atomic_fetch_add(&job->children, 1);
    return MF_OK;
}

/* The attributes' metadata with the run's over it. */
static mf_status fill_metadata(hatchet *h, request *r, const char *task, const mf_message *mine, mf_error *err)
{
    mf_error why = {0};
    mf_message *whole = NULL;
    mf_message *general = hatchet_task_metadata(h, mf_cstr(task));
    mf_status st = mfi_message_merge(general, mine, h->allocator, h->options.limits, &whole, &why);
    if (st != MF_OK)
        st = mf_fail(err, st == MF_E_TYPE ? MF_E_INVALID : st, "metadata: %s", why.text);
    else
        st = hatchet_map_json(h, "metadata", whole, NULL, &r->trigger.additional_metadata, &r->metadata_len, err);
    mf_message_unref(whole);
    mf_message_unref(general);
    return st;
}

static mf_status request_init(hatchet *h, request *r, const char *task, const mf_message *message, const mf_hatchet_run_options *o,
                              mf_error *err)
{
    char what[NAME_MAX + 16];
    memset(r, 0, sizeof *r);
    hatchet_pb__trigger__init(&r->trigger);
    mf_status st = hatchet_check_text("a task's name", task, err);
    if (st == MF_OK)
        st = hatchet_check_priority("priority", o->priority, err);
    if (st == MF_OK && o->worker != NULL && !is_uuid(o->worker))
        st = mf_fail(err, MF_E_INVALID, "worker: \"%.80s\" is no worker's id", o->worker);
    if (st == MF_OK && o->at_ms != 0 && (o->worker != NULL || o->label_count > 0))
        st = mf_fail(err, MF_E_UNSUPPORTED, "at_ms: a schedule keeps no worker and no labels");
    if (st != MF_OK)
        return st;
    snprintf(what, sizeof what, "task \"%s\"", task);
    r->trigger.name = hatchet_workflow_name(h, mf_cstr(task));
    st = r->trigger.name != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "%s: no memory", what);
    if (st == MF_OK)
        st = hatchet_map_json(h, what, message, "{}", &r->trigger.input, &r->input_len, err);
    if (st == MF_OK)
        st = fill_metadata(h, r, task, o->metadata, err);
    if (st == MF_OK)
        st = hatchet_labels_init(h, o->labels, o->label_count, true, &r->labels, err);
    r->trigger.n_desired_worker_labels = r->labels.n;
    r->trigger.desired_worker_labels = r->labels.list;
    r->trigger.desired_worker_id = (char *)(uintptr_t)o->worker;
    r->trigger.has_priority = o->priority > 0;
    r->trigger.priority = o->priority;
    if (st == MF_OK)        /* last: it counts a child */
        st = fill_parent(h, r, o, err);
    if (st != MF_OK)
        request_fini(h, r);
    return st;
}

static mf_status start_now(hatchet *h, const request *r, mf_hatchet_id *run, mf_error *err)
{
    ProtobufCMessage *answer = NULL;
    mf_status st = hatchet_call(h, "/WorkflowService/TriggerWorkflow", &r->trigger.base, WITHIN, &hatchet_pb__triggered__descriptor,
                                &answer, NULL, err);
    if (st == MF_OK)
        st = take_id(h, "TriggerWorkflow", ((HatchetPb__Triggered *)answer)->workflow_run_id, run, err);
    if (answer != NULL)
        protobuf_c_message_free_unpacked(answer, NULL);
    return st;
}

static mf_status start_later(hatchet *h, const request *r, int64_t at_ms, mf_hatchet_id *run, mf_error *err)
{
    HatchetPb__Timestamp at = hatchet_stamp(at_ms), *list[] = {&at};
    HatchetPb__Schedule s = HATCHET_PB__SCHEDULE__INIT;
    ProtobufCMessage *answer = NULL;
    s.name = r->trigger.name;
    s.n_schedules = 1;
    s.schedules = list;
    s.input = r->trigger.input;
    s.parent_id = r->trigger.parent_id;
    s.parent_task_run_external_id = r->trigger.parent_task_run_external_id;
    s.has_child_index = r->trigger.has_child_index;
    s.child_index = r->trigger.child_index;
    s.child_key = r->trigger.child_key;
    s.additional_metadata = r->trigger.additional_metadata;
    s.has_priority = r->trigger.has_priority;
    s.priority = r->trigger.priority;
    mf_status st = hatchet_call(h, "/WorkflowService/ScheduleWorkflow", &s.base, WITHIN, &hatchet_pb__scheduled__descriptor, &answer,
                                NULL, err);
    const HatchetPb__Scheduled *scheduled = (HatchetPb__Scheduled *)answer;
    if (st == MF_OK)
        st = take_id(h, "ScheduleWorkflow", scheduled->n_scheduled_workflows == 1 ? scheduled->scheduled_workflows[0]->id : NULL, run,
                     err);
    if (answer != NULL)
        protobuf_c_message_free_unpacked(answer, NULL);
    return st;
}

mf_status mf_hatchet_run(mf_client *client, const char *task, const mf_message *message, const mf_hatchet_run_options *options,
                         mf_hatchet_id *run, mf_error *err)
{
    static const mf_hatchet_run_options none = {.struct_size = sizeof none};
    const mf_hatchet_run_options *o = options != NULL ? options : &none;
    hatchet *h;
    request r;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK && o->struct_size == 0)
        st = mf_fail(err, MF_E_INVALID, "options: struct_size is 0; MF_HATCHET_RUN sets it");
    if (st == MF_OK && o->at_ms < 0)
        st = mf_fail(err, MF_E_INVALID, "at_ms: before 1970");
    if (st == MF_OK)
        st = request_init(h, &r, task, message, o, err);
    if (st != MF_OK)
        return st;
    if (o->at_ms > 0)
        st = start_later(h, &r, o->at_ms, run, err);
    else if (o->parent != NULL && hatchet_keeps_log(hatchet_job_of(o->parent)))
        st = hatchet_start_child(o->parent, &r.trigger, run, err);
    else
        st = start_now(h, &r, run, err);
    request_fini(h, &r);
    return st;
}

mf_status mf_hatchet_wait(mf_client *client, const char *task, const mf_hatchet_id *run, mf_duration timeout, mf_message **result,
                          mf_error *err)
{
    hatchet *h;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK)
        st = hatchet_check_text("a task's name", task, err);
    if (st == MF_OK && (run == NULL || !is_uuid(run->text)))
        st = mf_fail(err, MF_E_INVALID, "run: \"%.39s\" is no run's id", run != NULL ? run->text : "");
    return st != MF_OK ? st : hatchet_wait(h, run->text, task, mfi_deadline_ns(mfi_now_ns(NULL), timeout), result, err);
}

static mf_status on_runs(mf_client *client, const char *method, const mf_hatchet_id *runs, size_t n, mf_error *err)
{
    hatchet *h;
    char *list[IDS_MAX];
    HatchetPb__Ids ids = HATCHET_PB__IDS__INIT;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st != MF_OK)
        return st;
    if (runs == NULL || n == 0 || n > IDS_MAX)
        return mf_fail(err, MF_E_INVALID, "runs: from 1 to %d in one call, got %zu", IDS_MAX, n);
    for (size_t i = 0; i < n; i++) {
        if (!is_uuid(runs[i].text))
            return mf_fail(err, MF_E_INVALID, "run %zu: \"%.39s\" is no run's id", i, runs[i].text);
        list[i] = (char *)(uintptr_t)runs[i].text;
    }
    ids.n_external_ids = n;
    ids.external_ids = list;
    return hatchet_call(h, method, &ids.base, WITHIN, NULL, NULL, NULL, err);
}

mf_status mf_hatchet_cancel(mf_client *client, const mf_hatchet_id *runs, size_t n, mf_error *err)
{
    return on_runs(client, "/v1.AdminService/CancelTasks", runs, n, err);
}

mf_status mf_hatchet_replay(mf_client *client, const mf_hatchet_id *runs, size_t n, mf_error *err)
{
    return on_runs(client, "/v1.AdminService/ReplayTasks", runs, n, err);
}

/* ---- events, limits --------------------------------------------------------------------------------------------------- */

mf_status hatchet_push(hatchet *h, const char *key, const mf_message *payload, const mf_hatchet_event_options *o, mf_hatchet_id *event,
                       mf_error *err)
{
    HatchetPb__Push p = HATCHET_PB__PUSH__INIT;
    HatchetPb__Timestamp now = hatchet_now(h);
    ProtobufCMessage *answer = NULL;
    char *json = NULL, *metadata = NULL, *name = NULL;
    size_t len = 0, metadata_len = 0;
    mf_status st = hatchet_check_text("an event's key", key, err);
    if (st == MF_OK)
        st = hatchet_check_priority("priority", o->priority, err);
    if (st == MF_OK && o->scope != NULL)
        st = hatchet_check_text("scope", o->scope, err);
    if (st == MF_OK)
        st = hatchet_map_json(h, "payload", payload, "{}", &json, &len, err);
    if (st == MF_OK)
        st = hatchet_map_json(h, "metadata", o->metadata, NULL, &metadata, &metadata_len, err);
    if (st == MF_OK) {
        name = hatchet_workflow_name(h, mf_cstr(key));      /* events lie in the namespace, too */
        st = name != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "event \"%s\": no memory", key);
    }
    if (st == MF_OK) {
        p.key = name;
        p.payload = json;
        p.event_timestamp = &now;
        p.additional_metadata = metadata;
        p.has_priority = o->priority > 0;
        p.priority = o->priority;
        p.scope = (char *)(uintptr_t)o->scope;
        st = hatchet_call(h, "/EventsService/Push", &p.base, WITHIN, &hatchet_pb__pushed__descriptor, &answer, NULL, err);
    }
    if (st == MF_OK)
        st = take_id(h, "Push", ((HatchetPb__Pushed *)answer)->event_id, event, err);
    if (answer != NULL)
        protobuf_c_message_free_unpacked(answer, NULL);
    hatchet_text_free(h, name);
    mf_json_free(h->allocator, json, len);
    mf_json_free(h->allocator, metadata, metadata_len);
    return st;
}

mf_status mf_hatchet_push(mf_client *client, const char *key, const mf_message *payload, const mf_hatchet_event_options *options,
                          mf_hatchet_id *event, mf_error *err)
{
    static const mf_hatchet_event_options none = {.struct_size = sizeof none};
    hatchet *h;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK && options != NULL && options->struct_size == 0)
        st = mf_fail(err, MF_E_INVALID, "options: struct_size is 0; MF_HATCHET_EVENT sets it");
    return st != MF_OK ? st : hatchet_push(h, key, payload, options != NULL ? options : &none, event, err);
}

mf_status mf_hatchet_rate_limit_put(mf_client *client, const char *key, int32_t limit, mf_hatchet_per per, mf_error *err)
{
    hatchet *h;
    HatchetPb__PutRateLimit p = HATCHET_PB__PUT_RATE_LIMIT__INIT;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK)
        st = hatchet_check_text("a limit's key", key, err);
    if (st == MF_OK && (limit < 0 || (unsigned)per > MF_HATCHET_YEAR))
        st = mf_fail(err, MF_E_INVALID, "limit \"%s\": expected 0 or more in one of the spans, got %d", key, limit);
    if (st != MF_OK)
        return st;
    p.key = (char *)(uintptr_t)key;
    p.has_limit = p.has_duration = true;
    p.limit = limit;
    p.duration = (int32_t)per;
    return hatchet_call(h, "/WorkflowService/PutRateLimit", &p.base, WITHIN, NULL, NULL, NULL, err);
}
