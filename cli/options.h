/* options.h: the options that verbs which reach a task share, read with popt. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <mageflow/base.h>

struct options {
    char        *url;          /* NULL: neither --url nor MAGEFLOW_URL */
    char       **modules;      /* ends in NULL; NULL: none */
    unsigned     threads;      /* 0: one per online CPU */
    mf_duration  timeout;      /* MF_FOREVER: none */
    bool         json;
    bool         no_wait;
    char       **arguments;    /* what is left, ends in NULL */
    size_t       count;
};

/** What a verb says about itself around the list of options. */
struct usage {
    const char *arguments;     /* "TASK [MESSAGE]" */
    const char *before;
    const char *after;
};

/** Read a verb's command line. MF_OK: *out is the caller's, for options_fini, which is harmless otherwise too.
 * MF_E_AGAIN: --help was asked for and printed. MF_E_INVALID: told on standard error. */
mf_status options_read(int argc, const char **argv, const struct usage *usage, struct options *out);
void      options_fini(struct options *options);

#endif
