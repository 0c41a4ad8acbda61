/* mageflow/hatchet.h: attributes of tasks, and labels of the worker.
 *
 * They are kept as the bytes of the message that will tell the engine of them: whoever gave them may forget them, and define.c adds
 * what a task is on every manager. */
#include "hatchet.h"

#include <stdio.h>

#include "memory.h"

#define LIST_MAX 32     /* of one kind */

typedef struct built {
    HatchetPb__Workflow    workflow;
    HatchetPb__Task        task, *tasks[1];
    HatchetPb__Concurrency concurrency[LIST_MAX], *concurrency_list[LIST_MAX];
    HatchetPb__RateLimit   limits[LIST_MAX], *limit_list[LIST_MAX];
    HatchetPb__Filter      filters[LIST_MAX], *filter_list[LIST_MAX];
    char                  *events[LIST_MAX];
    char                  *crons[LIST_MAX];
    size_t                 filter_lens[LIST_MAX], cron_input_len;
    hatchet_labels         labels;
    char                   wait[32];
} built;

static char *plain(const char *text)
{
    return (char *)(uintptr_t)text;         /* protobuf-c knows no const */
}

static mf_status check_count(const char *what, const void *at, size_t n, mf_error *err)
{
    if (n > LIST_MAX || (n > 0 && at == NULL))
        return mf_fail(err, MF_E_INVALID, "%s: at most %d, got %zu%s", what, LIST_MAX, n, at == NULL ? " at NULL" : "");
    return MF_OK;
}

/* Texts that may be long, or missing. */
static mf_status check_free_text(const char *what, const char *text, mf_error *err)
{
    return text == NULL || hatchet_is_utf8(text) ? MF_OK : mf_fail(err, MF_E_INVALID, "%s: expected UTF-8", what);
}

static mf_status check_expression(const char *what, const char *text, mf_error *err)
{
    if (text == NULL || text[0] == '\0')
        return mf_fail(err, MF_E_INVALID, "%s: expected an expression", what);
    return check_free_text(what, text, err);
}

/* Five fields, or six; what is in them is the engine's to judge. */
static bool is_cron(const char *text)
{
    size_t fields = 0;
    bool inside = false;
    for (; *text != '\0'; text++) {
        if (strchr("0123456789*/,-?LW#ABCDEFGHIJKLMNOPQRSTUVXYZabcdefghijklmnopqrstuvwxyz ", *text) == NULL)
            return false;
        fields += *text != ' ' && !inside;
        inside = *text != ' ';
    }
    return fields == 5 || fields == 6;
}

/* ---- each kind -------------------------------------------------------------------------------------------------------- */

static mf_status add_starts(hatchet *h, built *b, const mf_hatchet_task *a, mf_error *err)
{
    mf_status st = check_count("events", a->events, a->event_count, err);
    if (st == MF_OK)
        st = check_count("crons", a->crons, a->cron_count, err);
    for (size_t i = 0; st == MF_OK && i < a->event_count; i++) {
        st = hatchet_check_text("an event's key", a->events[i], err);
        if (st == MF_OK && (b->events[i] = hatchet_workflow_name(h, mf_cstr(a->events[i]))) == NULL)
            st = MF_E_NOMEM;
        b->workflow.n_event_triggers += st == MF_OK;
    }
    for (size_t i = 0; st == MF_OK && i < a->cron_count; i++) {
        if (a->crons[i] == NULL || !is_cron(a->crons[i]))
            st = mf_fail(err, MF_E_INVALID, "cron: expected five or six fields, got \"%.80s\"", a->crons[i] != NULL ? a->crons[i] : "");
        b->crons[i] = plain(a->crons[i]);
    }
    b->workflow.event_triggers = b->events;
    b->workflow.n_cron_triggers = a->cron_count;
    b->workflow.cron_triggers = b->crons;
    if (st == MF_OK)
        st = hatchet_map_json(h, "cron_input", a->cron_input, NULL, &b->workflow.cron_input, &b->cron_input_len, err);
    return st;
}

static mf_status add_concurrency(built *b, const mf_hatchet_task *a, mf_error *err)
{
    static const int32_t words[] = {[MF_HATCHET_ROUND_ROBIN] = 3, [MF_HATCHET_CANCEL_IN_PROGRESS] = 0, [MF_HATCHET_CANCEL_NEWEST] = 4};
    mf_status st = check_count("concurrency", a->concurrency, a->concurrency_count, err);
    for (size_t i = 0; st == MF_OK && i < a->concurrency_count; i++) {
        const mf_hatchet_concurrency *c = &a->concurrency[i];
        HatchetPb__Concurrency *to = b->concurrency_list[i] = &b->concurrency[i];
        st = check_expression("concurrency", c->expression, err);
        if (st == MF_OK && (c->max_runs < 0 || (unsigned)c->strategy > MF_HATCHET_CANCEL_NEWEST))
            st = mf_fail(err, MF_E_INVALID, "concurrency: max_runs below 0, or no such strategy");
        if (st != MF_OK)
            return st;
        hatchet_pb__concurrency__init(to);
        to->expression = plain(c->expression);
        to->has_max_runs = to->has_limit_strategy = true;
        to->max_runs = c->max_runs > 0 ? c->max_runs : 1;
        to->limit_strategy = words[c->strategy];
    }
    b->task.n_concurrency = a->concurrency_count;
    b->task.concurrency = b->concurrency_list;
    return st;
}

