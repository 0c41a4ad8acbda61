/* search.h: the flow: built, started, watched, ended. */
#ifndef DUPLICATES_SEARCH_H
#define DUPLICATES_SEARCH_H

#include "groups.h"

#include <mageflow/client.h>
#include <mageflow/control.h>

struct search {
    const char *directory;          /* as the user wrote it */
    const char *root;               /* the same, absolute */
    const char *spool;
    unsigned    max_concurrency;
    uint64_t    stop_after_failures;
};

/** From now on the first SIGINT or SIGTERM is noted and ends search_run; a second one ends the process. MF_E_IO. */
mf_status search_catch_signals(mf_error *err);
/** The signal that was noted; 0: none. */
int search_signal(void);

/** Search, with a progress bar on a terminal. Returns when nothing of it runs any more in this process, callbacks
 * included. MF_E_TASK_FAILED: the text tells why, with how many files failed where that is the reason; MF_E_CANCELED: a
 * signal came; or what starting it answered. */
mf_status search_run(mf_client *client, const struct search *search, struct groups_summary *out, mf_error *err);

#endif
