/* options.h: the options that verbs which reach a task share, read with popt. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <mageflow/base.h>

struct options {
    char        *url;          /* NULL: neither --url nor MAGEFLOW_URL */
    char       **modules;      /* ends in NULL; NULL: none */
    unsigned     threads;      /* 0: one per online CPU */
    unsigned     slots;        /* 0: four a thread */
    mf_duration  timeout;      /* MF_FOREVER: none */
    bool         health;       /* a port was given: */
    unsigned     health_port;  /* 0: any that is free */
    bool         log_json;     /* --log json */
    bool         isolated;     /* --isolation process */
    bool         json;
    bool         no_wait;
    bool         wait;
    char        *message;      /* NULL: none */
    char        *format;       /* NULL: none */
    char        *status;       /* NULL: any */
    char        *task;         /* NULL: any */
    char        *after;        /* NULL: from the beginning */
    unsigned     limit;
    bool         all;
    bool         follow;
    bool         workers;
    char       **arguments;    /* what is left, ends in NULL */
    size_t       count;
};

/** The options beside --url and --help, which every verb has. */
enum {
    OPTION_THREADS = 1,
    OPTION_TIMEOUT = 2,
    OPTION_JSON = 4,
    OPTION_NO_WAIT = 8,
    OPTION_WAIT = 16,
    OPTION_MESSAGE = 32,
    OPTION_FORMAT = 64,
    OPTION_SLOTS = 128,
    OPTION_HEALTH = 1 << 12,
    OPTION_LOG = 1 << 13,
    OPTION_STATUS = 1 << 14,
    OPTION_TASK = 1 << 15,
    OPTION_ALL = 1 << 16,
    OPTION_LIMIT = 1 << 17,
    OPTION_AFTER = 1 << 18,
    OPTION_FOLLOW = 1 << 19,
    OPTION_LOAD = 1 << 21,
    OPTION_WORKERS = 1 << 22,
    OPTION_JSON_SHOWN = 1 << 20,       /* --json of the verbs that show what is there */
    OPTION_ISOLATION = 1 << 23,
    OPTIONS_OF_CALLS = OPTION_LOAD | OPTION_THREADS | OPTION_TIMEOUT | OPTION_JSON
};

/** What a verb takes, and what it says about itself around the list of options. */
struct usage {
    unsigned    takes;         /* OPTION_* */
    const char *arguments;     /* "TASK [MESSAGE]" */
    const char *before;
    const char *after;
};

/** Read a verb's command line. MF_OK: *out is the caller's, for options_fini, which is harmless otherwise too.
 * MF_E_AGAIN: --help was asked for and printed. MF_E_INVALID: told on standard error. */
mf_status options_read(int argc, const char **argv, const struct usage *usage, struct options *out);
void      options_fini(struct options *options);

/** Read a verb's command line and hand it to `with`, whose exit code is answered; or the one for what was wrong with it. */
int options_run(int argc, const char **argv, const struct usage *usage, int (*with)(const struct options *));

#endif
