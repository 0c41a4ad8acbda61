/* doctor.c: `mageflow doctor`: look at a deployment before it hurts. */
#include "command.h"
#include "launch.h"
#include "output.h"

#include <stdio.h>

static const struct usage usage = {
    .takes = OPTION_JSON_SHOWN,
    .arguments = "[OPTION...]",
    .before = "Look at what --url leads to before it hurts: the server's version, rights, memory and persistence, who else reads\n"
              "the queues, the form of results that are there, the store's file and its disk. Nothing is changed.",
    .after = "Each thing that was looked at is told with its level; what is not as it should be also with what was expected,\n"
             "and what to do about it. With --json each is an object: level, where, what, expected, found, advice.\n"
             "Exit codes: 0 ok or warnings alone, 1 there is an error, 2 wrong usage.\n"
             "\n"
             "  mageflow doctor --url URL\n"
             "  mageflow doctor --url 'local:?store=sqlite:jobs.db' --json\n",
};

struct visit {
    bool     json;
    unsigned count[MF_FINDING_ERROR + 1];
};

static void print_object(const mf_finding *f)
{
    mf_error err;
    mf_message *object = mf_msg("{s:s, s:s, s:s, s:s, s:s, s:s}", "level", mf_finding_level_name(f->level), "where", f->where,
                                "what", f->what, "expected", f->expected, "found", f->found, "advice", f->advice);
    char *text;
    size_t len;
    if (mf_message_to_json(object, NULL, &text, &len, &err) == MF_OK) {
        fwrite(text, 1, len, stdout);
        putchar('\n');
        mf_json_free(NULL, text, len);
    }
    mf_message_unref(object);
}

static void print_more(const char *word, const char *text)
{
    printf("      %-9s ", word);
    print_harmless(mf_cstr(text));
    putchar('\n');
}

static void print_finding(void *user, const mf_finding *f)
{
    struct visit *v = user;
    v->count[f->level]++;
    if (v->json) {
        print_object(f);
        return;
    }
    printf("%-5s %s, ", mf_finding_level_name(f->level), f->what);
    print_harmless(mf_cstr(f->where));
    fputs(": ", stdout);
    print_harmless(mf_cstr(f->found));
    putchar('\n');
    if (f->level == MF_FINDING_OK)
        return;
    print_more("expected", f->expected);
    print_more("do", f->advice);
}

/* What cannot be opened at all is the gravest finding there is; its text says what was expected. */
static void tell_closed(struct visit *v, const mf_error *err)
{
    print_finding(v, &(mf_finding){.level = MF_FINDING_ERROR, .where = "the URL", .what = "open", .found = err->text,
                                   .expected = "the task manager and the store can be opened",
                                   .advice = "mend what it says, and look again: nothing else could be looked at"});
}

static int examine(mf_client *client, struct visit *v)
{
    mf_error err = {.text = ""};
    mf_finding_level worst;
    mf_status st = mf_doctor(client, print_finding, v, &worst, &err);
    if (st != MF_OK)
        return show_failed(st, &err);
    if (!v->json)
        printf("%u ok, %u warning%s, %u error%s\n", v->count[MF_FINDING_OK], v->count[MF_FINDING_WARN],
               v->count[MF_FINDING_WARN] == 1 ? "" : "s", v->count[MF_FINDING_ERROR], v->count[MF_FINDING_ERROR] == 1 ? "" : "s");
    return worst == MF_FINDING_ERROR ? EXIT_FAILED : EXIT_DONE;
}

static int doctor_with(const struct options *options)
{
    struct visit v = {.json = options->json};
    mf_options with = {.struct_size = sizeof with, .existing = true};
    mf_client *client;
    mf_error err = {.text = ""};
    if (options->count > 0) {
        complain("doctor: expected no arguments, got \"%s\": see mageflow doctor --help", options->arguments[0]);
        return EXIT_USAGE;
    }
    mf_status st = mf_open(options->url, &with, &client, &err);
    if (st == MF_E_INVALID && strncmp(err.text, "url:", 4) == 0)
        return show_failed(st, &err);       /* a word in it is wrong */
    if (st != MF_OK) {
        tell_closed(&v, &err);
        return EXIT_FAILED;
    }
    int code = examine(client, &v);
    mf_client_destroy(client);
    return code;
}

static int doctor_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, doctor_with);
}

const verb doctor_verb = {"doctor", "look at a deployment before it hurts", doctor_run};
