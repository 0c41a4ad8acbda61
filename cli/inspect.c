/* inspect.c: `mageflow inspect`: one signature whole, with the first of its parts. */
#include "command.h"
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_COLUMN 14
#define SHOWN 4000          /* columns of a message or an error */
#define SHOWN_OF_PART 200
#define WORKERS_PAGE 16

static const struct usage usage = {
    .takes = OPTION_LIMIT | OPTION_AFTER | OPTION_JSON_SHOWN,
    .arguments = "[OPTION...] KEY",
    .before = "Show one signature whole: what it is, how it stands, what it stands in, what it was given and what came of it; and\n"
              "of a chain or swarm the first steps or items. KEY is its key or the name of a unique run.",
    .after = "--after takes the number of the last part that was shown. A part that is active was sent and has not ended.\n"
             "With --json one object comes: what mageflow list gives, and more, with the parts as a list.\n"
             "Exit codes: 0 shown, 1 the store cannot be read, 2 wrong usage, which is also a key that is not there.\n"
             "\n"
             "  mageflow inspect --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce --after 49\n",
};

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

/* Of the calls that a worker told of, those for this signature. */
static void read_runs_of(const mf_worker_note *note, struct inspected *in)
{
    mf_value calls;
    mf_str host, key;
    struct seen run;
    if (mf_message_scan(note->told, NULL, "{s:S, s:I, s:I, s:v}", "host", &host, "pid", &run.pid, "told_ms", &run.told_ms, "calls",
                        &calls) != MF_OK)
        return;
    snprintf(run.host, sizeof run.host, "%.*s", (int)host.len, host.at);
    mf_value item;
    for (mf_iter iter = mf_value_iter(calls); in->run_count < RUNS_MAX && mf_iter_next(&iter, NULL, &item);) {
        key = mf_str_of(NULL, 0);
        if (mf_value_scan(item, NULL, "{s?:S, s:U, s:U}", "key", &key, "index", &run.index, "attempt", &run.attempt) == MF_OK &&
            mf_str_eq(key, mf_cstr(in->record.spec->key.text)))
            in->runs[in->run_count++] = run;
    }
}

/* Nobody needs to have told anything. */
static void read_runs(mf_client *client, struct inspected *in)
{
    mf_worker_note page[WORKERS_PAGE];
    char after[256] = "";
    size_t got = WORKERS_PAGE;
    while (mf_signature_status_runs(in->record.state.status) && got == WORKERS_PAGE &&
           mf_workers_page(client, after, WORKERS_PAGE, page, &got, NULL) == MF_OK) {
        for (size_t i = 0; i < got; i++) {
            read_runs_of(&page[i], in);
            memcpy(after, page[i].name, sizeof after);
            mf_message_unref(page[i].told);
        }
    }
}

/* What more than the record there is. Nothing of it is missed where it is gone meanwhile. */
static mf_status read_rest(mf_client *client, struct inspected *in, mf_error *err)
{
    const mf_key *key = &in->record.spec->key;
    mf_status st = mf_inspect_above(client, key, ABOVE_MAX, in->above, &in->above_count, err);
    if (st == MF_OK)
        st = mf_inspect_parts(client, key, in->from, in->limit, in->parts, &in->part_count, err);
    if (st != MF_OK)
        return st;
    if (mf_progress(client, key, &in->progress) != MF_OK)
        in->progress = NULL;
    read_runs(client, in);
    if (in->record.spec->kind != MF_KIND_TASK || mf_inspect_task(client, in->record.spec->name, &in->task, NULL) != MF_OK)
        in->task = NULL;
    return MF_OK;
}

