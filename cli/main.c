/* main.c: the mageflow command: finds the verb and runs it. A new verb is a file, a row here, and its part of the man page. */
#include "command.h"

#include <stdio.h>

static const verb *const verbs[] = {
    &worker_verb, &send_verb, &run_verb, &list_verb, &inspect_verb, &logs_verb, &graph_verb, &cancel_verb, &suspend_verb,
    &interrupt_verb, &resume_verb, &remove_verb, &dead_verb, &doctor_verb, &version_verb,
    &task_process_verb,
};
static const size_t verb_count = sizeof verbs / sizeof verbs[0];

int exit_code_of(mf_status status)
{
    switch (status) {
    case MF_OK:
        return EXIT_DONE;
    case MF_E_INVALID:
    case MF_E_TYPE:
    case MF_E_MALFORMED:
    case MF_E_TOO_BIG:
    case MF_E_UNSUPPORTED:
    case MF_E_UNKNOWN_TASK:
    case MF_E_NOT_FOUND:
        return EXIT_USAGE;
    case MF_E_TIMEOUT:
        return EXIT_TIMED_OUT;
    default:
        return EXIT_FAILED;
    }
}

static void print_help(FILE *to)
{
    fprintf(to, "Usage: mageflow VERB [OPTION...] [ARGUMENT...]\n"
                "Send tasks and flows to worker threads of this process or to a task manager.\n\n"
                "Verbs:\n");
    for (size_t i = 0; i < verb_count; i++)
        if (verbs[i]->summary != NULL)
            fprintf(to, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(to, "\nOptions:\n"
                "  --help       this text; `mageflow VERB --help` tells about one verb\n"
                "  --version    the same as `mageflow version`\n"
                "\nWhere tasks run (--url, or the variable MAGEFLOW_URL):\n%s"
                "\nExit codes:\n"
                "  0            done\n"
                "  1            the task or the flow failed; type and text are on standard error\n"
                "  2            the call was wrong: verb, option, task, flow, message, module, key or URL\n"
                "  3            the time given with --timeout was over first\n"
                "  128 + N      ended by signal N; 130 is Ctrl-C\n"
                "\nExample:\n"
                "  mageflow send --load basic_tasks.so add '{\"a\": 1, \"b\": 2}'\n", mf_url_help());
}

static int unknown(const char *what, const char *name)
{
    char known[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < verb_count && len < sizeof known; i++)
        if (verbs[i]->summary != NULL)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i == 0 ? "" : ", ", verbs[i]->name);
    complain("unknown %s \"%s\"; the verbs are %s: see mageflow --help", what, name, known);
    return EXIT_USAGE;
}

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
}

/* A result that nobody got is a failure. */
static int checked(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    complain("standard output cannot be written");
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return checked(EXIT_DONE);
    }
    if (strcmp(word, "--version") == 0)
        word = version_verb.name;
    if (word[0] == '-')
        return unknown("option", word);
    const verb *found = find_verb(word);
    if (found == NULL)
        return unknown("verb", word);

    char name[64];
    snprintf(name, sizeof name, "mageflow %s", found->name);
    argv[1] = name;
    return checked(found->run(argc - 1, (const char **)(void *)(argv + 1)));
}
