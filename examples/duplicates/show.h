/* show.h: what was found, for a person or for a program. */
#ifndef DUPLICATES_SHOW_H
#define DUPLICATES_SHOW_H

#include "groups.h"

struct show_options {
    bool     json;        /* a line of JSON per group, and the summary as the last one */
    bool     all;         /* every group, not just the first ten */
    double   seconds;
};

/** Print groups and summary on standard output. spool: the file that the groups stand in. */
mf_status show_found(const char *spool, const struct groups_summary *found, const struct show_options *options, mf_error *err);

#endif
