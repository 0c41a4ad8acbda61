/* list_workers.c: `mageflow list --workers`: who serves, as the workers told it last. */
#include "list.h"

#include "command.h"

#include <inttypes.h>
#include <stdio.h>

#define PAGE 32

struct served {
    mf_str   host;
    int64_t  pid, since_ms, told_ms;
    uint64_t threads, running;
    mf_value tasks;
};

static bool read_note(const mf_worker_note *note, struct served *out)
{
    return mf_message_scan(note->told, NULL, "{s:S, s:I, s:I, s:I, s:U, s:U, s:v}", "host", &out->host, "pid", &out->pid,
                           "since_ms", &out->since_ms, "told_ms", &out->told_ms, "threads", &out->threads, "running",
                           &out->running, "tasks", &out->tasks) == MF_OK;
}

static bool serves(const struct served *w, const char *task)
{
    mf_iter tasks = mf_value_iter(w->tasks);
    mf_value item;
    mf_str name;
    while (task != NULL && mf_iter_next(&tasks, NULL, &item)) {
        if (mf_value_str(item, &name) == MF_OK && mf_str_eq(name, mf_cstr(task)))
            return true;
    }
    return task == NULL;
}

static void print_row(const struct served *w, int64_t now_ms)
{
    char age[24], told[24], where[96];
    struct line line;
    mf_iter tasks = mf_value_iter(w->tasks);
    mf_value item;
    mf_str name;
    line_begin(&line);
    snprintf(where, sizeof where, "%.*s:%" PRId64, (int)w->host.len, w->host.at, w->pid);
    line_add(&line, "%-24s %-7s %-7s %7" PRIu64 " %7" PRIu64 "  ", where, span_text(now_ms - w->since_ms, age),
             span_text(now_ms - w->told_ms, told), w->threads, w->running);
    for (bool first = true; mf_iter_next(&tasks, NULL, &item); first = false) {
        if (mf_value_str(item, &name) != MF_OK)
            continue;
        line_add(&line, "%s", first ? "" : ", ");
        line_add_text(&line, name, 80);
    }
    line_put(&line);
}

static mf_status print_object(const mf_worker_note *note, const struct served *w, int64_t now_ms, mf_error *err)
{
    mf_builder b;
    mf_value calls;
    build_begin(&b);
    mf_build_map(&b, 9);
    build_word(&b, "worker", note->name);
    mf_build_key(&b, "host");
    mf_build_str_lossy(&b, w->host);
    mf_build_key(&b, "pid");
    mf_build_int(&b, w->pid);
    build_seconds(&b, "age_s", true, now_ms - w->since_ms);
    build_seconds(&b, "told_age_s", true, now_ms - w->told_ms);
    mf_build_key(&b, "threads");
    mf_build_uint(&b, w->threads);
    mf_build_key(&b, "running");
    mf_build_uint(&b, w->running);
    mf_build_key(&b, "calls");
    mf_build_value(&b, mf_value_get(mf_message_value(note->told), MF_STR_LIT("calls"), &calls) ? calls : (mf_value){NULL, 0});
    mf_build_key(&b, "tasks");
    mf_build_value(&b, w->tasks);
    return build_put(&b, err);
}

static void print_head(void)
{
    struct line line;
    line_begin(&line);
    line_add(&line, "%-24s %-7s %-7s %7s %7s  %s", "WORKER", "AGE", "TOLD", "THREADS", "RUNNING", "TASKS");
    line_put(&line);
}

static mf_status print_note(const struct options *options, const mf_worker_note *note, int64_t now_ms, unsigned *shown, mf_error *err)
{
    struct served w;
    if (!read_note(note, &w) || !serves(&w, options->task))
        return MF_OK;
    if (*shown == 0 && !options->json)
        print_head();
    ++*shown;
    if (options->json)
        return print_object(note, &w, now_ms, err);
    print_row(&w, now_ms);
    return MF_OK;
}

int list_workers(const struct options *options, mf_client *client)
{
    mf_worker_note page[PAGE];
    char after[256] = "";
    mf_error err = {.text = ""};
    mf_status st = MF_OK;
    unsigned shown = 0;
    for (size_t got = PAGE; st == MF_OK && got == PAGE && shown < options->limit;) {
        st = mf_workers_page(client, after, PAGE, page, &got, &err);
        int64_t now_ms = mf_inspect_now_ms(client);
        for (size_t i = 0; i < got; i++) {
            if (st == MF_OK && shown < options->limit)
                st = print_note(options, &page[i], now_ms, &shown, &err);
            memcpy(after, page[i].name, sizeof after);
            mf_message_unref(page[i].told);
        }
    }
    if (st == MF_OK && shown == 0 && !options->json)
        complain("no worker says that it serves%s%s", options->task != NULL ? " " : "", options->task != NULL ? options->task : "");
    return st == MF_OK ? EXIT_DONE : show_failed(st, &err);
}
