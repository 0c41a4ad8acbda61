/* options.h: the options that verbs which reach a task share, read with popt. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <mageflow/base.h>

struct options {
    char        *url;          /* NULL: neither --url nor MAGEFLOW_URL */
    char       **modules;      /* ends in NULL; NULL: none */
    char       **foreign;      /* the same: TASK or TASK=TIMEOUT */
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

/** The options beside --url and --help, which every verb has: one bit each, in any order. */
#define OPTIONS_ALL(X)                                                                                                    \
    X(THREADS) X(TIMEOUT) X(JSON) X(NO_WAIT) X(WAIT) X(MESSAGE) X(FORMAT) X(SLOTS) X(HEALTH) X(LOG) X(STATUS) X(TASK) X(ALL) \
    X(LIMIT) X(AFTER) X(FOLLOW) X(LOAD) X(WORKERS) X(ISOLATION) X(FOREIGN)                                                \
    X(JSON_SHOWN)               /* --json of the verbs that show what is there */
#define OPTION_PLACE(name) OPTION_PLACE_##name,
#define OPTION_BIT(name) OPTION_##name = 1 << OPTION_PLACE_##name,
enum { OPTIONS_ALL(OPTION_PLACE) OPTIONS };
enum { OPTIONS_ALL(OPTION_BIT) OPTIONS_OF_CALLS = OPTION_LOAD | OPTION_FOREIGN | OPTION_THREADS | OPTION_TIMEOUT | OPTION_JSON };
_Static_assert(OPTIONS < 31, "a verb's options are bits of one int");

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
