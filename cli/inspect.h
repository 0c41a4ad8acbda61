/* inspect.h: what `mageflow inspect` has read, for its text and its JSON. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "output.h"

#define ABOVE_MAX 64        /* what a signature stands in; flows nest no deeper than half of it, and callbacks add some */

#define RUNS_MAX 64

/* A call of it, or of a plain part of it, as the worker that runs it told last. */
struct seen {
    char     host[65];
    int64_t  pid, told_ms;
    uint64_t index, attempt;
};

struct inspected {
    mf_record   record;
    int64_t     now_ms;
    mf_record   above[ABOVE_MAX];
    size_t      above_count;
    mf_part    *parts;
    size_t      part_count, limit;
    uint64_t    from;           /* of the first part */
    struct seen runs[RUNS_MAX];
    size_t      run_count;
    mf_message *progress;       /* NULL: none */
    mf_message *task;           /* what is known of its task; NULL: nothing */
};

/** How many parts come after those that were read. */
uint64_t inspected_rest(const struct inspected *in);

mf_status inspected_print_json(const struct inspected *in, mf_error *err);

#endif
