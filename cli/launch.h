/* launch.h: one start of something: open the client, start, wait for the end, print it, answer the exit code. What send and run
 * have in common. */
#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include "options.h"

#include <mageflow/mageflow.h>

struct call {
    const struct options *options;
    const char           *what;       /* "add", "flow.json": what people are told about */
    bool                  wait;       /* for the end; else the key is printed */
    const char           *lost;       /* what nobody would go on with where nothing lasts: "--no-wait: the task" */
    bool                  foreign;    /* options->timeout is a foreign task's, of which nobody else may take care */
    const char           *advice;     /* and what to do about it, before the general one: "add --wait, or " */
    /** Start it, once the client is open. NULL: err tells why. */
    mf_run             *(*start)(struct call *call, mf_error *err);

    mf_client            *client;
    mf_run               *run;
    mf_key                key;
    int64_t               started_ns;
    bool                  stuck;      /* something does not stop: leave without the client's destruction */
};

/** Open the client that the options name, and load the modules. Answers the exit code, EXIT_DONE for success; a failure is
 * told on standard error. *out is set on success only, and the caller's to destroy. */
int client_open(const struct options *options, mf_client **out);
/** The same, and tasks are called by `call` (NULL: they call themselves), with user. */
int client_open_calling(const struct options *options, mf_call_fn *call, void *user, mf_client **out);

/** The path of a module as --load names it. MF_E_TOO_BIG. */
MF_NODISCARD mf_status module_path(mf_str file, char *path, size_t size, mf_error *err);

/** TASK or TASK=TIMEOUT, as --foreign has it: its name's length, and the timeout. */
MF_NODISCARD mf_status foreign_read(mf_str text, size_t *len, mf_duration *timeout, mf_error *err);
/** Declare that task, which workers without mageflow serve. */
MF_NODISCARD mf_status foreign_declare(mf_client *client, mf_str text, mf_error *err);

/** As client_open, for who looks at what is there: a file of flows must be there already. */
int client_open_existing(const struct options *options, mf_client **out);

/** Make the call and answer the exit code. Does not return where something of it does not stop. */
int call_make(struct call *call);

#endif