static mf_status read_all(mf_client *client, const mf_key *key, struct inspected *in, mf_error *err)
{
    in->parts = calloc(in->limit, sizeof *in->parts);
    if (in->parts == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for %zu parts", in->limit);
    mf_status st = mf_inspect(client, key, &in->record, err);
    if (st == MF_OK)
        st = read_rest(client, in, err);
    in->now_ms = mf_inspect_now_ms(client);
    return st;
}

static void forget(struct inspected *in)
{
    for (size_t i = 0; i < in->part_count; i++)
        mf_part_release(&in->parts[i]);
    for (size_t i = 0; i < in->above_count; i++)
        mf_record_release(&in->above[i]);
    free(in->parts);
    mf_message_unref(in->progress);
    mf_message_unref(in->task);
    mf_record_release(&in->record);
}

uint64_t inspected_rest(const struct inspected *in)
{
    uint64_t total = in->record.spec->kind == MF_KIND_TASK ? 0 : in->record.state.total;
    uint64_t end = in->from + in->part_count;
    return in->part_count > 0 && total > end ? total - end : 0;
}

/* ---- what it is --------------------------------------------------------------------------------------------------------- */

static void begin(struct line *line, const char *what)
{
    line_begin(line);
    line_add(line, "%s", what);
    line_pad(line, VALUE_COLUMN);
}

static void print_message(const char *what, const mf_message *message)
{
    struct line line;
    if (message == NULL)
        return;
    begin(&line, what);
    line_add_message(&line, message, SHOWN);
    line_put_whole(&line);
}

static void print_kind(const mf_record *r)
{
    struct line line;
    begin(&line, "kind");
    line_add(&line, "%s", kind_word(r->spec));
    if (r->spec->kind == MF_KIND_SWARM && !r->state.closed)
        line_add(&line, ", open: more can be added");
    if (r->spec->source.len > 0) {
        line_add(&line, " over ");
        line_add_text(&line, r->spec->source, 80);
    }
    if (r->spec->foreign)
        line_add(&line, " of workers without mageflow");
    line_put_whole(&line);
    begin(&line, r->spec->kind == MF_KIND_TASK ? "task" : "name");
    line_add_text(&line, r->spec->name, 255);
    line_put_whole(&line);
}

static void print_status(const struct inspected *in)
{
    const mf_state *s = &in->record.state;
    char a[24], b[24];
    struct line line;
    begin(&line, "status");
    line_add(&line, "%s", mf_signature_status_name(s->status));
    if (s->status == MF_STATUS_SUSPENDED || s->status == MF_STATUS_INTERRUPTED)
        line_add(&line, ", was %s", mf_signature_status_name(s->last_status));
    if (s->lock != 0 && s->lock_until_ms > in->now_ms)
        line_add(&line, ", locked for %s", span_text(s->lock_until_ms - in->now_ms, a));
    if (s->priority != 0)
        line_add(&line, ", priority %" PRId32, s->priority);
    line_put_whole(&line);

    begin(&line, "age");
    line_add(&line, "%s", span_text(in->now_ms - s->created_ms, a));
    if (s->started_ms == 0)
        line_add(&line, ", not started");
    else if (s->ended_ms != 0)
        line_add(&line, ", took %s, ended %s ago", span_text(s->ended_ms - s->started_ms, a), span_text(in->now_ms - s->ended_ms, b));
    else
        line_add(&line, ", started %s ago", span_text(in->now_ms - s->started_ms, a));
    if (s->deadline_ms > 0)
        line_add(&line, ", %s in %s", mf_signature_status_ended(s->status) ? "forgotten" : "expires",
                 span_text(s->deadline_ms - in->now_ms, b));
    line_put_whole(&line);
}

static void print_above(const struct inspected *in)
{
    const mf_spec *inner = in->record.spec;
    for (size_t i = 0; i < in->above_count; i++) {
        const mf_record *r = &in->above[i];
        struct line line;
        begin(&line, i == 0 ? "in" : "");
        line_add(&line, "%s %s ", r->spec->key.text, mf_signature_status_name(r->state.status));
        line_add_text(&line, r->spec->name, 80);
        if (mf_key_is_set(&inner->container) && mf_key_eq(&inner->container, &inner->parent))
            line_add(&line, ", %s %" PRIu64, r->spec->kind == MF_KIND_CHAIN ? "step" : "item", inner->index);
        else
            line_add(&line, ", as its callback");
        line_put_whole(&line);
        inner = r->spec;
    }
}

static void print_counts(const mf_record *r)
{
    mf_counts c = counts_of(r);
    uint64_t known = c.running + c.done + c.failed + c.canceled;
    struct line line;
    if (r->spec->kind == MF_KIND_TASK)
        return;
    begin(&line, r->spec->kind == MF_KIND_CHAIN ? "steps" : "items");
    line_add_counts(&line, &c);
    if (c.total > known)
        line_add(&line, ", %" PRIu64 " %s", c.total - known, mf_signature_status_ended(r->state.status) ? "never ran" : "waiting");
    if (r->spec->kind == MF_KIND_SWARM) {
        line_add(&line, "; %" PRIu32 " at once", r->spec->max_concurrency);
        if (r->spec->stop_after_failures > 0)
            line_add(&line, ", stops after %" PRIu64 " failure%s", r->spec->stop_after_failures, r->spec->stop_after_failures == 1 ? "" : "s");
        if (r->spec->max_items > 0)
            line_add(&line, ", takes %" PRIu64, r->spec->max_items);
    }
    line_put_whole(&line);
}

static void print_runs(const struct inspected *in)
{
    for (size_t i = 0; i < in->run_count; i++) {
        const struct seen *run = &in->runs[i];
        char told[24];
        struct line line;
        begin(&line, i == 0 ? "runs" : "");
        if (in->record.spec->kind != MF_KIND_TASK)
            line_add(&line, "%s %" PRIu64 " ", in->record.spec->kind == MF_KIND_CHAIN ? "step" : "item", run->index);
        line_add(&line, "on ");
        line_add_text(&line, mf_cstr(run->host), 80);
        line_add(&line, ", process %" PRId64 ", attempt %" PRIu64 ", told %s ago", run->pid, run->attempt,
                 span_text(in->now_ms - run->told_ms, told));
        line_put_whole(&line);
    }
}

static void print_keys(const char *what, const mf_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct line line;
        begin(&line, i == 0 ? what : "");
        line_add(&line, "%s", keys[i].text);
        line_put_whole(&line);
    }
}

