/* options.c: from words to struct options. popt parses and prints the table; numbers and durations are read here, so that
 * an error can tell what was expected and what came. */
#include "options.h"

#include "command.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 1024
#define SLOTS_MAX 65536
#define LIMIT_MAX 1000000
#define LIMIT_DEFAULT 50

/* What popt writes into, before it is checked. */
struct raw {
    char *url, *threads, *slots, *timeout, *message, *format, *health, *log, *isolation, *limit, *after, *status, *task;
    char **modules, **foreign;
    int   json, no_wait, wait, all, follow, workers, help;
};

#define ROWS_MAX (OPTIONS + 3)      /* --url, --help and the end */

/* The rows of what the verb takes, in the order of its help. */
static void make_rows(struct raw *raw, unsigned takes, struct poptOption rows[ROWS_MAX])
{
    const struct {
        unsigned          need;
        struct poptOption row;
    } all[] = {
        {0, {"url", 'u', POPT_ARG_STRING, &raw->url, 0, "where tasks run; without it MAGEFLOW_URL, else this process", "URL"}},
        {OPTION_LOAD, {"load", 'l', POPT_ARG_ARGV, &raw->modules, 0, "load the tasks of a module; may be repeated", "FILE.so"}},
        {OPTION_FOREIGN, {"foreign", 0, POPT_ARG_ARGV, &raw->foreign, 0,
                          "declare a task that workers without mageflow serve, as Python's are; its end is waited for no longer "
                          "than TIMEOUT, 10m by itself; may be repeated", "TASK[=TIMEOUT]"}},
        {OPTION_MESSAGE, {"message", 'm', POPT_ARG_STRING, &raw->message, 0,
                          "what the flow receives, a JSON object; merged over its own message", "JSON"}},
        {OPTION_WAIT, {"wait", 'w', POPT_ARG_NONE, &raw->wait, 0, "wait for the end and print the result", NULL}},
        {OPTION_FORMAT, {"format", 'f', POPT_ARG_STRING, &raw->format, 0, "how to draw: dot (the default) or mermaid", "FORMAT"}},
        {OPTION_THREADS, {"threads", 't', POPT_ARG_STRING, &raw->threads, 0,
                          "worker threads of this process; default one per CPU", "N"}},
        {OPTION_SLOTS, {"slots", 's', POPT_ARG_STRING, &raw->slots, 0, "tasks held at once; default four a thread", "N"}},
        {OPTION_HEALTH, {"health", 'H', POPT_ARG_STRING, &raw->health, 0,
                         "answer GET /health and /metrics (Prometheus) on this port of 127.0.0.1; 0: any free one", "PORT"}},
        {OPTION_ISOLATION, {"isolation", 0, POPT_ARG_STRING, &raw->isolation, 0,
                            "process: each attempt of a task in a child process, whose crash fails that attempt alone; thread: in "
                            "this process (the default)", "WHERE"}},
        {OPTION_LOG, {"log", 0, POPT_ARG_STRING, &raw->log, 0,
                      "what it says of itself on standard error: text (the default) or json, one object a line", "FORM"}},
        {OPTION_TIMEOUT, {"timeout", 'T', POPT_ARG_STRING, &raw->timeout, 0,
                          "wait no longer than this: a number and ms, s, m, h or d", "DURATION"}},
        {OPTION_STATUS, {"status", 'S', POPT_ARG_STRING, &raw->status, 0,
                         "only those with one of these states: pending, active, done, failed, suspended, interrupted, canceled; "
                         "alive, ended", "STATUS,..."}},
        {OPTION_TASK, {"task", 'k', POPT_ARG_STRING, &raw->task, 0, "only this task, or chains and swarms of that name; also inside "
                       "of others", "NAME"}},
        {OPTION_ALL, {"all", 'a', POPT_ARG_NONE, &raw->all, 0, "also what stands in others, and callbacks", NULL}},
        {OPTION_WORKERS, {"workers", 'W', POPT_ARG_NONE, &raw->workers, 0, "who serves, and which tasks, in place of what was started",
                          NULL}},
        {OPTION_LIMIT, {"limit", 'L', POPT_ARG_STRING, &raw->limit, 0, "at most so many; default 50", "N"}},
        {OPTION_AFTER, {"after", 'A', POPT_ARG_STRING, &raw->after, 0, "what comes after this one: the last of the page before",
                        "PLACE"}},
        {OPTION_FOLLOW, {"follow", 'F', POPT_ARG_NONE, &raw->follow, 0, "go on with what comes, until it has ended", NULL}},
        {OPTION_JSON, {"json", 'j', POPT_ARG_NONE, &raw->json, 0,
                       "print one object: key, status, result or error, seconds", NULL}},
        {OPTION_JSON_SHOWN, {"json", 'j', POPT_ARG_NONE, &raw->json, 0, "print JSON, one object a line", NULL}},
        {OPTION_NO_WAIT, {"no-wait", 'n', POPT_ARG_NONE, &raw->no_wait, 0,
                          "print the key of what was sent and do not wait; needs a store that outlives this process", NULL}},
        {0, {"help", 'h', POPT_ARG_NONE, &raw->help, 0, "this text", NULL}},
    };
    _Static_assert(sizeof all / sizeof all[0] == OPTIONS + 2, "each option has its row, --url and --help too");
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if ((all[i].need & ~takes) == 0)
            rows[n++] = all[i].row;
    }
    rows[n] = (struct poptOption)POPT_TABLEEND;
}

static void raw_fini(struct raw *raw)
{
    free(raw->threads);
    free(raw->slots);
    free(raw->timeout);
    free(raw->health);
    free(raw->log);
    free(raw->limit);
    free(raw->isolation);
}

