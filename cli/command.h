/* command.h: what the verbs of the command share: their table, their exit codes, and how they speak. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <mageflow/mageflow.h>

/** What the command tells its caller; printed by --help from the text beside each in main.c. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_TIMED_OUT = 3,
    EXIT_SIGNAL = 128          /* plus the number of the signal: 130 for SIGINT */
};

/** One verb: a file of its own, and one row in main.c. */
typedef struct verb {
    const char *name;
    const char *summary;                          /* its line in `mageflow --help`; NULL: it is not for people */
    int       (*run)(int argc, const char **argv);   /* argv[0] is "mageflow VERB"; answers the exit code */
} verb;

extern const verb dead_verb;
extern const verb doctor_verb;
extern const verb graph_verb;
extern const verb cancel_verb, suspend_verb, interrupt_verb, resume_verb, remove_verb;
extern const verb inspect_verb;
extern const verb list_verb;
extern const verb logs_verb;
extern const verb run_verb;
extern const verb send_verb;
extern const verb task_process_verb;
extern const verb version_verb;
extern const verb worker_verb;

/** One line on standard error, "mageflow: …". */
void complain(const char *fmt, ...) MF_PRINTF(1, 2);

/** The exit code for a call of the library that failed before anything ran, or whose run ended badly. */
int exit_code_of(mf_status status);

#endif