static void print_task(const struct inspected *in)
{
    uint64_t retries;
    int64_t backoff_ms, timeout_ms;
    bool durable;
    char a[24];
    struct line line;
    begin(&line, "attempts");
    if (in->record.spec->foreign) {
        line_add(&line, "as its worker has it; its end is waited for %s", span_text(in->record.spec->timeout_ms, a));
    } else if (mf_message_scan(in->task, NULL, "{s:U, s:I, s:I, s:b}", "retries", &retries, "backoff_ms", &backoff_ms,
                               "timeout_ms", &timeout_ms, "durable", &durable) == MF_OK) {
        line_add(&line, "up to %" PRIu64, retries + 1);
        if (retries > 0)
            line_add(&line, ", %s between", span_text(backoff_ms, a));
        line_add(&line, timeout_ms > 0 ? ", each for %s at most" : ", without a timeout", span_text(timeout_ms, a));
        if (durable)
            line_add(&line, ", durable");
    } else {
        line_add(&line, "not known: no worker on this store has declared the task");
    }
    line_put_whole(&line);
}

/* ---- what came of it ------------------------------------------------------------------------------------------------------ */

static void print_error(const mf_message *error)
{
    uint64_t attempt = 0;
    mf_str key = {NULL, 0};
    bool final = false;
    struct line line;
    begin(&line, "error");
    line_add_error(&line, error, SHOWN);
    if (mf_message_scan(error, NULL, "{s?:U, s?:S, s?:b}", "attempt", &attempt, "key", &key, "final", &final) == MF_OK && attempt > 0)
        line_add(&line, " (attempt %" PRIu64 "%s, of %.*s)", attempt, final ? ", final" : "", (int)key.len, key.at);
    line_put_whole(&line);
}

static void print_end(const struct inspected *in)
{
    const mf_record *r = &in->record;
    if (r->state.status == MF_STATUS_FAILED && r->state.result != NULL)
        print_error(r->state.result);
    else if (r->state.status == MF_STATUS_DONE && r->spec->kind != MF_KIND_SWARM)     /* whose results stand at its items */
        print_message("result", r->state.result);
}

