/* logs.c: `mageflow logs`: the lines that tasks logged, and with --follow those that come, until the end.
 *
 * The end wakes it (the run's descriptor); lines do not, since a line is no commit: they are looked for twice a second. */
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define PAGE 200
#define LOOK_MS 500

static const struct usage usage = {
    .takes = OPTION_FOLLOW | OPTION_JSON_SHOWN,
    .arguments = "[OPTION...] KEY",
    .before = "Print the lines that a task logged (mf_context_log). What plain steps and items log stands in the log of their chain\n"
              "or swarm. KEY is a key or the name of a unique run.",
    .after = "With --follow new lines are printed within half a second, until the signature ends.\n"
             "With --json each line is an object: number, text. The oldest lines go when there are more than 10000.\n"
             "Exit codes: 0 printed, 1 the store cannot be read, 2 wrong usage, which is also a key that is not there.\n"
             "\n"
             "  mageflow logs --url URL --follow task-6yq5a3vhrz2k7mfw4pxtjd1ce\n",
};

struct following {
    mf_client *client;
    mf_key     key;
    uint64_t   next;        /* the number of the line that comes next */
    bool       json, terminal;
};

static mf_status print_json_line(const mf_line *line, mf_error *err)
{
    mf_builder b;
    build_begin(&b);
    mf_build_map(&b, 2);
    mf_build_key(&b, "number");
    mf_build_uint(&b, line->number);
    mf_build_key(&b, "text");
    mf_build_str_lossy(&b, mf_str_of(line->text, line->len));
    return build_put(&b, err);
}

static mf_status print_line(struct following *f, const mf_line *line, mf_error *err)
{
    if (line->number > f->next)
        complain("%" PRIu64 " lines before this one are gone", line->number - f->next);
    f->next = line->number + 1;
    if (f->json)
        return print_json_line(line, err);
    if (f->terminal) {
        print_harmless(mf_str_of(line->text, line->len));
    } else {
        fwrite(line->text, 1, line->len, stdout);
    }
    putchar('\n');
    return MF_OK;
}

/* Everything that is there by now. */
static mf_status print_lines(struct following *f, mf_error *err)
{
    mf_line page[PAGE];
    size_t got = PAGE;
    mf_status st = MF_OK;
    while (st == MF_OK && got == PAGE) {
        st = mf_inspect_log(f->client, &f->key, f->next, PAGE, page, &got, err);
        for (size_t i = 0; i < got; i++) {
            if (st == MF_OK)
                st = print_line(f, &page[i], err);
            mf_text_free(f->client, page[i].text);
        }
    }
    fflush(stdout);
    return st;
}

/* What is logged before the end is there when the end is. */
static mf_status follow(struct following *f, mf_error *err)
{
    mf_run *run = mf_run_open(f->client, &f->key, err);
    mf_status st = run != NULL ? MF_OK : err->status;
    bool ended = false;
    while (st == MF_OK && !ended && !ferror(stdout)) {
        struct pollfd end = {.fd = mf_run_fd(run), .events = POLLIN};
        ended = mf_run_poll(run, NULL, NULL) != MF_E_AGAIN;
        st = print_lines(f, err);
        if (!ended)
            poll(&end, 1, LOOK_MS);
    }
    mf_run_destroy(run);
    return st;
}

static int logs_with(const struct options *options)
{
    struct following f = {.json = options->json, .terminal = isatty(STDOUT_FILENO)};
    mf_error err = {.text = ""};
    if (options->count != 1) {
        complain("logs: expected one KEY, got %zu arguments: see mageflow logs --help", options->count);
        return EXIT_USAGE;
    }
    int code = show_open(options, &f.client);
    if (code != EXIT_DONE)
        return code;
    code = show_find(f.client, options->arguments[0], &f.key);
    if (code == EXIT_DONE) {
        mf_status st = options->follow ? follow(&f, &err) : print_lines(&f, &err);
        code = st == MF_OK ? EXIT_DONE : show_failed(st, &err);
    }
    mf_client_destroy(f.client);
    return code;
}

static int logs_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, logs_with);
}

const verb logs_verb = {"logs", "print what a task logged", logs_run};
