/* launch.c: from the options to the exit code. */
#include "launch.h"

#include "command.h"
#include "log.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_ROOM 256
#define FOREIGN_TIMEOUT mf_minutes(10)
#define GRACE mf_seconds(3)    /* for a task that was asked to stop, before the command leaves without it */

static int64_t now_ns(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

/* ---- the client --------------------------------------------------------------------------------------------------- */

/* A bare name is a file here, as everywhere on a command line, and not one of the system's libraries. */
mf_status module_path(mf_str file, char *path, size_t size, mf_error *err)
{
    bool bare = file.len == 0 || memchr(file.at, '/', file.len) == NULL;
    int len = snprintf(path, size, "%s%.*s", bare ? "./" : "", (int)file.len, file.at);
    return len >= 0 && (size_t)len < size ? MF_OK : mf_fail(err, MF_E_TOO_BIG, "the name of the file has more than %zu bytes", size - 1);
}

static int load_module(mf_client *client, const char *file)
{
    char path[4096];
    mf_error err;
    mf_status st = module_path(mf_cstr(file), path, sizeof path, &err);
    if (st == MF_OK)
        st = mf_load(client, path, &err);
    if (st == MF_OK)
        return EXIT_DONE;
    complain("--load %s: %s", file, err.text);
    return EXIT_USAGE;
}

mf_status foreign_read(mf_str text, size_t *len, mf_duration *timeout, mf_error *err)
{
    const char *is = text.len > 0 ? memrchr(text.at, '=', text.len) : NULL;
    *timeout = FOREIGN_TIMEOUT;
    *len = is != NULL ? (size_t)(is - text.at) : text.len;
    if (*len == 0 || *len >= NAME_ROOM)
        return mf_fail(err, MF_E_INVALID, "expected the name of a task, of 1 to %d bytes, got %zu", NAME_ROOM - 1, *len);
    return is != NULL ? mf_duration_parse(mf_str_of(is + 1, text.len - *len - 1), timeout, err) : MF_OK;
}

mf_status foreign_declare(mf_client *client, mf_str text, mf_error *err)
{
    char name[NAME_ROOM];
    mf_duration timeout;
    size_t len;
    mf_status st = foreign_read(text, &len, &timeout, err);
    if (st != MF_OK)
        return st;
    snprintf(name, sizeof name, "%.*s", (int)len, text.at);
    return mf_task_foreign(client, MF_TASK_DEF(.name = name, .timeout = timeout), err);
}

static int declare_foreign(mf_client *client, const char *text)
{
    mf_error err;
    if (foreign_declare(client, mf_cstr(text), &err) == MF_OK)
        return EXIT_DONE;
    complain("--foreign %s: %s", text, err.text);
    return EXIT_USAGE;
}

static int declare(mf_client *client, const struct options *options)
{
    int code = EXIT_DONE;
    for (char **module = options->modules; code == EXIT_DONE && module != NULL && *module != NULL; module++)
        code = load_module(client, *module);
    for (char **task = options->foreign; code == EXIT_DONE && task != NULL && *task != NULL; task++)
        code = declare_foreign(client, *task);
    return code;
}

static int open_client(const struct options *options, mf_options with, mf_client **out)
{
    mf_error err;
    mf_client *client;
    with.struct_size = sizeof with;
    with.threads = options->threads;
    log_of_client(&with);
    mf_status st = mf_open(options->url, &with, &client, &err);
    if (st != MF_OK) {
        bool file = strncmp(err.text, "store ", 6) == 0;    /* it says itself what is wrong with it */
        bool away = !file && (st == MF_E_IO || st == MF_E_TIMEOUT || st == MF_E_AGAIN);
        complain("%s%s", err.text, away ? "; is the server running, and is --url right?" : "");
        return exit_code_of(st);
    }
    int code = declare(client, options);
    if (code != EXIT_DONE) {
        mf_client_destroy(client);
        return code;
    }
    *out = client;
    return EXIT_DONE;
}

int client_open(const struct options *options, mf_client **out)
{
    return open_client(options, (mf_options){.existing = false}, out);
}

int client_open_calling(const struct options *options, mf_call_fn *call, void *user, mf_client **out)
{
    return open_client(options, (mf_options){.call = call, .call_user = user}, out);
}

int client_open_existing(const struct options *options, mf_client **out)
{
    return open_client(options, (mf_options){.existing = true}, out);
}

/* ---- what is printed ---------------------------------------------------------------------------------------------- */

static mf_status print_json(const mf_message *message)
{
    char *text;
    size_t len;
    mf_error err;
    mf_status st = mf_message_to_json(message, NULL, &text, &len, &err);
    if (st != MF_OK) {
        complain("the result cannot be shown as JSON: %s", err.text);
        return st;
    }
    fwrite(text, 1, len, stdout);
    mf_json_free(NULL, text, len);
    return MF_OK;
}

/* A list that is above the payload bound comes page by page. */
static mf_status print_results(const struct call *c)
{
    mf_results *results;
    mf_outcome item;
    mf_error err;
    mf_status st = mf_results_open(c->client, &c->key, &results, &err);
    if (st != MF_OK) {
        complain("the results cannot be read: %s", err.text);
        return st;
    }
    putchar('[');
    for (bool first = true; st == MF_OK && (st = mf_results_next(results, &item, &err)) == MF_OK; first = false) {
        if (!first)
            putchar(',');
        st = print_json(item.status == MF_STATUS_DONE && item.value != NULL ? item.value : mf_message_nil());
    }
    putchar(']');
    mf_results_close(results);
    if (st == MF_E_NOT_FOUND)
        return MF_OK;
    complain("the results cannot be read: %s", err.text);
    return st;
}

/* A swarm's list that did not fit comes as nil. */
static bool is_list_left_out(const struct call *c, const mf_message *result)
{
    mf_counts counts;
    return mf_value_type(mf_message_value(result)) == MF_TYPE_NIL && strncmp(c->key.text, "swarm-", 6) == 0 &&
           mf_count(c->client, &c->key, &counts, NULL) == MF_OK && counts.total > 0;
}

static mf_status print_result(const struct call *c, const mf_message *result)
{
    return is_list_left_out(c, result) ? print_results(c) : print_json(result);
}

/* The one object of --json. error NULL: the result. */
static mf_status print_object(const struct call *c, const char *status, const mf_message *result, const mf_message *error)
{
    double seconds = (double)(now_ns() - c->started_ns) / 1e9;
    printf("{\"key\":\"%s\",\"status\":\"%s\",\"%s\":", c->key.text, status, error != NULL ? "error" : "result");
    mf_status st = error != NULL ? print_json(error) : print_result(c, result);
    mf_message *number = mf_msg("f", seconds);
    fputs(",\"seconds\":", stdout);
    if (st == MF_OK)
        st = print_json(number);
    puts("}");
    mf_message_unref(number);
    return st;
}

static int print_end(const struct call *c, const mf_message *result)
{
    mf_status st = c->options->json ? print_object(c, "done", result, NULL) : print_result(c, result);
    if (!c->options->json)
        putchar('\n');
    return st == MF_OK ? EXIT_DONE : EXIT_FAILED;
}

/* The run did not end well: one line for people, and the object for programs. error: the error map of the task; NULL: the
 * failure is not the task's own. */
static void print_failure(const struct call *c, const char *status, mf_str type, mf_str text, mf_message *error)
{
    complain("%s: %.*s: %.*s", c->what, (int)type.len, type.at, (int)text.len, text.at);
    if (!c->options->json)
        return;
    mf_message *told = error != NULL ? mf_message_ref(error) : mf_msg("{s:T, s:T}", "type", type, "text", text);
    (void)!print_object(c, status, NULL, told);
    mf_message_unref(told);
    fflush(stdout);      /* what does not stop is left with _exit; main looks at errors */
}

static int print_key(const struct call *c)
{
    if (c->options->json)
        printf("{\"key\":\"%s\",\"status\":\"pending\"}\n", c->key.text);
    else
        puts(c->key.text);
    return EXIT_DONE;
}

/* ---- the steps ---------------------------------------------------------------------------------------------------- */

/* Whoever does not wait leaves the work to somebody else: there must be somebody, or a store that keeps it. */
static int check_lasts(const struct call *c)
{
    if (c->wait || !mf_client_in_process(c->client) || mf_client_durable(c->client))
        return EXIT_DONE;
    complain("%s would end with this process, which is its manager and keeps it in memory; %schoose a store that lasts or a "
             "manager elsewhere with --url: see mageflow --help", c->lost, c->advice);
    return EXIT_USAGE;
}

/* After an error about a task or a source that nobody declared. */
static const char *what_to_load(const struct call *c, mf_status st)
{
    if (c->options->modules != NULL || (st != MF_E_UNKNOWN_TASK && st != MF_E_NOT_FOUND))
        return "";
    if (st == MF_E_NOT_FOUND)
        return "; load the module that declares it with --load FILE.so";
    return mf_client_in_process(c->client) && !mf_client_durable(c->client)
               ? "; load the module that declares it with --load FILE.so, or name it with --foreign where workers without mageflow "
                 "serve it"
               : "; load the module that declares it with --load FILE.so, see with mageflow list --workers what is served, or name "
                 "it with --foreign where workers without mageflow serve it";
}

static int start(struct call *c)
{
    mf_error err = {.text = ""};
    c->started_ns = now_ns();
    c->run = c->start(c, &err);
    if (c->run == NULL) {
        complain("%s%s", err.text, what_to_load(c, err.status));
        return exit_code_of(err.status);
    }
    c->key = mf_run_key(c->run);
    return EXIT_DONE;
}

/* A failure of a task has a type and a text of its own; what did not come from a task has its status as type. */
static void report_failure(const struct call *c, const mf_error *err)
{
    mf_message *map = NULL;
    mf_str type, text;
    if (mf_run_error(c->run, &map) == MF_OK && mf_message_scan(map, NULL, "{s:S, s:S}", "type", &type, "text", &text) == MF_OK)
        print_failure(c, "failed", type, text, map);
    else if (err->status == MF_E_CANCELED)
        print_failure(c, "canceled", MF_STR_LIT("Canceled"), mf_cstr(err->text), NULL);
    else
        print_failure(c, "failed", mf_cstr(mf_status_name(err->status)), mf_cstr(err->text), NULL);
    mf_message_unref(map);
}

static int report_end(struct call *c)
{
    mf_message *result = NULL;
    mf_error err;
    if (mf_run_poll(c->run, &result, &err) != MF_OK) {
        report_failure(c, &err);
        return EXIT_FAILED;
    }
    int code = print_end(c, result);
    mf_message_unref(result);
    return code;
}

/* End what this process started and wait a little for its tasks to listen. Somebody else's worker may go on. False: the store
 * refuses it, says err; it stays there as it is. */
static bool cancel(struct call *c, mf_error *err)
{
    mf_status st = mf_cancel(c->client, &c->key, err);
    c->stuck = mf_drain(c->client, GRACE) == MF_E_TIMEOUT;
    if (c->stuck)
        complain("%s does not stop; leaving without it", c->what);
    return st != MF_E_IO && st != MF_E_NOMEM;
}

#define REFUSED "it goes on when its store is served again, since it cannot be canceled now: "

static int report_timeout(struct call *c)
{
    bool here = mf_client_in_process(c->client);
    mf_error err = {.text = ""};
    bool canceled = here && cancel(c, &err);
    char text[256 + MF_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "not done within the time of %s; %s%s (%s)",
             c->foreign ? "--foreign: does any worker serve it, with a result backend on this server?" : "--timeout",
             canceled ? "canceled" : here ? REFUSED : "it goes on elsewhere", canceled ? "" : err.text, c->key.text);
    print_failure(c, canceled ? "canceled" : "active", MF_STR_LIT("Timeout"), mf_cstr(text), NULL);
    return EXIT_TIMED_OUT;
}

static int report_signal(struct call *c)
{
    mf_error err = {.text = ""};
    char text[256 + MF_ERROR_TEXT_MAX];
    bool canceled = cancel(c, &err);
    snprintf(text, sizeof text, "%s by a signal%s%s", canceled ? "canceled" : "left", canceled ? "" : "; " REFUSED,
             canceled ? "" : err.text);
    print_failure(c, canceled ? "canceled" : "active", MF_STR_LIT("Interrupted"), mf_cstr(text), NULL);
    return EXIT_SIGNAL + signals_caught();
}

static int wait_and_report(struct call *c)
{
    switch (wait_for(c->client, c->run, c->options->timeout)) {
    case WAITED_TIMEOUT:
        return report_timeout(c);
    case WAITED_SIGNAL:
        return report_signal(c);
    default:
        return report_end(c);
    }
}

static int make(struct call *c)
{
    mf_error err;
    int code = client_open(c->options, &c->client);
    if (code == EXIT_DONE)
        code = check_lasts(c);
    if (code == EXIT_DONE && signals_catch(&err) != MF_OK) {
        complain("%s", err.text);
        code = EXIT_FAILED;
    }
    if (code == EXIT_DONE)
        code = start(c);
    if (code != EXIT_DONE)
        return code;
    return c->wait ? wait_and_report(c) : print_key(c);
}

int call_make(struct call *c)
{
    int code = make(c);
    if (c->stuck)
        _exit(code);      /* its thread still runs our code: nothing may be freed under it */
    mf_run_destroy(c->run);
    mf_client_destroy(c->client);
    signals_fini();
    return code;
}
