/* What the engine is told of our tasks: a workflow of one task for each, of the same name, and one worker that serves them all.
 *
 * The engine's own timeout is put far away: the runtime keeps timeouts, as it does everywhere, and a worker that died is found
 * by its heartbeat. Retries are the engine's. */
#include "hatchet.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "memory.h"

#define FOR_EVER "8760h"
#define CUTS_MAX 5

void hatchet_text_free(hatchet *h, char *text)
{
    if (text != NULL)
        mfi_release(h->allocator, text, strlen(text) + 1);
}

char *hatchet_workflow_name(hatchet *h, mf_str name)
{
    size_t ns = strlen(h->options.ns);
    char *text = mfi_alloc(h->allocator, ns + name.len + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, h->options.ns, ns);
    memcpy(text + ns, name.at, name.len);
    text[ns + name.len] = '\0';
    return text;
}

hatchet_task *hatchet_task_find(hatchet *h, mf_str name)
{
    hatchet_task *task = h->tasks;
    while (task != NULL && !mf_str_eq(name, mf_cstr(task->name)))
        task = task->next;
    return task;
}

static void task_free(hatchet *h, hatchet_task *task)
{
    hatchet_text_free(h, task->workflow);
    hatchet_text_free(h, task->action);
    hatchet_bytes_free(&task->attributes);
    mf_message_unref(task->metadata);
    mf_delete(h->allocator, task);
}

void hatchet_tasks_free(hatchet *h)
{
    for (hatchet_task *task = h->tasks, *next; task != NULL; task = next) {
        next = task->next;
        task_free(h, task);
    }
}