static mf_status add_limits(built *b, const mf_hatchet_task *a, mf_error *err)
{
    mf_status st = check_count("rate_limits", a->rate_limits, a->rate_limit_count, err);
    for (size_t i = 0; st == MF_OK && i < a->rate_limit_count; i++) {
        const mf_hatchet_rate_limit *l = &a->rate_limits[i];
        HatchetPb__RateLimit *to = b->limit_list[i] = &b->limits[i];
        st = hatchet_check_text("a rate limit's key", l->key, err);
        if (st == MF_OK && (l->units < 0 || (unsigned)l->per > MF_HATCHET_YEAR || (l->units > 0 && l->units_expression != NULL)))
            st = mf_fail(err, MF_E_INVALID, "rate limit \"%s\": units below 0 or said twice, or no such span", l->key);
        if (st == MF_OK && (l->key_expression != NULL) != (l->limit_expression != NULL))
            st = mf_fail(err, MF_E_INVALID, "rate limit \"%s\": key_expression and limit_expression go together", l->key);
        if (st == MF_OK)
            st = check_free_text("a rate limit's key_expression", l->key_expression, err);
        if (st == MF_OK)
            st = check_free_text("a rate limit's limit_expression", l->limit_expression, err);
        if (st == MF_OK)
            st = check_free_text("a rate limit's units_expression", l->units_expression, err);
        if (st != MF_OK)
            return st;
        hatchet_pb__rate_limit__init(to);
        to->key = plain(l->key);
        to->key_expr = plain(l->key_expression);
        to->units_expr = plain(l->units_expression);
        to->limit_values_expr = plain(l->limit_expression);
        to->has_units = l->units_expression == NULL;
        to->units = l->units > 0 ? l->units : 1;
        to->has_duration = l->key_expression != NULL;
        to->duration = (int32_t)l->per;
    }
    b->task.n_rate_limits = a->rate_limit_count;
    b->task.rate_limits = b->limit_list;
    return st;
}

static mf_status add_filters(hatchet *h, built *b, const mf_hatchet_task *a, mf_error *err)
{
    mf_status st = check_count("filters", a->filters, a->filter_count, err);
    for (size_t i = 0; st == MF_OK && i < a->filter_count; i++) {
        const mf_hatchet_filter *f = &a->filters[i];
        HatchetPb__Filter *to = b->filter_list[i] = &b->filters[i];
        char *json = NULL;
        hatchet_pb__filter__init(to);
        b->workflow.n_default_filters++;
        st = check_expression("filter", f->expression, err);
        if (st == MF_OK)
            st = hatchet_check_text("a filter's scope", f->scope, err);
        if (st == MF_OK)
            st = hatchet_map_json(h, "a filter's payload", f->payload, "{}", &json, &b->filter_lens[i], err);
        to->expression = plain(f->expression);
        to->scope = plain(f->scope);
        to->has_payload = json != NULL;
        to->payload.data = (uint8_t *)json;
        to->payload.len = b->filter_lens[i];
    }
    b->workflow.default_filters = b->filter_list;
    return st;
}

static mf_status add_rest(hatchet *h, built *b, const mf_hatchet_task *a, mf_error *err)
{
    mf_status st = check_free_text("description", a->description, err);
    if (st == MF_OK)
        st = check_free_text("version", a->version, err);
    if (st == MF_OK)
        st = hatchet_check_priority("priority", a->priority, err);
    if (st == MF_OK && (unsigned)a->sticky > MF_HATCHET_STICKY_HARD)
        st = mf_fail(err, MF_E_INVALID, "sticky: no such word");
    if (st == MF_OK && (a->schedule_timeout < 0 || a->schedule_timeout % 1000000 != 0))
        st = mf_fail(err, MF_E_INVALID, "schedule_timeout: expected whole milliseconds, got %lld ns", (long long)a->schedule_timeout);
    if (st == MF_OK && a->metadata != NULL && mf_value_type(mf_message_value(a->metadata)) != MF_TYPE_MAP)
        st = mf_fail(err, MF_E_INVALID, "metadata: expected a map");
    if (st == MF_OK)
        st = hatchet_labels_init(h, a->labels, a->label_count, true, &b->labels, err);
    b->workflow.description = plain(a->description);
    b->workflow.version = plain(a->version);
    b->workflow.has_default_priority = a->priority > 0;
    b->workflow.default_priority = a->priority;
    b->workflow.has_sticky = a->sticky != MF_HATCHET_STICKY_NOT;
    b->workflow.sticky = a->sticky == MF_HATCHET_STICKY_HARD ? 1 : 0;
    if (a->schedule_timeout > 0) {
        snprintf(b->wait, sizeof b->wait, "%lldms", (long long)(a->schedule_timeout / 1000000));
        b->task.schedule_timeout = b->wait;
    }
    b->task.n_worker_labels = b->labels.n;
    b->task.worker_labels = b->labels.list;
    return st;
}

