/* list.c: `mageflow list`: the signatures that a store has, the newest first. */
#include "list.h"

#include "command.h"

#include <stdio.h>

#define PAGE 100        /* records read at a time */
#define TASK_MOST 40     /* columns of a name */

static const struct usage usage = {
    .takes = OPTION_STATUS | OPTION_TASK | OPTION_ALL | OPTION_LIMIT | OPTION_AFTER | OPTION_WORKERS | OPTION_JSON_SHOWN,
    .arguments = "[OPTION...]",
    .before = "List what was started or saved, the newest first: key, kind, status, age, task or name, and how far it is.",
    .after = "Steps and items are listed by mageflow inspect; those with callbacks of their own, also by --all or --task.\n"
             "AGE is the time since it was stored. A status may also be running (active), alive (it has not ended) or ended.\n"
             "With --json each line is an object: key, kind, name, status, ages in seconds, parent, counts, error.\n"
             "With --workers those that serve are listed instead, with their tasks; --task leaves those that serve it. They tell it\n"
             "every 10 seconds, and one that was killed is listed for up to 40; TOLD is how long ago it was.\n"
             "Exit codes: 0 listed, 1 the store cannot be read, 2 wrong usage.\n"
             "\n"
             "  mageflow list --url URL --status failed --task resize\n"
             "  mageflow list --url 'local:?store=sqlite:jobs.db' --after swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n",
};

/* ---- what was asked for --------------------------------------------------------------------------------------------- */

static bool add_status(mf_str word, unsigned *bits)
{
    const unsigned ended = 1u << MF_STATUS_DONE | 1u << MF_STATUS_FAILED | 1u << MF_STATUS_CANCELED;
    const unsigned all = (1u << (MF_STATUS_CANCELED + 1)) - 1;
    for (int s = MF_STATUS_PENDING; s <= MF_STATUS_CANCELED; s++) {
        if (mf_str_eq(word, mf_cstr(mf_signature_status_name((mf_signature_status)s)))) {
            *bits |= 1u << s;
            return true;
        }
    }
    if (mf_str_eq(word, MF_STR_LIT("running")))
        *bits |= 1u << MF_STATUS_ACTIVE;
    else if (mf_str_eq(word, MF_STR_LIT("alive")))
        *bits |= all & ~ended;
    else if (mf_str_eq(word, MF_STR_LIT("ended")))
        *bits |= ended;
    else
        return false;
    return true;
}

