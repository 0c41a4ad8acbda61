/* send.c: `mageflow send`: send one message to one task and print what comes back. */
#include "command.h"
#include "input.h"
#include "options.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GRACE mf_seconds(3)    /* for a task that was asked to stop, before the command leaves without it */

static const struct usage usage = {
    .arguments = "[OPTION...] TASK [MESSAGE]",
    .before = "Send MESSAGE, a JSON object, to TASK, wait for its end and print the result as JSON.\n"
              "Without MESSAGE the task receives an empty object; with - it is read from standard input.",
    .after = "Where this process runs the task, it must know it: --load the module that declares it.\n"
             "Exit codes: 0 done, 1 the task failed, 2 wrong usage, 3 timeout, 130 Ctrl-C, which cancels the task.\n"
             "\n"
             "  mageflow send --load basic_tasks.so add '{\"a\": 1, \"b\": 2}'        prints 3\n"
             "  echo '{\"ms\": 500}' | mageflow send --load basic_tasks.so sleep -\n"
             "  mageflow send --load basic_tasks.so --timeout 2s --json count '{\"n\": 1000}'\n",
};

struct sending {
    const struct options *options;
    const char           *task;
    mf_client            *client;
    mf_run               *run;
    mf_key                key;
    int64_t               started_ns;
    bool                  stuck;      /* the task does not stop: leave without the client's destruction */
};