static void built_free(hatchet *h, built *b)
{
    for (size_t i = 0; i < b->workflow.n_event_triggers; i++)
        hatchet_text_free(h, b->events[i]);
    for (size_t i = 0; i < b->workflow.n_default_filters; i++)
        if (b->filters[i].has_payload)
            mf_json_free(h->allocator, (char *)b->filters[i].payload.data, b->filter_lens[i]);
    mf_json_free(h->allocator, b->workflow.cron_input, b->cron_input_len);
    hatchet_labels_free(h, &b->labels);
    mf_delete(h->allocator, b);
}

static mf_status pack(hatchet *h, const mf_hatchet_task *a, hatchet_bytes *out, mf_error *err)
{
    built *b = mf_new(h->allocator, built);
    if (b == NULL)
        return mf_fail(err, MF_E_NOMEM, "attributes: no memory");
    hatchet_pb__workflow__init(&b->workflow);
    hatchet_pb__task__init(&b->task);
    b->tasks[0] = &b->task;
    b->workflow.n_tasks = 1;
    b->workflow.tasks = b->tasks;
    mf_status st = add_rest(h, b, a, err);
    if (st == MF_OK)
        st = add_starts(h, b, a, err);
    if (st == MF_OK)
        st = add_concurrency(b, a, err);
    if (st == MF_OK)
        st = add_limits(b, a, err);
    if (st == MF_OK)
        st = add_filters(h, b, a, err);
    if (st == MF_OK)
        st = hatchet_pack(h, &b->workflow.base, out, err);
    built_free(h, b);
    return st;
}

/* ---- keeping them ----------------------------------------------------------------------------------------------------- */

mf_status mf_hatchet_task_set(mf_client *client, const char *task, const mf_hatchet_task *attributes, mf_error *err)
{
    hatchet *h;
    hatchet_bytes bytes;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK && (attributes == NULL || attributes->struct_size == 0))
        st = mf_fail(err, MF_E_INVALID, "attributes: struct_size is 0; MF_HATCHET_TASK sets it");
    if (st == MF_OK)
        st = hatchet_check_text("a task's name", task, err);
    if (st == MF_OK)
        st = pack(h, attributes, &bytes, err);
    if (st != MF_OK)
        return st;
    mf_message *metadata = mf_message_ref(attributes->metadata);
    pthread_mutex_lock(&h->lock);
    hatchet_task *found = hatchet_task_find(h, mf_cstr(task));
    bool late = h->serving || h->attached;
    if (found != NULL && !late) {
        hatchet_bytes before = found->attributes;
        mf_message *metadata_before = found->metadata;
        found->attributes = bytes;
        found->metadata = metadata;
        bytes = before;
        metadata = metadata_before;
    }
    pthread_mutex_unlock(&h->lock);
    hatchet_bytes_free(&bytes);
    mf_message_unref(metadata);
    if (found == NULL)
        return mf_fail(err, MF_E_UNKNOWN_TASK, "task \"%s\": declare it before its attributes", task);
    return late ? mf_fail(err, MF_E_STATE, "task \"%s\": it is served already", task) : MF_OK;
}

mf_message *hatchet_task_metadata(hatchet *h, mf_str task)
{
    pthread_mutex_lock(&h->lock);
    const hatchet_task *found = hatchet_task_find(h, task);
    mf_message *metadata = found != NULL ? mf_message_ref(found->metadata) : NULL;
    pthread_mutex_unlock(&h->lock);
    return metadata;
}

/* Kept as a Register that holds nothing else. */
mf_status mf_hatchet_worker_labels(mf_client *client, const mf_hatchet_label *labels, size_t n, mf_error *err)
{
    hatchet *h;
    hatchet_labels list;
    hatchet_bytes bytes = {NULL, NULL, 0};
    HatchetPb__Register r = HATCHET_PB__REGISTER__INIT;
    mf_status st = hatchet_of_client(client, &h, err);
    if (st == MF_OK)
        st = check_count("labels", labels, n, err);
    if (st == MF_OK)
        st = hatchet_labels_init(h, labels, n, false, &list, err);
    if (st != MF_OK)
        return st;
    r.n_labels = list.n;
    r.labels = list.list;
    st = hatchet_pack(h, &r.base, &bytes, err);
    hatchet_labels_free(h, &list);
    if (st != MF_OK)
        return st;
    pthread_mutex_lock(&h->lock);
    bool late = h->serving || h->attached;
    if (!late) {
        hatchet_bytes before = h->labels;
        h->labels = bytes;
        bytes = before;
    }
    pthread_mutex_unlock(&h->lock);
    hatchet_bytes_free(&bytes);
    return late ? mf_fail(err, MF_E_STATE, "labels: the worker serves already") : MF_OK;
}
