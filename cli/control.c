/* control.c: the verbs that stop a signature, let it go on, or take it away, by its key: cancel, suspend, interrupt, resume,
 * remove. */
#include "command.h"
#include "output.h"

#include <stdio.h>

#define EXIT_CODES "Several keys are taken one after the other; what fails is told, and the others go on.\n"                      \
                   "Exit codes: 0 done, 1 it has ended already or the store cannot be reached, 2 wrong usage, which is also a key\n" \
                   "that is not there.\n\n"
#define BY_KEY "KEY is a key or the name of a unique run."

typedef mf_status control_fn(mf_client *client, const mf_key *key, mf_error *err);

/* Callbacks of what is gone never run: they go along. */
static mf_status remove_all(mf_client *client, const mf_key *key, mf_error *err)
{
    return mf_remove(client, key, MF_REMOVE_ALL, err);
}

static const struct control {
    const char  *name, *word;
    control_fn  *act;
    struct usage usage;
} controls[] = {
    {"cancel", "canceled", mf_cancel,
     {.before = "End it as canceled: nothing of it starts any more, what runs is asked to stop, no callback is called.\n" BY_KEY,
      .after = EXIT_CODES "  mageflow cancel --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n"}},
    {"suspend", "suspended", mf_suspend,
     {.before = "Start nothing of it any more until mageflow resume; what runs goes on to its end.\n" BY_KEY,
      .after = EXIT_CODES "  mageflow suspend --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n"}},
    {"interrupt", "interrupted", mf_interrupt,
     {.before = "Start nothing of it any more until mageflow resume, and ask what runs to stop; that runs again then.\n" BY_KEY,
      .after = EXIT_CODES "  mageflow interrupt --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n"}},
    {"resume", "resumed", mf_resume,
     {.before = "Let what was suspended or interrupted go on where it stood.\n" BY_KEY,
      .after = EXIT_CODES "  mageflow resume --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n"}},
    {"remove", "removed", remove_all,
     {.before = "Take it away, with all that stands in it and its callbacks; what is alive is canceled first, and what it stands\n"
                "in takes that for its failure.\n" BY_KEY,
      .after = EXIT_CODES "  mageflow remove --url URL swarm-6yq5a3vhrz2k7mfw4pxtjd1ce\n"}},
};

static const struct control *chosen;

static int act_on(mf_client *client, const char *text, bool json)
{
    mf_key key;
    mf_error err = {.text = ""};
    int code = show_find(client, text, &key);
    if (code != EXIT_DONE)
        return code;
    mf_status st = chosen->act(client, &key, &err);
    if (st != MF_OK)
        return show_failed(st, &err);
    printf(json ? "{\"key\":\"%s\",\"done\":\"%s\"}\n" : "%s %s\n", key.text, chosen->word);
    return EXIT_DONE;
}

static int control_with(const struct options *options)
{
    mf_client *client;
    if (options->count == 0) {
        complain("%s: expected KEY, one or more, got none: see mageflow %s --help", chosen->name, chosen->name);
        return EXIT_USAGE;
    }
    int code = show_open(options, &client);
    if (code != EXIT_DONE)
        return code;
    for (size_t i = 0; i < options->count; i++) {
        int one = act_on(client, options->arguments[i], options->json);
        code = code == EXIT_DONE ? one : code;
    }
    mf_client_destroy(client);
    return code;
}

static int run(const char *name, int argc, const char **argv)
{
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (strcmp(controls[i].name, name) == 0)
            chosen = &controls[i];
    }
    struct usage usage = chosen->usage;
    usage.takes = OPTION_JSON_SHOWN;
    usage.arguments = "[OPTION...] KEY...";
    return options_run(argc, argv, &usage, control_with);
}

#define CONTROL_VERB(name, summary)                                                                                    \
    static int name##_run(int argc, const char **argv)                                                                 \
    {                                                                                                                  \
        return run(#name, argc, argv);                                                                                 \
    }                                                                                                                  \
    const verb name##_verb = {#name, summary, name##_run}

CONTROL_VERB(cancel, "end a flow or task as canceled");
CONTROL_VERB(suspend, "start nothing of it until it is resumed");
CONTROL_VERB(interrupt, "suspend it, and ask what runs to stop");
CONTROL_VERB(resume, "let it go on");
CONTROL_VERB(remove, "take it away with all that stands in it");