static int64_t now_ns(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

static void print_library_log(void *user, mf_log_level level, mf_str line)
{
    (void)user;
    if (level >= MF_LOG_WARN)
        complain("%s%.*s", level == MF_LOG_WARN ? "warning: " : "", (int)line.len, line.at);
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
    putchar('\n');
    mf_json_free(NULL, text, len);
    fflush(stdout);      /* a task that does not stop is left with _exit; main looks at errors */
    return MF_OK;
}

/* The one object of --json. value is the result, or the error where there is one. */
static mf_status print_object(const struct sending *s, const char *status, const char *field, const mf_message *value)
{
    double seconds = (double)(now_ns() - s->started_ns) / 1e9;
    mf_message *object = mf_msg("{s:s, s:s, s:m, s:f}", "key", s->key.text, "status", status, field, value, "seconds", seconds);
    mf_status st = print_json(object);
    mf_message_unref(object);
    return st;
}


static int print_result(const struct sending *s, const mf_message *result)
{
    mf_status st = s->options->json ? print_object(s, "done", "result", result) : print_json(result);
    return st == MF_OK ? EXIT_DONE : EXIT_FAILED;
}

/* The run did not end well: one line for people, and the object for programs. */
/* error: the error map of the task; NULL: the failure is not the task's own. */
static void print_failure(const struct sending *s, const char *status, mf_str type, mf_str text, mf_message *error)
{
    complain("%s: %.*s: %.*s", s->task, (int)type.len, type.at, (int)text.len, text.at);
    if (!s->options->json)
        return;
    mf_message *told = error != NULL ? mf_message_ref(error) : mf_msg("{s:T, s:T}", "type", type, "text", text);
    (void)!print_object(s, status, "error", told);
    mf_message_unref(told);
}

/* ---- the steps ---------------------------------------------------------------------------------------------------- */

/* A bare name is a file here, as everywhere on a command line, and not one of the system's libraries. */
static int load_module(struct sending *s, const char *file)
{
    char path[4096];
    mf_error err;
    int len = snprintf(path, sizeof path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file);
    if (len < 0 || (size_t)len >= sizeof path)
        complain("--load: the name of the file has more than %zu bytes", sizeof path - 1);
    else if (mf_load(s->client, path, &err) != MF_OK)
        complain("--load %s: %s", file, err.text);
    else
        return EXIT_DONE;
    return EXIT_USAGE;
}

static int open_client(struct sending *s)
{
    mf_error err;
    mf_options options = {.struct_size = sizeof options, .log = print_library_log, .threads = s->options->threads};
    mf_status st = mf_open(s->options->url, &options, &s->client, &err);
    if (st != MF_OK) {
        complain("%s", err.text);
        return exit_code_of(st);
    }
    int code = EXIT_DONE;
    for (char **module = s->options->modules; code == EXIT_DONE && module != NULL && *module != NULL; module++)
        code = load_module(s, *module);
    return code;
}

/* Whoever does not wait leaves the task to somebody else: there must be somebody, or a store that keeps it. */
static int check_no_wait(const struct sending *s)
{
    if (!s->options->no_wait || !mf_client_in_process(s->client) || mf_client_durable(s->client))
        return EXIT_DONE;
    complain("--no-wait: the task would end with this process, which is its manager and keeps it in memory; "
             "choose a store that lasts or a manager elsewhere with --url: see mageflow --help");
    return EXIT_USAGE;
}

static int start(struct sending *s, mf_message *message)
{
    mf_error err;
    mf_signature *sig = mf_sign(s->client, s->task, NULL, &err);
    if (sig != NULL)
        s->key = mf_signature_key(sig);
    else
        mf_message_unref(message);
    s->started_ns = now_ns();
    s->run = sig == NULL ? NULL : mf_start(sig, message, &err);
    mf_signature_destroy(sig);
    if (s->run != NULL)
        return EXIT_DONE;

    bool hint = err.status == MF_E_UNKNOWN_TASK && s->options->modules == NULL;
    complain("%s%s", err.text, hint ? "; load the module that declares it with --load FILE.so" : "");
    return exit_code_of(err.status);
}

/* A failure of the task has a type and a text of its own; what did not come from the task has its status as type. */
static void report_failure(const struct sending *s, const mf_error *err)
{
    mf_message *map = NULL;
    mf_str type, text;
    if (mf_run_error(s->run, &map) == MF_OK && mf_message_scan(map, NULL, "{s:S, s:S}", "type", &type, "text", &text) == MF_OK)
        print_failure(s, "failed", type, text, map);
    else if (err->status == MF_E_CANCELED)
        print_failure(s, "canceled", MF_STR_LIT("Canceled"), mf_cstr(err->text), NULL);
    else
        print_failure(s, "failed", mf_cstr(mf_status_name(err->status)), mf_cstr(err->text), NULL);
    mf_message_unref(map);
}

static int report_end(struct sending *s)
{
    mf_message *result = NULL;
    mf_error err;
    if (mf_run_poll(s->run, &result, &err) != MF_OK) {
        report_failure(s, &err);
        return EXIT_FAILED;
    }
    int code = print_result(s, result);
    mf_message_unref(result);
    return code;
}

/* End what this process started and wait a little for the task to listen. Somebody else's worker may go on. */
static void cancel(struct sending *s)
{
    (void)mf_cancel(s->client, &s->key, NULL);
    s->stuck = mf_drain(s->client, GRACE) == MF_E_TIMEOUT;
    if (s->stuck)
        complain("%s does not stop; leaving without it", s->task);
}

static int report_timeout(struct sending *s)
{
    bool here = mf_client_in_process(s->client);
    char text[256];
    snprintf(text, sizeof text, "not done within the time of --timeout; %s (%s)",
             here ? "canceled" : "it goes on elsewhere", s->key.text);
    if (here)
        cancel(s);
    print_failure(s, here ? "canceled" : "active", MF_STR_LIT("Timeout"), mf_cstr(text), NULL);
    return EXIT_TIMED_OUT;
}

static int report_signal(struct sending *s)
{
    cancel(s);
    print_failure(s, "canceled", MF_STR_LIT("Interrupted"), MF_STR_LIT("canceled by a signal"), NULL);
    return EXIT_SIGNAL + signals_caught();
}

static int wait_and_report(struct sending *s)
{
    switch (wait_for(s->client, s->run, s->options->timeout)) {
    case WAITED_TIMEOUT:
        return report_timeout(s);
    case WAITED_SIGNAL:
        return report_signal(s);
    default:
        return report_end(s);
    }
}

static int print_key(const struct sending *s)
{
    if (s->options->json)
        printf("{\"key\":\"%s\",\"status\":\"pending\"}\n", s->key.text);
    else
        puts(s->key.text);
    return EXIT_DONE;
}

/* message is consumed. */
static int send_message(struct sending *s, mf_message *message)
{
    mf_error err;
    int code = open_client(s);
    if (code == EXIT_DONE)
        code = check_no_wait(s);
    if (code == EXIT_DONE && signals_catch(&err) != MF_OK) {
        complain("%s", err.text);
        code = EXIT_FAILED;
    }
    if (code != EXIT_DONE) {
        mf_message_unref(message);
        return code;
    }
    code = start(s, message);
    if (code != EXIT_DONE)
        return code;
    return s->options->no_wait ? print_key(s) : wait_and_report(s);
}

static int send_with(const struct options *options)
{
    if (options->count == 0 || options->count > 2) {
        complain("send: expected TASK and at most one MESSAGE, got %zu arguments: see mageflow send --help", options->count);
        return EXIT_USAGE;
    }
    mf_error err;
    mf_message *message;
    if (input_read(options->arguments[1], &message, &err) != MF_OK) {
        complain("%s", err.text);
        return exit_code_of(err.status);
    }
    struct sending s = {.options = options, .task = options->arguments[0]};
    int code = send_message(&s, message);
    if (s.stuck)
        _exit(code);      /* its thread still runs our code: nothing may be freed under it */
    mf_run_destroy(s.run);
    mf_client_destroy(s.client);
    signals_fini();
    return code;
}

static int send_run(int argc, const char **argv)
{
    struct options options;
    int code = EXIT_USAGE;
    switch (options_read(argc, argv, &usage, &options)) {
    case MF_OK:
        code = send_with(&options);
        break;
    case MF_E_AGAIN:
        code = EXIT_DONE;
        break;
    case MF_E_INVALID:
        break;
    default:
        complain("no memory");
        code = EXIT_FAILED;
    }
    options_fini(&options);
    return code;
}

const verb send_verb = {"send", "send a message to a task, wait, and print the result", send_run};