static mf_status declare(mf_adapter *base, const mf_task_def *def, bool durable, mf_error *err)
{
    hatchet *h = hatchet_of(base);
    for (const char *c = def->name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '_' && *c != '-')
            return mf_fail(err, MF_E_INVALID, "task \"%s\": Hatchet's names are letters, digits, '.', '_' and '-' alone", def->name);
    hatchet_task *task = mf_new(h->allocator, hatchet_task);
    if (task == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    snprintf(task->name, sizeof task->name, "%s", def->name);
    task->in = def->in;
    task->retries = def->retries;
    task->backoff = def->backoff;
    task->durable = durable;
    task->workflow = hatchet_workflow_name(h, mf_cstr(def->name));
    size_t len = task->workflow != NULL ? strlen(task->workflow) : 0;
    task->action = mfi_alloc(h->allocator, len + 1 + strlen(def->name) + 1);
    if (task->workflow == NULL || task->action == NULL) {
        if (task->action != NULL)
            mfi_release(h->allocator, task->action, len + 1 + strlen(def->name) + 1);
        task->action = NULL;
        task_free(h, task);
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    }
    sprintf(task->action, "%s:%s", task->workflow, def->name);
    for (char *c = task->action; *c != '\0'; c++)      /* as the engine does with what is behind the colon */
        *c = (char)tolower((unsigned char)*c);
    pthread_mutex_lock(&h->lock);
    bool late = h->told_tasks;
    const hatchet_task *other = h->tasks;
    while (other != NULL && strcmp(other->action, task->action) != 0)
        other = other->next;
    if (other == NULL && !late) {
        task->next = h->tasks;
        h->tasks = task;
    }
    pthread_mutex_unlock(&h->lock);
    if (other == NULL && !late)
        return MF_OK;
    task_free(h, task);
    if (late)
        return mf_fail(err, MF_E_STATE, "task \"%s\": the worker serves already, and Hatchet is told of a worker's tasks once: declare it "
                       "before", def->name);
    return mf_fail(err, MF_E_EXISTS, "task \"%s\": \"%s\" is declared, and to Hatchet upper and lower case are the same here", def->name,
                   other->name);
}

mf_status hatchet_task_declare(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    return declare(base, def, false, err);
}

mf_status hatchet_durable_declare(mf_adapter *base, const mf_task_def *def, mf_error *err)
{
    return declare(base, def, true, err);
}

/* A connection that is cut while a worker starts is no reason not to start: what was asked is asked again on the next one. Done twice
 * it does no harm: a definition is the same one, a worker that was registered and never listened is given nothing. */
static bool was_cut(mf_status st, mfi_rpc_code code, unsigned *tries)
{
    return st == MF_E_IO && code == MFI_RPC_UNAVAILABLE && ++*tries < CUTS_MAX;
}

/* ---- PutWorkflow ------------------------------------------------------------------------------------------------------ */

static mf_status schema_of(hatchet *h, const hatchet_task *task, char **json, size_t *len, mf_error *err)
{
    mf_message *schema = NULL;
    mf_status st = mf_fields_schema(task->in, h->allocator, &schema, err);
    if (st == MF_OK)
        st = mf_message_to_json(schema, h->allocator, json, len, err);
    mf_message_unref(schema);
    return st;
}

/* The attributes with what every task is. ended NULL: waits for the engine's answer; else it is begun, and the I/O thread hears of
 * its end. */
static mf_status define_with(hatchet *h, const hatchet_task *task, const HatchetPb__Workflow *given, mfi_rpc_ended_fn *ended,
                             mf_error *err)
{
    static const char method[] = "/v1.AdminService/PutWorkflow";
    static char pool[] = "default", durable_pool[] = "durable", none[] = "{}", far[] = FOR_EVER;
    HatchetPb__Count slots = HATCHET_PB__COUNT__INIT, *slot_list[] = {&slots};
    slots.key = task->durable ? durable_pool : pool;
    slots.has_value = true;
    slots.value = 1;
    HatchetPb__Task t = *given->tasks[0], *task_list[] = {&t};
    t.readable_id = (char *)(uintptr_t)task->name;
    t.action = task->action;
    t.timeout = far;
    if (t.schedule_timeout == NULL)
        t.schedule_timeout = far;
    t.inputs = none;
    t.has_is_durable = task->durable;
    t.is_durable = task->durable;
    t.has_retries = true;
    t.retries = (int32_t)(task->retries < 1000000 ? task->retries : 1000000);
    if (task->backoff >= mf_milliseconds(500)) {        /* 2, 4, 8 … s up to a minute: the engine counts whole factors */
        t.has_backoff_factor = t.has_backoff_max_seconds = true;
        t.backoff_factor = 2;
        t.backoff_max_seconds = 60;
    }
    t.n_slot_requests = 1;
    t.slot_requests = slot_list;
    HatchetPb__Workflow w = *given;
    w.name = task->workflow;
    w.n_tasks = 1;
    w.tasks = task_list;
    char *json = NULL;
    size_t len = 0;
    mf_status st = task->in != NULL ? schema_of(h, task, &json, &len, err) : MF_OK;
    if (json != NULL) {
        w.has_input_json_schema = true;
        w.input_json_schema.data = (uint8_t *)json;
        w.input_json_schema.len = len;
    }
    if (st == MF_OK && ended == NULL) {
        mf_error why = {0};
        mfi_rpc_code code;
        unsigned tries = 0;
        do
            st = hatchet_call(h, method, &w.base, mf_seconds(30), NULL, NULL, &code, &why);
        while (was_cut(st, code, &tries));
        if (st != MF_OK)
            st = mf_fail(err, st, "task \"%s\": %s", task->name, why.text);
    }
    if (st == MF_OK && ended != NULL)
        st = hatchet_begin(h, method, &w.base, mf_seconds(30), NULL, ended, h, NULL, err);
    mf_json_free(h->allocator, json, len);
    return st;
}

static mf_status define(hatchet *h, const hatchet_task *task, mfi_rpc_ended_fn *ended, mf_error *err)
{
    HatchetPb__Task t = HATCHET_PB__TASK__INIT, *list[] = {&t};
    HatchetPb__Workflow none = HATCHET_PB__WORKFLOW__INIT;
    none.n_tasks = 1;
    none.tasks = list;
    if (task->attributes.at == NULL)
        return define_with(h, task, &none, ended, err);
    HatchetPb__Workflow *given = hatchet_pb__workflow__unpack(NULL, task->attributes.len, (const uint8_t *)task->attributes.at);
    if (given == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", task->name);
    mf_status st = define_with(h, task, given, ended, err);
    hatchet_pb__workflow__free_unpacked(given, NULL);
    return st;
}

mf_status hatchet_define(hatchet *h, const hatchet_task *task, mf_error *err)
{
    return define(h, task, NULL, err);
}

static mf_status define_each(hatchet *h, mfi_rpc_ended_fn *ended, mf_error *err)
{
    pthread_mutex_lock(&h->lock);
    hatchet_task *first = h->tasks;             /* additions only, in front */
    pthread_mutex_unlock(&h->lock);
    mf_status st = MF_OK;
    for (hatchet_task *task = first; st == MF_OK && task != NULL; task = task->next)
        st = define(h, task, ended, err);
    pthread_mutex_lock(&h->lock);
    for (hatchet_task *task = first; st == MF_OK && task != NULL; task = task->next)
        task->defined = true;
    pthread_mutex_unlock(&h->lock);
    return st;
}

mf_status hatchet_define_all(hatchet *h, mf_error *err)
{
    return define_each(h, NULL, err);
}

mf_status io_define_again(hatchet *h, mfi_rpc_ended_fn *ended, mf_error *err)
{
    return define_each(h, ended, err);
}

/* ---- Register --------------------------------------------------------------------------------------------------------- */

mf_status hatchet_register_pack(hatchet *h, hatchet_bytes *out, mf_error *err)
{
    static char service[] = "default", durable[] = "durable", version[] = MF_VERSION, language[] = "C11";
    struct utsname machine;
    char *services[] = {service};
    pthread_mutex_lock(&h->lock);
    const hatchet_task *first = h->tasks;
    pthread_mutex_unlock(&h->lock);
    size_t n = 0;
    bool any_durable = false;
    for (const hatchet_task *task = first; task != NULL; task = task->next, n++)
        any_durable = any_durable || task->durable;
    char **actions = mfi_alloc(h->allocator, (n + 1) * sizeof *actions);
    if (actions == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: no memory", h->what);
    size_t i = 0;
    for (const hatchet_task *task = first; task != NULL; task = task->next)
        actions[i++] = task->action;
    HatchetPb__Count slots = HATCHET_PB__COUNT__INIT, durable_slots, *slot_list[] = {&slots, &durable_slots};
    slots.key = service;
    slots.has_value = true;
    slots.value = (int32_t)(h->serving_options.slots != 0 ? h->serving_options.slots : HATCHET_SLOTS);
    durable_slots = slots;
    durable_slots.key = durable;
    HatchetPb__RuntimeInfo info = HATCHET_PB__RUNTIME_INFO__INIT;
    info.sdk_version = version;
    info.language_version = language;
    if (uname(&machine) == 0)
        info.os = machine.sysname;
    HatchetPb__Register r = HATCHET_PB__REGISTER__INIT;
    r.worker_name = (char *)(uintptr_t)(h->serving_options.name != NULL ? h->serving_options.name : "mageflow");
    r.n_actions = n;
    r.actions = actions;
    r.n_services = 1;
    r.services = services;
    r.runtime_info = &info;
    HatchetPb__Register *labels =
        h->labels.at != NULL ? hatchet_pb__register__unpack(NULL, h->labels.len, (const uint8_t *)h->labels.at) : NULL;
    if (labels != NULL) {
        r.n_labels = labels->n_labels;
        r.labels = labels->labels;
    }
    r.n_slot_config = any_durable ? 2 : 1;
    r.slot_config = slot_list;
    mf_status st = hatchet_pack(h, &r.base, out, err);
    hatchet_pb__register__free_unpacked(labels, NULL);
    mfi_release(h->allocator, actions, (n + 1) * sizeof *actions);
    return st;
}

mf_status hatchet_register(hatchet *h, mf_error *err)
{
    hatchet_bytes bytes;
    mfi_rpc_bytes answer = {NULL, NULL, 0};
    mf_status st = hatchet_register_pack(h, &bytes, err);
    if (st != MF_OK)
        return st;
    mfi_rpc_code code;
    unsigned tries = 0;
    do
        st = mfi_rpc_unary(h->rpc, "/Dispatcher/Register", hatchet_str(&bytes), mf_seconds(30), &answer, &code, err);
    while (was_cut(st, code, &tries));
    hatchet_bytes_free(&bytes);
    HatchetPb__Registered *r = st == MF_OK ? hatchet_pb__registered__unpack(NULL, answer.len, (const uint8_t *)answer.at) : NULL;
    mfi_rpc_bytes_free(&answer);
    if (st != MF_OK)
        return st;
    if (r == NULL || r->worker_id == NULL || strlen(r->worker_id) >= HATCHET_ID_MAX)
        st = mf_fail(err, MF_E_MALFORMED, "%s: Register: no worker's id in the answer", h->what);
    else {
        pthread_mutex_lock(&h->lock);
        memcpy(h->worker_id, r->worker_id, strlen(r->worker_id) + 1);
        pthread_mutex_unlock(&h->lock);
    }
    hatchet_pb__registered__free_unpacked(r, NULL);
    return st;
}
