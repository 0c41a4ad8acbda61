/* Sending by name. */
#include "hatchet.h"

#include "clock.h"
#include "memory.h"

#define WITHIN mf_seconds(30)

typedef struct trigger {
    mf_workflow base;
    hatchet    *owner;
    char       *task;           /* as declared */
    char       *name;           /* with the namespace */
} trigger;

static trigger *trigger_of(mf_workflow *workflow)
{
    return (trigger *)workflow;
}

static mf_status input_of(trigger *w, const mf_message *message, char **json, size_t *len, mf_error *err)
{
    hatchet *h = w->owner;
    mf_error why = {0};
    mf_status st = message != NULL ? mf_message_status(message) : MF_OK;
    if (st != MF_OK)
        return mf_fail(err, st, "task \"%s\": the message failed to build", w->task);
    mf_value value = mf_message_value(message);
    mf_type type = mf_value_type(value);
    if (type == MF_TYPE_NONE || type == MF_TYPE_NIL) {
        *len = 2;
        *json = mfi_copy_text(h->allocator, MF_STR_LIT("{}"));
        return *json != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", w->task);
    }
    if (type != MF_TYPE_MAP)
        return mf_fail(err, MF_E_INVALID, "task \"%s\": Hatchet's messages are maps, this one is %s", w->task, mf_type_name(type));
    st = hatchet_object(h, value, json, len, &why);
    return st == MF_OK ? MF_OK : mf_fail(err, st, "task \"%s\": %s", w->task, why.text);
}

static mf_status send_one(trigger *w, const mf_message *message, mf_duration within, char run[HATCHET_ID_MAX], mf_error *err)
{
    hatchet *h = w->owner;
    HatchetPb__Trigger t = HATCHET_PB__TRIGGER__INIT;
    ProtobufCMessage *answer = NULL;
    char *json;
    size_t len;
    mf_status st = input_of(w, message, &json, &len, err);
    if (st != MF_OK)
        return st;
    t.name = w->name;
    t.input = json;
    hatchet_sending(h);
    st = hatchet_call(h, "/WorkflowService/TriggerWorkflow", &t.base, within, &hatchet_pb__triggered__descriptor, &answer, NULL, err);
    mf_json_free(h->allocator, json, len);
    const char *id = st == MF_OK ? ((HatchetPb__Triggered *)answer)->workflow_run_id : NULL;
    hatchet_sent_run(h, mf_cstr(w->task), id);
    hatchet_sending_ended(h);
    if (st != MF_OK)
        return st;
    if (id == NULL || id[0] == '\0' || strlen(id) >= HATCHET_ID_MAX)
        st = mf_fail(err, MF_E_MALFORMED, "%s: TriggerWorkflow: no run's id in the answer", h->what);
    else
        memcpy(run, id, strlen(id) + 1);
    protobuf_c_message_free_unpacked(answer, NULL);
    return st;
}

/* In one call: the engine takes all of them or none. */
static mf_status send_many(trigger *w, const mf_message *const *messages, size_t n, mf_error *err)
{
    hatchet *h = w->owner;
    HatchetPb__Trigger *items = mfi_alloc_array(h->allocator, n, sizeof *items);
    HatchetPb__Trigger **list = mfi_alloc_array(h->allocator, n, sizeof *list);
    size_t *lengths = mfi_alloc_array(h->allocator, n, sizeof *lengths), made = 0;
    mf_status st = items != NULL && list != NULL && lengths != NULL ? MF_OK : mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", w->task);
    for (; st == MF_OK && made < n; made += st == MF_OK) {
        hatchet_pb__trigger__init(&items[made]);
        items[made].name = w->name;
        list[made] = &items[made];
        st = input_of(w, messages[made], &items[made].input, &lengths[made], err);
    }
    if (st == MF_OK) {
        HatchetPb__BulkTrigger bulk = HATCHET_PB__BULK_TRIGGER__INIT;
        ProtobufCMessage *answer = NULL;
        bulk.n_workflows = n;
        bulk.workflows = list;
        hatchet_sending(h);
        st = hatchet_call(h, "/WorkflowService/BulkTriggerWorkflow", &bulk.base, WITHIN, &hatchet_pb__bulk_triggered__descriptor, &answer,
                          NULL, err);
        const HatchetPb__BulkTriggered *runs = (HatchetPb__BulkTriggered *)answer;
        for (size_t i = 0; st == MF_OK && i < runs->n_workflow_run_ids; i++)
            hatchet_sent_run(h, mf_cstr(w->task), runs->workflow_run_ids[i]);
        hatchet_sending_ended(h);
        if (answer != NULL)
            protobuf_c_message_free_unpacked(answer, NULL);
    }
    for (size_t i = 0; i < made; i++)
        mf_json_free(h->allocator, items[i].input, lengths[i]);
    if (items != NULL)
        mfi_release(h->allocator, items, n * sizeof *items);
    if (list != NULL)
        mfi_release(h->allocator, list, n * sizeof *list);
    if (lengths != NULL)
        mfi_release(h->allocator, lengths, n * sizeof *lengths);
    return st;
}