static bool read_statuses(const char *list, unsigned *bits)
{
    *bits = 0;
    for (const char *at = list; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
        mf_str word = mf_str_of(at, strcspn(at, ","));
        if (add_status(word, bits))
            continue;
        complain("--status: expected pending, active, done, failed, suspended, interrupted, canceled, alive or ended, or several "
                 "with commas between, got \"%.*s\"", (int)word.len, word.at);
        return false;
    }
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

/* As wide as the first page needs it: what comes last has the rest of the line. */
static size_t task_width(const mf_record *page, size_t n)
{
    size_t width = strlen("TASK");
    for (size_t i = 0; i < n; i++)
        width = page[i].spec->name.len > width ? page[i].spec->name.len : width;
    return width < TASK_MOST ? width : TASK_MOST;
}

static void print_head(size_t width)
{
    struct line line;
    line_begin(&line);
    line_add(&line, "%-31s %-5s %-11s %-7s %-*s %s", "KEY", "KIND", "STATUS", "AGE", (int)width, "TASK", "PROGRESS");
    line_put(&line);
}

/* How far it is, or why it is no further. */
static void add_detail(struct line *line, mf_client *client, const mf_record *record)
{
    mf_message *progress;
    if (record->spec->kind != MF_KIND_TASK) {
        mf_counts counts = counts_of(record);
        line_add_counts(line, &counts);
    } else if (record->state.status == MF_STATUS_ACTIVE && mf_progress(client, &record->spec->key, &progress) == MF_OK) {
        line_add_progress(line, progress, 200);
        mf_message_unref(progress);
    }
    if (record->state.status == MF_STATUS_FAILED) {
        line_add(line, "%s", record->spec->kind != MF_KIND_TASK ? ": " : "");
        line_add_error(line, record->state.result, 200);
    }
}

static void print_row(mf_client *client, const mf_record *record, size_t width, int64_t now_ms)
{
    struct line line;
    char age[24];
    line_begin(&line);
    line_add(&line, "%-31s %-5s %-11s %-7s ", record->spec->key.text, kind_word(record->spec),
             mf_signature_status_name(record->state.status), span_text(now_ms - record->state.created_ms, age));
    size_t at = line.columns;
    line_add_text(&line, record->spec->name, TASK_MOST);
    line_pad(&line, at + width + 1);
    add_detail(&line, client, record);
    line_put(&line);
}

static mf_status print_object(mf_client *client, const mf_record *record, int64_t now_ms, mf_error *err)
{
    mf_builder b;
    mf_message *progress;
    build_begin(&b);
    mf_build_map_begin(&b);
    build_record(&b, record, now_ms);
    if (record->state.status == MF_STATUS_ACTIVE && mf_progress(client, &record->spec->key, &progress) == MF_OK) {
        mf_build_key(&b, "progress");
        mf_build_message(&b, progress);
        mf_message_unref(progress);
    }
    mf_build_end(&b);
    return build_put(&b, err);
}

/* ---- the list -------------------------------------------------------------------------------------------------------- */

struct listing {
    const struct options *options;
    mf_client            *client;
    mf_list_options       which;
    mf_key                after;
    unsigned              shown;
    size_t                width;        /* of the tasks' names */
};

static mf_status print_page(struct listing *l, mf_record *page, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    int64_t now_ms = mf_inspect_now_ms(l->client);
    if (l->shown == 0 && n > 0 && !l->options->json) {
        l->width = task_width(page, n);
        print_head(l->width);
    }
    for (size_t i = 0; i < n; i++) {
        if (st == MF_OK && l->options->json)
            st = print_object(l->client, &page[i], now_ms, err);
        else if (st == MF_OK)
            print_row(l->client, &page[i], l->width, now_ms);
        mf_record_release(&page[i]);
    }
    l->shown += (unsigned)n;
    return st;
}

/* For people alone: whether this was all. */
static void tell_rest(struct listing *l)
{
    mf_record next;
    mf_key after = l->after;
    size_t got = 0;
    if (l->options->json)
        return;
    if (l->shown == 0)
        complain("nothing is there%s", l->which.statuses != 0 || l->which.name != NULL || mf_key_is_set(&l->after) ?
                 " that was asked for" : "");
    else if (l->shown == l->options->limit && mf_inspect_list(l->client, &l->which, &after, 1, &next, &got, NULL) == MF_OK && got > 0) {
        mf_record_release(&next);
        complain("there are more: --after %s", l->after.text);
    }
}

static int print_all(struct listing *l)
{
    mf_record page[PAGE];
    mf_error err = {.text = ""};
    mf_status st = MF_OK;
    for (size_t got = PAGE; st == MF_OK && got == PAGE && l->shown < l->options->limit;) {
        size_t most = l->options->limit - l->shown < PAGE ? l->options->limit - l->shown : PAGE;
        st = mf_inspect_list(l->client, &l->which, &l->after, most, page, &got, &err);
        if (st == MF_OK)
            st = print_page(l, page, got, &err);
    }
    if (st == MF_OK) {
        tell_rest(l);
        return EXIT_DONE;
    }
    fflush(stdout);
    return show_failed(st, &err);
}

static int list_with(const struct options *options)
{
    struct listing l = {.options = options, .which = {.struct_size = sizeof l.which, .name = options->task,
                                                      .parts = options->all || options->task != NULL}};
    if (options->count > 0) {
        complain("list: expected no arguments, got \"%s\": see mageflow list --help", options->arguments[0]);
        return EXIT_USAGE;
    }
    if (!read_statuses(options->status, &l.which.statuses))
        return EXIT_USAGE;
    mf_error err;
    if (options->after != NULL && mf_key_parse(mf_cstr(options->after), &l.after, &err) != MF_OK) {
        complain("--after: %s", err.text);
        return EXIT_USAGE;
    }
    if (options->workers && (options->after != NULL || options->status != NULL || options->all)) {
        complain("--workers goes with --task, --limit and --json alone");
        return EXIT_USAGE;
    }
    int code = show_open(options, &l.client);
    if (code == EXIT_DONE) {
        code = options->workers ? list_workers(options, l.client) : print_all(&l);
        mf_client_destroy(l.client);
    }
    return code;
}

static int list_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, list_with);
}

const verb list_verb = {"list", "list what was started, and how it stands", list_run};