static mf_status read_number(const char *text, const char *option, unsigned most, unsigned *out)
{
    if (text == NULL)
        return MF_OK;
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > most) {
        complain("--%s: expected a number from 1 to %u, got \"%s\"", option, most, text);
        return MF_E_INVALID;
    }
    *out = (unsigned)n;
    return MF_OK;
}

static mf_status read_port(const char *text, struct options *out)
{
    if (text == NULL)
        return MF_OK;
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 65535) {
        complain("--health: expected a port from 0 to 65535, got \"%s\"", text);
        return MF_E_INVALID;
    }
    out->health = true;
    out->health_port = (unsigned)n;
    return MF_OK;
}

/* One of two words: the usual one, which is what no word means, or the other. */
static mf_status read_choice(const char *text, const char *option, const char *usual, const char *other, bool *is_other)
{
    *is_other = text != NULL && strcmp(text, other) == 0;
    if (text == NULL || *is_other || strcmp(text, usual) == 0)
        return MF_OK;
    complain("--%s: expected %s or %s, got \"%s\"", option, usual, other, text);
    return MF_E_INVALID;
}

static mf_status read_timeout(const char *text, mf_duration *out)
{
    mf_error err;
    *out = MF_FOREVER;
    if (text == NULL || mf_duration_parse(mf_cstr(text), out, &err) == MF_OK)
        return MF_OK;
    complain("--timeout: %s", err.text);
    return MF_E_INVALID;
}

/* popt's own words lack what came and what to do. */
static mf_status parse_failed(poptContext con, const char *name, int code)
{
    const char *option = poptBadOption(con, POPT_BADOPTION_NOALIAS);
    const char *what = code == POPT_ERROR_BADOPT ? "unknown option" : poptStrerror(code);
    complain("%s: %s: see %s --help", option, what, name);
    return MF_E_INVALID;
}

static void print_help(poptContext con, const struct usage *usage)
{
    printf("%s\n\n", usage->before);
    poptSetOtherOptionHelp(con, usage->arguments);
    poptPrintHelp(con, stdout, 0);
    printf("\n%s", usage->after);
}

static mf_status keep_arguments(poptContext con, struct options *out)
{
    const char **left = poptGetArgs(con);
    while (left != NULL && left[out->count] != NULL)
        out->count++;
    out->arguments = calloc(out->count + 1, sizeof *out->arguments);
    for (size_t i = 0; out->arguments != NULL && i < out->count; i++) {
        out->arguments[i] = strdup(left[i]);
        if (out->arguments[i] == NULL)
            return MF_E_NOMEM;
    }
    return out->arguments == NULL ? MF_E_NOMEM : MF_OK;
}

static mf_status take(poptContext con, const char *name, const struct raw *raw, const struct usage *usage, struct options *out)
{
    int code = poptGetNextOpt(con);
    if (code < -1)
        return parse_failed(con, name, code);
    if (raw->help) {
        print_help(con, usage);
        return MF_E_AGAIN;
    }
    mf_status st = read_number(raw->threads, "threads", THREADS_MAX, &out->threads);
    if (st == MF_OK)
        st = read_number(raw->slots, "slots", SLOTS_MAX, &out->slots);
    if (st == MF_OK)
        st = read_number(raw->limit, "limit", LIMIT_MAX, &out->limit);
    if (st == MF_OK)
        st = read_port(raw->health, out);
    if (st == MF_OK)
        st = read_choice(raw->log, "log", "text", "json", &out->log_json);
    if (st == MF_OK)
        st = read_choice(raw->isolation, "isolation", "thread", "process", &out->isolated);
    if (st == MF_OK)
        st = read_timeout(raw->timeout, &out->timeout);
    if (st == MF_OK)
        st = keep_arguments(con, out);
    return st;
}

mf_status options_read(int argc, const char **argv, const struct usage *usage, struct options *out)
{
    struct raw raw = {0};
    struct poptOption rows[ROWS_MAX];
    make_rows(&raw, usage->takes, rows);
    *out = (struct options){.timeout = MF_FOREVER, .limit = LIMIT_DEFAULT};
    poptContext con = poptGetContext(NULL, argc, argv, rows, 0);
    if (con == NULL)
        return MF_E_NOMEM;

    mf_status st = take(con, argv[0], &raw, usage, out);
    const char *from_environment = getenv("MAGEFLOW_URL");
    if (raw.url == NULL && from_environment != NULL && from_environment[0] != '\0')
        raw.url = strdup(from_environment);
    out->url = raw.url;
    out->modules = raw.modules;
    out->foreign = raw.foreign;
    out->json = raw.json != 0;
    out->no_wait = raw.no_wait != 0;
    out->wait = raw.wait != 0;
    out->message = raw.message;
    out->format = raw.format;
    out->all = raw.all != 0;
    out->follow = raw.follow != 0;
    out->workers = raw.workers != 0;
    out->after = raw.after;
    out->status = raw.status;
    out->task = raw.task;
    raw_fini(&raw);
    poptFreeContext(con);
    return st;
}

static void free_list(char **list)
{
    for (char **at = list; at != NULL && *at != NULL; at++)
        free(*at);
    free(list);
}

void options_fini(struct options *options)
{
    free(options->url);
    free(options->message);
    free(options->format);
    free(options->after);
    free(options->status);
    free(options->task);
    free_list(options->modules);
    free_list(options->foreign);
    free_list(options->arguments);
    *options = (struct options){0};
}

int options_run(int argc, const char **argv, const struct usage *usage, int (*with)(const struct options *))
{
    struct options options;
    int code = EXIT_USAGE;
    switch (options_read(argc, argv, usage, &options)) {
    case MF_OK:
        code = with(&options);
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