static mf_status send_later(trigger *w, const mf_message *message, mf_duration delay, mf_error *err)
{
    hatchet *h = w->owner;
    HatchetPb__Schedule s = HATCHET_PB__SCHEDULE__INIT;
    char *json;
    size_t len;
    mf_status st = input_of(w, message, &json, &len, err);
    if (st != MF_OK)
        return st;
    HatchetPb__Timestamp at = hatchet_now(h), *list[] = {&at};
    int64_t ns = (int64_t)at.nanos + delay % 1000000000;
    at.seconds += delay / 1000000000 + ns / 1000000000;
    at.nanos = (int32_t)(ns % 1000000000);
    s.name = w->name;
    s.input = json;
    s.n_schedules = 1;
    s.schedules = list;
    st = hatchet_call(h, "/WorkflowService/ScheduleWorkflow", &s.base, WITHIN, NULL, NULL, NULL, err);
    mf_json_free(h->allocator, json, len);
    return st;
}

static mf_status trigger_run_many(mf_workflow *workflow, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    trigger *w = trigger_of(workflow);
    char run[HATCHET_ID_MAX];
    if (n == 0)
        return MF_OK;
    if (delay > 0 && n > 1)
        return mf_fail(err, MF_E_UNSUPPORTED, "task \"%s\": Hatchet schedules one message at a time, and %zu would not be all or none",
                       w->task, n);
    if (delay > 0)
        return send_later(w, messages[0], delay, err);
    return n == 1 ? send_one(w, messages[0], WITHIN, run, err) : send_many(w, messages, n, err);
}

static mf_status trigger_run_and_wait(mf_workflow *workflow, const mf_message *message, mf_duration timeout, mf_message **result,
                                      mf_error *err)
{
    trigger *w = trigger_of(workflow);
    char run[HATCHET_ID_MAX];
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    mf_status st = send_one(w, message, timeout > 0 && timeout < WITHIN ? timeout : WITHIN, run, err);
    return st != MF_OK ? st : hatchet_wait(w->owner, run, w->task, deadline, result, err);
}

static void trigger_destroy(mf_workflow *workflow)
{
    trigger *w = trigger_of(workflow);
    hatchet_text_free(w->owner, w->name);
    hatchet_text_free(w->owner, w->task);
    mf_delete(w->owner->allocator, w);
}

static const mf_workflow_ops trigger_ops = {
    .struct_size = sizeof(mf_workflow_ops),
    .run_many = trigger_run_many,
    .run_and_wait = trigger_run_and_wait,
    .destroy = trigger_destroy,
};

mf_status hatchet_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    hatchet *h = hatchet_of(base);
    trigger *w = mf_new(h->allocator, trigger);
    if (w == NULL)
        return mf_fail(err, MF_E_NOMEM, "workflow: no memory");
    w->base.ops = &trigger_ops;
    w->owner = h;
    w->task = mfi_copy_text(h->allocator, name);
    w->name = hatchet_workflow_name(h, name);
    if (w->task == NULL || w->name == NULL) {
        trigger_destroy(&w->base);
        return mf_fail(err, MF_E_NOMEM, "workflow: no memory");
    }
    *out = &w->base;
    return MF_OK;
}