static void print_part(const mf_part *p)
{
    struct line line;
    bool container = mf_key_is_set(&p->key) && p->spec->kind != MF_KIND_TASK;
    line_begin(&line);
    line_add(&line, "%-8" PRIu64 " %-11s ", p->index, p->never ? "never ran" : mf_signature_status_name(p->status));
    line_add_text(&line, p->spec->name, 40);
    line_pad(&line, 42);
    if (mf_key_is_set(&p->key))
        line_add(&line, "%s ", p->key.text);
    if (container)
        line_add_counts(&line, &p->counts);
    if (p->status == MF_STATUS_FAILED) {
        line_add(&line, "%s", container ? ": " : "");
        line_add_error(&line, p->value, SHOWN_OF_PART);
    } else if (p->status == MF_STATUS_DONE && p->value != NULL && !container) {
        line_add_message(&line, p->value, SHOWN_OF_PART);
    }
    line_put_whole(&line);
}

static void print_parts(const struct inspected *in)
{
    struct line line;
    if (in->part_count == 0)
        return;
    putchar('\n');
    line_begin(&line);
    line_add(&line, "%-8s %-11s %-20s %s", in->record.spec->kind == MF_KIND_CHAIN ? "STEP" : "ITEM", "STATUS", "TASK", "OUTCOME");
    line_put_whole(&line);
    for (size_t i = 0; i < in->part_count; i++)
        print_part(&in->parts[i]);
    fflush(stdout);
    if (inspected_rest(in) > 0)
        complain("there are %" PRIu64 " more: --after %" PRIu64, inspected_rest(in), in->parts[in->part_count - 1].index);
}

static void print_all(const struct inspected *in)
{
    const mf_record *r = &in->record;
    const mf_spec *spec = r->spec;
    struct line line;
    begin(&line, "key");
    line_add(&line, "%s", spec->key.text);
    line_put_whole(&line);
    print_kind(r);
    print_status(in);
    print_above(in);
    if (spec->kind == MF_KIND_TASK)
        print_task(in);
    print_counts(r);
    print_runs(in);
    print_keys("on success", spec->on_success, spec->on_success_count);
    print_keys("on error", spec->on_error, spec->on_error_count);
    print_message("kwargs", r->state.kwargs != NULL ? r->state.kwargs : spec->kwargs);
    print_message("message", r->state.input);
    if (in->progress != NULL) {
        begin(&line, "progress");
        line_add_progress(&line, in->progress, SHOWN);
        line_put_whole(&line);
    }
    print_end(in);
    print_parts(in);
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------- */

static bool read_after(const char *text, uint64_t *from)
{
    char *end = NULL;
    *from = 0;
    if (text == NULL)
        return true;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n < UINT64_MAX) {
        *from = n + 1;
        return true;
    }
    complain("--after: expected the number of a step or item, got \"%s\"", text);
    return false;
}

static int show(mf_client *client, const struct options *options, struct inspected *in)
{
    mf_key key;
    mf_error err = {.text = ""};
    int code = show_find(client, options->arguments[0], &key);
    if (code != EXIT_DONE)
        return code;
    mf_status st = read_all(client, &key, in, &err);
    if (st == MF_OK && options->json)
        st = inspected_print_json(in, &err);
    else if (st == MF_OK)
        print_all(in);
    return st == MF_OK ? EXIT_DONE : show_failed(st, &err);
}

static int inspect_with(const struct options *options)
{
    struct inspected in = {.limit = options->limit};
    mf_client *client;
    if (options->count != 1) {
        complain("inspect: expected one KEY, got %zu arguments: see mageflow inspect --help", options->count);
        return EXIT_USAGE;
    }
    if (!read_after(options->after, &in.from))
        return EXIT_USAGE;
    int code = show_open(options, &client);
    if (code != EXIT_DONE)
        return code;
    code = show(client, options, &in);
    forget(&in);
    mf_client_destroy(client);
    return code;
}

static int inspect_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, inspect_with);
}

const verb inspect_verb = {"inspect", "show one signature whole, and its parts", inspect_run};
